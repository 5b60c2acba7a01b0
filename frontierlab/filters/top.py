"""Measures by group: the largest groups first, the others together in one row, so that rows cover all queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from frontierlab.errors import InvalidRequestError
from frontierlab.filters.measures import Together

__all__ = [
    "MISSING",
    "NAMED",
    "OTHER",
    "Ranking",
    "add_up",
    "check_top",
    "label_places",
    "number_groups",
    "rank_groups",
    "unnamed",
]

Integers: TypeAlias = NDArray[np.int64]

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


class Ranking(NamedTuple):
    """Groups in order: named ones first, the largest first, then others, then missing ones.

    Parameters
    ----------
    names
        The keys of each group, by name.
    place
        The place of each group in the result, from 0. Several groups can share one.
    part
        ``named``, ``other`` or ``missing``.
    of_rows
        The place of each row that was ranked.
    """

    names: Mapping[str, Any]
    place: Integers
    part: NDArray[np.object_]
    of_rows: Integers


def rank_groups(keys: Mapping[str, Any], sizes: Sequence[tuple[Any, Together]], top: int | None) -> Ranking:
    """Rank groups by size, and give each its place in the result.

    Parameters
    ----------
    keys
        The columns that name the group of each row, as arrays of pandas; a null in the last one means that the log
        names no group. A group can have several rows.
    sizes
        The measures whose sum is the size of a group, as arrays of pandas, and how the values of several rows give
        that of a group; null is 0.
    top
        How many named groups have their own place. The other named groups share one place, and so do
        the missing groups. None gives each group its own place.
    """
    number, first = number_groups([*keys.values()])
    size = np.zeros(len(first), dtype="int64")
    for values, how in sizes:
        size += add_up(values, number, len(first), how).to_numpy("int64", na_value=0)
    *_, last = keys.values()
    missing = last.take(first).isna()
    order = np.lexsort([~size, missing])  # stable: groups of one size stay in the order of their keys
    first, missing = first[order], missing[order]
    place = np.arange(len(order))
    part = np.where(missing, MISSING, NAMED).astype(object)
    if top is not None:
        part[~missing & (place >= top)] = OTHER
        place = np.select([missing, place >= top], [top + 1, top], place)
    of_groups = np.empty(len(order), dtype="int64")
    of_groups[order] = place
    names = {name: values.take(first) for name, values in keys.items()}
    return Ranking(names, place, part, of_groups[number])


def label_places(ranking: Ranking) -> pd.DataFrame:
    """Return each place's keys (null if its groups differ), its part, and its number of groups."""
    numbers, at, sizes = np.unique(ranking.place, return_index=True, return_counts=True)
    part = ranking.part[at]
    names = {}
    for name, values in ranking.names.items():
        names[name] = values.take(at)
        for row in np.flatnonzero((sizes > 1) & (part == MISSING)):
            codes, _ = pd.factorize(values[at[row] : at[row] + sizes[row]])
            if (codes != codes[0]).any():
                names[name][row] = pd.NA
        names[name][part == OTHER] = pd.NA  # added-up groups have no name, even if there is only one
    return pd.DataFrame(
        {**names, "part": pd.array(part, dtype="string"), "groups": pd.array(sizes, dtype="Int64")},
        index=pd.Index(numbers, name="place"),
    )


def add_up(values: Any, rows: Integers, count: int, how: Together) -> Any:
    """Add up a measure, or take its largest value, for each row of a result.

    Parameters
    ----------
    values
        An array of pandas, of whole numbers.
    rows
        To which row of the result each value belongs.
    count
        The number of rows of the result.
    how
        Whether the result is a sum, or the largest value: null if there is none.
    """
    given, null = values.to_numpy("int64", na_value=0), values.isna()
    if how == "sum":
        found, lacking = np.zeros(count, dtype="int64"), np.zeros(count, dtype=bool)
        np.add.at(found, rows, given)
    else:
        found, lacking = np.full(count, np.iinfo("int64").min), np.ones(count, dtype=bool)
        np.maximum.at(found, rows[~null], given[~null])
        lacking[rows[~null]] = False
        found[lacking] = 0
    return pd.arrays.IntegerArray(found, lacking)


def number_groups(keys: Sequence[Any]) -> tuple[Integers, Integers]:
    """Return the number of each row's group, in the order of the keys with null last, and a row of each group."""
    number = np.zeros(len(keys[0]), dtype="int64")
    first = np.zeros(0, dtype="int64")
    for values in keys:
        codes, different = pd.factorize(values)
        ranks = np.empty(len(different) + 1, dtype="int64")
        ranks[np.argsort(different.to_numpy(), kind="stable")] = np.arange(len(different))
        ranks[-1] = len(different)  # null, whose code is -1
        number = number * len(ranks) + ranks[codes]
        _, first, number = np.unique(number, return_index=True, return_inverse=True)
    return number, first
