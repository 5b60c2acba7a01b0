"""Jobs of the data folder, running and ended, on all back ends."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd
import traitlets
from ipywidgets import Widget

from frontierlab import Dataset, jobs
from frontierlab.errors import InvalidRequestError
from frontierlab.jobs import Job, LocalWorker
from frontierlab.util.progress import Progress
from frontierlab_widgets import elements
from frontierlab_widgets.code_box import Expression, call
from frontierlab_widgets.formatting import duration, error_box, moment, notes, progress_line
from frontierlab_widgets.panel import PANEL_LOCK, Panel, row
from frontierlab_widgets.table import Table, TableColumn

__all__ = ["JobsPanel"]

_COLUMNS = (
    TableColumn("kind", "Kind"),
    TableColumn("about", "About"),
    TableColumn("state", "State", "queued, running, succeeded, failed or cancelled"),
    TableColumn("far", "How far"),
    TableColumn("submitted", "Submitted", "UTC", moment),
    TableColumn("took", "Took", "since it began", duration, number=True),
    TableColumn("backend", "Where", "inline, in a thread of a notebook, or on a worker (celery)"),
    TableColumn("who", "Who"),
)
_MOST = 200
_EVERY = 1.0  # seconds between two reads of the records


class JobsPanel(Panel):
    """List jobs with state, progress, result and error; cancel them.

    The records are read about once a second while a page shows the panel.

    Parameters
    ----------
    settings
        Their data folder holds the records; by default ``Settings()``.

    Attributes
    ----------
    job : str
        Id of the chosen job; empty if none is chosen.
    """

    title = "Jobs"

    job = traitlets.Unicode().tag(saved=True)

    def build(self) -> list[Widget]:
        """Build the table and the details of the chosen job."""
        self._table = Table(_COLUMNS, "id", "No job was submitted yet.", label="Jobs")
        self._more = elements.HTML()
        self._about = elements.HTML()
        self._cancel = elements.Button(description="Cancel", button_style="danger", tooltip="End the chosen job")
        result = elements.Button(description="Result", tooltip="Show the result of the chosen job")
        refresh = elements.Button(description="Refresh", tooltip="Read the records of the jobs now")
        worker = elements.Button(
            description="Start a worker",
            tooltip="On this machine, until the kernel ends; with a Redis where the settings name no broker",
        )
        self._worker: LocalWorker | None = None
        self._result = elements.HTML()
        self.click(self._cancel, self.cancel)  # _show_job enables it
        self.click(worker, self.start_worker)
        self.click(result, self.show_result, when=lambda: bool(self.job))
        self.click(refresh, self.refresh)
        traitlets.link((self, "job"), (self._table, "selected"))
        self.on(self._chosen, "job")
        self.observe(lambda _: self.allow(), "job")
        self.on(self.refresh, "settings")
        with self.shown_errors():
            self.refresh()
        self.tick(self.refresh, _EVERY)
        return [self._table, self._more, row(refresh, result, self._cancel, worker), self._about, self._result]

    def refresh(self) -> None:
        """Read the records now."""
        if self.settings is None:
            return
        known = jobs.jobs(self.settings)
        found = [_row(job) for job in known[:_MOST]]  # before taking the lock: reading a remote folder can be slow
        frame = pd.DataFrame(found, columns=["id", *(column.name for column in _COLUMNS)])
        with PANEL_LOCK:
            self._table.show(frame, lambda record: "bad" if record["state"] == "failed" else "")
            more = f"The newest {_MOST:,} of {len(known):,} jobs are listed."
            self._more.value = notes([more] if len(known) > _MOST else [])
            self._show_job()

    def cancel(self) -> None:
        """Cancel the chosen job."""
        job = self._opened()
        job.cancel()
        self.message = f"{job.id} was asked to stop."

    def start_worker(self) -> None:
        """Start a worker on this machine; it ends with this kernel, not with the panel."""
        if self._worker is not None and self._worker.running:
            raise InvalidRequestError("The worker that was started here is still running.")
        settings = self.require_settings()

        def then(worker: LocalWorker) -> None:
            self._worker = worker
            self.message = "A worker runs until the kernel ends."
            if settings.job_backend != "celery":
                self.message += " Jobs go to it once the settings say job_backend = celery."

        self.begin(lambda _: jobs.start_worker(settings), then, stage="starting a worker")

    def show_result(self) -> None:
        """Show the result of the chosen job."""
        job = self._opened()
        if job.state in ("queued", "running"):
            raise InvalidRequestError(f"The job is {job.state}: it has no result yet.")
        result = job.result(0)
        shown = (
            result.head(20).to_html(border=0) if isinstance(result, pd.DataFrame) else f"<p>{escape(_said(result))}</p>"
        )
        self._result.value = f'<div style="overflow-x: auto">{shown}</div>'

    def code(self) -> str:
        """Return the code that finds the chosen job again."""
        settings = Expression("settings")
        if not self.job:
            return call("fl.jobs.jobs", settings)
        return "\n".join([call("job = fl.jobs.open_job", self.job, settings), "job.state, job.progress, job.error"])

    def _opened(self) -> Job:
        if not self.job:
            raise InvalidRequestError("Choose a job in the table first.")
        return jobs.open_job(self.job, self.require_settings())

    def _chosen(self) -> None:
        self._result.value = ""
        self._show_job()

    def _show_job(self) -> None:
        if not self.job:
            self._cancel.disabled, self._about.value = True, ""
            return
        job = self._opened()
        record = job.record()
        given = {name: value for name, value in record.arguments.items() if value is not None}
        arguments = "; ".join(f"{name}: {_short(value)}" for name, value in given.items())
        failed = error_box(record.error or "") if record.state == "failed" else ""
        about = (
            f'<p class="frontierlab-quiet">{escape(job.id)}: {escape(arguments)}</p>{failed}{notes(record.warnings)}'
        )
        if self._about.value != about:
            self._about.value = about
        self._cancel.disabled = record.has_ended


def _row(job: Job) -> dict[str, Any]:
    record = job.record()
    progress = None if record.progress is None else Progress(**record.progress)
    began, ended = record.started, record.ended
    took = None if began is None else ((ended or pd.Timestamp.now(tz="UTC")) - began).total_seconds()
    about = record.arguments.get("name") or record.arguments.get("dataset") or record.arguments.get("notebook") or ""
    far = progress_line(progress) if progress is not None and not record.has_ended else ""
    return {
        **{name: getattr(record, name) for name in ("id", "kind", "state", "submitted", "backend", "who")},
        "about": str(about),
        "far": (record.error or "") if record.state == "failed" else far,
        "took": took,
    }


def _short(value: Any) -> str:
    """Write an argument as text; of a long list only the beginning."""
    if isinstance(value, list | tuple):
        told = ", ".join(map(str, value[:3]))
        return f"{told} and {len(value) - 3:,} more" if len(value) > 3 else told
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _said(result: Any) -> str:
    if isinstance(result, Dataset):
        return f"The dataset {result.name}, {result.counts.kept:,} rows, in {result.path}."
    return str(result)
