"""The changes of one kind of thing, such as servers: rates, what is significant, and the order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from frontierlab.filters.changes_statement import CHANGE_KEYS, COUNTED, MEASURES, NAMES, NOT_CACHED_QUERIES
from frontierlab.filters.expressions import add_percent_of_all
from frontierlab.filters.significance import Values, are_significant, significance
from frontierlab.filters.top import OTHER, Ranking, label_places, rank_groups

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
    cells = counts[counts["what"] == counted]
    number = cells.groupby(keys, dropna=False, sort=False).ngroup().to_numpy().astype("int64")
    names = cells[keys].iloc[np.unique(number, return_index=True)[1]].reset_index(drop=True)  # in order of their number
    sums = _added_up(cells, number, len(names))
    deviates = _significance(cells, number, sums, rank_by, covered)
    significant = are_significant(deviates)
    now, before = (_rate(sums, rank_by, suffix, covered).fillna(0) for suffix in SIDES)
    order = pd.DataFrame({"significant": significant, "change": (now - before).abs()}).astype("float64")
    size = order.groupby(["significant", "change"], sort=True).ngroup() + 1
    ranking = rank_groups({key: names[key].array for key in keys}, [(size.astype("Int64").array, "sum")], top)
    labels = _labels(counts, ranking, keys)
    count, part = len(labels), labels["part"].to_numpy()
    rows = np.searchsorted(labels.index, ranking.of_rows)
    found: dict[str, Any] = {str(name): labels[name].array for name in labels}
    found |= _with_rates({name: _sums(values, rows, count) for name, values in sums.items()}, rank_by, covered)
    found |= _alone(deviates, significant, rows, np.bincount(rows, minlength=count) == 1, part[rows] != OTHER)
    found["verdict"] = _verdicts(found)
    return _typed(found | {"what": pd.array([what] * count, dtype="string")}, counts, count)


def _sums(values: Integers, rows: Integers, count: int) -> Integers:
    """Add up the values of each of `count` rows."""
    sums = np.zeros(count, dtype="int64")
    np.add.at(sums, rows, values)
    return sums


def _added_up(cells: pd.DataFrame, number: Integers, count: int) -> dict[str, Integers]:
    """Return the sums of both sides by group."""
    found = {}
    for suffix, side in SIDES.items():
        mine = (cells["side"] == side).to_numpy(dtype=bool)
        for name in COUNTED:
            found[f"{name}{suffix}"] = _sums(cells[name].to_numpy(dtype="int64")[mine], number[mine], count)
    return found


def _significance(
    cells: pd.DataFrame, number: Integers, sums: Mapping[str, Integers], rank_by: str, covered: Mapping[str, Covered]
) -> Floats:
    measure = "queries" if rank_by == "share" else rank_by
    sides = {}
    for suffix, side in SIDES.items():
        mine = (cells["side"] == side).to_numpy(dtype=bool)
        hours, bins = covered[side]
        cell = number[mine] * bins + cells["bin"].to_numpy(dtype="int64")[mine]
        weights = cells[measure].to_numpy(dtype="float64")[mine]
        behind = sums[f"{_BEHIND.get(measure, measure)}{suffix}"].astype("float64")
        values = np.bincount(cell, weights, len(behind) * bins).astype("float64").reshape(len(behind), bins)
        exposures = values.sum(axis=0) if rank_by == "share" else np.full(bins, hours / bins)
        sides[side] = Values(values, exposures, behind)
    return significance(sides["now"], sides["before"])


def _with_rates(sums: Mapping[str, Integers], rank_by: str, covered: Mapping[str, Covered]) -> dict[str, Any]:
    """Return the sums with shares, rates, the factor, and what changed."""
    found: dict[str, Any] = {name: pd.array(values, dtype="Int64") for name, values in sums.items()}
    found |= {f"rate{suffix}": _rate(sums, rank_by, suffix, covered).array for suffix in SIDES}
    found |= {f"share{suffix}": _rate(sums, "share", suffix, covered).array for suffix in SIDES}
    before = pd.Series(found["rate_before"])
    found["factor"] = found["rate"] / before.where((before > 0).fillna(False)).array
    found |= {f"{name}_change": found[name] - found[f"{name}_before"] for name in ("rate", "share")}
    return found | {f"{name}_change": pd.array(sums[name] - sums[f"{name}_before"], dtype="Int64") for name in COUNTED}


def _rate(sums: Mapping[str, Integers], rank_by: str, suffix: str, covered: Mapping[str, Covered]) -> pd.Series[float]:
    """Return a measure per hour; for shares the % of the sum of all rows, null if that is 0."""
    if rank_by == "share":
        queries = pd.Series(sums[f"queries{suffix}"], dtype="Int64")
        return add_percent_of_all(queries.to_frame("queries"), ["queries"])["queries_percent"]
    return pd.Series(sums[f"{rank_by}{suffix}"], dtype="Float64") / covered[SIDES[suffix]].hours


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


def _verdicts(found: Mapping[str, Any]) -> Any:
    def holds(values: Any) -> Flags:
        return np.asarray(values.fillna(False), dtype=bool)

    now, before = (holds(found[f"rate{suffix}"] > 0) for suffix in SIDES)
    significant, more = holds(found["significant"]), holds(found["rate_change"] > 0)
    words = np.select(
        [now & ~before, before & ~now, significant & more, significant], ["new", "gone", "more", "less"], "same"
    )
    verdicts = pd.array(words, dtype="string")
    verdicts[np.asarray(found["part"] == OTHER, dtype=bool)] = pd.NA
    return verdicts


def _typed(found: Mapping[str, Any], counts: pd.DataFrame, count: int) -> pd.DataFrame:
    empty: Any = [pd.NA] * count
    labels = {}
    for name in _LABELS:
        kind: Any = counts[name].dtype if name in counts else "string"
        labels[name] = pd.array(found.get(name, empty), dtype=kind)
    columns = {**found, **labels}
    return pd.DataFrame({name: columns[name] for name in _COLUMNS})
