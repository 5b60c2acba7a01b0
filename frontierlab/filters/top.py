"""Measures by group: the largest groups first, the others together in one row, so that rows cover all queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from frontierlab.errors import InvalidRequestError

__all__ = ["MISSING", "NAMED", "OTHER", "check_top", "group_labels", "rank_groups", "sum_by_rank", "unnamed"]

NAMED = "named"
"""The ``part`` of a group with its own row."""

OTHER = "other"
"""The ``part`` of named groups that were added up."""

MISSING = "missing"
"""The ``part`` of queries for which the log names no group."""


def check_top(top: object) -> None:
    """Check that `top` is None (all groups) or a positive integer.

    Raises
    ------
    InvalidRequestError
        `top` is something else.
    """
    if top is not None and (isinstance(top, bool) or not isinstance(top, int) or top < 1):
        raise InvalidRequestError(f"top={top!r}: give a whole number of groups, 1 or more, or None for all.")


def unnamed(part: str, groups: int | None) -> str | None:
    """Return the text shown as the name of other or missing groups; None for a named group.

    `groups` is None if the number of other groups is not known.
    """
    others = "(others)" if groups is None else f"({groups:,} other{'s' if groups != 1 else ''})"
    words = {OTHER: others, MISSING: "(none named)"}
    return words.get(part)


def rank_groups(
    frame: pd.DataFrame,
    keys: Sequence[str],
    rank: Sequence[str],
    top: int | None,
    largest: Sequence[str] = (),
) -> pd.DataFrame:
    """Rank groups by size, and give each its place in the result.

    Parameters
    ----------
    frame
        Counts by group; a group can have several rows.
    keys
        The columns that name a group; a null in the last key means that the log names no group.
    rank
        The measures whose sum is the size of a group; null is 0.
    top
        How many named groups have their own place. The other named groups share one place, and so do
        the missing groups. None gives each group its own place.
    largest
        The measures that are largest values, not sums.

    Returns
    -------
    pandas.DataFrame
        A row is a group: `keys`, its ``place`` (from 0), and its ``part``: ``named``, ``other`` or
        ``missing``. Named groups come first, the largest first, then others, then missing.
    """
    ranked = _sums_of_groups(frame, keys, rank, largest)
    size = ranked[rank[0]].fillna(0) if len(rank) == 1 else ranked[[*rank]].sum(axis=1)
    totals = pd.DataFrame({**{key: ranked[key] for key in keys}, "size": size, "missing": ranked[keys[-1]].isna()})
    totals = totals.sort_values(["missing", "size", *keys], ascending=[True, False, *[True] * len(keys)])
    place = np.arange(len(totals))
    missing = totals["missing"].to_numpy(dtype=bool)
    part = np.where(missing, MISSING, NAMED)
    if top is not None:
        part = np.where(~missing & (place >= top), OTHER, part)
        place = np.select([missing, place >= top], [top + 1, top], place)
    names = {key: totals[key].array for key in keys}
    return pd.DataFrame({**names, "place": place, "part": pd.array(part, dtype="string")})


def group_labels(places: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return each place's keys (null if its groups differ), its part, and its number of groups."""
    numbers, at, which, sizes = np.unique(
        places["place"].to_numpy(), return_index=True, return_inverse=True, return_counts=True
    )
    index = pd.Index(numbers, name="place")
    first = pd.DataFrame({name: places[name].array.take(at) for name in (*keys, "part")}, index=index)
    found = first.assign(groups=pd.array(sizes, dtype="Int64"))
    shared = (sizes[which] > 1) & (places["part"] != OTHER).to_numpy(dtype=bool)
    if shared.any():
        several = places[shared]
        of_first = first.loc[several["place"]]
        for key in keys:
            here, there = several[key].reset_index(drop=True), of_first[key].reset_index(drop=True)
            same = (here == there).fillna(False) | (here.isna() & there.isna())
            differ = several["place"].to_numpy()[~same.to_numpy(dtype=bool)]
            found.loc[np.unique(differ), key] = pd.NA
    others = (found["part"] == OTHER).to_numpy(dtype=bool)
    if others.any():  # added-up groups have no name, even if there is only one
        found.loc[others, list(keys)] = pd.NA
    return found


def sum_by_rank(
    frame: pd.DataFrame,
    places: pd.DataFrame,
    by: Sequence[str],
    measures: Sequence[str],
    largest: Sequence[str] = (),
) -> pd.DataFrame:
    """Add up the counts of each place.

    Parameters
    ----------
    frame
        Counts by group and by the columns `by`.
    places
        The frame that `rank_groups` returned.
    by
        More columns to group by, such as a time bin.
    measures
        The columns of counts, sums and largest values.
    largest
        The measures that are largest values: of these, a place has the largest, or null if there is none.

    Returns
    -------
    pandas.DataFrame
        The measures, with the index ``(*by, place)``.
    """
    keys = [column for column in places.columns if column not in ("place", "part")]
    placed = frame.merge(places[[*keys, "place"]], on=keys, how="left")  # each group has one place
    grouped = placed.groupby([*by, "place"], dropna=False, sort=True)
    if not by and grouped.ngroups == len(placed):  # nothing to add up
        return placed.set_index("place")[[*measures]].sort_index()
    return _together(grouped, measures, largest)


def _sums_of_groups(
    frame: pd.DataFrame, keys: Sequence[str], measures: Sequence[str], largest: Sequence[str]
) -> pd.DataFrame:
    grouped = frame.groupby([*keys], dropna=False, sort=False)
    if grouped.ngroups == len(frame):  # nothing to add up
        return frame[[*keys, *measures]]
    return _together(grouped, measures, largest).reset_index()


def _together(grouped: Any, measures: Sequence[str], largest: Sequence[str]) -> pd.DataFrame:
    sums = [name for name in measures if name not in largest]
    found = [grouped[names].agg(how) for names, how in ((sums, "sum"), ([*largest], "max")) if names]
    together: pd.DataFrame = pd.concat(found, axis=1)[[*measures]]
    return together
