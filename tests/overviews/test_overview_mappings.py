"""A look at indices that map the same fields differently, lack some, or are read through an alias."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from elasticsearch import Elasticsearch, helpers

import frontierlab as fl
from frontierlab import Selection
from frontierlab.sample import World
from frontierlab.sample.world.loading import mapping
from tests.overviews.truth import assert_true, plain, rows_of
from tests.support.extractions import elastic_settings

pytestmark = pytest.mark.elasticsearch
DAY = {"since": "2026-10-01", "until": "2026-10-02"}
WORLD = World(600, seed=8, malformed=0, indexable=True)
FLAGS = ("cached", "disconn", "rejected", "procerror")
NAMES = ("sqldb", "sqlowner", "sqlnodefullpath", "taskname", "frontierserver", "computingsite", "squid")
NUMBERS = ("fsize", "dbtime", "taskid", "sqlnodeid")
Change = Callable[[dict[str, Any]], None]


def _all(names: tuple[str, ...], type_: str, **more: Any) -> Change:
    return lambda properties: properties.update({name: {"type": type_, **more} for name in names})


def _unmapped(properties: dict[str, Any]) -> None:
    for name in ("squid", "initthreads"):
        del properties[name]


CHANGES: dict[str, Change] = {
    "standard": lambda properties: None,
    "keyword-below-text": _all(NAMES, "text", fields={"keyword": {"type": "keyword"}}),
    "text-alone": _all(NAMES, "text"),
    "numbers-as-keywords": _all(NUMBERS, "keyword"),
    "flags-as-numbers": _all(FLAGS, "long"),
    "flags-as-keywords": _all(FLAGS, "keyword"),
    "fractions": _all(NUMBERS, "double"),
    "nanoseconds": _all(("@timestamp",), "date_nanos"),
    "without-squid": _unmapped,
    "names-not-in-columns": _all(("frontierserver",), "keyword", doc_values=False),
}


def _document(kind: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return a document as an index of this kind holds it."""
    document = copy.copy(document)
    for name in FLAGS:
        if kind == "flags-as-numbers" and document.get(name) is not None:
            document[name] = int(document[name])
    if kind == "without-squid":
        document.pop("squid", None)
        document.pop("initthreads", None)
    return document


@pytest.fixture
def load(es: Elasticsearch, index: str) -> Iterator[Callable[..., dict[str, str]]]:
    """A function that makes an index of each kind, and divides the documents of `WORLD` between them."""

    def load(*kinds: str) -> dict[str, str]:
        documents = [document for chunk in WORLD.chunks() for document in chunk.documents]
        for kind in kinds:
            properties = copy.deepcopy(mapping()["properties"])
            CHANGES[kind](properties)
            es.indices.create(
                index=f"{index}-{kind}",
                mappings={"dynamic": False, "properties": properties},
                settings={"number_of_shards": 1, "number_of_replicas": 0},
            )
        actions = [
            {"_index": f"{index}-{kinds[place % len(kinds)]}", "_source": _document(kinds[place % len(kinds)], one)}
            for place, one in enumerate(documents)
        ]
        helpers.bulk(es, actions, refresh=True)
        return {kind: f"{index}-{kind}" for kind in kinds}

    yield load
    es.indices.delete(index=[f"{index}-{kind}" for kind in CHANGES], ignore_unavailable=True)


@pytest.fixture
def look(elasticsearch_server: Any, data_dir: Any) -> Callable[..., Any]:
    def look(name: str, **options: Any) -> Any:
        settings = elastic_settings(elasticsearch_server, data_dir, name)
        return fl.overview(settings, **{"progress": False, "bin_seconds": 3_600, **DAY, **options})

    return look


