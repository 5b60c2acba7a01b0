"""Where documents come from, and an export file as such a place; `frontierlab.elastic_source` is the other one."""

from __future__ import annotations

import bisect
import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.documents import DocumentReader
from frontierlab.errors import DatasetError
from frontierlab.exports import ExportFile, Lines, LineStream, unwrapped
from frontierlab.manifest import PlannedPart
from frontierlab.planning import cut
from frontierlab.request import Request
from frontierlab.settings import Settings
from frontierlab.times import format_time, from_milliseconds

__all__ = ["LAST", "FileSource", "Plan", "Source", "limit_record", "require_same"]

LAST = 9_214_646_400_000
"""The end of the years that a document's time can have, UTC milliseconds."""


class Plan(NamedTuple):
    """How documents are to be read.

    Parameters
    ----------
    parts
        Ranges of time, or of lines.
    limit
        Where ``limit_queries`` cuts, as in the manifest; None where it does not.
    notes, partial, hint
        Sentences for the manifest.
    """

    parts: list[PlannedPart]
    limit: dict[str, Any] | None
    notes: list[str]
    partial: Sequence[str] = ()
    hint: str = ""


class Source(Protocol):
    """Where documents come from.

    Parameters
    ----------
    request
        What is asked for, as understood.
    slices
        How many iterators a part is read by, side by side.
    search
        What was found out once of how to ask, for the manifest: a source that is opened again is given it.
    waiting
        Called a few times a second while the thread that opened the source waits; ends the wait by raising.
    """

    request: Request
    slices: int
    search: dict[str, Any]
    waiting: Callable[[], object] | None

    def describe(self) -> dict[str, Any]:
        """Return what identifies the source, for the manifest; the same when an extraction is resumed."""

    def plan(self, most: int) -> Plan:
        """Split what is asked for into parts of about `most` documents."""

    def sample(self, most: int) -> list[bytes]:
        """Return a few of the documents, `most` at most."""

    @contextmanager
    def reading(self, part: PlannedPart) -> Iterator[list[Iterator[list[bytes]]]]:
        """Give an iterator a slice of a part, each over non-empty lists of documents."""

    def with_iov(self, part: PlannedPart) -> int | None:
        """Return how many documents of a part that is being read have an IOV; None where only they can say."""

    def wanted(self, rows: pa.Table, limit: dict[str, Any] | None) -> tuple[pa.Table, Counter[str]]:
        """Return the rows that were asked for, and how many of the others there are, by reason."""

    def close(self) -> None:
        """Let go of what was opened."""


class FileSource:
    """The documents of an export file. The filtering is done here, and what it leaves out is counted."""

    def __init__(self, settings: Settings, request: Request) -> None:
        self.request = request.model_copy(
            update={"extra_fields": {name: kind or "name" for name, kind in request.extra_fields.items()}}
        )
        self.slices = settings.es_slices
        self.search: dict[str, Any] = {}
        self.waiting: Callable[[], object] | None = None
        self._file = ExportFile(Path(request.source))
        self._stream = LineStream(self._file)
        self._reader = DocumentReader(self.request.extra_columns)

    @functools.cached_property
    def _survey(self) -> Lines:
        return self._file.survey()

    def describe(self) -> dict[str, Any]:
        """Return the file's path, its number of lines, and the digest of its text."""
        return {"file": self.request.source, "lines": self._survey.number, "digest": self._survey.digest}

    def plan(self, most: int) -> Plan:
        """Split the file by its lines."""
        count, limit = self._survey.number, None
        if count > self.request.limit_queries:
            limit = self._cut()
        parts = [
            PlannedPart(number=number, start=first, stop=min(first + most, count), expected=min(most, count - first))
            for number, first in enumerate(range(0, count, most))
        ]
        return Plan(parts, limit, [])

    def _cut(self) -> dict[str, Any] | None:
        """Find where ``limit_queries`` cuts: one pass over the file for the second, one for the millisecond."""
        most = self.request.limit_queries
        seconds = self._histogram(self.request.start or 0, self.request.stop or LAST, 1_000)
        available = sum(count for _, count in seconds)
        if available <= most:
            return None
        totals = list(itertools.accumulate(count for _, count in seconds))
        second, count = seconds[place := bisect.bisect_right(totals, most)]
        left = most - (totals[place] - count)
        return limit_record(self.request, available, cut(self._histogram, second, second + 1_000, left))

    def _histogram(self, start: int, stop: int, width: int) -> list[tuple[int, int]]:
        total: Counter[int] = Counter()
        for lines in self._file.blocks():
            rows, _ = self.wanted(self._reader.read(unwrapped(lines)).rows, None)
            times = rows["time"].cast(pa.int64()).to_numpy()
            times = times[(times >= start) & (times < stop)]
            buckets, counts = np.unique(times // width * width, return_counts=True)
            total.update(dict(zip(buckets.tolist(), counts.tolist(), strict=True)))
        return sorted(total.items())

    def sample(self, most: int) -> list[bytes]:
        """Return the file's first documents."""
        return unwrapped(next(self._file.blocks())[:most])

    @contextmanager
    def reading(self, part: PlannedPart) -> Iterator[list[Iterator[list[bytes]]]]:
        """Share the part's lines between the slices, as each gets to it."""

        def documents() -> Iterator[list[bytes]]:
            while lines := self._stream.take(part.start, part.stop):
                yield unwrapped(lines)

        yield [documents() for _ in range(self.slices)]

    def with_iov(self, part: PlannedPart) -> int | None:
        """Return None: a file says nothing beside its documents."""
        return None

    def wanted(self, rows: pa.Table, limit: dict[str, Any] | None) -> tuple[pa.Table, Counter[str]]:
        """Return the rows that were asked for."""
        request, left_out = self.request, Counter[str]()

        def keep(reason: str, mask: Any) -> None:
            nonlocal rows
            kept = rows.filter(pc.fill_null(mask, False))
            if kept.num_rows < rows.num_rows:
                left_out[reason] += rows.num_rows - kept.num_rows
            rows = kept

        time = rows["time"].cast(pa.int64())
        inside = pc.and_(
            pc.greater_equal(time, request.start or 0),
            pc.less(time, LAST if request.stop is None else request.stop),
        )
        keep("outside the period", inside)
        if request.cached is not None:
            keep("cached or not, which was not asked for", pc.equal(rows["cached"], request.cached))
        if request.taskid is not None:
            keep("another task", pc.equal(rows["taskid"], request.taskid))
        if limit is not None:
            keep("beyond limit_queries", pc.less(rows["time"].cast(pa.int64()), limit["cut_at_ms"]))
        return rows, left_out

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def require_same(found: dict[str, Any], recorded: dict[str, Any], name: str) -> None:
    """Raise DatasetError where a source is not any more what an extraction began with."""
    changed = [key for key in recorded if found.get(key) != recorded[key]]
    if changed:
        was = "; ".join(f"{key} was {recorded[key]!r} and is now {found.get(key)!r}" for key in changed)
        raise DatasetError(
            f"The source of {name} has changed since the extraction began: {was}. Delete it and begin anew."
        )


def limit_record(request: Request, available: int, cut_at: int) -> dict[str, Any]:
    """Return what a manifest says of a cut by ``limit_queries``."""
    return {
        "limit_queries": request.limit_queries,
        "available": available,
        "cut_at": format_time(from_milliseconds(cut_at)),
        "cut_at_ms": cut_at,
    }
