"""``frontierlab jobs``: submit, follow, cancel and remove jobs; the exit code says how a job ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import frontierlab as fl
from tests.cli.conftest import Run


@pytest.fixture
def job(empty: Path) -> fl.jobs.Job:
    return fl.jobs.submit("catalogue", backend="inline")


def test_a_job_is_listed_and_shown(job: fl.jobs.Job, run: Run) -> None:
    (listed,) = map(json.loads, run("jobs", "--json").stdout.splitlines())
    assert (listed["id"], listed["kind"], listed["state"]) == (job.id, "catalogue", "succeeded")
    assert json.loads(run("jobs", "show", job.id, "--json").stdout)["id"] == job.id
    text = run("jobs", "show", "last").stdout
    assert text.startswith(f"{job.id}: succeeded\n")
    assert run("jobs", "wait", job.id).exit_code == 0


@pytest.mark.slow
def test_arguments_are_json_or_text(empty: Path, dump: Path, run: Run) -> None:
    arguments = ["name=second", f"source={dump}", "taskid=41003836", "cached=false"]
    done = run("jobs", "submit", "extraction", *arguments, "--backend", "inline", "--wait", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["result"] == {"dataset": "second"}
    request = fl.datasets.open_dataset("second").manifest.request
    assert (request["taskid"], request["cached"]) == (41003836, False)


@pytest.mark.slow
def test_warnings_of_a_job_are_findings(empty: Path, dump: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTIERLAB_LIMIT_QUERIES", "100")
    arguments = ["name=cut", f"source={dump}"]
    done = run("jobs", "submit", "extraction", *arguments, "--backend", "inline", "--wait")
    assert done.exit_code == 1
    assert done.stderr.startswith("Warning: limit_queries (100) cut cut at ")


def test_a_failed_job_is_an_error(overlay: Path, run: Run) -> None:
    arguments = ["name=overlay", f"source={fl.sample.path()}"]
    submitted = run("jobs", "submit", "extraction", *arguments, "--backend", "inline")
    assert submitted.exit_code == 0
    done = run("jobs", "wait", submitted.stdout.strip())
    assert (done.exit_code, done.stdout) == (2, "")
    assert "exists already" in done.stderr


def test_a_job_that_would_end_with_the_command_is_refused(empty: Path, run: Run) -> None:
    done = run("jobs", "submit", "catalogue")
    assert done.exit_code == 2
    assert "--backend celery" in done.stderr
    assert run("jobs", "list").stdout == ""


def test_wrong_arguments(empty: Path, run: Run) -> None:
    done = run("jobs", "submit", "extraction", "name", "--backend", "inline")
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (2, "Error: name has no value. Write name=value.")
    done = run("jobs", "submit", "extraction", "nothing=1", "--backend", "inline")
    assert done.exit_code == 2
    assert run("jobs", "show", "last").exit_code == 2
    assert run("jobs", "show", "20261001T000000000000-catalogue-x").exit_code == 2


def test_old_jobs_are_removed(job: fl.jobs.Job, run: Run) -> None:
    assert json.loads(run("jobs", "prune", "--older-than", "1h", "--json").stdout) == {"removed": []}
    assert json.loads(run("jobs", "prune", "--older-than", "0s", "--json").stdout) == {"removed": [job.id]}
    assert run("jobs", "prune", "--older-than", "1 month").exit_code == 2
