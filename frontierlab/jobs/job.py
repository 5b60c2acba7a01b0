"""The user's view of a job: submit, follow and cancel it, and list all jobs."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from frontierlab.errors import JobCancelled, JobError
from frontierlab.jobs.backends import backend_of
from frontierlab.jobs.records import NO_WORKER, JobRecord, JobStore, State
from frontierlab.settings import Settings
from frontierlab.util.progress import Progress

__all__ = ["Job", "jobs", "open_job", "submit"]

_LOOK = 0.1  # seconds between two reads of the record
_ALONE = 60  # seconds to wait for a queued job if there is no worker
_GAP = 2.0  # longest gap between two reads that is counted: what happened in a longer gap is unknown


class Job:
    """A piece of work that runs elsewhere. `submit` makes it; `jobs` and `open_job` find it again.

    Each property reads the job's record in the data folder, so it is current wherever the job runs.

    Parameters
    ----------
    id
        Id of an existing job.
    settings
        Their data folder holds the record.
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
        """Return the current record of the job; for a damaged record, one that says so."""
        try:
            record = self._store.current(self.id)
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
        return backend_of(record.backend).current_record(self._store, record, self._settings)

    @property
    def kind(self) -> str:
        """The kind of job, as it was submitted."""
        return self.record().kind

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments, as JSON."""
        return self.record().arguments

    @property
    def backend(self) -> str:
        """Where the job runs: ``inline``, ``thread`` or ``celery``."""
        return self.record().backend

    @property
    def who(self) -> str:
        """The user who submitted the job, and the machine."""
        return self.record().who

    @property
    def submitted(self) -> datetime:
        """When the job was submitted (UTC)."""
        return self.record().submitted

    @property
    def started(self) -> datetime | None:
        """When the job started (UTC); None before."""
        return self.record().started

    @property
    def ended(self) -> datetime | None:
        """When the job ended (UTC); None before."""
        return self.record().ended

    @property
    def state(self) -> State:
        """``queued``, ``running``, ``succeeded``, ``failed`` or ``cancelled``.

        A job whose runner has disappeared has failed.
        """
        return self.record().state

    @property
    def progress(self) -> Progress | None:
        """The progress of the job; None if it has not reported any."""
        found = self.record().progress
        return None if found is None else Progress(**found)

    @property
    def error(self) -> str | None:
        """Why the job failed; None if it did not."""
        return self.record().error

    @property
    def traceback(self) -> str:
        """The traceback of an unexpected error; otherwise empty."""
        return self.record().traceback

    @property
    def warnings(self) -> list[str]:
        """Sentences that a user of the result should know; for a queued job also that there is no worker."""
        return self.record().warnings

    def wait(self, timeout: float | None = None) -> State:
        """Wait for the end of the job and return its state.

        Parameters
        ----------
        timeout
            Seconds after which the state at that moment is returned. None, the default, waits as long as the job runs,
            or is queued and there is a worker.

        Raises
        ------
        JobError
            The job is queued, and for a minute, summed over all calls, no worker was present. It stays queued: start a
            worker, and wait again.
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
        """Add up the time without a worker, over all calls of `wait`; raise after a minute."""
        if any(text.startswith(NO_WORKER) for text in record.warnings):
            self._alone += min(now - self._looked, _GAP)
        else:
            self._alone = 0.0
        self._looked = now
        if self._alone > _ALONE:
            self._alone = 0.0
            raise JobError(f"The job {self.id} stays queued: {' '.join(record.warnings)}")

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end of the job and return its result.

        Parameters
        ----------
        timeout
            Longest wait in seconds; None waits as `wait` does.

        Returns
        -------
        Dataset, Refreshed, pandas.DataFrame, Path, Path, pandas.DataFrame, pandas.DataFrame, Dataset or SquidLogs
            For an extraction, a catalogue, caching, a report, a notebook, a night, a diagnosis, servlet logs or Squid
            logs. It is read again at each call.

        Raises
        ------
        JobCancelled
            The job was cancelled.
        JobError
            The job failed, did not end in time, or has no worker to run it, see `wait`.
        """
        record = self._wait(timeout)
        if not record.has_ended:
            raise JobError(f"The job {self.id} has not ended within {timeout:g} s: it is {record.state}.")
        if record.state == "cancelled":
            raise JobCancelled(f"The job {self.id} was cancelled.")
        if record.state == "failed":
            raise JobError(f"The job {self.id} failed: {record.error}")
        from frontierlab.jobs.kinds import kind_of  # here: a list of jobs needs none of what jobs do

        return kind_of(record.kind).result(record, self._settings)

    def cancel(self) -> None:
        """Cancel the job: at once if it is queued, within seconds if it runs. A job that has ended is not changed.

        Results that are already stored stay: a cancelled extraction is an incomplete dataset, and submitting the same
        extraction again continues it.
        """
        backend = self.record().backend
        self._store.cancel(self.id)
        backend_of(backend).notify_cancelled(self.id, self._settings)


def submit(kind: str, *, settings: Settings | None = None, backend: str | None = None, **arguments: Any) -> Job:
    """Submit work that runs elsewhere, and return its job.

    Parameters
    ----------
    kind
        ``extraction`` (`frontierlab.extract`), ``catalogue`` (`frontierlab.catalogues.refresh`), ``caching``
        (`frontierlab.caching.efficiency`), ``report`` (`frontierlab.report`), ``notebook`` (one that the settings
        name: ``notebook``, and its ``parameters``), ``night`` (`frontierlab.nights.run`), ``diagnosis``
        (`frontierlab.diagnose`; its result is the frame of incidents), ``servlet_logs``
        (`frontierlab.rawlogs.read_servlet_logs`) or ``squid_logs`` (`frontierlab.rawlogs.read_squid_logs`).
    backend
        ``inline`` runs the job before this returns, ``thread`` runs it in this process, ``celery`` on a worker. By
        default the ``job_backend`` of the settings.
    **arguments
        Arguments of the kind's function, without settings, session and progress. They must be JSON or convertible to
        it: times, paths, datasets (by name) and selections are.

    Returns
    -------
    Job
        A failure of the work is stored in the job; it is not raised here.

    Raises
    ------
    InvalidRequestError
        The kind or back end does not exist, or an argument is unknown, missing or wrong. Nothing was started.
    JobError
        The job's record cannot be written, or the job cannot be sent to a worker.

    Examples
    --------
    >>> job = submit("extraction", name="overlay", since="2026-10-01", until="2026-10-02")  # doctest: +SKIP
    >>> job.result()  # doctest: +SKIP
    <Dataset overlay: complete, 11,482,003 rows, in …>
    """
    from frontierlab.jobs.kinds import kind_of

    settings = settings or Settings()
    backend = settings.job_backend if backend is None else backend
    runner = backend_of(backend)
    try:
        plain = kind_of(kind).arguments(settings.model_copy(update={"job_backend": backend}), arguments)
    except ImportError as error:
        raise JobError(
            f'A job of kind {kind} needs {error.name}, which is not installed: pip install "frontierlab[all]"'
        ) from error
    store = JobStore(settings)
    record = store.create(kind=kind, arguments=plain, backend=backend)
    runner.submit(store, record, settings)
    return Job(record.id, settings)


def jobs(settings: Settings | None = None) -> list[Job]:
    """Return all jobs of the data folder, newest first, of all users and back ends."""
    settings = settings or Settings()
    return [Job(id, settings) for id in JobStore(settings).ids()]


def open_job(id: str, settings: Settings | None = None) -> Job:
    """Return a job by its id.

    Raises
    ------
    JobError
        There is no such job.
    """
    job = Job(id, settings or Settings())
    job.record()
    return job
