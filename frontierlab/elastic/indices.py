"""Questions about indices rather than to them: what is matched and not read, mappings, and what ``_source`` lacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from frontierlab.documents.lenient import SetAside, convert_text, converter_of
from frontierlab.elastic.client import Index
from frontierlab.elastic.errors import require_whole
from frontierlab.elastic.fields import Field, requests
from frontierlab.schema import DOCUMENT_FIELDS, TIME, Column

__all__ = ["has_remote", "mappings", "missing_in_source", "unread"]

_DOCUMENTS = 3  # of each field, from which one sees whether ``_source`` has it


def has_remote(index: Index) -> bool:
    """Whether indices of other clusters are named, whose mappings nobody can ask for."""
    return ":" in index.name


def _local(index: Index) -> str:
    return ",".join(name for name in index.name.split(",") if ":" not in name)


def mappings(index: Index) -> dict[str, dict[str, Any]]:
    """Return the mappings of the local indices, by index.

    Raises
    ------
    AccessRefused
        The user may not see them.
    """
    if not (local := _local(index)):
        return {}
    answer = index.ask(lambda: index.client.indices.get_mapping(index=local, expand_wildcards="open"))
    return {name: found["mappings"] for name, found in answer.body.items()}


def unread(index: Index, searched: list[str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the local indices that are matched and not read, and the aliases that give only a part of theirs.

    Parameters
    ----------
    index
        What is read.
    searched
        The indices that a search of it reads.

    Returns
    -------
    unread
        Index → what it is (``closed``, ``hidden``, ``frozen``, ``not searched``). Hidden ones whose name begins with
        a dot are the server's own, and are not named.
    filtered
        Alias that has a filter → the indices that are read through it alone.

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
            if "filter" in how and name not in direct:  # an index that is named itself is read whole
                found.setdefault(alias, []).append(name)
    return found


def missing_in_source(index: Index, query: dict[str, Any], fields: Mapping[str, Field]) -> list[str]:
    """Return the fields that the first documents of a query have, and their ``_source`` lacks or has in another form.

    This is for indices whose mapping cannot be seen: of another cluster, or of a user who may only read.
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
    """Whether a document has a value that its ``_source`` lacks, or a time that the readers take for another."""
    values, source = hit.get("fields", {}).get(name), hit.get("_source", {})
    if values is None or source.get(name) is None:
        return values is not None
    if not mapped.types.keys() <= {"date", "date_nanos"}:
        return False
    converter = converter_of(DOCUMENT_FIELDS.get(name) or Column(name, name, TIME, ""))
    try:
        read = [convert_text(json.dumps(value), converter)[0] for value in (source[name], values[0])]
    except SetAside:
        return True
    return bool(read[0] != read[1])
