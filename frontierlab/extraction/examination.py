"""Examine indices before reading them: refuse, or note, what cannot be read correctly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from frontierlab.elastic.client import Index
from frontierlab.elastic.errors import AccessRefused
from frontierlab.elastic.index_fields import Field, beside_source, kind_of, requests
from frontierlab.elastic.indices import has_remote, mappings, missing_in_source, unread
from frontierlab.elastic.queries import time_query
from frontierlab.errors import ElasticsearchError
from frontierlab.extraction.request import Request
from frontierlab.schema import DOCUMENT_FIELDS, INTEGER

__all__ = ["Examined", "examine"]

_NEEDED = ("@timestamp", "sqlsin", "sqlunt", "sqldb")  # without these fields a row is wrong or useless
_ROUNDED = {"double", "float", "half_float", "scaled_float"}
_FLAGS = {"boolean", "long", "integer", "short", "byte", "keyword", "text", "wildcard", "constant_keyword"}
_NUMBERS = _FLAGS - {"boolean"} | {"unsigned_long"}


@dataclass
class Examined:
    """The result of examining indices.

    Parameters
    ----------
    kinds
        The type that each extra field is read as.
    search
        Members of each search in addition to its query: ``docvalue_fields``, ``fields``. Also ``lenient``: whether
        ``cached`` is not a boolean in some index, so that its filter must accept other types.
    notes, partial
        Sentences for the manifest.
    """

    kinds: dict[str, str]
    search: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)


def examine(index: Index, request: Request) -> Examined:
    """Find out with a few calls how the indices must be searched.

    Raises
    ------
    ElasticsearchError
        The server cannot be reached or refuses, the index does not exist, documents cannot be filtered by a requested
        field, or a field that a row needs cannot be read. Nothing was read.
    """
    wanted = [*DOCUMENT_FIELDS, *request.extra_fields]
    # field_caps reports an object by its inner fields
    searched, fields = index.fields([*wanted, *(f"{name}.*" for name in request.extra_fields)])
    fields = {name: mapped for name, mapped in fields.items() if name in wanted}
    _require_selectable(index, request, fields)
    kinds = {name: kind or kind_of(fields.get(name)) for name, kind in request.extra_fields.items()}
    lenient = request.cached is not None and "cached" in fields and fields["cached"].types.keys() != {"boolean"}
    found = Examined(kinds, {"lenient": lenient})
    for name in request.extra_fields:
        if name not in fields:
            found.notes.append(f"{name} is not in the mapping of the index; it is read as text.")
        elif len(fields[name].types) > 1:
            found.notes.append(f"{name} is {fields[name].in_words()}; it is read as {kinds[name]}.")
    if lenient:
        found.notes.append(f"cached is {fields['cached'].in_words()}: 1 counts as true, and 0 as false.")
    _note_unread(index, searched, found)
    _ask_beside_source(index, request, fields, found)
    return found


def _require_selectable(index: Index, request: Request, fields: Mapping[str, Field]) -> None:
    """Raise ElasticsearchError if the server cannot filter all indices by time and by the requested filters."""
    asked = {"@timestamp": True, "cached": request.cached is not None, "taskid": request.taskid is not None}
    for name in (name for name, is_asked in asked.items() if is_asked):
        mapped = fields.get(name, Field(unmapped=index.name.split(",")))
        query = {"match_all": {}} if name == "@timestamp" else time_query(request.start, request.stop, None, None)
        if mapped.unmapped and index.count(query, ",".join(mapped.unmapped)):
            raise ElasticsearchError(
                f"The documents of {', '.join(sorted(mapped.unmapped))} cannot be filtered by {name}: the mapping "
                f"lacks that field. {_next_step(name)}"
            )
        types = _FLAGS if name == "cached" else _NUMBERS if name == "taskid" else {"date", "date_nanos"}
        if not mapped.types.keys() <= types or not mapped.searchable:
            why = f"the field is {mapped.in_words()}" + ", and not indexed" * (not mapped.searchable)
            raise ElasticsearchError(f"{index.name} cannot be filtered by {name}: {why}. {_next_step(name)}")


def _next_step(name: str) -> str:
    if name == "@timestamp":
        return "Leave out of es_index every index that does not map @timestamp as a date."
    return f"Extract without {name} and select later (frontierlab.Selection), or leave such indices out of es_index."


def _note_unread(index: Index, searched: list[str], found: Examined) -> None:
    """Note the indices that match but are not read, and those that are read through an alias with a filter."""
    try:
        left, filtered = unread(index, searched)
    except AccessRefused:
        found.notes.append(
            "This user lacks the privilege view_index_metadata: closed indices, which are not read, cannot be named."
        )
        return
    if left:
        named = ", ".join(f"{name} ({state})" for name, state in sorted(left.items()))
        found.partial.append(f"es_index matches indices that are not read: {named}. Open them, or leave them out.")
    if filtered:
        named = ", ".join(f"{alias} (of {', '.join(indices)})" for alias, indices in sorted(filtered.items()))
        found.notes.append(f"These aliases have filters and give only some of the documents: {named}.")


def _ask_beside_source(index: Index, request: Request, fields: Mapping[str, Field], found: Examined) -> None:
    """Find the fields that ``_source`` lacks, and add them to the search."""
    try:
        seen, known = mappings(index), not has_remote(index)
    except AccessRefused:
        seen, known = {}, False
    reasons: dict[str, dict[str, list[str]]] = {}
    for name, mapping in seen.items():
        for wanted, reason in beside_source(mapping, fields).items():
            reasons.setdefault(wanted, {}).setdefault(reason, []).append(name)
    if not known:
        query = time_query(request.start, request.stop, None, None)
        others = {name: mapped for name, mapped in fields.items() if name not in reasons}
        for wanted in missing_in_source(index, query, others):
            reasons[wanted] = {"missing in _source": [index.name]}
    lost = {name: why for name in reasons if (why := _why_lost(name, fields[name], reasons[name]))}
    for name, why in lost.items():
        text = f"The values of {name} cannot be read: {_in_words(reasons[name])}, and {why}."
        if name in _NEEDED:
            raise ElasticsearchError(f"{text} Rows without them would be wrong. Leave such indices out of es_index.")
        found.partial.append(f"{text} They are null.")
    asked = [name for name in reasons if name not in lost]
    found.search |= requests(asked, fields)
    found.notes += [f"{name} is read beside _source: {_in_words(reasons[name])}." for name in asked]


def _why_lost(name: str, mapped: Field, reasons: Mapping[str, list[str]]) -> str | None:
    """Say why the server has lost the original values of a field; None if it has them."""
    if {"left out of _source", "without a _source"}.isdisjoint(reasons):
        return None
    if not mapped.columnar:
        return "not kept in a column"
    is_integer = name in DOCUMENT_FIELDS and DOCUMENT_FIELDS[name].type == INTEGER
    return "rounded in its column" if is_integer and mapped.types.keys() & _ROUNDED else None


def _in_words(reasons: Mapping[str, list[str]]) -> str:
    return "; ".join(f"in {', '.join(sorted(indices))} it is {reason}" for reason, indices in reasons.items())
