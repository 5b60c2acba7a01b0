"""Following logs that are being written into a dataset that grows by parts."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from frontierlab.catalogue import Catalogue
from frontierlab.errors import Cancelled, DatasetError, InvalidRequestError
from frontierlab.rawlogs.growing_log import GrowingLog
from frontierlab.rawlogs.lines import Block
from frontierlab.rawlogs.log_files import LogSet, files_of
from frontierlab.rawlogs.personal import Pseudonyms
from frontierlab.rawlogs.servlet.find_logs import Form, began, form_of
from frontierlab.rawlogs.servlet.log_reader import LogFacts, LogReader
from frontierlab.rawlogs.servlet.notes import notes_of
from frontierlab.rawlogs.servlet.rows import LOG_SCHEMA
from frontierlab.storage.locks import fenced
from frontierlab.storage.manifest import Manifest, PlannedPart
from frontierlab.storage.parts import SliceWriter, commit_part, part_folder, temporary_folder
from frontierlab.util.cancelling import check_cancelled
from frontierlab.util.interrupts import interrupted_between
from frontierlab.util.progress import ProgressCallback, ProgressMeter, reporting

__all__ = ["FollowedLog", "Follower"]

_STATE = "following.json"
_LOOK = 0.2  # seconds between two looks at files, and at whether to stop


@dataclass(frozen=True)
class FollowedLog:
    """A log that is to be followed.

    Parameters
    ----------
    log
        Its files; they are read, and those that follow on them.
    form
        What it has: printed lines, or records of a servlet of 2025; None if it has no line yet.
    host
        The name of its machine, or None.
    """

    log: LogSet
    form: Form | None
    host: str | None


@dataclass
class _Log:
    """A log that is being followed."""

    form: Form | None
    reader: LogReader
    growing: GrowingLog = field(init=False)

    def look(self) -> bool:
        """Read what was added; return whether there was anything."""
        if self.form is None:
            self._set_form(form_of(files_of(self.growing.path)))
        return self.form is not None and self.growing.read()

    def end(self) -> None:
        """Read what is left, when the log is followed no longer; lines of an unknown form are set aside."""
        if self.form is None:
            self._set_form("printed")
            self.growing.read()
        self.growing.end()
        self.reader.finish()

    def state(self) -> tuple[dict[str, Any], pa.Table]:
        """Return what `restore` needs, as a plain dict for JSON and a table."""
        self.reader.flush()
        source, waiting = self.reader.source.state()
        growing, facts = self.growing.state(), self.reader.facts.as_record()
        told = {"path": str(self.growing.path), "form": self.form, "growing": growing, "source": source, "facts": facts}
        return told, waiting

    def restore(self, state: dict[str, Any], waiting: pa.Table) -> None:
        """Go on where a log was when it gave this state."""
        self._set_form(state["form"])
        self.reader.facts = LogFacts.of_record(state["facts"])
        self.reader.source.restore(state["source"], waiting)
        self.growing.resume(state["growing"])

    def _set_form(self, form: Form | None) -> None:
        self.form = form
        self.reader.set_form(structured=form == "recorded")


class Follower:
    """Reads logs that grow, and stores a part of the dataset now and then.

    With each part it stores where it was: the place in each log, and the requests that were not over. So the next
    process goes on exactly there, also when this one is killed.

    Parameters
    ----------
    path, manifest
        The dataset, whose lock the caller holds; it has the parts of earlier runs.
    logs
        The logs.
    pseudonyms, catalogue, db_instances
        As for `frontierlab.rawlogs.servlet.log_reader.LogReader`.
    loss_warning_share
        The setting.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        logs: Sequence[FollowedLog],
        pseudonyms: Pseudonyms,
        catalogue: Catalogue | None,
        db_instances: Sequence[str],
        loss_warning_share: float,
    ) -> None:
        self.path, self.manifest = path, manifest
        self.meter = ProgressMeter("following", None, unit="bytes")
        self._number = len(manifest.plan)
        self._open: tuple[Path, ExitStack] | None = None
        self._interrupted: Callable[[], None] = lambda: None
        self._between = True  # whether all logs are at places that a later run can go on from
        self._share, self._remark = loss_warning_share, pseudonyms.remark
        # parts that were stored, but not noted before the process ended, are read again
        for left in path.glob("parts/[0-9]*"):
            if int(left.name) >= self._number:
                shutil.rmtree(left, ignore_errors=True)
        self._logs: list[_Log] = []
        for one in logs:
            writer = SliceWriter(path, 0, LOG_SCHEMA)
            structured = one.form == "recorded"
            reader = LogReader(writer, pseudonyms, catalogue, db_instances, one.host, structured=structured)
            self._logs.append(self._followed(one, reader))

    def _followed(self, one: FollowedLog, reader: LogReader) -> _Log:
        log = _Log(one.form, reader)
        log.growing = GrowingLog(
            one.log,
            lambda block, last: self._add(reader, block, last),
            lambda sentence: reader.facts.problems.append(sentence),
            began,
        )
        return log

    def run(self, seconds: float | None, part_seconds: float, progress: bool | ProgressCallback) -> None:
        """Follow the logs until the time is over; then the manifest says what was seen.

        Parameters
        ----------
        seconds
            After so many seconds the requests that are not over are written, and this returns; None is never.
        part_seconds
            A part is stored about so often, if there is anything new.
        progress
            As for `frontierlab.extract`.

        Raises
        ------
        KeyboardInterrupt, Cancelled
            It was stopped. What was read is stored before, also if `progress` stops it. Ctrl-C acts between two blocks.
        """
        ends = None if seconds is None else time.monotonic() + seconds
        self._part_seconds, self._stored = part_seconds, time.monotonic()
        with reporting(progress, "bytes") as report, interrupted_between() as self._interrupted:
            try:
                if self._number:
                    self._between = False
                    self._restore()
                    self._between = True
                self._follow(ends, report)
            finally:
                self._drop()
                for log in self._logs:
                    log.growing.close()

    def _follow(self, ends: float | None, report: ProgressCallback) -> None:
        try:
            while True:
                grew = [log.look() for log in self._logs]
                self._tell(report)
                self._check()
                if ends is not None and time.monotonic() >= ends:
                    self._finish()
                    return
                self._store_if_due()
                if not any(grew):
                    time.sleep(_LOOK)
        except (KeyboardInterrupt, Cancelled):
            self._store()
            raise

    def _tell(self, report: ProgressCallback) -> None:
        try:
            report(self.meter.progress())
        except Exception:  # the caller's way to stop
            self._store()
            raise

    def _check(self) -> None:
        check_cancelled()
        self._interrupted()

    def _add(self, reader: LogReader, block: Block, last: bool) -> None:
        if self._between:  # a log goes on behind a block after this call, so nothing is half done here
            self._check()
            self._store_if_due()
        self._part()
        reader.add(block, last=last)
        self.meter.add(len(block.data))

    def _part(self) -> Path:
        """Return the folder of the part that is being written."""
        if self._open is None:
            folder, stack = temporary_folder(self.path, self._number), ExitStack()
            for number, log in enumerate(self._logs):
                log.reader.writer = stack.enter_context(SliceWriter(folder, number, LOG_SCHEMA))
            self._open = folder, stack
        return self._open[0]

    def _store_if_due(self) -> None:
        if time.monotonic() - self._stored >= self._part_seconds:
            self._store()

    def _store(self) -> None:
        """Store the part that is being written, with where each log was."""
        self._stored = time.monotonic()
        if self._open is None:
            return
        folder, stack = self._open
        states = []
        for number, log in enumerate(self._logs):
            state, waiting = log.state()
            pq.write_table(waiting, folder / f"{number}.waiting", compression="zstd")
            states.append(state)
        (folder / _STATE).write_text(json.dumps(states), encoding="utf-8")
        stack.close()
        self._open = None
        outcomes = [log.reader.writer.outcome for log in self._logs]
        outcome = commit_part(folder, self.path, self._number, outcomes, self.manifest)
        number, self._number = self._number, self._number + 1
        read = outcome.counts.read
        self.manifest.plan.append(PlannedPart(number=number, start=number, stop=number + 1, expected=read))
        self._describe()
        with fenced(self.path, self.manifest):
            self.manifest.write(self.path)

    def _describe(self) -> None:
        """Say in the manifest what was seen so far."""
        facts = LogFacts()
        for log in self._logs:
            facts += log.reader.facts
        manifest = self.manifest
        manifest.source["lines"] = facts.lines.as_record()
        manifest.notes = [*notes_of(facts, self._share), "Times are UTC.", *manifest.catalogue, self._remark]
        manifest.partial = facts.problems

    def _drop(self) -> None:
        """Remove a part that was not stored."""
        if self._open is not None:
            folder, stack = self._open
            self._open = None
            try:
                stack.close()
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _restore(self) -> None:
        folder = part_folder(self.path, self._number - 1)
        try:
            states = {one["path"]: one for one in json.loads((folder / _STATE).read_text(encoding="utf-8"))}
            waiting = [pq.read_table(folder / f"{number}.waiting") for number in range(len(states))]
            paths = [str(log.growing.path) for log in self._logs]
            if {*states} != {*paths}:
                raise InvalidRequestError(
                    f"The dataset {self.path.name} follows {', '.join(states)}. Give the same paths to go on."
                )
            tables = dict(zip(states, waiting, strict=True))
            for path, log in zip(paths, self._logs, strict=True):
                log.restore(states[path], tables[path])
        except InvalidRequestError:
            raise
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise DatasetError(
                f"The dataset {self.path.name} cannot be followed further: where it was is not readable ({error!r}). "
                "Delete the dataset, and follow the logs again."
            ) from error

    def _finish(self) -> None:
        """Write the requests that are not over, and store the last part."""
        self._between = False
        self._part()
        for log in self._logs:
            log.end()
        self._store()
