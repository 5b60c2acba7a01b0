"""SQL expressions and measures that several filters share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from frontierlab.errors import InvalidRequestError
from frontierlab.filters.measures import Count, Sum
from frontierlab.filters.needs import Expression, Need
from frontierlab.selection import KIND_SQL, QUERY_KINDS

__all__ = [
    "ANSWERED",
    "BYTES",
    "CACHED",
    "DB",
    "FAILED",
    "FAILURES",
    "GROUPS",
    "KIND",
    "NODE",
    "NOT_CACHED",
    "PAYLOAD",
    "QUERIES",
    "SCHEMA",
    "TAG",
    "add_percent",
    "add_percent_of_all",
    "add_quotient",
    "add_sum",
    "keys_of",
    "sum_of",
]

DB = {"db": "db"}
"""The column that names a database."""

SCHEMA = {"db": "db", "schema": "schema"}
"""The columns that name a schema."""

NODE = {**SCHEMA, "nodefullpath": "nodefullpath"}
"""The columns that name a folder."""

TAG = {**NODE, "tagname": "tagname"}
"""The columns that name a tag of a folder."""

GROUPS: Mapping[str, Mapping[str, str]] = {
    "server": {"frontierserver": "frontierserver"},
    "task": {"taskid": "taskid"},
    "site": {"computingsite": "computingsite"},
    "squid": {"squid": "squid"},
    "schema": SCHEMA,
    "folder": NODE,
    "tag": TAG,
}
"""The columns that name a group, by what a group is."""

QUERIES = {"queries": Count()}
"""Numbers of queries."""

KIND = Expression.of(KIND_SQL, *QUERY_KINDS[:-1])
"""The kind of a query that was not cached."""

NOT_CACHED = Expression.of("NOT cached", "cached")
"""The condition that a query was not cached."""

FAILED = Expression.of("disconn OR rejected OR procerror", *QUERY_KINDS[:-1])
"""The condition that a query failed."""

FAILURES = {
    kind: Count(Expression.of(f"{KIND_SQL} = '{kind}'", *QUERY_KINDS[:-1]))
    for kind in ("rejected", "disconn", "procerror")
}
"""Numbers of failed queries, by the first flag that is true; they add up to the failed queries."""

ANSWERED = Expression.of(
    "iov_since >= 0 AND iov_until >= iov_since AND NOT cached AND fsize > 0 "
    "AND NOT coalesce(disconn, false) AND NOT coalesce(rejected, false) AND NOT coalesce(procerror, false)",
    *("iov_since", "iov_until", "cached", "fsize", *QUERY_KINDS[:-1]),
)
"""The condition that a query got an answer with a body that is not empty.

It counts (it has an IOV), was served (it did not fail) and was not cached: a cached answer has no body.
"""

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
    return _with(frame, {f"{column}_percent": 100 * _quotient(frame[column].array, whole.array) for column in of})


def add_percent_of_all(frame: pd.DataFrame, of: Sequence[str]) -> pd.DataFrame:
    """Add each column's percentage of its sum over all rows; null if the sum is 0."""
    wholes = {column: pd.array([frame[column].sum()]) for column in of}
    return _with(frame, {f"{column}_percent": 100 * _quotient(frame[column].array, wholes[column]) for column in of})


def add_quotient(frame: pd.DataFrame, name: str, of: str, by: str) -> pd.DataFrame:
    """Add the column `of` divided by the column `by`, such as a mean; null if `by` is 0."""
    return _with(frame, {name: _quotient(frame[of].array, frame[by].array)})


def add_sum(frame: pd.DataFrame, name: str, of: Sequence[str]) -> pd.DataFrame:
    """Add the sum of columns without nulls."""
    return _with(frame, {name: sum_of(frame, of)})


def sum_of(frame: pd.DataFrame, of: Sequence[str]) -> pd.Series[int]:
    """Return the sum of columns without nulls."""
    return pd.Series(frame[[*of]].to_numpy("int64").sum(axis=1), index=frame.index, dtype="Int64")


def _quotient(of: Any, by: Any) -> Any:
    """Return an array of pandas divided by another, or by the only value of another; null if that is 0."""
    # int64 becomes float64 here: 53 bits are precise enough for a share
    upper, lower = (values.to_numpy("float64", na_value=0) for values in (of, by))
    null = of.isna() | by.isna() | (lower == 0)
    return pd.arrays.FloatingArray(np.divide(upper, lower, out=np.zeros_like(upper), where=~null), null)


def _with(frame: pd.DataFrame, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Return a frame with more columns."""
    return pd.DataFrame({str(name): frame[name].array for name in frame} | {**columns}, index=frame.index)


def keys_of(by: object, choices: Sequence[str]) -> Mapping[str, str]:
    """Return the columns that name a group (`GROUPS`), after a check that `by` is one of these choices.

    Raises
    ------
    InvalidRequestError
        It is not.
    """
    if by not in choices:
        raise InvalidRequestError(f"by={by!r}: give one of {', '.join(choices)}.")
    return GROUPS.get(str(by), {})
