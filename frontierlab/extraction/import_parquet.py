"""Make datasets from Parquet files of other tools, such as the existing extraction tool."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from frontierlab.catalogue import Catalogue
from frontierlab.documents.dataset_rows import make_dataset_rows
from frontierlab.documents.fast import DocumentReader
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.extraction.parquet_files import ParquetLogs, find_logs
from frontierlab.extraction.request import Request
from frontierlab.schema import arrow_schema
from frontierlab.settings import Settings
from frontierlab.storage.creating import creating
from frontierlab.storage.dataset import MANIFEST_KEY, Dataset, dataset_path
from frontierlab.storage.locks import this_writer
from frontierlab.storage.losses import warn_of_losses
from frontierlab.storage.manifest import Manifest, PlannedPart
from frontierlab.storage.parts import SliceWriter, commit_part, temporary_folder
from frontierlab.util.times import format_time

__all__ = ["import_parquet", "import_rows"]

_ROWS = 50_000  # rows per page


def import_parquet(
    path: str | os.PathLike[str], name: str, settings: Settings | None = None, *, complete: bool = True
) -> Dataset:
    """Make a dataset from Parquet files of other tools.

    Columns are recognised by their names in a dataset (``time``, ``db``, ``nodefullpath``, …), in opened logs
    (``iov_since``), or in a document (``@timestamp``, ``sqldb``, …). Times may be timestamps of any unit (a time
    without a zone is UTC; digits below a millisecond are cut) or text. Numbers and flags may be integers, floats
    or decimals with whole numbers, or text. Text may be bytes in UTF-8. All may be dictionary-encoded.
    Malformed rows are kept apart with the reason, rows of other databases are left out, and ids and names are
    completed, as in `frontierlab.extract`.

    Memory use does not grow with the number of rows.

    Parameters
    ----------
    path
        A file, or a folder as Spark, Hive, Impala or DuckDB write it. All files of a folder and its
        subfolders are read, except names that begin with ``_`` or ``.``. A folder ``db=CONDBR2`` is a
        column of the rows below it. Files may differ in their columns and types. No file is changed.
    name
        Name of the new dataset.
    settings
        By default ``Settings()``; ``db_instances``, the catalogue and ``loss_warning_share`` are used.
    complete
        False leaves ids and names as they are, and needs no catalogue.

    Returns
    -------
    Dataset
        A complete dataset. ``manifest.notes`` names the columns that were ignored, and those of another
        type than the dataset's. Losses are warned of, see `frontierlab.storage.losses`.

    Raises
    ------
    InvalidRequestError
        A file is not Parquet, is damaged, lacks ``time`` or ``db``, has a column of a type that no value
        of a log row has, or has integers as floats that have lost digits; or the folder is empty or
        half-written; or the name is not valid. No dataset is left behind.
    DatasetError
        A dataset with this name exists and was not changed; or the new one cannot be written, and its
        files were removed.
    """
    settings = settings or Settings()
    dataset = import_rows(Path(path).expanduser().absolute(), name, settings, complete=complete)
    warn_of_losses(dataset, settings)
    return dataset


def import_rows(source: Path, name: str, settings: Settings, *, complete: bool = True) -> Dataset:
    """Do the work of `import_parquet`, without warnings; see `frontierlab.storage.losses.losses`."""
    target = dataset_path(name, settings.data_dir)
    files = find_logs(source)
    exported = _exported(files)
    catalogue = Catalogue.read(settings.catalogue_path) if complete else None
    request = Request(
        source=str(source),
        limit_queries=settings.limit_queries,
        db_instances=settings.db_instances,
        complete=complete,
    )
    with creating(target, partial(_manifest, request, files, exported)) as manifest:
        _import(files, target, manifest, catalogue, request.db_instances)
    return Dataset(target)


def _import(
    files: Sequence[ParquetLogs],
    target: Path,
    manifest: Manifest,
    catalogue: Catalogue | None,
    db_instances: Sequence[str],
) -> None:
    reader, schema, folder = DocumentReader(), arrow_schema(), temporary_folder(target, 0)
    with SliceWriter(folder, 0, schema) as writer:
        for documents in _pages(files):
            page = reader.read(documents)
            done = make_dataset_rows(page.rows, db_instances, catalogue, schema)
            writer.write(done.rows)
            writer.add_malformed(page.malformed)
            writer.count(
                read=len(documents), left_out=done.left_out, converted=page.converted, conflicts=done.conflicts
            )
    commit_part(folder, target, 0, [writer.outcome], manifest)


def _pages(files: Sequence[ParquetLogs]) -> Iterator[list[bytes]]:
    """Yield the documents of all files in pages; a page may join several small files."""
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
    """Return the manifest in the metadata, if all files are exports of one dataset; otherwise None."""
    texts = {file.metadata.get(MANIFEST_KEY.encode()) for file in files}
    text = texts.pop()
    if text is None or texts:
        return None
    try:
        return Manifest.parse(text, f"The manifest in {files[0].path}")
    except DatasetError as error:
        raise InvalidRequestError(
            f"{error} To import only the rows, write the file again without its metadata {MANIFEST_KEY}."
        ) from error


def _manifest(asked: Request, files: Sequence[ParquetLogs], exported: Manifest | None, target: Path) -> Manifest:
    """Return the first manifest of the new dataset; it keeps request and limit of an exported dataset."""
    request = asked.model_dump()
    notes = ["Times are UTC; a time without a zone is taken as UTC."]
    if exported is not None:
        kept = ("since", "until", "cached", "taskid", "selection", "limit_queries")
        request |= {name: exported.request[name] for name in kept if name in exported.request}
        notes = [*exported.notes, f"Imported from an export of the dataset {exported.name}."]
    if unknown := dict.fromkeys(name for file in files for name in file.unknown):
        notes.append(f"Columns of the file that were not imported: {', '.join(unknown)}.")
    if converted := dict.fromkeys(text for file in files for text in file.converted):
        notes.append(f"Columns of the file that were of another type: {', '.join(converted)}.")
    rows = sum(file.rows for file in files)
    return Manifest(
        id=secrets.token_hex(8),
        name=target.name,
        created=format_time(datetime.now(UTC)),
        request=request,
        source={"parquet": asked.source},
        columns=arrow_schema().names,
        plan=[PlannedPart(number=0, start=0, stop=rows, expected=rows)],
        limit=exported.limit if exported is not None else None,
        notes=notes,
        partial=exported.partial if exported is not None else [],
        writer=this_writer(),
    )
