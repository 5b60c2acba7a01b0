"""Jobs that read raw logs of the sample world."""

from __future__ import annotations

from pathlib import Path

import pytest

import frontierlab as fl
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.rawlogs.squid import write_squid_logs
from frontierlab.sample import World
from frontierlab.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return fl.sample.settings(data_dir=tmp_path / "data", personal_data_key="a key of the tests of jobs")


def test_servlet_logs_become_a_dataset(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(60, seed=5, malformed=0, faithful=True)
    fl.rawlogs.write_servlet_logs(world, tmp_path / "logs")
    monkeypatch.chdir(tmp_path)
    job = fl.jobs.submit("servlet_logs", settings=settings, backend="inline", paths="logs", name="read")
    assert (job.state, job.result().name) == ("succeeded", "read")
    assert job.result().counts.kept == world.logs().num_rows
    assert job.arguments["paths"] == [str(tmp_path / "logs")]
    assert any("hashes" in text for text in job.warnings)
    again = fl.jobs.submit("servlet_logs", settings=settings, backend="inline", paths=["logs"], name="read")
    assert again.state == "failed"
    assert "read" in again.error


def test_what_a_followed_log_lacks_is_a_warning_of_its_job_and_no_failure(settings: Settings, tmp_path: Path) -> None:
    """Warnings are errors in tests: one that were raised after the dataset is complete would fail the job."""
    fl.rawlogs.write_servlet_logs(World(60, seed=5, malformed=0, faithful=True), tmp_path / "logs")
    log = next((tmp_path / "logs").rglob("catalina.out"))
    with log.open("ab") as file:
        file.write(30 * b"no line of a servlet\n")
    given = {"paths": log, "name": "read", "follow": True, "seconds": 0}
    job = fl.jobs.submit("servlet_logs", settings=settings, backend="inline", **given)
    assert (job.state, job.result().state) == ("succeeded", "complete")
    assert sum("lines" in text and "could not be read" in text for text in job.warnings) == 1
    with pytest.warns(fl.losses.DocumentsLost):
        fl.rawlogs.read_servlet_logs(log, settings, name="called", progress=False)


def test_squid_logs_are_stored(settings: Settings, tmp_path: Path) -> None:
    truth = write_squid_logs(World(60), tmp_path / "logs", faults=0)
    given = {"paths": tmp_path / "logs", "name": "read", "sites": truth.sites, "timezone": "UTC"}
    job = fl.jobs.submit("squid_logs", settings=settings, backend="inline", **given)
    assert job.state == "succeeded"
    assert job.result().manifest.rows > 0
    assert any("hashes" in text for text in job.warnings)


def test_what_cannot_be_read_is_refused_before_the_job_starts(settings: Settings, tmp_path: Path) -> None:
    for kind in ("servlet_logs", "squid_logs"):
        with pytest.raises(InvalidRequestError, match="nothing_here"):
            fl.jobs.submit(kind, settings=settings, backend="inline", paths=tmp_path / "nothing_here", name="read")
        with pytest.raises(InvalidRequestError, match="needs the argument name"):
            fl.jobs.submit(kind, settings=settings, backend="inline", paths=tmp_path)
    (tmp_path / "catalina.out").write_text("nothing of a servlet\n")
    with pytest.raises((InvalidRequestError, DatasetError), match="name"):
        fl.jobs.submit("servlet_logs", settings=settings, backend="inline", paths=tmp_path, name="../read")
    assert fl.jobs.jobs(settings) == []
