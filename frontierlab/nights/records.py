"""The record of a night: one JSON file a day in the folder ``nights`` of the data folder, and who may write it.

A night is the work on one day of queries (UTC). Its file is named after that day. Only one process does nights at a
time: it holds a lock, and it writes its own random token into ``.run.json``. A lock can be lost, or its holder can be
stopped for hours. So each write checks, within a fence, that the token is still that of the writer: a process that was
taken for lost and comes back changes nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import filelock
from pydantic import BaseModel, ConfigDict

from frontierlab._version import __version__
from frontierlab.errors import NightError
from frontierlab.storage.locks import this_writer
from frontierlab.util.files import reason, write_text

__all__ = ["NightRecord", "NightStore", "StepRecord", "StepState"]

_FENCE_SECONDS = 60.0  # every step within the fence takes far less

StepState = Literal["running", "done", "partial", "failed", "waiting"]
"""How a step stands. ``partial``: its result is there, and a later night can give a better one. ``waiting``: there is
no complete dataset to work on."""


class StepRecord(BaseModel):
    """What one step of a night gave.

    Parameters
    ----------
    state
        See `StepState`. A step that is ``running`` although no night runs was left by a process that ended.
    night
        The date (UTC) of the night that last tried it.
    begun
        How often that night began it.
    since, until
        When it last began and ended, UTC.
    dataset
        Identity of the dataset that the result is of; empty for the catalogue.
    error
        Why it failed, or what it waits for.
    remarks
        Sentences about what its result lacks.
    facts
        Its result as JSON: numbers, names of files.
    findings
        What the checks found, a record each.
    """

    model_config = ConfigDict(extra="ignore")  # a later version may have more fields

    state: StepState = "waiting"
    night: str = ""
    begun: int = 0
    since: datetime | None = None
    until: datetime | None = None
    dataset: str = ""
    error: str = ""
    remarks: list[str] = []
    facts: dict[str, Any] = {}
    findings: list[dict[str, Any]] = []


class NightRecord(BaseModel):
    """What a night gave.

    Parameters
    ----------
    day
        The day of the queries, UTC.
    dataset
        Name of the day's dataset.
    wanted
        The steps that the setting ``periodic`` named in the last night that worked on it.
    steps
        The steps by name.
    thinned
        When the dataset's rows were removed; None if they are there.
    kept
        Why the rows are there although they are older than ``periodic_keep_days``; empty if there is no reason to tell.
    """

    model_config = ConfigDict(extra="ignore")

    format: Literal[1] = 1
    frontierlab: str = __version__
    day: date
    dataset: str
    wanted: list[str] = []
    steps: dict[str, StepRecord] = {}
    thinned: datetime | None = None
    kept: str = ""

    def step(self, name: str) -> StepRecord:
        """Return the record of a step; an empty one if it never began."""
        return self.steps.get(name) or StepRecord()

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What all steps found."""
        return [found for step in self.steps.values() for found in step.findings]

    def missing(self) -> list[str]:
        """Return a sentence for each wanted step that has no full result, with the reason."""
        return [f"{name}: {why}" for name in self.wanted if (why := _why(self.step(name)))]


def _why(step: StepRecord) -> str:
    if step.state == "done":
        return ""
    if step.state == "partial":
        return " ".join(step.remarks) or "its result is not complete."
    if step.state == "running":
        began = "" if step.since is None else f" at {step.since:%Y-%m-%d %H:%M} UTC"
        return f"it began{began}, and its process ended or is still at it."
    return step.error or "not done yet."


class NightStore:
    """The records of the nights of a data folder.

    Parameters
    ----------
    data_dir
        The data folder.
    """

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "nights"
        self._token = ""

    def path(self, day: date) -> Path:
        """Return the path of the record of a day."""
        return self.folder / f"{day.isoformat()}.json"

    def days(self) -> list[date]:
        """Return the days that have a record, in order."""
        found = []
        for path in self.folder.glob("*.json"):
            try:
                found.append(date.fromisoformat(path.stem))
            except ValueError:  # another file
                continue
        return sorted(found)

    def read(self, day: date) -> NightRecord | None:
        """Return the record of a day; None if there is none.

        Raises
        ------
        NightError
            The record is damaged.
        """
        try:
            return NightRecord.model_validate_json(self.path(day).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            cause = str(error).splitlines()[0]
            raise NightError(
                f"The record {self.path(day)} of a night is damaged ({cause}). Remove it: the next night makes it anew."
            ) from error

    @contextmanager
    def running(self, *, take_over: bool = False) -> Iterator[None]:
        """Be the one process that does nights, while the body runs.

        Parameters
        ----------
        take_over
            Go on although another process holds the lock, because that process is known to be lost.

        Raises
        ------
        NightError
            Another process does nights, or the folder cannot be written. Nothing was changed.
        """
        lock = filelock.FileLock(self.folder / ".lock", timeout=0, thread_local=False)
        try:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._begin(lock, take_over)
            except OSError as error:
                raise NightError(
                    f"No night can be done, because {self.folder} cannot be written: {reason(error, self.folder)}."
                ) from error
            yield
        finally:
            self._token = ""
            lock.release()

    def _begin(self, lock: filelock.BaseFileLock, take_over: bool) -> None:
        try:
            lock.acquire()
        except filelock.Timeout:
            if not take_over:
                raise NightError(
                    f"Another night is at work in {self.folder}: {self._runner()}. Wait until it ends, or end that "
                    "process: the next night goes on where it stopped."
                ) from None
        self._token = secrets.token_hex(8)
        with self._fence():
            write_text(self._run, json.dumps({"token": self._token, "who": this_writer()}))

    @property
    def _run(self) -> Path:
        return self.folder / ".run.json"

    def _runner(self) -> str:
        try:
            return str(json.loads(self._run.read_text(encoding="utf-8"))["who"])
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"

    @contextmanager
    def _fence(self) -> Iterator[None]:
        lock = filelock.FileLock(self.folder / ".fence", timeout=_FENCE_SECONDS, thread_local=False)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise NightError(
                f"The records in {self.folder} are blocked: another process has held {lock.lock_file} for "
                f"{_FENCE_SECONDS:.0f} seconds. It is held for moments only: end that process."
            ) from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Hold the fence while the body makes one change; raise NightError if another process does the nights now."""
        with self._fence():
            try:
                token = json.loads(self._run.read_text(encoding="utf-8"))["token"]
            except (OSError, ValueError, KeyError, TypeError):
                token = None
            if not self._token or token != self._token:
                raise NightError(
                    "Another process has taken over the nights, because this one was silent for too long. This one "
                    "changed nothing since then."
                )
            yield

    def write(self, record: NightRecord) -> None:
        """Write the record of a day, in one step.

        Raises
        ------
        NightError
            Another process does the nights now. Nothing was changed.
        OSError
            The file cannot be written. The old one is unchanged.
        """
        with self.owned():
            write_text(self.path(record.day), record.model_dump_json(indent=1))
