"""Datasets from Parquet files that were made elsewhere, such as today's extraction tool's."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from frontierlab.catalogue import Catalogue
from frontierlab.dataset import MANIFEST_KEY, Dataset, dataset_path
from frontierlab.documents import DocumentReader
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.housekeeping import begin, discard, require_new
from frontierlab.locks import fenced, this_writer, writing
from frontierlab.manifest import Manifest, Outcome, PlannedPart
from frontierlab.parts import SliceWriter, commit_part, temporary_folder
from frontierlab.request import Request
from frontierlab.rows import finish
from frontierlab.schema import COLUMNS, arrow_schema
from frontierlab.settings import Settings
from frontierlab.times import format_time

__all__ = ["import_parquet"]

_ROWS = 50_000
_EXACT = {64: 2**53, 32: 2**24, 16: 2**11}  # up to here each whole number has a float of its own


def import_parquet(
    path: str | os.PathLike[str], name: str, settings: Settings | None = None, *, complete: bool = True
) -> Dataset:
    """Make a dataset of a Parquet file that was made elsewhere.

    Columns are known by their names of today (``time``, ``db``, ``nodefullpath``, …) or by the
    document's (``@timestamp``, ``sqldb``, …). Times may be text (without a zone: UTC) or timestamps,
    numbers may be text or floats that hold whole numbers. Rows that cannot be read are set aside, rows
    of other databases left out, and the rest completed, just as in `frontierlab.extract`.

    Parameters
    ----------
    path
        The file; it is not changed.
    name
        Of the new dataset.
    settings
        By default ``Settings()``; ``db_instances`` and the catalogue count here.
    complete
        False leaves ids and names as they are, and needs no catalogue.

    Returns
    -------
    Dataset
        Complete; ``manifest.notes`` names the columns of the file that were not taken.

    Raises
    ------
    InvalidRequestError
        The file is not Parquet, lacks ``time`` or ``db``, or holds integers as floats that have lost
        digits; or the name is not a plain one. No dataset is left behind.
    DatasetError
        There is a dataset of that name.
    """
    settings = settings or Settings()
    file = Path(path).expanduser().absolute()
    target = dataset_path(name, settings)
    fields, unknown, exported = _columns(file)
    catalogue = Catalogue.read(settings.catalogue_path) if complete else None
    with writing(target):
        if (target / "manifest.json").exists():
            raise DatasetError(f"There is a dataset {name} already. Choose another name, or delete it first.")
        require_new(target)
        parquet = pq.ParquetFile(file)
        manifest = _manifest(file, unknown, exported, target, catalogue, settings)
        rows = parquet.metadata.num_rows
        manifest.plan = [PlannedPart(number=0, start=0, stop=rows, expected=rows)]
        begin(target, manifest)
        try:
            _import(parquet, file, fields, target, manifest, catalogue, settings)
        except BaseException:
            discard(target, manifest)
            raise
    return Dataset(target)


def _columns(file: Path) -> tuple[dict[str, str], list[str], Manifest | None]:
    """Return the document's field for each column that is known, the other columns, and the manifest in the file."""
    try:
        schema = pq.read_schema(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise InvalidRequestError(f"{file} is not a Parquet file that can be read: {error}") from None
    names, text = schema.names, (schema.metadata or {}).get(MANIFEST_KEY.encode())
    known = {column.name: column.field for column in COLUMNS if column.field is not None}
    known |= {field: field for field in known.values()}
    fields = {name: known[name] for name in names if name in known}
    twice = [field for field, count in Counter(fields.values()).items() if count > 1]
    lacking = [name for name in ("time", "db") if known[name] not in fields.values()]
    if lacking or twice:
        problem = f"lacks {' and '.join(lacking)}" if lacking else f"has {', '.join(twice)} twice"
        raise InvalidRequestError(
            f"{file} does not hold query logs: it {problem}. Its columns: {', '.join(names)}. "
            f"Known ones: {', '.join(column.name for column in COLUMNS)}."
        )
    exported = Manifest.model_validate_json(text) if text else None
    return fields, [name for name in names if name not in known and name != "nodetime"], exported


def _import(
    parquet: pq.ParquetFile,
    file: Path,
    fields: dict[str, str],
    target: Path,
    manifest: Manifest,
    catalogue: Catalogue | None,
    settings: Settings,
) -> None:
    reader, schema, folder = DocumentReader(), arrow_schema(), temporary_folder(target, 0)
    with SliceWriter(folder, 0, schema) as writer:
        for batch in parquet.iter_batches(_ROWS, columns=list(fields)):
            page = reader.read(_documents(batch, fields, file))
            done = finish(page.rows, settings.db_instances, catalogue, schema)
            writer.write(done.rows)
            writer.set_aside(page.set_aside)
            writer.count(
                read=batch.num_rows, left_out=done.left_out, converted=page.converted, conflicts=done.conflicts
            )
    outcome = commit_part(folder, target, 0, [writer.outcome], manifest)
    for name in Outcome.model_fields:
        setattr(manifest, name, getattr(outcome, name))
    manifest.state, manifest.finished = "complete", format_time(datetime.now(UTC))
    with fenced(target, manifest):
        manifest.write(target)


def _manifest(
    file: Path,
    unknown: list[str],
    exported: Manifest | None,
    target: Path,
    catalogue: Catalogue | None,
    settings: Settings,
) -> Manifest:
    """Return the manifest to begin with; that of an exported dataset still says what was asked for and cut."""
    ours = Request(
        source=str(file),
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
    if unknown:
        notes.append(f"Columns of the file that were not taken: {', '.join(unknown)}.")
    return Manifest(
        id=secrets.token_hex(8),
        name=target.name,
        created=format_time(datetime.now(UTC)),
        request=request,
        source={"parquet": str(file)},
        columns=arrow_schema().names,
        limit=exported.limit if exported is not None else None,
        notes=notes,
        writer=this_writer(),
    )


def _documents(batch: pa.RecordBatch, fields: dict[str, str], file: Path) -> list[bytes]:
    """Write rows as the documents they once were, so that all documents are read in one way."""
    columns = {fields[name]: _readable(column, name, file) for name, column in zip(fields, batch.columns, strict=True)}
    return [msgspec.json.encode(row) for row in pa.table(columns).to_pylist()]


def _readable(column: pa.Array, name: str, file: Path) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        naive = column.type.tz is None
        column = pc.assume_timezone(column, "UTC") if naive else column
        return pc.strftime(column.cast(pa.timestamp("ms", "UTC"), safe=False), "%Y-%m-%dT%H:%M:%SZ")
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return column.cast(pa.string())  # text of writers that do not say that it is text
    if pa.types.is_floating(column.type):
        # data frames turn a column of integers into floats when one is missing
        column = pc.if_else(pc.is_nan(column), None, column)
        most, exact = pc.max(pc.abs(column)).as_py(), _EXACT[column.type.bit_width]
        if most is not None and most > exact:
            raise InvalidRequestError(
                f"{file}: column {name} holds integers as floats, up to {most:.6g}: beyond {exact:,} their last digits "
                "are lost. Export the logs again with that column as integers."
            )
        if pc.all(pc.equal(column, pc.floor(column))).as_py():
            return column.cast(pa.int64())
    return column
