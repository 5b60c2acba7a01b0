"""What is known of a job: one JSON file each in the data folder, whoever runs it and whoever looks."""

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
from frontierlab.util.files import write_text

__all__ = ["BEAT", "JobRecord", "JobStore", "NO_WORKER", "SURROUNDINGS", "State", "surroundings", "this_user"]

BEAT = 5.0
"""Seconds between two signs of life of whoever runs a job."""

NO_WORKER = "No worker is there"
"""How a warning of a queued job begins that is sent to workers of which there are none."""

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
"""What a job can be; the last three are ends."""

_ID = re.compile(r"\d{8}T\d{9}-[a-z]+-[0-9a-f]{8}")
_LOCK_SECONDS = 20
_NOBODY = "nobody runs it any more: its process ended"


class JobRecord(BaseModel):
    """What is known of a job; times are UTC.

    Parameters
    ----------
    id
        It begins with the time, in UTC, at which the job was submitted.
    kind, arguments, backend
        What was asked for, and where it runs.
    who
        User and machine.
    state
        As it was written last; see `now`.
    submitted, started, ended
        None until then.
    progress
        The record of `frontierlab.util.progress.Progress`.
    result
        What the kind needs to give the result back.
    error, traceback
        Why it failed, in a sentence; and where in the code, where that was not foreseen.
    warnings
        Sentences that who uses the result should know.
    heartbeat, process
        The last sign of life of who runs it, and who that is.
    patience
        Seconds without a sign of life after which nobody runs it any more.
    attempts
        How often it was begun; the number of its valid runner, which alone writes into the record.
    surroundings
        Settings that the result depends on, as who submitted it had them.
    then
        Kinds and arguments of the jobs that a worker submits after it, one after the other.
    broker
        Where it was sent, without credentials; empty where it needed no broker.
    frontierlab
        The version of the package that it was submitted with.
    """

    model_config = ConfigDict(extra="ignore")  # of a later version

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
    progress: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    traceback: str = ""
    warnings: list[str] = []
    heartbeat: datetime | None = None
    process: Process | None = None
    patience: float = 60.0
    attempts: int = 0
    surroundings: dict[str, Any] = {}
    then: list[tuple[str, dict[str, Any]]] = []
    broker: str = ""
    frontierlab: str = __version__

    @property
    def has_ended(self) -> bool:
        """Whether it is at its end."""
        return self.state not in ("queued", "running")

    def is_lost(self, times: int = 1) -> bool:
        """Whether there was no sign of life for `times` its patience, or its process is known to have ended."""
        patience = timedelta(seconds=times * self.patience)
        silent = self.heartbeat is not None and datetime.now(UTC) - self.heartbeat > patience
        return silent or (times == 1 and self.process is not None and self.process.has_ended())

    def now(self) -> JobRecord:
        """Return it as it is now: failed, where it should be going on and nobody runs it."""
        if self.has_ended or self.heartbeat is None:
            return self
        if not self.is_lost(3 if self.backend == "celery" else 1):  # another worker goes on with it, soon
            return self
        text = f"The job was {self.state}, and {_NOBODY} (last sign of life {self.heartbeat:%Y-%m-%d %H:%M:%S} UTC)."
        if self.backend == "celery":
            text += " A worker that is started again may go on with it."
        return self.model_copy(update={"state": "failed", "error": text, "ended": self.heartbeat})


