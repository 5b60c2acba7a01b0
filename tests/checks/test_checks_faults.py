"""Checks of a real Elasticsearch that refuses, forgets, lacks fields or has too much: told, and never nothing found."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from elasticsearch import Elasticsearch, helpers

import frontierlab as fl
from frontierlab.checks import conditions, on_index, run_checks
from frontierlab.elastic.errors import PointInTimeLost, QueryRefused
from frontierlab.errors import ElasticsearchError
from frontierlab.sample.world.loading import mapping
from frontierlab.util.times import from_milliseconds
from tests.checks.planted import BAD, SINCE, UNTIL, Rows, healthy, query, several
from tests.checks.test_checks_on_index import document
from tests.support.extractions import elastic_settings

pytestmark = pytest.mark.elasticsearch
WINDOW = {"since": from_milliseconds(SINCE), "until": from_milliseconds(UNTIL)}
Make = Callable[..., fl.Settings]


@pytest.fixture
def make(es: Elasticsearch, index: str, elasticsearch_server: Any, data_dir: Any) -> Iterator[Make]:
    """A function that makes an index of rows, and returns its settings."""

    def make(rows: Rows, without: tuple[str, ...] = (), **fields: Any) -> fl.Settings:
        properties = copy.deepcopy(mapping()["properties"]) | {"sqlquery": {"type": "text"}} | fields
        kept = {name: how for name, how in properties.items() if name not in without}
        es.indices.create(index=index, mappings={"dynamic": False, "properties": kept})
        helpers.bulk(es, [{"_index": index, "_source": document("usual", row)} for row in rows], refresh=True)
        return elastic_settings(elasticsearch_server, data_dir, index, check_hit_queries=50)

    return make


def unseen(found: fl.checks.Findings) -> dict[str, str]:
    return dict(zip(found.not_looked["check"], found.not_looked["why"], strict=True))


def test_fields_that_the_mapping_lacks(make: Make) -> None:
    lacking = ("disconn", "rejected", "procerror", "taskid", "initthreads", "querytime", "sqlsin", "cached", "sqlquery")
    settings = make(healthy(), without=(*lacking, "frontierserver"))
    found = fl.checks.run(settings, **WINDOW)
    assert len(found) == 0
    assert [*unseen(found)] == [*found.checks]
    assert "has no field sqlquery" in unseen(found)["bad_sql"]


def test_a_server_that_forbids_scripts(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make([*healthy(), *several(100, rejected=True, taskid=9)])
    monkeypatch.setattr(conditions, "_OF_IOV", "this is no script")  # refused as a forbidden one is, with 400
    found = fl.checks.run(settings, **WINDOW)
    assert [*found.frame["check"]] == ["failed_per_server"]
    assert [*unseen(found)] == ["unaligned_iovs"]
    assert "the server refuses the script" in unseen(found)["unaligned_iovs"]


def test_another_refusal_is_an_error(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make(several(3))
    monkeypatch.setattr(on_index, "PAGE", 100_000)  # more buckets than a server gives
    with pytest.raises(QueryRefused, match="answered 400"):
        fl.checks.run(settings, **WINDOW, checks="threads")


def test_all_tasks_are_counted_page_by_page(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [query(UNTIL - 1, rejected=True, taskid=task, frontierserver=None) for task in [*range(60), 59]]
    settings = make(rows).model_copy(update={"check_failed_per_task": 1})
    monkeypatch.setattr(on_index, "PAGE", 7)
    found = fl.checks.run(settings, **WINDOW, checks="failed_per_task")
    assert [*found.frame["taskid"]] == [59]
    monkeypatch.setattr(on_index, "PAGES", 3)
    found = fl.checks.run(settings, **WINDOW, checks="failed_per_task")
    assert unseen(found) == {"failed_per_task": "there are more than 21 groups in this time: look at less time"}


def test_slices_of_time_add_up(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make([*healthy(), *several(100, rejected=True, taskid=9)])
    monkeypatch.setattr("frontierlab.overviews.parts.SLICE_DOCUMENTS", 40)
    found = fl.checks.run(settings, **WINDOW, checks=["failed_per_server", "long_queries", "hit_ratio"])
    assert [(row["check"], row["value"]) for row in found.frame.to_dict("records")] == [("failed_per_server", 100)]
    assert len(found.not_looked) == 0


def test_a_lost_point_in_time_begins_the_run_again_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make([query(SINCE, initthreads=500)])
    counted, lost = on_index.IndexCounter.count, [1]

    def losing(counter: Any, tally: Any) -> Any:
        if lost[0]:
            lost[0] -= 1
            raise PointInTimeLost("gone")
        return counted(counter, tally)

    monkeypatch.setattr(on_index.IndexCounter, "count", losing)
    assert len(fl.checks.run(settings, **WINDOW, checks="threads")) == 1
    lost[0] = 2
    with pytest.raises(ElasticsearchError, match="gone"):
        fl.checks.run(settings, **WINDOW, checks="threads")


def test_the_last_whole_hour_of_the_clock(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make([*several(9), query(UNTIL + 5, initthreads=500), query(UNTIL - 1, initthreads=500)])
    monkeypatch.setattr(run_checks, "_now", lambda: datetime(2026, 10, 1, 4, 7, tzinfo=UTC))
    found = fl.checks.run(settings, checks="threads")
    assert (found.since, found.until, len(found)) == (WINDOW["since"], WINDOW["until"], 1)
    later = fl.checks.run(settings, since="2026-10-01T04:00", until="2026-10-01T05:00", checks="threads")
    assert "the data do not cover" in unseen(later)["threads"]


def test_an_index_without_documents(make: Make) -> None:
    found = fl.checks.run(make([]), **WINDOW)
    assert len(found) == 0
    assert [*unseen(found)] == [*found.checks]


def test_bad_sql_is_exact_where_the_index_has_words(make: Make) -> None:
    other = BAD.replace("','", "' , '").lower()  # the same words
    settings = make([query(SINCE, sqlquery=other, taskid=1), query(SINCE, sqlquery=f"x {BAD}", taskid=2)])
    found = fl.checks.run(settings, **WINDOW, checks="bad_sql").frame
    assert [*found["taskid"]] == [2]


@pytest.mark.parametrize("check", ["failed_per_server", "bad_sql"])
def test_the_call_of_a_finding_works(make: Make, check: str) -> None:
    settings = make([*healthy(), *several(100, rejected=True, sqlquery=BAD, taskid=9)])
    found = fl.checks.run(settings, **WINDOW, checks=check)
    (code,) = found.frame["call"]
    shown = eval(code, {"fl": fl, "settings": settings})
    assert (shown.counts.kept if check == "bad_sql" else shown.queries) >= 100
    assert settings.es_pswd is not None
    assert settings.es_pswd.get_secret_value() not in f"{found}{found!r}{found._repr_html_()}{code}"
