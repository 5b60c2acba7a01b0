"""``frontierlab overview``: what an index holds."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.endings import FINDINGS, NOTHING
from frontierlab.cli.output import note, rows_of_frame
from frontierlab.cli.words import in_words_of_options

if TYPE_CHECKING:
    from frontierlab.overviews.result import Overview

__all__ = ["command"]


@click.command(
    "overview",
    cls=Command,
    face="frontierlab.overview",
    examples=["frontierlab overview --since 2026-10-01 --until 2026-10-02"],
    selects=True,
    finds="numbers are too small, or the choice of the largest groups is uncertain: warnings say why",
)
@click.option("--bin-seconds", type=click.FLOAT, help="Width of a time bin.  [default: for about 300 bins]")
@click.option("--top", type=click.INT, default=10, show_default=True, help="Groups of each kind with their own row.")
@click.option("--output", metavar="FILE", help="Also write a page of text and figures, which ends in .html.")
@click.pass_context
def command(ctx: click.Context, /, output: str | None, **request: Any) -> int:
    """Look at an index without extracting it.

    The es_index of the settings is asked for aggregations: queries over time, by kind, and of the largest groups.
    Without --since it looks from the first document on, without --until to now.
    """
    from frontierlab import overview

    call: Call = ctx.obj
    found = overview(call.settings, **request)
    call.out.record(_record(found), in_words_of_options(str(found), ctx))
    if call.out.as_json:
        for text in found.warnings:
            note(text, "Warning: ")
    if output is not None:
        note(f"Written: {found.to_html(output)}")
    return FINDINGS if found.warnings else NOTHING


def _record(found: Overview) -> dict[str, Any]:
    """Return an overview as plain values: a list of rows for each of its frames."""
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    values["selection"] = json.loads(found.selection.to_json())
    return {name: rows_of_frame(value) if hasattr(value, "columns") else value for name, value in values.items()}
