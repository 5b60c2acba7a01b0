"""Read the parts of an extraction: slices in parallel, each part stored when it is finished.

Several processes can read parts of one dataset at the same time. The holder of a part's lock reads it. A stored part is
not read again: its rows do not depend on the process that read it.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from frontierlab.catalogue import Catalogue
from frontierlab.documents.dataset_rows import make_dataset_rows
from frontierlab.documents.fast import DocumentReader
from frontierlab.elastic.errors import PointInTimeLost
from frontierlab.errors import FrontierlabError, InterruptedExtraction
from frontierlab.exports.json_text import Document
from frontierlab.extraction.sources import REPEATED, Batch, DocumentSource
from frontierlab.schema import arrow_schema
from frontierlab.storage.locks import Replaced, fenced, free_parts, part_locked, readers, require_not_replaced
from frontierlab.storage.manifest import Manifest, Outcome, PlannedPart
from frontierlab.storage.parts import SliceWriter, activity, commit_part, read_outcome, temporary_folder
from frontierlab.util.files import reason
from frontierlab.util.progress import ProgressCallback, ProgressMeter

__all__ = ["PartRunner", "resumption"]

_ROW_GROUP = 60_000
_ATTEMPTS = 3  # attempts to read a part whose point in time was lost
_LOOK = 0.5  # seconds between two checks of parts that other processes read
_STALLED = 600.0  # seconds without progress, after which a part that another process reads is read here too


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


def resumption(call: str, plan: Sequence[PlannedPart], outcomes: Mapping[int, Outcome]) -> str:
    """Say how many documents are stored of an extraction that stopped, and from where it goes on.

    Parameters
    ----------
    call
        What goes on with it.
    plan
        All its parts.
    outcomes
        What became of the parts that are stored, by their numbers.
    """
    there = sum(outcome.counts.read for outcome in outcomes.values())
    total = there + sum(part.expected for part in plan if part.number not in outcomes)
    if not outcomes:
        return f"no part was whole, so that 0 of its {total:,} documents are stored, and {call} begins anew."
    left = len(plan) - len(outcomes)
    parts = f", and reads {left} part{'s' * (left > 1)} from the beginning" if left else ""
    return f"{there:,} of its {total:,} documents are stored, and {call} goes on from there{parts}."


class PartRunner:
    """Reads the missing parts of a dataset.

    Parameters
    ----------
    path
        The dataset's folder.
    manifest
        The manifest, with the plan.
    catalogue
        Completes ids and names; None leaves them as they are.
    open_source
        Opens the source of the documents.
    cancelled
        Set here when reading must stop early.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        catalogue: Catalogue | None,
        open_source: Callable[[], DocumentSource],
        cancelled: threading.Event,
    ) -> None:
        self._path = path
        self._manifest = manifest
        self._catalogue = catalogue
        self._open_source = open_source
        self._cancelled = cancelled
        self._outcomes: dict[int, Outcome] = {}
        self._look()

    def missing(self) -> list[int]:
        """Return the numbers of the parts that are not stored."""
        return [part.number for part in self._manifest.plan if part.number not in self._outcomes]

    def _look(self) -> int:
        """Find parts that were stored since the last check, and return their number of documents."""
        found = {number: read_outcome(self._path, number) for number in self.missing()}
        ours = {number: outcome for number, outcome in found.items() if outcome is not None}
        self._outcomes |= ours
        return sum(outcome.counts.read for outcome in ours.values())

    def run(self, source: DocumentSource, report: ProgressCallback) -> None:
        """Read until all parts are stored: parts that nobody reads, and parts of other readers that stalled."""
        there = sum(outcome.counts.read for outcome in self._outcomes.values())
        todo = [part for part in self._manifest.plan if part.number not in self._outcomes]
        meter = ProgressMeter("reading", there + sum(part.expected for part in todo), there)
        others = _OtherReaders(self._path)
        try:
            self._pass(source, todo, meter, report)
            while left := self.missing():
                free = free_parts(self._path, left)
                stalled = others.stalled(left)
                if parts := [part for part in self._manifest.plan if part.number in {*free, *stalled}]:
                    with closing(self._open_source()) as again:  # a source that reads a file cannot go back
                        self._pass(again, parts, meter, report, take_over=stalled)
                else:
                    report(meter.progress(f"waiting for {others.who()}"))
                    time.sleep(_LOOK)
                    meter.add(self._look())
        except Replaced:
            raise
        except (FrontierlabError, OSError, pa.ArrowException) as error:
            raise self.interrupted(error) from error

    def interrupted(self, error: Exception) -> InterruptedExtraction:
        """Return the error that says how many parts are stored, and how to resume."""
        cause = reason(error, self._path) if isinstance(error, OSError) else str(error).rstrip(".")
        return InterruptedExtraction(
            f"The extraction {self._path.name} stopped with {len(self._outcomes)} of {len(self._manifest.plan)} "
            f"parts stored: {cause}. The dataset says that it is incomplete: "
            f"{resumption('the same extract(…) call', self._manifest.plan, self._outcomes)}"
        )

    def read_one(self, part: PlannedPart, report: ProgressCallback) -> bool:
        """Read one part; return whether this call read it."""
        if part.number in self._outcomes:
            return False
        with closing(self._open_source()) as source:
            meter = ProgressMeter("reading", part.expected)
            source.waiting = lambda: report(meter.progress())
            reader = _PartReader(self._path, self._manifest, source, self._catalogue, self._cancelled)
            try:
                return bool([*reader.read([part], meter, report)])
            except (OSError, pa.ArrowException) as error:
                raise self.interrupted(error) from error

    def _pass(
        self,
        source: DocumentSource,
        parts: list[PlannedPart],
        meter: ProgressMeter,
        report: ProgressCallback,
        take_over: Container[int] = (),
    ) -> None:
        """Read parts in order, except those that other processes are reading or have stored meanwhile."""
        looked = time.monotonic()

        def show(*_: object) -> None:
            nonlocal looked
            if time.monotonic() - looked > _LOOK:
                looked = time.monotonic()
                meter.add(self._look())
            report(meter.progress())

        source.waiting = show
        reader = _PartReader(self._path, self._manifest, source, self._catalogue, self._cancelled)
        for number, outcome in reader.read(parts, meter, show, take_over):
            self._outcomes[number] = outcome
            report(meter.progress())
        meter.add(self._look())
        report(meter.progress())


