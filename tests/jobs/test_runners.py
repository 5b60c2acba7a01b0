"""Runners of jobs: heartbeats, two runners of a job, and the end of their process."""

from __future__ import annotations

import errno
import re
import signal
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from frontierlab import Settings, jobs
from frontierlab.errors import JobError
from frontierlab.jobs import backends, kinds
from frontierlab.jobs.broker import Broker
from frontierlab.jobs.context import JobContext, JobStopped
from frontierlab.jobs.kind import JobOutcome
from frontierlab.jobs.records import JobStore
from frontierlab.jobs.runner import claim, run_claimed
from frontierlab.util.files import write_text
from frontierlab.util.progress import Progress
from tests.services.processes import in_fork
from tests.support.jobs import LONG, stop_without_lock, until_idle
from tests.support.programs import forked
from tests.support.waiting import wait_for


@pytest.mark.slow
def test_jobs_of_a_process_that_exits_have_failed(settings):
    code = """
import sys, time, frontierlab as fl
from frontierlab.jobs import kinds
from frontierlab.util.progress import Progress

class Endless(kinds.CatalogueRefresh):
    def run(self, record, settings, context):
        while True:
            context.report(Progress("endless", 0, None, 0.0, None))
            time.sleep(0.02)

kinds.KINDS["catalogue"] = Endless()
job = fl.jobs.submit("catalogue", settings=fl.sample.settings(data_dir=sys.argv[1]))
while job.state != "running":
    time.sleep(0.02)
for _ in range(3):
    fl.jobs.submit("catalogue", settings=fl.sample.settings(data_dir=sys.argv[1]))
"""
    subprocess.run([sys.executable, "-c", code, settings.data_dir], check=True, timeout=LONG)
    assert {job.state for job in jobs.jobs(settings)} == {"failed"}
    assert {job.error for job in jobs.jobs(settings)} == {
        "The process that ran the job ended first: submit the job again."
    }
    assert [job.started is None for job in jobs.jobs(settings)] == [True, True, False, False]


