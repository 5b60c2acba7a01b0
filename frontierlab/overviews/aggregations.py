"""Aggregations that count queries as the filters do: the bodies for Elasticsearch, and what their buckets say.

Nothing is sent here. A flag that is missing is not true, as in SQL; `cached` may be missing, which is counted apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import add
from typing import Any, TypeAlias

from frontierlab.elastic.shapes import NUMBERS, Shape
from frontierlab.selection import QUERY_KINDS

__all__ = [
    "COLUMNS",
    "Counts",
    "EXACT",
    "ZERO",
    "added",
    "composite",
    "counts_of",
    "flag",
    "kind_filters",
    "measures",
    "over_time",
    "terms",
]

Counts: TypeAlias = tuple[int, ...]
"""The numbers of `COLUMNS`, in that order."""

COLUMNS = ("queries", "cached", "not_cached", "unknown", "bytes", "dbtime_ms", "failures")
"""What is counted in each group: the columns of the filters `cached_per_schema` and `cost_per_task`."""

ZERO: Counts = (0,) * len(COLUMNS)
"""The numbers of no query."""

EXACT = 2**53
"""Elasticsearch adds up in floating point: a larger sum is rounded."""

_FLAGS = QUERY_KINDS[:-1]
_NOTHING: dict[str, Any] = {"match_none": {}}


def added(one: Counts, other: Counts) -> Counts:
    """Return the sum of two counts, column by column."""
    return tuple(map(add, one, other))


def flag(shape: Shape, name: str, value: bool) -> dict[str, Any]:
    """Return the query for documents whose flag has this value; a number or a text may stand for a flag."""
    mapped = shape.fields.get(name)
    if mapped is None:
        return _NOTHING
    if mapped.type == "boolean":
        return {"term": {mapped.name: value}}
    if mapped.type in NUMBERS:
        return {"term": {mapped.name: int(value)}}
    word = {"value": "true" if value else "false", "case_insensitive": True}
    return _any({"term": {mapped.name: word}}, {"term": {mapped.name: str(int(value))}})


def _any(*queries: Mapping[str, Any]) -> dict[str, Any]:
    return {"bool": {"should": list(queries), "minimum_should_match": 1}}


def _but(wanted: Sequence[Mapping[str, Any]], unwanted: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"bool": {"filter": list(wanted), "must_not": list(unwanted)}}


def _not_cached(shape: Shape) -> dict[str, Any]:
    # not both: an array of both values would be counted twice
    return _but([flag(shape, "cached", False)], [flag(shape, "cached", True)])


def kind_filters(shape: Shape) -> dict[str, dict[str, Any]]:
    """Return the query for each kind of query that was not cached: the first of the flags that is true decides."""
    flags = [flag(shape, name, True) for name in _FLAGS]
    queries = [_but([_not_cached(shape), one], flags[:place]) for place, one in enumerate(flags)]
    queries.append(_but([_not_cached(shape)], flags))
    return dict(zip(QUERY_KINDS, queries, strict=True))


def _sums(shape: Shape, **fields: str) -> dict[str, Any]:
    found = {name: shape.fields.get(field) for name, field in fields.items()}
    return {name: {"sum": {"field": mapped.name}} for name, mapped in found.items() if mapped is not None}


def measures(shape: Shape) -> dict[str, Any]:
    """Return the aggregations below a bucket from which `counts_of` takes its numbers."""
    spent = {"filter": _not_cached(shape), "aggregations": _sums(shape, bytes="fsize", dbtime_ms="dbtime")}
    failed = _any(*(flag(shape, name, True) for name in _FLAGS))
    return {"cached": {"filter": flag(shape, "cached", True)}, "not_cached": spent, "failures": {"filter": failed}}


def counts_of(bucket: Mapping[str, Any]) -> Counts:
    """Return the numbers of a bucket with the aggregations of `measures` below it."""
    queries, cached, spent = bucket["doc_count"], bucket["cached"]["doc_count"], bucket["not_cached"]
    not_cached = spent["doc_count"]
    sums = (round(spent.get(name, {"value": 0})["value"]) for name in ("bytes", "dbtime_ms"))
    return (queries, cached, not_cached, queries - cached - not_cached, *sums, bucket["failures"]["doc_count"])


def over_time(shape: Shape, width: int) -> dict[str, Any]:
    """Return the aggregation of bins of `width` milliseconds, aligned to the epoch, with kinds and bytes in each."""
    how = {"field": shape.fields["@timestamp"].name, "fixed_interval": f"{width}ms", "min_doc_count": 1}
    below = {kind: {"filter": query} for kind, query in kind_filters(shape).items()}
    below["cached"] = {"filter": flag(shape, "cached", True)}
    below["not_cached"] = {"filter": _not_cached(shape), "aggregations": _sums(shape, bytes="fsize")}
    return {"date_histogram": how, "aggregations": below}


def composite(shape: Shape, fields: Sequence[str], size: int, after: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the aggregation of all combinations of the values of fields, a page of them; a missing value is null."""
    sources = [
        {field: {"terms": {"field": shape.fields[field].name, "missing_bucket": True}}}
        for field in fields
        if field in shape.fields
    ]
    how = {"size": size, "sources": sources, **({"after": after} if after else {})}
    return {"composite": how, "aggregations": measures(shape)}


def terms(shape: Shape, field: str, size: int, only: Sequence[Any] | None = None) -> dict[str, Any]:
    """Return the aggregation of the `size` largest values of a field, or of `only` these values."""
    how: dict[str, Any] = {"field": shape.fields[field].name, "size": size, "shard_size": size}
    if only is not None:
        how["include"] = list(only)
    return {"terms": how, "aggregations": measures(shape)}
