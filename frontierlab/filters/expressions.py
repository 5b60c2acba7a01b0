"""SQL expressions and measures that several filters share."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from frontierlab.filters.measures import Count, Sum
from frontierlab.filters.needs import Expression, Need
from frontierlab.selection import KIND_SQL, QUERY_KINDS

__all__ = [
    "BYTES",
    "CACHED",
    "DB",
    "FAILED",
    "KIND",
    "NODE",
    "NOT_CACHED",
    "PAYLOAD",
    "QUERIES",
    "SCHEMA",
    "TAG",
    "add_percent",
    "add_percent_of_all",
]

DB = {"db": "db"}
"""The column that names a database."""

SCHEMA = {"db": "db", "schema": "schema"}
"""The columns that name a schema."""

NODE = {**SCHEMA, "nodefullpath": "nodefullpath"}
"""The columns that name a folder."""

TAG = {**NODE, "tagname": "tagname"}
"""The columns that name a tag of a folder."""

QUERIES = {"queries": Count()}
"""Numbers of queries."""

KIND = Expression.of(KIND_SQL, *QUERY_KINDS[:-1])
"""The kind of a query that was not cached."""

NOT_CACHED = Expression.of("NOT cached", "cached")
"""The condition that a query was not cached."""

FAILED = Expression.of("disconn OR rejected OR procerror", *QUERY_KINDS[:-1])
"""The condition that a query failed."""

CACHED = {
    "cached": Count(Expression.of("cached", "cached")),
    "not_cached": Count(NOT_CACHED),
    "unknown": Count(Expression.of("cached IS NULL", "cached")),
}
"""Numbers of queries that were cached, that were not cached, and for which the log does not say."""

_GIVEN = Need("iov_since", "given")

PAYLOAD = {
    "payload": Count(Expression("iov_since <> -1", _GIVEN)),
    "non_payload": Count(Expression("iov_since = -1 OR iov_since IS NULL", _GIVEN)),
}
"""Numbers of queries with and without the start of an IOV."""

BYTES = {"bytes": Sum("fsize")}
"""The sum of response sizes."""


def add_percent(frame: pd.DataFrame, of: Sequence[str], whole: pd.Series[int]) -> pd.DataFrame:
    """Add each column's percentage of the row's `whole`; null if `whole` is 0."""
    whole = whole.mask(whole == 0)
    # int64 becomes float64 here: 53 bits are precise enough for a share
    return frame.assign(**{f"{column}_percent": 100 * (frame[column] / whole).astype("Float64") for column in of})


def add_percent_of_all(frame: pd.DataFrame, of: Sequence[str]) -> pd.DataFrame:
    """Add each column's percentage of its sum over all rows; null if the sum is 0."""
    for column in of:
        frame = add_percent(frame, [column], pd.Series(frame[column].sum(), index=frame.index, dtype="Int64"))
    return frame
