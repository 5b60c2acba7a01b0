"""Following logs that are being written into a dataset that grows by parts."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from frontierlab.catalogue import Catalogue
from frontierlab.errors import Cancelled, DatasetError, InvalidRequestError
from frontierlab.rawlogs.growing_file import GrowingFile
from frontierlab.rawlogs.lines import Block, blocks, first_lines
from frontierlab.rawlogs.log_files import LogSet, find_logs
from frontierlab.rawlogs.personal import Pseudonyms
from frontierlab.rawlogs.servlet.heads import first_time
from frontierlab.rawlogs.servlet.reading import LogFacts, LogReader, PrintedLog
from frontierlab.rawlogs.servlet.rows import LOG_SCHEMA
from frontierlab.storage.locks import fenced
from frontierlab.storage.manifest import Manifest, PlannedPart
from frontierlab.storage.parts import SliceWriter, commit_part, part_folder, temporary_folder
from frontierlab.util.cancelling import check_cancelled
from frontierlab.util.interrupts import interrupted_between
from frontierlab.util.progress import ProgressCallback, ProgressMeter, reporting

__all__ = ["Follower"]

_STATE = "following.json"
_LOOK = 0.2  # seconds between two looks at files, and at whether to stop


class Follower:
    """Reads logs that grow, and stores a part of the dataset now and then.

    With each part it stores where it was: the place in each file, and the requests that were not over. So the next
    process goes on exactly there, also when this one is killed.

    Parameters
    ----------
    path, manifest
        The dataset, whose lock the caller holds; it has the parts of earlier runs.
    logs
        The logs; of each, the last file is followed.
    pseudonyms, catalogue, db_instances, hosts
        As for `frontierlab.rawlogs.servlet.reading.LogReader`, with a name for each log or None.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        logs: Sequence[LogSet],
        pseudonyms: Pseudonyms,
        catalogue: Catalogue | None,
        db_instances: Sequence[str],
        hosts: Mapping[Path, str | None],
    ) -> None:
        self.path, self.manifest = path, manifest
        self.meter = ProgressMeter("following", None)
        self._number = len(manifest.plan)
        self._open: tuple[Path, ExitStack] | None = None
        self._interrupted: Callable[[], None] = lambda: None
        self._ending = False
        # parts that were stored, but not noted before the process ended, are read again
        for left in path.glob("parts/[0-9]*"):
            if int(left.name) >= self._number:
                shutil.rmtree(left, ignore_errors=True)
        self._logs = logs
        self._readers = [
            LogReader(SliceWriter(path, 0, LOG_SCHEMA), pseudonyms, catalogue, db_instances, hosts[log.path])
            for log in logs
        ]
        self._tails = [
            GrowingFile(log.files[-1], lambda block, last, reader=reader: self._add(reader, block, last))  # type: ignore[misc]
            for log, reader in zip(logs, self._readers, strict=True)
        ]

    def run(self, seconds: float | None, part_seconds: float, progress: bool | ProgressCallback) -> LogFacts:
        """Follow the logs; return what was seen when the time is over.

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
            It was stopped. What was read since the files that are followed were reached is stored before; until then
            nothing is, and the next call begins there again. Ctrl-C acts between two blocks.
        """
        ends = None if seconds is None else time.monotonic() + seconds
        with reporting(progress, "bytes") as report, interrupted_between() as self._interrupted:
            try:
                self._begin()
                return self._follow(ends, part_seconds, report)
            finally:
                self._drop()
                for tail in self._tails:
                    tail.close()

    def _follow(self, ends: float | None, part_seconds: float, report: ProgressCallback) -> LogFacts:
        stored = time.monotonic()
        try:
            while True:
                grew = [tail.read() for tail in self._tails]
                report(self.meter.progress())
                self._check()
                now = time.monotonic()
                if ends is not None and now >= ends:
                    return self._finish()
                if now - stored >= part_seconds:
                    self._store()
                    stored = now
                if not any(grew):
                    time.sleep(_LOOK)
        except (KeyboardInterrupt, Cancelled):
            self._store()
            raise

    def _check(self) -> None:
        if not self._ending:  # the end of a log is put to no state that a later run can go on from
            check_cancelled()
            self._interrupted()

    def _begin(self) -> None:
        """Go on where the last part ended; or read the files before those that are followed."""
        if self._number:
            self._restore()
            return
        for log, reader in zip(self._logs, self._readers, strict=True):
            for file in log.files[:-1]:
                before: Block | None = None
                for block in blocks(file, problems=reader.facts.problems):
                    if before is not None:
                        self._add(reader, before, False)
                    before = block
                if before is not None:
                    self._add(reader, before, True)

    def _add(self, reader: LogReader, block: Block, last: bool) -> None:
        self._check()  # the tail goes on behind a block after this call, so nothing is half done here
        self._part()
        reader.add(block, last=last)
        self.meter.add(len(block.data))

    def _part(self) -> Path:
        """Return the folder of the part that is being written."""
        if self._open is None:
            folder, stack = temporary_folder(self.path, self._number), ExitStack()
            for number, reader in enumerate(self._readers):
                reader.writer = stack.enter_context(SliceWriter(folder, number, LOG_SCHEMA))
            self._open = folder, stack
        return self._open[0]

    def _store(self) -> None:
        """Store the part that is being written, with where each log was."""
        if self._open is None:
            return
        folder, stack = self._open
        states = []
        for number, (reader, tail) in enumerate(zip(self._readers, self._tails, strict=True)):
            reader.flush()
            assert isinstance(reader.source, PrintedLog)
            grouper, waiting = reader.source.grouper.state()
            pq.write_table(waiting, folder / f"{number}.waiting", compression="zstd")
            states.append(
                {
                    "path": str(tail.path),
                    "tail": tail.state(),
                    "scanner": reader.source.scanner.state(),
                    "grouper": grouper,
                    "stray": reader.source.stray,
                    "facts": reader.facts.as_record(),
                }
            )
        (folder / _STATE).write_text(json.dumps(states), encoding="utf-8")
        stack.close()
        self._open = None
        outcomes = [reader.writer.outcome for reader in self._readers]
        outcome = commit_part(folder, self.path, self._number, outcomes, self.manifest)
        number, self._number = self._number, self._number + 1
        read = outcome.counts.read
        self.manifest.plan.append(PlannedPart(number=number, start=number, stop=number + 1, expected=read))
        self.manifest.source["lines"] = self._facts().lines.as_record()
        with fenced(self.path, self.manifest):
            self.manifest.write(self.path)

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
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise DatasetError(
                f"The dataset {self.path.name} cannot be followed further: where it was is not readable ({error}). "
                "Delete the dataset, and follow the logs again."
            ) from error
        if {*states} != {str(tail.path) for tail in self._tails}:
            raise InvalidRequestError(
                f"The dataset {self.path.name} follows {', '.join(states)}. Give the same paths to go on."
            )
        order = {path: number for number, path in enumerate(states)}
        for log, reader, tail in zip(self._logs, self._readers, self._tails, strict=True):
            state: dict[str, Any] = states[str(tail.path)]
            assert isinstance(reader.source, PrintedLog)
            reader.facts = LogFacts.of_record(state["facts"])
            reader.source.scanner.restore(state["scanner"])
            reader.source.grouper.restore(state["grouper"], waiting[order[str(tail.path)]])
            reader.source.stray = state["stray"]
            if lost := tail.resume(state["tail"], _files_of(log, tail.path)):
                reader.facts.problems.append(lost)

    def _finish(self) -> LogFacts:
        """Write the requests that are not over, and store the last part."""
        self._ending = True
        self._part()
        for tail in self._tails:
            tail.end()
        for reader in self._readers:
            reader.finish()
        self._store()
        return self._facts()

    def _facts(self) -> LogFacts:
        total = LogFacts()
        for reader in self._readers:
            total += reader.facts
        return total


def _files_of(log: LogSet, path: Path) -> list[Path]:
    """Return the files of a log that lie beside the one that is followed, the oldest first; that one is the last."""
    beside = [file for file in path.parent.iterdir() if file.is_file()]
    logs = find_logs(beside, lambda file: first_time(first_lines(file))) if beside else []
    files = [file for one in logs if one.path == log.path for file in one.files if file != path]
    return [*files, path]
