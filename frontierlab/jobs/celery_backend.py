"""The back end that has jobs run by Celery workers, and what those who follow a job there can know of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from frontierlab.errors import ConfigurationError, JobError
from frontierlab.jobs.broker import Broker
from frontierlab.jobs.hiding import hide, secrets_of
from frontierlab.jobs.records import NO_WORKER, JobRecord, JobStore, surroundings
from frontierlab.settings import Settings

__all__ = ["Workers"]

_EARLY = timedelta(seconds=3)  # in which nothing is asked about a job that was just submitted
_PATIENCE = 60.0  # seconds for a broker that does not answer to come back
_PAUSE = 5.0  # seconds for which a broker that has not answered is not asked again
_Answer = TypeVar("_Answer")


class Workers:
    """Sends a job to the Celery workers, through the broker that the settings name."""

    def __init__(self) -> None:
        self._away: dict[str, tuple[float, float, JobError]] = {}  # brokers: no answer since when, when last, and why

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
                mine.state, mine.ended = "failed", datetime.now(UTC)
                mine.error = hide(str(error), secrets_of(settings))
            raise

    def cancelled(self, id: str, settings: Settings) -> None:
        """Tell the broker; where that is away, the file beside the record is enough."""
        with suppress(JobError, ConfigurationError):
            self._ask(Broker(settings), lambda broker: broker.cancel(id))

    def forget(self, id: str, settings: Settings) -> None:
        """Remove what the broker has of a job; where it is away, that expires."""
        with suppress(JobError, ConfigurationError):
            self._ask(Broker(settings), lambda broker: broker.forget(id))

    def seen(self, store: JobStore, record: JobRecord, settings: Settings) -> JobRecord:
        """Return a queued job's record as of now, with what the broker knows of it."""
        if record.state != "queued" or datetime.now(UTC) - record.submitted < _EARLY:
            return record
        try:
            broker = Broker(settings)
        except ConfigurationError:
            where = f"it waits at the broker {record.broker}, and there is none here now"
            return _alone(record, "that can be seen from here", where)
        try:
            ticket, workers = self._ask(broker, lambda broker: (broker.ticket(record.id), broker.workers()))
        except JobError as error:
            since, last, _ = self._away.get(broker.address, (0.0, 0.0, error))  # another thread may have had an answer
            if last - since < _PATIENCE:
                return record
            return _failed(record, f"It is queued, and nobody can tell whether it is still there: {error}")
        if ticket is None:
            return self._unknown(store.now(record.id), broker)  # it may have ended meanwhile
        if ticket.startswith("refused: "):
            return _failed(record, ticket.removeprefix("refused: "))
        return record if workers else _alone(record, "to run it", f"it waits at the broker {broker.address}")

    def _unknown(self, record: JobRecord, broker: Broker) -> JobRecord:
        """Return the record of a job that the broker of the settings does not know."""
        if record.state != "queued":
            return record
        if broker.address != record.broker:
            where = f"it was sent to the broker {record.broker}, and the settings here name {broker.address}"
            return _alone(record, "that can be seen from here", where)
        return _failed(
            record, f"The broker {record.broker} does not know it any more, its data was lost: submit it again."
        )

    def _ask(self, broker: Broker, question: Callable[[Broker], _Answer]) -> _Answer:
        """Ask a broker; one that has just not answered is not asked again at once, for each question takes seconds."""
        since, last, why = self._away.get(broker.address, (0.0, -math.inf, JobError()))
        now = time.monotonic()
        if now - last < _PAUSE:
            raise JobError(str(why))
        try:
            answer = question(broker)
        except JobError as error:
            begun = since if now - last < _PATIENCE + _PAUSE else now  # nobody has looked for long
            self._away[broker.address] = begun, time.monotonic(), error
            raise
        self._away.pop(broker.address, None)
        return answer


def _alone(record: JobRecord, which: str, where: str) -> JobRecord:
    text = f"{NO_WORKER} {which}: {where}. Start one, with make worker or frontierlab.jobs.start_worker(settings)."
    return record.model_copy(update={"warnings": [text]})


def _failed(record: JobRecord, error: str) -> JobRecord:
    return record.model_copy(update={"state": "failed", "error": error, "ended": datetime.now(UTC)})
