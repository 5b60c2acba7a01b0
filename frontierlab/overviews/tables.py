"""Make the frames of an overview from what was counted: the columns, order and types of the filters' frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import sub
from typing import Any, Literal, TypeAlias

import pandas as pd

from frontierlab.filters.bins import TimeBins
from frontierlab.filters.expressions import QUERIES
from frontierlab.filters.question import Question, too_large
from frontierlab.filters.top import MISSING, NAMED, OTHER
from frontierlab.overviews.aggregations import COLUMNS, ZERO, Counts
from frontierlab.overviews.counting import Counted, Key
from frontierlab.selection import QUERY_KINDS, Selection

__all__ = ["kinds_frame", "table", "time_frame", "total_of", "without"]

_INTEGERS = ("taskid",)
_Column: TypeAlias = tuple[list[Any], Literal["Int64", "string"]]


def total_of(counted: Counted) -> Counts:
    """Return the sum of all numbers."""
    return _sum(counted.counts.values())


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

    Raises
    ------
    frontierlab.errors.StatementError
        A sum has more than 64 bits.
    """
    for name, numbers in zip(COLUMNS, zip(*counted.counts.values(), strict=True), strict=False):
        if sum(map(abs, numbers)) >= 2**63:
            raise too_large(name)
    named = [group for group in counted.counts.items() if group[0][-1] is not None]
    missing = [group for group in counted.counts.items() if group[0][-1] is None]
    shown = _largest(named, top)
    rows: list[tuple[Key, str, int | None, Counts]] = [(key, NAMED, 1, counts) for key, counts in shown]
    groups: int | None = len(named) - len(shown)
    if counted.whole:
        rest = _less(_sum(counts for _, counts in named), _sum(counts for _, counts in shown))
    else:
        rest, groups = _less(total, _sum(counts for _, counts in (*shown, *missing))), None  # how many is not known
    if rest[0] or groups:
        rows.append(((None,) * len(keys), OTHER, groups, rest))
    if missing:
        different = zip(*(key for key, _ in missing), strict=True)
        common = tuple(values[0] if len({*values}) == 1 else None for values in different)
        rows.append((common, MISSING, len(missing), _sum(counts for _, counts in missing)))
    columns: dict[str, _Column] = {
        name: ([key[place] for key, *_ in rows], "Int64" if name in _INTEGERS else "string")
        for place, name in enumerate(keys)
    }
    if names is not None:
        columns["taskname"] = [names.get(key[0]) for key, *_ in rows], "string"
    columns["part"], columns["groups"] = ([row[1] for row in rows], "string"), ([row[2] for row in rows], "Int64")
    columns |= {name: ([row[3][place] for row in rows], "Int64") for place, name in enumerate(COLUMNS)}
    return _frame(columns)


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
    kinds = sorted(counts, key=lambda kind: (-counts[kind], kind)) if any(counts.values()) else []
    return _frame(
        {
            "kind": (kinds, "string"),
            "part": ([NAMED] * len(kinds), "string"),
            "groups": ([1] * len(kinds), "Int64"),
            "queries": ([counts[kind] for kind in kinds], "Int64"),
        }
    )


def _sum(counts: Iterable[Counts]) -> Counts:
    return tuple(map(sum, zip(*counts, strict=True))) or ZERO


def _less(counts: Counts, others: Counts) -> Counts:
    return tuple(map(sub, counts, others))


def _largest(groups: Sequence[tuple[Key, Counts]], top: int) -> list[tuple[Key, Counts]]:
    """Return the groups with the most queries, the largest first; those of one size in the order of keys, null last."""
    smallest = sorted((counts[0] for _, counts in groups), reverse=True)[:top][-1:]
    large = [group for group in groups if [group[1][0]] >= smallest]
    return sorted(large, key=lambda group: (-group[1][0], *((value is None, value) for value in group[0])))[:top]


def _frame(columns: Mapping[str, _Column]) -> pd.DataFrame:
    """Return the frame of columns with values and types."""
    return pd.DataFrame({name: pd.array(values, dtype=type_) for name, (values, type_) in columns.items()})
