"""Read Parquet files of other tools: one file, or a folder as Spark, Hive, Impala and DuckDB write it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from frontierlab.errors import InvalidRequestError
from frontierlab.extraction.arrow_values import LostDigits, document_values, is_plain, unreadable
from frontierlab.schema import COLUMNS, DOCUMENT_FIELDS, IOV_COLUMNS

__all__ = ["ParquetLogs", "find_logs"]

_NULL = "__HIVE_DEFAULT_PARTITION__"  # the name of a folder whose rows have a null
_KNOWN = {column.name: column.field for column in COLUMNS if column.field is not None}
_KNOWN |= {field: field for field in DOCUMENT_FIELDS}
_KNOWN |= {opened: _KNOWN[stored] for stored, opened in IOV_COLUMNS.items()}  # of logs that Spark had opened
_WRITE_AS = {"timestamp[ms, tz=UTC]": "a timestamp", "int64": "an integer", "bool": "a boolean"}


@dataclass(frozen=True)
class ParquetLogs:
    """One Parquet file of query logs.

    Parameters
    ----------
    path
        The file.
    rows
        The number of rows.
    fields
        Known columns: the column's name → the field of the document.
    constants
        Values from the names of folders, such as ``db=CONDBR2``, by the field of the document.
    unknown
        The other columns.
    converted
        The known columns of another type than the dataset's: ``name (type)``.
    metadata
        The metadata of the file's schema.
    """

    path: Path
    rows: int
    fields: dict[str, str]
    constants: dict[str, str | None]
    unknown: list[str]
    converted: list[str]
    metadata: dict[bytes, bytes]

    def documents(self, most: int) -> Iterator[list[bytes]]:
        """Yield the rows as documents, at most `most` at a time.

        Raises
        ------
        InvalidRequestError
            The file is damaged, or has integers as floats that have lost digits.
        """
        batches = _opened(self.path).iter_batches(most, columns=list(self.fields))
        while (batch := self._next(batches)) is not None:
            columns = {field: self._values(batch, name) for name, field in self.fields.items()}
            columns |= {field: [value] * batch.num_rows for field, value in self.constants.items()}
            yield [
                msgspec.json.encode(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)
            ]

    def _next(self, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
        try:
            return next(batches, None)
        except (OSError, pa.ArrowException) as error:
            raise InvalidRequestError(
                f"{self.path} is damaged, or has data that cannot be read: {error}. Write the file again. No dataset "
                "was made."
            ) from error

    def _values(self, batch: pa.RecordBatch, name: str) -> list[Any]:
        column, wanted = batch.column(name), DOCUMENT_FIELDS[self.fields[name]].type
        try:
            return document_values(column, wanted)
        except LostDigits as error:
            raise InvalidRequestError(
                f"{self.path}: column {name} holds integers as floats, up to {error.most:.6g}. From {error.exact:,} on "
                "floats lose the last digits. Export the logs again with that column as integers."
            ) from None
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            raise InvalidRequestError(
                f"{self.path}: column {name} of type {column.type} cannot be read: {error}. Write that column as "
                f"{_write_as(wanted)}."
            ) from error


def find_logs(path: Path) -> list[ParquetLogs]:
    """Return the Parquet files of query logs at a path: the file, or all files in a folder and its subfolders.

    Names that begin with ``_`` or ``.`` are not data. A folder named ``column=value`` is a column of the rows below it.

    Raises
    ------
    InvalidRequestError
        There is no Parquet file, or one cannot be read, does not hold query logs, or is still being written.
    """
    if not path.exists():
        raise InvalidRequestError(f"{path} does not exist. Give a Parquet file, or a folder of them.")
    if not path.is_file() and not path.is_dir():  # opening a pipe would block for ever
        raise InvalidRequestError(f"{path} is neither a file nor a folder. Give a Parquet file, or a folder of them.")
    if not path.is_dir():
        return [_logs(path, {})]
    if (path / "manifest.json").exists():
        raise InvalidRequestError(
            f"{path} is a dataset of frontierlab, which needs no import. Copy it into the folder datasets of data_dir, "
            "or import a file that its method export wrote."
        )
    if (path / "_temporary").exists():
        raise InvalidRequestError(
            f"{path} is incomplete: the folder _temporary in it shows that a job is writing it, or was stopped. Wait "
            "for the end of that job, or run it again."
        )
    files = [file for file in sorted(path.rglob("*")) if file.is_file() and _is_data(file.relative_to(path))]
    if not files:
        raise InvalidRequestError(f"The folder {path} has no Parquet file. Give another folder, or one file.")
    return [_logs(file, _constants(file.relative_to(path))) for file in files]


def _is_data(path: Path) -> bool:
    # the name of a column may begin with _, and so the name of its folder
    hidden = any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in path.parts)
    return not hidden and path.suffix != ".crc"


def _constants(path: Path) -> dict[str, str | None]:
    """Return the values in the names of a file's folders, by column."""
    pairs = [unquote(part).partition("=") for part in path.parts[:-1] if "=" in part]
    return {name: None if value == _NULL else value for name, _, value in pairs}


