"""Documents in, completed dataset out."""

from __future__ import annotations

import os
import shutil
import threading
import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal, overload

import pyarrow as pa

from frontierlab.catalogue import Catalogue
from frontierlab.dataset import Dataset, dataset_path, require_new, this_writer, writing
from frontierlab.documents import DocumentReader
from frontierlab.elastic import Index, PointInTimeLost
from frontierlab.errors import CatalogueError, DatasetError, FrontierlabError, InterruptedExtraction
from frontierlab.estimate import DryRun, estimate
from frontierlab.manifest import Manifest, Outcome, PlannedPart
from frontierlab.parts import SliceWriter, commit_part, part_folder, read_outcome, remove_leftovers, temporary_folder
from frontierlab.progress import ProgressCallback, ProgressMeter, reporting
from frontierlab.request import Request, make_request
from frontierlab.rows import finish
from frontierlab.schema import arrow_schema
from frontierlab.settings import Settings
from frontierlab.sources import ElasticSource, FileSource, Source, require_same
from frontierlab.times import format_time

__all__ = ["LimitReached", "NothingKept", "extract", "extract_request", "notices"]

_PART = 500_000  # documents: some seconds of work, which is what an interruption costs
_ROW_GROUP = 60_000
_ATTEMPTS = 3  # at a part whose point in time was lost


class LimitReached(UserWarning):
    """``limit_queries`` cut an extraction: the dataset ends earlier than was asked for."""


class NothingKept(UserWarning):
    """An extraction read documents, and none of them became a row: the dataset is empty."""


@overload
def extract(
    settings: Settings | str | os.PathLike[str] | None = None,
    *,
    name: str,
    since: str | date | datetime | None = None,
    until: str | date | datetime | None = None,
    cached: bool | None = None,
    taskid: int | None = None,
    source: str | os.PathLike[str] | None = None,
    extra_fields: Sequence[str] | Mapping[str, str] = (),
    complete: bool = True,
    dry_run: Literal[False] = False,
    progress: bool | ProgressCallback = True,
) -> Dataset: ...


@overload
def extract(
    settings: Settings | str | os.PathLike[str] | None = None,
    *,
    name: str = "",
    since: str | date | datetime | None = None,
    until: str | date | datetime | None = None,
    cached: bool | None = None,
    taskid: int | None = None,
    source: str | os.PathLike[str] | None = None,
    extra_fields: Sequence[str] | Mapping[str, str] = (),
    complete: bool = True,
    dry_run: Literal[True],
    progress: bool | ProgressCallback = True,
) -> DryRun: ...


