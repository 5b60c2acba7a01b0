"""Jobs without services: inline and in threads, their records, cancelling, and what is refused."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import filelock
import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

import frontierlab as fl
from frontierlab import jobs
from frontierlab.errors import DatasetError, InvalidRequestError, JobCancelled, JobError
from frontierlab.jobs import backends, kinds, periodic
from frontierlab.jobs.arguments import as_json
from frontierlab.jobs.broker import Broker
from frontierlab.jobs.context import JobContext, JobStopped
from frontierlab.jobs.kinds import JobOutcome
from frontierlab.jobs.periodic import submit_periodic
from frontierlab.jobs.processes import Process
from frontierlab.jobs.records import JobRecord, JobStore
from frontierlab.jobs.runner import claim
from frontierlab.sample import World
from frontierlab.settings import as_variables
from frontierlab.util.files import write_text
from frontierlab.util.progress import Progress
from tests.services.processes import in_fork
from tests.support.extractions import assert_is_the_world

LONG = 60  # seconds after which a test that waits has failed


@pytest.fixture
def settings(data_dir):
    return fl.sample.settings(data_dir=data_dir)


@pytest.fixture
def export(tmp_path):
    path = tmp_path / "dump.ndjson"
    World(3_000, seed=3).write(path)
    return path


class Waiting(kinds.CatalogueRefresh):
    """A catalogue job that waits, reporting, until it is let go."""

    def __init__(self):
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.error = None

    def run(self, record, settings, context):
        self.begun.release()
        count = 0
        while not self.go.wait(0.02):
            count += 1
            context.report(Progress("waiting", count, None, 1.0, None))
        if self.error is not None:
            raise self.error
        return JobOutcome({"when": "2026-10-01T00:00:00+00:00", "failures": []}, ["a word"])


def until_idle():
    """Wait until no thread runs a job any more."""
    wait_for(backends.backend_of("thread").is_idle)


def wait_for(condition):
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def waiting(monkeypatch):
    kind = Waiting()
    monkeypatch.setitem(kinds.KINDS, "catalogue", kind)
    yield kind
    kind.go.set()
    until_idle()


@pytest.mark.parametrize("backend", ["inline", "thread"])
def test_an_extraction_becomes_a_dataset(settings, export, backend):
    job = jobs.submit("extraction", settings=settings, backend=backend, name="d", source=export)
    assert_is_the_world(job.result(LONG), World(3_000, seed=3))
    assert job.state == "succeeded"
    assert (job.kind, job.backend, job.error, job.warnings, job.traceback) == ("extraction", backend, None, [], "")
    assert job.arguments == {"name": "d", "source": str(export)}
    assert job.submitted <= job.started <= job.ended
    assert job.submitted.utcoffset() == timedelta(0)
    assert job.progress.stage == "reading"
    assert job.progress.done == job.progress.total == 3_000
    assert " on " in job.who
    assert repr(job) == f"<Job {job.id}: succeeded, submitted by {job.who}>"


def test_the_back_end_is_that_of_the_settings(data_dir, export):
    assert fl.Settings().job_backend == "thread"
    settings = fl.sample.settings(data_dir=data_dir, job_backend="inline")
    job = jobs.submit("extraction", settings=settings, name="d", source=export)
    assert (job.backend, job.state) == ("inline", "succeeded")


def test_warnings_of_an_extraction_are_the_jobs(data_dir, export):
    settings = fl.sample.settings(data_dir=data_dir, limit_queries=500)
    job = jobs.submit("extraction", settings=settings, backend="inline", name="d", source=export)
    assert job.state == "succeeded"
    assert job.warnings[0].startswith("limit_queries (500) cut d at 2026-10-01T")


def test_what_a_dataset_lacks_is_a_warning_of_its_report_too(data_dir, export, tmp_path, monkeypatch):
    settings = fl.sample.settings(data_dir=data_dir, limit_queries=500)
    with pytest.warns(fl.losses.LimitReached):
        fl.extract(settings, name="d", source=export, progress=False)
    monkeypatch.setattr(kinds.Report, "function", lambda self: lambda dataset, settings: tmp_path / "r.html")
    job = jobs.submit("report", settings=settings, backend="inline", dataset="d")
    assert job.state == "succeeded"
    assert job.warnings[0].startswith("limit_queries (500) cut d at 2026-10-01T")


def test_a_catalogue_is_refreshed(data_dir, settings):
    settings = fl.sample.settings(data_dir=data_dir, coolr_file=data_dir / "catalogue.parquet")
    refreshed = jobs.submit("catalogue", settings=settings, backend="inline", force=True).result()
    assert refreshed.catalogue.table.num_rows > 10
    assert refreshed.failures == ()


def test_jobs_are_found_again_newest_first(settings, export):
    assert jobs.jobs(settings) == []
    first = jobs.submit("extraction", settings=settings, backend="inline", name="a", source=export)
    time.sleep(0.002)  # ids are of milliseconds
    second = jobs.submit("extraction", settings=settings, backend="inline", name="b", source=export)
    assert jobs.jobs(settings) == [second, first]
    found = jobs.open_job(first.id, settings)
    assert found == first
    assert found.result().name == "a"


def test_another_process_follows_and_cancels(settings, waiting):
    job = jobs.submit("catalogue", settings=settings)
    waiting.begun.acquire(timeout=LONG)
    code = (
        "import sys, frontierlab as fl; [job] = fl.jobs.jobs(fl.sample.settings(data_dir=sys.argv[1])); "
        "print(job.id, job.state); job.cancel(); print(job.wait(60))"
    )
    command = [sys.executable, "-c", code, settings.data_dir]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [job.id, "running", "cancelled"]
    assert job.state == "cancelled"


def test_what_runs_is_cancelled_and_what_it_stored_stays(data_dir, tmp_path, monkeypatch):
    settings = fl.sample.settings(data_dir=data_dir, part_documents=2_000)
    path = tmp_path / "large.ndjson"
    World(30_000, seed=5).write(path)

    begun = threading.Event()

    def wait_once_a_part_is_there(self, progress, report=JobContext.report):
        if [*data_dir.glob("datasets/d/parts/[0-9]*")]:
            begun.set()
            self.cancelled.wait(LONG)
        report(self, progress)

    with monkeypatch.context() as patch:
        patch.setattr(JobContext, "report", wait_once_a_part_is_there)
        job = jobs.submit("extraction", settings=settings, backend="thread", name="d", source=path)
        assert begun.wait(LONG)
        job.cancel()
        with pytest.raises(JobCancelled, match=rf"The job {job.id} was cancelled"):
            job.result(LONG)
        until_idle()
    assert job.ended is not None
    assert fl.datasets.open_dataset("d", settings).state == "incomplete"
    job.cancel()  # again, which changes nothing
    assert job.state == "cancelled"
    again = jobs.submit("extraction", settings=settings, backend="thread", name="d", source=path)
    assert_is_the_world(again.result(LONG), World(30_000, seed=5))


def test_what_is_queued_is_cancelled_at_once_and_never_begins(settings, waiting):
    running = [jobs.submit("catalogue", settings=settings) for _ in range(2)]
    for _ in running:
        waiting.begun.acquire(timeout=LONG)
    queued = jobs.submit("catalogue", settings=settings)
    assert queued.state == "queued"
    queued.cancel()
    assert queued.state == "cancelled"
    assert queued.ended is not None
    waiting.go.set()
    assert [job.wait(LONG) for job in running] == ["succeeded"] * 2
    assert queued.state == "cancelled"
    assert queued.started is None
    assert not waiting.begun.acquire(blocking=False)


def test_more_than_two_wait_for_their_turn(settings, waiting):
    every = [jobs.submit("catalogue", settings=settings) for _ in range(5)]
    for _ in range(2):
        waiting.begun.acquire(timeout=LONG)
    assert sorted(job.state for job in every) == ["queued"] * 3 + ["running"] * 2
    waiting.go.set()
    assert {job.wait(LONG) for job in every} == {"succeeded"}
    assert every[0].warnings == ["a word"]


def test_a_result_that_does_not_come_in_time_is_said(settings, waiting):
    job = jobs.submit("catalogue", settings=settings)
    with pytest.raises(JobError, match=r"has not ended within 0.05 s: it is (queued|running)"):
        job.result(0.05)


def test_an_error_of_ours_is_the_jobs(settings, export):
    for _ in range(2):
        job = jobs.submit("extraction", settings=settings, backend="inline", name="d", source=export)
    assert job.state == "failed"
    assert job.error.startswith("The dataset d exists already and is complete.")
    assert job.traceback == ""
    with pytest.raises(JobError, match=rf"The job {job.id} failed: The dataset d exists already"):
        job.result()


def test_an_unforeseen_error_is_the_jobs_with_its_place(settings, waiting):
    waiting.error = ZeroDivisionError("by zero")
    job = jobs.submit("catalogue", settings=settings)
    waiting.go.set()
    assert job.wait(LONG) == "failed"
    assert job.error == "ZeroDivisionError: by zero"
    assert "raise self.error\nZeroDivisionError: by zero" in job.traceback


def test_an_interrupted_inline_job_has_failed(settings, waiting):
    waiting.error = KeyboardInterrupt()
    waiting.go.set()
    with pytest.raises(KeyboardInterrupt):
        jobs.submit("catalogue", settings=settings, backend="inline")
    assert jobs.jobs(settings)[0].error == "It was interrupted by KeyboardInterrupt."


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("extract", {}, r"no jobs of kind 'extract'. Valid: extraction, catalogue, caching, report, notebook"),
        ("extraction", {"name": "d", "sinse": "x"}, r"extraction takes no 'sinse'. Valid: name, since, until, cached"),
        ("extraction", {"name": "d", "progress": True}, r"takes no 'progress'"),
        ("extraction", {"name": "d", "dry_run": True}, r"takes no 'dry_run'"),
        ("extraction", {"name": "../d"}, r"'../d' is not a plain name"),
        ("extraction", {"source": "dump.ndjson"}, r"'' is not a plain name"),
        ("extraction", {"name": "d", "since": "2026-10-02", "until": "2026-10-01"}, r"until .* has to be after since"),
        ("extraction", {"name": "d", "taskid": "12"}, r"taskid='12' is not valid"),
        ("extraction", {"name": "d", "source": "nowhere.ndjson"}, r"There is no file .*nowhere.ndjson"),
        ("extraction", {"name": "d", "taskid": object()}, r"taskid: a job cannot be given <object"),
        ("catalogue", {"settings_": 1}, r"catalogue takes no 'settings_'. Valid: force"),
        ("caching", {}, r"caching needs dataset. It takes: dataset, folders"),
        ("caching", {"dataset": 1}, r"dataset=1: give a dataset, or the name of one"),
        ("caching", {"dataset": "d", "folders": [("a", "b")]}, r"is not \(db, schema, nodefullpath\)"),
        ("caching", {"dataset": "d", "folders": []}, r"folders is empty"),
        ("notebook", {"notebook": "week"}, r"The settings name no notebook 'week'. There: none; the setting notebooks"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_done(data_dir, tmp_path, kind, arguments, message):
    settings = fl.sample.settings(data_dir=data_dir, es_address="es.example.org", es_index="a")
    if "source" in arguments:
        arguments = {**arguments, "source": tmp_path / arguments["source"]}
    with pytest.raises(InvalidRequestError, match=message):
        jobs.submit(kind, settings=settings, backend="inline", **arguments)
    assert list(data_dir.iterdir()) == []


def test_a_dataset_has_to_be_there_and_in_the_data_folder(settings, export, tmp_path):
    with pytest.raises(DatasetError, match="There is no dataset 'd'"):
        jobs.submit("caching", settings=settings, dataset="d")
    elsewhere = fl.sample.settings(data_dir=tmp_path / "elsewhere")
    dataset = fl.extract(elsewhere, name="d", source=export, progress=False)
    with pytest.raises(InvalidRequestError, match="is not in the data folder of the settings"):
        jobs.submit("caching", settings=settings, dataset=dataset)
    assert jobs.jobs(settings) == []


def test_an_unknown_back_end_is_refused(settings):
    with pytest.raises(InvalidRequestError, match=r"There is no back end 'cluster'. Valid: inline, thread, celery"):
        jobs.submit("catalogue", settings=settings, backend="cluster")


@pytest.mark.parametrize("id", ["../x", "", "20261001T000000000-catalogue-0000000g", "a" * 200])
def test_what_is_no_id_is_refused(settings, id):
    with pytest.raises(JobError, match="is not the id of a job"):
        jobs.open_job(id, settings)


def test_a_job_that_is_not_there(settings):
    with pytest.raises(JobError, match=r"There is no job 20261001T000000000-catalogue-00000000 in .*/jobs"):
        jobs.open_job("20261001T000000000-catalogue-00000000", settings)


def test_a_data_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    settings = fl.sample.settings(data_dir=tmp_path / "file")
    with pytest.raises(JobError, match=r"No job can be submitted: .* cannot be written .* named by data_dir"):
        jobs.submit("catalogue", settings=settings)


def written(settings, **fields):
    """A record as some process left it."""
    store = JobStore(settings)
    record = store.create(kind="catalogue", arguments={}, backend="thread")
    with store.changing(record.id) as mine:
        for name, value in fields.items():
            setattr(mine, name, value)
    return jobs.open_job(record.id, settings)


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_job_that_nobody_runs_any_more_has_failed(settings, state):
    old = datetime.now(UTC) - timedelta(seconds=61)
    job = written(settings, state=state, heartbeat=old, process=Process(host="elsewhere", pid=1))
    assert job.state == "failed"
    assert f"The job was {state}, and nobody runs it any more: its process ended (last sign of life" in job.error
    assert job.ended == old
    with pytest.raises(JobError, match="nobody runs it any more"):
        job.result()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_job_that_nobody_runs_any_more_can_be_cancelled(settings, when):
    far = Process(host="elsewhere", pid=1)
    job = written(settings, state="running", heartbeat=datetime.now(UTC), process=far)
    if when == "before":
        job.cancel()
        assert job.state == "running"  # who runs it may not have seen it yet
    with JobStore(settings).changing(job.id) as record:
        record.heartbeat -= timedelta(seconds=61)
    job.cancel()
    assert (job.state, job.error) == ("cancelled", None)
    with pytest.raises(JobCancelled, match="was cancelled"):
        job.result()


def test_a_record_that_is_locked_is_said(settings, monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.records._LOCK_SECONDS", 0.1)
    job = written(settings)
    with (
        JobStore(settings).changing(job.id),
        pytest.raises(JobError, match=rf"The record of the job {job.id} is locked by a process that does not let go"),
    ):
        job.cancel()
    assert JobStore(settings).is_cancelled(job.id)  # who runs it is told all the same


def test_a_job_whose_process_has_ended_here_has_failed_at_once(settings):
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    ended = Process(host=Process.this().host, pid=int(child.stdout))
    now = datetime.now(UTC)
    assert written(settings, state="running", heartbeat=now, process=ended).state == "failed"
    assert written(settings, state="running", heartbeat=now, process=Process.this()).state == "running"
    assert written(settings, state="running", heartbeat=now, process=Process(host="far", pid=1)).state == "running"


def test_a_process_is_not_taken_for_another_with_its_number(settings):
    this = Process.this()
    assert not this.has_ended()
    earlier = this.model_copy(update={"began": this.began - 1})
    assert earlier.has_ended()  # its number was given again
    elsewhere = earlier.model_copy(update={"space": "another container"})
    assert not elsewhere.has_ended()  # which cannot be seen from here
    assert not elsewhere.model_copy(update={"pid": 2**22 + 1}).has_ended()
    child = subprocess.Popen(["true"])
    wait_for(lambda: Process(host=this.host, pid=child.pid).has_ended())  # though nobody has asked how it ended
    child.wait()
    now = datetime.now(UTC)
    assert written(settings, state="running", heartbeat=now, process=earlier).state == "failed"
    assert written(settings, state="running", heartbeat=now, process=elsewhere).state == "running"


def test_jobs_of_a_process_that_ends_say_so(settings):
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
    assert {job.error for job in jobs.jobs(settings)} == {"Its process ended before it did; submit it again."}
    assert [job.started is None for job in jobs.jobs(settings)] == [True, True, False, False]


def test_signs_of_life_are_given_for_what_is_queued(settings, waiting, monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.backends._QUEUED_BEAT", 0.05)
    monkeypatch.setitem(backends._backends, "thread", backends.ThreadBackend())
    job = [jobs.submit("catalogue", settings=settings) for _ in range(3)][-1]
    seen = set()
    wait_for(lambda: seen.add(job.record().heartbeat) or len(seen) == 4)
    assert job.state == "queued"
    waiting.go.set()
    assert job.wait(LONG) == "succeeded"


def test_signs_of_life_are_given_while_a_job_says_nothing(settings, monkeypatch):
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


def test_of_two_runners_only_the_later_one_writes_into_the_record(settings):
    store = JobStore(settings)
    id = store.create(kind="catalogue", arguments={}, backend="thread").id
    first, second = JobContext(store, id, settings), JobContext(store, id, settings)
    assert (claim(first), claim(second)) == ("mine", "busy")
    with store.changing(id) as record:
        record.heartbeat -= timedelta(seconds=61)
    assert (claim(second), claim(first)) == ("mine", "busy")
    before = store.read(id)
    first.write(Progress("late", 1, None, 0.0, None))
    first.end(state="failed", error="in use")
    assert store.read(id) == before
    with pytest.raises(JobStopped, match="Another process has taken the job over"):
        first.raise_if_stopped()
    with pytest.raises(JobStopped, match="Another process has taken the job over"):
        first.confirm_ownership()
    second.confirm_ownership()
    assert first.path(".ipynb").name != second.path(".ipynb").name
    second.end(state="succeeded", result={"file": "x"})
    assert (store.read(id).state, store.read(id).result) == ("succeeded", {"file": "x"})
    second.end(state="failed", error="again")
    assert store.read(id).error is None


STALLED = """
import pathlib, sys, frontierlab as fl
from frontierlab.jobs import kinds
from frontierlab.jobs.context import (JobContext, JobStopped)
from frontierlab.jobs.records import JobStore
from frontierlab.jobs.runner import (claim, run_claimed)

