"""The changes of one kind of thing, such as servers: rates, what is significant, and the order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from frontierlab.filters.changes_statement import CHANGE_KEYS, COUNTED, MEASURES, NAMES, NOT_CACHED_QUERIES
from frontierlab.filters.significance import Values, are_significant, significance
from frontierlab.filters.top import OTHER, Ranking, label_places, number_groups, rank_groups
from frontierlab.util.frames import as_fractions

__all__ = ["Covered", "ENDS", "ranked_changes"]

Integers: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

ENDS = ("", "_before", "_change")
"""What the names of the columns of a measure end in."""

SIDES = {"": "now", "_before": "before"}
_BEHIND = {"bytes": NOT_CACHED_QUERIES, "dbtime_ms": NOT_CACHED_QUERIES, "querytime_ms": "queries"}
_NUMBERS = ("queries", "share", *(name for name in MEASURES if name != "queries"))
_PLACE = NAMES.index("taskid") + 1
_LABELS = [*NAMES[:_PLACE], "taskname", *NAMES[_PLACE:]]
_COLUMNS = [
    *("what", *_LABELS, "part", "groups", "verdict", "factor", "significance", "significant"),
    *(f"{name}{suffix}" for name in ("rate", *_NUMBERS) for suffix in ENDS),
]


class Covered(NamedTuple):
    """How much of a window the data cover.

    Parameters
    ----------
    hours
        The time.
    bins
        Into how many bins of equal length the statement has divided it.
    """

    hours: float
    bins: int


def ranked_changes(
    counts: pd.DataFrame, what: str, counted: str, rank_by: str, covered: Mapping[str, Covered], top: int | None
) -> pd.DataFrame:
    """Return the rows of one kind for `frontierlab.what_changed`.

    Parameters
    ----------
    counts
        The result of `frontierlab.filters.changes_statement.statement_of_changes`.
    what
        The kind.
    counted
        The kind whose rows in `counts` add up to this one.
    rank_by, top
        As for `frontierlab.what_changed`.
    covered
        What the data cover of ``now`` and ``before``.
    """
    keys = [*CHANGE_KEYS[what]]
    cells = np.flatnonzero(counts["what"].to_numpy() == counted)
    names = {key: counts[key].array.take(cells) for key in keys}
    number, first = number_groups([*names.values()])  # of each cell; a cell of each group
    sides = {side: (counts["side"].to_numpy() == side)[cells] for side in SIDES.values()}
    columns = {name: counts[name].to_numpy("int64")[cells] for name in COUNTED}
    sums = {
        f"{name}{suffix}": _sums(values[sides[side]], number[sides[side]], len(first))
        for suffix, side in SIDES.items()
        for name, values in columns.items()
    }
    bins = counts["bin"].to_numpy("int64")[cells]
    deviates = _significance(columns, bins, sides, number, sums, rank_by, covered)
    significant = are_significant(deviates)
    now, before = (np.nan_to_num(_rate(sums, rank_by, suffix, covered)) for suffix in SIDES)
    groups = {key: values.take(first) for key, values in names.items()}
    ranking = rank_groups(groups, [(_ranks(significant, np.abs(now - before)), "sum")], top)
    labels = _labels(counts, ranking, keys)
    count, part = len(labels), labels["part"].to_numpy()
    rows = np.searchsorted(labels.index, ranking.of_rows)
    found: dict[str, Any] = {str(name): labels[name].array for name in labels}
    rates = _with_rates({name: _sums(values, rows, count) for name, values in sums.items()}, rank_by, covered)
    alone = _alone(deviates, significant, rows, np.bincount(rows, minlength=count) == 1, part[rows] != OTHER)
    found |= rates | alone
    found["verdict"] = _verdicts(rates, alone["significant"], part == OTHER)
    return _typed(found | {"what": pd.array([what] * count, dtype="string")}, counts, count)


def _sums(values: Integers, rows: Integers, count: int) -> Integers:
    """Add up the values of each of `count` rows."""
    sums = np.zeros(count, dtype="int64")
    np.add.at(sums, rows, values)
    return sums


def _ranks(significant: Flags, change: Floats) -> Any:
    """Return numbers in the order of changes: those that are significant are larger than others."""
    _, place = np.unique(change, return_inverse=True)
    return pd.array(significant * len(change) + place, dtype="Int64")


def _significance(
    columns: Mapping[str, Integers],
    bin_: Integers,
    of_sides: Mapping[str, Flags],
    number: Integers,
    sums: Mapping[str, Integers],
    rank_by: str,
    covered: Mapping[str, Covered],
) -> Floats:
    measure = "queries" if rank_by == "share" else rank_by
    sides = {}
    for suffix, side in SIDES.items():
        mine = of_sides[side]
        hours, bins = covered[side]
        weights = columns[measure][mine].astype("float64")
        behind = sums[f"{_BEHIND.get(measure, measure)}{suffix}"].astype("float64")
        values = np.bincount(number[mine] * bins + bin_[mine], weights, len(behind) * bins).astype("float64")
        values = values.reshape(len(behind), bins)
        exposures = values.sum(axis=0) if rank_by == "share" else np.full(bins, hours / bins)
        sides[side] = Values(values, exposures, behind)
    return significance(sides["now"], sides["before"])


def _with_rates(sums: Mapping[str, Integers], rank_by: str, covered: Mapping[str, Covered]) -> dict[str, Any]:
    """Return the sums with shares, rates, the factor, and what changed."""
    found: dict[str, Any] = {name: pd.array(values, dtype="Int64") for name, values in sums.items()}
    for name, of in (("rate", rank_by), ("share", "share")):
        now, before = (_rate(sums, of, suffix, covered) for suffix in SIDES)
        found |= {
            name: as_fractions(now),
            f"{name}_before": as_fractions(before),
            f"{name}_change": as_fractions(now - before),
        }
        if name == "rate":
            factor = np.divide(now, before, out=np.full(len(now), np.nan), where=before > 0)
            found["factor"] = as_fractions(factor)
    return found | {f"{name}_change": pd.array(sums[name] - sums[f"{name}_before"], dtype="Int64") for name in COUNTED}


def _rate(sums: Mapping[str, Integers], rank_by: str, suffix: str, covered: Mapping[str, Covered]) -> Floats:
    """Return a measure per hour; for shares the % of the sum of all rows, NaN if that is 0."""
    if rank_by == "share":
        queries = sums[f"queries{suffix}"]
        return np.asarray(100 * (queries / (queries.sum() or np.nan)), dtype="float64")
    return np.asarray(sums[f"{rank_by}{suffix}"] / covered[SIDES[suffix]].hours, dtype="float64")


def _labels(counts: pd.DataFrame, ranking: Ranking, keys: list[str]) -> pd.DataFrame:
    """Return the names of each place, its part, and its number of groups."""
    named = label_places(ranking)
    if keys != [*CHANGE_KEYS["task"]]:
        return named
    tasks = counts.loc[counts["taskid"].notna() & counts["taskname"].notna(), ["taskid", "taskname"]]
    last = tasks.drop_duplicates().sort_values("taskname").drop_duplicates("taskid", keep="last")
    return named.join(last.set_index("taskid")["taskname"], on="taskid")


def _alone(deviates: Floats, significant: Flags, rows: Integers, single: Flags, named: Flags) -> dict[str, Any]:
    """Return the significance of rows with one group: that of several together is not known."""
    own = single[rows] & named
    of_row, taken = np.full(len(single), np.nan), np.zeros(len(single), dtype=bool)
    of_row[rows[own]], taken[rows[own]] = deviates[own], significant[own]
    unknown = np.isnan(of_row)
    return {
        "significance": pd.arrays.FloatingArray(of_row, unknown),
        "significant": pd.arrays.BooleanArray(taken, unknown.copy()),
    }


def _verdicts(rates: Mapping[str, Any], significant: Any, others: Flags) -> Any:
    now, before, more = (
        rates[name].to_numpy("float64", na_value=0) > 0 for name in ("rate", "rate_before", "rate_change")
    )
    taken = significant.to_numpy(bool, na_value=False)
    words = np.select([now & ~before, before & ~now, taken & more, taken], ["new", "gone", "more", "less"], "same")
    verdicts = pd.array(words, dtype="string")
    verdicts[others] = pd.NA
    return verdicts


def _typed(found: Mapping[str, Any], counts: pd.DataFrame, count: int) -> pd.DataFrame:
    nothing = np.full(count, -1)
    unknown: Any = pd.array([pd.NA], dtype="string")
    columns = dict(found)
    for name in _LABELS:
        if name not in found:
            like = counts[name].array if name in counts else unknown
            columns[name] = like.take(nothing, allow_fill=True)
    return pd.DataFrame({name: columns[name] for name in _COLUMNS})
