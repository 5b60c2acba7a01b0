"""Following access logs of Squids that are being written, into Squid logs that grow by parts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any

from frontierlab.errors import Cancelled, DatasetError
from frontierlab.rawlogs.growing_log import GrowingLog
from frontierlab.rawlogs.lines import Block, LineCounts, SetAside
from frontierlab.rawlogs.personal import Pseudonyms
from frontierlab.rawlogs.squid.answers import dated
from frontierlab.rawlogs.squid.asked import Asked
from frontierlab.rawlogs.squid.clock import Clock
from frontierlab.rawlogs.squid.creating import write_malformed
from frontierlab.rawlogs.squid.facts import SquidFacts
from frontierlab.rawlogs.squid.manifest import PARTS, SquidManifest, now, write_manifest
from frontierlab.rawlogs.squid.parsing import Parsed, parse
from frontierlab.rawlogs.squid.part_writer import PartWriter
from frontierlab.rawlogs.squid.places import Place, file_record
from frontierlab.rawlogs.squid.stored import SquidLogs
from frontierlab.storage.locks import writing
from frontierlab.util.cancelling import check_cancelled
from frontierlab.util.files import reason
from frontierlab.util.progress import ProgressCallback, ProgressMeter

__all__ = ["follow_squid_logs"]

_LOOK = 0.2  # seconds between two looks at files, and at whether to stop


def follow_squid_logs(
    path: Path,
    request: dict[str, Any],
    places: Sequence[Place],
    hidden: tzinfo,
    asked: Asked,
    pseudonyms: Pseudonyms,
    seconds: float | None,
    part_seconds: float,
    report: ProgressCallback,
) -> None:
    """Follow logs into the Squid logs at `path`, new ones or those of a run that was stopped.

    Raises
    ------
    DatasetError
        There are complete Squid logs of this name, or they follow other logs; or the disk is full. What was stored is
        kept.
    KeyboardInterrupt, Cancelled
        It was stopped; what was read is stored before, also if `report` stops it.
    """
    try:
        with writing(path):
            manifest = _begun(path, request)
            follower = _Follower(path, manifest, places, hidden, asked, pseudonyms)
            follower.run(seconds, part_seconds, report)
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be written: {reason(error, path)}. The stored parts are kept; the same call goes on."
        ) from error


def _begun(path: Path, request: dict[str, Any]) -> SquidManifest:
    """Return the manifest of logs that are followed: a new one, or that of a run that was stopped."""
    if not (path / "manifest.json").exists():
        if any(path.iterdir()):
            raise DatasetError(f"{path} is not empty. Choose another name, or delete that folder first.")
        manifest = SquidManifest(name=path.name, created=now(), request=request, parts=[], aside=[], following={})
        (path / PARTS).mkdir()
        write_manifest(path, manifest)
        return manifest
    manifest = SquidLogs(path).manifest
    if manifest.following is None or manifest.parts is None:
        raise DatasetError(f"The Squid logs {path.name} exist already. Choose another name, or delete them first.")
    if manifest.request != request:
        raise DatasetError(
            f"The Squid logs {path.name} follow {', '.join(manifest.request['paths'])}, or with other settings. Give "
            "the same paths and settings to go on, or choose another name."
        )
    for left in (path / PARTS).iterdir():  # written, but not noted before the process ended: that is read again
        if left.name not in manifest.parts:
            left.unlink()
    return manifest


@dataclass
class _Log:
    """A log that is followed."""

    place: Place
    clock: Clock
    growing: GrowingLog = field(init=False)
    counts: LineCounts = field(default_factory=LineCounts)
    state: dict[str, Any] = field(default_factory=dict)  # of the growing log, behind the last block that was taken

    @property
    def path(self) -> Path:
        return self.place.log.path

    def as_record(self) -> dict[str, Any]:
        return {"growing": self.state, "clock": self.clock.state(), "lines": self.counts.as_record()}


class _Follower:
    """Reads logs that grow, and stores a part now and then, with where each log was.

    A block is taken in two steps: it is parsed when its log gives it, and counted when the log has gone on. So what
    is stored always agrees with where the logs were, also when Ctrl-C comes in between.
    """

    def __init__(
        self,
        path: Path,
        manifest: SquidManifest,
        places: Sequence[Place],
        hidden: tzinfo,
        asked: Asked,
        pseudonyms: Pseudonyms,
    ) -> None:
        self._path, self._manifest = path, manifest
        self._asked, self._pseudonyms = asked, pseudonyms
        self._facts, self._aside, self._meter = SquidFacts(), SetAside(), ProgressMeter("following", None, unit="lines")
        self._parsed: tuple[_Log, Parsed] | None = None
        self._whole = False  # whether what was counted is all before the places of the logs
        self._writer: PartWriter | None = None
        self._logs = [_Log(place, Clock(hidden)) for place in places]
        for log in self._logs:
            self._follow(log)

    def run(self, seconds: float | None, part_seconds: float, report: ProgressCallback) -> None:
        """Follow the logs until the time is over."""
        self._report, self._part_seconds, self._stored = report, part_seconds, time.monotonic()
        ends = None if seconds is None else time.monotonic() + seconds
        try:
            if self._manifest.following:
                self._go_on()
            else:
                for log in self._logs:
                    log.state = log.growing.state()
            self._whole = True
            while True:
                grew = [self._read(log) for log in self._logs]
                check_cancelled()
                if ends is not None and time.monotonic() >= ends:
                    self._finish()
                    return
                self._store_if_due()
                if not any(grew):
                    self._tell()
                    time.sleep(_LOOK)
        except (KeyboardInterrupt, Cancelled):
            if self._whole:
                self._store()
            raise
        finally:
            self._drop()
            for log in self._logs:
                log.growing.close()

    def _tell(self) -> None:
        try:
            self._report(self._meter.progress())
        except Exception:  # the caller's way to stop
            if self._whole:
                self._store()
            raise

    def _follow(self, log: _Log) -> None:
        log.growing = GrowingLog(
            log.place.log,
            lambda block, last: self._add(log, block),
            lambda sentence: self._facts.problems.append(sentence),
        )

    def _go_on(self) -> None:
        """Go on where the last part ended."""
        assert self._manifest.following is not None
        try:
            self._facts = SquidFacts.of_record(self._manifest.following["facts"])
            for log in self._logs:
                known = self._manifest.following["logs"][str(log.path)]
                log.clock.restore(known["clock"])
                lines = known["lines"]
                log.counts = LineCounts(**lines | {"set_aside": Counter(lines["set_aside"])})
                log.state = known["growing"]
                log.growing.resume(log.state)
        except (KeyError, TypeError) as error:
            raise DatasetError(
                f"The Squid logs {self._path.name} cannot be followed further: where they were is not readable "
                f"({error!r}). Delete them, and follow the logs again."
            ) from error
        self._take()

    def _read(self, log: _Log) -> bool:
        grew = log.growing.read()
        self._take()
        log.state = log.growing.state()
        return grew

    def _add(self, log: _Log, block: Block) -> None:
        """Parse a block; its log is behind the one before now."""
        self._take()
        check_cancelled()
        if self._whole:
            self._store_if_due()
        if block.data:
            self._parsed = log, parse(block, self._asked, self._pseudonyms)

    def _take(self) -> None:
        """Count and write the block that was parsed, and note where its log is."""
        if self._parsed is None:
            return
        log, parsed = self._parsed
        was_whole, self._whole = self._whole, False
        if self._writer is None:
            assert self._manifest.parts is not None
            self._writer = PartWriter(self._path / PARTS, len(self._manifest.parts))
        columns = log.place.columns(parsed.block.file)
        self._writer.write(dated(parsed.answers, log.clock, columns, parsed.block.first))
        parsed.set_aside(self._aside)
        counts = parsed.counts()
        log.counts += counts
        self._facts.add(parsed.answers, counts)
        log.state, self._parsed = log.growing.state(), None
        self._whole = was_whole
        self._meter.add(parsed.lines)
        self._tell()

    def _store_if_due(self) -> None:
        if time.monotonic() - self._stored >= self._part_seconds:
            self._store()

    def _store(self, *, complete: bool = False) -> None:
        """Store what was read since the last part."""
        self._stored = time.monotonic()
        writer, old = self._writer, self._manifest
        if writer is None and not complete:
            return
        self._whole = False
        assert old.parts is not None
        assert old.aside is not None
        parts, aside, rows, times = [*old.parts], [*old.aside], old.rows, [old.since, old.until]
        if writer is not None:
            writer.__exit__(None)
            parts, rows = parts + writer.names, rows + writer.rows
            times += [writer.since, writer.until]
        known = [moment for moment in times if moment is not None]
        name = f"set-aside-{len(aside):05d}.ndjson"
        write_malformed(self._aside, self._path / name)
        aside += [name] if (self._path / name).exists() else []
        self._facts.unsure = sum(log.clock.unsure for log in self._logs)
        logs = {str(log.path): log.as_record() for log in self._logs}
        self._manifest = SquidManifest.of_facts(
            self._facts,
            self._pseudonyms.remark,
            name=old.name,
            created=old.created,
            request=old.request,
            files=[file_record(log.path, log.place, log.counts) for log in self._logs],
            rows=rows,
            since=min(known, default=None),
            until=max(known, default=None),
            parts=parts,
            aside=aside,
            following=None if complete else {"facts": self._facts.as_record(), "logs": logs},
        )
        write_manifest(self._path, self._manifest)
        self._writer, self._whole = None, True

    def _finish(self) -> None:
        """Read the last lines, also those that no line feed ends, and store the last part."""
        for log in self._logs:
            log.growing.end()
        self._take()
        self._store(complete=True)

    def _drop(self) -> None:
        """Remove a part that was not stored."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.__exit__(Cancelled, None)
            for name in {*writer.names} - {*(self._manifest.parts or [])}:
                (self._path / PARTS / name).unlink(missing_ok=True)
