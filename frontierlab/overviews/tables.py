"""Make the frames of an overview from what was counted: the columns, order and types of the filters' frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import pandas as pd

from frontierlab.filters.bins import TimeBins
from frontierlab.filters.costs import COSTS
from frontierlab.filters.expressions import CACHED, KIND, QUERIES
from frontierlab.filters.question import Question
from frontierlab.filters.top import MISSING, NAMED, OTHER
from frontierlab.overviews.aggregations import COLUMNS, ZERO, Counts, added
from frontierlab.overviews.counting import Counted
from frontierlab.selection import QUERY_KINDS, Selection

__all__ = ["kinds_frame", "table", "time_frame", "total_of", "without"]

_MEASURES = {name: {**CACHED, **COSTS}[name] for name in COLUMNS}
_INTEGERS = ("taskid",)


def total_of(counted: Counted) -> Counts:
    """Return the sum of all numbers."""
    return reduce(added, counted.counts.values(), ZERO)


def table(
    counted: Counted, keys: Sequence[str], top: int, total: Counts, names: Mapping[Any, str] | None = None
) -> pd.DataFrame:
    """Return the frame of the largest groups.

    Parameters
    ----------
    counted
        The numbers of groups. If they are not whole, only the `top` largest named groups are used.
    keys
        The columns that name a group.
    top
        How many groups have their own row.
    total
        The numbers of all queries.
    names
        The names of tasks, for the column ``taskname``.
    """
    rows = [(*key, *counts) for key, counts in counted.counts.items()]
    raw = pd.DataFrame(rows, columns=[*keys, *COLUMNS], dtype="object")
    types = {key: "Int64" if key in _INTEGERS else "string" for key in keys} | dict.fromkeys(COLUMNS, "Int64")
    raw = raw.astype(types)
    labels = {}
    if names is not None:
        labels = {"taskname": "taskname"}
        raw["taskname"] = raw["taskid"].map(names).astype("string")
    found = Question(_MEASURES, {key: key for key in keys}, labels=labels, top=top, rank=("queries",)).answer(
        [raw], Selection()
    )
    return found if counted.whole else _with_rest(found, total)


def _with_rest(found: pd.DataFrame, total: Counts) -> pd.DataFrame:
    """Put the queries that are in no row into one of other groups, whose number is not known."""
    found = found[found["part"] != OTHER]
    counts = {name: whole - int(found[name].sum()) for name, whole in zip(COLUMNS, total, strict=True)}
    if not counts["queries"]:
        return found.reset_index(drop=True)
    rest = pd.DataFrame([{"part": OTHER, **counts}]).reindex(columns=found.columns).astype(found.dtypes)
    named, missing = (found[found["part"] == part] for part in (NAMED, MISSING))
    return pd.concat([named, rest, missing], ignore_index=True)


def without(counted: Counted, keys: int) -> Counted:
    """Return the numbers of the groups that the first `keys` values name."""
    found = Counted(whole=counted.whole)
    for key, counts in counted.counts.items():
        found.add(key[:keys], counts)
    return found


def time_frame(bins: Mapping[int, Mapping[str, int]], width: int, window: Selection) -> pd.DataFrame:
    """Return the frame over time; `bins` has the numbers of each bin with queries, by its start in milliseconds."""
    columns = {"cached": "cached", "not_cached": "not_cached", "unknown": "unknown"}
    columns |= {kind: kind.replace(" ", "_") for kind in QUERY_KINDS} | {"bytes": "bytes"}
    rows = [
        {"time": start, **{column: counts[name] for name, column in columns.items() if name in counts}}
        | {"unknown": counts["queries"] - counts["cached"] - counts["not_cached"]}
        for start, counts in sorted(bins.items())
    ]
    raw = pd.DataFrame(rows, columns=["time", *columns.values()])
    raw = raw.astype(dict.fromkeys(columns.values(), "Int64"))
    raw["time"] = pd.to_datetime(raw["time"].astype("int64"), unit="ms", utc=True).astype("datetime64[ms, UTC]")
    question = Question(dict.fromkeys(columns.values(), QUERIES["queries"]), bins=TimeBins(width / 1000))
    found = question.answer([raw], window)
    return found.assign(kB=found["bytes"].astype("Float64") / 1000)


def kinds_frame(bins: Mapping[int, Mapping[str, int]]) -> pd.DataFrame:
    """Return the numbers of queries that were not cached, by kind: the frame of the filter `uncached_by_kind`."""
    counts = {kind: sum(found[kind] for found in bins.values()) for kind in QUERY_KINDS}
    raw = pd.DataFrame([(kind, number) for kind, number in counts.items() if number], columns=["kind", "queries"])
    raw = raw.astype({"kind": "string", "queries": "Int64"})
    return Question(QUERIES, {"kind": KIND}, always=QUERY_KINDS).answer([raw], Selection())
