"""A diagnosis as a job, and as a command."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import frontierlab as fl
from frontierlab.diagnosis import Diagnosis
from frontierlab.errors import InvalidRequestError
from tests.cli.conftest import Run


@pytest.fixture
def dataset(days: Path, empty: Path) -> fl.Dataset:
    shutil.copytree(days, empty)
    return fl.datasets.open_dataset("day")


@pytest.fixture(scope="module")
def told(days: Path) -> Diagnosis:
    """What `frontierlab.diagnose` says of the day."""
    return fl.diagnose("day", settings=fl.Settings(data_dir=days), progress=False)


@pytest.mark.slow
def test_a_job_stores_the_incidents(dataset: fl.Dataset, told: Diagnosis) -> None:
    job = fl.jobs.submit("diagnosis", backend="inline", dataset="day", store=True)
    pd.testing.assert_frame_equal(job.result(), told.incidents)
    assert job.result()["frontierserver"].tolist() == ["frontier1.cern.example"]
    stored = fl.diagnosis.history.read()
    assert stored["sentence"].tolist() == job.result()["sentence"].tolist()
    with pytest.raises(fl.errors.InvalidRequestError, match="store='yes' is not valid"):
        fl.jobs.submit("diagnosis", backend="inline", dataset="day", store="yes")


@pytest.mark.slow
def test_the_command_tells_incidents_and_writes_the_page(
    dataset: fl.Dataset, told: Diagnosis, run: Run, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert run("diagnose", "--history").exit_code == 0
    done = run("diagnose", "day", "--output", str(page), "--store")
    assert done.exit_code == 1, done.stderr
    assert "server frontier1.cern.example needed" in done.stdout
    (incident,) = told
    assert f"{incident.sentence}\n   {incident.advice} Tell {incident.tell}.\n" in done.stdout
    assert page.exists()
    listed = run("diagnose", "--history", "day", "--since", "2026-10-01T09:00")
    assert (listed.exit_code, listed.stdout.splitlines()[-1]) == (1, "1 incident in 1 diagnosis")
    assert listed.stdout.splitlines()[0] in done.stdout
    (kept,) = map(json.loads, run("diagnose", "--history", "--json").stdout.splitlines())
    assert (kept["dataset"], kept["kind"], kept["days"]) == ("day", "slow_server", 1)
    assert run("diagnose", "--history", "day", "--store").exit_code == 2
    assert run("diagnose").exit_code == 2
    (row,) = map(json.loads, run("diagnose", "day", "--json").stdout.splitlines())
    assert (row["kind"], row["frontierserver"]) == ("slow_server", "frontier1.cern.example")
    quiet = run("diagnose", "day", "--since", "2026-10-01", "--until", "2026-10-01T09:00")
    assert quiet.exit_code == 0
    assert "Nothing unusual was found." in quiet.stdout


@pytest.mark.slow
def test_a_command_and_a_job_take_a_baseline(dataset: fl.Dataset, run: Run) -> None:
    expected = fl.diagnose(dataset, baseline="previous", progress=False).incidents
    done = run("diagnose", "day", "--baseline", "calm")
    assert done.exit_code == 1, done.stderr
    assert "of the dataset calm" in done.stdout
    assert [done.stdout.count(sentence) for sentence in expected["sentence"]] == [1] * len(expected)
    job = fl.jobs.submit("diagnosis", backend="inline", dataset="day", baseline="calm")
    pd.testing.assert_frame_equal(job.result(), expected)
    assert run("diagnose", "day", "--baseline", "weekdays").exit_code == 2
    with pytest.raises(InvalidRequestError, match="baseline=7"):
        fl.jobs.submit("diagnosis", backend="inline", dataset="day", baseline=7)
