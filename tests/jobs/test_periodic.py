"""The job of the night: submitted once, by whichever beat."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

import frontierlab as fl
from frontierlab import jobs
from frontierlab.errors import InvalidRequestError
from frontierlab.jobs.periodic import submit_periodic
from frontierlab.jobs.records import JobStore
from tests.support.jobs import written


@pytest.fixture
def submitted(monkeypatch):
    """The kinds of the submitted jobs, which stay queued."""
    kinds = []

    def submit(kind, *, settings, backend):
        kinds.append((kind, backend))
        record = JobStore(settings).create(kind=kind, arguments={}, backend="thread")
        return jobs.open_job(record.id, settings)

    monkeypatch.setattr("frontierlab.jobs.periodic.submit", submit)
    return kinds


def test_two_beats_at_once_submit_one_night(settings, submitted):
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda _: submit_periodic(settings), range(8))]
    assert submitted == [("night", "celery")]
    [job] = [one for one in found if one is not None]
    with JobStore(settings).changing(job.id) as record:
        record.state = "failed"
    assert submit_periodic(settings) is not None


def test_a_catalogue_refreshed_by_hand_does_not_drop_the_night(settings, submitted):
    written(settings, state="running", heartbeat=datetime.now(UTC))
    assert submit_periodic(settings) is not None


@pytest.mark.slow
def test_a_night_is_a_job_like_others(data_dir, export, tmp_path):
    settings = fl.sample.settings(data_dir=data_dir, periodic="extraction caching", job_backend="inline")
    source = export.rename(tmp_path / "dump-2026-10-01.ndjson").with_name("dump-%Y-%m-%d.ndjson")
    job = jobs.submit("night", settings=settings, now="2026-10-02T02:00", source=source)
    assert (job.state, job.error, job.warnings) == ("succeeded", None, [])
    assert job.result()["state"].tolist() == ["complete"]
    assert job.record().result["page"] == str(data_dir / "nights/index.html")
    late = jobs.submit("night", settings=settings, now="2026-10-03T02:00", source=source)
    assert late.state == "succeeded"
    assert [text.partition(":")[0] for text in late.warnings] == ["2026-10-02, extraction", "2026-10-02, caching"]
    with pytest.raises(InvalidRequestError, match="'tomorrow' is not a time"):
        jobs.submit("night", settings=settings, now="tomorrow")
    with pytest.raises(InvalidRequestError, match=r"has no argument 'take_over'\. Valid: now, source"):
        jobs.submit("night", settings=settings, take_over=True)


@pytest.mark.slow
def test_a_night_that_is_cancelled_stops_at_its_step(data_dir, monkeypatch, export):
    settings = fl.sample.settings(data_dir=data_dir, periodic="extraction caching", job_backend="inline")

    def cancel(context, progress):
        jobs.Job(context.id, settings).cancel()
        context.stop()
        context.raise_if_stopped()

    monkeypatch.setattr("frontierlab.jobs.context.JobContext.report", cancel)
    job = jobs.submit("night", settings=settings, now="2026-10-02T02:00", source=export)
    assert job.state == "cancelled"
    [record] = fl.nights.list_nights(settings).to_dict("records")
    assert "extraction: it began at" in record["missing"]
