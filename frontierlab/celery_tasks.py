"""The Celery application of the workers: ``celery -A frontierlab.celery_tasks worker --loglevel=info``.

Importing it reads nothing: the configuration, which ``CONFIG_FILE`` and variables name, is read when a worker starts.
"""

from __future__ import annotations

from typing import Any

from celery import Celery, Task, bootsteps

from frontierlab.errors import JobError
from frontierlab.jobs.broker import READ_PART, RUN_JOB, Broker, configuration
from frontierlab.jobs.worker import read_one_part, run_one_job, worker_settings

__all__ = ["app", "read_part", "run_job"]

app = Celery("frontierlab", set_as_current=False)
"""The application."""
app.add_defaults(lambda: configuration(worker_settings()))


@app.task(name=RUN_JOB, bind=True)  # type: ignore[untyped-decorator]  # Celery has no types
def run_job(self: Task, id: str, version: str) -> str:
    """Run a job, by its id."""
    return run_one_job(self, id, version)


@app.task(name=READ_PART, bind=True)  # type: ignore[untyped-decorator]
def read_part(self: Task, id: str, dataset: str, number: int, version: str) -> str:
    """Read a part of an extraction that another worker leads."""
    return read_one_part(self, id, dataset, number, version)


class _Presence(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Tells the broker every few seconds that this worker is there, so that those who wait know it."""

    requires = {"celery.worker.components:Timer"}  # noqa: RUF012  # as Celery reads it

    def start(self, parent: Any) -> None:
        self._broker = Broker(worker_settings())
        self._say(self._broker.announce)
        self._timer = parent.timer.call_repeatedly(10, self._say, (self._broker.announce,))

    def stop(self, parent: Any) -> None:
        self._timer.cancel()
        self._say(self._broker.leave)

    def _say(self, word: Any) -> None:
        try:
            word()
        except JobError:  # the broker is away: Celery itself says so, and waits for it
            return


app.steps["worker"].add(_Presence)