def _logs(file: Path, constants: dict[str, str | None]) -> ParquetLogs:
    parquet = _opened(file)
    schema = parquet.schema_arrow
    # a column of the file has priority over a folder's name: it has a type
    constants = {name: value for name, value in constants.items() if name not in schema.names}
    names = [*schema.names, *constants]
    counted = Counter(_KNOWN[name] for name in names if name in _KNOWN)
    twice = [field for field, count in counted.items() if count > 1]
    lacking = [name for name in ("time", "db") if _KNOWN[name] not in counted]
    if lacking or twice:
        problem = f"lacks {' and '.join(lacking)}" if lacking else f"has {', '.join(twice)} twice"
        raise InvalidRequestError(
            f"{file} does not hold query logs: it {problem}. Its columns: {', '.join(names)}. "
            f"Known ones: {', '.join(column.name for column in COLUMNS)}."
        )
    fields = {name: _KNOWN[name] for name in schema.names if name in _KNOWN}
    _refuse_types(file, parquet, fields)
    types = {name: (schema.field(name).type, DOCUMENT_FIELDS[field].type) for name, field in fields.items()}
    return ParquetLogs(
        path=file,
        rows=parquet.metadata.num_rows,
        fields=fields,
        constants={_KNOWN[name]: value for name, value in constants.items() if name in _KNOWN},
        unknown=[name for name in names if name not in _KNOWN and name != "nodetime"],
        converted=[f"{name} ({type_})" for name, (type_, wanted) in types.items() if not is_plain(type_, wanted)],
        metadata=schema.metadata or {},
    )


def _refuse_types(file: Path, parquet: pq.ParquetFile, fields: dict[str, str]) -> None:
    """Refuse columns whose type has no values for a log row."""
    stored = [parquet.schema.column(place) for place in range(len(parquet.schema))]
    intervals = {column.path for column in stored if column.converted_type == "INTERVAL"}  # Arrow reads them as bytes
    for name, field in fields.items():
        type_ = parquet.schema_arrow.field(name).type
        if unreadable(type_) or name in intervals:
            wanted = DOCUMENT_FIELDS[field].type
            raise InvalidRequestError(
                f"{file}: column {name} is of type {'interval' if name in intervals else type_}. Write it as "
                f"{_write_as(wanted)}, or leave it out."
            )


def _opened(file: Path) -> pq.ParquetFile:
    try:
        # as nanoseconds, times of Spark and Impala beyond the year 2262 would silently overflow
        return pq.ParquetFile(file, coerce_int96_timestamp_unit="ms")
    except (OSError, pa.ArrowException) as error:
        raise InvalidRequestError(f"{file} cannot be read as a Parquet file: {error}. Give another file.") from None


def _write_as(wanted: pa.DataType) -> str:
    return _WRITE_AS.get(str(wanted), "text")
