"""A worker's handling of a message: run a job, or read one part of an extraction that another worker leads."""

from __future__ import annotations

import functools
import logging
import socket
from typing import Any

from celery import Task

from frontierlab._version import __version__
from frontierlab.errors import FrontierlabError, JobError
from frontierlab.extraction.read_part import read_part
from frontierlab.jobs.broker import Broker
from frontierlab.jobs.context import JobContext, JobStopped
from frontierlab.jobs.job import submit_chain
from frontierlab.jobs.records import BEAT, REQUIRED_SETTINGS, JobRecord, JobStore
from frontierlab.jobs.redaction import redact, secrets_of
from frontierlab.jobs.runner import claim, run_claimed
from frontierlab.settings import Settings

__all__ = ["LostMessageResender", "read_one_part", "run_one_job", "worker_settings"]

_log = logging.getLogger(__name__)


@functools.cache
def worker_settings() -> Settings:
    """Return the settings of this worker, from the file that ``CONFIG_FILE`` names and from the environment."""
    return Settings()


class _Helper(JobContext):
    """Handle for one part of another worker's job: it stops with the job, and does not write the job's record."""

    def should_stop(self) -> bool:
        return super().should_stop() or self.store.read(self.id).has_ended

    def write(self, progress: object) -> None:
        pass

    def abandon(self) -> None:
        pass


def run_one_job(task: Task, id: str, version: str) -> str:
    """Run the job of a message, unless it has ended, is cancelled or has another runner; return what was done."""
    settings = worker_settings()
    broker, store = Broker(settings), JobStore(settings)
    try:
        record = store.read(id)
    except JobError as error:
        broker.note(id, f"refused: the worker on {socket.gethostname()} does not find it: {error}")
        raise
    context = JobContext(
        store,
        id,
        settings,
        pulse=functools.partial(_hold, broker, _delivery(task), id),
        limit=settings.job_time_limit,
        beat=min(BEAT, settings.job_lost_seconds / 4),
        share=functools.partial(_share, broker, id),
    )
    taken = claim(context)
    if taken == "busy":
        raise task.retry(countdown=settings.job_lost_seconds / 3, max_retries=None)
    if taken == "mine":
        if wrong := _refusal(record, settings, version):
            context.end(state="failed", error=wrong)
        else:
            with context.watching():
                run_claimed(context)
        if store.read(id).attempts != context.attempt:
            return "taken over by another"  # the ticket and the later jobs now belong to that runner
    _quietly(lambda: broker.forget(id))
    _submit_next(store, id, settings)
    return store.read(id).state


def _submit_next(store: JobStore, id: str, settings: Settings) -> None:
    """Submit the next job of a chain if this one succeeded, or if it was a catalogue refresh."""
    with store.changing(id) as record:
        goes_on = record.state == "succeeded" or (record.kind == "catalogue" and record.has_ended)
        chain, record.then = (record.then, []) if goes_on else ([], record.then)
    if chain:
        try:
            submit_chain(chain, settings)
        except FrontierlabError as error:
            _log.error("After the job %s, %s could not be submitted: %s", id, chain[0], error)
            text = f"The job {chain[0][0]} that was to come after it could not be submitted: {error}"
            with store.changing(id) as record:
                record.warnings.append(redact(text, secrets_of(settings)))


def read_one_part(task: Task, id: str, dataset: str, number: int, version: str) -> str:
    """Read one part of an extraction that another worker leads; return what was done.

    A failure here costs only time: the leading worker reads all parts that nobody else has read.
    """
    if version != __version__ or task.request.delivery_info.get("redelivered"):
        return "left to the others"  # a part that killed one worker could kill all of them
    settings = worker_settings()
    broker, store = Broker(settings), JobStore(settings)
    hold = functools.partial(_hold, broker, _delivery(task), id)
    context = _Helper(store, id, settings, pulse=hold, limit=settings.job_time_limit)
    if store.read(id).has_ended:
        return "not needed any more"
    try:
        with context.watching():
            done = read_part(dataset, number, settings, context.report)
    except JobStopped:
        return "not needed any more"
    except (FrontierlabError, OSError) as error:
        _log.warning("Part %d of %s is left to the others: %s", number, dataset, error)
        return "left to the others"
    return "read" if done else "read by another"


class LostMessageResender:
    """Resends jobs whose message was lost although Redis kept its data; see `Broker.missing`.

    Parameters
    ----------
    broker
        The broker to check.
    store
        The records of the jobs.
    """

    def __init__(self, broker: Broker, store: JobStore) -> None:
        self._broker = broker
        self._store = store
        self._missed: set[str] = set()

    def look(self) -> None:
        """Resend jobs that were missing in the last two checks and that nobody runs.

        A ticket whose record cannot be read is skipped: its text may be for a submitter with another data folder, and
        the ticket expires.
        """
        missed, self._missed = self._missed, self._broker.missing()
        for id in self._missed & missed:
            try:
                record = self._store.read(id)
            except JobError as error:
                _log.debug("The message of the job %s is missing, and so is its record: %s", id, error)
                continue
            if record.has_ended:
                self._broker.forget(id)
            elif record.state == "queued" or record.is_lost():
                _log.warning("The message of the job %s was lost; it is sent again.", id)
                self._broker.send(record)


def _refusal(record: JobRecord, settings: Settings, version: str) -> str:
    """Return why this worker must not run a job; empty if it may."""
    where = f"the worker on {socket.gethostname()}"
    if version != __version__:
        return (
            f"It was submitted by frontierlab {version}, and {where} is frontierlab {__version__}: install the same "
            "version on both, and submit it again."
        )
    ours = settings.model_dump(mode="json", include={*REQUIRED_SETTINGS})
    for name, value in record.required_settings.items():
        if ours.get(name) != value:
            return (
                f"It was submitted with {name}={value!r}, and {where} has {ours.get(name)!r}: a worker needs the "
                "configuration of those who submit."
            )
    return ""


def _delivery(task: Task) -> str | None:
    properties = task.request.properties or {}
    return properties.get("delivery_tag")


def _hold(broker: Broker, delivery: str | None, id: str) -> bool:
    try:
        return broker.hold(delivery, id)
    except JobError:  # the work continues without the broker; its record says how it ends
        return False


def _share(broker: Broker, id: str, dataset: str, numbers: list[int]) -> None:
    """Offer all parts except the first two, which this worker reads at once."""
    _quietly(lambda: broker.send_parts(id, dataset, numbers[2:]))


def _quietly(call: Any) -> None:
    """Call a helper that may fail; a broker that cannot be reached is only logged."""
    try:
        call()
    except JobError as error:
        _log.warning("%s", error)
