"""Send jobs again whose message or runner was lost."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from frontierlab.errors import JobError
from frontierlab.jobs.broker import REFUSED, Broker
from frontierlab.jobs.records import JobRecord, JobStore

__all__ = ["LostJobs"]

_log = logging.getLogger(__name__)

_LOCK_SECONDS = 1.0  # the worker takes no message while it waits for a record that a stopped process has locked


class LostJobs:
    """The lost jobs of a data folder, for a worker that looks for them repeatedly.

    A running job is lost if its process has ended, or if there is no heartbeat for its patience and none came since the
    last look (the clock of its runner may be slow). A queued job is lost if its message is no longer in the queue: that
    holds for all messages if the queue is empty, and otherwise for those that were sent before the message of a running
    job. Queued jobs are given their patience, because a worker may be about to claim them.

    A job that is sent again by mistake runs only once, because each worker claims a job before it runs it.

    Parameters
    ----------
    broker
        The broker of this worker.
    store
        The records.
    """

    def __init__(self, broker: Broker, store: JobStore) -> None:
        self._broker = broker
        self._store = store
        self._heartbeats: dict[str, datetime | None] = {}  # of the last look

    def resend(self) -> list[str]:
        """Send the lost jobs to the workers again, and return their ids.

        Raises
        ------
        JobError
            The broker cannot be reached.
        """
        records = sorted(self._unfinished(), key=_sent)  # the order of the queue, which `_left_before` relies on
        seen, self._heartbeats = self._heartbeats, {record.id: record.heartbeat for record in records}
        if not records:
            return []
        left = self._left_before(records)
        lost = [record for record in records if _is_lost(record, left) and not _is_alive(record, seen)]
        return [record.id for record in lost if self._send(record.id, left)]

    def _unfinished(self) -> Iterator[JobRecord]:
        for id in self._store.ids():
            try:
                record = self._store.read_cached(id)
            except JobError:  # malformed, or removed meanwhile
                continue
            if record.backend == "celery" and not record.has_ended and self._is_ours(record):
                yield record

    def _is_ours(self, record: JobRecord) -> bool:
        # the submitter may have another name for the same Redis: then the job's ticket is there
        return record.broker in ("", self._broker.address) or self._broker.ticket(record.id) is not None

    def _left_before(self, records: list[JobRecord]) -> datetime:
        """Return a time: the messages that were sent before it have left the queue, which keeps their order."""
        now = datetime.now(UTC)
        if not self._broker.queued():
            return now
        running = [_sent(record) for record in records if record.state == "running" and not record.is_lost()]
        # a time to come is of a submitter whose clock is ahead
        return max((sent for sent in running if sent <= now), default=datetime.min.replace(tzinfo=UTC))

    def _send(self, id: str, left: datetime) -> bool:
        refused = (self._broker.ticket(id) or "").startswith(REFUSED)
        try:
            with self._store.changing(id, _LOCK_SECONDS) as record:
                if (refused and record.state == "queued") or record.has_ended or not _is_lost(record, left):
                    return False  # another worker has sent it meanwhile, or no worker finds it
                before, record.sent = record.sent, datetime.now(UTC)
        except (JobError, OSError) as error:  # the next look may succeed, and other jobs are lost too
            _log.warning("The job %s is lost and is not sent again yet: %s", id, error)
            return False
        try:
            self._broker.send(record)
        except JobError:
            with suppress(JobError, OSError), self._store.changing(id) as record:
                record.sent = before
            raise
        _log.warning("The job %s was lost while it was %s; it is sent again.", id, record.state)
        return True


def _is_lost(record: JobRecord, left: datetime) -> bool:
    sent, patience = _sent(record), timedelta(seconds=record.patience)
    if record.state == "running":
        if not record.is_lost():
            return False
        if record.heartbeat is not None and sent < record.heartbeat:  # not sent again yet
            return True
    return sent < left and datetime.now(UTC) - sent > patience


def _is_alive(record: JobRecord, seen: Mapping[str, datetime | None]) -> bool:
    """Return whether a running job may have given a heartbeat since the last look."""
    if record.state != "running" or (record.process is not None and record.process.has_ended()):
        return False
    return record.id not in seen or seen[record.id] != record.heartbeat


def _sent(record: JobRecord) -> datetime:
    return record.sent or record.submitted
