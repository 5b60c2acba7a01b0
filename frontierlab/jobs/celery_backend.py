"""The back end that has jobs run by Celery workers, and what those who follow a job there can know of it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from frontierlab.errors import ConfigurationError, JobError
from frontierlab.jobs.broker import Broker
from frontierlab.jobs.records import NO_WORKER, JobRecord, JobStore
from frontierlab.jobs.worker import surroundings
from frontierlab.settings import Settings

__all__ = ["Workers"]

_EARLY = timedelta(seconds=3)  # in which nothing is asked about a job that was just submitted
_PATIENCE = 60.0  # seconds for a broker that does not answer to come back


class Workers:
    """Sends a job to the Celery workers, through the broker that the settings name."""

    def __init__(self) -> None:
        self._away: dict[str, float] = {}  # brokers that do not answer, since when

    def submit(self, store: JobStore, record: JobRecord, settings: Settings) -> None:
        """Send it.

        Raises
        ------
        JobError, ConfigurationError
            There is no broker, or it cannot be reached. The job's record says that it failed.
        """
        try:
            broker = Broker(settings)
            with store.changing(record.id) as mine:
                mine.broker, mine.surroundings = broker.address, surroundings(settings)
                mine.patience = settings.job_lost_seconds
            broker.send(record)
        except (JobError, ConfigurationError) as error:
            with store.changing(record.id) as mine:
                mine.state, mine.error, mine.ended = "failed", str(error), datetime.now(UTC)
            raise

    def cancelled(self, id: str, settings: Settings) -> None:
        """Tell the broker; where that is away, the file beside the record is enough."""
        try:
            Broker(settings).cancel(id)
        except (JobError, ConfigurationError):
            return

    def seen(self, store: JobStore, record: JobRecord, settings: Settings) -> JobRecord:
        """Return a queued job's record as of now, with what the broker knows of it."""
        if record.state != "queued" or datetime.now(UTC) - record.submitted < _EARLY:
            return record
        try:
            broker = Broker(settings)
            if broker.address != record.broker:
                return record  # it was sent to another broker, which cannot be asked from here
            ticket, workers = broker.ticket(record.id), broker.workers()
        except ConfigurationError:
            return record
        except JobError as error:
            since = self._away.setdefault(record.broker, time.monotonic())
            if time.monotonic() - since < _PATIENCE:
                return record
            return _failed(record, f"It is queued, and nobody can tell whether it is still there: {error}")
        self._away.pop(record.broker, None)
        if ticket is None:
            record = store.now(record.id)  # it may have ended meanwhile
            lost = f"The broker {record.broker} does not know it any more, its data was lost: submit it again."
            return _failed(record, lost) if record.state == "queued" else record
        if ticket.startswith("refused: "):
            return _failed(record, ticket.removeprefix("refused: "))
        if not workers:
            text = f"{NO_WORKER} to run it (broker {record.broker}): start one, with make worker, say."
            return record.model_copy(update={"warnings": [text]})
        return record


def _failed(record: JobRecord, error: str) -> JobRecord:
    return record.model_copy(update={"state": "failed", "error": error, "ended": datetime.now(UTC)})
