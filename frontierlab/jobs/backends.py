"""Back ends: a job runs before `submit` returns, in a thread of this process, or on a worker."""

from __future__ import annotations

import atexit
import importlib.util
import logging
import os
import queue
import threading
import time
from contextlib import suppress
from typing import Protocol

from frontierlab.errors import InvalidRequestError, JobError
from frontierlab.jobs.context import JobContext
from frontierlab.jobs.processes import Process
from frontierlab.jobs.records import JobRecord, JobStore
from frontierlab.jobs.runner import claim, run_claimed
from frontierlab.settings import Settings

__all__ = ["BACKENDS", "Backend", "InlineBackend", "ThreadBackend", "backend_of"]

_log = logging.getLogger(__name__)

_QUEUED_BEAT = 20.0  # seconds between two heartbeats of a queued job
_PATIENCE = 5  # seconds that jobs have to end when the process exits
_PROCESS_ENDED = "The process that ran the job ended first: submit the job again."


class Backend(Protocol):
    """Runs jobs."""

    def submit(self, store: JobStore, record: JobRecord, settings: Settings) -> None:
        """Run the job of a record that is already written."""

    def notify_cancelled(self, id: str, settings: Settings) -> None:
        """Tell the runner of a job that the job is cancelled, in addition to the file beside the record."""

    def forget(self, id: str, settings: Settings) -> None:
        """Remove what is kept outside the data folder about a job that has ended."""

    def current_record(self, store: JobStore, record: JobRecord, settings: Settings) -> JobRecord:
        """Return a job's record, completed with what is known outside the data folder."""


class _RecordBackend:
    """Back end that keeps everything in the job's record."""

    def notify_cancelled(self, id: str, settings: Settings) -> None:
        """Do nothing."""

    def forget(self, id: str, settings: Settings) -> None:
        """Do nothing."""

    def current_record(self, store: JobStore, record: JobRecord, settings: Settings) -> JobRecord:
        """Return the record."""
        return record


class InlineBackend(_RecordBackend):
    """Runs a job before `submit` returns."""

    def submit(self, store: JobStore, record: JobRecord, settings: Settings) -> None:
        """Run the job."""
        context = JobContext(store, record.id, settings)
        if claim(context) == "mine":
            with context.watching():
                run_claimed(context)


class ThreadBackend(_RecordBackend):
    """Runs jobs in threads of this process: two at a time, in the order of submission. They end with the process."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[JobContext] = queue.SimpleQueue()
        self._waiting: dict[str, JobContext] = {}
        self._running: dict[str, JobContext] = {}
        self._threads: list[threading.Thread] = []
        self._owner = os.getpid()

    def submit(self, store: JobStore, record: JobRecord, settings: Settings) -> None:
        """Queue the job, and start the threads if they do not run."""
        with store.changing(record.id) as mine:
            mine.process, mine.heartbeat = Process.this(), mine.submitted
        context = self._waiting[record.id] = JobContext(store, record.id, settings)
        self._queue.put(context)
        if not self._threads:
            for work in (self._run, self._run, self._write_heartbeats):
                self._threads.append(threading.Thread(target=work, name="frontierlab job", daemon=True))
                self._threads[-1].start()
            # registered here because atexit functions run only after the interpreter has waited for these threads
            getattr(threading, "_register_atexit", atexit.register)(self._end)

    def is_idle(self) -> bool:
        """Whether no job is queued or running."""
        return not self._waiting and not self._running

    def _run(self) -> None:
        while True:
            context = self._queue.get()
            self._running[context.id] = context
            del self._waiting[context.id]
            try:
                if claim(context) == "mine":
                    with context.watching():
                        run_claimed(context)
            except Exception:  # the record cannot be read or written; the thread continues with the next job
                _log.exception("The job %s could not be started.", context.id)
            finally:
                del self._running[context.id]

    def _write_heartbeats(self) -> None:
        """Write heartbeats for queued jobs."""
        while True:
            time.sleep(_QUEUED_BEAT)
            for context in list(self._waiting.values()):
                with suppress(OSError, JobError):  # the next heartbeat may succeed
                    context.write_heartbeat(None)

    def _end(self) -> None:
        """End the jobs of this process when it exits, so that their records give the reason."""
        if os.getpid() != self._owner:  # a fork exits
            return
        for context in list(self._waiting.values()):
            context.end(state="failed", error=_PROCESS_ENDED, patience=0)
        for context in list(self._running.values()):
            context.stop(_PROCESS_ENDED)
        deadline = time.monotonic() + _PATIENCE
        while self._running and time.monotonic() < deadline:
            time.sleep(0.05)


BACKENDS = ("inline", "thread", "celery")
"""The names of all back ends."""

_backends: dict[str, Backend] = {"inline": InlineBackend(), "thread": ThreadBackend()}


def _reset_after_fork() -> None:
    """Reset the back ends in a forked process: the threads and jobs belong to the parent."""
    _backends["thread"] = ThreadBackend()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)


def backend_of(name: str) -> Backend:
    """Return the back end with this name.

    Raises
    ------
    InvalidRequestError
        There is no such back end; the message lists the valid names.
    JobError
        The back end needs Celery, which is not installed.
    """
    if name not in BACKENDS:
        raise InvalidRequestError(f"There is no back end {name!r}. Valid: {', '.join(BACKENDS)}.")
    if name not in _backends:
        try:
            if importlib.util.find_spec("celery") is None:  # it is loaded when the first job is sent
                raise ModuleNotFoundError("No module named 'celery'", name="celery")
            from frontierlab.jobs.celery_backend import CeleryBackend
        except ImportError as error:
            raise JobError(f'Celery is not installed ({error.name}): pip install "frontierlab[celery]"') from error
        _backends[name] = CeleryBackend()
    return _backends[name]
