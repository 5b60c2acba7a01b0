"""The Parquet files of datasets as tables of DuckDB."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa

from frontierlab.errors import DatasetError
from frontierlab.schema import IOV_COLUMNS
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.summaries import SUMMARY_SCHEMA, summary_files

__all__ = ["Table"]


@dataclass(frozen=True)
class Table:
    """Rows in Parquet files.

    Parameters
    ----------
    files
        The files, in groups that have the same columns.
    schemas
        The Arrow schema of each group. The table has the columns of all groups; a column that a group lacks is null.
    summaries
        The files with summaries of the same rows; empty if there are none.
    condition
        SQL that chooses rows; by default all rows.
    """

    files: tuple[tuple[Path, ...], ...]
    schemas: tuple[pa.Schema, ...]
    summaries: tuple[Path, ...] = ()
    condition: str = ""

    @classmethod
    def of(cls, *datasets: Dataset, allow_incomplete: bool = False) -> Self:
        """Return the rows of one or several datasets.

        Parameters
        ----------
        *datasets
            The datasets.
        allow_incomplete
            Read the existing files of an incomplete dataset.

        Raises
        ------
        DatasetError
            A dataset is incomplete or lacks files, two of its column names differ in case only, or two datasets have
            a column of the same name with different types.
        """
        files, summaries, all_summarised = [], [], True
        for dataset in datasets:
            if not allow_incomplete:
                dataset.require_complete()
            rows = dataset.files()
            found = summary_files(dataset.path, rows) if dataset.state == "complete" else []
            all_summarised &= bool(found) or (not rows and dataset.state == "complete")
            files.append(tuple(rows))
            summaries += found
        schemas = tuple(dataset.schema for dataset in datasets)
        _require_one_type([dataset.name for dataset in datasets], schemas)
        return cls(tuple(files), schemas, tuple(summaries) if all_summarised else ())

    def summary(self, name: str) -> Table | None:
        """Return the summary with this name (`frontierlab.storage.summaries`) of all rows; None if there is none."""
        if not self.summaries:
            return None
        return Table((self.summaries,), (SUMMARY_SCHEMA,), condition=f"summary = {_text(name)}")

    @property
    def columns(self) -> dict[str, pa.DataType]:
        """The names in SQL (`frontierlab.schema.IOV_COLUMNS`) and the Arrow types of the columns, in order."""
        return {_in_sql(field.name): field.type for schema in self.schemas for field in schema}

    def sql(self) -> str:
        """Return DuckDB's SQL for the rows."""
        text = "\nUNION ALL\n".join(map(self._group, self.files, self.schemas))
        return f"SELECT * FROM ({text}) WHERE {self.condition}" if self.condition else text

    def _group(self, files: Sequence[Path], schema: pa.Schema) -> str:
        stored = {_in_sql(name): _name(name) for name in schema.names} if files else {}
        columns = ", ".join(
            f"{stored.get(name, f'CAST(NULL AS {_type(type_)})')} AS {_name(name)}"
            for name, type_ in self.columns.items()
        )
        if not files:
            return f"SELECT {columns} WHERE false"
        return f"SELECT {columns} FROM read_parquet([{', '.join(_text(_unglob(file)) for file in files)}])"


def _require_one_type(names: Sequence[str], schemas: Sequence[pa.Schema]) -> None:
    """Refuse columns that DuckDB would confuse: it does not tell the case of names apart."""
    known: dict[str, tuple[pa.Field, str]] = {}
    for dataset, schema in zip(names, schemas, strict=True):
        for field in schema:
            other, where = known.setdefault(field.name.casefold(), (field, dataset))
            if other.name != field.name:
                raise DatasetError(
                    f"The columns {other.name} (of {where}) and {field.name} (of {dataset}) differ in case alone, and "
                    "SQL cannot tell them apart. Extract one of them again without this extra field, or read the "
                    "dataset with its to_pandas()."
                )
            if other.type != field.type:
                raise DatasetError(
                    f"The column {field.name} is {other.type} in {where} and {field.type} in {dataset}. Extract one of "
                    "them again with the other's type of this extra field."
                )


def _in_sql(name: str) -> str:
    return IOV_COLUMNS.get(name, name)


def _type(type_: pa.DataType) -> str:
    if pa.types.is_dictionary(type_):
        return _type(type_.value_type)
    if pa.types.is_timestamp(type_):
        return "TIMESTAMPTZ" if type_.tz else "TIMESTAMP"
    known = {
        pa.bool_(): "BOOLEAN",
        pa.int32(): "INTEGER",
        pa.int64(): "BIGINT",
        pa.float64(): "DOUBLE",
        pa.string(): "VARCHAR",
        pa.date32(): "DATE",
    }
    if type_ not in known:
        raise DatasetError(f"A column of type {type_} cannot be read with DuckDB. Known: {', '.join(map(str, known))}.")
    return known[type_]


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _unglob(path: Path) -> str:
    """Escape the characters of a path that DuckDB would take for a pattern."""
    return re.sub(r"([\[*?])", r"[\1]", str(path))