class Slow(kinds.CatalogueRefresh):
    def run(self, record, settings, context):
        pathlib.Path(sys.argv[3]).touch()
        context.cancelled.wait(60)
        return kinds.JobOutcome({"when": "of the one that was stopped"})

kinds.KINDS["catalogue"] = Slow()
settings = fl.sample.settings(data_dir=sys.argv[1])
context = JobContext(JobStore(settings), sys.argv[2], settings, beat=0.1)
assert claim(context) == "mine"
with context.watching():
    run_claimed(context)
print(context.reason)
"""


def stopped_without_the_lock(child, lock):
    child.send_signal(signal.SIGSTOP)
    try:
        with filelock.FileLock(lock, timeout=0.2):
            return True
    except filelock.Timeout:
        child.send_signal(signal.SIGCONT)
        return False


def test_a_runner_that_stood_still_does_not_end_the_job_of_the_one_that_took_it_over(settings, tmp_path):
    store = JobStore(settings)
    id = store.create(kind="catalogue", arguments={}, backend="thread", patience=2).id
    command = [sys.executable, "-c", STALLED, str(settings.data_dir), id, str(tmp_path / "begun")]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        wait_for((tmp_path / "begun").exists)
        wait_for(lambda: stopped_without_the_lock(child, store.path(id, ".lock")))
        wait_for(lambda: store.read(id).is_lost())
        context = JobContext(store, id, settings)
        assert claim(context) == "mine"
        child.send_signal(signal.SIGCONT)
        said, _ = child.communicate(timeout=LONG)
    finally:
        child.kill()
    assert said == "Another process has taken the job over, or its record is gone.\n"
    assert store.read(id).state == "running"
    context.end(state="succeeded", result={"when": "of the valid one"})
    assert (store.read(id).state, store.read(id).result) == ("succeeded", {"when": "of the valid one"})


def test_a_job_is_cancelled_though_its_work_does_not_stop(settings, monkeypatch):
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
    assert job.warnings[0].startswith("What it did had not stopped 0.1 s after it was told to.")
    go.set()
    until_idle()
    assert (job.state, job.record().result) == ("cancelled", None)


def test_a_disk_that_is_full_for_a_while_costs_signs_of_life_and_not_the_end(settings, waiting, monkeypatch):
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
    assert re.fullmatch(r"[123] of its signs of life could not be written.", lost)


def test_many_processes_change_one_record_and_lose_nothing(settings):
    job = written(settings)
    code = (
        "import sys, frontierlab as fl; from frontierlab.jobs.records import JobStore\n"
        "store = JobStore(fl.sample.settings(data_dir=sys.argv[1]))\n"
        "for _ in range(40):\n"
        "    with store.changing(sys.argv[2]) as record: record.attempts += 1"
    )
    command = [sys.executable, "-c", code, str(settings.data_dir), job.id]
    children = [subprocess.Popen(command) for _ in range(2)]
    assert [child.wait() for child in children] == [0] * 2
    assert job.record().attempts == 80


def test_a_job_whose_local_redis_has_ended_is_said_by_short_waits_too(settings, monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.job._ALONE", 1)
    monkeypatch.setattr("frontierlab.jobs.job._GAP", 0.2)
    submitted = datetime.now(UTC) - timedelta(seconds=10)
    job = written(settings, backend="celery", broker="of the data folder on here", submitted=submitted)
    told = "No worker is there that can be seen from here: it waits at the broker of the data folder on here, and there"
    assert job.warnings[0].startswith(told)
    assert job.wait(0) == "queued"
    for _ in range(2):  # each error begins a minute anew
        with pytest.raises(JobError, match=f"stays queued: {told}"):
            wait_for(lambda: job.wait(0.01) != "queued")
    job.cancel()
    assert job.state == "cancelled"


def test_ended_jobs_are_pruned_and_no_other(settings, tmp_path):
    long_ago = datetime.now(UTC) - timedelta(days=40)
    far = Process(host="elsewhere", pid=1)
    old = written(settings, state="succeeded", ended=long_ago, result={"file": "x.ipynb"})
    lost = written(settings, state="running", heartbeat=long_ago, process=far)
    kept = [
        written(settings, state="failed", ended=datetime.now(UTC) - timedelta(days=20)),
        written(settings, state="running", heartbeat=long_ago, process=far, backend="celery"),  # a worker may go on
        written(settings, state="queued", backend="celery", submitted=long_ago),
        written(settings, state="running", heartbeat=datetime.now(UTC), process=far),
    ]
    malformed = written(settings, state="succeeded", ended=long_ago)
    store = JobStore(settings)
    store.path(malformed.id).write_text("{}")
    for suffix in (".ipynb", ".2.ipynb", ".cancel"):
        store.path(old.id, suffix).touch()
    for valid in (30, timedelta(days=-1)):
        with pytest.raises(InvalidRequestError, match="a timedelta, timedelta"):
            jobs.prune(valid, settings)
    assert jobs.prune(timedelta(days=30), settings) == [old.id, lost.id]
    assert {job.id for job in jobs.jobs(settings)} == {malformed.id, *(job.id for job in kept)}
    assert not [*store.folder.glob(f"{old.id}*"), *store.folder.glob(f"{lost.id}*")]
    assert jobs.prune(timedelta(days=30), settings) == []


def test_two_who_prune_at_once_remove_each_job_once(settings):
    every = {written(settings, state="succeeded", ended=datetime(2026, 1, 1, tzinfo=UTC)).id for _ in range(12)}
    with ThreadPoolExecutor(3) as pool:
        found = [*pool.map(lambda _: jobs.prune(timedelta(days=1), settings), range(3))]
    assert sorted(id for ids in found for id in ids) == sorted(every)
    assert [*JobStore(settings).folder.iterdir()] == []


@pytest.fixture
def submitted(monkeypatch):
    """Chains that `submit_periodic` submits; their jobs stay queued."""
    chains = []

    def submit(chain, settings):
        chains.append([(kind, given.get("name") or given.get("dataset")) for kind, given in chain])
        (kind, given), *rest = chain
        record = JobStore(settings).create(kind=kind, arguments=given, backend="thread", then=rest)
        return jobs.open_job(record.id, settings)

    monkeypatch.setattr("frontierlab.jobs.periodic.submit_chain", submit)
    return chains


NIGHT = datetime(2026, 10, 8, 2, tzinfo=UTC)


def test_a_catalogue_refreshed_by_hand_does_not_drop_the_night(data_dir, submitted):
    settings = fl.sample.settings(data_dir=data_dir, periodic="catalogue extraction report")
    written(settings, state="running", heartbeat=datetime.now(UTC))
    assert len(submit_periodic(settings, NIGHT)) == 1
    assert submitted == [[("extraction", "day-2026-10-07"), ("report", "day-2026-10-07")]]
    assert submit_periodic(settings, NIGHT) == []  # what is on its way is not submitted again


def test_the_first_night_is_of_one_day(data_dir, submitted):
    settings = fl.sample.settings(data_dir=data_dir, periodic="catalogue extraction")
    submit_periodic(settings, NIGHT)
    assert submitted == [[("catalogue", None), ("extraction", "day-2026-10-07")]]


def test_days_that_are_missing_are_made_up_for(data_dir, export, submitted):
    settings = fl.sample.settings(data_dir=data_dir, periodic="catalogue extraction report")
    fl.extract(settings, name="day-2026-10-03", source=export, progress=False)

    def extraction(day, **fields):
        written(settings, kind="extraction", arguments={"name": f"day-2026-10-0{day}"}, **fields)

    extraction(4, state="failed")
    written(settings, heartbeat=datetime.now(UTC), then=[("extraction", {"name": "day-2026-10-05"})])
    extraction(6, state="succeeded")  # and its dataset was deleted since
    submit_periodic(settings, NIGHT)
    assert submitted == [
        [("report", "day-2026-10-03")],
        [("extraction", "day-2026-10-04"), ("report", "day-2026-10-04")],
        [("extraction", "day-2026-10-07"), ("report", "day-2026-10-07")],
    ]


def test_a_night_that_cannot_be_submitted_does_not_drop_the_others(data_dir, submitted, monkeypatch):
    settings = fl.sample.settings(data_dir=data_dir, periodic="extraction")
    written(settings, kind="extraction", arguments={"name": "day-2026-10-06"}, state="failed")
    submit = periodic.submit_chain

    def refuse(chain, settings):
        if chain[0][1]["name"] == "day-2026-10-06":
            raise JobError("not this one")
        return submit(chain, settings)

    monkeypatch.setattr("frontierlab.jobs.periodic.submit_chain", refuse)
    with pytest.raises(JobError, match="not this one"):
        submit_periodic(settings, NIGHT)
    assert submitted == [[("extraction", "day-2026-10-07")]]


def test_records_of_ended_jobs_are_read_once_and_again_after_a_change(settings, monkeypatch):
    store = JobStore(settings)
    ended = [written(settings, state="succeeded", ended=datetime.now(UTC)) for _ in range(20)]
    going_on = written(settings, heartbeat=datetime.now(UTC))
    read = []
    monkeypatch.setattr(JobStore, "read", lambda self, id, to_read=JobStore.read: read.append(id) or to_read(self, id))
    for _ in range(3):
        assert len({job.record().id for job in jobs.jobs(settings)}) == 21
    assert read == [going_on.id] * 3
    with store.changing(ended[7].id) as record:
        record.warnings.append("the next job could not be submitted")
    assert ended[7].warnings == ["the next job could not be submitted"]
    JobStore(settings).path(ended[8].id).unlink()
    with pytest.raises(JobError, match="There is no job"):
        ended[8].record()


def test_a_damaged_record_is_shown_as_failed(settings, export):
    job = jobs.submit("extraction", settings=settings, backend="inline", name="d", source=export)
    path = JobStore(settings).path(job.id)
    path.write_text(path.read_text()[:100])
    [found] = jobs.jobs(settings)
    assert (found.state, found.kind) == ("failed", "extraction")
    assert f"The record {path} of a job cannot be read" in found.error
    assert found.submitted.tzinfo is not None


def test_a_record_of_a_later_version_is_read(settings):
    job = written(settings)
    path = JobStore(settings).path(job.id)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"priority": 3}))
    assert job.state == "queued"


def test_no_secret_is_in_a_record(data_dir, waiting, monkeypatch):
    settings = fl.sample.settings(data_dir=data_dir, es_address="h", es_user="u", es_pswd="hunter-two", es_index="a")
    settings = settings.model_copy(update={"broker_url": SecretStr("redis://:open%40sesame@h:6379/0")})
    waiting.error = RuntimeError("cannot connect to https://u:hunter-two@h, nor with open@sesame (open%40sesame)")
    waiting.go.set()
    job = jobs.submit("catalogue", settings=settings)
    assert job.wait(LONG) == "failed"
    assert job.error == "RuntimeError: cannot connect to https://u:…@h, nor with … (…)"
    for path in (data_dir / "jobs").iterdir():
        assert not any(secret in path.read_bytes() for secret in (b"hunter-two", b"sesame"))


def test_what_can_be_an_argument():
    moment = datetime(2026, 10, 1, 14, 30, tzinfo=timezone(timedelta(hours=2)))
    assert as_json("a", moment) == "2026-10-01T12:30:00.000Z"
    assert as_json("a", date(2026, 10, 1)) == "2026-10-01T00:00:00.000Z"
    assert as_json("a", Path("x")) == str(Path.cwd() / "x")
    assert as_json("a", np.int64(2**62)) == 2**62
    assert as_json("a", np.bool_(True)) is True
    assert as_json("a", pd.DataFrame({"db": ["x"], "node": ["/y"]})) == [["x", "/y"]]
    for value in (float("nan"), float("inf"), b"x", {1: 2}, object()):
        with pytest.raises(InvalidRequestError, match="a: a job cannot be given"):
            as_json("a", value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(arguments=st.dictionaries(st.text(), JSON), when=MOMENTS, progress=st.none() | st.dictionaries(st.text(), JSON))
def test_a_record_reads_back_what_was_written(arguments, when, progress):
    arguments = as_json("arguments", arguments)
    record = JobRecord(
        id="x", kind="caching", arguments=arguments, submitted=when, heartbeat=when, progress=progress, result=arguments
    )
    assert JobRecord.model_validate_json(record.model_dump_json(indent=1)) == record
    assert json.loads(json.dumps(arguments)) == arguments


def a_notebook(path, *cells):
    first = nbformat.v4.new_code_cell("name = 'nobody'", metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[first, *map(nbformat.v4.new_code_cell, cells)])
    notebook.metadata["kernelspec"] = {"name": "conda-env-xyz-py", "display_name": "xyz", "language": "python"}
    nbformat.write(notebook, path)
    return path


@pytest.fixture
def notebooks(data_dir, tmp_path):
    return lambda *cells: fl.sample.settings(
        data_dir=data_dir, notebooks=[str(a_notebook(tmp_path / "n.ipynb", *cells))]
    )


@pytest.mark.enable_socket
def test_a_notebook_is_executed_with_parameters(notebooks):
    settings = notebooks("import sys; print('hello', name, 'from', sys.executable)")
    job = jobs.submit("notebook", settings=settings, notebook="n", parameters={"name": "you"})
    path = job.result(LONG)
    assert f"hello you from {sys.executable}" in path.read_text()  # and not from the kernel that it was saved with
    assert path.parent == settings.data_dir / "jobs"
    assert not list(path.parent.glob("*.log"))


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (
            {"kernelspec": {"name": "ir", "language": "R"}},
            "The notebook n is written in R: jobs run notebooks in Python",
        ),
        ({"language_info": {"name": "julia"}}, "The notebook n is written in julia"),
        ([], "n.ipynb cannot be read as a notebook"),
    ],
)
def test_a_notebook_in_another_language_is_refused(notebooks, metadata, said):
    settings = notebooks()
    path = settings.notebooks["n"]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"metadata": metadata}))
    with pytest.raises(InvalidRequestError, match=said):
        jobs.submit("notebook", settings=settings, notebook="n")


@pytest.mark.enable_socket
def test_a_notebook_that_fails_says_why_and_is_kept(notebooks):
    job = jobs.submit("notebook", settings=notebooks("1 / 0"), notebook="n")
    assert job.wait(LONG) == "failed"
    assert job.error.startswith("The notebook n failed: ZeroDivisionError: division by zero. What it became is in ")
    assert Path(job.error.split(" is in ")[1].rstrip(".")).exists()


DEAF = """
import os, pathlib, signal, subprocess, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
pathlib.Path("pids").write_text(f"{os.getpid()} {child.pid} ")
time.sleep(600)
"""


@pytest.mark.enable_socket
def test_a_notebook_that_runs_is_cancelled_with_its_kernel_and_what_that_started(notebooks, tmp_path):
    job = jobs.submit("notebook", settings=notebooks(DEAF), notebook="n")
    wait_for(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text().endswith(" "))
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    job.cancel()
    assert job.wait(LONG) == "cancelled"
    assert job.warnings == []
    wait_for(lambda: all(Process(host=Process.this().host, pid=pid).has_ended() for pid in pids))


@pytest.mark.enable_socket
def test_a_notebook_ends_by_itself_also_where_interrupts_were_ignored(notebooks, tmp_path):
    code = f"import pathlib, time; pathlib.Path({str(tmp_path / 'asleep')!r}).touch(); time.sleep(600)"
    [source] = notebooks(code).notebooks.values()
    given = {"input_path": str(source), "output_path": str(tmp_path / "out.ipynb"), "cwd": str(tmp_path)}
    command = [sys.executable, "-m", "frontierlab.jobs.notebook_process"]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a pool of Celery; children inherit it
    try:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    finally:
        signal.signal(signal.SIGINT, before)
    child.stdin.write(json.dumps(given).encode() + b"\n")
    child.stdin.flush()
    wait_for((tmp_path / "asleep").exists)
    child.stdin.close()
    assert child.wait(LONG) == -signal.SIGINT  # papermill ended it; 1 is the exit of one that lost patience


@pytest.mark.parametrize("name", ["a b", "x=1;y", "class", ""])
def test_names_of_parameters_are_those_of_variables(notebooks, name):
    with pytest.raises(InvalidRequestError, match="is not the name of a parameter"):
        jobs.submit("notebook", settings=notebooks(), notebook="n", parameters={name: 1})


def test_notebooks_of_the_settings(tmp_path, monkeypatch):
    config = tmp_path / "c.txt"
    config.write_text("notebooks = week=reports/week.ipynb '/x y/night.ipynb'\n")
    expected = {"week": tmp_path / "reports/week.ipynb", "night": Path("/x y/night.ipynb")}
    assert fl.Settings(config).notebooks == expected
    again = fl.create_config_file(tmp_path / "d.txt", notebooks=expected)
    assert fl.Settings(again).notebooks == expected
    with pytest.raises(fl.errors.ConfigurationError, match="two notebooks are named n"):
        fl.Settings(notebooks="a/n.ipynb b/n.ipynb")
    config.write_text("notebooks = 'a\n")
    with pytest.raises(fl.errors.ConfigurationError, match=r"line 1: notebooks .*No closing quotation"):
        fl.Settings(config)
    with pytest.raises(fl.errors.ConfigurationError, match=r"job_backend 'rq' is not valid.*inline, thread or celery"):
        fl.Settings(job_backend="rq")
    assert os.environ.get("CONFIG_FILE") is None


def test_settings_go_to_another_process_as_variables(tmp_path, monkeypatch):
    settings = fl.Settings(
        data_dir=tmp_path / "a folder",
        es_address="h",
        es_user="u",
        es_pswd="hunter two's",
        es_index=["a", "b-*"],
        es_verify_certs=False,
        spark_options={"spark.x": "a b", "spark.y": "'"},
        notebooks={"n": tmp_path / "x y.ipynb"},
        broker_url="redis://:secret@h:1/2",
        periodic=["report"],
        coolr_host=None,
    )
    for name, value in as_variables(settings).items():
        monkeypatch.setenv(name, value)
    assert fl.Settings() == settings


@pytest.mark.parametrize(
    "url",
    [
        "http://:hunter-two@h",
        "redis://",
        "redis://h:hunter-two",
        "hunter-two",
        "redis+socket://",
        "redis+socket://:hunter-two@/run/redis.sock",
        f"redis+socket:///{'x' * 103}",
    ],
)
def test_a_broker_is_a_redis_and_a_wrong_one_is_not_shown(url):
    with pytest.raises(
        fl.errors.ConfigurationError, match=r"broker_url is not valid .* Valid: URL of the Redis"
    ) as said:
        fl.Settings(broker_url=url)
    assert "hunter-two" not in str(said.value)
    assert "sesame" not in repr(fl.Settings(broker_url="redis://:sesame@h"))


def test_a_broker_can_be_a_redis_on_a_socket(tmp_path):
    url = "redis+socket:///run/user/1000/redis.sock?virtual_host=1"
    path = fl.create_config_file(tmp_path / "c.txt", broker_url=url)
    assert fl.Settings(path).broker_url.get_secret_value() == url
    assert Broker(fl.Settings(path)).address == f"/run/user/1000/redis.sock on {socket.gethostname()}"


ABANDONED = """
import pathlib, socket, sys
from frontierlab import Settings, jobs
silent = socket.create_server(("127.0.0.1", 0))
address = f"http://127.0.0.1:{silent.getsockname()[1]}"
job = jobs.submit("catalogue", settings=Settings(data_dir=sys.argv[1], coolr_host=address, job_backend="thread"))
asked = silent.accept()
print(job.id)
"""


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_script_ends_though_a_job_of_it_waits_for_coolr(settings):
    command = [sys.executable, "-c", ABANDONED, settings.data_dir]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LONG)
    assert jobs.open_job(done.stdout.strip(), settings).error == backends._OVER


def test_a_forked_process_runs_its_own_jobs_and_leaves_those_of_the_other(settings, export):
    jobs.submit("extraction", settings=settings, backend="thread", name="first", source=export).result(LONG)
    before = backends.backend_of("thread")

    def second() -> bool:
        job = jobs.submit("extraction", settings=settings, backend="thread", name="second", source=export)
        before._running["other"] = None  # what the other process is at: its end is not for this one
        before._end()
        return job.wait(LONG) == "succeeded"

    assert in_fork(second)
