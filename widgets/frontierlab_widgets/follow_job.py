"""A job, followed by a panel."""

from __future__ import annotations

import time
from typing import Any

from frontierlab.errors import JobError
from frontierlab.jobs import Job
from frontierlab.jobs.records import NO_WORKER
from frontierlab.util.progress import Progress
from frontierlab_widgets.work import Stopped, Work

__all__ = ["follow"]

_LOOK = 0.25  # seconds
_PATIENCE = 60.0  # seconds for the end of a job that is cancelled; the panel gives up sooner
ALONE = 60.0
"""Seconds for which a queued job is followed where there is no worker to run it."""


def follow(job: Job, work: Work) -> Any:
    """Report how far a job is until its end, and return its result; a stop cancels it.

    Raises
    ------
    JobError
        It failed; or it is queued, and for a minute there was no worker to run it. It stays queued then.
    Stopped
        It was stopped.
    """
    seen = time.monotonic()  # the last time at which a worker was there, or none was needed
    while job.wait(_LOOK) in ("queued", "running"):
        if work.stopping.is_set():
            job.cancel()
            job.wait(_PATIENCE)
            raise Stopped
        record = job.record()
        alone = [text for text in record.warnings if text.startswith(NO_WORKER)]
        if not alone:
            seen = time.monotonic()
        elif time.monotonic() - seen > ALONE:
            told = " ".join(alone)
            raise JobError(f"The job {job.id} stays queued: {told} The jobs panel can start a worker, or cancel it.")
        queued = Progress(record.state, 0, None, 0.0, None, " ".join(alone))
        work.report(queued if record.progress is None else Progress(**record.progress))
    return job.result()
