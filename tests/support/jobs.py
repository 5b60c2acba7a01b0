"""Jobs that wait, and records in the state that another process left them."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import filelock

from frontierlab import jobs
from frontierlab.jobs import backends, kinds
from frontierlab.jobs.kind import JobOutcome
from frontierlab.jobs.records import JobStore
from frontierlab.util.progress import Progress
from tests.support.waiting import wait_for

LONG = 60  # seconds after which a test that waits has failed


class Waiting(kinds.CatalogueRefresh):
    """A catalogue job that reports and waits until `go` is set."""

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


def stop(pid):
    """Stop a process, as Ctrl-Z does, and wait until each of its threads has stopped.

    The signal reaches a thread when the system next runs it; until then it can take a lock or a message.
    """
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: all(state in "Tt" for state in _states_of_threads(pid)), f"the stop of process {pid}")


def stop_without_lock(pid, lock):
    """Stop a process at a moment when it does not hold a lock."""

    def is_stopped():
        stop(pid)
        try:
            with filelock.FileLock(lock, timeout=0):
                return True
        except filelock.Timeout:
            os.kill(pid, signal.SIGCONT)
            return False

    wait_for(is_stopped)


def _states_of_threads(pid):
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            yield (thread / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]


def show_jobs(data_dir):
    """Print the records of the jobs of a data folder, and the logs of its own workers, for the report of a failure."""
    for path in sorted((data_dir / "jobs").glob("*.json")) + sorted((data_dir / "jobs").glob("*.log")):
        print_end(path)


def print_end(path, most=20_000):
    """Print the end of a file."""
    with suppress(FileNotFoundError):
        print(f"--- {path}\n{path.read_text(errors='replace')[-most:]}")  # noqa: T201


def written(settings, **fields):
    """Write a record with these fields, as another process may have left it; return its job."""
    store = JobStore(settings)
    record = store.create(kind="catalogue", arguments={}, backend="thread")
    with store.changing(record.id) as mine:
        for name, value in fields.items():
            setattr(mine, name, value)
    return jobs.open_job(record.id, settings)
