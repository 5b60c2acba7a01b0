"""Removing what is kept of jobs that have ended."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from frontierlab.errors import InvalidRequestError, JobError
from frontierlab.jobs.backends import backend_of
from frontierlab.jobs.records import JobRecord, JobStore
from frontierlab.settings import Settings

__all__ = ["prune"]


def prune(older_than: timedelta, settings: Settings | None = None) -> list[str]:
    """Remove the records of jobs that ended longer ago than that, and the results kept beside them.

    Those are caching figures and executed notebooks in the folder ``jobs``. Datasets, reports and the history of
    caching figures stay. So does every job that is queued or runs, and every record that cannot be read. Several can
    prune at the same time.

    Parameters
    ----------
    older_than
        ``timedelta(days=30)``, say; counted from the end of a job.
    settings
        By default ``Settings()``.

    Returns
    -------
    list of str
        The ids of the jobs that were removed here, oldest first.

    Raises
    ------
    InvalidRequestError
        `older_than` is not a timedelta, or is negative.
    JobError
        A file could not be removed; what was removed before stays removed.
    """
    if not isinstance(older_than, timedelta) or older_than < timedelta(0):
        raise InvalidRequestError(f"older_than={older_than!r} is not valid: a timedelta, timedelta(days=30) say.")
    settings = settings or Settings()
    store, before = JobStore(settings), datetime.now(UTC) - older_than
    return [id for id in reversed(store.ids()) if _remove(store, id, before, settings)]


def _remove(store: JobStore, id: str, before: datetime, settings: Settings) -> bool:
    try:
        if not _is_over(store.look(id), before):
            return False
        with store.changing(id) as record:  # which a worker may have begun again meanwhile
            if not _is_over(record, before):
                return False
            store.remove(id)
    except OSError as error:
        raise JobError(f"What is kept of the job {id} in {store.folder} cannot be removed: {error}.") from error
    except JobError:  # malformed, or removed by another meanwhile
        return False
    with suppress(JobError):  # where Celery is not installed
        backend_of(record.backend).forget(id, settings)
    return True


def _is_over(record: JobRecord, before: datetime) -> bool:
    """Whether a job ended before a time; one on a worker that was lost may yet go on, and is not over."""
    now = record if record.backend == "celery" else record.now()
    return now.has_ended and now.ended is not None and now.ended < before
