"""Which jobs a worker sends again, by their records and the length of the queue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from filelock import FileLock

import frontierlab as fl
from frontierlab.errors import JobError
from frontierlab.jobs.lost_jobs import LostJobs
from frontierlab.jobs.processes import Process
from frontierlab.jobs.records import JobStore


def resend_lost_jobs(broker, store):
    """Send lost jobs again as a worker does that has looked before, with the same heartbeats."""
    lost = LostJobs(broker, store)
    lost._heartbeats = {id: store.read(id).heartbeat for id in store.ids() if store.path(id).read_text() != "{}"}
    return lost.resend()


FAR = Process(host="elsewhere", pid=1)


class QueueOf:
    """A broker with so many messages in its queue."""

    address = "h:6379/0"

    def __init__(self, queued=0, refused=(), elsewhere=(), away=False):
        self._queued = queued
        self._refused = refused
        self._elsewhere = elsewhere
        self.away = away
        self.sent = []

    def queued(self):
        return self._queued

    def ticket(self, id):
        if id in self._elsewhere:
            return None
        return "refused: no such job" if id in self._refused else "queued"

    def send(self, record):
        if self.away:
            raise JobError("the broker is away")
        self.sent.append(record.id)


@pytest.fixture
def store(data_dir):
    return JobStore(fl.sample.settings(data_dir=data_dir))


@pytest.fixture
def job(store):
    """Write a record that was sent, and of which a heartbeat was written, so many seconds ago; return its id."""

    def write(state="queued", sent=100.0, heartbeat=None, broker=QueueOf.address, backend="celery", **fields):
        def ago(seconds):
            return None if seconds is None else datetime.now(UTC) - timedelta(seconds=seconds)

        record = store.create(kind="catalogue", backend=backend, broker=broker, patience=10, sent=ago(sent), **fields)
        with store.changing(record.id) as mine:
            mine.state, mine.heartbeat = state, ago(heartbeat)
            mine.process = None if heartbeat is None else FAR
        return record.id

    return write


def test_queued_jobs_are_sent_again_if_the_queue_is_empty(store, job):
    lost = job(sent=11)
    job(sent=9)  # a worker may be about to claim it
    job(state="succeeded")
    job(backend="thread")
    other = job(broker="another:6379/0")
    broker = QueueOf(elsewhere=[other])
    assert resend_lost_jobs(broker, store) == broker.sent == [lost]
    assert resend_lost_jobs(broker, store) == []  # until its patience is over once more


def test_queued_jobs_wait_for_their_turn_in_the_queue(store, job):
    job(sent=1_000)
    assert resend_lost_jobs(QueueOf(3), store) == []


def test_queued_jobs_that_a_later_one_has_overtaken_are_sent_again(store, job):
    overtaken, _ = job(sent=300), job(sent=100)
    job(state="running", sent=200, heartbeat=1)
    job(state="running", sent=50, heartbeat=60)  # lost itself, so its last message may be in the queue
    broker = QueueOf(3)
    assert resend_lost_jobs(broker, store) == broker.sent == [overtaken]


def test_running_jobs_without_heartbeats_are_sent_again_once(store, job):
    lost = job(state="running", sent=1_000, heartbeat=11)
    job(state="running", sent=1_000, heartbeat=9)
    broker = QueueOf(3)
    assert resend_lost_jobs(broker, store) == [lost]
    assert resend_lost_jobs(broker, store) == []


def test_lost_jobs_in_a_long_queue_are_not_sent_each_time(store, job):
    lost = job(state="running", sent=1_000, heartbeat=900)
    broker = QueueOf(3)
    resend_lost_jobs(broker, store)
    with store.changing(lost) as record:
        record.sent -= timedelta(seconds=800)
    assert resend_lost_jobs(broker, store) == []
    assert resend_lost_jobs(QueueOf(0), store) == [lost]


def test_jobs_whose_submitter_ended_before_it_sent_them_are_sent(store, job):
    id = job(sent=None, broker="")
    with store.changing(id) as record:
        record.submitted -= timedelta(seconds=11)
    assert resend_lost_jobs(QueueOf(), store) == [id]


def test_a_locked_record_does_not_keep_other_jobs_lost(store, job, monkeypatch):
    """A process may be stopped while it has the lock: the worker does not wait for that long at each look."""
    monkeypatch.setattr("frontierlab.jobs.records._LOCK_SECONDS", 3_600)
    monkeypatch.setattr("frontierlab.jobs.lost_jobs._LOCK_SECONDS", 0.1)
    other, locked = job(), job()
    with FileLock(store.path(locked, ".lock")):
        assert resend_lost_jobs(QueueOf(), store) == [other]
    assert resend_lost_jobs(QueueOf(), store) == [locked]


def test_refused_jobs_and_malformed_records_are_left_alone(store, job):
    store.path(job()).write_text("{}")
    assert resend_lost_jobs(QueueOf(refused=[job()]), store) == []


def test_refused_jobs_that_run_are_sent_again(store, job):
    """A duplicate was refused by a worker that does not see the data folder; then the runner was lost."""
    lost = job(state="running", sent=1_000, heartbeat=60)
    assert resend_lost_jobs(QueueOf(refused=[lost]), store) == [lost]


def test_jobs_are_sent_again_whatever_name_the_submitter_has_for_the_broker(store, job):
    lost = job(broker="localhost:6379/0")
    assert resend_lost_jobs(QueueOf(), store) == [lost]


def test_a_resent_job_does_not_make_the_others_look_lost(store, job):
    """The oldest job ran, was resent by mistake and runs on; the others wait in the queue behind it."""
    first, second, third = job(sent=300), job(sent=200), job(sent=100)
    broker = QueueOf()
    assert resend_lost_jobs(broker, store) == [first, second, third]
    sent = [store.read(id).sent for id in (first, second, third)]
    assert sent == sorted(sent)


def test_a_submitter_whose_clock_is_ahead_makes_no_job_look_lost(store, job):
    job(sent=1_000)
    job(state="running", sent=-3_600, heartbeat=1)
    assert resend_lost_jobs(QueueOf(3), store) == []


def test_a_runner_whose_clock_is_slow_is_not_lost(store, job):
    id = job(state="running", sent=1_000, heartbeat=100)
    lost = LostJobs(QueueOf(3), store)
    assert lost.resend() == []  # the first look
    with store.changing(id) as record:
        record.heartbeat += timedelta(seconds=1)
    assert lost.resend() == []
    assert lost.resend() == [id]


def test_a_job_that_cannot_be_sent_stays_lost(store, job):
    id = job(sent=100)
    before = store.read(id).sent
    with pytest.raises(JobError, match="is away"):
        resend_lost_jobs(QueueOf(away=True), store)
    assert store.read(id).sent == before
    assert resend_lost_jobs(QueueOf(), store) == [id]
