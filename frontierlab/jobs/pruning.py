"""Remove the records and results of jobs that have ended."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from frontierlab.errors import InvalidRequestError, JobError
from frontierlab.jobs.backends import backend_of
from frontierlab.jobs.records import JobRecord, JobStore
from frontierlab.settings import Settings

__all__ = ["prune"]


def prune(older_than: timedelta, settings: Settings | None = None) -> list[str]:
    """Remove the records of jobs that ended longer than `older_than` ago, and the results beside the records.

    These results are caching figures and executed notebooks in the folder ``jobs``. Datasets, reports and the history
    of caching figures stay. Queued and running jobs stay, and so do malformed records. Several processes can prune at
    the same time.

    Parameters
    ----------
    older_than
        The age, counted from the end of a job, such as ``timedelta(days=30)``.
    settings
        By default ``Settings()``.

    Returns
    -------
    list of str
        The ids of the jobs that this call removed, oldest first.

    Raises
    ------
    InvalidRequestError
        `older_than` is not a timedelta, or is negative.
    JobError
        A file could not be removed. Jobs removed before that stay removed.
    """
    if not isinstance(older_than, timedelta) or older_than < timedelta(0):
        raise InvalidRequestError(
            f"older_than={older_than!r} is not valid: give a timedelta, such as timedelta(days=30)."
        )
    settings = settings or Settings()
    store, before = JobStore(settings), datetime.now(UTC) - older_than
    return [id for id in reversed(store.ids()) if _remove(store, id, before, settings)]


def _remove(store: JobStore, id: str, before: datetime, settings: Settings) -> bool:
    try:
        if not _is_over(store.read_cached(id), before):
            return False
        with store.changing(id) as record:  # a worker may have restarted the job meanwhile
            if not _is_over(record, before):
                return False
            store.remove(id)
    except OSError as error:
        raise JobError(f"The files of the job {id} in {store.folder} cannot be removed: {error}.") from error
    except JobError:  # malformed, or removed by another process meanwhile
        return False
    with suppress(JobError):  # raised if Celery is not installed
        backend_of(record.backend).forget(id, settings)
    return True


def _is_over(record: JobRecord, before: datetime) -> bool:
    """Whether a job ended before a time. A job lost by a worker does not count: another worker may continue it."""
    now = record if record.backend == "celery" else record.current()
    return now.has_ended and now.ended is not None and now.ended < before
