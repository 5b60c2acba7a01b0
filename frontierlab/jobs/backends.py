"""Where jobs run: here and now, in a thread of this process, or on workers."""

from __future__ import annotations

import atexit
import threading
from typing import Protocol

from frontierlab.errors import InvalidRequestError, JobError
from frontierlab.jobs.records import JobRecord, JobStore, Process
from frontierlab.jobs.running import Control, claim, run
from frontierlab.settings import Settings

__all__ = ["BACKENDS", "Backend", "Inline", "Thread", "backend_of"]

_AT_ONCE = threading.Semaphore(2)  # more would take each other's memory and processors
_PATIENCE = 5  # seconds for jobs to end when the process does
_controls: dict[threading.Thread, Control] = {}


class Backend(Protocol):
    """Where jobs run."""

    def submit(self, store: JobStore, record: JobRecord, settings: Settings) -> None:
        """Have a job run whose record is written."""

    def cancelled(self, id: str, settings: Settings) -> None:
        """Tell whoever runs a job that it is cancelled, beside what its record's folder says."""

    def seen(self, store: JobStore, record: JobRecord, settings: Settings) -> JobRecord:
        """Return a job's record with what is known of it beside."""


class _Here:
    """Where a job's record says everything, and its folder is looked at."""

    def cancelled(self, id: str, settings: Settings) -> None:
        """Do nothing."""

    def seen(self, store: JobStore, record: JobRecord, settings: Settings) -> JobRecord:
        """Return the record."""
        return record


class Inline(_Here):
    """Runs a job before `submit` returns."""

    def submit(self, store: JobStore, record: JobRecord, settings: Settings) -> None:
        """Run it."""
        control = Control(store, record.id)
        with control.watching():
            if claim(store, record.id) == "mine":
                run(control, settings)


class Thread(_Here):
    """Runs a job in a thread of this process, two at a time; at the end of the process they end too."""

    def submit(self, store: JobStore, record: JobRecord, settings: Settings) -> None:
        """Start the thread."""
        with store.changing(record.id) as mine:
            mine.process, mine.heartbeat = Process.this(), mine.submitted
        control = Control(store, record.id)
        thread = threading.Thread(target=self._run, args=(control, settings), name=record.id, daemon=True)
        atexit.unregister(_end_all)
        atexit.register(_end_all)
        _controls[thread] = control
        thread.start()

    def _run(self, control: Control, settings: Settings) -> None:
        try:
            with control.watching():
                while not _AT_ONCE.acquire(timeout=0.1):
                    if control.cancelled.is_set():
                        return
                try:
                    if claim(control.store, control.id) == "mine":
                        run(control, settings)
                finally:
                    _AT_ONCE.release()
        finally:
            _controls.pop(threading.current_thread(), None)


def _end_all() -> None:
    """End the jobs of this process, so that their records say why."""
    controls = dict(_controls)
    for control in controls.values():
        control.stop("Its process ended before it did; submit it again.")
    for thread in controls:
        thread.join(_PATIENCE)


BACKENDS = ("inline", "thread", "celery")
"""The names of all back ends."""

_backends: dict[str, Backend] = {"inline": Inline(), "thread": Thread()}


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
