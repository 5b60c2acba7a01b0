"""The record of a job: one JSON file per job in the data folder, shared by its runner and all who follow it."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import filelock
from pydantic import BaseModel, ConfigDict, ValidationError

from frontierlab._version import __version__
from frontierlab.errors import JobError
from frontierlab.jobs.processes import Process
from frontierlab.settings import Settings
from frontierlab.settings.data_folder import ELSEWHERE
from frontierlab.util.files import write_text

__all__ = ["BEAT", "JobRecord", "JobStore", "NO_WORKER", "REQUIRED_SETTINGS", "State", "required_settings", "this_user"]

BEAT = 5.0
"""Seconds between two heartbeats of a job's runner."""

NO_WORKER = "There is no worker"
"""How the warning begins that a queued job has no worker."""

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
"""The states of a job; the last three are final."""

_ID = re.compile(r"\d{8}T\d{9}-[a-z_]+-[0-9a-f]{8}")
_LOCK_SECONDS = 20


class JobRecord(BaseModel):
    """The record of a job; times are UTC.

    Parameters
    ----------
    id
        Starts with the time (UTC) at which the job was submitted.
    kind, arguments, backend
        What was submitted, and the back end that runs it.
    who
        User and machine.
    state
        The last state written; see `current` for the current one.
    submitted, started, ended
        Times; None until they happen.
    sent
        When the job was last sent to the workers; None if it never was.
    progress
        The progress, see `frontierlab.util.progress.Progress`.
    result
        The data from which the kind reads the result.
    error, traceback
        Why the job failed, in a sentence; and the traceback of an unexpected error.
    warnings
        Sentences that a user of the result should know.
    heartbeat, process
        The time of the last heartbeat, and the process that wrote it.
    patience
        Seconds without a heartbeat after which the runner is taken for lost.
    attempts
        How often the job was started. This is the number of the current runner, which alone writes into the record.
    required_settings
        The submitter's values of the settings that the result depends on.
    broker
        The broker that the job was sent to, without credentials; empty if none was needed.
    frontierlab
        The version of the package that submitted the job.
    """

    model_config = ConfigDict(extra="ignore")  # a later version may have more fields

    format: Literal[1] = 1
    id: str
    kind: str
    arguments: dict[str, Any] = {}
    backend: str = ""
    who: str = ""
    state: State = "queued"
    submitted: datetime
    started: datetime | None = None
    ended: datetime | None = None
    sent: datetime | None = None
    progress: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    traceback: str = ""
    warnings: list[str] = []
    heartbeat: datetime | None = None
    process: Process | None = None
    patience: float = 60.0
    attempts: int = 0
    required_settings: dict[str, Any] = {}
    broker: str = ""
    frontierlab: str = __version__

    @property
    def has_ended(self) -> bool:
        """Whether the job has ended."""
        return self.state not in ("queued", "running")

    def is_lost(self, times: int = 1) -> bool:
        """Whether there was no heartbeat for `times` the patience, or the process is known to have ended."""
        patience = timedelta(seconds=times * self.patience)
        silent = self.heartbeat is not None and datetime.now(UTC) - self.heartbeat > patience
        return silent or (times == 1 and self.process is not None and self.process.has_ended())

    def current(self) -> JobRecord:
        """Return the current record: failed if the job should be running and its runner is lost."""
        if self.has_ended or self.heartbeat is None:
            return self
        if not self.is_lost(3 if self.backend == "celery" else 1):  # another worker takes the job over soon
            return self
        last = f"{self.heartbeat:%Y-%m-%d %H:%M:%S} UTC"
        text = f"The job was {self.state}, but its process ended or hangs (last heartbeat {last})."
        if self.backend == "celery":
            text += " A worker that is started later can continue it."
        return self.model_copy(update={"state": "failed", "error": text, "ended": self.heartbeat})


