"""Extract query logs from Elasticsearch or an export file into a dataset."""

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
from frontierlab.extraction.part_runner import PartRunner
from frontierlab.extraction.request import Request, make_request
from frontierlab.extraction.sources import DocumentSource, require_same
from frontierlab.schema import arrow_schema
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset, dataset_path
from frontierlab.storage.housekeeping import begin, require_new
from frontierlab.storage.locks import fenced, readers, this_writer, writing
from frontierlab.storage.losses import warn_of_losses
from frontierlab.storage.manifest import CATALOGUE, Manifest
from frontierlab.storage.parts import remove_leftovers
from frontierlab.storage.totals import mark_complete
from frontierlab.util.files import reason
from frontierlab.util.progress import ProgressCallback, ProgressMeter, reporting
from frontierlab.util.times import format_time

__all__ = ["extract", "extract_request", "read_part"]

Share = Callable[[str, list[int]], object]
"""A function called with a dataset's name and the numbers of its missing parts, so that workers can read them."""


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
    """Extract query logs from Elasticsearch, or from an export file, and store them as a dataset.

    A row of the dataset is one query that reached a Frontier server (`frontierlab.schema` has the
    columns). Documents of databases that are not in ``db_instances`` are left out. Malformed documents
    are kept apart with the reason (`Dataset.malformed`). Ids and names are completed from the catalogue.
    In the manifest's counts ``read = kept + left_out + malformed``, always.

    Memory use does not grow with the number of documents. The period is split into parts, and each
    part is stored when it is finished. After an interruption the dataset is incomplete. The same call
    then reads the missing parts; the rows are those of an uninterrupted run, if the index did not
    change.

    Parameters
    ----------
    settings
        Settings, or the path of a configuration file; by default ``Settings()``.
    name
        Name of the dataset: letters, digits, ``.``, ``_`` and ``-``.
    since, until
        The period ``[since, until)``. A time without a zone is UTC, another zone is converted.
        Without `since` it starts at the first document. Without `until` it ends at the time of the
        first call (for a file: at the last document).
    cached
        True or False extracts only such queries; None both.
    taskid
        Extract only queries of this PanDA task.
    source
        Path of an export file: JSON documents in lines, one after another, in an array, in lines of
        elasticdump or in saved answers of searches; UTF-8, UTF-16 or UTF-32; plain or compressed (see
        `frontierlab.exports.export_file.ExportFile`). A document that repeats the ``_index`` and ``_id``
        of an earlier one is left out. By default the ``es_index`` of the settings is read.
    extra_fields
        Further fields of the documents; each becomes a nullable column of the same name. A dict also
        gives the type of each: integer, number, flag, name, time, or json, which keeps any value as its
        JSON text. By default the type follows the mapping of the index (objects are json); in a file it
        is name. A value that does not fit is null, and counted in the manifest as ``unfit``.
    complete
        False leaves ids and names as they were logged, and needs no catalogue. True uses the catalogue. If it is
        missing, or older than ``coolr_refresh_hours``, it is built from COOLR first. If that fails, an old
        catalogue is used with a warning.
    dry_run
        Only return what would be done: the body of the search, the number of documents, an estimate
        of the size. Nothing is written, and `name` is not needed.
    progress
        True shows a bar, False nothing. A function is called with a `Progress` a few times a second
        in this thread; it stops the extraction by raising an error.

    Returns
    -------
    Dataset
        A complete dataset. If ``limit_queries`` cut it (by time, earliest first, at a whole
        millisecond), the manifest and a warning say so; `frontierlab.storage.losses` has all warnings.
    DryRun
        If `dry_run` is True.

    Raises
    ------
    InvalidRequestError, ConfigurationError, CatalogueError
        An argument or setting is not valid, or the catalogue is missing and cannot be built. Nothing was done.
    DatasetError
        The name belongs to a complete dataset, to an incomplete one of another request (the message
        names the difference), or to one in use. That dataset was not changed.
    ElasticsearchError
        The server cannot be reached or refuses, or the index does not exist. Nothing was done.
    InterruptedExtraction
        The extraction stopped early. Finished parts are kept, and the same call resumes.

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
    """Do the work of `extract` for a checked request, without warnings (see `frontierlab.storage.losses.losses`).

    Parameters
    ----------
    path
        The dataset's folder.
    settings, progress
        As for `extract`.
    request
        The request.
    share
        Called when the plan is made: workers can then help with `read_part`.
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
            request, search = _request(manifest), manifest.search  # with the bounds fixed by the first call
        with closing(_source(settings, request, cancelled, search, _planning(progress))) as opened:
            if manifest is None:
                catalogue, problems = _new_catalogue(request, settings, progress)
                manifest = _planned(path, opened, catalogue, problems, settings.part_documents)
            else:
                catalogue = _catalogue_of(path, request)
                _resume(path, opened, manifest)
            found = manifest.search
            runner = PartRunner(
                path, manifest, catalogue, lambda: _source(settings, opened.request, cancelled, found), cancelled
            )
            if share is not None and request.index:  # a file would be read from its start by each
                share(path.name, runner.missing())
            with reporting(progress, "documents") as report:
                runner.run(opened, report)
        try:
            mark_complete(path, manifest)
        except OSError as error:
            raise runner.interrupted(error) from error


