"""Checks of a real Elasticsearch have the findings of an extraction of the same time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from elasticsearch import Elasticsearch, helpers

import frontierlab as fl
from frontierlab.sample import World
from frontierlab.sample.world.loading import mapping
from frontierlab.schema import COLUMNS
from frontierlab.util.times import format_time, from_milliseconds
from tests.checks.planted import FAULTS, FOLDER, HOUR, MINUTE, NEARLY, SINCE, UNTIL, WEEK, Rows, healthy
from tests.support.extractions import elastic_settings
from tests.support.logs import START

pytestmark = pytest.mark.elasticsearch
FIELDS = {column.name: column.field for column in COLUMNS if column.field} | {"sqlquery": "sqlquery"}
BLOCK = 12 * HOUR
"""Each fault has a time of its own."""
LATER = 4 * WEEK
"""So much later is what is nearly a fault."""
NAMES = ("sqldb", "sqlowner", "sqlnodefullpath", "frontierserver")
FLAGS = ("cached", "disconn", "rejected", "procerror")
WORDS = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 300}}}


def each(names: tuple[str, ...], **how: Any) -> dict[str, Any]:
    return dict.fromkeys(names, how)


MAPPINGS: dict[str, dict[str, Any]] = {
    "usual": {"sqlquery": {"type": "keyword", "ignore_above": 40}},
    "words": each((*NAMES, "sqlquery"), **WORDS),
    "numbers": {
        **each(FLAGS, type="long"),
        **each(("taskid", "sqlnodeid", "sqlsin", "sqlunt"), type="keyword"),
        "@timestamp": {"type": "date_nanos"},
        "sqlquery": {"type": "keyword"},
    },
    "fractions": {
        **each(("sqlsin", "sqlunt", "initthreads", "querytime"), type="double"),
        **each(FLAGS, type="keyword"),
        "sqlquery": {"type": "text"},
    },
}


def document(kind: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a row, as an index of this kind holds it."""
    found = {FIELDS[name]: value for name, value in row.items() if value is not None}
    found["@timestamp"] = format_time(from_milliseconds(row["time"]))
    found["sqldb"] = f"{row['db']}_RO"
    if row["since"] == -1:
        del found["sqlsin"], found["sqlunt"]
    if kind == "numbers":
        found |= {name: int(found[name]) for name in FLAGS if name in found}
        found |= {name: str(found[name]) for name in ("taskid", "sqlsin", "sqlunt") if name in found}
        del found["sqlnodefullpath"]  # the catalogue has it
    return found


def at(number: int, rows: Rows, later: int = 0) -> Rows:
    return [row | {"time": row["time"] + number * BLOCK + later} for row in rows]


def usual() -> Rows:
    """Return the rows without a fault; of the hours before the one that is looked at, only the last ten minutes."""
    return [row for row in healthy() if not START <= row["time"] < SINCE or row["time"] % HOUR >= 50 * MINUTE]


@pytest.fixture(scope="module")
def filled(es: Elasticsearch) -> Iterator[str]:
    """Four indices with different mappings, and the documents of all faults divided between them."""
    kinds = [*MAPPINGS]
    for kind, fields in MAPPINGS.items():
        properties = copy.deepcopy(mapping()["properties"]) | fields
        es.indices.create(
            index=f"test-checks-{kind}",
            mappings={"dynamic": False, "properties": properties},
            settings={"number_of_shards": 1, "number_of_replicas": 0},
        )
    rows = [row for number, (plant, _) in enumerate(FAULTS.values()) for row in at(number, plant(usual()))]
    rows += [row for number, (_, plant) in enumerate(NEARLY.values()) for row in at(number, plant(usual()), LATER)]
    rows += [row | {"db": "FOREIGN", "rejected": True} for row in rows[::7]]
    catalogued = [row["nodefullpath"] == FOLDER["nodefullpath"] for row in rows]
    chosen = [kinds[place % 4] if known or place % 4 != 2 else "usual" for place, known in enumerate(catalogued)]
    actions = [
        {"_index": f"test-checks-{kind}", "_source": document(kind, row)}
        for kind, row in zip(chosen, rows, strict=True)
    ]
    helpers.bulk(es, actions, chunk_size=5_000, refresh=True)
    yield "test-checks-*"
    es.indices.delete(index=[f"test-checks-{kind}" for kind in kinds])


