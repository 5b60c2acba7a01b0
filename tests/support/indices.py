"""Indices in Elasticsearch for one test: their mappings and documents, and the rows of their extraction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from elasticsearch import Elasticsearch

import frontierlab as fl

SINCE, UNTIL = 1_790_812_800_123_456_789, 2**63 - 1
MIDNIGHT = "2026-10-01T00:00:00.000Z"
DOCUMENT = {
    "@timestamp": MIDNIGHT,
    "taskid": 41_000_000,
    "sqldb": "CONDBR2_RO",
    "sqlowner": "ATLAS_COOLOFL_PIXEL",
    "sqlnodefullpath": "/PIXEL/PixCalib",
    "sqlsin": SINCE,
    "sqlunt": UNTIL,
    "cached": False,
    "querytime": 12,
}
MAPPING = {
    "@timestamp": {"type": "date"},
    **{name: {"type": "long"} for name in ("taskid", "sqlsin", "sqlunt", "querytime")},
    **{name: {"type": "keyword"} for name in ("sqldb", "sqlowner", "sqlnodefullpath")},
    "cached": {"type": "boolean"},
}
Make = Callable[..., str]


@pytest.fixture
def make(es: Elasticsearch, index: str, removed_together: list[str]) -> Make:
    """Return a function that makes an index for one test; its arguments add to the usual mapping and documents."""

    def make(
        *documents: dict[str, Any],
        name: str = "",
        fields: Any = None,
        without: Any = (),
        closed: bool = False,
        **mapping: Any,
    ) -> str:
        options = {key: mapping.pop(key) for key in ("settings", "aliases") if key in mapping}
        properties = {key: value for key, value in (MAPPING | (fields or {})).items() if value is not None}
        removed_together.append(index + name)
        es.indices.create(index=index + name, mappings={"properties": properties, **mapping}, **options)
        usual = {key: value for key, value in DOCUMENT.items() if key not in without}
        operations = [part for one in documents for part in ({"index": {}}, usual | one)]
        if operations:
            answer = es.bulk(index=index + name, operations=operations, refresh=True)
            assert not answer["errors"], answer
        if closed:
            es.indices.close(index=index + name)
        return index + name

    return make


def all_like(index: str) -> str:
    """Return the pattern of all indices of a test, from the name of one (its last letter tells them apart)."""
    return index[:-1] + "*"


def rows(dataset: fl.Dataset, *names: str) -> list[Any]:
    """Return the values of columns, in sorted order."""
    found = dataset.to_arrow().select(names or ["since", "until"]).to_pylist()
    return sorted((tuple(row.values()) for row in found), key=str)


def notes(dataset: fl.Dataset) -> str:
    return "\n".join(dataset.manifest.notes)