def read_part(name: str, number: int, settings: Settings, report: ProgressCallback) -> bool:
    """Read and store one part of an extraction that runs elsewhere.

    Parameters
    ----------
    name
        Name of the dataset.
    number
        Number of the part. Nothing is done if the part is stored already, or if another process reads it.
    settings
        Settings that name the same source as the extraction.
    report
        Called with a `Progress` a few times a second; stops the reading by raising an error.

    Returns
    -------
    bool
        Whether this call read the part.

    Raises
    ------
    DatasetError
        The extraction does not exist, or the settings name another source.
    FrontierlabError
        The part could not be read; its temporary files were removed.
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
    runner = PartRunner(
        path, manifest, catalogue, lambda: _source(settings, request, cancelled, manifest.search), cancelled
    )
    return runner.read_one(part, report)


def _earlier(path: Path, request: Request) -> Manifest | None:
    """Return the manifest of the interrupted extraction that this request resumes; None if there is none."""
    if not (path / "manifest.json").exists():
        require_new(path)
        return None
    manifest = Manifest.read(path)
    if manifest.state == "complete":
        raise DatasetError(
            f"The dataset {path.name} is there already, complete. Choose another name, or delete it: "
            f"frontierlab.datasets.delete_dataset({path.name!r}, settings)"
        )
    difference = _request(manifest).differences(request)
    if difference:
        raise DatasetError(
            f"The dataset {path.name} is incomplete, and of another request: {difference}. Ask for the same to go on "
            "with it, or choose another name."
        )
    return manifest


def _request(manifest: Manifest) -> Request:
    """Return the request in a manifest; refuse one with fields that this version does not know."""
    if unknown := ", ".join(manifest.request.keys() - Request.model_fields.keys()):
        raise DatasetError(
            f"The dataset {manifest.name} was begun by frontierlab {manifest.frontierlab} and asks for {unknown}, "
            f"which frontierlab {__version__} does not know: install the later version to go on with it."
        )
    return Request(**manifest.request)


def _new_catalogue(
    request: Request, settings: Settings, progress: bool | ProgressCallback
) -> tuple[Catalogue | None, list[str]]:
    """Return the catalogue for a new extraction, and sentences about its problems."""
    return catalogues.current(settings, progress) if request.complete else (None, [])


def _catalogue_at_hand(settings: Settings) -> tuple[Catalogue | None, list[str]]:
    """Return the catalogue in its present state, and sentences about what an extraction would do with it first."""
    path = settings.catalogue_path
    if not catalogues.needs_refresh(settings):
        return Catalogue.read(path), []
    if not path.exists():
        return None, ["There is no catalogue yet: the extraction builds it from COOLR first."]
    return Catalogue.read(path), ["The catalogue is old or not whole: the extraction refreshes it from COOLR first."]


def _catalogue_of(path: Path, request: Request) -> Catalogue | None:
    """Read the catalogue that was stored when the extraction began."""
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
    """Return a function to call while the source is examined and the plan is made; `progress` can stop this too."""
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
) -> DocumentSource:
    if not request.index:
        return FileSource(settings, request)
    index = Index(settings, cancelled, waiting)
    try:
        return ElasticSource(settings, request, index, search)
    except BaseException:
        index.close()
        raise


def _planned(
    path: Path, source: DocumentSource, catalogue: Catalogue | None, problems: list[str], most: int
) -> Manifest:
    """Make the plan, and begin the dataset with a manifest that has it."""
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


def _resume(path: Path, source: DocumentSource, manifest: Manifest) -> None:
    require_same(source.describe(), manifest.source, path.name)
    manifest.writer = this_writer()
    with fenced(path, manifest):
        remove_leftovers(path, keep=readers(path))
        manifest.write(path)
