"""Records of jobs: states, locks, pruning, and what they never hold."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

import frontierlab as fl
from frontierlab import jobs
from frontierlab.errors import InvalidRequestError, JobCancelled, JobError
from frontierlab.jobs.arguments import as_json
from frontierlab.jobs.processes import Process
from frontierlab.jobs.records import JobRecord, JobStore
from tests.services.processes import in_fork
from tests.support.jobs import LONG, written
from tests.support.waiting import wait_for


@pytest.mark.parametrize("id", ["../x", "", "20261001T000000000-catalogue-0000000g", "a" * 200])
def test_an_invalid_id_is_refused(settings, id):
    with pytest.raises(JobError, match="is not the id of a job"):
        jobs.open_job(id, settings)


def test_a_missing_job_is_an_error(settings):
    with pytest.raises(JobError, match=r"There is no job 20261001T000000000-catalogue-00000000 in .*/jobs"):
        jobs.open_job("20261001T000000000-catalogue-00000000", settings)


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_lost_job_has_failed(settings, state):
    old = datetime.now(UTC) - timedelta(seconds=61)
    job = written(settings, state=state, heartbeat=old, process=Process(host="elsewhere", pid=1))
    assert job.state == "failed"
    assert f"The job was {state}, but its process ended or hangs (last heartbeat" in job.error
    assert job.ended == old
    with pytest.raises(JobError, match="its process ended or hangs"):
        job.result()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_job_can_be_cancelled(settings, when):
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


def test_a_locked_record_is_an_error(settings, monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.records._LOCK_SECONDS", 0.1)
    job = written(settings)
    with (
        JobStore(settings).changing(job.id),
        pytest.raises(
            JobError, match=rf"Another process has held the lock of the job {job.id} for 0.1 s: .* Try again"
        ),
    ):
        job.cancel()
    assert JobStore(settings).is_cancelled(job.id)  # who runs it is told all the same


def test_a_job_whose_process_ended_on_this_machine_has_failed_at_once(settings):
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    ended = Process(host=Process.this().host, pid=int(child.stdout))
    now = datetime.now(UTC)
    assert written(settings, state="running", heartbeat=now, process=ended).state == "failed"
    assert written(settings, state="running", heartbeat=now, process=Process.this()).state == "running"
    assert written(settings, state="running", heartbeat=now, process=Process(host="far", pid=1)).state == "running"


def test_a_process_is_not_mistaken_for_another_with_the_same_pid(settings):
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


@pytest.mark.slow
def test_two_processes_change_one_record_and_lose_nothing(settings):
    store, id = JobStore(settings), written(settings).id

    def change() -> bool:
        for _ in range(20):
            with store.changing(id) as record:
                record.attempts += 1
        return True

    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(in_fork, [change] * 2))
    assert store.read(id).attempts == 40


@pytest.mark.slow
def test_short_waits_notice_too_that_the_local_redis_has_ended(settings, monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.job._ALONE", 1)
    monkeypatch.setattr("frontierlab.jobs.job._GAP", 0.2)
    submitted = datetime.now(UTC) - timedelta(seconds=10)
    job = written(settings, backend="celery", broker="of the data folder on here", submitted=submitted)
    told = (
        "There is no worker that can be seen from here: the job waits at the broker of the data folder on here, and the"
    )
    assert job.warnings[0].startswith(told)
    assert job.wait(0) == "queued"
    for _ in range(2):  # each error begins a minute anew
        with pytest.raises(JobError, match=f"stays queued: {told}"):
            wait_for(lambda: job.wait(0.01) != "queued")
    job.cancel()
    assert job.state == "cancelled"


def test_only_ended_jobs_are_pruned(settings, tmp_path):
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
        with pytest.raises(InvalidRequestError, match="give a timedelta, such as"):
            jobs.prune(valid, settings)
    assert jobs.prune(timedelta(days=30), settings) == [old.id, lost.id]
    assert {job.id for job in jobs.jobs(settings)} == {malformed.id, *(job.id for job in kept)}
    assert not [*store.folder.glob(f"{old.id}*"), *store.folder.glob(f"{lost.id}*")]
    assert jobs.prune(timedelta(days=30), settings) == []


def test_concurrent_prunes_remove_each_job_once(settings):
    every = {written(settings, state="succeeded", ended=datetime(2026, 1, 1, tzinfo=UTC)).id for _ in range(12)}
    with ThreadPoolExecutor(3) as pool:
        found = [*pool.map(lambda _: jobs.prune(timedelta(days=1), settings), range(3))]
    assert sorted(id for ids in found for id in ids) == sorted(every)
    assert [*JobStore(settings).folder.iterdir()] == []


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


@pytest.mark.slow
def test_a_damaged_record_is_shown_as_failed(settings, export):
    job = jobs.submit("extraction", settings=settings, backend="inline", name="d", source=export)
    path = JobStore(settings).path(job.id)
    path.write_text(path.read_text()[:100])
    [found] = jobs.jobs(settings)
    assert (found.state, found.kind) == ("failed", "extraction")
    assert f"The record {path} of a job cannot be read" in found.error
    assert found.submitted.tzinfo is not None


def test_a_record_of_version_0_1_0_is_read(settings):
    job = written(settings, state="succeeded", ended=datetime.now(UTC), result={"dataset": "d"})
    path = JobStore(settings).path(job.id)
    about = json.loads(path.read_text())
    del about["sent"], about["required_settings"]
    path.write_text(json.dumps({**about, "surroundings": {"limit_queries": 7}, "frontierlab": "0.1.0"}))
    assert (job.state, job.record().result, job.record().sent) == ("succeeded", {"dataset": "d"}, None)
    with JobStore(settings).changing(job.id) as record:
        record.warnings.append("it can be changed too")
    assert job.warnings == ["it can be changed too"]


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
