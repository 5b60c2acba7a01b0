"""Make queries and bodies of searches; nothing is sent here."""

from __future__ import annotations

from typing import Any

__all__ = ["search_body", "time_query"]


def time_query(
    start: int | None, stop: int | None, cached: bool | None, taskid: int | None, *, lenient: bool = False
) -> dict[str, Any]:
    """Return the query for documents of ``[start, stop)`` (UTC milliseconds) that pass the filters.

    With `lenient`, ``cached`` may also be a number or text in some indices: 1 is true, and 0 is false.
    """
    bounds: dict[str, Any] = {"format": "epoch_millis"}
    if start is not None:
        bounds["gte"] = start
    if stop is not None:
        bounds["lt"] = stop
    filters: list[dict[str, Any]] = [{"range": {"@timestamp": bounds}}]
    if cached is not None and lenient:
        meanings = [{"match": {"cached": {"query": value, "lenient": True}}} for value in (cached, int(cached))]
        filters.append({"bool": {"should": meanings, "minimum_should_match": 1}})
    elif cached is not None:
        filters.append({"term": {"cached": cached}})
    if taskid is not None:
        filters.append({"term": {"taskid": taskid}})
    return {"bool": {"filter": filters}}


def search_body(query: dict[str, Any], size: int, fields: list[str] | None) -> dict[str, Any]:
    """Return the body of a search for pages of `size` documents, with all fields or some."""
    return {"query": query, "size": size, "sort": ["_shard_doc"], "_source": True if fields is None else fields}
