"""Running a job to its end, in whatever process: signs of life, progress, cancellation, and how it ended."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import filelock
from pydantic import SecretStr

from frontierlab._version import __version__
from frontierlab.errors import FrontierlabError
from frontierlab.jobs.kinds import KINDS
from frontierlab.jobs.records import BEAT, JobStore, Process
from frontierlab.progress import Progress
from frontierlab.settings import Settings

__all__ = ["Control", "claim", "run"]

_LOOK = 0.25  # seconds between two looks at whether the job is cancelled
_WRITE = 0.5  # seconds between two records of progress


class _Stopped(Exception):
    """Ends the work of a job; none of our errors, so that no part of it is taken for the failure of a server."""


class Control:
    """The hold that a job's work and whoever runs it have of each other.

    Parameters
    ----------
    store
        Where the job's record is.
    id
        The job.
    """

    def __init__(self, store: JobStore, id: str) -> None:
        self.store = store
        self.id = id
        self.cancelled = threading.Event()
        self.reason: str | None = None
        self.latest: Progress | None = None
        self._over = threading.Event()

    def report(self, progress: Progress) -> None:
        """Take a record of progress; raise where the job is cancelled."""
        self.latest = progress
        self.check()

    def check(self) -> None:
        """Raise where the job is cancelled, or has to end for another reason."""
        if self.cancelled.is_set():
            raise _Stopped(self.reason)

    def stop(self, reason: str | None = None) -> None:
        """End the job's work; with a reason it has failed, without it was cancelled."""
        self.reason = self.reason or reason
        self.cancelled.set()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Give signs of life and look for a cancellation, in a thread of its own, while the body runs."""
        thread = threading.Thread(target=self._watch, name=f"watch {self.id}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        written, shown = 0.0, self.latest
        while not self._over.is_set():
            if self.store.is_cancelled(self.id):
                self.cancelled.set()
            due = BEAT if self.latest is shown else _WRITE
            if time.monotonic() - written >= due:
                written, shown = time.monotonic(), self.latest
                # where it cannot be written now, the next beat may be; followers notice where none comes
                with suppress(OSError, filelock.Timeout):
                    self._write(shown)
            self._over.wait(_LOOK)

    def _write(self, progress: Progress | None) -> None:
        with self.store.changing(self.id) as record:
            if not record.has_ended:
                record.heartbeat = datetime.now(UTC)
                record.progress = progress.as_record() if progress else record.progress


def claim(store: JobStore, id: str) -> bool:
    """Take a job that is queued, to run it here; False where it is not to be run, having ended."""
    with store.changing(id) as record:
        if record.has_ended:
            return False
        now = datetime.now(UTC)
        record.state, record.heartbeat, record.process = "running", now, Process.this()
        record.started = record.started or now
        record.attempts += 1
        record.frontierlab = __version__
    return True


def run(control: Control, settings: Settings) -> None:
    """Run a job that is claimed; its record says how it ended, whatever happens."""
    record = control.store.read(control.id)
    try:
        control.check()
        outcome = KINDS[record.kind].run(record, settings, control)
    except _Stopped:
        if control.reason:
            _end(control, settings, state="failed", error=control.reason)
        else:
            _end(control, settings, state="cancelled")
    except FrontierlabError as error:
        _end(control, settings, state="failed", error=str(error))
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        _end(control, settings, state="failed", error=text, traceback=traceback.format_exc())
    except BaseException as error:  # Ctrl-C, or the end of the worker
        _end(control, settings, state="failed", error=f"It was interrupted by {type(error).__name__}.")
        raise
    else:
        _end(control, settings, state="succeeded", result=outcome.result, warnings=outcome.warnings)


def _end(control: Control, settings: Settings, **fields: Any) -> None:
    hidden = _secrets(settings)
    with control.store.changing(control.id) as record:
        if record.has_ended:
            return
        for name, value in fields.items():
            setattr(record, name, _without(value, hidden) if isinstance(value, str) else value)
        record.ended = record.heartbeat = datetime.now(UTC)
        if control.latest is not None:
            record.progress = control.latest.as_record()


def _secrets(settings: Settings) -> list[str]:
    """Return what must not be in a record, though an error of some library may show it."""
    values = [getattr(settings, name) for name in type(settings).model_fields]
    found = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
    return [secret for secret in [*found, *settings.spark_options.values()] if len(secret) > 3]


def _without(text: str, hidden: list[str]) -> str:
    for secret in hidden:
        text = text.replace(secret, "…")
    return text
