"""Work at its time, by Celery beat: a fresh catalogue, the night's extraction, its caching figures and its report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from celery.schedules import crontab

from frontierlab.datasets import open_dataset
from frontierlab.errors import DatasetError
from frontierlab.jobs.job import Job, jobs, submit_chain
from frontierlab.settings import Settings
from frontierlab.times import format_time

__all__ = ["PERIODIC", "schedule", "submit_periodic"]

PERIODIC = "frontierlab.periodic"
"""The task that submits the jobs whose time has come."""


def schedule(settings: Settings) -> dict[str, Any]:
    """Return what Celery beat is to send, and when (UTC); nothing unless the settings name ``periodic`` work."""
    if not settings.periodic:
        return {}
    return {
        "every day": {
            "task": PERIODIC,
            "schedule": crontab(hour=str(settings.periodic_hour), minute="0"),
            "options": {"expires": 12 * 3_600},
        }
    }


def submit_periodic(settings: Settings, now: datetime | None = None) -> list[Job]:
    """Submit the jobs of a day: each waits for the one before it, and is not begun where that fails.

    The extraction is that of the day before `now` (UTC), in a dataset named ``day-2026-10-01``, say. Where
    it is there, or on its way, it is not submitted again.
    """
    today = (now or datetime.now(UTC)).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = today - timedelta(days=1)
    name = f"day-{since:%Y-%m-%d}"
    wanted: list[tuple[str, dict[str, Any]]] = []
    if "catalogue" in settings.periodic:
        wanted.append(("catalogue", {}))
    if "extraction" in settings.periodic and not _is_there(name, settings):
        wanted.append(("extraction", {"name": name, "since": format_time(since), "until": format_time(today)}))
    if "caching" in settings.periodic:
        wanted.append(("caching", {"dataset": name, "store": True}))
    if "report" in settings.periodic:
        wanted.append(("report", {"dataset": name}))
    going_on = {(job.kind, str(job.arguments)) for job in jobs(settings) if not job.record().has_ended}
    if any((kind, str(arguments)) in going_on for kind, arguments in wanted):
        return []
    return [submit_chain(wanted, settings)] if wanted else []


def _is_there(name: str, settings: Settings) -> bool:
    try:
        return open_dataset(name, settings).state == "complete"
    except DatasetError:
        return False
