"""``frontierlab caching``: which folders waste the cache, why, and what would help."""

from __future__ import annotations

import sys
from typing import Any

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.group import Group
from frontierlab.cli.output import is_terminal, note, notes_of, rows_of_frame
from frontierlab.cli.types import DATASET

__all__ = ["command"]

_FIRST = (
    *("nodefullpath", "tagname", "queries", "different_queries", "different_payloads_iov", "efficiency_iov"),
    *("wasted_bytes", "wasted_dbtime", "repeated_queries", "repeated_bytes", "repeated_dbtime", "cause"),
)
_STORED = {"dataset": "dataset", "folder": "nodefullpath", "tag": "tagname"}
_SHOWN = 20
_PLACE = ("db", "schema", "nodefullpath", "tagname")
_OF_FOLDER = "--db CONDBR2 --schema ATLAS_COOLOFL_PIXEL --folder /PIXEL/PixCalib --tag PixCalib-RUN2-DATA-UPD4-12"


@click.group("caching", cls=Group)
def command() -> None:
    """Find folders that waste the cache, and why."""


def _of_folder(function: Any) -> Any:
    """Give a command the options for a folder and tag."""
    options = [
        click.option("--db", required=True, help="Database instance of the folder, such as CONDBR2."),
        click.option("--schema", required=True, help="Schema of the folder."),
        click.option("--folder", "nodefullpath", required=True, help="Full path of the folder."),
        click.option("--tag", "tagname", required=True, help="Its tag; none for a folder without tags."),
        click.option("--allow-incomplete", is_flag=True, help="Use what is stored of an incomplete dataset."),
    ]
    for option in reversed(options):
        function = option(function)
    return click.argument("dataset", type=DATASET)(function)


def _worth(function: Any) -> Any:
    """Give a command the options for what a saving must reach."""
    seconds = click.option(
        "--worth-seconds",
        type=click.FloatRange(min=0),
        help="Seconds of database time that a saving must reach to be a cause.  [default: 60]",
    )
    size = click.option(
        "--worth-bytes", type=click.FloatRange(min=0), help="Or bytes that it must reach.  [default: 1,000,000,000]"
    )
    return seconds(size(function))


def _given(**thresholds: float | None) -> dict[str, Any]:
    return {name: value for name, value in thresholds.items() if value is not None}


@command.command(
    "efficiency",
    cls=Command,
    face="frontierlab.caching.efficiency",
    examples=["frontierlab caching efficiency overlay --db CONDBR2"],
    interrupted="Nothing was stored.",
    selects=True,
)
@click.argument("dataset", type=DATASET)
@click.option("--store", is_flag=True, help="Also store the figures in the history, to compare them over time.")
@click.option("--allow-incomplete", is_flag=True, help="Use what is stored of an incomplete dataset.")
@click.option(
    "--top",
    type=click.IntRange(min=1),
    help="Print the worst folders and tags only.  [default: 20 on a terminal, else all]",
)
@_worth
@click.pass_obj
def efficiency(
    call: Call,
    dataset: str,
    store: bool,
    top: int | None,
    allow_incomplete: bool,
    worth_seconds: float | None,
    worth_bytes: float | None,
    selection: Any,
) -> None:
    """Rank folders and tags by what they waste.

    efficiency_iov: different answers for different queries, 1 at best. wasted_bytes and wasted_dbtime (ms): what
    fetching each answer only once would have saved. repeated_queries, repeated_bytes and repeated_dbtime: the same
    query from the same Squid or site, not cached, beyond the first.
    """
    from frontierlab.caching import efficiency as compute
    from frontierlab.caching import history
    from frontierlab.selection import Selection

    thresholds = _given(worth_seconds=worth_seconds, worth_bytes=worth_bytes)
    frame = compute(dataset, call.settings, selection=selection, allow_incomplete=allow_incomplete, **thresholds)
    if store:
        note(f"{history.store(frame, dataset, call.settings):,} records are stored in the history.")
    rest = [name for name in frame.columns if name not in _FIRST]
    if top is None and not call.out.as_json and is_terminal(sys.stdout):
        top = _SHOWN
    shown = frame[[*_FIRST, *rest]].iloc[:top]
    chosen = f"of the selection ({selection.in_words()}) " * (selection != Selection())
    call.out.frame(shown, f"No query {chosen}has an interval of validity.")
    if len(shown) < len(frame):
        note(f"These are the {len(shown):,} worst of {len(frame):,} folders and tags; --top gives another number.")


