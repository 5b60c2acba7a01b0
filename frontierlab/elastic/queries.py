"""Make queries and bodies of searches; nothing is sent here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["ALL", "NONE", "all_of", "any_of", "in_indices", "missing", "none_of", "search_body", "terms", "time_query"]

Query = dict[str, Any]

ALL: Query = {"match_all": {}}
"""The query for all documents."""

NONE: Query = {"match_none": {}}
"""The query for no document."""

_MOST_TERMS = 65_536  # of one query: a server refuses more


def time_query(start: int | None, stop: int | None, filters: Iterable[Mapping[str, Any]] = ()) -> Query:
    """Return the query for documents of ``[start, stop)`` (UTC milliseconds) that meet all `filters`."""
    bounds: dict[str, Any] = {"format": "epoch_millis"}
    if start is not None:
        bounds["gte"] = start
    if stop is not None:
        bounds["lt"] = stop
    return {"bool": {"filter": [{"range": {"@timestamp": bounds}}, *filters]}}


def terms(field: str, values: Sequence[Any]) -> Query:
    """Return the query for documents whose field has one of the values."""
    if len(values) == 1:
        return {"term": {field: values[0]}}
    some = [values[first : first + _MOST_TERMS] for first in range(0, len(values), _MOST_TERMS)]
    return any_of([{"terms": {field: list(part)}} for part in some])


def missing(field: str) -> Query:
    """Return the query for documents without an indexed value of the field."""
    return none_of([{"exists": {"field": field}}])


def in_indices(indices: Iterable[str]) -> Query:
    """Return the query for the documents of some indices."""
    return {"terms": {"_index": sorted(indices)}}


def any_of(queries: Iterable[Query]) -> Query:
    """Return the query for documents that meet at least one of the queries."""
    found = [query for query in queries if query != NONE]
    if ALL in found:
        return ALL
    if len(found) < 2:
        return found[0] if found else NONE
    return {"bool": {"should": found, "minimum_should_match": 1}}


def all_of(queries: Iterable[Query]) -> Query:
    """Return the query for documents that meet all queries."""
    found = [query for query in queries if query != ALL]
    if NONE in found:
        return NONE
    if len(found) < 2:
        return found[0] if found else ALL
    return {"bool": {"filter": found}}


def none_of(queries: Iterable[Query]) -> Query:
    """Return the query for documents that meet none of the queries."""
    return {"bool": {"must_not": list(queries)}}


def search_body(query: Query, size: int, fields: list[str] | None) -> dict[str, Any]:
    """Return the body of a search for pages of `size` documents, with all fields or some."""
    return {"query": query, "size": size, "sort": ["_shard_doc"], "_source": True if fields is None else fields}
