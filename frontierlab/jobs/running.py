"""Running a job to its end, in whatever process: signs of life, progress, cancellation, and how it ended."""

from __future__ import annotations

import logging
import math
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import SecretStr

from frontierlab.cancelling import cancellable
from frontierlab.errors import FrontierlabError, JobError
from frontierlab.extraction import Share
from frontierlab.jobs.kinds import KINDS
from frontierlab.jobs.records import BEAT, JobStore, Process
from frontierlab.progress import Progress
from frontierlab.settings import Settings

__all__ = ["Claim", "Control", "MOST_ATTEMPTS", "claim", "end", "run"]

_log = logging.getLogger(__name__)

_LOOK = 0.25  # seconds between two looks at whether the job is cancelled
_WRITE = 0.5  # seconds between two records of progress
_PULSE = 1.0  # seconds between two words with the broker

MOST_ATTEMPTS = 3
"""How often a job is begun whose process ends before it does: one that kills its worker would do so for ever."""


class Stopped(Exception):  # not public: nobody but this module catches it
    """Ends the work of a job; none of our errors, so that no part of it is taken for the failure of a server."""


class Control:
    """The hold that a job's work and whoever runs it have of each other.

    Parameters
    ----------
    store
        Where the job's record is.
    id
        The job.
    pulse
        Called every second while the job goes on; returns True where the job is cancelled.
    limit
        Seconds after which the job is ended.
    beat
        Seconds between two signs of life.
    share
        Given to an extraction, so that others read parts of it.
    """

    def __init__(
        self,
        store: JobStore,
        id: str,
        *,
        pulse: Callable[[], bool] = lambda: False,
        limit: float = math.inf,
        beat: float = BEAT,
        share: Share | None = None,
    ) -> None:
        self.store = store
        self.id = id
        self.cancelled = threading.Event()
        self.spark = cancellable()
        self.reason: str | None = None
        self.latest: Progress | None = None
        self.share = share
        self._pulse = pulse
        self._limit = limit
        self._beat = beat
        self._over = threading.Event()

    def report(self, progress: Progress) -> None:
        """Take a record of progress; raise where the job is cancelled."""
        self.latest = progress
        self.check()

    def check(self) -> None:
        """Raise where the job is cancelled, or has to end for another reason."""
        if self.cancelled.is_set():
            raise Stopped(self.reason)

    def stop(self, reason: str | None = None) -> None:
        """End the job's work; with a reason it has failed, without it was cancelled."""
        self.reason = self.reason or reason
        self.cancelled.set()
        self.spark.cancel()

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
        began, pulsed, written, shown = time.monotonic(), 0.0, 0.0, self.latest
        while not self._over.is_set():
            now = time.monotonic()
            if now - began > self._limit:
                self.stop(f"It went on for longer than {self._limit:g} s, the job_time_limit of the settings.")
            if now - pulsed >= _PULSE:
                pulsed = now
                if self._pulse():
                    self.stop()
            with suppress(OSError, JobError):  # a folder of the network that is away for a moment
                if self.is_over():
                    self.stop()
            if now - written >= (self._beat if self.latest is shown else _WRITE):
                written, shown = now, self.latest
                # where it cannot be written now, the next beat may be; followers notice where none comes
                with suppress(OSError, JobError):
                    self.write(shown)
            self._over.wait(_LOOK)

    def is_over(self) -> bool:
        """Whether the work has to end, by what is beside the record."""
        return self.store.is_cancelled(self.id)

    def write(self, progress: Progress | None) -> None:
        """Write a sign of life, and how far the job is, into its record."""
        with self.store.changing(self.id) as record:
            if not record.has_ended:
                record.heartbeat = datetime.now(UTC)
                record.progress = progress.as_record() if progress else record.progress


Claim = Literal["mine", "ended", "busy"]
"""What became of the attempt to take a job: it is to be run here; it has ended; another process runs it."""


def claim(store: JobStore, id: str) -> Claim:
    """Take a job, to run it here: one that is queued, or whose process has ended before it did."""
    with store.changing(id) as record:
        now = datetime.now(UTC)
        if not record.has_ended and store.is_cancelled(id):
            record.state, record.ended = "cancelled", now
        if record.has_ended:
            return "ended"
        if record.state == "running" and record.process != Process.this() and not record.is_lost():
            return "busy"
        if record.attempts >= MOST_ATTEMPTS:
            last = record.process or Process.this()
            record.state, record.ended = "failed", now
            record.error = (
                f"It was begun {record.attempts} times, and each time its process ended before it did, the last one "
                f"being {last.pid} on {last.host}. The worker's log may say why; often it is too little memory."
            )
            return "ended"
        record.state, record.heartbeat, record.process = "running", now, Process.this()
        record.started = record.started or now
        record.attempts += 1
    return "mine"


def run(control: Control, settings: Settings) -> None:
    """Run a job that is claimed; its record says how it ended, whatever happens."""
    record = control.store.read(control.id)
    try:
        control.check()
        with control.spark:
            outcome = KINDS[record.kind].run(record, settings, control)
    except (Stopped, FrontierlabError) as error:
        if control.reason or not control.cancelled.is_set():
            end(control, settings, state="failed", error=control.reason or str(error))
        else:
            end(control, settings, state="cancelled")
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        end(control, settings, state="failed", error=text, traceback=traceback.format_exc())
    except BaseException as error:  # Ctrl-C, or the end of the worker
        end(control, settings, state="failed", error=f"It was interrupted by {type(error).__name__}.")
        raise
    else:
        end(control, settings, state="succeeded", result=outcome.result, warnings=outcome.warnings)


def end(control: Control, settings: Settings, **fields: Any) -> None:
    """Write how a job ended, without any secret of the settings; its first end is its last."""
    hidden = _secrets(settings)
    try:
        with control.store.changing(control.id) as record:
            if record.has_ended:
                return
            for name, value in fields.items():
                setattr(record, name, _without(value, hidden) if isinstance(value, str) else value)
            record.ended = record.heartbeat = datetime.now(UTC)
            if control.latest is not None:
                record.progress = control.latest.as_record()
    except (OSError, JobError) as error:  # a full disk: followers see that there are no signs of life any more
        how = _without(str(fields.get("error") or fields["state"]), hidden)
        _log.error("The job %s is over (%s), and its record cannot be written: %s", control.id, how, error)


def _secrets(settings: Settings) -> list[str]:
    """Return what must not be in a record, though an error of some library may show it."""
    values = [getattr(settings, name) for name in type(settings).model_fields]
    found = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
    return [secret for secret in [*found, *settings.spark_options.values()] if len(secret) > 3]


def _without(text: str, hidden: list[str]) -> str:
    for secret in hidden:
        text = text.replace(secret, "…")
    return text
