"""The statement that counts what is compared: both windows in one pass, by every kind of name and by bins of time."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from frontierlab.filters.costs import COSTS
from frontierlab.filters.expressions import NODE, NOT_CACHED, SCHEMA, TAG
from frontierlab.filters.measures import Count, Measure
from frontierlab.filters.question import Statement
from frontierlab.selection import QUERY_KINDS, Selection
from frontierlab.storage.spans import Span
from frontierlab.util.times import from_milliseconds, to_milliseconds

__all__ = [
    "BINS",
    "CHANGE_KEYS",
    "COUNTED",
    "MEASURES",
    "NAMES",
    "NOT_CACHED_QUERIES",
    "bounds_of_bins",
    "counted_as",
    "statement_of_changes",
    "statement_of_windows",
]

CHANGE_KEYS = {
    "schema": (*SCHEMA,),
    "folder": (*NODE,),
    "tag": (*TAG,),
    "task": ("taskid",),
    "server": ("frontierserver",),
    "site": ("computingsite",),
    "squid": ("squid",),
}
"""The kinds of things that can change, and the columns that name each."""

NAMES = [*dict.fromkeys(column for keys in CHANGE_KEYS.values() for column in keys)]
"""The columns that name things."""

MEASURES = COSTS
"""What is counted or added up."""

BINS = 12
"""The bins of each window, for the scatter of its values."""

NOT_CACHED_QUERIES = "not_cached"
"""The column with the number of queries that were not cached."""

COUNTED: dict[str, Measure] = {**MEASURES, NOT_CACHED_QUERIES: Count(NOT_CACHED)}
"""All that is counted or added up of each name."""

_READ = ("cached", *QUERY_KINDS[:-1], "fsize", "dbtime", "querytime")
_OF_TAGS = ("tag", "folder", "schema")  # the rows of the first that is asked for add up to the others

Bounds: TypeAlias = Sequence[datetime]


def statement_of_changes(
    before: Selection | None = None,
    now: Selection | None = None,
    *,
    bounds: tuple[Bounds, Bounds] | None = None,
    what: Collection[str] = tuple(CHANGE_KEYS),
) -> Statement:
    """Return the statement; ``{before}`` and ``{now}`` are the logs, and its ``selection`` is `now`.

    A row of its result counts one window (``side``), one of its bins, and a name of one kind. Rows of tags add up to
    folders and schemas, so these are not counted again.

    Parameters
    ----------
    before, now
        The selections; by default all queries.
    bounds
        The times between the bins of before and of now; by default those of the selections' windows.
    what
        The kinds to count.
    """
    before, now = before or Selection(), now or Selection()
    bounds = bounds or (_of_window(before), _of_window(now))
    text, args = statement_of_windows({"before": (before, bounds[0]), "now": (now, bounds[1])}, what)
    return Statement("what_changed", text, args, now)


def statement_of_windows(
    windows: Mapping[str, tuple[Selection, Bounds]], what: Collection[str], counted: Collection[str] = tuple(COUNTED)
) -> tuple[str, dict[str, Any]]:
    """Return the statement that counts any number of windows, and the values of its parameters.

    Parameters
    ----------
    windows
        The selection of each window and the times between its bins, by the name that its logs and its rows have.
    what
        The kinds to count.
    counted
        What is counted or added up of each name; by default all.
    """
    sets = {kind: CHANGE_KEYS[kind] for kind in dict.fromkeys(counted_as(kind, what) for kind in what)}
    sets = {kind: (*keys, "taskname") if kind == "task" else keys for kind, keys in sets.items()}
    names = [name for name in (*NAMES, "taskname") if any(name in keys for keys in sets.values())]
    parts = [_side(side, selection, bounds, names) for side, (selection, bounds) in windows.items()]
    kinds = " ".join(f"WHEN grouping({CHANGE_KEYS[kind][-1]}) = 0 THEN '{kind}'" for kind in sets)
    sums = [f"{measure.sql()} AS {name}" for name, measure in COUNTED.items() if name in counted]
    grouped = ", ".join(f"(side, bin, {', '.join(keys)})" for keys in sets.values())
    asked = "\nUNION ALL\n".join(text for text, _ in parts)
    text = (
        f"WITH asked AS (\n{asked}\n)\n"
        f"SELECT CASE {kinds} END AS what, side, bin,\n       {', '.join(names)},\n       "
        + ",\n       ".join(sums)
        + f"\nFROM asked\nGROUP BY GROUPING SETS ({grouped})"
    )
    return text, {name: value for _, args in parts for name, value in args.items()}


def counted_as(kind: str, what: Collection[str]) -> str:
    """Return the kind whose rows count another, if the kinds in `what` are asked for."""
    return next(one for one in _OF_TAGS if one in what) if kind in _OF_TAGS else kind


def bounds_of_bins(spans: Sequence[Span]) -> list[datetime]:
    """Return the times that divide spans of time into `BINS` equal parts; none if there is no such time."""
    whole = sum(span.stop - span.start for span in spans)
    return [from_milliseconds(_at(spans, whole * part // BINS)) for part in range(1, BINS)] if whole >= BINS else []


def _at(spans: Sequence[Span], elapsed: int) -> int:
    """Return the time at which this much of the spans has passed."""
    for span in spans:
        if elapsed < span.stop - span.start:
            return span.start + elapsed
        elapsed -= span.stop - span.start
    return spans[-1].stop


def _of_window(selection: Selection) -> list[datetime]:
    if selection.since is None or selection.until is None:
        return []
    return bounds_of_bins([Span(to_milliseconds(selection.since), to_milliseconds(selection.until))])


def _side(side: str, selection: Selection, bounds: Bounds, names: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the subquery with the queries of one side, and the values of its parameters."""
    where, values = selection.where()
    where = re.sub(r":(\w+)", rf":{side}_\1", where)  # both sides can have parameters of the same name
    args = {f"{side}_{name}": value for name, value in values.items()}
    args |= {f"{side}_bin_{number}": bound for number, bound in enumerate(bounds, 1)}
    tests = " ".join(f"WHEN time < :{side}_bin_{number} THEN {number - 1}" for number in range(1, len(bounds) + 1))
    number = f"CASE {tests} ELSE {len(bounds)} END" if tests else "0"
    listed = f"{', '.join(names)},\n       {', '.join(_READ)}"
    return f"SELECT '{side}' AS side, {number} AS bin, {listed}\nFROM {{{side}}}{where}", args