def extract(
    settings: Settings | str | os.PathLike[str] | None = None,
    *,
    name: str = "",
    since: str | date | datetime | None = None,
    until: str | date | datetime | None = None,
    cached: bool | None = None,
    taskid: int | None = None,
    source: str | os.PathLike[str] | None = None,
    extra_fields: Sequence[str] | Mapping[str, str] = (),
    complete: bool = True,
    dry_run: bool = False,
    progress: bool | ProgressCallback = True,
) -> Dataset | DryRun:
    """Take query logs out of Elasticsearch, or out of an export file, and store them as a dataset.

    A row of the dataset is one query that reached a Frontier server (`frontierlab.schema` has the
    columns). Documents of databases that are not in ``db_instances`` are left out; documents that
    cannot be read are set aside with the reason; ids and names are completed from the catalogue.
    ``read = kept + left_out + set_aside`` in the manifest's counts, always.

    Memory does not grow with the number of documents. The period is split into parts, each stored
    when it is whole. After an interruption of any kind the dataset says that it is incomplete, and
    the same call reads the missing parts and ends with the rows of an undisturbed run, provided
    that the index did not change.

    Parameters
    ----------
    settings
        By default ``Settings()``; or the path of a configuration file.
    name
        Of the dataset: letters, digits, ``.``, ``_`` and ``-``.
    since, until
        The period ``[since, until)``. A time without a zone is UTC, another zone is converted.
        Without `since` from the first document on; without `until` up to the time of the first
        call (a file: to its end).
    cached
        True or False for such queries alone; None for both.
    taskid
        Queries of this PanDA task alone.
    source
        Path of an export file, plain or ``.gz`` or ``.zst``: a document a line, as it is or as
        ``_source`` of a line that elasticdump wrote. By default the ``es_index`` of the settings.
    extra_fields
        Further fields of the documents, each a nullable column of the same name. As a dict, what
        each is read as: integer, number, flag, name or time; otherwise as the index maps it, and
        from a file as name.
    complete
        False leaves ids and names as they were logged, and needs no catalogue.
    dry_run
        Only say what would be done: the search's body, the number of documents, an estimate of
        the size. Nothing is written, and `name` may be left out.
    progress
        True shows a bar; False nothing; a function is called with a `Progress` a few times a
        second in this thread, and stops the extraction by raising.

    Returns
    -------
    Dataset
        Complete. Where ``limit_queries`` cut it (by time, earliest first, at a whole millisecond),
        it says so, and so does a `LimitReached` warning.
    DryRun
        With `dry_run`.

    Raises
    ------
    InvalidRequestError, ConfigurationError, CatalogueError
        What was given makes no sense, or the catalogue is missing. Nothing was done.
    DatasetError
        The name is that of a complete dataset, of an incomplete one of another request (the
        message names the difference), or of one in use. It was left as it was.
    ElasticsearchError
        The server cannot be reached or refuses, or there is no such index. Nothing was done.
    InterruptedExtraction
        It stopped before its end; parts that are whole are kept, and the same call goes on.

    Examples
    --------
    >>> import frontierlab as fl
    >>> dataset = fl.extract(fl.sample.settings(), source=fl.sample.path(), name="sample")  # doctest: +SKIP
    """
    settings = settings if isinstance(settings, Settings) else Settings(settings)
    request = make_request(
        settings,
        since=since,
        until=until,
        cached=cached,
        taskid=taskid,
        source=source,
        extra_fields=extra_fields,
        complete=complete,
    )
    if dry_run:
        catalogue = Catalogue.read(settings.catalogue_path) if complete else None
        with closing(_source(settings, request, threading.Event())) as opened:
            return estimate(opened, opened.plan(_PART), catalogue)
    dataset = extract_request(dataset_path(name, settings), settings, request, progress)
    for text, category in notices(dataset):
        warnings.warn(text, category, stacklevel=2)
    return dataset


def extract_request(
    path: Path, settings: Settings, request: Request, progress: bool | ProgressCallback = True
) -> Dataset:
    """Do what `extract` does, for a request that is checked, without warnings; see `notices`."""
    try:
        _extract(path, settings, request, progress)
    except OSError as error:
        raise DatasetError(f"{path} cannot be written: {error.strerror or error}.") from error
    return Dataset(path)


def notices(dataset: Dataset) -> list[tuple[str, type[UserWarning]]]:
    """Return what whoever asked for an extraction should be warned of; nothing where it gave all that there is."""
    manifest, counts = dataset.manifest, dataset.counts
    if manifest.limit is not None:
        text = (
            f"limit_queries ({manifest.limit['limit_queries']:,}) cut {dataset.name} at "
            f"{manifest.limit['cut_at']}: there are {manifest.limit['available']:,} documents in the period."
        )
        if not counts.kept:
            text += " Nothing is left: the first millisecond holds more than the limit."
        return [(text, LimitReached)]
    if counts.read and not counts.kept:
        why = manifest.left_out | manifest.set_aside
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in why.items())
        return [(f"None of {counts.read:,} documents became a row of {dataset.name}: {reasons}.", NothingKept)]
    return []


def _extract(path: Path, settings: Settings, request: Request, progress: bool | ProgressCallback) -> None:
    with writing(path):
        manifest = _earlier(path, request)
        catalogue = _catalogue(path, manifest, request, settings)
        cancelled = threading.Event()
        if manifest is not None:
            request = Request(**manifest.request)  # with the bounds that were frozen
        with closing(_source(settings, request, cancelled)) as opened:
            manifest = _planned(path, opened, catalogue) if manifest is None else _resumed(path, opened, manifest)
            with reporting(progress, "documents") as report:
                _Extraction(path, manifest, opened, catalogue, cancelled).run(report)


def _earlier(path: Path, request: Request) -> Manifest | None:
    """Return the manifest of an interrupted extraction that the same request goes on with."""
    if not (path / "manifest.json").exists():
        require_new(path)
        return None
    manifest = Manifest.read(path)
    if manifest.state == "complete":
        raise DatasetError(
            f"The dataset {path.name} is there already, complete. Choose another name, or delete it: "
            f"frontierlab.datasets.delete_dataset({path.name!r}, settings)"
        )
    difference = Request(**manifest.request).differences(request)
    if difference:
        raise DatasetError(
            f"The dataset {path.name} is incomplete, and of another request: {difference}. Ask for the same to go on "
            "with it, or choose another name."
        )
    return manifest


