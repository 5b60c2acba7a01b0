"""Numbers of queries by database, kind, schema and folder (plots 1 to 6)."""

from __future__ import annotations

from frontierlab.filters.expressions import CACHED, DB, KIND, NODE, NOT_CACHED, PAYLOAD, QUERIES, SCHEMA
from frontierlab.filters.filter import as_filter
from frontierlab.filters.question import Question
from frontierlab.selection import QUERY_KINDS

__all__ = [
    "cached_per_schema",
    "payload_per_node",
    "payload_per_schema",
    "queries_per_db",
    "queries_per_schema",
    "uncached_by_kind",
]


@as_filter
def queries_per_db(*, top: int | None = None) -> Question:
    """Count the queries of each database, cached and not.

    Parameters
    ----------
    top
        How many databases have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a database instance, the one with the most queries first.

        db : string
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        cached, not_cached, unknown : Int64, numbers of queries
    """
    return Question(CACHED, DB, top=top)


@as_filter
def uncached_by_kind() -> Question:
    """Count the queries that were not cached, by kind.

    The kind is the first true flag among ``disconn`` (the client went away), ``rejected`` (the
    servlet was too busy) and ``procerror`` (an error while processing). Without a true flag it is
    ``first query``, a plain miss.

    Returns
    -------
    pandas.DataFrame
        A row is a kind. If any query matches, all four kinds have a row.

        kind : string
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        queries : Int64, number of queries that were not cached
    """
    return Question(QUERIES, {"kind": KIND}, conditions=(NOT_CACHED,), always=QUERY_KINDS)


@as_filter
def queries_per_schema(*, top: int | None = None) -> Question:
    """Count the queries of each schema; ``db`` selects one database.

    Parameters
    ----------
    top
        How many schemas have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a schema of a database, the one with the most queries first.

        db, schema : string
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        queries : Int64, number of queries
    """
    return Question(QUERIES, SCHEMA, top=top)


@as_filter
def cached_per_schema(*, top: int | None = None) -> Question:
    """Count the queries of each schema, cached and not; ``db`` selects one database.

    Parameters
    ----------
    top
        How many schemas have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a schema of a database, the one with the most queries first.

        db, schema : string
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        cached, not_cached, unknown : Int64, numbers of queries
    """
    return Question(CACHED, SCHEMA, top=top)


@as_filter
def payload_per_schema(*, top: int | None = None) -> Question:
    """Count the queries of each schema with and without a payload request; ``db`` selects one database.

    Parameters
    ----------
    top
        How many schemas have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a schema of a database, the one with the most queries first.

        db, schema : string
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        payload : Int64, number of queries that give the start of an IOV
        non_payload : Int64, number of queries without one (the column ``iov_since`` is -1 or null)
    """
    return Question(PAYLOAD, SCHEMA, top=top)


@as_filter
def payload_per_node(*, top: int | None = None) -> Question:
    """Count the queries of each folder with and without a payload request; ``schema`` selects one schema.

    Parameters
    ----------
    top
        How many folders have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a folder of a schema of a database, the one with the most queries first.

        db, schema, nodefullpath : string
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        payload : Int64, number of queries that give the start of an IOV
        non_payload : Int64, number of queries without one (the column ``iov_since`` is -1 or null)
    """
    return Question(PAYLOAD, NODE, top=top)
