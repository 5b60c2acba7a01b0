"""The night as a job that Celery beat submits once a day; `frontierlab.nights.run` does it."""

from __future__ import annotations

from typing import Any

import filelock
from celery.schedules import crontab

from frontierlab.jobs.job import Job, jobs, submit
from frontierlab.settings import Settings

__all__ = ["PERIODIC", "schedule", "submit_periodic"]

PERIODIC = "frontierlab.periodic"
"""The task that submits the job of the night."""

_KIND = "night"
_LOCK_SECONDS = 60


def schedule(settings: Settings) -> dict[str, Any]:
    """Return the schedule for Celery beat (UTC); empty unless the settings name ``periodic`` work."""
    if not settings.periodic:
        return {}
    return {
        "every day": {
            "task": PERIODIC,
            "schedule": crontab(hour=str(settings.periodic_hour), minute="0"),
            "options": {"expires": 12 * 3_600},
        }
    }


def submit_periodic(settings: Settings) -> Job | None:
    """Submit the job of the night; return None if one is queued or runs: that one does what is due when it starts.

    Raises
    ------
    JobError
        The job's record cannot be written, or the job cannot be sent to a worker.
    filelock.Timeout
        Another process has been submitting a night for a minute.
    """
    folder = settings.data_dir / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / "periodic.lock", timeout=_LOCK_SECONDS):  # two beats submit one night
        if any(not job.record().has_ended for job in jobs(settings) if job.kind == _KIND):
            return None
        return submit(_KIND, settings=settings, backend="celery")