@command.command(
    "explain",
    cls=Command,
    face="frontierlab.caching.explain",
    examples=[f"frontierlab caching explain overlay {_OF_FOLDER}"],
    selects=True,
    without=_PLACE,
)
@_of_folder
@click.pass_obj
def explain(call: Call, /, dataset: str, **keywords: Any) -> None:
    """Explain why a folder and tag wastes the cache.

    It shows its queries against its payloads, and the tasks that asked, most database time first. --json has also the
    bins of the queries and the intervals of the payloads.
    """
    from frontierlab.caching import explain as explained

    why = explained(dataset, call.settings, **keywords)
    for text in why.notes:
        note(text)
    if call.out.as_json:
        frames = {name: rows_of_frame(getattr(why, name)) for name in ("tasks", "queries", "intervals")}
        summary = {"summary": why.summary, "problem": why.problem, "totals": why.totals, "notes": why.notes}
        call.out.record({**why.folder._asdict(), **summary, **frames}, "")
    else:
        call.out.text(f"{why.summary}\n")
        call.out.frame(why.tasks, "No task asked.")


@command.command(
    "what-if",
    cls=Command,
    face="frontierlab.caching.what_if",
    examples=[f"frontierlab caching what-if overlay {_OF_FOLDER} --grid '1 run' --grid payload"],
    selects=True,
    without=_PLACE,
)
@_of_folder
@click.option(
    "--grid",
    "grids",
    multiple=True,
    help="A grid of IOVs to try: '10 lumiblocks', '1 run', '10 minutes', athena, 'athena 60 minutes' or payload. "
    "Can be repeated.  [default: some]",
)
@_worth
@click.pass_obj
def what_if(
    call: Call,
    /,
    dataset: str,
    grids: tuple[str, ...],
    worth_seconds: float | None,
    worth_bytes: float | None,
    **keywords: Any,
) -> None:
    """Estimate what a coarser grid would leave, and advise on the cause of the waste.

    The grid is that of the intervals of validity that clients ask for. With --json it is an object: the advice, its
    cure (what to do and whom to tell), and the grids.
    """
    from frontierlab.caching import what_if as estimate

    thresholds = _given(worth_seconds=worth_seconds, worth_bytes=worth_bytes)
    frame = estimate(dataset, call.settings, grids=grids or None, **keywords, **thresholds)
    advice = frame.attrs.get("advice", "")
    if call.out.as_json:
        notes_of(frame)
        call.out.record({"advice": advice, "cure": frame.attrs.get("cure", ""), "grids": rows_of_frame(frame)}, "")
    else:
        call.out.frame(frame)
        call.out.text(f"\n{advice}" * bool(advice))


@command.command(
    "history",
    cls=Command,
    face="frontierlab.caching.history.read",
    examples=["frontierlab caching history --dataset overlay"],
)
@click.option("--folder", "nodefullpath", help="Only this folder: its full path.")
@click.option("--tag", "tagname", help="Only this tag.")
@click.option("--dataset", type=DATASET, help="Only figures of this dataset.")
@click.pass_obj
def history(call: Call, /, **which: Any) -> None:
    """List the stored figures over time."""
    from frontierlab.caching.history import read

    frame = read(call.settings, **which)
    given = ", ".join(f"{name} {which[key]}" for name, key in _STORED.items() if which[key] is not None)
    first = ["period_since", "period_until", "dataset", *_FIRST]
    rest = [name for name in frame.columns if name not in first]
    call.out.frame(frame[[*first, *rest]], f"No figures{f' of the {given}' * bool(given)} are stored.")
