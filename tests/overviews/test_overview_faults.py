"""What goes wrong during a look, and looks that begin wrongly."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

import frontierlab as fl
from frontierlab import Selection
from frontierlab.errors import ConfigurationError, ElasticsearchError, InvalidRequestError
from frontierlab.sample import World
from tests.overviews.truth import assert_true, plain, rows_of
from tests.services.flaky import Answer, Cut, Delay, Drop, Edit, FlakyProxy, Silence, too_many_requests
from tests.support.extractions import elastic_settings

WORLD = World(1_000, seed=3, malformed=0, indexable=True)
DAY = {"since": "2026-10-01", "until": "2026-10-02"}
SEARCH = "_search"
GONE = {
    "error": {"type": "search_context_missing_exception", "reason": "No search context found for id [1]"},
    "status": 404,
}
TABLES = ("databases", "schemas", "folders", "tasks", "servers", "sites", "squids")


@pytest.fixture(scope="module")
def rows():
    return rows_of(WORLD.logs())


@pytest.fixture(scope="module")
def filled(es):
    fl.sample.load(es, WORLD, "test-overview-faults")
    yield "test-overview-faults"
    es.indices.delete(index="test-overview-faults")


@pytest.fixture
def proxy(elasticsearch_server):
    with FlakyProxy(elasticsearch_server.url, elasticsearch_server.ca_certs) as proxy:
        yield proxy


@pytest.fixture
def settings(elasticsearch_server, data_dir, filled, proxy):
    return elastic_settings(elasticsearch_server, data_dir, filled, es_address=proxy.url)


def look(settings, **options):
    return fl.overview(settings, **{"progress": False, **DAY, **options})


def searches(proxy: FlakyProxy) -> int:
    return sum(SEARCH in seen.line for seen in proxy.requests)


@pytest.mark.elasticsearch
class TestFaults:
    @pytest.mark.parametrize(
        "fault",
        [
            Answer(503, {"error": "unavailable", "status": 503}, when=SEARCH, skip=4, times=2),
            too_many_requests(when=SEARCH, skip=6),
            Cut(when=SEARCH, skip=3),
            Drop(when=SEARCH, skip=2, served=True),
            Delay(0.3, when=SEARCH, skip=5),
            Answer(404, GONE, when=SEARCH, skip=7),
        ],
        ids=["503", "429", "cut", "drop", "delay", "lost point in time"],
    )
    def test_passing_fault_changes_no_number(self, settings, proxy, rows, fault):
        proxy.faults.append(fault)
        assert_true(look(settings), rows, Selection(**DAY), bin_seconds=300)
        assert fault.struck
        opened = sum("/_pit?" in seen.line for seen in proxy.requests)
        assert opened == sum(seen.line.startswith("DELETE /_pit") for seen in proxy.requests)

    @pytest.mark.parametrize("skip", [0, 1, 3, 8])
    def test_partial_answer_is_an_error(self, settings, proxy, skip):
        proxy.faults.append(Edit(lambda body: body | {"timed_out": True}, when=SEARCH, skip=skip))
        with pytest.raises(ElasticsearchError, match="did not answer in full: the search timed out"):
            look(settings)

    def test_an_index_that_disappears_is_an_error(self, settings, proxy):
        fewer = Edit(lambda body: body | {"_shards": {"total": 1, "failed": 0}}, when=SEARCH, skip=3, times=None)
        proxy.faults.append(fewer)
        with pytest.raises(ElasticsearchError, match="it had 2 shards at first, and has 1 now"):
            look(settings)

    def test_point_in_time_that_is_lost_again_and_again(self, settings, proxy):
        proxy.faults.append(Answer(404, GONE, when=SEARCH, skip=4, times=None))
        with pytest.raises(ElasticsearchError, match="the point in time is gone"):
            look(settings)

    def test_silent_server_is_left_in_time(self, settings, proxy, monkeypatch):
        monkeypatch.setattr("frontierlab.overviews.overview.SECONDS", 1.0)
        silence = Silence(when=SEARCH, skip=4, times=None)
        proxy.faults.append(silence)
        began = time.monotonic()
        with pytest.raises(ElasticsearchError, match="no whole answer within 1 s"):
            look(settings.model_copy(update={"es_retry_seconds": 0.0}))
        assert time.monotonic() - began < 30
        assert silence.left.wait(10)

    def test_cancelled_look_leaves_the_running_search(self, settings, proxy):
        silence = Silence(when=SEARCH, skip=4, times=None)
        proxy.faults.append(silence)
        seen = []

        def stop(progress: Any) -> None:
            seen.append(progress)
            if silence.struck:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            look(settings, progress=stop)
        assert silence.left.wait(10)
        assert {one.stage for one in seen} == {"overview"}

    def test_progress_counts_searches_to_the_end(self, settings, proxy):
        seen = []
        look(settings, progress=seen.append)
        assert seen[-1].done == seen[-1].total > 7
        assert {"over time", "folders", "taskid", "squid"} <= {one.message for one in seen}

    def test_look_from_another_thread(self, settings, rows):
        found = []
        thread = threading.Thread(target=lambda: found.append(look(settings)))
        thread.start()
        thread.join(60)
        assert_true(found[0], rows, Selection(**DAY), bin_seconds=300)

    def test_absent_index(self, settings):
        with pytest.raises(ElasticsearchError, match="There is no index nowhere on"):
            look(settings.model_copy(update={"es_index": ("nowhere",)}))

    def test_wrong_password_is_not_shown(self, elasticsearch_server, data_dir, filled):
        with pytest.raises(ElasticsearchError, match=r"refuses the credentials \(401\)") as caught:
            look(elastic_settings(elasticsearch_server, data_dir, filled, es_pswd="not-the-one"))
        assert "not-the-one" not in str(caught.value)

    def test_period_without_documents_says_when_there_are_some(self, settings):
        found = look(settings, since="2020-01-01", until="2020-01-02")
        assert (found.documents, found.queries) == (0, 0)
        assert found.warnings[0].startswith("No document of this period was found. The index has documents from")
        assert all(getattr(found, name).empty for name in (*TABLES, "over_time", "kinds"))
        assert [*found.databases.columns][:3] == ["db", "part", "groups"]
        assert "0 queries" in str(found)
        assert "No document of this period was found" in found._repr_html_()

    def test_an_index_without_documents(self, es, settings, index):
        es.indices.create(index=index, mappings={"properties": {"@timestamp": {"type": "date"}}})
        found = look(settings.model_copy(update={"es_index": (index,)}), since=None)
        assert found.warnings == (f"The index {index} has no documents at all.",)
        assert found.since is None
        assert plain(found.over_time) == []

    def test_period_without_a_start_begins_at_the_first_document(self, settings, rows):
        found = look(settings, since=None, bin_seconds=3600)
        first = min(row["time"] for row in rows)
        assert found.since.timestamp() * 1000 <= first  # a document of another database may be earlier
        assert found.queries == len(rows)

    def test_too_many_bins_are_refused_before_anything_is_counted(self, settings, proxy):
        with pytest.raises(InvalidRequestError, match=r"bins of 0\.01 s, more than 100,000"):
            look(settings, since=None, bin_seconds=0.01)
        assert not any(
            "aggregations" in seen.body.decode() and "terms" in seen.body.decode() for seen in proxy.requests
        )

    def test_times_with_a_zone_and_without(self, settings):
        one = look(settings, since="2026-10-01T06:00", until="2026-10-01T08:00")
        zone = timezone(timedelta(hours=2))
        two = look(settings, since=datetime(2026, 10, 1, 8, tzinfo=zone), until="2026-10-01T10:00+02:00")
        assert one.since == two.since
        assert plain(one.over_time) == plain(two.over_time)
        assert 0 < one.queries == two.queries

    def test_a_limit_is_told_before_an_extraction_meets_it(self, settings):
        found = look(settings.model_copy(update={"limit_queries": 500}))
        assert found.warnings == ("An extraction would stop at limit_queries: 500 of 1,000 documents.",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": 0}, "top=0: give a whole number"),
        ({"top": 5_000}, "give a whole number of groups from 1 to 1,000"),
        ({"bin_seconds": 0}, "bin_seconds=0"),
        ({"bin_seconds": 0.001}, "86,400,000 bins of 0.001 s"),
        ({"since": "yesterday"}, "'yesterday' is not a time"),
        ({"since": "2026-10-02", "until": "2026-10-01"}, "is not after since"),
    ],
)
def test_invalid_argument_asks_nobody(data_dir, options, message):
    settings = fl.sample.settings(data_dir=data_dir, es_address="http://127.0.0.1:9", es_index="frontier_sql")
    with pytest.raises(InvalidRequestError, match=message):
        look(settings, **options)


def test_without_an_index_in_the_settings(settings_of_sample):
    with pytest.raises(ConfigurationError, match="es_address"):
        look(settings_of_sample)


@pytest.fixture
def settings_of_sample(data_dir):
    return fl.sample.settings(data_dir=data_dir)