@pytest.fixture(scope="module")
def settings(elasticsearch_server: Any, tmp_path_factory: Any, filled: str) -> fl.Settings:
    return elastic_settings(elasticsearch_server, tmp_path_factory.mktemp("data"), filled, check_hit_queries=50)


@pytest.fixture(scope="module")
def extracted(settings: fl.Settings) -> fl.Dataset:
    since, until = from_milliseconds(SINCE - WEEK), from_milliseconds(START + len(FAULTS) * BLOCK)
    return fl.extract(settings, since=since, until=until, name="all", extra_fields={"sqlquery": "name"}, progress=False)


def same(one: fl.checks.Findings, other: fl.checks.Findings) -> None:
    """Check that two results differ in the calls alone, and in why something was not looked at."""
    pd.testing.assert_frame_equal(one.frame.drop(columns="call"), other.frame.drop(columns="call"))
    shown = ["check", "since", "until"]
    pd.testing.assert_frame_equal(one.not_looked[shown], other.not_looked[shown])


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_in_the_index_too(settings: Any, name: str) -> None:
    number = [*FAULTS].index(name)
    window = [from_milliseconds(time + number * BLOCK) for time in (SINCE, UNTIL)]
    found = fl.checks.run(settings, *window)
    assert [*found.frame["check"]] == [check for check, *_ in FAULTS[name][1]]
    assert len(found.not_looked) == 0


@pytest.mark.parametrize("name", NEARLY)
def test_what_is_nearly_a_fault_is_not_found_in_the_index_either(settings: Any, name: str) -> None:
    number = [*NEARLY].index(name)
    window = [from_milliseconds(time + number * BLOCK + LATER) for time in (SINCE, UNTIL)]
    found = fl.checks.run(settings, *window, checks=NEARLY[name][0])
    assert [*found.frame["what"]] == []
    assert len(found.not_looked) == 0


def test_each_hour_of_many_days_is_looked_at(settings: Any, extracted: Any) -> None:
    window = [from_milliseconds(time) for time in (START, START + len(FAULTS) * BLOCK)]
    found = fl.checks.run(settings, *window, every="hour")
    assert set(found.frame["check"]) == set(found.checks)
    assert {"there is no query in this time"} < {*found.not_looked["why"]}
    same(found, fl.checks.run(extracted, *window, every="hour", settings=settings))


@pytest.mark.parametrize("kind", ["standard", "strings"])
def test_the_sample_has_the_findings_of_its_extraction(
    es: Elasticsearch, elasticsearch_server: Any, data_dir: Any, index: str, kind: Any
) -> None:
    world = World(3_000, seed=5, malformed=0, indexable=True, numbers_as_strings=kind == "strings")
    fl.sample.load(es, world, index, mapping=kind)
    limits = {f"check_{name}": 1 for name in ("failed_per_server", "long_seconds", "long_queries", "unaligned_queries")}
    limits |= {"check_failed_per_task": 0, "check_threads": 100, "check_hit_queries": 1}
    settings = elastic_settings(elasticsearch_server, data_dir, index, **limits)
    made = fl.extract(settings, name="sample", since="2026-10-01", until="2026-10-02", progress=False)
    window = {"since": "2026-10-01T04:00", "until": "2026-10-02", "every": "2h"}
    found = fl.checks.run(settings, **window)
    assert {*found.frame["check"]} >= {"failed_per_server", "failed_per_task", "threads", "unaligned_iovs"}
    assert len(found) > 200
    same(found, fl.checks.run(made, settings=settings, **window))
