"""Read parts of an extraction from one open source: slices in parallel, each part stored when it is finished."""

from __future__ import annotations

import shutil
import threading
from collections import Counter, deque
from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from frontierlab.catalogue import Catalogue
from frontierlab.documents.dataset_rows import make_dataset_rows
from frontierlab.documents.fast import DocumentReader
from frontierlab.elastic.errors import PointInTimeLost
from frontierlab.errors import InterruptedExtraction
from frontierlab.exports.json_text import Document
from frontierlab.extraction.selected import keeper
from frontierlab.extraction.sources import Batch, DocumentSource
from frontierlab.schema import arrow_schema
from frontierlab.storage.locks import part_locked, require_not_replaced
from frontierlab.storage.manifest import Manifest, Outcome, PlannedPart
from frontierlab.storage.parts import SliceWriter, commit_part, read_outcome, temporary_folder
from frontierlab.util.progress import ProgressCallback, ProgressMeter

__all__ = ["PartReader"]

_ROW_GROUP = 60_000
_ATTEMPTS = 3  # attempts to read a part whose point in time was lost


@dataclass
class _OpenPart:
    """A part that is being read."""

    part: PlannedPart
    folder: Path
    writers: list[SliceWriter]
    futures: list[Future[Outcome]]
    slices: _OpenSlices
    held: ExitStack


class _OpenSlices:
    """The slices of a part, opened when the first one is read: a point in time that is opened too early expires."""

    def __init__(self, source: DocumentSource, part: PlannedPart) -> None:
        self._source = source
        self._part = part
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._slices: Sequence[Iterator[Sequence[Document]]] | None = None

    def documents(self, number: int) -> Iterator[Sequence[Document]]:
        with self._lock:
            if self._slices is None:
                self._slices = self._stack.enter_context(self._source.reading(self._part))
        yield from self._slices[number]

    def close(self) -> None:
        with self._lock:
            self._stack.close()


class PartReader:
    """Reads parts from one open source."""

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        source: DocumentSource,
        catalogue: Catalogue | None,
        cancelled: threading.Event,
    ) -> None:
        self._path = path
        self._manifest = manifest
        self._source = source
        self._catalogue = catalogue
        self._cancelled = cancelled
        self._schema = arrow_schema(source.request.extra_columns)
        self._reader = DocumentReader(source.request.extra_columns)
        self._keep = keeper(source.request.conditions)

    def read(
        self,
        parts: Iterable[PlannedPart],
        meter: ProgressMeter,
        report: ProgressCallback,
        take_over: Container[int] = (),
    ) -> Iterator[tuple[int, Outcome]]:
        """Read parts in order; the next part begins before the current one ends, so that no slice is idle.

        The parts in `take_over` are read although another process holds their locks.
        """
        running: deque[_OpenPart] = deque()
        with ExitStack() as stack, ThreadPoolExecutor(self._source.slices, "extraction") as pool:
            try:
                for part in parts:
                    held = stack.enter_context(ExitStack())
                    if not self._take(part, held, part.number in take_over):
                        continue
                    running.append(self._begin(part, pool, held, meter))
                    if len(running) > 1:
                        yield self._finish(running.popleft(), pool, meter, report)
                while running:
                    yield self._finish(running.popleft(), pool, meter, report)
            except BaseException as error:
                self._cancelled.set()
                pool.shutdown(cancel_futures=True)
                if isinstance(error, FileNotFoundError):  # the dataset may have been deleted: Replaced says so
                    require_not_replaced(self._path, self._manifest)
                raise

    def _take(self, part: PlannedPart, held: ExitStack, take_over: bool) -> bool:
        """Lock a part; False if another process is reading it or has stored it."""
        lock = held.enter_context(part_locked(self._path, part.number, self._manifest, take_over=take_over))
        if lock is None or read_outcome(self._path, part.number) is not None:
            held.close()
            return False
        return True

    def _begin(self, part: PlannedPart, pool: ThreadPoolExecutor, held: ExitStack, meter: ProgressMeter) -> _OpenPart:
        folder = temporary_folder(self._path, part.number)
        held.callback(shutil.rmtree, folder, ignore_errors=True)  # no effect after the folder was renamed to the part's
        slices = _OpenSlices(self._source, part)
        held.callback(slices.close)
        writers = [SliceWriter(folder, number, self._schema) for number in range(self._source.slices)]
        futures = [
            pool.submit(self._write_slice, slices.documents(number), writer, meter)
            for number, writer in enumerate(writers)
        ]
        return _OpenPart(part, folder, writers, futures, slices, held)

    def _finish(
        self, opened: _OpenPart, pool: ThreadPoolExecutor, meter: ProgressMeter, report: ProgressCallback
    ) -> tuple[int, Outcome]:
        """Wait for the slices of a part while reporting progress, then store the part."""
        for attempt in range(1, _ATTEMPTS + 1):
            while wait(opened.futures, timeout=0.25).not_done:
                _raise_first(opened.futures)
                report(meter.progress())
            opened.slices.close()
            try:
                outcomes = [future.result() for future in opened.futures]
            except PointInTimeLost:
                if attempt == _ATTEMPTS:
                    raise
                meter.add(-sum(writer.outcome.counts.read for writer in opened.writers))
                shutil.rmtree(opened.folder, ignore_errors=True)
                opened = self._begin(opened.part, pool, opened.held, meter)
            else:
                break
        outcomes.append(Outcome(iovs_lost=self._iovs_lost(opened.part, Outcome.total(outcomes))))
        number = opened.part.number
        outcome = commit_part(opened.folder, self._path, number, outcomes, self._manifest, opened.held.close)
        return number, outcome

    def _iovs_lost(self, part: PlannedPart, read: Outcome) -> int:
        """Return how many documents have an IOV by the source's count, but none in a row or a malformed document."""
        given = self._source.with_iov(part)
        return 0 if given is None else max(0, given - read.with_iov - read.counts.malformed)

    def _write_slice(
        self, documents: Iterator[Sequence[Document]], writer: SliceWriter, meter: ProgressMeter
    ) -> Outcome:
        """Turn the documents of one slice into rows and write them."""
        pending: list[pa.Table] = []
        with writer:
            for page in documents:
                if self._cancelled.is_set():
                    raise InterruptedExtraction("stopped.")
                read = self._reader.read(page)
                left_out = page.left_out if isinstance(page, Batch) else Counter[str]()
                number = len(page) + left_out.total()
                writer.count(
                    read=number,
                    left_out=left_out,
                    converted=read.converted,
                    unfit=read.unfit,
                    with_iov=read.with_iov,
                )
                writer.add_malformed(read.malformed)
                pending.append(read.rows)
                if sum(rows.num_rows for rows in pending) >= _ROW_GROUP:
                    self._write_rows(pending, writer)
                    pending = []
                meter.add(number)
            if pending:
                self._write_rows(pending, writer)
        return writer.outcome

    def _write_rows(self, pending: list[pa.Table], writer: SliceWriter) -> None:
        rows, not_wanted = self._source.wanted(pa.concat_tables(pending), self._manifest.limit)
        instances = self._source.request.db_instances
        done = make_dataset_rows(rows, instances, self._catalogue, self._schema, self._keep)
        writer.write(done.rows)
        writer.count(left_out=not_wanted + done.left_out, conflicts=done.conflicts)


def _raise_first(futures: list[Future[Outcome]]) -> None:
    """Raise the error of a failed slice without waiting for the others, except for a lost point in time."""
    for future in futures:
        if future.done() and (error := future.exception()) and not isinstance(error, PointInTimeLost):
            raise error
