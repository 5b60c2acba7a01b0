"""A worker's handling of a message: run a job, or read one part of an extraction that another worker leads."""

from __future__ import annotations

import functools
import logging
import socket
from collections.abc import Callable

from frontierlab._version import __version__
from frontierlab.errors import FrontierlabError, JobError
from frontierlab.extraction.read_part import read_part
from frontierlab.jobs.broker import Broker
from frontierlab.jobs.context import JobContext, JobStopped
from frontierlab.jobs.records import BEAT, REQUIRED_SETTINGS, JobRecord, JobStore
from frontierlab.jobs.runner import claim, run_claimed
from frontierlab.settings import Settings

__all__ = ["read_one_part", "run_one_job", "worker_settings"]

_log = logging.getLogger(__name__)


@functools.cache
def worker_settings() -> Settings:
    """Return the settings of this worker, from the file that ``CONFIG_FILE`` names and from the environment."""
    return Settings()


class _PartContext(JobContext):
    """Context of one part of another worker's job: it stops with the job, and does not write the job's record."""

    def should_stop(self) -> bool:
        return super().should_stop() or self.store.read(self.id).has_ended

    def write_heartbeat(self, progress: object) -> None:
        pass

    def abandon(self) -> None:
        pass


def run_one_job(id: str, version: str) -> str:
    """Run the job of a message, unless it has ended, is cancelled or has another runner; return what was done."""
    settings = worker_settings()
    broker, store = Broker(settings), JobStore(settings)
    try:
        record = store.read(id)
    except JobError as error:
        broker.refuse(id, f"the worker on {socket.gethostname()} does not find the job: {error}")
        raise
    context = JobContext(
        store,
        id,
        settings,
        pulse=functools.partial(_pulse, broker, id),
        limit=settings.job_time_limit,
        beat=min(BEAT, settings.job_lost_seconds / 4),
        share=functools.partial(_share, broker, id),
    )
    taken = claim(context)
    if taken == "busy":
        return "run by another"
    if taken == "mine":
        if wrong := _refusal(record, settings, version):
            context.end(state="failed", error=wrong)
        else:
            with context.watching():
                run_claimed(context)
        if store.read(id).attempts != context.attempt:
            return "taken over by another"  # the ticket now belongs to that runner
    _quietly(lambda: broker.forget(id))
    return store.read(id).state


def read_one_part(id: str, dataset: str, number: int, version: str, redelivered: bool) -> str:
    """Read one part of an extraction that another worker leads; return what was done.

    A failure here costs only time: the leading worker reads all parts that nobody else has read.
    """
    if version != __version__ or redelivered:
        return "left to the others"  # a part that killed one worker could kill all of them
    settings = worker_settings()
    store = JobStore(settings)
    pulse = functools.partial(_pulse, Broker(settings), id)
    context = _PartContext(store, id, settings, pulse=pulse, limit=settings.job_time_limit)
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


def _refusal(record: JobRecord, settings: Settings, version: str) -> str:
    """Return why this worker must not run a job; empty if it may."""
    where = f"the worker on {socket.gethostname()}"
    if version != __version__:
        return (
            f"The job was submitted by frontierlab {version}, and {where} is frontierlab {__version__}: install the "
            "same version on both, and submit the job again."
        )
    ours = settings.model_dump(mode="json", include={*REQUIRED_SETTINGS})
    for name, value in record.required_settings.items():
        if ours.get(name) != value:
            return (
                f"The job was submitted with {name}={value!r}, and {where} has {ours.get(name)!r}: give the worker the "
                "configuration of the submitter."
            )
    return ""


def _pulse(broker: Broker, id: str) -> bool:
    try:
        return broker.pulse(id)
    except JobError:  # the work continues without the broker; its record says how it ends
        return False


def _share(broker: Broker, id: str, dataset: str, numbers: list[int]) -> None:
    """Offer all parts except the first two, which this worker reads at once."""
    _quietly(lambda: broker.send_parts(id, dataset, numbers[2:]))


def _quietly(call: Callable[[], object]) -> None:
    """Call a helper that may fail; a broker that cannot be reached is only logged."""
    try:
        call()
    except JobError as error:
        _log.warning("%s", error)
