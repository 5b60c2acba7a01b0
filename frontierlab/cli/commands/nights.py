"""``frontierlab nights``: what is done every day without anybody."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.endings import FINDINGS, NOTHING
from frontierlab.cli.group import Group
from frontierlab.cli.output import note
from frontierlab.cli.types import Time
from frontierlab.cli.words import elsewhere

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["command"]


@click.group("nights", cls=Group, default="list")
def command() -> None:
    """List the nights, or do the one that is due. Without a command: list.

    A night is the work on one day of queries: what the setting periodic names.
    """


@command.command(
    "list",
    cls=Command,
    face="frontierlab.nights.list_nights",
    examples=["frontierlab nights", "frontierlab nights --json"],
)
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List what each night gave, the newest first.

    state: complete, thinned (complete, and its rows were removed), incomplete, absent (no night worked on this day) or
    damaged; missing: what has no full result, with the reason; remarks: what results lack.
    """
    from frontierlab.nights.listing import COLUMNS, night_rows

    call: Call = ctx.obj
    rows: list[dict[str, Any]] = [{**row} for row in night_rows(call.settings)]
    if not call.out.as_json:
        rows = [{**row, **{name: " ".join(row[name]) for name in ("missing", "remarks")}} for row in rows]
    folder = call.settings.data_dir / "nights"
    empty = f"There are no nights in {folder} yet: frontierlab nights run does one. {elsewhere(ctx)}"
    call.out.rows(rows, COLUMNS, empty)


@command.command(
    "run",
    cls=Command,
    face="frontierlab.nights.run",
    examples=["frontierlab nights run --now 2026-10-02T02:00 --source dump.ndjson.zst"],
    finds="something is missing, or checks or the diagnosis found something",
    interrupted="What is done stays; the same command goes on where it stopped.",
)
@click.option("--now", type=Time(), help="The time of the night.  [default: the current time]")
@click.option(
    "--source",
    type=click.Path(),
    help="An export file to read instead of Elasticsearch; %Y, %m and %d in its name are the day.",
)
@click.pass_obj
def run(call: Call, now: datetime | None, source: str | os.PathLike[str] | None) -> int:
    """Do the night that is due: the day before, and what is missing of earlier days.

    For cron. Of what is done nothing is done again. The steps are in the setting periodic.
    """
    from frontierlab.nights import run as run_night

    night = run_night(call.settings, now=now, source=source)
    missing = night.missing()
    for text in missing:
        note(text, "Missing: ")
    days = {str(record.day): {name: record.step(name).state for name in record.wanted} for record in night.records}
    found = {"nights": days, "missing": missing, "findings": night.findings, "thinned": night.thinned}
    steps = [f"{day}: {', '.join(f'{name} {state}' for name, state in each.items())}" for day, each in days.items()]
    lines = [
        *steps,
        *(f"thinned: {name}" for name in night.thinned),
        f"findings and incidents: {night.findings:,}",
        night.page,
    ]
    call.out.record({**found, "page": night.page}, "\n".join(filter(None, lines)))
    return FINDINGS if missing or night.findings else NOTHING
