"""Daily work, started by Celery beat: refresh the catalogue, extract a day, compute caching figures, write a report."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import filelock
from celery.schedules import crontab

from frontierlab.errors import DatasetError, FrontierlabError
from frontierlab.jobs.job import Job, jobs, submit_chain
from frontierlab.jobs.records import JobRecord
from frontierlab.settings import Settings
from frontierlab.storage.dataset import dataset_path
from frontierlab.storage.store import open_dataset
from frontierlab.util.times import format_time

__all__ = ["PERIODIC", "schedule", "submit_periodic"]

PERIODIC = "frontierlab.periodic"
"""The task that submits the jobs that are due."""

_log = logging.getLogger(__name__)

_DAYS = 7  # days before today for which missing work is submitted
_NAME, _FORMER_NAME = "nightly-%Y-%m-%d", "day-%Y-%m-%d"  # of a day's dataset; the former is that of version 0.2.0
_LOCK_SECONDS = 60
_Step = tuple[str, dict[str, Any]]


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


def submit_periodic(settings: Settings, now: datetime | None = None) -> list[Job]:
    """Submit the jobs of a day as a chain: each starts when the one before it has succeeded.

    The extraction covers the day before `now` (UTC); its dataset is named ``nightly-2026-10-01``, for example, so that
    ``frontierlab.datasets.period("nightly-*")`` has all of them. A day that version 0.2.0 extracted or began keeps its
    name ``day-2026-10-01``. The extraction runs even if the refresh of the catalogue fails, and then uses the existing
    catalogue.

    Missing days of the last week are submitted too, starting with the first day that was ever extracted or requested.
    So a worker that was away for a night, or a server that did not answer, leaves no gap. A day is missing if its
    dataset is not complete. A day that was extracted and then deleted is not extracted again.

    Jobs that are queued, running or done are not submitted again.

    Returns
    -------
    list of Job
        The first job of each chain: those of missing days, oldest first, then that of today.

    Raises
    ------
    FrontierlabError
        A chain could not be submitted; the others were.
    """
    today = (now or datetime.now(UTC)).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    folder = settings.data_dir / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / "periodic.lock", timeout=_LOCK_SECONDS):  # two beats submit a day only once
        existing = _Jobs([job.record() for job in jobs(settings)])
        days = [today - timedelta(days=age) for age in range(_DAYS, 0, -1)]
        first = existing.first_day(settings)
        chains = [_steps(day, settings, existing) for day in days if day == days[-1] or (first and day.date() >= first)]
        if "catalogue" in settings.periodic and not existing.is_pending(("catalogue", {})):
            chains[-1].insert(0, ("catalogue", {}))
        return _submitted([chain for chain in chains if chain], settings)


def _submitted(chains: list[list[_Step]], settings: Settings) -> list[Job]:
    submitted, errors = [], []
    for chain in chains:
        try:
            submitted.append(submit_chain(chain, settings))
        except FrontierlabError as error:
            _log.error("%s %s could not be submitted: %s", *chain[0], error)
            errors.append(error)
    if errors:
        raise errors[0]
    return submitted


def _steps(day: datetime, settings: Settings, existing: _Jobs) -> list[_Step]:
    """Return the steps for a day that are neither done nor queued nor running."""
    name = _name(day, settings, existing)
    until = day + timedelta(days=1)
    wanted: list[_Step] = []
    if "extraction" in settings.periodic and not _is_complete(name, settings):
        wanted.append(("extraction", {"name": name, "since": format_time(day), "until": format_time(until)}))
    elif not _is_complete(name, settings):
        _log.warning("There is no complete dataset %s, and the setting periodic does not name extraction.", name)
        return []
    if "caching" in settings.periodic:
        wanted.append(("caching", {"dataset": name, "store": True}))
    if "report" in settings.periodic:
        wanted.append(("report", {"dataset": name}))
    if any(kind == "extraction" and existing.covers((kind, given)) for kind, given in wanted):
        return []  # the chain already submits the later steps, or the next day does
    return [step for step in wanted if not existing.covers(step)]


def _name(day: datetime, settings: Settings, existing: _Jobs) -> str:
    name, former = day.strftime(_NAME), day.strftime(_FORMER_NAME)

    def is_known(name: str) -> bool:
        return dataset_path(name, settings.data_dir).exists() or existing.covers(("extraction", {"name": name}))

    return former if is_known(former) and not is_known(name) else name


def _is_complete(name: str, settings: Settings) -> bool:
    try:
        return open_dataset(name, settings).state == "complete"
    except DatasetError:
        return False


@dataclass
class _Jobs:
    """The existing jobs."""

    records: list[JobRecord]

    def is_pending(self, step: _Step) -> bool:
        """Whether a job for this step is queued, runs, or follows such a job in a chain."""
        return any(_same(step, each) for record in self.records if not record.has_ended for each in _steps_of(record))

    def covers(self, step: _Step) -> bool:
        """Whether a job for this step is queued, runs or has succeeded."""
        done = (record for record in self.records if record.state == "succeeded")
        return self.is_pending(step) or any(_same(step, (record.kind, record.arguments)) for record in done)

    def first_day(self, settings: Settings) -> date | None:
        """Return the first day that was extracted or requested; None if there is none yet."""
        asked = (
            each[1].get("name") for record in self.records for each in _steps_of(record) if each[0] == "extraction"
        )
        made = (path.name for path in (settings.data_dir / "datasets").glob("[!.]*"))
        return min(_days([*asked, *made]), default=None)


def _days(names: Iterable[Any]) -> list[date]:
    found = []
    for name in names:
        for form in (_NAME, _FORMER_NAME):
            with suppress(ValueError):  # a dataset with another kind of name
                found.append(datetime.strptime(str(name), form).date())
    return found


def _steps_of(record: JobRecord) -> list[_Step]:
    return [(record.kind, record.arguments), *record.then]


def _same(step: _Step, other: _Step) -> bool:
    """Whether two steps are the same; extractions are if they write the same dataset."""
    if step[0] == other[0] == "extraction":
        return bool(step[1]["name"] == other[1].get("name"))
    return step == other
