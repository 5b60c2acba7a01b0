"""Extraction from a real Elasticsearch: rows and counts equal the sample's truth, whatever goes wrong on the way."""

from __future__ import annotations

import hashlib
import json
import signal
import ssl

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import frontierlab as fl
from frontierlab.errors import ElasticsearchError, InterruptedExtraction
from frontierlab.sample import World
from frontierlab.storage.losses import LimitReached, NothingFound
from tests.services.flaky import Answer, Cut, Delay, Drop, FlakyProxy, failed_shards, timed_out, too_many_requests
from tests.services.forked import run_forked
from tests.support.extractions import assert_is_the_world, assert_same_rows, elastic_settings, small_parts  # noqa: F401

pytestmark = pytest.mark.elasticsearch
DAY = {"since": "2026-10-01", "until": "2026-10-02"}
WORLD = World(4_000, seed=11, malformed=0.01, indexable=True)
SMALL = World(4_000, seed=12, malformed=0.01, indexable=True)  # four parts, where a test is about what goes wrong
SEARCH = "POST /_search"
GONE = {
    "error": {"type": "search_context_missing_exception", "reason": "No search context found for id [1]"},
    "status": 404,
}


def fill(es, world, index, **options):
    fl.sample.load(es, world, index, **options)


@pytest.fixture(scope="module")
def filled(es):
    """An index with the documents of `WORLD`."""
    fill(es, WORLD, "test-world")
    yield "test-world"
    es.indices.delete(index="test-world")


@pytest.fixture(scope="module")
def small(es):
    """An index with the documents of `SMALL`."""
    fill(es, SMALL, "test-small")
    yield "test-small"
    es.indices.delete(index="test-small")


@pytest.fixture
def settings(elasticsearch_server, data_dir, filled):
    return elastic_settings(elasticsearch_server, data_dir, filled)


def extract(settings, **options):
    return fl.extract(settings, **{"name": "d", "progress": False, **DAY, **options})


def test_rows_of_an_index_are_those_of_the_world(settings):
    assert_is_the_world(extract(settings), WORLD)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(("slices", "page"), [(1, 350), (3, 167)])
def test_parts_slices_and_pages_do_not_change_the_rows(elasticsearch_server, data_dir, filled, slices, page):
    settings = elastic_settings(elasticsearch_server, data_dir, filled, es_slices=slices, es_page=page)
    dataset = extract(settings)
    assert len(dataset.manifest.plan) >= 4
    assert all(part.expected <= 1_000 for part in dataset.manifest.plan)
    assert_is_the_world(dataset, WORLD)


def test_period_without_bounds_takes_all_documents(settings):
    dataset = extract(settings, since=None, until=None)
    assert_is_the_world(dataset, WORLD)
    assert dataset.manifest.request["until_is_now"]


@pytest.mark.parametrize("mapping", ["text", "strings"])
def test_other_mappings_give_the_same_rows(es, elasticsearch_server, data_dir, index, mapping):
    world = World(4_000, seed=2, indexable=True, numbers_as_strings=mapping == "strings")
    fill(es, world, index, mapping=mapping)
    dataset = extract(elastic_settings(elasticsearch_server, data_dir, index))
    assert_is_the_world(dataset, world)
    taskid = dataset.to_arrow()["taskid"].drop_null()[0].as_py()
    one = extract(elastic_settings(elasticsearch_server, data_dir, index), name="one", taskid=taskid, cached=False)
    logs = world.logs()
    assert_same_rows(
        one.to_arrow(), logs.filter(pc.and_(pc.equal(logs["taskid"], taskid), pc.equal(logs["cached"], False)))
    )


def test_a_pattern_over_months_with_a_field_missing_from_one(es, elasticsearch_server, data_dir, index):
    world = World(1_500, seed=4, since="2026-09-30T12:00:00Z", until="2026-10-01T12:00:00Z", indexable=True)
    fill(es, world, f"{index}-{{month}}")
    try:
        es.update_by_query(
            index=f"{index}-2026-09",
            script="ctx._source.remove('squid'); ctx._source.remove('initthreads')",
            refresh=True,
        )
        settings = elastic_settings(elasticsearch_server, data_dir, f"{index}-*")
        dataset = extract(settings, since="2026-09-30", until="2026-10-02")
        rows, logs = dataset.to_arrow(), world.logs()
        assert_same_rows(rows.drop_columns(["squid", "initthreads"]), logs.drop_columns(["squid", "initthreads"]))
        october = pc.greater_equal(rows["time"], pa.scalar(1_790_812_800_000).cast(rows["time"].type))
        assert rows.filter(pc.invert(october))["squid"].null_count == rows.num_rows - pc.sum(october).as_py()
        two = elastic_settings(elasticsearch_server, data_dir, f"{index}-2026-09, {index}-2026-10")
        assert extract(two, name="two", since="2026-09-30").counts == dataset.counts
    finally:
        es.indices.delete(index=f"{index}-2026-09,{index}-2026-10")


