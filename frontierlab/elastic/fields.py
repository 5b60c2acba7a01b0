"""What an index says of its fields: which can be selected by, and which its documents' ``_source`` lacks.

A mapping can have fields that no ``_source`` has (aliases, runtime fields, what ``_source`` leaves out), and times in a
form of its own. Those are asked for beside the ``_source``, from the columns in which the server keeps values.
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
# forms of a date that the readers of documents read as Elasticsearch does
_READABLE = {
    *("strict_date_optional_time", "date_optional_time", "strict_date_optional_time_nanos", "epoch_millis"),
    *("strict_date_time", "date_time", "strict_date_time_no_millis", "date_time_no_millis"),
}


@dataclass
class Field:
    """What the indices of an extraction say of a field.

    Parameters
    ----------
    types
        Each type as which it is mapped → the indices that map it so; no index where all do.
    unmapped
        The indices that do not map it.
    searchable
        Whether documents can be selected by it.
    columnar
        Whether all indices that map it keep its values in a column.
    """

    types: dict[str, list[str]] = field(default_factory=dict)
    unmapped: list[str] = field(default_factory=list)
    searchable: bool = True
    columnar: bool = True

    def in_words(self) -> str:
        """Say as what it is mapped, and where the indices differ, by which."""
        named = [f"{type_} in {', '.join(sorted(indices))}" for type_, indices in sorted(self.types.items()) if indices]
        return " and ".join(named or sorted(self.types)) or "missing"


def read_caps(answer: Mapping[str, Any]) -> dict[str, Field]:
    """Return what the answer to a question about fields says, by the field's name; unmapped ones are not in it."""
    fields = {}
    for name, capabilities in answer["fields"].items():
        types = {type_: said for type_, said in capabilities.items() if type_ != "unmapped"}
        if types:
            fields[name] = Field(
                types={type_: list(said.get("indices", ())) for type_, said in types.items()},
                unmapped=list(capabilities.get("unmapped", {}).get("indices", ())),
                searchable=all(said["searchable"] for said in types.values()),
                columnar=all(said["aggregatable"] for said in types.values()),
            )
    return fields


def kind_of(found: Field | None) -> str:
    """Return what an extra field is read as: JSON text where it is neither a number, a flag, a time nor a name."""
    if found is None:
        return "name"
    kinds = {_KINDS.get(type_, "json") for type_ in found.types}
    return kinds.pop() if len(kinds) == 1 else "json"


def beside_source(mapping: Mapping[str, Any], wanted: Iterable[str]) -> dict[str, str]:
    """Return the fields of one index whose values its documents' ``_source`` lacks, or has in a form of its own.

    Parameters
    ----------
    mapping
        Of the index, as the server gives it.
    wanted
        Names of fields.

    Returns
    -------
    dict
        The field's name → why it is to be asked for beside the ``_source``.
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
    """Return what a search asks for beside ``_source``, to get the values of fields: members of its body.

    Values come from the columns, exact to the last digit and in UTC; where not all indices keep one, the server makes
    them of the ``_source``.
    """
    asked: dict[str, list[dict[str, str]]] = {}
    for name in names:
        found = fields[name]
        form = {"format": _TIME_FORMAT} if found.types.keys() <= _DATES else {}
        asked.setdefault("docvalue_fields" if found.columnar else "fields", []).append({"field": name, **form})
    return asked