def _catalogue(path: Path, manifest: Manifest | None, request: Request, settings: Settings) -> Catalogue | None:
    """Read the catalogue; a resumed extraction goes on with the one that it began with."""
    if not request.complete:
        return None
    if manifest is None:
        return Catalogue.read(settings.catalogue_path)
    try:
        return Catalogue.read(path / "catalogue.parquet")
    except CatalogueError as error:
        raise DatasetError(
            f"The dataset {path.name} cannot go on: the catalogue that it began with is gone ({error}). Delete it and "
            "begin anew."
        ) from None


def _source(settings: Settings, request: Request, cancelled: threading.Event) -> Source:
    if not request.index:
        return FileSource(settings, request)
    index = Index(settings, cancelled)
    try:
        return ElasticSource(settings, request, index)
    except BaseException:
        index.close()
        raise


def _planned(path: Path, source: Source, catalogue: Catalogue | None) -> Manifest:
    """Make the plan, and with it the manifest of a dataset that begins."""
    plan = source.plan(_PART)
    if catalogue is not None:
        catalogue.write(path / "catalogue.parquet")
    manifest = Manifest(
        name=path.name,
        created=format_time(datetime.now(UTC)),
        request=source.request.model_dump(),
        source=source.describe(),
        columns=arrow_schema(source.request.extra_columns).names,
        plan=plan.parts,
        limit=plan.limit,
        notes=["Times are UTC; a time without a zone, in a request or a document, is taken as UTC.", *plan.notes],
        writer=this_writer(),
    )
    manifest.write(path)
    return manifest


def _resumed(path: Path, source: Source, manifest: Manifest) -> Manifest:
    require_same(source.describe(), manifest.source, path.name)
    remove_leftovers(path)
    manifest.writer = this_writer()
    manifest.write(path)
    return manifest


@dataclass
class _Begun:
    """A part that is being read."""

    part: PlannedPart
    folder: Path
    writers: list[SliceWriter]
    futures: list[Future[Outcome]]
    reading: ExitStack