class _OtherReaders:
    """Watches the parts that other processes read.

    Parameters
    ----------
    path
        The dataset's folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[int, tuple[float, object]] = {}

    def stalled(self, numbers: Iterable[int]) -> list[int]:
        """Return the parts whose files have not changed for `_STALLED` seconds: their readers hang or were stopped."""
        now, seen = time.monotonic(), self._seen
        self._seen = {}
        for number in numbers:
            files = activity(self._path, number)
            since, before = seen.get(number, (now, files))
            self._seen[number] = (since if files == before else now, files)
        return [number for number, (since, _) in self._seen.items() if now - since > _STALLED]

    def who(self) -> str:
        """Describe the readers of parts, for a message."""
        with fenced(self._path):
            found = [f"{who}, which reads part {number}" for number, who in readers(self._path).items()]
        return "; ".join(found[:3]) or "the last parts"


class _PartReader:
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
                repeated = page.repeated if isinstance(page, Batch) else 0
                writer.count(
                    read=len(page) + repeated,
                    left_out=+Counter({REPEATED: repeated}),
                    converted=read.converted,
                    unfit=read.unfit,
                    with_iov=read.with_iov,
                )
                writer.add_malformed(read.malformed)
                pending.append(read.rows)
                if sum(rows.num_rows for rows in pending) >= _ROW_GROUP:
                    self._write_rows(pending, writer)
                    pending = []
                meter.add(len(page) + repeated)
            if pending:
                self._write_rows(pending, writer)
        return writer.outcome

    def _write_rows(self, pending: list[pa.Table], writer: SliceWriter) -> None:
        rows, not_wanted = self._source.wanted(pa.concat_tables(pending), self._manifest.limit)
        done = make_dataset_rows(rows, self._source.request.db_instances, self._catalogue, self._schema)
        writer.write(done.rows)
        writer.count(left_out=not_wanted + done.left_out, conflicts=done.conflicts)


def _raise_first(futures: list[Future[Outcome]]) -> None:
    """Raise the error of a failed slice without waiting for the others, except for a lost point in time."""
    for future in futures:
        if future.done() and (error := future.exception()) and not isinstance(error, PointInTimeLost):
            raise error
