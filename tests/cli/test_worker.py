"""``frontierlab worker`` runs until it is told to end, and runs jobs meanwhile."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.programs import started

FRONTIERLAB = [sys.executable, "-m", "frontierlab"]


@pytest.mark.redis
@pytest.mark.slow
def test_a_worker_runs_jobs_until_it_is_interrupted(empty: Path, run: Run) -> None:
    with started([*FRONTIERLAB, "worker"], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline().startswith("A worker is ready")
        assert run("worker", "--check").exit_code == 0
        done = run("jobs", "submit", "catalogue", "--backend", "celery", "--wait", "--json")
        assert (done.exit_code, json.loads(done.stdout)["state"]) == (0, "succeeded"), done.stderr
        assert json.loads(run("jobs", "show", "last", "--json").stdout)["backend"] == "celery"
        worker.send_signal(signal.SIGINT)
        assert worker.wait(60) == 0
    assert run("worker", "--check").exit_code == 2  # its Redis has ended with it