def rows(*kinds: str, only: str | None = None) -> list[dict[str, Any]]:
    """Return the rows of the documents that `load` divides between indices, or those of one of them."""
    documents = [document for chunk in WORLD.chunks() for document in chunk.documents]
    kept = [place for chunk in WORLD.chunks() for place in range(len(chunk)) if chunk.kept[place]]
    found = []
    for place, row in zip(kept, rows_of(WORLD.logs()), strict=True):
        kind = kinds[place % len(kinds)]
        assert documents[place].get("squid") == row["squid"]
        if only in (None, kind):
            found.append(row | ({"squid": None} if kind == "without-squid" else {}))
    return found


def test_ten_indices_with_different_mappings_are_counted_together(load: Any, look: Any, index: str) -> None:
    load(*CHANGES)
    found = look(f"{index}-*")
    assert_true(found, rows(*CHANGES), Selection(**DAY), bin_seconds=3_600)
    notes = "\n".join(found.notes)
    assert f"squid is not in the mapping of {index}-without-squid: its values there are taken as missing" in notes
    assert f"fsize of {index}-numbers-as-keywords cannot be counted as it is mapped; documents are read" in notes
    assert f"sqlowner of {index}-text-alone cannot be counted as it is mapped" in notes


def test_many_long_names_do_not_make_a_url_too_long(load: Any, look: Any, index: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("frontierlab.elastic.shapes._SEPARATE", 60)
    kinds = ("standard", "flags-as-keywords", "nanoseconds")
    names = load(*kinds)
    found = look(",".join(names.values()))
    assert_true(found, rows(*kinds), Selection(**DAY), bin_seconds=3_600)


def test_an_alias_with_a_filter_is_read_through_the_alias(load: Any, look: Any, index: str, es: Elasticsearch) -> None:
    kinds = ("standard", "text-alone", "flags-as-numbers")
    names = load(*kinds)
    only = {"term": {"frontierserver": "frontier1.cern.example"}}
    for kind, name in names.items():
        how = {"match_phrase": {"frontierserver": "frontier1.cern.example"}} if kind == "text-alone" else only
        es.indices.put_alias(index=name, name=f"{index}-alias", filter=how)
    found = look(f"{index}-alias")
    there = [row for row in rows(*kinds) if row["frontierserver"] == "frontier1.cern.example"]
    assert 80 < len(there) < 120
    assert_true(found, there, Selection(**DAY), bin_seconds=3_600)
    assert any("aliases have filters" in note for note in found.notes)


def test_an_index_without_the_fields_of_the_log(es: Elasticsearch, look: Any, index: str) -> None:
    es.index(index=index, document={"@timestamp": "2026-10-01T10:00:00.000Z", "message": "hello"}, refresh=True)
    found = look(index)
    assert (found.documents, found.queries, found.left_out) == (1, 0, {"no database": 1})
    assert any("sqldb is not in the mapping of" in note for note in found.notes)
    assert plain(found.tasks) == plain(found.folders) == plain(found.over_time) == plain(found.kinds) == []


def test_an_index_without_times_is_refused(es: Elasticsearch, look: Any, index: str) -> None:
    es.index(index=index, document={"@timestamp": "now and then"}, refresh=True)
    with pytest.raises(fl.errors.ElasticsearchError, match="by @timestamp: the field is text"):
        look(index)


def test_a_number_as_text_is_no_task_of_its_own(es: Elasticsearch, look: Any, index: str) -> None:
    """As in an extraction: ``" 12"`` and ``"12.0"`` are 12, and ``"-"`` is no task."""
    properties = copy.deepcopy(mapping("strings")["properties"])
    es.indices.create(index=index, mappings={"properties": properties})
    usual = {"@timestamp": "2026-10-01T10:00:00.000Z", "sqldb": "CONDBR2_RO"}
    for task in ("12", " 12", "12.0", "-", "", None):
        es.index(index=index, document={**usual, "taskid": task})
    es.indices.refresh(index=index)
    tasks = plain(look(index).tasks)
    assert [(row["taskid"], row["part"], row["queries"]) for row in tasks] == [(12, "named", 3), (None, "missing", 3)]
