"""A real Redis that restarts, loses its data or does not answer, and what it gets to hold."""

from __future__ import annotations

import json
import re
import socket
from datetime import timedelta

import pytest

from frontierlab import jobs
from frontierlab.errors import JobError
from frontierlab.jobs.backends import backend_of
from frontierlab.jobs.broker import Broker
from frontierlab.jobs.records import JobStore
from tests.support.extractions import assert_is_the_world
from tests.support.workers import LONG, SLEEPER, WORLD, asleep, until

pytestmark = pytest.mark.redis


@pytest.fixture(autouse=True)
def no_earlier_failures(monkeypatch):
    """Forget which brokers did not answer in earlier tests: this process would not ask them for seconds."""
    monkeypatch.setattr(backend_of("celery"), "_away", {})


def test_a_redis_that_comes_back_with_its_data_loses_nothing(settings, start, export, redis_server):
    waiting = jobs.submit("extraction", settings=settings, name="d", source=export)
    redis_server.stop()
    redis_server.start()
    start()
    assert_is_the_world(waiting.result(LONG), WORLD)


def test_a_job_goes_on_while_its_redis_restarts(settings, start, tmp_path, redis_server, export):
    worker = start(program=SLEEPER)
    job = jobs.submit("catalogue", settings=settings)
    asleep(tmp_path)
    redis_server.stop()
    until(lambda: "Connection to broker lost" in worker.text, "the worker's notice")
    assert job.state == "running"
    redis_server.start()
    queued = jobs.submit("extraction", settings=settings, name="d", source=export)
    job.cancel()
    assert job.wait(LONG) == "cancelled"
    assert_is_the_world(queued.result(LONG), WORLD)
    assert job.record().attempts == 1
    assert "Traceback" not in worker.text.split("Connection to broker")[0]


def test_a_redis_that_lost_its_data_costs_only_time(settings, start, export, tmp_path, redis_server):
    start(program=SLEEPER)
    running = jobs.submit("catalogue", settings=settings)
    asleep(tmp_path)
    queued = jobs.submit("extraction", settings=settings, name="d", source=export)
    redis_server.lose()
    redis_server.start()
    assert running.state == "running"
    running.cancel()
    assert running.wait(LONG) == "cancelled"
    assert_is_the_world(queued.result(LONG), WORLD)
    assert (running.record().attempts, queued.record().attempts) == (1, 1)


def test_an_unreachable_broker_is_an_error_at_once(settings, export, redis_server):
    redis_server.stop()
    with pytest.raises(JobError, match=r"The broker 127.0.0.1:\d+/0 does not answer .* Is its Redis running"):
        jobs.submit("extraction", settings=settings, name="d", source=export)
    [job] = jobs.jobs(settings)
    assert job.state == "failed"
    assert "does not answer" in job.error
    assert redis_server.password not in job.error


def test_a_broker_that_stays_unreachable_fails_the_job(settings, export, redis_server, monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.celery_backend._PATIENCE", 1)
    monkeypatch.setattr("frontierlab.jobs.celery_backend._PAUSE", 0.2)
    monkeypatch.setattr("frontierlab.jobs.celery_backend._EARLY", timedelta(0))
    job = jobs.submit("extraction", settings=settings, name="d", source=export)
    redis_server.stop()
    with pytest.raises(JobError, match="its broker has not answered for 1 s: The broker"):
        job.result(LONG)


def test_a_job_without_a_worker_is_an_error_after_a_while(settings, export, monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.job._ALONE", 1)
    monkeypatch.setattr("frontierlab.jobs.celery_backend._EARLY", timedelta(0))
    job = jobs.submit("extraction", settings=settings, name="d", source=export)
    with pytest.raises(JobError, match=r"stays queued: There is no worker: .* make worker"):
        job.result(LONG)
    assert job.state == "queued"


def test_a_broker_that_never_answers_is_an_error(configure, export, monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.broker._PATIENCE", 0.2)
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda seconds: None)  # 6 s between its attempts
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = configure(broker_url=f"redis://:sesame@127.0.0.1:{silent.getsockname()[1]}/0")
        for _ in range(3):
            with pytest.raises(JobError, match=r"does not answer .*Timeout"):
                jobs.submit("extraction", settings=settings, name="d", source=export)
        with pytest.raises(JobError, match=r"did not accept the message .*Timeout"):
            Broker(settings)._publish("any", "x")
        store = JobStore(settings)
        for job in jobs.jobs(settings):
            with store.changing(job.id) as record:
                record.state, record.ended, record.submitted = "queued", None, record.submitted - timedelta(seconds=9)
        asked = []
        monkeypatch.setattr(Broker, "ticket", lambda self, id, ask=Broker.ticket: asked.append(id) or ask(self, id))
        assert [job.state for job in jobs.jobs(settings)] == ["queued"] * 3
        assert len(asked) == 1  # the others do not wait for the same
        jobs.jobs(settings)[0].cancel()
        assert jobs.jobs(settings)[0].state == "cancelled"


def test_a_redis_under_another_name_is_asked_for_its_jobs(configure, export, start, redis_server):
    waiting = jobs.submit("extraction", settings=configure(), name="d", source=export)
    other = f"redis://:{redis_server.password}@localhost:{redis_server.port}/0"  # as another machine names it
    there = jobs.open_job(waiting.id, configure(broker_url=other))
    with JobStore(configure()).changing(waiting.id) as record:
        record.submitted -= timedelta(seconds=9)
    assert there.warnings[0].startswith("There is no worker: the job waits at the broker localhost:")
    redis_server.client.flushall()
    assert there.state == "queued"
    assert re.search(r"the job was sent to the broker 127.* and the settings here name localhost", there.warnings[0])
    assert waiting.warnings[0].startswith("There is no worker: the job waits at the broker 127")


def test_messages_hold_no_argument_and_no_secret(configure, redis_server, data_dir):
    settings = configure(es_address="h", es_user="u", es_pswd="hunter-two", es_index="frontier-new-*")
    extra = [f"field{number}" for number in range(5_000)]
    job = jobs.submit("extraction", settings=settings, name="marked", extra_fields=extra)
    everything = redis_server.stored()
    assert job.id in everything
    for word in ("hunter-two", "marked", "field4999", "frontier-new"):
        assert word not in everything
    [message] = redis_server.client.lrange("frontierlab", 0, -1)
    assert len(message) < 2_000
    assert json.loads(message)["content-type"] == "application/json"
    assert "hunter-two" not in JobStore(settings).path(job.id).read_text()


def test_a_lost_message_is_sent_again(settings, start, export, redis_server):
    foreign = "20261001T000000000-extraction-00000000"  # of a submitter with another data folder
    Broker(settings).refuse(foreign, "the worker does not find the job")
    job = jobs.submit("extraction", settings=settings, name="d", source=export)
    redis_server.client.delete("frontierlab")  # as when a worker ends between taking a message and saying so
    start()
    assert_is_the_world(job.result(LONG), WORLD)
    assert job.record().attempts == 1
    assert Broker(settings).ticket(foreign).startswith("refused: ")
