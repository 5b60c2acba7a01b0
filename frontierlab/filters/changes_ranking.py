"""The changes of one kind of thing, such as servers: rates, what is significant, and the order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from frontierlab.filters.changes_statement import CHANGE_KEYS, COUNTED, MEASURES, NAMES, NOT_CACHED_QUERIES
from frontierlab.filters.expressions import add_percent_of_all
from frontierlab.filters.significance import Values, are_significant, significance
from frontierlab.filters.top import OTHER, group_labels, rank_groups, sum_by_rank

__all__ = ["Covered", "ENDS", "ranked_changes"]

ENDS = ("", "_before", "_change")
"""What the names of the columns of a measure end in."""

SIDES = {"": "now", "_before": "before"}
_SUMS = [f"{name}{suffix}" for name in COUNTED for suffix in SIDES]
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
    cells = counts[counts["what"] == counted].reset_index(drop=True)
    number = cells.groupby(keys, dropna=False, sort=False).ngroup()
    groups = _added_up(cells, number, keys)
    judged = groups[keys].assign(significance=_significance(cells, number.to_numpy(), groups, rank_by, covered))
    judged["significant"] = are_significant(judged["significance"].to_numpy())
    now, before = (_rate(groups, rank_by, suffix, covered) for suffix in SIDES)
    change = (now.fillna(0) - before.fillna(0)).abs()
    order = pd.DataFrame({"significant": judged["significant"], "change": change}).astype("float64")
    size = order.groupby(["significant", "change"], sort=True).ngroup() + 1
    places = rank_groups(groups[keys].assign(size=size), keys, ["size"], ["size"], top)
    found = _with_rates(sum_by_rank(groups, places, [], _SUMS), rank_by, covered)
    found = found.join(_labels(counts, places, keys)).join(_alone(judged, places, keys))
    found["verdict"] = _verdicts(found)
    return _typed(found.assign(what=what), counts)


def _added_up(cells: pd.DataFrame, number: pd.Series[int], keys: list[str]) -> pd.DataFrame:
    """Return a row for each group: its names, and its sums of both sides."""
    groups = cells[keys].assign(number=number).drop_duplicates("number").set_index("number")
    measures = [*COUNTED]
    for suffix, side in SIDES.items():
        mine = cells["side"] == side
        sums = cells.loc[mine, measures].groupby(number[mine], sort=False).sum().reindex(groups.index)
        groups = groups.join(sums.fillna(0).add_suffix(suffix))
    return groups.reset_index(drop=True)


def _significance(
    cells: pd.DataFrame, number: np.ndarray, groups: pd.DataFrame, rank_by: str, covered: Mapping[str, Covered]
) -> np.ndarray:
    measure = "queries" if rank_by == "share" else rank_by
    sides = {}
    for suffix, side in SIDES.items():
        mine = (cells["side"] == side).to_numpy(dtype=bool)
        hours, bins = covered[side]
        cell = number[mine] * bins + cells.loc[mine, "bin"].to_numpy(dtype="int64")
        weights = cells.loc[mine, measure].to_numpy(dtype="float64")
        values = np.bincount(cell, weights, len(groups) * bins).astype("float64").reshape(len(groups), bins)
        exposures = values.sum(axis=0) if rank_by == "share" else np.full(bins, hours / bins)
        behind = _BEHIND.get(measure, measure)
        sides[side] = Values(values, exposures, groups[f"{behind}{suffix}"].to_numpy(dtype="float64"))
    return significance(sides["now"], sides["before"])


def _with_rates(sums: pd.DataFrame, rank_by: str, covered: Mapping[str, Covered]) -> pd.DataFrame:
    """Add shares, rates, the factor, and what changed."""
    more = {f"rate{suffix}": _rate(sums, rank_by, suffix, covered) for suffix in SIDES}
    more |= {f"share{suffix}": _rate(sums, "share", suffix, covered) for suffix in SIDES}
    found = sums.assign(**more)
    before = found["rate_before"].mask(~(found["rate_before"] > 0).fillna(False))
    found["factor"] = found["rate"] / before
    return found.assign(**{f"{name}_change": found[name] - found[f"{name}_before"] for name in ("rate", *_NUMBERS)})


def _rate(sums: pd.DataFrame, rank_by: str, suffix: str, covered: Mapping[str, Covered]) -> pd.Series[float]:
    """Return a measure per hour; for shares the % of the sum of all rows, null if that is 0."""
    if rank_by == "share":
        return add_percent_of_all(sums[[f"queries{suffix}"]], [f"queries{suffix}"])[f"queries{suffix}_percent"]
    return sums[f"{rank_by}{suffix}"].astype("Float64") / covered[SIDES[suffix]].hours


def _labels(counts: pd.DataFrame, places: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the names of each place, its part, and its number of groups."""
    named = group_labels(places, keys)
    if keys != [*CHANGE_KEYS["task"]]:
        return named
    tasks = counts.loc[counts["taskid"].notna() & counts["taskname"].notna(), ["taskid", "taskname"]]
    last = tasks.drop_duplicates().sort_values("taskname").drop_duplicates("taskid", keep="last")
    return named.join(last.set_index("taskid")["taskname"], on="taskid")


def _alone(judged: pd.DataFrame, places: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the significance of places with one group: that of several together is not known."""
    placed = judged.merge(places, on=keys, how="left", validate="one_to_one")
    single = placed[~placed["place"].duplicated(keep=False) & (placed["part"] != OTHER)]
    found = single.set_index("place")[["significance", "significant"]]
    known = found["significance"].notna()
    return found.astype({"significance": "Float64", "significant": "boolean"}).where(known)


def _verdicts(found: pd.DataFrame) -> pd.Series[str]:
    now, before = ((found[f"rate{suffix}"] > 0).fillna(False).to_numpy(dtype=bool) for suffix in SIDES)
    significant = found["significant"].fillna(False).to_numpy(dtype=bool)
    more = (found["rate_change"] > 0).fillna(False).to_numpy(dtype=bool)
    words = np.select(
        [now & ~before, before & ~now, significant & more, significant], ["new", "gone", "more", "less"], "same"
    )
    several = (found["part"] == OTHER).to_numpy(dtype=bool)
    return pd.Series(words, index=found.index, dtype="string").mask(several)


def _typed(found: pd.DataFrame, counts: pd.DataFrame) -> pd.DataFrame:
    names = {name: counts[name].dtype if name in counts else "string" for name in _LABELS}
    return found.reindex(columns=_COLUMNS).astype({**names, "what": "string"}).reset_index(drop=True)
