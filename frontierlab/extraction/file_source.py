"""An export file as a source of documents."""

from __future__ import annotations

import bisect
import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.catalogue import Catalogue
from frontierlab.documents.dataset_rows import make_dataset_rows
from frontierlab.documents.fast import DocumentReader
from frontierlab.errors import InvalidRequestError
from frontierlab.exports.document_stream import DocumentStream, taken, unwrapped
from frontierlab.exports.export_file import ExportFile, Survey
from frontierlab.exports.json_text import Document
from frontierlab.exports.repeats import Repeats
from frontierlab.extraction.plan import cut
from frontierlab.extraction.request import Request
from frontierlab.extraction.selected import keeper
from frontierlab.extraction.sources import LAST, Batch, Plan, limit_record
from frontierlab.schema import arrow_schema
from frontierlab.storage.manifest import PlannedPart

__all__ = ["FileSource"]


class FileSource:
    """The documents of an export file. They are filtered here, and those left out are counted.

    Parameters
    ----------
    request
        The request of the extraction.
    slices
        Number of iterators that read a part in parallel.
    drop_duplicates
        Whether documents that repeat an earlier one are left out.

    Raises
    ------
    InvalidRequestError
        The file cannot be read.
    """

    def __init__(self, request: Request, slices: int, *, drop_duplicates: bool) -> None:
        self.request = request.model_copy(
            update={"extra_fields": {name: kind or "name" for name, kind in request.extra_fields.items()}}
        )
        self.slices = slices
        self.search: dict[str, Any] = {}
        self.waiting: Callable[[], object] | None = None
        self._drop = drop_duplicates
        self._file = ExportFile(Path(request.source))
        self._identity = self._file.identity()
        self._reader = DocumentReader(self.request.extra_columns)

    @functools.cached_property
    def _survey(self) -> Survey:
        survey = self._file.survey()
        self._require_unchanged()
        return survey

    @functools.cached_property
    def _stream(self) -> DocumentStream:
        return DocumentStream(self._file, self._repeats)

    @property
    def _repeats(self) -> Repeats | None:
        return self._survey.repeats if self._drop else None

    def _require_unchanged(self) -> None:
        try:
            unchanged = self._file.identity() == self._identity
        except OSError:
            unchanged = False
        if not unchanged:
            raise InvalidRequestError(
                f"{self._file.path} changed while it was read. Extract from a file that nobody writes to."
            )

    def describe(self) -> dict[str, Any]:
        """Return the file's path, its number of documents, their digest, and whether repeated ones are kept."""
        described: dict[str, Any] = {
            "file": self.request.source,
            "documents": self._survey.number,
            "digest": self._survey.digest,
        }
        if self._survey.repeats.number:
            described["repeated"] = "left out" if self._drop else "kept"
        return described

    def plan(self, most: int, catalogue: Catalogue | None = None) -> Plan:
        """Split the file by the numbers of its documents."""
        count, limit = self._survey.number, None
        if count > self.request.limit_queries:
            limit = self._cut(catalogue)
            self._require_unchanged()
        parts = [
            PlannedPart(number=number, start=first, stop=min(first + most, count), expected=min(most, count - first))
            for number, first in enumerate(range(0, count, most))
        ]
        notes = []
        if repeated := self._survey.repeats.number:
            notes.append(
                f"{repeated:,} documents of the file have the _index and _id of an earlier one; they are "
                + ("left out." if self._drop else "kept, since drop_duplicates is false.")
            )
        return Plan(parts, limit, notes, self._survey.partial)

    def _cut(self, catalogue: Catalogue | None) -> dict[str, Any] | None:
        """Find where ``limit_queries`` cuts: the first pass over the file finds the second, another the millisecond."""
        most = self.request.limit_queries
        histogram = functools.partial(self._histogram, catalogue)
        seconds = histogram(self.request.start or 0, self.request.stop or LAST, 1_000)
        available = sum(count for _, count in seconds)
        if available <= most:
            return None
        totals = list(itertools.accumulate(count for _, count in seconds))
        second, count = seconds[place := bisect.bisect_right(totals, most)]
        left = most - (totals[place] - count)
        return limit_record(self.request, available, cut(histogram, second, second + 1_000, left))

    def _histogram(self, catalogue: Catalogue | None, start: int, stop: int, width: int) -> list[tuple[int, int]]:
        """Count the documents that the limit counts: those of the period, or of these the selected ones."""
        total: Counter[int] = Counter()
        first, request, keep = 0, self.request, keeper(self.request.conditions)
        for documents in self._file.blocks():
            some = taken(documents, first, self._repeats, self._file.is_bulk)
            first += len(documents)
            rows, _ = self.wanted(self._reader.read(unwrapped(some.documents)).rows, None)
            if keep is not None:
                rows = make_dataset_rows(rows, request.db_instances, catalogue, arrow_schema(), keep).rows
            times = rows["time"].cast(pa.int64()).to_numpy()
            times = times[(times >= start) & (times < stop)]
            buckets, counts = np.unique(times // width * width, return_counts=True)
            total.update(dict(zip(buckets.tolist(), counts.tolist(), strict=True)))
        return sorted(total.items())

    def sample(self, most: int) -> list[Document]:
        """Return the file's first documents."""
        return unwrapped(taken(next(self._file.blocks())[:most], 0, None, self._file.is_bulk).documents)

    @contextmanager
    def reading(self, part: PlannedPart) -> Iterator[list[Iterator[Batch]]]:
        """Yield an iterator for each slice; each takes the next documents of the part when it is ready."""

        def documents() -> Iterator[Batch]:
            while some := self._stream.take(part.start, part.stop):
                yield Batch(unwrapped(some.documents), some.left_out)

        self._require_unchanged()
        yield [documents() for _ in range(self.slices)]
        self._require_unchanged()

    def with_iov(self, part: PlannedPart) -> int | None:
        """Return None: a file has no counts beside its documents."""
        return None

    def wanted(self, rows: pa.Table, limit: dict[str, Any] | None) -> tuple[pa.Table, Counter[str]]:
        """Return the rows of the requested period, and the number of the others by reason."""
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
        if limit is not None:
            keep("beyond limit_queries", pc.less(rows["time"].cast(pa.int64()), limit["cut_at_ms"]))
        return rows, left_out

    def close(self) -> None:
        """Close the file."""
        if "_stream" in vars(self):
            self._stream.close()