def test_extra_fields_are_read_as_the_index_maps_them(es, elasticsearch_server, data_dir, index):
    mapping = {"@timestamp": "date", "sqldb": "keyword", "tries": "integer", "ratio": "double", "ok": "boolean"}
    es.indices.create(index=index, mappings={"properties": {name: {"type": kind} for name, kind in mapping.items()}})
    document = {"@timestamp": "2026-10-01T10:00:00.000Z", "sqldb": "CONDBR2", "sqlquery": "SELECT " + "x" * 3_000}
    for tries in range(50):
        es.index(index=index, document=document | {"tries": tries, "ratio": 0.5, "ok": True})
    es.indices.refresh(index=index)
    settings = elastic_settings(elasticsearch_server, data_dir, index)
    dataset = extract(settings, extra_fields=["tries", "ratio", "ok", "nothere"])
    assert dataset.manifest.request["extra_fields"] == {
        "tries": "integer",
        "ratio": "number",
        "ok": "flag",
        "nothere": "name",
    }
    frame = dataset.to_pandas()
    assert sorted(frame["tries"]) == list(range(50))
    assert frame["ratio"].tolist() == [0.5] * 50
    assert frame["ok"].all()
    assert any("nothere is not in the mapping" in note for note in dataset.manifest.notes)
    # what nobody asked for and is most of each document is not carried
    dry = extract(settings, dry_run=True)
    assert "sqlquery" not in dry.body["_source"]
    assert "sqldb" in dry.body["_source"]


def test_half_a_surrogate_pair_makes_only_its_document_malformed(es, elasticsearch_server, data_dir, index):
    usual = {"@timestamp": "2026-10-01T12:00:00.000Z", "sqldb": "CONDBR2_RO"}
    text = json.dumps({**usual, "sqlowner": "A", "other": "a\ud800"}), json.dumps({**usual, "sqlowner": "\udc00"})
    for document in (*text, *[json.dumps({**usual, "fsize": number}) for number in range(60)]):
        headers = dict.fromkeys(("accept", "content-type"), "application/json")
        es.perform_request("POST", f"/{index}/_doc", body=document.encode(), headers=headers)
    es.indices.refresh(index=index)
    dataset = extract(elastic_settings(elasticsearch_server, data_dir, index))
    assert (dataset.counts.kept, dataset.manifest.malformed) == (61, {"sqlowner: not a name": 1})
    assert dataset.to_pandas(["fsize"])["fsize"].sum() == sum(range(60))


def test_a_limit_cuts_at_the_same_place_each_time(elasticsearch_server, data_dir, filled):
    settings = elastic_settings(elasticsearch_server, data_dir, filled, limit_queries=1_555)
    with pytest.warns(LimitReached, match="limit_queries .1,555. cut one"):
        one = extract(settings, name="one")
    with pytest.warns(LimitReached, match="limit_queries .1,555. cut two"):
        two = extract(settings, name="two")
    assert one.manifest.limit == two.manifest.limit
    assert one.manifest.limit["available"] == 4_000
    assert 1_530 < one.counts.read <= 1_555
    logs = WORLD.logs()
    before = pc.less(logs["time"].cast(pa.int64()), one.manifest.limit["cut_at_ms"])
    assert_same_rows(one.to_arrow(), logs.filter(before))
    assert_same_rows(two.to_arrow(), one.to_arrow())


def test_a_dry_run_has_the_body_the_number_and_a_size(settings, data_dir, es, filled):
    dry = extract(settings, dry_run=True, cached=False, name="")
    assert dry.documents == es.count(index=filled, query=dry.body["query"])["count"] > 200
    assert {"term": {"cached": False}} in dry.body["query"]["bool"]["filter"][1]["bool"]["should"]
    dataset = extract(settings, cached=False)
    assert dry.size == pytest.approx(sum(file.stat().st_size for file in dataset.files()), rel=1.0)