class JobStore:
    """The records of a data folder, in its folder ``jobs``; safe for many processes at once.

    Parameters
    ----------
    settings
        Their ``data_dir`` is that folder.
    """

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.data_dir / "jobs"

    def path(self, id: str, suffix: str = ".json") -> Path:
        """Return the place of a job's record, or of another file of it."""
        if not isinstance(id, str) or not _ID.fullmatch(id):
            raise JobError(f"{id!r} is not the id of a job. frontierlab.jobs.jobs(settings) lists the jobs there are.")
        return self.folder / f"{id}{suffix}"

    def create(self, **fields: Any) -> JobRecord:
        """Write the record of a new job.

        Raises
        ------
        JobError
            It cannot be written.
        """
        now = datetime.now(UTC)
        id = f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}-{fields['kind']}-{secrets.token_hex(4)}"
        record = JobRecord(id=id, submitted=now, who=this_user(), **fields)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text(self.path(id), record.model_dump_json(indent=1))
        except OSError as error:
            raise JobError(
                f"No job can be submitted: {self.folder} cannot be written ({error.strerror or error}). Another place "
                "is named by data_dir in the settings."
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
            There is none of that id, or it is malformed.
        """
        path = self.path(id)
        try:
            return JobRecord.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise JobError(
                f"There is no job {id} in {self.folder}. frontierlab.jobs.jobs(settings) lists the jobs there are."
            ) from None
        except (OSError, ValueError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise JobError(f"The record {path} of a job cannot be read: {reason}.") from error

    def look(self, id: str) -> JobRecord:
        """Return a job's record to show it: the file of a job that has ended is read again only if it has changed.

        Panels look at hundreds of records every second. The same object is given again: it is not to be changed.

        Raises
        ------
        JobError
            As `read` does.
        """
        path = self.path(id)
        try:
            about = path.stat()
        except OSError:
            return self.read(id)  # which says what is wrong
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

    def now(self, id: str) -> JobRecord:
        """Return a job's record as it is now, to show it; see `JobRecord.now` and `look`."""
        written = self.look(id)
        record = written.now()
        if record.has_ended and not written.has_ended and self.is_cancelled(id):
            return record.model_copy(update={"state": "cancelled", "error": None})
        return record

    @contextmanager
    def changing(self, id: str) -> Iterator[JobRecord]:
        """Give a job's record to change; it is written in one step at the end, unless that raises.

        Raises
        ------
        JobError
            There is none, or another process does not let go of it.
        """
        lock = filelock.FileLock(self.path(id, ".lock"), timeout=_LOCK_SECONDS)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise JobError(
                f"The record of the job {id} is locked by a process that does not let go of it: {lock.lock_file}."
            ) from None
        try:
            try:
                record = self.read(id)
            except JobError:
                if not self.path(id).exists():  # removed meanwhile, and an id is never used again
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
        """Remove a job's files, its record last; to be called while that is being changed."""
        lock, record = self.path(id, ".lock"), self.path(id)
        others = {path for path in self.folder.glob(f"{id}.*") if path not in (lock, record)}
        for path in (*others, record, lock):
            path.unlink(missing_ok=True)

    def cancel(self, id: str) -> None:
        """Cancel a job: at once where nobody runs it; otherwise who runs it is told by a file beside the record.

        Raises
        ------
        JobError
            There is none, or its record is locked; who runs it is told all the same.
        """
        if self.read(id).has_ended:
            return
        self.path(id, ".cancel").touch()
        with self.changing(id) as record:
            if record.state == "queued" or (not record.has_ended and record.now().has_ended):
                record.state, record.ended = "cancelled", datetime.now(UTC)

    def is_cancelled(self, id: str) -> bool:
        """Whether a job's cancellation was asked for."""
        return self.path(id, ".cancel").exists()


_ended: dict[Path, tuple[tuple[int, int, int], JobRecord]] = {}  # records of jobs that have ended, see `look`
_MOST_ENDED = 2_000


def this_user() -> str:
    """Say who submits: the user, as JupyterHub or the system names them, and the machine."""
    try:
        user = os.environ.get("JUPYTERHUB_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container knows no name for its user
        user = f"user {os.getuid()}"
    return f"{user} on {socket.gethostname()}"


SURROUNDINGS = ("es_address", "es_index", "coolr_host", "db_instances", "limit_queries", "es_caching_efficiency_index")
"""Settings that a result depends on: a worker that has others does not run the job."""


def surroundings(settings: Settings) -> dict[str, Any]:
    """Return those settings, as JSON, as far as they were set; none of them is a secret."""
    return settings.model_dump(mode="json", include={*SURROUNDINGS} & settings.model_fields_set)
