"""Extractions from an index that several workers read, and the jobs of a night."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

import frontierlab as fl
from frontierlab import jobs
from frontierlab.jobs.records import JobStore
from frontierlab.sample import World
from tests.services.flaky import Delay, FlakyProxy
from tests.support.extractions import assert_is_the_world, plain
from tests.support.workers import FEW_CHAPTERS, LONG, until, until_read

pytestmark = [pytest.mark.redis, pytest.mark.last]  # one of them restarts Elasticsearch


INDEXED = World(6_000, seed=11, indexable=True)


def as_bytes(dataset):
    """The rows of a dataset, sorted, as bytes."""
    rows, sink = plain(dataset.to_arrow()).combine_chunks(), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


@pytest.fixture(scope="module")
def filled(es):
    """An index with the documents of `INDEXED`."""
    name = "test-workers"
    fl.sample.load(es, INDEXED, name)
    yield name
    es.indices.delete(index=name)


@pytest.fixture
def elastic(configure, elasticsearch_server, filled):
    """Settings for the index through a proxy, which answers each search after a quarter of a second."""
    server = elasticsearch_server
    with FlakyProxy(server.url, server.ca_certs) as proxy:
        proxy.faults.append(Delay(when="POST /_search", seconds=0.25, times=None))
        fields = {"es_address": proxy.url, "es_user": server.user, "es_pswd": server.password, "es_index": filled}
        yield configure(**fields, es_page=500, es_slices=1), proxy


DAY = {"since": "2026-10-01", "until": "2026-10-02"}


@pytest.mark.elasticsearch
def test_an_extraction_that_waits_for_elasticsearch_is_cancelled_within_seconds(elastic, start):
    settings, proxy = elastic
    start()
    job = jobs.submit("extraction", settings=settings, name="d", **DAY)
    until_read(job, 1)
    job.cancel()
    assert job.wait(LONG) == "cancelled"
    seen = len(proxy.requests)
    assert fl.datasets.open_dataset("d", settings).state == "incomplete"
    proxy.faults.clear()
    again = jobs.submit("extraction", settings=settings, name="d", **DAY)
    assert_is_the_world(again.result(LONG), INDEXED)
    assert seen < len(proxy.requests)


@pytest.mark.elasticsearch
def test_a_running_extraction_needs_no_redis(elastic, start, redis_server):
    settings, proxy = elastic
    start("first"), start("second")
    job = jobs.submit("extraction", settings=settings, name="d", **DAY)
    until_read(job, 2_001)
    redis_server.lose()
    until_read(job, job.progress.done + 1)
    redis_server.start()
    proxy.faults.clear()
    assert_is_the_world(job.result(LONG), INDEXED)
    assert job.record().attempts == 1


@pytest.mark.elasticsearch
def test_two_workers_read_the_same_rows_as_one_process(elastic, start):
    settings, proxy = elastic
    first, second = start("first"), start("second")
    job = jobs.submit("extraction", settings=settings, name="d", **DAY)
    until(lambda: "'read'" in first.text + second.text, "a part that the other worker read")
    proxy.faults.clear()
    assert_is_the_world(job.result(LONG), INDEXED)
    alone = fl.extract(settings, name="alone", progress=False, **DAY)
    assert as_bytes(job.result()) == as_bytes(alone)


@pytest.mark.elasticsearch
def test_a_worker_that_starts_later_reads_parts(elastic, start):
    settings, proxy = elastic
    first = start("first")
    job = jobs.submit("extraction", settings=settings, name="d", **DAY)
    until_read(job, 2_001)
    second = start("second")
    until(lambda: "'read'" in second.text, "a part read by the second worker")
    proxy.faults.clear()
    assert_is_the_world(job.result(LONG), INDEXED)
    assert "'read'" not in first.text.split(job.id + "]")[0]


@pytest.mark.elasticsearch
def test_a_helper_killed_while_it_reads_a_part_costs_only_time(elastic, start):
    settings, proxy = elastic
    start("first")
    job = jobs.submit("extraction", settings=settings, name="d", **DAY)
    until_read(job, 1)
    second = start("second")
    until(lambda: second.text.count("received") > second.text.count("succeeded"), "a part of the second worker")
    searches = len(proxy.requests)
    until(lambda: len(proxy.requests) > searches + 2, "further searches")  # each worker has one at a time
    second.kill()
    proxy.faults.clear()
    dataset = job.result(LONG)
    assert_is_the_world(dataset, INDEXED)
    assert not list(dataset.path.glob("parts/.*"))
    assert not list(dataset.path.parent.glob(".d.locks"))


@pytest.mark.elasticsearch
def test_a_night_outlives_the_worker_that_began_it(elastic, configure, start):
    settings, proxy = elastic
    fields = {name: getattr(settings, name) for name in ("es_address", "es_user", "es_index", "es_ca_certs")}
    more = {"es_page": 500, "es_slices": 1, "periodic": "catalogue extraction caching report"}
    settings = configure(**fields, **more, es_pswd=settings.es_pswd.get_secret_value())
    first = start("w", "--pool=solo", program=FEW_CHAPTERS)
    job = jobs.submit("night", settings=settings, now=datetime(2026, 10, 2, 2, tzinfo=UTC))
    until_read(job, 1)
    start("second", program=FEW_CHAPTERS)
    first.kill()
    proxy.faults.clear()
    until(lambda: JobStore(settings).read(job.id).has_ended, "the end of the night")
    nights = job.result()
    assert (job.record().attempts, job.warnings, nights["state"].tolist()) == (2, [], ["complete"])
    dataset = fl.datasets.open_dataset("nightly-2026-10-01", settings)
    assert_is_the_world(dataset, INDEXED)
    assert dataset.manifest.maker == "night"
    assert fl.caching.history.read(settings)["dataset"].unique().tolist() == ["nightly-2026-10-01"]
    assert (settings.data_dir / nights["report"].iloc[0]).exists()


@pytest.mark.elasticsearch
def test_a_crash_of_elasticsearch_changes_nothing(elastic, start, elasticsearch_server):
    settings, proxy = elastic
    start("first"), start("second")
    job = jobs.submit("extraction", settings=settings, name="d", **DAY)
    until_read(job, 2_001)
    elasticsearch_server.kill()
    assert not elasticsearch_server.running
    assert not elasticsearch_server.processes()
    elasticsearch_server.start()
    proxy.faults.clear()
    assert_is_the_world(job.result(LONG), INDEXED)
