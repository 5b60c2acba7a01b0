"""Examine indices before reading them: refuse, or note, what cannot be read correctly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from frontierlab.elastic.errors import AccessRefused
from frontierlab.elastic.index_fields import Field, beside_source, kind_of, requests
from frontierlab.elastic.indices import has_remote, mappings, missing_in_source, unread
from frontierlab.elastic.queries import ALL, all_of, in_indices, time_query
from frontierlab.errors import ElasticsearchError
from frontierlab.extraction.narrowing import COMPLETED, FIELDS, IndexFields, fields_of
from frontierlab.extraction.request import Request
from frontierlab.schema import DOCUMENT_FIELDS, INTEGER
from frontierlab.selection import QUERY_KINDS

if TYPE_CHECKING:
    from frontierlab.elastic.client import Index

__all__ = ["Examined", "examine"]

_NEEDED = ("@timestamp", "sqlsin", "sqlunt", "sqldb")  # without these fields a row is wrong or useless
_ROUNDED = {"double", "float", "half_float", "scaled_float"}
_FALSE = (False, "false")


@dataclass
class Examined:
    """The result of examining indices.

    Parameters
    ----------
    kinds
        The type that each extra field is read as.
    indices
        What the filters of the request need to know of the indices.
    search
        Members of each search in addition to its query: ``docvalue_fields``, ``fields``.
    notes, partial
        Sentences for the manifest.
    """

    kinds: dict[str, str]
    indices: IndexFields
    search: dict[str, Any] = field(default_factory=dict)
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
    filtered = fields_of(request.conditions, request.complete)
    # field_caps reports an object by its inner fields, and a sub-field such as .keyword
    searched, found_fields = index.fields([*wanted, *(f"{name}.*" for name in (*request.extra_fields, *filtered))])
    fields = {name: mapped for name, mapped in found_fields.items() if name in wanted}
    seen = _mappings(index)
    absent = {name: _without(name, fields.get(name), searched, seen or {}) for name in filtered}
    _require_selectable(index, request, searched, fields, absent)
    kinds = {name: kind or kind_of(fields.get(name)) for name, kind in request.extra_fields.items()}
    found = Examined(kinds, IndexFields(searched, found_fields, absent))
    for name in request.extra_fields:
        if name not in fields:
            found.notes.append(f"{name} is not in the mapping of the index; it is read as text.")
        elif len(fields[name].types) > 1:
            found.notes.append(f"{name} is {fields[name].in_words()}; it is read as {kinds[name]}.")
    for name in ("cached", *QUERY_KINDS[:-1]):
        if name in filtered and name in fields and fields[name].types.keys() != {"boolean"}:
            found.notes.append(f"{name} is {fields[name].in_words()}: 1 counts as true, and 0 as false.")
    _note_unread(index, searched, found)
    _ask_beside_source(index, request, fields, seen, found)
    return found


def _mappings(index: Index) -> dict[str, dict[str, Any]] | None:
    """Return the mappings of the local indices; None if this user may not read them."""
    try:
        return mappings(index)
    except AccessRefused:
        return None


def _without(
    name: str, mapped: Field | None, searched: Sequence[str], seen: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return the indices that do not map a field and would have mapped it if a document had it."""
    unmapped = searched if mapped is None else mapped.unmapped
    return [one for one in unmapped if one in seen and seen[one].get("dynamic", True) not in _FALSE]


def _require_selectable(
    index: Index, request: Request, searched: Sequence[str], fields: Mapping[str, Field], absent: Mapping[str, Any]
) -> None:
    """Raise ElasticsearchError if the server cannot filter all indices by time and by the requested fields."""
    completed = [FIELDS[name] for name in COMPLETED] if request.complete else []
    asked = [name for name in fields_of(request.conditions, complete=False) if name not in completed]
    for name in ("@timestamp", *asked):
        mapped = fields.get(name, Field(unmapped=[*searched]))
        query = ALL if name == "@timestamp" else time_query(request.start, request.stop)
        unmapped = [one for one in mapped.unmapped if one not in absent.get(name, ())]
        if unmapped and index.count(all_of([query, in_indices(unmapped)])):
            raise ElasticsearchError(
                f"The documents of {', '.join(sorted(unmapped))} cannot be filtered by {name}: the mapping "
                f"lacks that field. {_next_step(name)}"
            )
        wrong = name == "@timestamp" and not mapped.types.keys() <= {"date", "date_nanos"}
        if wrong or not mapped.searchable:
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


def _ask_beside_source(
    index: Index,
    request: Request,
    fields: Mapping[str, Field],
    seen: Mapping[str, Mapping[str, Any]] | None,
    found: Examined,
) -> None:
    """Find the fields that ``_source`` lacks, and add them to the search."""
    known = seen is not None and not has_remote(index)
    reasons: dict[str, dict[str, list[str]]] = {}
    for name, mapping in (seen or {}).items():
        for wanted, reason in beside_source(mapping, fields).items():
            reasons.setdefault(wanted, {}).setdefault(reason, []).append(name)
    if not known:
        query = time_query(request.start, request.stop)
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
