"""A job, followed by a panel."""

from __future__ import annotations

from typing import Any

from frontierlab.jobs import Job
from frontierlab.progress import Progress
from frontierlab_widgets.work import Stopped, Work

__all__ = ["follow"]

_LOOK = 0.25  # seconds
_PATIENCE = 60.0  # seconds for the end of a job that is cancelled


def follow(job: Job, work: Work) -> Any:
    """Report how far a job is until its end, and return its result; a stop cancels it.

    Raises
    ------
    JobError
        It failed.
    Stopped
        It was stopped.
    """
    while job.wait(_LOOK) in ("queued", "running"):
        if work.stopping.is_set():
            job.cancel()
            job.wait(_PATIENCE)
            raise Stopped
        work.report(job.progress or Progress(job.state, 0, None, 0.0, None))
    return job.result()
