"""Documents in, completed dataset out."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, overload

from frontierlab._version import __version__
from frontierlab.catalogue import Catalogue
from frontierlab.coolr import refresh as catalogues
from frontierlab.elastic.client import Index
from frontierlab.errors import CatalogueError, DatasetError
from frontierlab.extraction.dry_run import DryRun, estimate
from frontierlab.extraction.elastic_source import ElasticSource
from frontierlab.extraction.file_source import FileSource
from frontierlab.extraction.part_runner import Reading
from frontierlab.extraction.request import Request, make_request
from frontierlab.extraction.sources import Source, require_same
from frontierlab.schema import arrow_schema
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset, dataset_path
from frontierlab.storage.housekeeping import begin, require_new
from frontierlab.storage.locks import fenced, readers, this_writer, writing
from frontierlab.storage.losses import warn_of_losses
from frontierlab.storage.manifest import CATALOGUE, Manifest
from frontierlab.storage.parts import remove_leftovers
from frontierlab.storage.totals import complete
from frontierlab.util.files import reason
from frontierlab.util.progress import ProgressCallback, ProgressMeter, reporting
from frontierlab.util.times import format_time

__all__ = ["extract", "extract_request", "read_part"]

Share = Callable[[str, list[int]], object]
"""Called with a dataset's name and the numbers of the parts to be read, once there is a plan: others may read them."""


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
        Path of an export file: JSON documents a line, one after another, in an array, in lines of
        elasticdump or in saved answers of searches; UTF-8, UTF-16 or UTF-32; plain or compressed (see
        `frontierlab.exports.export_file.ExportFile`). A document that repeats the ``_index`` and ``_id``
        of an earlier one is left out. By default the ``es_index`` of the settings.
    extra_fields
        Further fields of the documents, each a nullable column of the same name. As a dict, what
        each is read as: integer, number, flag, name, time, or json, which keeps any value as its JSON
        text; otherwise as the index maps it (objects as json), and from a file as name. A value that does
        not fit is null, and counted in the manifest as ``unfit``.
    complete
        False leaves ids and names as they were logged, and needs no catalogue. True takes the catalogue, which
        is built from COOLR first where it is missing, or older than ``coolr_refresh_hours``; where that fails, an
        old one is taken, and a warning says so.
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
        it says so, and so does a warning; see `frontierlab.storage.losses` for all that is warned of.
    DryRun
        With `dry_run`.

    Raises
    ------
    InvalidRequestError, ConfigurationError, CatalogueError
        What was given makes no sense, or the catalogue is missing and cannot be built. Nothing was done.
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
        catalogue, notes = _catalogue_at_hand(settings) if complete else (None, [])
        with closing(_source(settings, request, threading.Event(), waiting=_planning(progress))) as opened:
            return estimate(opened, opened.plan(settings.part_documents), catalogue, notes)
    dataset = extract_request(dataset_path(name, settings), settings, request, progress)
    warn_of_losses(dataset, settings)
    return dataset


def extract_request(
    path: Path,
    settings: Settings,
    request: Request,
    progress: bool | ProgressCallback = True,
    share: Share | None = None,
) -> Dataset:
    """Do what `extract` does, for a request that is checked; without warnings, see `frontierlab.storage.losses.losses`.

    Parameters
    ----------
    path
        The dataset's folder.
    settings, progress
        As for `extract`.
    request
        What is asked for.
    share
        Called when it is known what is to be read: others may then help, by `read_part`.
    """
    try:
        _extract(path, settings, request, progress, share)
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be written: {reason(error, path)}. The same extract(…) call goes on."
        ) from error
    return Dataset(path)


def _extract(
    path: Path, settings: Settings, request: Request, progress: bool | ProgressCallback, share: Share | None
) -> None:
    with writing(path):
        manifest = _earlier(path, request)
        cancelled, search = threading.Event(), None
        if manifest is not None:
            request, search = _request(manifest), manifest.search  # with the bounds that were frozen
        with closing(_source(settings, request, cancelled, search, _planning(progress))) as opened:
            if manifest is None:
                catalogue, problems = _new_catalogue(request, settings, progress)
                manifest = _planned(path, opened, catalogue, problems, settings.part_documents)
            else:
                catalogue = _catalogue_of(path, request)
                _resume(path, opened, manifest)
            found = manifest.search
            reading = Reading(
                path, manifest, catalogue, lambda: _source(settings, opened.request, cancelled, found), cancelled
            )
            if share is not None and request.index:  # a file is read from its beginning for each part that is shared
                share(path.name, reading.missing())
            with reporting(progress, "documents") as report:
                reading.run(opened, report)
        try:
            complete(path, manifest)
        except OSError as error:
            raise reading.interrupted(error) from error