class _Extraction:
    """Reads the parts that are missing: slices side by side, each part put in its place when whole.

    Parameters
    ----------
    path
        The dataset's folder, whose lock is held.
    manifest
        With the plan.
    source
        Where the documents come from.
    catalogue
        To complete with; None leaves ids and names as they are.
    cancelled
        Set here when the reading has to end early.
    """

    def __init__(
        self, path: Path, manifest: Manifest, source: Source, catalogue: Catalogue | None, cancelled: threading.Event
    ) -> None:
        self._path = path
        self._manifest = manifest
        self._source = source
        self._catalogue = catalogue
        self._cancelled = cancelled
        self._schema = arrow_schema(source.request.extra_columns)
        self._reader = DocumentReader(source.request.extra_columns)

    def run(self, report: ProgressCallback) -> None:
        """Read what is missing and complete the dataset."""
        outcomes = {part.number: read_outcome(self._path, part.number) for part in self._manifest.plan}
        todo = [part for part in self._manifest.plan if outcomes[part.number] is None]
        for part in todo:  # what is there and cannot say what it holds is read again
            shutil.rmtree(part_folder(self._path, part.number), ignore_errors=True)
        there = sum(outcome.counts.read for outcome in outcomes.values() if outcome is not None)
        meter = ProgressMeter("reading", there + sum(part.expected for part in todo), there)
        try:
            for number, outcome in self._read(todo, meter, report):
                outcomes[number] = outcome
                report(meter.progress())
        except (FrontierlabError, OSError, pa.ArrowException) as error:
            whole = sum(outcome is not None for outcome in outcomes.values())
            raise InterruptedExtraction(
                f"The extraction {self._path.name} stopped with {whole} of {len(outcomes)} parts stored: "
                f"{str(error).rstrip('.')}. The dataset says that it is incomplete; the same extract(…) call goes "
                "on from there."
            ) from error
        self._complete([outcome for outcome in outcomes.values() if outcome is not None])

    def _read(
        self, todo: list[PlannedPart], meter: ProgressMeter, report: ProgressCallback
    ) -> Iterator[tuple[int, Outcome]]:
        """Read parts in order; the next begins before the last one ends, so that no slice waits."""
        begun: deque[_Begun] = deque()
        with ExitStack() as opened, ThreadPoolExecutor(self._source.slices, "extraction") as pool:
            try:
                for part in todo:
                    begun.append(self._begin(part, pool, opened, meter))
                    if len(begun) > 1:
                        yield self._finish(begun.popleft(), pool, opened, meter, report)
                while begun:
                    yield self._finish(begun.popleft(), pool, opened, meter, report)
            except BaseException:
                self._cancelled.set()
                pool.shutdown(cancel_futures=True)
                remove_leftovers(self._path)
                raise

    def _begin(self, part: PlannedPart, pool: ThreadPoolExecutor, opened: ExitStack, meter: ProgressMeter) -> _Begun:
        reading = opened.enter_context(ExitStack())
        folder = temporary_folder(self._path, part.number)
        slices = reading.enter_context(self._source.reading(part))
        writers = [SliceWriter(folder, number, self._schema) for number in range(len(slices))]
        futures = [
            pool.submit(self._write_slice, documents, writer, meter)
            for documents, writer in zip(slices, writers, strict=True)
        ]
        return _Begun(part, folder, writers, futures, reading)

    def _finish(
        self,
        begun: _Begun,
        pool: ThreadPoolExecutor,
        opened: ExitStack,
        meter: ProgressMeter,
        report: ProgressCallback,
    ) -> tuple[int, Outcome]:
        """Wait for the slices of a part, reporting meanwhile, and put it in its place."""
        for attempt in range(1, _ATTEMPTS + 1):
            while wait(begun.futures, timeout=0.25).not_done:
                _raise_first(begun.futures)
                report(meter.progress())
            begun.reading.close()
            try:
                outcomes = [future.result() for future in begun.futures]
            except PointInTimeLost:
                if attempt == _ATTEMPTS:
                    raise
                meter.add(-sum(writer.outcome.counts.read for writer in begun.writers))
                begun = self._begin(begun.part, pool, opened, meter)
            else:
                break
        return begun.part.number, commit_part(begun.folder, self._path, begun.part.number, outcomes)

    def _write_slice(self, documents: Iterator[list[bytes]], writer: SliceWriter, meter: ProgressMeter) -> Outcome:
        """Turn the documents of one slice into rows and write them."""
        pending: list[pa.Table] = []
        with writer:
            for page in documents:
                if self._cancelled.is_set():
                    raise InterruptedExtraction("stopped.")
                read = self._reader.read(page)
                writer.count(read=len(page), converted=read.converted)
                writer.set_aside(read.set_aside)
                pending.append(read.rows)
                if sum(rows.num_rows for rows in pending) >= _ROW_GROUP:
                    self._write_rows(pending, writer)
                    pending = []
                meter.add(len(page))
            if pending:
                self._write_rows(pending, writer)
        return writer.outcome

    def _write_rows(self, pending: list[pa.Table], writer: SliceWriter) -> None:
        rows, not_wanted = self._source.wanted(pa.concat_tables(pending), self._manifest.limit)
        done = finish(rows, self._source.request.db_instances, self._catalogue, self._schema)
        writer.write(done.rows)
        writer.count(left_out=not_wanted + done.left_out, conflicts=done.conflicts)

    def _complete(self, outcomes: list[Outcome]) -> None:
        """Add up the parts and say that the dataset is complete."""
        total, manifest = Outcome.total(outcomes), self._manifest
        counts = total.counts
        if counts.read != counts.kept + counts.left_out + counts.set_aside:
            raise DatasetError(f"The counts of {self._path.name} do not add up: {counts}. Please report this.")
        for name in Outcome.model_fields:
            setattr(manifest, name, getattr(total, name))
        expected = sum(part.expected for part in manifest.plan)
        if counts.read != expected and not self._source.request.index:
            raise DatasetError(f"{counts.read:,} of the file's {expected:,} documents were read. Please report this.")
        if counts.read != expected:
            manifest.notes.append(
                f"The source had {expected:,} documents when the extraction was planned, and gave {counts.read:,}."
            )
        manifest.state = "complete"
        manifest.finished = format_time(datetime.now(UTC))
        manifest.write(self._path)


def _raise_first(futures: list[Future[Outcome]]) -> None:
    """Raise the error of a slice that has failed, not to wait for the others; a lost point in time is for all."""
    for future in futures:
        if future.done() and (error := future.exception()) and not isinstance(error, PointInTimeLost):
            raise error
