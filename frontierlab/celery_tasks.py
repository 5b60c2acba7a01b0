"""The Celery application of the workers: ``celery -A frontierlab.celery_tasks worker --loglevel=info``.

With ``beat`` instead of ``worker`` it submits the night that the setting ``periodic`` describes. The import reads
nothing: a starting worker reads the configuration from the file that ``CONFIG_FILE`` names and from the environment.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery import Celery, Task, bootsteps

import frontierlab.jobs.kinds  # noqa: F401  # before Celery forks its pool, whose processes would each import it
from frontierlab.errors import JobError
from frontierlab.jobs.broker import READ_PART, RUN_JOB, Broker, configuration
from frontierlab.jobs.lost_jobs import LostJobs
from frontierlab.jobs.periodic import PERIODIC, schedule, submit_periodic
from frontierlab.jobs.records import JobStore
from frontierlab.jobs.worker import read_one_part, run_one_job, worker_settings

__all__ = ["app"]

_log = logging.getLogger(__name__)

app = Celery("frontierlab", set_as_current=False)
"""The Celery application."""


def _configuration() -> dict[str, Any]:
    settings = worker_settings()
    state = settings.data_dir / "jobs" / "beat"
    state.parent.mkdir(parents=True, exist_ok=True)  # beat opens its file before it sends any signal
    return {
        **configuration(settings),
        "beat_schedule": schedule(settings),
        "beat_schedule_filename": str(state),
    }


app.add_defaults(_configuration)


@app.task(name=RUN_JOB)  # type: ignore[untyped-decorator]  # Celery has no types
def run_job(id: str, version: str) -> str:
    """Run a job by its id."""
    return run_one_job(id, version)


@app.task(name=READ_PART, bind=True)  # type: ignore[untyped-decorator]
def read_part(self: Task, id: str, dataset: str, number: int, version: str) -> str:
    """Read one part of an extraction that another worker leads."""
    return read_one_part(id, dataset, number, version, bool(self.request.delivery_info.get("redelivered")))


@app.task(name=PERIODIC)  # type: ignore[untyped-decorator]
def periodic() -> str | None:
    """Submit the job of the night; Celery beat sends this task."""
    job = submit_periodic(worker_settings())
    return None if job is None else job.id


class _Presence(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Announces this worker every few seconds, and sends lost jobs again."""

    requires = {"celery.worker.components:Timer"}  # noqa: RUF012  # the form that Celery reads

    def start(self, parent: Any) -> None:
        settings = worker_settings()
        self._broker = Broker(settings)
        resend = LostJobs(self._broker, JobStore(settings)).resend
        self._try(self._broker.announce)
        self._try(resend)
        self._timers = [
            parent.timer.call_repeatedly(10, self._try, (self._broker.announce,)),
            parent.timer.call_repeatedly(settings.job_lost_seconds / 2, self._try, (resend,)),
        ]

    def stop(self, parent: Any) -> None:
        for timer in self._timers:
            timer.cancel()
        self._try(self._broker.leave)

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
        except (JobError, OSError) as error:  # the broker is away and Celery waits for it, or the records are
            _log.warning("%s", error)


app.steps["worker"].add(_Presence)
