"""The Parquet files of datasets as tables of DuckDB."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa

from frontierlab.errors import DatasetError
from frontierlab.schema import IOV_COLUMNS, arrow_schema
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.periods import unified
from frontierlab.storage.portions import Portion
from frontierlab.storage.spans import Span
from frontierlab.storage.summaries import SHAPES, SUMMARY_SCHEMA, TIMES, Shape, summary_files

__all__ = ["Rows", "Table"]

_ALL_COLUMNS = re.compile(r"(?:SELECT|DISTINCT|[,.])\s*\*", re.IGNORECASE)
_numbers = itertools.count()  # of variables: those of several tables in a statement differ
_ONE = pa.field(TIMES, pa.int64())
_SUMMARISED = pa.schema([column for column in arrow_schema() if column.name in SUMMARY_SCHEMA.names])


@dataclass(frozen=True)
class Rows:
    """The rows of one dataset, or a summary of them.

    Parameters
    ----------
    files
        The Parquet files.
    schema
        Their Arrow schema.
    spans
        The spans of time whose rows count; None is all rows.
    condition
        More SQL that chooses rows; by default all.
    times
        Whether to add the column ``times`` with the value 1, so that rows can be part of a summary.
    """

    files: tuple[Path, ...]
    schema: pa.Schema
    spans: tuple[Span, ...] | None = None
    condition: str = ""
    times: bool = False

    @property
    def columns(self) -> dict[str, pa.DataType]:
        """The names in SQL (`frontierlab.schema.IOV_COLUMNS`) and the Arrow types of the columns, in order."""
        return {_in_sql(column.name): column.type for column in (*self.schema, *([_ONE] if self.times else ()))}

    @property
    def conditions(self) -> list[str]:
        """The conditions that choose rows, in SQL of both engines."""
        return [*([_within(self.spans)] if self.spans is not None else ()), *filter(None, [self.condition])]

    def sql(self, columns: Mapping[str, pa.DataType]) -> str:
        """Return DuckDB's SQL for the rows with these columns; a column that the files lack is null."""
        stored = {_in_sql(name): _name(name) for name in self.schema.names} if self.files else {}
        stored |= {TIMES: "1::BIGINT"} if self.times else {}
        selected = ", ".join(
            f"{stored.get(name, f'CAST(NULL AS {_type(type_)})')} AS {_name(name)}" for name, type_ in columns.items()
        )
        if not self.files:
            return f"SELECT {selected} WHERE false"
        where = f" WHERE {' AND '.join(self.conditions)}" if self.conditions else ""
        return f"SELECT {selected} FROM read_parquet([{', '.join(_text(_unglob(f)) for f in self.files)}]){where}"


