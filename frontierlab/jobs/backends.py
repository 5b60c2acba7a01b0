"""Where jobs run: here and now, or in a thread of this process."""

from __future__ import annotations

import atexit
import threading
from typing import Protocol

from frontierlab.jobs.records import JobRecord, JobStore, Process
from frontierlab.jobs.running import Control, claim, run
from frontierlab.settings import Settings

__all__ = ["BACKENDS", "Backend", "Inline", "Thread"]

_AT_ONCE = threading.Semaphore(2)  # more would take each other's memory and processors
_PATIENCE = 5  # seconds for jobs to end when the process does
_controls: dict[threading.Thread, Control] = {}


class Backend(Protocol):
    """Where jobs run."""

    def submit(self, store: JobStore, record: JobRecord, settings: Settings) -> None:
        """Have a job run whose record is written."""

    def cancelled(self, id: str, settings: Settings) -> None:
        """Tell whoever runs a job that it is cancelled, beside what its record's folder says."""


class Inline:
    """Runs a job before `submit` returns."""

    def submit(self, store: JobStore, record: JobRecord, settings: Settings) -> None:
        """Run it."""
        control = Control(store, record.id)
        with control.watching():
            if claim(store, record.id):
                run(control, settings)

    def cancelled(self, id: str, settings: Settings) -> None:
        """Do nothing: the record's folder is looked at."""


class Thread:
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

    def cancelled(self, id: str, settings: Settings) -> None:
        """Do nothing: the record's folder is looked at."""

    def _run(self, control: Control, settings: Settings) -> None:
        try:
            with control.watching():
                while not _AT_ONCE.acquire(timeout=0.1):
                    if control.cancelled.is_set():
                        return
                try:
                    if claim(control.store, control.id):
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


BACKENDS: dict[str, Backend] = {"inline": Inline(), "thread": Thread()}
"""All back ends, by their names in the settings."""