def test_heartbeats_are_written_for_queued_jobs(settings, waiting, monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.backends._QUEUED_BEAT", 0.05)
    monkeypatch.setitem(backends._backends, "thread", backends.ThreadBackend())
    job = [jobs.submit("catalogue", settings=settings) for _ in range(3)][-1]
    seen = set()
    wait_for(lambda: seen.add(job.record().heartbeat) or len(seen) == 4)
    assert job.state == "queued"
    waiting.go.set()
    assert job.wait(LONG) == "succeeded"


def test_heartbeats_are_written_while_a_job_reports_nothing(settings, monkeypatch):
    monkeypatch.setitem(JobContext.__init__.__kwdefaults__, "beat", 0.05)
    go, seen = threading.Event(), set()

    class Silent(kinds.CatalogueRefresh):
        def run(self, record, settings, context):
            go.wait(LONG)
            return JobOutcome({})

    monkeypatch.setitem(kinds.KINDS, "catalogue", Silent())
    job = jobs.submit("catalogue", settings=settings)
    wait_for(lambda: seen.add(job.record().heartbeat) or len(seen) == 4)
    go.set()
    assert job.wait(LONG) == "succeeded"


def test_a_job_whose_kind_cannot_be_imported_has_failed(settings, monkeypatch):
    store = JobStore(settings)
    context = JobContext(store, store.create(kind="catalogue", arguments={}, backend="thread").id, settings)
    assert claim(context) == "mine"
    monkeypatch.setitem(sys.modules, "frontierlab.jobs.kinds", None)  # as where the package is exchanged meanwhile
    run_claimed(context)
    record = store.read(context.id)
    assert (record.state, record.error[:20]) == ("failed", "ModuleNotFoundError:")


def test_only_the_later_of_two_runners_writes_into_the_record(settings):
    store = JobStore(settings)
    id = store.create(kind="catalogue", arguments={}, backend="thread").id
    first, second = JobContext(store, id, settings), JobContext(store, id, settings)
    assert (claim(first), claim(second)) == ("mine", "busy")
    with store.changing(id) as record:
        record.heartbeat -= timedelta(seconds=61)
    assert (claim(second), claim(first)) == ("mine", "busy")
    before = store.read(id)
    first.write_heartbeat(Progress("late", 1, None, 0.0, None))
    first.end(state="failed", error="in use")
    assert store.read(id) == before
    with pytest.raises(JobStopped, match="Another process has taken over the job"):
        first.raise_if_stopped()
    with pytest.raises(JobStopped, match="Another process has taken over the job"):
        first.confirm_ownership()
    second.confirm_ownership()
    assert first.path(".ipynb").name != second.path(".ipynb").name
    second.end(state="succeeded", result={"file": "x"})
    assert (store.read(id).state, store.read(id).result) == ("succeeded", {"file": "x"})
    second.end(state="failed", error="again")
    assert store.read(id).error is None


@pytest.mark.slow
def test_a_stopped_runner_does_not_end_the_job_of_its_successor(settings, tmp_path):
    store = JobStore(settings)
    id = store.create(kind="catalogue", arguments={}, backend="thread", patience=2).id

    class Slow(kinds.CatalogueRefresh):
        def run(self, record, settings, context):
            (tmp_path / "begun").touch()
            context.cancelled.wait(60)
            return JobOutcome({"when": "of the one that was stopped"})

    def first_runner():
        kinds.KINDS["catalogue"] = Slow()  # in the fork alone
        context = JobContext(JobStore(settings), id, settings, beat=0.1)
        assert claim(context) == "mine"
        with context.watching():
            run_claimed(context)
        print(context.reason)  # noqa: T201

    with forked(first_runner, stdout=subprocess.PIPE, text=True) as child:
        wait_for((tmp_path / "begun").exists)
        stop_without_lock(child.pid, store.path(id, ".lock"))
        wait_for(lambda: store.read(id).is_lost())
        context = JobContext(store, id, settings)
        assert claim(context) == "mine"
        child.send_signal(signal.SIGCONT)
        said, _ = child.communicate(timeout=LONG)
    assert said == "Another process has taken over the job, or the record of the job was removed.\n"
    assert store.read(id).state == "running"
    context.end(state="succeeded", result={"when": "of the valid one"})
    assert (store.read(id).state, store.read(id).result) == ("succeeded", {"when": "of the valid one"})


def test_a_job_is_cancelled_even_if_its_work_does_not_stop(settings, monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.context._GRACE", 0.1)
    begun, go = threading.Event(), threading.Event()

    class Deaf(kinds.CatalogueRefresh):
        def run(self, record, settings, context):
            begun.set()
            go.wait(LONG)
            return JobOutcome({"when": "too late"})

    monkeypatch.setitem(kinds.KINDS, "catalogue", Deaf())
    job = jobs.submit("catalogue", settings=settings)
    assert begun.wait(LONG)
    job.cancel()
    assert job.wait(LONG) == "cancelled"
    assert job.warnings[0].startswith("The work of the job went on for 0.1 s after it was told to stop.")
    go.set()
    until_idle()
    assert (job.state, job.record().result) == ("cancelled", None)


@pytest.mark.slow
def test_a_disk_that_is_full_for_a_moment_costs_heartbeats_only(settings, waiting, monkeypatch):
    monkeypatch.setitem(JobContext.__init__.__kwdefaults__, "beat", 0.05)
    job = jobs.submit("catalogue", settings=settings)
    waiting.begun.acquire(timeout=LONG)
    full = [OSError(errno.ENOSPC, "No space left on device") for _ in range(3)]

    def write(path, text):
        if full:
            raise full.pop()
        write_text(path, text)

    monkeypatch.setattr("frontierlab.jobs.records.write_text", write)
    wait_for(lambda: len(full) < 3)
    waiting.go.set()
    assert job.wait(LONG) == "succeeded"
    word, lost = job.warnings
    assert word == "a word"
    assert re.fullmatch(r"[123] heartbeats of the job could not be written.", lost)


def test_a_back_end_that_is_not_installed_is_an_error(monkeypatch):
    monkeypatch.delitem(backends._backends, "celery", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(JobError, match=r"Celery is not installed \(celery\): pip install"):
        backends.backend_of("celery")


def test_a_celery_that_cannot_be_loaded_is_an_error(tmp_path, monkeypatch):
    broker = Broker(Settings(data_dir=tmp_path, broker_url="redis://localhost:1/0"))
    monkeypatch.setitem(sys.modules, "kombu.exceptions", None)
    with pytest.raises(JobError, match=r"Celery cannot be loaded .*: pip install"):
        broker._publish("any", "x")


ABANDONED = """
import pathlib, socket, sys
from frontierlab import Settings, jobs
silent = socket.create_server(("127.0.0.1", 0))
address = f"http://127.0.0.1:{silent.getsockname()[1]}"
job = jobs.submit("catalogue", settings=Settings(data_dir=sys.argv[1], coolr_host=address, job_backend="thread"))
asked = silent.accept()
print(job.id)
"""


@pytest.mark.slow
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_script_ends_even_if_its_job_waits_for_coolr(settings):
    command = [sys.executable, "-c", ABANDONED, settings.data_dir]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LONG)
    assert jobs.open_job(done.stdout.strip(), settings).error == backends._PROCESS_ENDED


@pytest.mark.slow
def test_a_forked_process_runs_only_its_own_jobs(settings, export):
    jobs.submit("extraction", settings=settings, backend="thread", name="first", source=export).result(LONG)
    before = backends.backend_of("thread")

    def second() -> bool:
        job = jobs.submit("extraction", settings=settings, backend="thread", name="second", source=export)
        before._running["other"] = None  # what the other process is at: its end is not for this one
        before._end()
        return job.wait(LONG) == "succeeded"

    assert in_fork(second)
