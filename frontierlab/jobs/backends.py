"""Where jobs run: here and now, in a thread of this process, or on workers."""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
import time
from contextlib import suppress
from typing import Protocol

from frontierlab.errors import InvalidRequestError, JobError
from frontierlab.jobs.control import Control
from frontierlab.jobs.processes import Process
from frontierlab.jobs.records import JobRecord, JobStore
from frontierlab.jobs.run import claim, run
from frontierlab.settings import Settings

__all__ = ["BACKENDS", "Backend", "Inline", "Thread", "backend_of"]

_log = logging.getLogger(__name__)

_QUEUED_BEAT = 20.0  # seconds between two signs of life of what is queued
_PATIENCE = 5  # seconds for jobs to end when the process does
_OVER = "Its process ended before it did; submit it again."


class Backend(Protocol):
    """Where jobs run."""

    def submit(self, store: JobStore, record: JobRecord, settings: Settings) -> None:
        """Have a job run whose record is written."""

    def cancelled(self, id: str, settings: Settings) -> None:
        """Tell whoever runs a job that it is cancelled, beside what its record's folder says."""

    def forget(self, id: str, settings: Settings) -> None:
        """Remove what is kept beside the data folder of a job that has ended."""

    def seen(self, store: JobStore, record: JobRecord, settings: Settings) -> JobRecord:
        """Return a job's record with what is known of it beside."""


class _Here:
    """Where a job's record says everything, and its folder is looked at."""

    def cancelled(self, id: str, settings: Settings) -> None:
        """Do nothing."""

    def forget(self, id: str, settings: Settings) -> None:
        """Do nothing."""

    def seen(self, store: JobStore, record: JobRecord, settings: Settings) -> JobRecord:
        """Return the record."""
        return record


class Inline(_Here):
    """Runs a job before `submit` returns."""

    def submit(self, store: JobStore, record: JobRecord, settings: Settings) -> None:
        """Run it."""
        control = Control(store, record.id, settings)
        if claim(control) == "mine":
            with control.watching():
                run(control)


class Thread(_Here):
    """Runs jobs in threads of this process, two at a time in the order of their coming; they end when it does."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Control] = queue.SimpleQueue()
        self._waiting: dict[str, Control] = {}
        self._running: dict[str, Control] = {}
        self._threads: list[threading.Thread] = []
        self._owner = os.getpid()

    def submit(self, store: JobStore, record: JobRecord, settings: Settings) -> None:
        """Queue it, and see to it that there are threads."""
        with store.changing(record.id) as mine:
            mine.process, mine.heartbeat = Process.this(), mine.submitted
        control = self._waiting[record.id] = Control(store, record.id, settings)
        self._queue.put(control)
        if not self._threads:
            for work in (self._run, self._run, self._look_after):
                self._threads.append(threading.Thread(target=work, name="frontierlab job", daemon=True))
                self._threads[-1].start()
            # before the interpreter waits for the threads of these jobs; what atexit calls comes after that
            getattr(threading, "_register_atexit", atexit.register)(self._end)

    def is_idle(self) -> bool:
        """Whether nothing is queued and nothing runs."""
        return not self._waiting and not self._running

    def _run(self) -> None:
        while True:
            control = self._queue.get()
            self._running[control.id] = control
            del self._waiting[control.id]
            try:
                if claim(control) == "mine":
                    with control.watching():
                        run(control)
            except Exception:  # the record cannot be read or written; the thread is there for the next job
                _log.exception("The job %s could not be begun.", control.id)
            finally:
                del self._running[control.id]

    def _look_after(self) -> None:
        """Give signs of life for what is queued."""
        while True:
            time.sleep(_QUEUED_BEAT)
            for control in list(self._waiting.values()):
                with suppress(OSError, JobError):  # the next sign of life may be written
                    control.write(None)

    def _end(self) -> None:
        """End the jobs of this process with it, so that their records say why."""
        if os.getpid() != self._owner:  # the end of a fork
            return
        for control in list(self._waiting.values()):
            control.end(state="failed", error=_OVER, patience=0)
        for control in list(self._running.values()):
            control.stop(_OVER)
        deadline = time.monotonic() + _PATIENCE
        while self._running and time.monotonic() < deadline:
            time.sleep(0.05)


BACKENDS = ("inline", "thread", "celery")
"""The names of all back ends."""

_backends: dict[str, Backend] = {"inline": Inline(), "thread": Thread()}


def _begin_anew() -> None:
    """Give a forked process threads of its own: those of the other process are not here, nor are its jobs."""
    _backends["thread"] = Thread()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def backend_of(name: str) -> Backend:
    """Return the back end of that name.

    Raises
    ------
    InvalidRequestError
        There is none; the message names those that there are.
    JobError
        It needs Celery, which is not installed.
    """
    if name not in BACKENDS:
        raise InvalidRequestError(f"There is no back end {name!r}. Valid: {', '.join(BACKENDS)}.")
    if name not in _backends:
        try:
            from frontierlab.jobs.celery_backend import Workers
        except ImportError as error:
            raise JobError(f'Celery is not installed ({error.name}): pip install "frontierlab[celery]"') from error
        _backends[name] = Workers()
    return _backends[name]
