"""Datasets from Parquet files that were made elsewhere, such as today's extraction tool's."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from frontierlab.catalogue import Catalogue
from frontierlab.documents.complete import finish
from frontierlab.documents.fast import DocumentReader
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.extraction.parquet_files import ParquetLogs, find_logs
from frontierlab.extraction.request import Request
from frontierlab.schema import arrow_schema
from frontierlab.settings import Settings
from frontierlab.storage.dataset import MANIFEST_KEY, Dataset, dataset_path
from frontierlab.storage.housekeeping import begin, discard, require_new
from frontierlab.storage.locks import this_writer, writing
from frontierlab.storage.losses import warn_of_losses
from frontierlab.storage.manifest import Manifest, PlannedPart
from frontierlab.storage.parts import SliceWriter, commit_part, temporary_folder
from frontierlab.storage.totals import complete as add_up
from frontierlab.util.files import reason
from frontierlab.util.times import format_time

__all__ = ["import_parquet", "import_rows"]

_ROWS = 50_000  # at a time


def import_parquet(
    path: str | os.PathLike[str], name: str, settings: Settings | None = None, *, complete: bool = True
) -> Dataset:
    """Make a dataset of Parquet files that were made elsewhere.

    Columns are known by their names of today (``time``, ``db``, ``nodefullpath``, …) or by the
    document's (``@timestamp``, ``sqldb``, …). Times may be timestamps of any unit (a time without a
    zone is UTC; digits below a millisecond are cut) or text; numbers and flags may be integers, floats
    or decimals that hold whole numbers, or text; text may be bytes in UTF-8; all may be
    dictionary-encoded. Rows that cannot be read are malformed and set aside, rows of other databases
    left out, and the rest completed, just as in `frontierlab.extract`.

    Memory does not grow with the rows.

    Parameters
    ----------
    path
        A file, or a folder as Spark, Hive, Impala or DuckDB write it: all its files are read, also
        those of folders in it, but for names that begin with ``_`` or ``.``. A folder ``db=CONDBR2``
        is a column of the rows below it. Files may differ in their columns and types. Nothing of it
        is changed.
    name
        Of the new dataset.
    settings
        By default ``Settings()``; ``db_instances``, the catalogue and ``loss_warning_share`` count here.
    complete
        False leaves ids and names as they are, and needs no catalogue.

    Returns
    -------
    Dataset
        Complete; ``manifest.notes`` names the columns that were not taken, and those of another type
        than the dataset's. Where it lacks something a warning says so, see `frontierlab.storage.losses`.

    Raises
    ------
    InvalidRequestError
        A file is not Parquet, is damaged, lacks ``time`` or ``db``, has a column of a type that no value
        of a log row has, or holds integers as floats that have lost digits; or the folder is empty or
        half-written; or the name is not a plain one. No dataset is left behind.
    DatasetError
        There is a dataset of that name, which is as it was; or the new one cannot be written, and
        nothing is left of it.
    """
    settings = settings or Settings()
    dataset = import_rows(Path(path).expanduser().absolute(), name, settings, complete=complete)
    warn_of_losses(dataset, settings)
    return dataset


def import_rows(source: Path, name: str, settings: Settings, *, complete: bool = True) -> Dataset:
    """Do what `import_parquet` does, without warnings; see `frontierlab.storage.losses.losses`."""
    target = dataset_path(name, settings)
    files = find_logs(source)
    exported = _exported(files)
    catalogue = Catalogue.read(settings.catalogue_path) if complete else None
    with writing(target):
        if (target / "manifest.json").exists():
            raise DatasetError(f"There is a dataset {name} already. Choose another name, or delete it first.")
        require_new(target)
        manifest = _manifest(source, files, exported, target, catalogue, settings)
        try:
            begin(target, manifest)
            _import(files, target, manifest, catalogue, settings)
            add_up(target, manifest)
        except BaseException as error:
            if (target / "manifest.json").exists():
                discard(target, manifest)
            if isinstance(error, OSError):
                raise DatasetError(
                    f"{target} cannot be written: {reason(error, target)}. Nothing is left of it; the same call then "
                    "makes it."
                ) from error
            raise
    return Dataset(target)


def _import(
    files: Sequence[ParquetLogs],
    target: Path,
    manifest: Manifest,
    catalogue: Catalogue | None,
    settings: Settings,
) -> None:
    reader, schema, folder = DocumentReader(), arrow_schema(), temporary_folder(target, 0)
    with SliceWriter(folder, 0, schema) as writer:
        for documents in _pages(files):
            page = reader.read(documents)
            done = finish(page.rows, settings.db_instances, catalogue, schema)
            writer.write(done.rows)
            writer.set_aside(page.set_aside)
            writer.count(
                read=len(documents), left_out=done.left_out, converted=page.converted, conflicts=done.conflicts
            )
    commit_part(folder, target, 0, [writer.outcome], manifest)


def _pages(files: Sequence[ParquetLogs]) -> Iterator[list[bytes]]:
    """Yield the documents of all files, those of small files together."""
    page: list[bytes] = []
    for file in files:
        for documents in file.documents(_ROWS):
            page += documents
            if len(page) >= _ROWS:
                yield page
                page = []
    if page:
        yield page


def _exported(files: Sequence[ParquetLogs]) -> Manifest | None:
    """Return the manifest of the dataset that was exported, where that is what is imported."""
    texts = {file.metadata.get(MANIFEST_KEY.encode()) for file in files}
    text = texts.pop()
    if text is None or texts:
        return None
    try:
        return Manifest.parse(text, f"The manifest in {files[0].path}")
    except DatasetError as error:
        raise InvalidRequestError(
            f"{error} To import the rows alone, write the file again without its metadata {MANIFEST_KEY}."
        ) from error


def _manifest(
    source: Path,
    files: Sequence[ParquetLogs],
    exported: Manifest | None,
    target: Path,
    catalogue: Catalogue | None,
    settings: Settings,
) -> Manifest:
    """Return the manifest to begin with; that of an exported dataset still says what was asked for and cut."""
    ours = Request(
        source=str(source),
        limit_queries=settings.limit_queries,
        db_instances=settings.db_instances,
        complete=catalogue is not None,
    )
    request = ours.model_dump()
    notes = ["Times are UTC; a time without a zone is taken as UTC."]
    if exported is not None:
        asked = ("since", "until", "cached", "taskid", "limit_queries")
        request |= {name: exported.request.get(name) for name in asked}
        notes = [*exported.notes, f"Imported from an export of the dataset {exported.name}."]
    if unknown := dict.fromkeys(name for file in files for name in file.unknown):
        notes.append(f"Columns of the file that were not taken: {', '.join(unknown)}.")
    if converted := dict.fromkeys(text for file in files for text in file.converted):
        notes.append(f"Columns of the file that were of another type: {', '.join(converted)}.")
    rows = sum(file.rows for file in files)
    return Manifest(
        id=secrets.token_hex(8),
        name=target.name,
        created=format_time(datetime.now(UTC)),
        request=request,
        source={"parquet": str(source)},
        columns=arrow_schema().names,
        plan=[PlannedPart(number=0, start=0, stop=rows, expected=rows)],
        limit=exported.limit if exported is not None else None,
        notes=notes,
        partial=exported.partial if exported is not None else [],
        writer=this_writer(),
    )
