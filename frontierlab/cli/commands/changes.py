"""``frontierlab changes``: what changed between two windows or two datasets."""

from __future__ import annotations

from typing import Any

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.endings import FINDINGS, NOTHING
from frontierlab.cli.output import note, rows_of_frame
from frontierlab.cli.sources import compare_option, opened
from frontierlab.cli.types import DATASET, NumberOrAll

__all__ = ["command"]

_MEASURES = ("share", "bytes", "failures")
_NAMES = ("tagname", "nodefullpath", "schema", "db", "taskid", "taskname", "frontierserver")


@click.command(
    "changes",
    cls=Command,
    face="frontierlab.what_changed",
    examples=[
        "frontierlab changes overlay --since 2026-10-01T12:00 --until 2026-10-01T18:00 --top 5",
        "frontierlab changes overlay --since 2026-10-01T12:00 --until 2026-10-01T13:00 --compare -6h --fail-over 90",
        "frontierlab changes overlay overlay-later --by failures",
    ],
    finds="with --fail-over: something changed by more",
    selects=True,
)
@click.argument("dataset", type=DATASET)
@click.argument("later", type=DATASET, required=False)
@compare_option
@click.option("--by", type=click.Choice(_MEASURES), default="share", show_default=True, help="What ranks changes.")
@click.option(
    "--top",
    type=NumberOrAll(),
    default=20,
    show_default=True,
    help="How many folders, tags, tasks and servers (each) have their own row; or the word all.",
)
@click.option(
    "--fail-over",
    type=click.FloatRange(min=0),
    metavar="SIZE",
    help="End with 1 if a folder, tag, task or server changed by more: percentage points of share, bytes, or failures.",
)
@click.pass_obj
def command(
    call: Call,
    /,
    dataset: str,
    later: str | None,
    compare: str | None,
    by: Any,
    top: int | None,
    fail_over: float | None,
    selection: Any,
) -> int:
    """Show what changed between two windows.

    It compares two windows of a dataset, or a dataset with a LATER one: folders, tags, tasks and servers, those that
    changed most first. Within one dataset --since and --until are the later window; the earlier one is that of
    --compare, by default the window of the same length before it.
    """
    from frontierlab import what_changed
    from frontierlab.filters.compare import before

    logs = opened((dataset,), call.settings)
    if later is None:
        then = before(logs, selection, compare or "previous")
        sides = (then.logs, then.selection), (logs, selection)
    elif compare is None:
        sides = (logs, selection), (opened((later,), call.settings), selection)
    else:
        raise click.UsageError("--compare is for windows of one dataset: leave it out, or the second dataset.")
    frame = what_changed(*sides, by=by, top=top)
    if call.out.as_json:
        call.out.frame(frame)
    else:
        call.out.rows([*map(_named, rows_of_frame(frame))], _shown(by), "No query matches.")
    if fail_over is None:
        return NOTHING
    named = frame[frame["part"] == "named"]
    over = named[named[f"{by}_change"].abs() > fail_over]
    if len(over):
        note(f"{len(over):,} of {len(named):,} changed by more than {fail_over:g} ({by}).")
    return FINDINGS if len(over) else NOTHING


def _shown(by: str) -> list[str]:
    """Return the columns of the table, those of the measure that ranks first."""
    measures = [by, *(measure for measure in ("share", "queries", "bytes", "failures") if measure != by)]
    return ["what", "name", *(f"{one}{suffix}" for one in measures for suffix in ("", "_before", "_change"))]


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its names in one column, the most particular first: each kind of row has its own."""
    names = [str(row[name]) for name in _NAMES if row[name] is not None]
    return {**row, "name": " ".join(names) if row["part"] == "named" else f"({row['part']}: {row['groups']})"}
