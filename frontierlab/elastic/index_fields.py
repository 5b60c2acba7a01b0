"""The fields of an index: which ones documents can be filtered by, and which ones ``_source`` lacks.

A mapping can have fields that ``_source`` lacks (aliases, runtime fields, fields excluded from ``_source``), and times
in a format of its own. A search asks for these in addition to ``_source``, from the columns of the index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Field", "beside_source", "kind_of", "read_caps", "requests"]

_TIME_FORMAT = "yyyy-MM-dd'T'HH:mm:ss.SSSX"  # UTC in milliseconds, with Z
_KINDS = {
    **dict.fromkeys(("long", "integer", "short", "byte"), "integer"),
    **dict.fromkeys(("double", "float", "half_float", "scaled_float"), "number"),
    **dict.fromkeys(("keyword", "constant_keyword", "wildcard", "text", "match_only_text"), "name"),
    **dict.fromkeys(("ip", "version", "unsigned_long"), "name"),
    **dict.fromkeys(("date", "date_nanos"), "time"),
    "boolean": "flag",
}
_DATES = {"date", "date_nanos"}
# date formats that our document readers understand as Elasticsearch does
_READABLE = {
    *("strict_date_optional_time", "date_optional_time", "strict_date_optional_time_nanos", "epoch_millis"),
    *("strict_date_time", "date_time", "strict_date_time_no_millis", "date_time_no_millis"),
}


@dataclass
class Field:
    """The capabilities of one field in the indices of an extraction.

    Parameters
    ----------
    types
        Each type of the field → the indices with this type; an empty list if all indices have it.
    unmapped
        The indices that do not map the field.
    searchable
        Whether documents can be filtered by the field.
    columnar
        Whether all indices that map the field keep its values in a column.
    unsearchable
        Each type of the field that is not searchable everywhere → the indices where it is not; an empty list if it is
        searchable in no index.
    """

    types: dict[str, list[str]] = field(default_factory=dict)
    unmapped: list[str] = field(default_factory=list)
    searchable: bool = True
    columnar: bool = True
    unsearchable: dict[str, list[str]] = field(default_factory=dict)

    def types_in(self, searched: Iterable[str]) -> dict[str, str]:
        """Return the type of the field in each of the searched indices where documents can be filtered by it."""
        rest, found = set(searched) - set(self.unmapped), dict[str, str]()
        for type_, indices in self.types.items():
            excluded = self.unsearchable.get(type_)
            if excluded != []:
                mapped = rest.intersection(indices) if indices else rest
                found |= dict.fromkeys(mapped - set(excluded or ()), type_)
        return found

    def in_words(self) -> str:
        """Describe the types of the field; if the indices differ, name the indices of each type."""
        named = [f"{type_} in {', '.join(sorted(indices))}" for type_, indices in sorted(self.types.items()) if indices]
        return " and ".join(named or sorted(self.types)) or "missing"


def read_caps(answer: Mapping[str, Any]) -> dict[str, Field]:
    """Return the fields of a field capabilities answer, by name, without unmapped fields."""
    fields = {}
    for name, capabilities in answer["fields"].items():
        types = {type_: said for type_, said in capabilities.items() if type_ != "unmapped"}
        if types:
            fields[name] = Field(
                types={type_: list(said.get("indices", ())) for type_, said in types.items()},
                unmapped=list(capabilities.get("unmapped", {}).get("indices", ())),
                searchable=all(said["searchable"] for said in types.values()),
                columnar=all(said["aggregatable"] for said in types.values()),
                unsearchable={
                    type_: list(said.get("non_searchable_indices") or ())
                    for type_, said in types.items()
                    if not said["searchable"]
                },
            )
    return fields


def kind_of(found: Field | None) -> str:
    """Return the type that an extra field is read as; json if its types differ or are not simple."""
    if found is None:
        return "name"
    kinds = {_KINDS.get(type_, "json") for type_ in found.types}
    return kinds.pop() if len(kinds) == 1 else "json"


def beside_source(mapping: Mapping[str, Any], wanted: Iterable[str]) -> dict[str, str]:
    """Return the fields of one index whose values ``_source`` lacks or has in another form.

    Parameters
    ----------
    mapping
        The mapping of the index, as the server returns it.
    wanted
        Names of fields.

    Returns
    -------
    dict
        The field's name → why the search must ask for it in addition to ``_source``.
    """
    properties, runtime = mapping.get("properties", {}), mapping.get("runtime", {})
    copied = {*_copied(properties)}
    reasons = {}
    for name in wanted:
        mapped = properties.get(name)
        if name in runtime:
            reasons[name] = "a runtime field"
        elif mapped is not None and (reason := _reason(name, mapped, mapping.get("_source", {}), copied)):
            reasons[name] = reason
    return reasons


def _reason(name: str, mapped: Mapping[str, Any], source: Mapping[str, Any], copied: set[str]) -> str | None:
    kind = mapped.get("type", "object")
    if kind == "alias":
        return f"an alias of {mapped['path']}"
    if kind == "constant_keyword":
        return "a constant of the index"
    if source.get("enabled") in (False, "false"):
        return "without a _source"
    if not _is_kept(name, source):
        return "left out of _source"
    if name in copied:
        return "copied from other fields"
    if "script" in mapped:
        return "computed by a script"
    if "null_value" in mapped:
        return "filled in where it is null"
    forms = mapped.get("format", "").split("||") if kind in _DATES else []
    return f"in the form {mapped['format']}" if any(form not in _READABLE for form in forms if form) else None


def _is_kept(name: str, source: Mapping[str, Any]) -> bool:
    def matches(patterns: Iterable[str]) -> bool:
        return any(re.fullmatch(re.escape(p).replace(r"\*", ".*"), name) for p in patterns)

    includes = source.get("includes", [])
    included = not includes or matches(includes) or any(pattern.startswith(f"{name}.") for pattern in includes)
    return included and not matches(source.get("excludes", []))


def _copied(properties: Mapping[str, Any]) -> Iterator[str]:
    for mapped in properties.values():
        targets = mapped.get("copy_to", [])
        yield from [targets] if isinstance(targets, str) else targets
        yield from _copied(mapped.get("properties", {}))


def requests(names: Iterable[str], fields: Mapping[str, Field]) -> dict[str, list[dict[str, str]]]:
    """Return the members of a search's body that ask for fields in addition to ``_source``.

    Values come from the columns of the index, exact and in UTC. If an index keeps no column, the server takes them from
    ``_source``.
    """
    asked: dict[str, list[dict[str, str]]] = {}
    for name in names:
        found = fields[name]
        form = {"format": _TIME_FORMAT} if found.types.keys() <= _DATES else {}
        asked.setdefault("docvalue_fields" if found.columnar else "fields", []).append({"field": name, **form})
    return asked
