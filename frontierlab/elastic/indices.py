"""Facts about indices: mappings, indices that match but are not read, and fields that ``_source`` lacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from frontierlab.documents.lenient import MalformedDocument, convert_text, converter_of
from frontierlab.elastic.errors import require_whole
from frontierlab.elastic.index_fields import Field, requests
from frontierlab.schema import DOCUMENT_FIELDS, TIME, Column

if TYPE_CHECKING:
    from frontierlab.elastic.client import Index

__all__ = ["has_remote", "mappings", "missing_in_source", "unread"]

_DOCUMENTS = 3  # checked for each field


def has_remote(index: Index) -> bool:
    """Whether indices of remote clusters are named, whose mappings cannot be requested."""
    return ":" in index.name


def _local(index: Index) -> str:
    return ",".join(name for name in index.name.split(",") if ":" not in name)


def mappings(index: Index) -> dict[str, dict[str, Any]]:
    """Return the mappings of the local indices, by index.

    Raises
    ------
    AccessRefused
        The user may not read mappings.
    """
    if not (local := _local(index)):
        return {}
    answer = index.ask(lambda: index.client.indices.get_mapping(index=local, expand_wildcards="open"))
    return {name: found["mappings"] for name, found in answer.body.items()}


def unread(index: Index, searched: list[str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the local indices that match but are not read, and the aliases with filters.

    Parameters
    ----------
    index
        The indices to read.
    searched
        The indices that a search reads.

    Returns
    -------
    unread
        Index → its state (``closed``, ``hidden``, ``frozen``, ``not searched``). Hidden indices whose name begins with
        a dot belong to the server and are not listed.
    filtered
        Alias with a filter → the indices that are read only through this alias.

    Raises
    ------
    AccessRefused
        The user may not list indices.
    """
    if not (local := _local(index)):
        return {}, {}
    answer = index.ask(lambda: index.client.indices.resolve_index(name=local, expand_wildcards="all"))
    states = {one["name"]: one.get("attributes", []) for one in answer["indices"]}
    behind = {name for one in answer["aliases"] for name in one["indices"]}
    behind |= {name for one in answer["data_streams"] for name in one["backing_indices"]}
    left = {}
    for name in (states.keys() | behind) - {*searched}:
        state = [attribute for attribute in states.get(name, []) if attribute != "open"]
        if not (name.startswith(".") and "hidden" in state):
            left[name] = " and ".join(state) or "not searched"
    aliases = [one["name"] for one in answer["aliases"]]
    return left, _filtered(index, aliases, {*states}) if aliases else {}


def _filtered(index: Index, aliases: list[str], direct: set[str]) -> dict[str, list[str]]:
    answer = index.ask(lambda: index.client.indices.get_alias(name=aliases))
    found: dict[str, list[str]] = {}
    for name, about in answer.body.items():
        for alias, how in about["aliases"].items():
            if "filter" in how and name not in direct:  # an index named by itself is read completely
                found.setdefault(alias, []).append(name)
    return found


def missing_in_source(index: Index, query: dict[str, Any], fields: Mapping[str, Field]) -> list[str]:
    """Return the fields that ``_source`` lacks, or has in another form, in the first documents of a query.

    Use this for indices whose mapping cannot be read: in a remote cluster, or without the permission.
    """
    searches: list[dict[str, Any]] = []
    for name in fields:
        given = {"bool": {"filter": [query, {"exists": {"field": name}}]}}
        body = {"query": given, "size": _DOCUMENTS, "_source": [name], "track_total_hits": False}
        searches += [{}, body | requests([name], fields)]
    answer = index.ask(lambda: index.client.msearch(index=index.name, searches=searches))
    found = []
    for name, response in zip(fields, answer["responses"], strict=True):
        if "error" not in response:
            require_whole(response, index.name)
            if any(_differs(name, fields[name], hit) for hit in response["hits"]["hits"]):
                found.append(name)
    return found


def _differs(name: str, mapped: Field, hit: Mapping[str, Any]) -> bool:
    """Whether ``_source`` lacks a value of the document, or has a time that our readers understand differently."""
    values, source = hit.get("fields", {}).get(name), hit.get("_source", {})
    if values is None or source.get(name) is None:
        return values is not None
    if not mapped.types.keys() <= {"date", "date_nanos"}:
        return False
    converter = converter_of(DOCUMENT_FIELDS.get(name) or Column(name, name, TIME, ""))
    try:
        read = [convert_text(json.dumps(value), converter)[0] for value in (source[name], values[0])]
    except MalformedDocument:
        return True
    return bool(read[0] != read[1])
