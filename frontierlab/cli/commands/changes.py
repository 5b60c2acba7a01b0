"""``frontierlab changes``: what changed between two windows or two datasets."""

from __future__ import annotations

from typing import Any

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.endings import FINDINGS, NOTHING
from frontierlab.cli.output import note, notes_of, rows_of_frame
from frontierlab.cli.sources import compare_option, opened
from frontierlab.cli.types import DATASET, NumberOrAll

__all__ = ["command"]

_MEASURES = ("queries", "bytes", "dbtime_ms", "querytime_ms", "failures", "share")
_KINDS = ("schema", "folder", "tag", "task", "server", "site", "squid")
_NAMES = ("tagname", "nodefullpath", "schema", "db", "taskid", "taskname", "frontierserver", "computingsite", "squid")


@click.command(
    "changes",
    cls=Command,
    face="frontierlab.what_changed",
    examples=[
        "frontierlab changes overlay --since 2026-10-01T12:00 --until 2026-10-01T18:00 --top 5",
        "frontierlab changes overlay --since 2026-10-01T12:00 --until 2026-10-01T13:00 --compare -6h --fail-over 2",
        "frontierlab changes overlay overlay-later --rank-by failures --what server --what site",
    ],
    finds="a rate changed significantly (with --fail-over: and by more than this factor)",
    selects=True,
)
@click.argument("dataset", type=DATASET)
@click.argument("later", type=DATASET, required=False)
@compare_option
@click.option(
    "--rank-by", type=click.Choice(_MEASURES), default="queries", show_default=True, help="Whose rate is compared."
)
@click.option(
    "--what",
    type=click.Choice(_KINDS),
    multiple=True,
    help="Compare these alone. Can be repeated.  [default: all]",
)
@click.option(
    "--top",
    type=NumberOrAll(),
    default=20,
    show_default=True,
    help="How many of each kind have their own row; or the word all.",
)
@click.option(
    "--fail-over",
    type=click.FloatRange(min=1),
    metavar="FACTOR",
    help="End with 1 only if a rate changed significantly by more than this factor, up or down. What is new or gone "
    "changed by more than any factor.",
)
@click.pass_obj
def command(
    call: Call,
    /,
    dataset: str,
    later: str | None,
    compare: str | None,
    rank_by: Any,
    what: tuple[Any, ...],
    top: int | None,
    fail_over: float | None,
    selection: Any,
) -> int:
    """Show what changed between two windows.

    It compares two windows of a dataset, or a dataset with a LATER one, by rates per hour of the time that the data
    cover: schemas, folders, tags, tasks, servers, sites and Squids, significant changes first. Within one dataset
    --since and --until are the later window; the earlier one is that of --compare, by default the window of the same
    length before it.
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
    keywords = {"rank_by": rank_by, "what": what or None}
    frame = what_changed(*sides, top=top, **keywords)
    if call.out.as_json:
        call.out.frame(frame)
    else:
        notes_of(frame)
        call.out.rows([*map(_named, rows_of_frame(frame))], _shown(rank_by), "No query matches.")
    every = what_changed(*sides, top=None, **keywords) if (frame["part"] == "other").any() else frame
    return _found(every, fail_over)


def _shown(rank_by: str) -> list[str]:
    """Return the columns of the table, those of the measure that ranks first."""
    measures = ["rate", *dict.fromkeys((rank_by, *_MEASURES))]
    judged = ["what", "name", "verdict", "factor", "significance"]
    return [*judged, *(f"{one}{suffix}" for one in measures for suffix in ("", "_before", "_change"))]


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its names in one column, the most particular first: each kind of row has its own."""
    names = [str(row[name]) for name in _NAMES if row[name] is not None]
    return {**row, "name": " ".join(names) if row["part"] == "named" else f"({row['part']}: {row['groups']})"}


def _found(frame: Any, factor: float | None) -> int:
    """Tell how many changes are significant, and return the exit code."""
    named = frame[frame["part"] == "named"]
    over = named[named["significant"].fillna(False).astype(bool)]
    words = "changed significantly"
    if factor is not None:
        size = over["factor"].astype("float64")
        over = over[~size.between(1 / factor, factor)]  # what is new has no factor
        words += f", by more than a factor of {factor:g}"
    if len(over):
        note(f"{len(over):,} of {len(named):,} {words}.")
    return FINDINGS if len(over) else NOTHING
