"""Percentiles of query time and database time: over time, or of each server, schema or site."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from frontierlab.errors import InvalidRequestError
from frontierlab.filters.bins import TimeBins
from frontierlab.filters.expressions import NOT_CACHED, SCHEMA
from frontierlab.filters.filter import as_filter
from frontierlab.filters.measures import Count
from frontierlab.filters.needs import Need
from frontierlab.filters.question import Question, side_by_side
from frontierlab.filters.top import label_places
from frontierlab.selection import Selection
from frontierlab.util.frames import as_fractions

__all__ = ["MAX_VALUES", "PercentilesBy", "dbtime_percentiles", "querytime_percentiles"]

PercentilesBy = Literal["time", "server", "schema", "site"]
"""What has percentiles of its own."""

MAX_VALUES = 5_000_000
"""The largest number of different values of all groups together."""

_KEYS: dict[str, Mapping[str, str]] = {
    "server": {"frontierserver": "frontierserver"},
    "schema": SCHEMA,
    "site": {"computingsite": "computingsite"},
}

_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@as_filter
def querytime_percentiles(*, by: PercentilesBy = "time", bin_seconds: float = 300, top: int | None = 20) -> Question:
    """Compute exact percentiles of ``querytime``: over time, or of each server, schema or site.

    Parameters
    ----------
    by
        What a row is: a bin of ``time``, a ``server``, a ``schema`` or a ``site``.
    bin_seconds
        Width of a time bin in seconds, a multiple of 0.001; only for ``time``.
    top
        How many servers, schemas or sites have their own row (those with the most queries that have a ``querytime``);
        None is all. The percentiles of the others are those of all their queries together.

    Returns
    -------
    pandas.DataFrame
        A row is a time bin, in order; empty bins have rows, as in `queries_over_time`. Or a row is a server, a schema
        of a database or a site, the one with the most queries first.

        time : start of the bin, UTC; or the columns that name a group: frontierserver; db, schema; computingsite
        part, groups : string, Int64, of groups; see `frontierlab.filters`, also for further parameters and errors
        queries : Int64, number of queries with a ``querytime``
        p50, p95, p99 : Float64, milliseconds: 50 %, 95 % and 99 % of the queries took at most this
            long; interpolated linearly like SQL's PERCENTILE_CONT; null without queries

        At most `MAX_BINS` bins are allowed, and `MAX_VALUES` different values of all groups together.
    """
    return _percentiles("querytime", by, bin_seconds, top)


@as_filter
def dbtime_percentiles(*, by: PercentilesBy = "time", bin_seconds: float = 300, top: int | None = 20) -> Question:
    """Compute exact percentiles of ``dbtime`` of queries that were not cached: over time, or by server, schema or site.

    A cached query spends no time in the database, and is not counted.

    Parameters
    ----------
    by
        What a row is: a bin of ``time``, a ``server``, a ``schema`` or a ``site``.
    bin_seconds
        Width of a time bin in seconds, a multiple of 0.001; only for ``time``.
    top
        How many servers, schemas or sites have their own row (those with the most queries that have a ``dbtime``);
        None is all. The percentiles of the others are those of all their queries together.

    Returns
    -------
    pandas.DataFrame
        The columns of `querytime_percentiles`.

        queries : Int64, number of queries that were not cached and have a ``dbtime``
        p50, p95, p99 : Float64, milliseconds: 50 %, 95 % and 99 % of these queries spent at most this long in the
            database; null without queries
    """
    return _percentiles("dbtime", by, bin_seconds, top, NOT_CACHED)


def _percentiles(value: str, by: str, bin_seconds: float, top: int | None, *conditions: str) -> Question:
    if by != "time" and by not in _KEYS:
        raise InvalidRequestError(f"by={by!r}: give one of time, {', '.join(_KEYS)}.")
    measures = {"queries": Count(f"{value} IS NOT NULL")}
    if by != "time":
        return _Groups(
            measures, _KEYS[by], conditions=conditions, bins=_EachValue(value), top=top, facts={"by": by, "of": value}
        )
    listed = ", ".join(f"{share}D" for share in _PERCENTILES.values())
    return Question(
        measures,
        values={"percentiles": f"percentile({value}, array({listed}), times)"},
        first=value,  # a percentile of distinct values with counts takes half the time
        conditions=conditions,
        bins=TimeBins(bin_seconds),
        derive=_apart,
        top=top,
        facts={"by": by, "of": value, "bin_seconds": bin_seconds},
    )


def _apart(frame: pd.DataFrame) -> pd.DataFrame:
    """Replace the column with all percentiles by one column for each."""
    together = frame.pop("percentiles").to_numpy()
    found = np.full((len(together), len(_PERCENTILES)), np.nan)
    for row, values in enumerate(together):
        if values is not None:
            found[row] = values
    return frame.assign(**_by_name(found))


@dataclass(frozen=True)
class _EachValue:
    """Bins for the statement: each value of a column is one, and none is a row of the result."""

    value: str
    column: ClassVar[str] = "value"

    def expression(self, shift: timedelta) -> str:
        return self.value

    def args(self, shift: timedelta) -> dict[str, Any]:
        return {}

    def needs(self, shift: timedelta) -> set[Need]:
        return {Need(self.value)}

    def check(self, selection: Selection) -> None:
        """Accept any selection: how many values there are is not known before."""

    def limit(self, selection: Selection) -> str:
        return f"\nLIMIT {MAX_VALUES + 1}"

    def all(self, seen: Sequence[pd.Series[Any]], selection: Selection) -> pd.Index[Any]:
        return pd.Index([], name=self.column)

    def finish(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame


class _Groups(Question):
    """A question for percentiles of groups.

    The statement counts how often each group has each value. Percentiles of several groups together, such as those of
    the others, follow from these counts, and not from percentiles of each.
    """

    def answer(self, raw: list[pd.DataFrame], selection: Selection) -> pd.DataFrame:
        if any(len(frame) > MAX_VALUES for frame in raw):
            raise InvalidRequestError(
                f"The groups have more than {MAX_VALUES:,} different values together: choose since and until closer "
                "together, or fewer groups with the selection."
            )
        ranking = self._ranked(raw)
        labels = label_places(ranking)
        ends = np.cumsum([len(frame) for frame in raw])[:-1]
        of_rows = np.split(ranking.of_rows, ends)
        found = [_percentiles_of(*one, labels.index) for one in zip(raw, of_rows, strict=True)]
        answer = found[0] if len(found) == 1 else side_by_side(*found)
        return pd.concat([labels.reset_index(drop=True), answer], axis=1)


def _percentiles_of(counts: pd.DataFrame, place: np.ndarray[Any, Any], order: pd.Index[Any]) -> pd.DataFrame:
    """Return the number of queries and the percentiles of each place; `counts` has a row for each of its values."""
    given = counts["value"].notna().to_numpy()
    place, counts = place[given], counts[given]
    value, queries = counts["value"].to_numpy(dtype="float64"), counts["queries"].to_numpy(dtype="int64")
    sorted_ = np.lexsort([value, place])
    place, value, queries = place[sorted_], value[sorted_], queries[sorted_]
    starts, ends = (np.searchsorted(place, order, side=side) for side in ("left", "right"))
    rows = [_row(value[start:end], queries[start:end].cumsum()) for start, end in zip(starts, ends, strict=True)]
    numbers = [row[0] for row in rows]
    shares = np.array([row[1:] for row in rows], dtype="float64").reshape(len(rows), len(_PERCENTILES))
    return pd.DataFrame({"queries": pd.array(numbers, dtype="Int64"), **_by_name(shares)})


def _by_name(shares: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Return the columns of all percentiles."""
    return {name: as_fractions(values) for name, values in zip(_PERCENTILES, shares.T.copy(), strict=True)}


def _row(values: np.ndarray[Any, Any], upto: np.ndarray[Any, Any]) -> list[Any]:
    """Return the number of sorted values and their percentiles; `upto` is how many there are up to each value."""
    if not len(values):
        return [0, *(math.nan for _ in _PERCENTILES)]
    number = int(upto[-1])
    row: list[Any] = [number]
    for share in _PERCENTILES.values():
        place = share * (number - 1)
        low, high = values[np.searchsorted(upto, [math.floor(place), math.ceil(place)], side="right")]
        row.append(low + (place - math.floor(place)) * (high - low))
    return row