def read_part(name: str, number: int, settings: Settings, report: ProgressCallback) -> bool:
    """Read one part of an extraction that goes on elsewhere, and put it in its place.

    Parameters
    ----------
    name
        Of the dataset.
    number
        Of the part. Nothing is done where it is there already, or where another reads it.
    settings
        They have to name the source that the extraction reads.
    report
        Called with a `Progress` a few times a second; ends the reading by raising.

    Returns
    -------
    bool
        Whether it was read here.

    Raises
    ------
    DatasetError
        There is no such extraction, or the settings name another source than it reads.
    FrontierlabError
        The part could not be read; nothing is left of it.
    """
    path = dataset_path(name, settings)
    manifest = Manifest.read(path)
    if manifest.state == "complete":
        return False
    request, cancelled = _request(manifest), threading.Event()
    if request.index and (request.source, request.index) != (settings.es_url, settings.es_indices):
        raise DatasetError(
            f"{name} is read from {request.source} {request.index}, and the settings here name {settings.es_url} "
            f"{settings.es_indices}: a worker needs the settings of those who submit."
        )
    catalogue = _catalogue_of(path, request)
    [part] = [part for part in manifest.plan if part.number == number]
    reading = Reading(
        path, manifest, catalogue, lambda: _source(settings, request, cancelled, manifest.search), cancelled
    )
    return reading.read_one(part, report)


def _earlier(path: Path, request: Request) -> Manifest | None:
    """Return the manifest of an interrupted extraction that the same request goes on with."""
    if not (path / "manifest.json").exists():
        require_new(path)
        return None
    manifest = Manifest.read(path)
    if manifest.state == "complete":
        raise DatasetError(
            f"The dataset {path.name} is there already, complete. Choose another name, or delete it: "
            f"frontierlab.storage.store.delete_dataset({path.name!r}, settings)"
        )
    difference = _request(manifest).differences(request)
    if difference:
        raise DatasetError(
            f"The dataset {path.name} is incomplete, and of another request: {difference}. Ask for the same to go on "
            "with it, or choose another name."
        )
    return manifest


def _request(manifest: Manifest) -> Request:
    """Return what was asked for; what this version does not know would be left out in silence, and is refused."""
    if unknown := ", ".join(manifest.request.keys() - Request.model_fields.keys()):
        raise DatasetError(
            f"The dataset {manifest.name} was begun by frontierlab {manifest.frontierlab} and asks for {unknown}, "
            f"which frontierlab {__version__} does not know: install the later version to go on with it."
        )
    return Request(**manifest.request)


def _new_catalogue(
    request: Request, settings: Settings, progress: bool | ProgressCallback
) -> tuple[Catalogue | None, list[str]]:
    """Return the catalogue that an extraction begins with, and what is wrong with it."""
    return catalogues.current(settings, progress) if request.complete else (None, [])


def _catalogue_at_hand(settings: Settings) -> tuple[Catalogue | None, list[str]]:
    """Return the catalogue as it is, and what an extraction would do about it first."""
    path = settings.catalogue_path
    if not catalogues.needs_refresh(settings):
        return Catalogue.read(path), []
    if not path.exists():
        return None, ["There is no catalogue yet: the extraction builds it from COOLR first."]
    return Catalogue.read(path), ["The catalogue is old or not whole: the extraction refreshes it from COOLR first."]


def _catalogue_of(path: Path, request: Request) -> Catalogue | None:
    """Read the catalogue that an extraction began with, and goes on with."""
    if not request.complete:
        return None
    try:
        return Catalogue.read(path / CATALOGUE)
    except CatalogueError as error:
        raise DatasetError(
            f"The dataset {path.name} cannot go on: the catalogue that it began with is gone ({error}). Delete it and "
            "begin anew."
        ) from None


def _planning(progress: bool | ProgressCallback) -> Callable[[], object] | None:
    """Return what to call while the source is examined and the plan is made: who is called can stop that too."""
    if not callable(progress):
        return None
    meter = ProgressMeter("planning", None)
    return lambda: progress(meter.progress())


def _source(
    settings: Settings,
    request: Request,
    cancelled: threading.Event,
    search: Mapping[str, Any] | None = None,
    waiting: Callable[[], object] | None = None,
) -> Source:
    if not request.index:
        return FileSource(settings, request)
    index = Index(settings, cancelled, waiting)
    try:
        return ElasticSource(settings, request, index, search)
    except BaseException:
        index.close()
        raise


def _planned(path: Path, source: Source, catalogue: Catalogue | None, problems: list[str], most: int) -> Manifest:
    """Make the plan, and with it the manifest of a dataset that begins."""
    plan = source.plan(most)
    manifest = Manifest(
        id=secrets.token_hex(8),
        name=path.name,
        created=format_time(datetime.now(UTC)),
        request=source.request.model_dump(),
        source=source.describe(),
        columns=arrow_schema(source.request.extra_columns).names,
        plan=plan.parts,
        limit=plan.limit,
        notes=[
            "Times are UTC; a time without a zone, in a request or a document, is taken as UTC.",
            *plan.notes,
            *problems,
        ],
        catalogue=problems,
        search=source.search,
        hint=plan.hint,
        partial=[*plan.partial],
        writer=this_writer(),
    )
    begin(path, manifest, catalogue)
    return manifest


def _resume(path: Path, source: Source, manifest: Manifest) -> None:
    require_same(source.describe(), manifest.source, path.name)
    manifest.writer = this_writer()
    with fenced(path, manifest):
        remove_leftovers(path, keep=readers(path))
        manifest.write(path)
