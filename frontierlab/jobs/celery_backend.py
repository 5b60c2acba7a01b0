"""The back end that runs jobs on Celery workers, and what the broker knows about these jobs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from frontierlab.errors import ConfigurationError, JobError
from frontierlab.jobs.broker import REFUSED, Broker
from frontierlab.jobs.records import NO_WORKER, JobRecord, JobStore, required_settings
from frontierlab.settings import Settings
from frontierlab.settings.redaction import redact, secrets_of

__all__ = ["CeleryBackend"]

_EARLY = timedelta(seconds=3)  # the broker is not asked about a job that was submitted less than this ago
_PATIENCE = 60.0  # seconds for a broker that does not answer to return
_PAUSE = 5.0  # seconds before a broker that did not answer is asked again
_Answer = TypeVar("_Answer")


class CeleryBackend:
    """Sends jobs to Celery workers through the broker that the settings name."""

    def __init__(self) -> None:
        self._away: dict[str, tuple[float, float, JobError]] = {}  # by broker: first and last failure, error

    def submit(self, store: JobStore, record: JobRecord, settings: Settings) -> None:
        """Send the job.

        Raises
        ------
        JobError, ConfigurationError
            There is no broker, or it cannot be reached. The job's record says that the job failed.
        """
        try:
            broker = Broker(settings)
            with store.changing(record.id) as mine:
                mine.broker, mine.required_settings = broker.address, required_settings(settings)
                mine.patience, mine.sent = settings.job_lost_seconds, datetime.now(UTC)
            broker.send(record)
        except (JobError, ConfigurationError) as error:
            with store.changing(record.id) as mine:
                mine.state, mine.ended = "failed", datetime.now(UTC)
                mine.error = redact(str(error), secrets_of(settings))
            raise

    def notify_cancelled(self, id: str, settings: Settings) -> None:
        """Tell the broker. If it cannot be reached, the file beside the record is enough."""
        with suppress(JobError, ConfigurationError):
            self._ask(Broker(settings), lambda broker: broker.cancel(id))

    def forget(self, id: str, settings: Settings) -> None:
        """Remove the job's data from the broker. If it cannot be reached, the data expires."""
        with suppress(JobError, ConfigurationError):
            self._ask(Broker(settings), lambda broker: broker.forget(id))

    def current_record(self, store: JobStore, record: JobRecord, settings: Settings) -> JobRecord:
        """Return the current record of a queued job, completed with what the broker knows."""
        if record.state != "queued" or datetime.now(UTC) - record.submitted < _EARLY:
            return record
        try:
            broker = Broker(settings)
        except ConfigurationError:
            where = f"the job waits at the broker {record.broker}, and the settings here name none"
            return _without_worker(record, " that can be seen from here", where)
        try:
            ticket, workers = self._ask(broker, lambda broker: (broker.ticket(record.id), broker.workers()))
        except JobError as error:
            since, last, _ = self._away.get(broker.address, (0.0, 0.0, error))  # another thread may have had an answer
            if last - since < _PATIENCE:
                return record
            return _failed(record, f"The job is queued, and its broker has not answered for {_PATIENCE:g} s: {error}")
        if ticket is None and broker.address != record.broker:
            where = f"the job was sent to the broker {record.broker}, and the settings here name {broker.address}"
            return _without_worker(record, " that can be seen from here", where)
        if ticket is not None and ticket.startswith(REFUSED):
            return _failed(record, ticket.removeprefix(REFUSED))
        return record if workers else _without_worker(record, "", f"the job waits at the broker {broker.address}")

    def _ask(self, broker: Broker, question: Callable[[Broker], _Answer]) -> _Answer:
        """Ask a broker. One that has just failed to answer is not asked again at once: each question takes seconds."""
        since, last, why = self._away.get(broker.address, (0.0, -math.inf, JobError()))
        now = time.monotonic()
        if now - last < _PAUSE:
            raise JobError(str(why))
        try:
            answer = question(broker)
        except JobError as error:
            begun = since if now - last < _PATIENCE + _PAUSE else now  # the last failure was long ago
            self._away[broker.address] = begun, time.monotonic(), error
            raise
        self._away.pop(broker.address, None)
        return answer


def _without_worker(record: JobRecord, which: str, where: str) -> JobRecord:
    text = f"{NO_WORKER}{which}: {where}. Start one with make worker or frontierlab.jobs.start_worker(settings)."
    return record.model_copy(update={"warnings": [text]})


def _failed(record: JobRecord, error: str) -> JobRecord:
    return record.model_copy(update={"state": "failed", "error": error, "ended": datetime.now(UTC)})
