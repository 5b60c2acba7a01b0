"""A job as its user sees it: submitted, followed, cancelled; and all jobs there are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from frontierlab.errors import JobCancelled, JobError
from frontierlab.jobs.backends import backend_of
from frontierlab.jobs.kinds import kind_of
from frontierlab.jobs.records import NO_WORKER, JobRecord, JobStore, State
from frontierlab.settings import Settings
from frontierlab.util.progress import Progress

__all__ = ["Job", "jobs", "open_job", "submit", "submit_chain"]

_LOOK = 0.1  # seconds between two looks at the record
_ALONE = 60  # seconds for which a queued job is waited for where there is no worker
_GAP = 2.0  # seconds between two looks that count at most: nobody knows what was in a longer one


class Job:
    """A piece of work that goes on elsewhere; `submit` makes it, `jobs` and `open_job` find it again.

    Every property reads the job's record in the data folder: it is as of now, whoever runs the job.

    Parameters
    ----------
    id
        Of a job that there is.
    settings
        Their data folder holds its record.
    """

    def __init__(self, id: str, settings: Settings) -> None:
        self.id = id
        self._settings = settings
        self._store = JobStore(settings)
        self._alone = 0.0
        self._looked = time.monotonic()

    def __repr__(self) -> str:
        record = self.record()
        return f"<Job {self.id}: {record.state}, submitted by {record.who}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and (self.id, self._store.folder) == (other.id, other._store.folder)

    def __hash__(self) -> int:
        return hash(self.id)

    def record(self) -> JobRecord:
        """Return all that is known of it, as of now; of a record that is damaged, that it is."""
        try:
            record = self._store.now(self.id)
        except JobError as error:
            if not self._store.path(self.id).exists():
                raise
            submitted = datetime.strptime(self.id[:18] + "Z", "%Y%m%dT%H%M%S%f%z")
            return JobRecord(
                id=self.id,
                kind=self.id.split("-")[1],
                state="failed",
                submitted=submitted,
                error=str(error),
                backend="inline",
            )
        return backend_of(record.backend).seen(self._store, record, self._settings)

    @property
    def kind(self) -> str:
        """Its kind, as it was submitted."""
        return self.record().kind

    @property
    def arguments(self) -> dict[str, Any]:
        """Its arguments, as JSON."""
        return self.record().arguments

    @property
    def backend(self) -> str:
        """Where it runs: ``inline``, ``thread`` or ``celery``."""
        return self.record().backend

    @property
    def who(self) -> str:
        """Who submitted it, and on which machine."""
        return self.record().who

    @property
    def submitted(self) -> datetime:
        """When it was submitted (UTC)."""
        return self.record().submitted

    @property
    def started(self) -> datetime | None:
        """When it began (UTC); None before."""
        return self.record().started

    @property
    def ended(self) -> datetime | None:
        """When it ended (UTC); None before."""
        return self.record().ended

    @property
    def state(self) -> State:
        """``queued``, ``running``, ``succeeded``, ``failed`` or ``cancelled``.

        A job that nobody runs any more has failed.
        """
        return self.record().state

    @property
    def progress(self) -> Progress | None:
        """How far it is; None where it has not said so."""
        found = self.record().progress
        return None if found is None else Progress(**found)

    @property
    def error(self) -> str | None:
        """Why it failed; None where it did not."""
        return self.record().error

    @property
    def traceback(self) -> str:
        """Where in the code it failed, where that was not foreseen; otherwise empty."""
        return self.record().traceback

    @property
    def warnings(self) -> list[str]:
        """Sentences that who uses the result should know; of a queued job, that there is no worker to run it."""
        return self.record().warnings

    def wait(self, timeout: float | None = None) -> State:
        """Wait for its end and return its state.

        Parameters
        ----------
        timeout
            Seconds after which its state of then is returned. None, the default, waits for as long as it is run, or
            queued where there is a worker.

        Raises
        ------
        JobError
            It is queued, and for a minute no worker was seen that could run it, over all calls of this. It stays
            queued: start a worker, and wait again.
        """
        return self._wait(timeout).state

    def _wait(self, timeout: float | None) -> JobRecord:
        began = time.monotonic()
        while True:
            record, now = self.record(), time.monotonic()
            if record.has_ended:
                return record
            self._check_worker(record, now)
            if timeout is not None and now - began >= timeout:
                return record
            time.sleep(_LOOK if timeout is None else max(0.0, min(_LOOK, began + timeout - now)))

    def _check_worker(self, record: JobRecord, now: float) -> None:
        """Add up the time for which it was seen without a worker, by short waits too, and raise after a minute."""
        if any(text.startswith(NO_WORKER) for text in record.warnings):
            self._alone += min(now - self._looked, _GAP)
        else:
            self._alone = 0.0
        self._looked = now
        if self._alone > _ALONE:
            self._alone = 0.0
            raise JobError(f"The job {self.id} stays queued: {' '.join(record.warnings)}")

    def result(self, timeout: float | None = None) -> Any:
        """Wait for its end and return what it came to.

        Parameters
        ----------
        timeout
            Seconds to wait at most; None waits as `wait` does.

        Returns
        -------
        Dataset, Refreshed, pandas.DataFrame, Path or Path
            Of an extraction, catalogue, caching, report or notebook; read anew at each call.

        Raises
        ------
        JobCancelled
            It was cancelled.
        JobError
            It failed, it has not ended in time, or there is no worker to run it, see `wait`.
        """
        record = self._wait(timeout)
        if not record.has_ended:
            raise JobError(f"The job {self.id} has not ended within {timeout:g} s: it is {record.state}.")
        if record.state == "cancelled":
            raise JobCancelled(f"The job {self.id} was cancelled.")
        if record.state == "failed":
            raise JobError(f"The job {self.id} failed: {record.error}")
        return kind_of(record.kind).result(record, self._settings)

    def cancel(self) -> None:
        """Cancel it: at once where it is queued, within seconds where it runs; nothing where it has ended.

        What it stored by then stays: an extraction that is cancelled is an incomplete dataset, with which the same
        extraction goes on.
        """
        backend = self.record().backend
        self._store.cancel(self.id)
        backend_of(backend).cancelled(self.id, self._settings)


def submit(kind: str, *, settings: Settings | None = None, backend: str | None = None, **arguments: Any) -> Job:
    """Have work done away from here, and return the job that follows it.

    Parameters
    ----------
    kind
        ``extraction`` (`frontierlab.extract`), ``catalogue`` (`frontierlab.catalogues.refresh`), ``caching``
        (`frontierlab.caching.efficiency`), ``report`` (`frontierlab.report`), or ``notebook`` (one that the settings
        name: ``notebook``, and its ``parameters``).
    settings
        By default ``Settings()``.
    backend
        ``inline`` runs it before this returns, ``thread`` in this process, ``celery`` on a worker; by default the
        ``job_backend`` of the settings.
    **arguments
        Those of the function behind the kind, but for settings, session and progress. They have to be JSON, or
        become it: times, paths, datasets (by name) and selections do.

    Returns
    -------
    Job
        Its failure is the job's own, not raised here.

    Raises
    ------
    InvalidRequestError
        There is no such kind or back end, or an argument is unknown, missing or wrong. Nothing was begun.
    JobError
        The job's record cannot be written, or nobody can be asked to run it.

    Examples
    --------
    >>> job = submit("extraction", name="overlay", since="2026-10-01", until="2026-10-02")  # doctest: +SKIP
    >>> job.result()  # doctest: +SKIP
    <Dataset overlay: complete, 11,482,003 rows, in …>
    """
    settings = settings or Settings()
    backend = settings.job_backend if backend is None else backend
    return submit_chain([(kind, arguments)], settings, backend)


def submit_chain(chain: Sequence[tuple[str, dict[str, Any]]], settings: Settings, backend: str = "celery") -> Job:
    """Submit the first of several jobs, each a kind and its arguments; a worker submits the next once one succeeded.

    Raises
    ------
    InvalidRequestError, JobError
        As `submit` does, for the first.
    """
    (kind, arguments), *rest = chain
    runner = backend_of(backend)
    try:
        plain = kind_of(kind).arguments(settings.model_copy(update={"job_backend": backend}), arguments)
    except ImportError as error:
        raise JobError(
            f'A job of kind {kind} needs {error.name}, which is not installed: pip install "frontierlab[all]"'
        ) from error
    store = JobStore(settings)
    record = store.create(kind=kind, arguments=plain, backend=backend, then=rest)
    runner.submit(store, record, settings)
    return Job(record.id, settings)


def jobs(settings: Settings | None = None) -> list[Job]:
    """Return all jobs of the data folder, newest first, whoever submitted them and wherever they run."""
    settings = settings or Settings()
    return [Job(id, settings) for id in JobStore(settings).ids()]


def open_job(id: str, settings: Settings | None = None) -> Job:
    """Return a job by its id.

    Raises
    ------
    JobError
        There is none.
    """
    job = Job(id, settings or Settings())
    job.record()
    return job