@dataclass(frozen=True)
class Table:
    """The rows of datasets.

    Parameters
    ----------
    groups
        The rows of each dataset. The table has the columns of all; a column that a dataset lacks is null.
    summaries
        For each summary that can be used, by name: a summary of each dataset, or its rows where only part of a bin of
        the summary counts.
    condition
        DuckDB's SQL that chooses rows; by default all rows. It reads the values of `args` by ``getvariable``.
    args
        Values of the condition, by the names of DuckDB's variables.
    """

    groups: tuple[Rows, ...]
    summaries: Mapping[str, tuple[Rows, ...]]
    condition: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, *datasets: Dataset | Portion, allow_incomplete: bool = False) -> Self:
        """Return the rows of one or several datasets.

        Parameters
        ----------
        *datasets
            The datasets, or the portions of datasets that count.
        allow_incomplete
            Read the existing files of an incomplete dataset.

        A dataset that was thinned has a summary and no rows: `frontierlab.engines.logs.unchanged` refuses questions
        that need its rows.

        Raises
        ------
        DatasetError
            A dataset is incomplete or lacks files, two of its column names differ in case only, or two datasets have
            a column of the same name with different types.
        """
        portions = [one if isinstance(one, Portion) else Portion(one) for one in datasets]
        if not allow_incomplete:
            for portion in portions:
                portion.dataset.require_complete()
        groups = [Rows(_files(one.dataset), one.dataset.schema, one.spans) for one in portions]
        unified((one.dataset.name, one.dataset.schema) for one in portions)  # refuses what is no table
        summaries = {}
        for shape in SHAPES:
            found = [_summary(portion, rows, shape) for portion, rows in zip(portions, groups, strict=True)]
            if any(found) and False not in found:
                summaries[shape.name] = tuple(rows for rows in found if rows)
        return cls(tuple(groups), summaries)

    def summary(self, name: str) -> Table | None:
        """Return the summary with this name (`frontierlab.storage.summaries`) of all rows; None if there is none."""
        rows = self.summaries.get(name)
        return None if rows is None else Table(rows, {})

    def where(self, condition: str, args: Mapping[str, Any]) -> Table:
        """Return the rows that meet a condition; they have no summary.

        Parameters
        ----------
        condition
            DuckDB's SQL, with parameters written ``$name``.
        args
            The values of its parameters. DuckDB gets them as variables, because a view has no parameters.
        """
        names = {name: f"condition_{next(_numbers)}" for name in args}
        mine = re.sub(r"\$(\w+)", lambda found: f"getvariable('{names[found[1]]}')", condition)
        both = f"({self.condition}) AND ({mine})" if self.condition else mine
        variables = {names[name]: value for name, value in args.items()}
        return Table(self.groups, {}, both, {**self.args, **variables})

    @property
    def columns(self) -> dict[str, pa.DataType]:
        """The names in SQL and the Arrow types of the columns, in order."""
        return {name: type_ for rows in self.groups for name, type_ in rows.columns.items()}

    def sql(self, statement: str = "") -> str:
        """Return DuckDB's SQL for the rows.

        Parameters
        ----------
        statement
            The statement in which the SQL is used: columns that it does not mention are left out, since to plan them
            takes a fifth of the time of a small one. One that means all columns has a ``*`` after SELECT, DISTINCT, a
            comma or a dot; other ways to mean columns without their names are not seen. By default all are there.
        """
        columns = self.columns
        if statement and not _ALL_COLUMNS.search(statement):
            words = {word.lower() for word in re.findall(r"\w+", f"{statement} {self.condition}")}
            (first, *_) = columns  # a table has a column, even to count its rows
            columns = {
                name: type_
                for name, type_ in columns.items()
                if name == first or name.lower() in words or not name.isidentifier()
            }
        text = "\nUNION ALL\n".join(rows.sql(columns) for rows in self.groups)
        return f"SELECT * FROM ({text}) WHERE {self.condition}" if self.condition else text


def _files(dataset: Dataset) -> tuple[Path, ...]:
    return () if dataset.is_thinned else tuple(dataset.files())


def _summary(portion: Portion, rows: Rows, shape: Shape) -> Rows | Literal[False] | None:
    """Return the summary of a dataset's rows; None for no rows, False if there is no summary.

    Where only part of a bin counts, these are the rows themselves: each is a row of a summary that counts one query. A
    dataset that was thinned has no summary then.
    """
    dataset = portion.dataset
    if not (dataset.counts.kept if dataset.is_thinned else rows.files) and dataset.state == "complete":
        return None
    files = summary_files(dataset.path, rows.files) if dataset.state == "complete" else []
    if not files:
        return False
    if portion.has_whole_bins(shape.bin_ms):
        return Rows(tuple(files), SUMMARY_SCHEMA, rows.spans, f"summary = {_text(shape.name)}")
    if dataset.is_thinned:
        return False
    return replace(rows, schema=_SUMMARISED, times=True)


def _within(spans: Sequence[Span]) -> str:
    """Return the SQL condition that a row's time is in one of the spans."""
    tests = [f"time >= {_moment(span.start)} AND time < {_moment(span.stop)}" for span in spans]
    return f"({' OR '.join(tests)})" if tests else "false"


def _moment(milliseconds: int) -> str:
    return f"timestamp_millis({milliseconds})"


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