def test_a_period_without_documents_is_a_dataset_without_rows(settings):
    with pytest.warns(NothingFound, match="No document meets the request: d is empty"):
        dataset = extract(settings, since="2020-01-01", until="2020-01-02")
    assert dataset.state == "complete"
    assert dataset.counts.read == 0
    assert dataset.to_pandas().empty


class TestConnection:
    """Getting in, or being told why not."""

    @pytest.fixture
    def changed(self, elasticsearch_server, data_dir, filled):
        def change(**changes):
            return elastic_settings(elasticsearch_server, data_dir, filled, **changes)

        return change

    def test_with_an_api_key(self, es, changed):
        key = es.security.create_api_key(name="reader")["encoded"]
        settings = changed(es_user=None, es_pswd=None, es_api_key=key)
        assert extract(settings).counts.read == 4_000

    def test_with_the_fingerprint_of_the_certificate(self, changed, elasticsearch_server):
        pem = ssl.get_server_certificate(("127.0.0.1", elasticsearch_server.port))
        fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        assert extract(changed(es_ca_certs=None, es_fingerprint=fingerprint)).counts.read == 4_000
        with pytest.raises(ElasticsearchError, match="is not trusted"):
            extract(changed(es_ca_certs=None, es_fingerprint="00" * 32), name="e")

    def test_certificate_is_unverified_only_on_request(self, changed):
        with pytest.raises(ElasticsearchError, match=r"certificate of https://.* is not trusted .*es_ca_certs"):
            extract(changed(es_ca_certs=None))
        assert extract(changed(es_ca_certs=None, es_verify_certs=False)).counts.read == 4_000

    def test_a_wrong_password(self, changed):
        with pytest.raises(ElasticsearchError, match=r"refuses the credentials \(401\). Check es_user") as caught:
            extract(changed(es_pswd="not-the-one"))
        assert "not-the-one" not in str(caught.value)

    def test_no_such_index(self, changed):
        with pytest.raises(ElasticsearchError, match=r"There is no index nowhere-\* on https"):
            extract(changed(es_index="nowhere-*"))
        with pytest.raises(ElasticsearchError, match="There is no index nowhere on https"):
            extract(changed(es_index="nowhere"))

    def test_server_that_does_not_answer(self, changed):
        with pytest.raises(ElasticsearchError, match=r"127.0.0.1:9 does not answer .*Check es_address and es_port"):
            extract(changed(es_address="http://127.0.0.1:9", es_ca_certs=None))

    def test_an_index_without_times(self, es, index, changed):
        es.index(index=index, document={"@timestamp": "now and then"}, refresh=True)
        with pytest.raises(
            ElasticsearchError, match=r"by @timestamp: the field is text\. Leave out of es_index every index"
        ):
            extract(changed(es_index=index))

    def test_failed_extraction_leaves_no_files(self, changed, data_dir):
        with pytest.raises(ElasticsearchError, match="There is no index"):
            extract(changed(es_index="nowhere"))
        assert fl.datasets.list_datasets(changed()).empty


