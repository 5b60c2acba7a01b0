"""Indices that map the fields of the log alike, and the field that a search must name in each of them.

Installations map the same field differently: a name is a keyword, or text with a keyword below it; a number is a long,
or a keyword. A search over several indices can name only one field. So indices are grouped by their mapping, and each
group is searched by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from frontierlab.schema import DOCUMENT_FIELDS, FLAG, INTEGER

__all__ = ["KEYS", "Mapped", "NUMBERS", "Shape", "asked_names", "merged", "shapes"]

NUMBERS = frozenset(
    {"long", "integer", "short", "byte", "unsigned_long", "double", "float", "half_float"} | {"scaled_float"}
)
"""The types of numbers, as Elasticsearch's field capabilities name them."""

KEYS = frozenset({"sqlnodeid", "sqltagid", "taskid"})
"""The integers that name something: they are compared and grouped, not added up, so that a keyword serves as well."""

_BELOW = "keyword"  # the usual name of the keyword below a text
_SEPARATE = 3_000  # characters of index names in a URL; a server refuses 4,096


@dataclass(frozen=True)
class Mapped:
    """The field of a group of indices that holds the values of a field of the documents.

    Parameters
    ----------
    name
        The name for searches, such as ``sqlowner`` or ``sqlowner.keyword``.
    type
        Its type, as field capabilities name it (``keyword`` stands for its family).
    """

    name: str
    type: str


@dataclass(frozen=True)
class Shape:
    """Indices that map the fields of the log alike.

    Parameters
    ----------
    indices
        Their names.
    fields
        The field of a document → the field for searches. Not mapped fields are not in it.
    runtime
        The ``runtime_mappings`` of each search: fields that are only in the text of the documents, or mapped in a way
        that cannot be counted. The server reads them from the documents, which is slow.
    """

    indices: tuple[str, ...]
    fields: Mapping[str, Mapped] = field(default_factory=dict)
    runtime: Mapping[str, dict[str, str]] = field(default_factory=dict)


def asked_names(fields: Iterable[str]) -> list[str]:
    """Return the names to ask field capabilities of, for the fields of documents."""
    return [name for one in fields for name in (one, f"{one}.{_BELOW}")]


def shapes(answer: Mapping[str, Any], fields: Sequence[str]) -> list[Shape]:
    """Group the indices of a field capabilities answer by how they map fields.

    Parameters
    ----------
    answer
        The answer about `asked_names` of the fields, with unmapped indices.
    fields
        The fields of documents, such as ``sqlowner``.

    Returns
    -------
    list of Shape
        Each index is in one shape, or in several of the same mapping if their names are too long for a URL.
    """
    seen = _by_index(answer)
    grouped: dict[Any, list[str]] = {}
    made: dict[Any, Shape] = {}
    for index in answer["indices"]:
        shape = _shape(index, seen[index], fields)
        key = (tuple(shape.fields.items()), tuple(shape.runtime))
        made.setdefault(key, shape)
        grouped.setdefault(key, []).append(index)
    return [
        Shape(tuple(names), made[key].fields, made[key].runtime)
        for key, indices in grouped.items()
        for names in ([indices] if len(grouped) == 1 else _separate(indices))
    ]


def merged(found: Sequence[Shape]) -> Shape:
    """Return one shape of all indices; the server reads the fields that they map differently from the documents."""
    fields = {name: mapped for shape in found for name, mapped in shape.fields.items()}
    runtime = {name: how for shape in found for name, how in shape.runtime.items()}
    for name in fields:
        if len({shape.fields.get(name) for shape in found}) > 1:
            kind = _runtime_type(name)
            fields[name], runtime[name] = Mapped(name, kind), {"type": kind}
    return Shape(tuple(index for shape in found for index in shape.indices), fields, runtime)


def _by_index(answer: Mapping[str, Any]) -> dict[str, dict[str, tuple[str, bool]]]:
    """Return the fields of each index: name → (type, whether it can be searched and counted)."""
    seen: dict[str, dict[str, tuple[str, bool]]] = {index: {} for index in answer["indices"]}
    for name, types in answer["fields"].items():
        for type_, said in types.items():
            if type_ == "unmapped":
                continue
            for index in said.get("indices") or answer["indices"]:
                usable = _holds(said, "searchable", index) and _holds(said, "aggregatable", index)
                seen[index][name] = (type_, usable)
    return seen


def _holds(said: Mapping[str, Any], what: str, index: str) -> bool:
    """Whether a capability holds in an index; only where indices differ, those without it are listed."""
    lacking = said.get(f"non_{what}_indices")
    return bool(said[what]) or (lacking is not None and index not in lacking)


def _shape(index: str, seen: Mapping[str, tuple[str, bool]], wanted: Sequence[str]) -> Shape:
    fields: dict[str, Mapped] = {}
    runtime: dict[str, dict[str, str]] = {}
    for name in wanted:
        if name not in seen:
            continue
        for candidate in (name, f"{name}.{_BELOW}"):
            type_, usable = seen.get(candidate, ("", False))
            if usable and _serves(name, type_):
                fields[name] = Mapped(candidate, type_)
                break
        else:
            kind = _runtime_type(name)
            fields[name], runtime[name] = Mapped(name, kind), {"type": kind}
    return Shape((index,), fields, runtime)


def _serves(name: str, type_: str) -> bool:
    """Whether a field of this type can be used as it is."""
    if name in KEYS:
        return type_ in NUMBERS or type_ == "keyword"
    column = DOCUMENT_FIELDS[name]
    if column.type == INTEGER:
        return type_ in NUMBERS
    if column.type == FLAG:
        return type_ in {"boolean", "keyword"} | NUMBERS
    return type_ in {"date", "date_nanos"} if name == "@timestamp" else True


def _runtime_type(name: str) -> str:
    if DOCUMENT_FIELDS[name].type == INTEGER:
        return "long"
    return "date" if name == "@timestamp" else "keyword"


def _separate(indices: Sequence[str]) -> list[list[str]]:
    """Separate names into lists that fit into a URL."""
    lists: list[list[str]] = [[]]
    for name in indices:
        if lists[-1] and sum(map(len, lists[-1])) + len(lists[-1]) + len(name) > _SEPARATE:
            lists.append([])
        lists[-1].append(name)
    return lists
