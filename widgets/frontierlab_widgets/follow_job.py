"""Follow a job in a panel."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from frontierlab.errors import JobError
from frontierlab.jobs import Job
from frontierlab.jobs.records import NO_WORKER
from frontierlab.util.progress import Progress
from frontierlab_widgets.work import Work, WorkStopped

__all__ = ["follow"]

_LOOK = 0.25  # seconds
_PATIENCE = 60.0  # seconds for a cancelled job to end; the panel gives up sooner
ALONE = 60.0
"""Seconds for which a queued job without a worker is followed."""


def follow(job: Job, work: Work, each: Callable[[], object] = lambda: None) -> Any:
    """Report the progress of a job until it ends, and return its result; a stop cancels the job.

    Parameters
    ----------
    job
        The job.
    work
        The panel's work.
    each
        Called after each look at the job.

    Raises
    ------
    JobError
        The job failed; or it is queued and had no worker for a minute. It stays queued.
    WorkStopped
        The user stopped the work.
    """
    seen = time.monotonic()  # when a worker was last present, or none was needed
    while job.wait(_LOOK) in ("queued", "running"):
        if work.stopping.is_set():
            job.cancel()
            job.wait(_PATIENCE)
            raise WorkStopped
        record = job.record()
        alone = [text for text in record.warnings if text.startswith(NO_WORKER)]
        if not alone:
            seen = time.monotonic()
        elif time.monotonic() - seen > ALONE:
            why = " ".join(alone)
            raise JobError(f"The job {job.id} stays queued: {why} The jobs panel can start a worker or cancel it.")
        queued = Progress(record.state, 0, None, 0.0, None, " ".join(alone))
        work.report(queued if record.progress is None else Progress(**record.progress))
        each()
    return job.result()
