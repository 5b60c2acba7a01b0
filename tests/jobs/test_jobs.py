"""Jobs inline and in threads: submission, cancellation, results, errors, and refused arguments."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import frontierlab as fl
from frontierlab import jobs
from frontierlab.errors import DatasetError, InvalidRequestError, JobCancelled, JobError
from frontierlab.jobs import kinds
from frontierlab.jobs.arguments import as_json
from frontierlab.jobs.context import JobContext
from frontierlab.sample import World
from tests.support.extractions import assert_is_the_world
from tests.support.jobs import LONG, until_idle


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_settings_name_the_default_back_end(data_dir, export):
    assert fl.Settings().job_backend == "thread"
    settings = fl.sample.settings(data_dir=data_dir, job_backend="inline")
    job = jobs.submit("extraction", settings=settings, name="d", source=export)
    assert (job.backend, job.state) == ("inline", "succeeded")


@pytest.mark.slow
def test_a_job_has_the_warnings_of_its_extraction(data_dir, export):
    settings = fl.sample.settings(data_dir=data_dir, limit_queries=500)
    job = jobs.submit("extraction", settings=settings, backend="inline", name="d", source=export)
    assert job.state == "succeeded"
    assert job.warnings[0].startswith("limit_queries (500) cut d at 2026-10-01T")


@pytest.mark.slow
def test_a_report_job_warns_of_gaps_in_its_dataset(data_dir, export, tmp_path, monkeypatch):
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


@pytest.mark.slow
def test_jobs_are_found_again_newest_first(settings, export):
    assert jobs.jobs(settings) == []
    first = jobs.submit("extraction", settings=settings, backend="inline", name="a", source=export)
    time.sleep(0.002)  # ids are of milliseconds
    second = jobs.submit("extraction", settings=settings, backend="inline", name="b", source=export)
    assert jobs.jobs(settings) == [second, first]
    found = jobs.open_job(first.id, settings)
    assert found == first
    assert found.result().name == "a"


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_cancelled_extraction_keeps_its_stored_parts(data_dir, tmp_path, monkeypatch):
    settings = fl.sample.settings(data_dir=data_dir, part_documents=1_000)
    path = tmp_path / "large.ndjson"
    World(9_000, seed=5).write(path)

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
    assert_is_the_world(again.result(LONG), World(9_000, seed=5))


def test_a_queued_job_is_cancelled_at_once_and_never_starts(settings, waiting):
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


def test_two_jobs_run_at_a_time(settings, waiting):
    every = [jobs.submit("catalogue", settings=settings) for _ in range(5)]
    for _ in range(2):
        waiting.begun.acquire(timeout=LONG)
    assert sorted(job.state for job in every) == ["queued"] * 3 + ["running"] * 2
    waiting.go.set()
    assert {job.wait(LONG) for job in every} == {"succeeded"}
    assert every[0].warnings == ["a word"]


def test_a_result_that_takes_too_long_is_an_error(settings, waiting):
    job = jobs.submit("catalogue", settings=settings)
    with pytest.raises(JobError, match=r"has not ended within 0.05 s: it is (queued|running)"):
        job.result(0.05)


@pytest.mark.slow
def test_an_expected_error_fails_the_job_without_a_traceback(settings, export):
    for _ in range(2):
        job = jobs.submit("extraction", settings=settings, backend="inline", name="d", source=export)
    assert job.state == "failed"
    assert job.error.startswith("The dataset d exists already and is complete.")
    assert job.traceback == ""
    with pytest.raises(JobError, match=rf"The job {job.id} failed: The dataset d exists already"):
        job.result()


def test_an_unexpected_error_fails_the_job_with_a_traceback(settings, waiting):
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
    assert jobs.jobs(settings)[0].error == "The job was interrupted by KeyboardInterrupt."


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("extract", {}, r"no jobs of kind 'extract'. Valid: extraction, catalogue, caching, report, notebook"),
        (
            "extraction",
            {"name": "d", "sinse": "x"},
            r"extraction has no argument 'sinse'. Valid: name, since, until, cached",
        ),
        ("extraction", {"name": "d", "progress": True}, r"has no argument 'progress'"),
        ("extraction", {"name": "d", "dry_run": True}, r"has no argument 'dry_run'"),
        ("extraction", {"name": "../d"}, r"'../d' is not the name of a dataset"),
        ("extraction", {"source": "dump.ndjson"}, r"'' is not the name of a dataset"),
        ("extraction", {"name": "d", "since": "2026-10-02", "until": "2026-10-01"}, r"until .* is not after since"),
        ("extraction", {"name": "d", "taskid": "12"}, r"taskid='12' is not valid"),
        ("extraction", {"name": "d", "source": "nowhere.ndjson"}, r"There is no file .*nowhere.ndjson"),
        (
            "extraction",
            {"name": "d", "taskid": object()},
            r"taskid=<object object at .* is not valid: arguments of a job are texts",
        ),
        ("catalogue", {"settings_": 1}, r"catalogue has no argument 'settings_'. Valid: force"),
        ("caching", {}, r"caching needs the argument dataset. Valid: dataset, folders"),
        ("caching", {"dataset": 1}, r"dataset=1: give a dataset, the name of one, a list"),
        ("caching", {"dataset": "d", "folders": [("a", "b")]}, r"is not a \(db, schema, nodefullpath\)"),
        ("caching", {"dataset": "d", "folders": []}, r"folders is empty"),
        ("notebook", {"notebook": "week"}, r"The settings name no notebook 'week'. Valid: none; write name=path into"),
    ],
)
def test_invalid_arguments_are_refused_and_nothing_is_written(data_dir, tmp_path, kind, arguments, message):
    settings = fl.sample.settings(data_dir=data_dir, es_address="es.example.org", es_index="a")
    if "source" in arguments:
        arguments = {**arguments, "source": tmp_path / arguments["source"]}
    with pytest.raises(InvalidRequestError, match=message):
        jobs.submit(kind, settings=settings, backend="inline", **arguments)
    assert list(data_dir.iterdir()) == []


def test_a_dataset_must_exist_in_the_data_folder(settings, export, tmp_path):
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


def test_a_data_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    settings = fl.sample.settings(data_dir=tmp_path / "file")
    with pytest.raises(
        JobError, match=r"No job can be submitted: .* cannot be written .* Set data_dir in the settings"
    ):
        jobs.submit("catalogue", settings=settings)


def test_arguments_become_json():
    moment = datetime(2026, 10, 1, 14, 30, tzinfo=timezone(timedelta(hours=2)))
    assert as_json("a", moment) == "2026-10-01T12:30:00.000Z"
    assert as_json("a", date(2026, 10, 1)) == "2026-10-01T00:00:00.000Z"
    assert as_json("a", Path("x")) == str(Path.cwd() / "x")
    assert as_json("a", np.int64(2**62)) == 2**62
    assert as_json("a", np.bool_(True)) is True
    assert as_json("a", pd.DataFrame({"db": ["x"], "node": ["/y"]})) == [["x", "/y"]]
    for value in (float("nan"), float("inf"), b"x", {1: 2}, object()):
        with pytest.raises(InvalidRequestError, match=r"a=.* is not valid: arguments of a job are texts"):
            as_json("a", value)
