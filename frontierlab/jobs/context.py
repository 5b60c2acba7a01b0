"""Context of a running job: heartbeat, progress, cancellation, and how the job ends.

A job can get a second runner: the first one stalls longer than its patience (a network folder, a stopped process),
another one takes the job over, and the first one resumes. Each claim is an attempt with a number. Only the runner of
the latest attempt writes into the record. The work of the other one is stopped, and its result is dropped.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tenacity

from frontierlab.errors import JobError
from frontierlab.jobs.records import BEAT, JobRecord, JobStore
from frontierlab.settings import Settings
from frontierlab.settings.redaction import redact, secrets_of
from frontierlab.util.cancelling import cancellable
from frontierlab.util.progress import Progress

if TYPE_CHECKING:
    from frontierlab.extraction.run import Share

__all__ = ["JobContext"]

_log = logging.getLogger(__name__)

_LOOK = 0.25  # seconds between two checks for a cancellation
_WRITE = 0.5  # seconds between two writes of progress
_PULSE = 1.0  # seconds between two contacts with the broker
_GRACE = 10.0  # seconds for stopped work to end, before the job ends without it
_END_SECONDS = 30.0  # seconds for which a failing write of the job's end is retried
_JOIN = 60.0  # seconds for the watching thread to end: it may wait for a lock and for the broker
_TAKEN_OVER = "Another process has taken over the job, or the record of the job was removed."


class JobStopped(Exception):  # not public: only for modules that run jobs
    """Raised inside the work of a job to end it; caught by `runner.run_claimed` and `worker.read_one_part`.

    It is not a `FrontierlabError`, so no part of the work mistakes it for a server failure.
    """


class JobContext:
    """Shared handle of a running job and its runner: heartbeat, progress, cancellation.

    Parameters
    ----------
    store
        Holds the job's record.
    id
        The job's id.
    settings
        Their secrets are kept out of the record.
    pulse
        Called every second while the job runs; returns True if the job is cancelled.
    limit
        Seconds after which the job is stopped.
    beat
        Seconds between two heartbeats.
    share
        Passed to an extraction, so that other workers read parts of it.

    Attributes
    ----------
    attempt : int
        The number of this runner's claim of the job; 0 before the claim, see `frontierlab.jobs.runner.claim`.
    """

    def __init__(
        self,
        store: JobStore,
        id: str,
        settings: Settings,
        *,
        pulse: Callable[[], bool] = lambda: False,
        limit: float = math.inf,
        beat: float = BEAT,
        share: Share | None = None,
    ) -> None:
        self.store = store
        self.id = id
        self.settings = settings
        self.attempt = 0
        self.cancelled = threading.Event()
        self.questions = cancellable()
        self.reason: str | None = None
        self.latest: Progress | None = None
        self.share = share
        self._pulse = pulse
        self._limit = limit
        self._beat = beat
        self._over = threading.Event()
        self._stopped: float | None = None
        self._missed = 0

    def report(self, progress: Progress) -> None:
        """Accept a progress record; raise if the job has to stop."""
        self.latest = progress
        self.raise_if_stopped()

    def raise_if_stopped(self) -> None:
        """Raise if the job is cancelled or has to stop for another reason."""
        if self.cancelled.is_set():
            raise JobStopped(self.reason)

    def confirm_ownership(self) -> None:
        """Raise if the job is cancelled or taken over by another runner. Call this before an irreversible step."""
        if not self.owns(self.store.read(self.id)):
            self.stop(_TAKEN_OVER)
        self.raise_if_stopped()

    def path(self, suffix: str) -> Path:
        """Return the path of a file of this attempt; two runners of a job never write the same file."""
        return self.store.path(self.id, suffix if self.attempt < 2 else f".{self.attempt}{suffix}")

    def stop(self, reason: str | None = None) -> None:
        """Stop the job's work: as failed if a reason is given, otherwise as cancelled."""
        self.reason = self.reason or reason
        self._stopped = self._stopped or time.monotonic()
        self.cancelled.set()
        self.questions.cancel()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Write heartbeats and check for a cancellation in a separate thread while the body runs."""
        thread = threading.Thread(target=self._watch, name=f"watch {self.id}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join(_JOIN)

    def _watch(self) -> None:
        began, pulsed, written, shown = time.monotonic(), 0.0, 0.0, self.latest
        while not self._over.is_set():
            now = time.monotonic()
            if now - began > self._limit:
                self.stop(f"The job ran longer than {self._limit:g} s, the job_time_limit of the settings.")
            if now - pulsed >= _PULSE:
                pulsed = now
                if self._is_cancelled_at_broker():
                    self.stop()
            with suppress(OSError, JobError):  # a network folder may be unavailable for a moment
                if self.should_stop():
                    self.stop()
            if now - written >= (self._beat if self.latest is shown else _WRITE):
                written, shown = now, self.latest
                self._try_heartbeat(shown)
            if self._stopped is not None and now - self._stopped > _GRACE:
                self.abandon()
                return
            self._over.wait(_LOOK)

    def _is_cancelled_at_broker(self) -> bool:
        try:
            return self._pulse()
        except Exception:  # without this thread, a running job would be taken for lost
            _log.exception("The job %s: the broker could not be asked whether the job is cancelled.", self.id)
            return False

    def _try_heartbeat(self, progress: Progress | None) -> None:
        """Write a heartbeat. If that fails, the next one may succeed; followers notice if none comes."""
        try:
            self.write_heartbeat(progress)
        except (OSError, JobError) as error:
            if not self._missed:
                _log.warning("The job %s: a heartbeat cannot be written: %s", self.id, error)
            self._missed += 1

    def should_stop(self) -> bool:
        """Whether the files beside the record say that the work has to stop."""
        return self.store.is_cancelled(self.id)

    def owns(self, record: JobRecord) -> bool:
        """Whether this runner still owns the job: it has not ended, and no other runner has taken it over."""
        return not record.has_ended and record.attempts == self.attempt

    def write_heartbeat(self, progress: Progress | None) -> None:
        """Write a heartbeat and the progress into the record; stop the work if another runner owns the job."""
        with self.store.changing(self.id) as record:
            if self.owns(record):
                record.heartbeat = datetime.now(UTC)
                record.progress = progress.as_record() if progress else record.progress
            elif not self._over.is_set():
                self.stop(_TAKEN_OVER)

    def abandon(self) -> None:
        """End the job although its work does not stop; later results of the work are dropped."""
        if self.reason == _TAKEN_OVER:
            return
        text = (
            f"The work of the job went on for {_GRACE:g} s after it was told to stop. Until it stops, the dataset that "
            "it writes is in use."
        )
        _log.warning("The job %s has ended. %s", self.id, text)
        self.end(state="failed" if self.reason else "cancelled", error=self.reason, warnings=[text])

    def end(self, *, patience: float = _END_SECONDS, **fields: Any) -> None:
        """Write how the job ended, without any secret of the settings.

        Nothing is written if the job has already ended or another runner has taken it over.

        Parameters
        ----------
        patience
            Seconds for which a failing write of the record is retried.
        **fields
            Fields of the record.
        """
        hidden = secrets_of(self.settings)
        fields = {name: _redacted(value, hidden) for name, value in fields.items()}
        trying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((OSError, JobError)),
            stop=tenacity.stop_after_delay(patience),
            wait=tenacity.wait_fixed(1),
            reraise=True,
        )
        try:
            trying(self._write_end, fields)
        except (OSError, JobError) as error:  # a full disk, say: followers notice the missing heartbeats
            how = fields.get("error") or fields["state"]
            _log.error("The job %s has ended (%s), but its record cannot be written: %s", self.id, how, error)

    def _write_end(self, fields: dict[str, Any]) -> None:
        with self.store.changing(self.id) as record:
            if not self.owns(record):
                _log.warning(
                    "The end of attempt %d of the job %s is not written: %s", self.attempt, self.id, _TAKEN_OVER
                )
                return
            for name, value in fields.items():
                setattr(record, name, value)
            if self._missed:
                text = f"{self._missed} heartbeats of the job could not be written."
                record.warnings = [*record.warnings, text]  # a new list: the fields may be written again
            record.ended = record.heartbeat = datetime.now(UTC)
            if self.latest is not None:
                record.progress = self.latest.as_record()


def _redacted(value: Any, hidden: list[str]) -> Any:
    if isinstance(value, str):
        return redact(value, hidden)
    return [_redacted(item, hidden) for item in value] if isinstance(value, list) else value
