"""Run an extraction: begin a dataset or resume one, read its parts, and mark it as complete."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from frontierlab.catalogue import Catalogue
from frontierlab.errors import CatalogueError, DatasetError
from frontierlab.extraction.open_source import open_source
from frontierlab.extraction.options import ExtractionOptions
from frontierlab.extraction.part_runner import PartRunner
from frontierlab.extraction.request import Request, recorded_request
from frontierlab.extraction.sources import DocumentSource, require_same
from frontierlab.schema import arrow_schema
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.housekeeping import begin, require_new
from frontierlab.storage.locks import fenced, readers, this_writer, writing
from frontierlab.storage.manifest import CATALOGUE, Manifest
from frontierlab.storage.parts import remove_leftovers
from frontierlab.storage.totals import mark_complete
from frontierlab.util.files import reason
from frontierlab.util.progress import ProgressCallback, ProgressMeter, reporting
from frontierlab.util.times import format_time

__all__ = ["Share", "extract_request", "planning", "stored_catalogue"]

Share = Callable[[str, list[int]], object]
"""A function called with a dataset's name and the numbers of its missing parts, so that workers can read them."""


def extract_request(
    path: Path,
    request: Request,
    options: ExtractionOptions,
    progress: bool | ProgressCallback = True,
    share: Share | None = None,
    maker: str = "",
) -> Dataset:
    """Do the work of `frontierlab.extract`, without warnings (see `frontierlab.storage.losses.losses`).

    Parameters
    ----------
    path
        The dataset's folder.
    request, options
        The request, and the options for it.
    progress
        As for `frontierlab.extract`.
    share
        Called when the plan is made: workers can then help with `frontierlab.extraction.read_part.read_part`.
    maker
        What begins the dataset, for its manifest; an extraction that is resumed keeps its maker.
    """
    try:
        _extract(path, request, options, progress, share, maker)
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be written: {reason(error, path)}. The same extract(…) call resumes the extraction."
        ) from error
    return Dataset(path)


def _extract(
    path: Path,
    request: Request,
    options: ExtractionOptions,
    progress: bool | ProgressCallback,
    share: Share | None,
    maker: str,
) -> None:
    with writing(path):
        manifest = _interrupted(path, request)
        cancelled, search = threading.Event(), None
        if manifest is not None:
            request, search = recorded_request(manifest), manifest.search  # with the bounds fixed by the first call
        with closing(open_source(request, options, cancelled, search, planning(progress))) as source:
            if manifest is None:
                manifest, catalogue = _begin(path, source, options, progress, maker)
            else:
                catalogue = stored_catalogue(path, request)
                _resume(path, source, manifest)
            request, search = source.request, manifest.search
            runner = PartRunner(
                path, manifest, catalogue, lambda: open_source(request, options, cancelled, search), cancelled
            )
            if share is not None and request.index:  # each helper would read a file from its start
                share(path.name, runner.missing())
            with reporting(progress, "documents") as report:
                runner.run(source, report)
        try:
            mark_complete(path, manifest)
        except OSError as error:
            raise runner.interrupted(error) from error


def planning(progress: bool | ProgressCallback) -> Callable[[], object] | None:
    """Return a function to call while the source is examined and the plan is made; `progress` can stop this too."""
    if not callable(progress):
        return None
    meter = ProgressMeter("planning", None)
    return lambda: progress(meter.progress())


def _interrupted(path: Path, request: Request) -> Manifest | None:
    """Return the manifest of the interrupted extraction that this request resumes; None if the name is free."""
    if not (path / "manifest.json").exists():
        require_new(path)
        return None
    manifest = Manifest.read(path)
    if manifest.state == "complete":
        raise DatasetError(
            f"The dataset {path.name} exists already and is complete. Choose another name, or delete it: "
            f"frontierlab.datasets.delete_dataset({path.name!r}, settings)"
        )
    difference = recorded_request(manifest).differences(request)
    if difference:
        raise DatasetError(
            f"The dataset {path.name} is incomplete and belongs to another request: {difference}. Repeat that request "
            "to resume it, or choose another name."
        )
    return manifest


def stored_catalogue(path: Path, request: Request) -> Catalogue | None:
    """Read the catalogue that was stored when the extraction began; None if the request needs none."""
    if not request.complete:
        return None
    try:
        return Catalogue.read(path / CATALOGUE)
    except CatalogueError as error:
        raise DatasetError(
            f"The dataset {path.name} cannot be resumed: the catalogue that it began with is gone ({error}). Delete "
            "the dataset and extract again."
        ) from None


def _begin(
    path: Path, source: DocumentSource, options: ExtractionOptions, progress: bool | ProgressCallback, maker: str
) -> tuple[Manifest, Catalogue | None]:
    """Make the plan, and begin the dataset with a manifest that has it; return both manifest and catalogue."""
    catalogue, problems = (None, []) if options.catalogue is None else options.catalogue.current(progress)
    plan = source.plan(options.part_documents, catalogue)
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
        maker=maker,
    )
    begin(path, manifest, catalogue)
    return manifest, catalogue


def _resume(path: Path, source: DocumentSource, manifest: Manifest) -> None:
    """Check that the source is unchanged, and name this process as the writer."""
    require_same(source.describe(), manifest.source, path.name)
    manifest.writer = this_writer()
    with fenced(path, manifest):
        remove_leftovers(path, keep=readers(path))
        manifest.write(path)