@pytest.mark.usefixtures("small_parts")
class TestFaults:
    """What goes wrong while an index is read."""

    @pytest.fixture
    def proxy(self, elasticsearch_server):
        with FlakyProxy(elasticsearch_server.url, elasticsearch_server.ca_certs) as proxy:
            yield proxy

    @pytest.fixture
    def settings(self, elasticsearch_server, data_dir, small, proxy):
        return elastic_settings(elasticsearch_server, data_dir, small, es_address=proxy.url, es_page=500)

    def test_busy_server_is_asked_again_for_smaller_pages(self, settings, proxy):
        proxy.faults.append(too_many_requests(times=3, skip=5, when=SEARCH))
        assert_is_the_world(extract(settings.model_copy(update={"es_page": 1_000})), SMALL)
        assert proxy.statuses(SEARCH).count(429) == 3
        asked = [
            (json.loads(seen.body)["size"], seen.status) for seen in proxy.requests if seen.line.startswith(SEARCH)
        ]
        pages = [(size, status) for size, status in asked if size > 100]  # the others count, or look at a few
        assert min(size for size, _ in pages) == 500
        assert pages[-1] == (1_000, 200)  # and back up

    def test_temporary_failures_are_retried(self, settings, proxy):
        faults = [
            Cut(when=SEARCH, skip=1),
            Cut(when=SEARCH, skip=3, reset=True),
            Drop(when=SEARCH, skip=4, times=2),
            Drop(when=SEARCH, skip=6, served=True),
            Answer(503, {"error": "unavailable", "status": 503}, when=SEARCH, skip=7, times=2),
            Answer(502, "<html>bad gateway</html>", when=SEARCH, skip=9),
            Delay(0.5, when=SEARCH, skip=10),
        ]
        proxy.faults += faults  # each skips what those before let pass, so an answer comes between two of them
        assert_is_the_world(extract(settings), SMALL)
        assert [fault.struck for fault in faults] == [fault.times for fault in faults]

    def test_a_partial_answer_is_an_error_and_not_fewer_rows(self, settings, proxy):
        for fault, message in (
            (failed_shards(when=SEARCH, skip=10), "1 of its shards failed. The partial answer was not used"),
            (timed_out(when=SEARCH, skip=1), "the search timed out. The partial answer was not used"),
        ):
            proxy.faults.append(fault)
            with pytest.raises(InterruptedExtraction, match=rf"stopped with \d+ of \d+ parts stored: .*{message}"):
                extract(settings)
            assert fl.datasets.open_dataset("d", settings).state == "incomplete"
        assert_is_the_world(extract(settings), SMALL)

    def test_absent_server_interrupts_and_the_same_call_resumes(self, settings, proxy):
        fault = Drop(when=SEARCH, skip=12, times=None)
        proxy.faults.append(fault)
        impatient = settings.model_copy(update={"es_retry_seconds": 1.0})
        with pytest.raises(InterruptedExtraction, match="does not answer"):
            extract(impatient)
        there = len(list(fl.datasets.open_dataset("d", settings).path.glob("parts/0*")))
        assert there > 0
        proxy.faults.clear()
        before = len(proxy.requests)
        assert_is_the_world(extract(impatient), SMALL)
        assert sum(seen.line.startswith(SEARCH) for seen in proxy.requests[before:]) < 60

    def test_part_is_read_again_after_its_point_in_time_is_lost(self, settings, proxy):
        proxy.faults.append(Answer(404, GONE, when=SEARCH, skip=10))
        assert_is_the_world(extract(settings), SMALL)

    def test_repeated_loss_of_the_point_in_time_interrupts(self, settings, proxy):
        proxy.faults.append(Answer(404, GONE, when=SEARCH, skip=10, times=None))
        with pytest.raises(InterruptedExtraction, match="the point in time is gone"):
            extract(settings)

    def test_no_point_in_time_is_left_open(self, settings, proxy):
        extract(settings)
        opened = sum(seen.line.startswith("POST") and "/_pit?" in seen.line for seen in proxy.requests)
        closed = sum(seen.line.startswith("DELETE /_pit") for seen in proxy.requests)
        assert opened == closed > 3  # one for each part, and one to look


CHILD = """
import os, signal, sys
import frontierlab as fl

fl.extract(
    fl.Settings(), name="d", since="2026-10-01", until="2026-10-02",
    progress=lambda p: os.kill(os.getpid(), signal.SIGKILL) if p.done >= 1_000 else None,
)
"""


@pytest.mark.usefixtures("small_parts")
def test_killed_extraction_resumes_to_all_rows(elasticsearch_server, data_dir, small, tmp_path):
    settings = elastic_settings(elasticsearch_server, data_dir, small)
    config = tmp_path / "configuration.txt"
    secrets = {"es_pswd": settings.es_pswd.get_secret_value()}
    fl.create_config_file(config, **settings.model_dump(exclude_unset=True, exclude=set(secrets)), **secrets)
    status, text = run_forked(CHILD, cwd=tmp_path, env={"CONFIG_FILE": str(config)})
    assert status == -signal.SIGKILL, text
    killed = fl.datasets.open_dataset("d", settings)
    assert killed.state == "incomplete"
    assert_is_the_world(extract(settings), SMALL)


def test_no_secret_is_stored_or_shown(settings):
    dataset = extract(settings)
    secret = settings.es_pswd.get_secret_value()
    assert secret not in (dataset.path / "manifest.json").read_text()
    assert secret not in repr(dataset) + repr(settings) + repr(dataset.manifest)
