"""Send jobs again whose message or whose runner was lost."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from frontierlab.errors import JobError
from frontierlab.jobs.broker import REFUSED, Broker
from frontierlab.jobs.records import JobRecord, JobStore

__all__ = ["resend_lost_jobs"]

_log = logging.getLogger(__name__)


def resend_lost_jobs(broker: Broker, store: JobStore) -> list[str]:
    """Send the lost jobs of a data folder to the workers again, and return their ids.

    A running job is lost if its runner gives no heartbeats. A queued job is lost if its message is no longer in the
    queue: that holds for all messages if the queue is empty, and otherwise for those that were sent before the message
    of a running job. A queued job is given its patience, because a worker may be about to claim it.

    A job that is sent again by mistake runs only once, because each worker claims a job before it runs it.

    Raises
    ------
    JobError
        The broker cannot be reached.
    """
    unfinished = [record for record in _unfinished(store) if record.broker in ("", broker.address)]
    if not unfinished:
        return []
    left = _left_before(unfinished, broker)
    return [record.id for record in unfinished if _is_lost(record, left) and _resend(record.id, left, broker, store)]


def _unfinished(store: JobStore) -> Iterator[JobRecord]:
    for id in store.ids():
        try:
            record = store.read_cached(id)
        except JobError:  # malformed, or removed meanwhile
            continue
        if record.backend == "celery" and not record.has_ended:
            yield record


def _left_before(unfinished: list[JobRecord], broker: Broker) -> datetime:
    """Return a time: the messages that were sent before it have left the queue, which keeps their order."""
    if not broker.queued():
        return datetime.now(UTC)
    running = (record for record in unfinished if record.state == "running" and not record.is_lost())
    return max((_sent(record) for record in running), default=datetime.min.replace(tzinfo=UTC))


def _is_lost(record: JobRecord, left: datetime) -> bool:
    sent = _sent(record)
    if record.state == "running":
        if not record.is_lost():
            return False
        if record.heartbeat is not None and sent < record.heartbeat:  # not sent again yet
            return True
    return sent < left and datetime.now(UTC) - sent > timedelta(seconds=record.patience)


def _sent(record: JobRecord) -> datetime:
    return record.sent or record.submitted


def _resend(id: str, left: datetime, broker: Broker, store: JobStore) -> bool:
    if (broker.ticket(id) or "").startswith(REFUSED):
        return False
    try:
        with store.changing(id) as record:
            if record.has_ended or not _is_lost(record, left):  # another worker has sent it meanwhile
                return False
            record.sent = datetime.now(UTC)
    except (JobError, OSError) as error:  # the next look may succeed, and other jobs are lost too
        _log.warning("The job %s is lost and is not sent again yet: %s", id, error)
        return False
    _log.warning("The job %s was lost while it was %s; it is sent again.", id, record.state)
    broker.send(record)
    return True
