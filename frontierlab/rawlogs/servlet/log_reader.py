"""One servlet log, from its files to rows of a part of a dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.catalogue import Catalogue
from frontierlab.documents.dataset_rows import make_dataset_rows
from frontierlab.rawlogs.lines import Block, LineCounts, SetAside
from frontierlab.rawlogs.names import bounded, unnamed
from frontierlab.rawlogs.personal import Pseudonyms
from frontierlab.rawlogs.servlet.cutting import Scanner
from frontierlab.rawlogs.servlet.messages import Messages
from frontierlab.rawlogs.servlet.recorded import RecordedLog
from frontierlab.rawlogs.servlet.requests import Grouper
from frontierlab.rawlogs.servlet.rows import LOG_SCHEMA, Made, RowMaker
from frontierlab.rawlogs.servlet.scanning import BlockScanner, Piece, Scanned
from frontierlab.storage.parts import SliceWriter

__all__ = ["LogFacts", "LogReader", "PrintedLog"]

_TOGETHER = 50_000  # messages that are put into requests together
_GROUP = 65_536  # rows of a row group


@dataclass
class LogFacts:
    """What was seen in logs, beside their rows.

    Parameters
    ----------
    lines
        What became of their lines.
    requests, restarts, stray
        Numbers of requests, of restarts of servlets, and of late messages without a request.
    outcomes, askers
        Numbers of rows by outcome, and of rows without a task by who asked.
    zones
        Numbers of rows by zone and offset of the log's own times.
    versions
        Numbers of rows by version of the servlet.
    unknown
        Numbers of rows by folder or tag that has a number and that the catalogue lacks.
    problems
        Sentences about files that could not be read to their end.
    """

    lines: LineCounts = field(default_factory=LineCounts)
    requests: int = 0
    restarts: int = 0
    stray: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    askers: Counter[str] = field(default_factory=Counter)
    zones: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def __add__(self, other: LogFacts) -> LogFacts:
        return LogFacts(
            self.lines + other.lines,
            self.requests + other.requests,
            self.restarts + other.restarts,
            self.stray + other.stray,
            self.outcomes + other.outcomes,
            self.askers + other.askers,
            self.zones + other.zones,
            self.versions + other.versions,
            self.unknown + other.unknown,
            self.problems + other.problems,
        )

    def as_record(self) -> dict[str, Any]:
        """Return the facts as a plain dict for JSON."""
        return {one.name: getattr(self, one.name) for one in fields(self)} | {"lines": self.lines.as_record()}

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> LogFacts:
        """Return the facts of a record that `as_record` made."""
        counters = {name: Counter(record[name]) for name in ("outcomes", "askers", "zones", "versions", "unknown")}
        lines = record["lines"]
        counts = LineCounts(**lines | {"set_aside": Counter(lines["set_aside"])})
        return cls(**record | counters | {"lines": counts})

    def note(self, rows: pa.Table) -> None:
        """Count the rows of a dataset."""
        self.outcomes += _counted(rows["outcome"])
        self.versions += _counted(rows["servlet_version"])
        self.askers += _counted(rows.filter(pc.is_null(rows["taskid"]))["asker"])
        shift = pc.binary_join_element_wise(rows["zone"], rows["utc_offset"].cast(pa.string()), " ")
        self.zones += _counted(shift)


def _counted(column: pa.ChunkedArray) -> Counter[str]:
    return Counter({str(one["values"] or "not logged"): one["counts"] for one in pc.value_counts(column).to_pylist()})


class Source(Protocol):
    """What makes rows of the blocks of one log."""

    @property
    def counts(self) -> LineCounts:
        """What became of the lines."""

    @property
    def restarts(self) -> int:
        """Number of restarts that were seen."""

    @property
    def stray(self) -> int:
        """Number of late messages whose request had ended before."""

    def read(self, block: Block, *, last: bool) -> Made:
        """Return the rows of requests that are over; `last` says that it is the last block of its file."""

    def flush(self) -> Made:
        """Return the rows of requests that are over and that `read` has not returned yet."""

    def finish(self) -> Made:
        """Return the rows of all other requests."""

    def state(self) -> tuple[dict[str, Any], pa.Table]:
        """Return what `restore` needs in another process: a plain dict for JSON, and what waits for further lines."""

    def restore(self, state: dict[str, Any], waiting: pa.Table) -> None:
        """Go on where another source was when it gave this state."""


class PrintedLog:
    """A log of the lines that servlets print; a `Source`."""

    def __init__(self, aside: SetAside, pseudonyms: Pseudonyms, host: str | None) -> None:
        self.scanner = Scanner(aside)
        self.grouper = Grouper(self.scanner)
        self._pieces = BlockScanner(pseudonyms)
        self._maker = RowMaker(self.scanner, host)
        self._new: list[Messages] = []  # that no request has got yet
        self.stray = 0

    @property
    def counts(self) -> LineCounts:
        """What became of the lines."""
        return self.scanner.counts

    @property
    def restarts(self) -> int:
        """Number of restarts that were seen."""
        return self.grouper.restarts

    def read(self, block: Block, *, last: bool) -> Made:
        """Return the rows of requests that are over."""
        piece = self.scanner.cut(block, last=last)
        return Made.none() if piece is None else self.put(self.scan(piece))

    def scan(self, piece: Piece) -> Scanned:
        """Return what a piece of the log holds."""
        return self._pieces.scan_for_requests(piece)

    def put(self, seen: Scanned) -> Made:
        """Take what the next piece of the log holds; return the rows of requests that are over."""
        self._new.append(self.scanner.put(seen))
        return self.flush() if sum(map(len, self._new)) >= _TOGETHER else Made.none()

    def flush(self) -> Made:
        """Return the rows of requests that are over, of all that was read."""
        return self._made(last=False) if self._new else Made.none()

    def finish(self) -> Made:
        """Return the rows of all other requests."""
        return self._made(last=True)

    def state(self) -> tuple[dict[str, Any], pa.Table]:
        """Return the requests that are not over, and the rest of the state; see `Source`."""
        grouper, waiting = self.grouper.state()
        return {"scanner": self.scanner.state(), "grouper": grouper, "stray": self.stray}, waiting

    def restore(self, state: dict[str, Any], waiting: pa.Table) -> None:
        """Go on where another source was when it gave this state."""
        self.scanner.restore(state["scanner"])
        self.grouper.restore(state["grouper"], waiting)
        self.stray = state["stray"]

    def _made(self, *, last: bool) -> Made:
        new, self._new = Messages.together(self._new), []
        grouped = self.grouper.add(new, last=last)
        self.stray += grouped.stray
        return self._maker.make(grouped.requests)


class LogReader:
    """Makes rows of the blocks of one log, and writes them.

    Parameters
    ----------
    writer
        Where rows and lines set aside are written.
    pseudonyms, catalogue, db_instances, host
        What replaces personal data; what names folders and tags; the instances whose queries are kept; the name of the
        log's machine, or None.
    structured
        Whether the log has the records of a servlet of 2025 instead of printed lines.
    """

    def __init__(
        self,
        writer: SliceWriter,
        pseudonyms: Pseudonyms,
        catalogue: Catalogue | None,
        db_instances: Sequence[str],
        host: str | None = None,
        *,
        structured: bool = False,
    ) -> None:
        self.writer = writer
        self.facts = LogFacts()
        self._aside = SetAside(pseudonyms.scrubbed)
        self._given = self._aside, pseudonyms, host
        self.set_form(structured=structured)
        self._catalogue, self._db_instances = catalogue, db_instances
        self._rows: list[pa.Table] = []

    def set_form(self, *, structured: bool) -> None:
        """Say what the log has, before the first block, if that was not known when the reader was made."""
        kind: type[RecordedLog] | type[PrintedLog] = RecordedLog if structured else PrintedLog
        self.source: Source = kind(*self._given)

    def add(self, block: Block, *, last: bool) -> None:
        """Read a block; `last` says that it is the last one of its file."""
        self._store(self.source.read(block, last=last))

    def put(self, seen: Scanned) -> None:
        """Take what the next piece of a printed log holds, which another process has scanned."""
        assert isinstance(self.source, PrintedLog)
        self._store(self.source.put(seen))

    def finish(self) -> LogFacts:
        """Write what is left; return what was seen."""
        self._store(self.source.finish())
        self.flush()
        return self.facts

    def flush(self) -> None:
        """Write the rows that wait for others."""
        self._take(self.source.flush())
        if self._rows:
            rows = pa.concat_tables(self._rows).unify_dictionaries().combine_chunks()
            self._rows = []
            done = make_dataset_rows(rows, self._db_instances, self._catalogue, LOG_SCHEMA)
            self.writer.count(left_out=done.left_out, conflicts=done.conflicts)
            if done.rows.num_rows:
                self.facts.note(done.rows)
                if self._catalogue is not None:
                    self.facts.unknown = bounded(self.facts.unknown + sum(unnamed(done.rows), Counter()))
                self.writer.write(done.rows)
        self.facts.lines = self.source.counts
        self.facts.restarts, self.facts.stray = self.source.restarts, self.source.stray

    def _store(self, made: Made) -> None:
        self._take(made)
        if sum(rows.num_rows for rows in self._rows) >= _GROUP:
            self.flush()

    def _take(self, made: Made) -> None:
        kept, more = self._aside.take()
        self.writer.add_malformed(kept)
        read = made.rows.num_rows + made.left_out.total() + len(kept) + more.total()
        self.writer.count(read=read, left_out=made.left_out, malformed=more)
        self.facts.requests += made.requests
        if made.rows.num_rows:
            self._rows.append(made.rows)