class JobStore:
    """The records in the folder ``jobs`` of a data folder; safe for many processes at once.

    Parameters
    ----------
    settings
        Their ``data_dir`` is the data folder.
    """

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.data_dir / "jobs"

    def path(self, id: str, suffix: str = ".json") -> Path:
        """Return the path of a job's record, or of another file of the job."""
        if not isinstance(id, str) or not _ID.fullmatch(id):
            raise JobError(f"{id!r} is not the id of a job: frontierlab.jobs.jobs(settings) lists all jobs.")
        return self.folder / f"{id}{suffix}"

    def create(self, **fields: Any) -> JobRecord:
        """Write the record of a new job.

        Raises
        ------
        JobError
            The record cannot be written.
        """
        now = datetime.now(UTC)
        id = f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}-{fields['kind']}-{secrets.token_hex(4)}"
        record = JobRecord(id=id, submitted=now, who=this_user(), **fields)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text(self.path(id), record.model_dump_json(indent=1))
        except OSError as error:
            raise JobError(
                f"No job can be submitted: {self.folder} cannot be written ({error.strerror or error}). Set data_dir "
                "in the settings to another folder."
            ) from error
        return record

    def ids(self) -> list[str]:
        """Return the ids of all jobs, newest first."""
        found = [path.stem for path in self.folder.glob("*.json") if _ID.fullmatch(path.stem)]
        return sorted(found, reverse=True)

    def read(self, id: str) -> JobRecord:
        """Return a job's record.

        Raises
        ------
        JobError
            There is no such job, or its record is malformed.
        """
        path = self.path(id)
        try:
            return JobRecord.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise JobError(
                f"There is no job {id} in {self.folder}: frontierlab.jobs.jobs(settings) lists all jobs. {ELSEWHERE}"
            ) from None
        except (OSError, ValueError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise JobError(f"The record {path} of a job cannot be read: {reason}.") from error

    def read_cached(self, id: str) -> JobRecord:
        """Return a job's record for display: the file of an ended job is read again only if it has changed.

        Panels call this for hundreds of records every second. Calls can return the same object: do not change it.

        Raises
        ------
        JobError
            As for `read`.
        """
        path = self.path(id)
        try:
            about = path.stat()
        except OSError:
            return self.read(id)  # raises the right error
        version = about.st_ino, about.st_mtime_ns, about.st_size
        known = _ended.get(path)
        if known is not None and known[0] == version:
            return known[1]
        record = self.read(id)
        if record.has_ended:
            if len(_ended) >= _MOST_ENDED:
                _ended.clear()
            _ended[path] = version, record
        return record

    def current(self, id: str) -> JobRecord:
        """Return a job's current record for display; see `JobRecord.current` and `read_cached`."""
        written = self.read_cached(id)
        record = written.current()
        if record.has_ended and not written.has_ended and self.is_cancelled(id):
            return record.model_copy(update={"state": "cancelled", "error": None})
        return record

    @contextmanager
    def changing(self, id: str, patience: float | None = None) -> Iterator[JobRecord]:
        """Give a job's record to change. It is written atomically at the end, unless the body raises.

        Parameters
        ----------
        id
            The job.
        patience
            Seconds to wait for a process that has the lock of the record; by default 20.

        Raises
        ------
        JobError
            There is no such job, or another process keeps its lock.
        """
        patience = _LOCK_SECONDS if patience is None else patience
        lock = filelock.FileLock(self.path(id, ".lock"), timeout=patience)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise JobError(
                f"Another process has held the lock of the job {id} for {patience:g} s: {lock.lock_file}. Try again."
            ) from None
        try:
            try:
                record = self.read(id)
            except JobError:
                if not self.path(id).exists():  # removed meanwhile; ids are never used again
                    self.path(id, ".lock").unlink(missing_ok=True)
                raise
            before = record.model_dump_json(indent=1)
            yield record
            after = record.model_dump_json(indent=1)
            if after != before:
                write_text(self.path(id), after)
        finally:
            lock.release()

    def remove(self, id: str) -> None:
        """Remove a job's files, its record last; call this inside `changing`."""
        lock, record = self.path(id, ".lock"), self.path(id)
        others = {path for path in self.folder.glob(f"{id}.*") if path not in (lock, record)}
        for path in (*others, record, lock):
            path.unlink(missing_ok=True)

    def cancel(self, id: str) -> None:
        """Cancel a job: at once if nobody runs it. Otherwise a file beside the record tells the runner.

        Raises
        ------
        JobError
            There is no such job, or its record is locked; the runner is told in both cases.
        """
        if self.read(id).has_ended:
            return
        self.path(id, ".cancel").touch()
        with self.changing(id) as record:
            if record.state == "queued" or (not record.has_ended and record.current().has_ended):
                record.state, record.ended = "cancelled", datetime.now(UTC)

    def is_cancelled(self, id: str) -> bool:
        """Whether a cancellation of the job was requested."""
        return self.path(id, ".cancel").exists()


_ended: dict[Path, tuple[tuple[int, int, int], JobRecord]] = {}  # records of ended jobs, see `read_cached`
_MOST_ENDED = 2_000


def this_user() -> str:
    """Return the submitter: the user, as JupyterHub or the system names them, and the machine."""
    try:
        user = os.environ.get("JUPYTERHUB_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container without a name for its user
        user = f"user {os.getuid()}"
    return f"{user} on {socket.gethostname()}"


REQUIRED_SETTINGS = (
    "es_address",
    "es_index",
    "coolr_host",
    "db_instances",
    "limit_queries",
    "es_caching_efficiency_index",
)
"""Settings that a result depends on: a worker with other values does not run the job."""


def required_settings(settings: Settings) -> dict[str, Any]:
    """Return the values of `REQUIRED_SETTINGS` that were set, as JSON; none is a secret."""
    return settings.model_dump(mode="json", include={*REQUIRED_SETTINGS} & settings.model_fields_set)
