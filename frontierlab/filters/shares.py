"""Shares of cached queries, and shares of bytes, by schema and folder (plots 11 to 14)."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from frontierlab.filters.expressions import (
    BYTES,
    CACHED,
    NODE,
    NOT_CACHED,
    SCHEMA,
    add_percent,
    add_percent_of_all,
    sum_of,
)
from frontierlab.filters.filter import as_filter
from frontierlab.filters.question import Question

__all__ = ["bytes_share_per_node", "bytes_share_per_schema", "cached_share_per_node", "cached_share_per_schema"]


@as_filter
def cached_share_per_schema(*, top: int | None = None) -> Question:
    """Compute the shares of cached and other queries of each schema; ``db`` selects one database.

    Parameters
    ----------
    top
        How many schemas have their own row (those with the most queries); None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a schema of a database, the one with the most queries first.

        db, schema : string
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        cached, not_cached, unknown : Int64, numbers of queries
        cached_percent, not_cached_percent, unknown_percent : Float64, % of the row's queries
    """
    return _cached(SCHEMA, top)


@as_filter
def cached_share_per_node(*, top: int | None = None) -> Question:
    """Compute the shares of cached and other queries of each folder; ``schema`` selects one schema.

    Parameters
    ----------
    top
        How many folders have their own row (those with the most queries); None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a folder of a schema of a database, the one with the most queries first.

        db, schema, nodefullpath : string
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        cached, not_cached, unknown : Int64, numbers of queries
        cached_percent, not_cached_percent, unknown_percent : Float64, % of the row's queries
    """
    return _cached(NODE, top)


@as_filter
def bytes_share_per_schema(*, top: int | None = None) -> Question:
    """Compute each schema's share of the bytes of queries that were not cached.

    100 % is the bytes of all selected queries; ``db`` selects one database.

    Parameters
    ----------
    top
        How many schemas have their own row (those with the most bytes); None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a schema of a database, the one with the most bytes first.

        db, schema : string
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        bytes : Int64, the sum of ``fsize``
        bytes_percent : Float64, % of the bytes of all rows
    """
    return _bytes(SCHEMA, top)


@as_filter
def bytes_share_per_node(*, top: int | None = None) -> Question:
    """Compute each folder's share of the bytes of queries that were not cached.

    100 % is the bytes of all selected queries; ``schema`` selects one schema.

    Parameters
    ----------
    top
        How many folders have their own row (those with the most bytes); None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a folder of a schema of a database, the one with the most bytes first.

        db, schema, nodefullpath : string
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        bytes : Int64, the sum of ``fsize``
        bytes_percent : Float64, % of the bytes of all rows
    """
    return _bytes(NODE, top)


def _cached(keys: Mapping[str, str], top: int | None) -> Question:
    def derive(frame: pd.DataFrame) -> pd.DataFrame:
        return add_percent(frame, [*CACHED], sum_of(frame, [*CACHED]))

    return Question(CACHED, keys, top=top, derive=derive)


def _bytes(keys: Mapping[str, str], top: int | None) -> Question:
    def derive(frame: pd.DataFrame) -> pd.DataFrame:
        return add_percent_of_all(frame, ["bytes"])

    return Question(BYTES, keys, conditions=(NOT_CACHED,), top=top, derive=derive)
