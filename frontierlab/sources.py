"""Where documents come from: an Elasticsearch index, or an export file. Both plan and read alike."""

from __future__ import annotations

import bisect
import functools
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.documents import DocumentReader
from frontierlab.elastic import Index, search_body, time_query
from frontierlab.errors import DatasetError
from frontierlab.exports import ExportFile, Lines, LineStream, unwrapped
from frontierlab.manifest import PlannedPart
from frontierlab.planning import cut, split
from frontierlab.request import Request
from frontierlab.schema import DOCUMENT_FIELDS
from frontierlab.settings import Settings
from frontierlab.times import format_time, from_milliseconds

__all__ = ["ElasticSource", "FileSource", "Plan", "Source"]

_LAST = 9_214_646_400_000  # the end of the years that a document's time can have
_KINDS = {
    **dict.fromkeys(("long", "integer", "short", "byte"), "integer"),
    **dict.fromkeys(("double", "float", "half_float", "scaled_float"), "number"),
    **dict.fromkeys(("keyword", "constant_keyword", "wildcard", "text", "match_only_text"), "name"),
    **dict.fromkeys(("ip", "version", "unsigned_long"), "name"),
    **dict.fromkeys(("date", "date_nanos"), "time"),
    "boolean": "flag",
}
_FEW = 100  # documents, from which one sees which fields make most of one


class Plan(NamedTuple):
    """How documents are to be read.

    Parameters
    ----------
    parts
        Ranges of time, or of lines.
    limit
        Where ``limit_queries`` cuts, as in the manifest; None where it does not.
    notes
        Sentences for the manifest.
    """

    parts: list[PlannedPart]
    limit: dict[str, Any] | None
    notes: list[str]


class Source(Protocol):
    """Where documents come from."""

    request: Request
    slices: int

    def describe(self) -> dict[str, Any]:
        """Return what identifies the source, for the manifest; the same when an extraction is resumed."""

    def plan(self, most: int) -> Plan:
        """Split what is asked for into parts of about `most` documents."""

    def sample(self, most: int) -> list[bytes]:
        """Return a few of the documents, `most` at most."""

    @contextmanager
    def reading(self, part: PlannedPart) -> Iterator[list[Iterator[list[bytes]]]]:
        """Give an iterator a slice of a part, each over non-empty lists of documents."""

    def wanted(self, rows: pa.Table, limit: dict[str, Any] | None) -> tuple[pa.Table, Counter[str]]:
        """Return the rows that were asked for, and how many of the others there are, by reason."""

    def close(self) -> None:
        """Let go of what was opened."""


def _kind(mapped: str | None) -> str:
    """Return what an extra field is read as: JSON text where it is neither a number, a flag, a time nor a name."""
    if mapped is None:
        return "name"
    kinds = {_KINDS.get(type_, "json") for type_ in mapped.split(" or ")}
    return kinds.pop() if len(kinds) == 1 else "json"


class ElasticSource:
    """The documents of an index. The server does the filtering."""

    def __init__(self, settings: Settings, request: Request, index: Index) -> None:
        self._index = index
        self._page = settings.es_page
        self.slices = settings.es_slices
        types = index.fields()
        kinds = {name: kind or _kind(types.get(name)) for name, kind in request.extra_fields.items()}
        self.request = request.model_copy(update={"extra_fields": kinds})
        self._unmapped = [name for name in request.extra_fields if name not in types]
        self.close = index.close

    def _query(self, start: int | None, stop: int | None) -> dict[str, Any]:
        return time_query(start, stop, self.request.cached, self.request.taskid)

    def describe(self) -> dict[str, Any]:
        """Return the server's URL and the indices."""
        return {"elasticsearch": self.request.source, "index": self.request.index}

    def plan(self, most: int) -> Plan:
        """Split the period by the server's own counts."""
        request = self.request
        total = self._index.count(self._query(request.start, request.stop))
        notes = [f"{name} is not in the mapping of the index; it is read as text." for name in self._unmapped]
        without = self._index.count({"bool": {"must_not": {"exists": {"field": "@timestamp"}}}})
        if without:
            notes.append(f"{without:,} documents of the index have no readable @timestamp and belong to no period.")
        if not total:
            return Plan([], None, notes)
        start = request.start
        if start is None:
            start = self._index.earliest(self._query(None, request.stop)) or 0
        stop = request.stop or _LAST

        def histogram(begin: int, end: int, width: int) -> list[tuple[int, int]]:
            return self._index.histogram(self._query(begin, end), width)

        if total <= min(most, request.limit_queries):
            return Plan([PlannedPart(number=0, start=start, stop=stop, expected=total)], None, notes)
        limit = None
        if total > request.limit_queries:
            stop = cut(histogram, start, stop, request.limit_queries)
            limit = _limit(request, total, stop)
        return Plan(split(histogram, start, stop, most) if stop > start else [], limit, notes)

    def body(self, start: int | None, stop: int | None) -> dict[str, Any]:
        """Return the body of the search for ``[start, stop)``."""
        return search_body(self._query(start, stop), self._page, self._fields)

    @functools.cached_property
    def _fields(self) -> list[str] | None:
        """The fields to ask for; None for whole documents, which a server hands out faster.

        Where what is not wanted, such as the SQL text, makes most of a document, carrying it
        costs more than leaving it out.
        """
        wanted = [*DOCUMENT_FIELDS, *self.request.extra_fields]
        sizes = np.zeros(2)
        for document in self.sample(_FEW):
            values = json.loads(bytes(document))
            if isinstance(values, dict):
                kept = json.dumps({name: values[name] for name in wanted if name in values})
                sizes += (len(document), len(kept))
        return wanted if sizes[0] > 2 * sizes[1] else None

    def sample(self, most: int) -> list[bytes]:
        """Return the first documents of a search over the period."""
        body = search_body(self._query(self.request.start, self.request.stop), most, None)
        with self._index.point_in_time() as pit:
            return next(self._index.pages(body, pit, 0, 1), [])

    @contextmanager
    def reading(self, part: PlannedPart) -> Iterator[list[Iterator[list[bytes]]]]:
        """Open a point in time for the part's slices."""
        with self._index.point_in_time() as pit:
            body = self.body(part.start, part.stop)
            yield [self._index.pages(body, pit, number, self.slices) for number in range(self.slices)]

    def wanted(self, rows: pa.Table, limit: dict[str, Any] | None) -> tuple[pa.Table, Counter[str]]:
        """Return all rows: the server has done the filtering."""
        return rows, Counter()


class FileSource:
    """The documents of an export file. The filtering is done here, and what it leaves out is counted."""

    def __init__(self, settings: Settings, request: Request) -> None:
        self.request = request.model_copy(
            update={"extra_fields": {name: kind or "name" for name, kind in request.extra_fields.items()}}
        )
        self.slices = settings.es_slices
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
        seconds = self._histogram(self.request.start or 0, self.request.stop or _LAST, 1_000)
        available = sum(count for _, count in seconds)
        if available <= most:
            return None
        totals = list(itertools.accumulate(count for _, count in seconds))
        second, count = seconds[place := bisect.bisect_right(totals, most)]
        left = most - (totals[place] - count)
        return _limit(self.request, available, cut(self._histogram, second, second + 1_000, left))

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
            pc.less(time, _LAST if request.stop is None else request.stop),
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


def _limit(request: Request, available: int, cut_at: int) -> dict[str, Any]:
    return {
        "limit_queries": request.limit_queries,
        "available": available,
        "cut_at": format_time(from_milliseconds(cut_at)),
        "cut_at_ms": cut_at,
    }
