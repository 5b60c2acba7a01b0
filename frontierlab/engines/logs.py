"""Logs: what questions are put to, bound to the engine that answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, TypeAlias

from frontierlab import spark
from frontierlab.engines import duck
from frontierlab.engines.builtin import as_duckdb
from frontierlab.engines.instance import Limits
from frontierlab.engines.spark_frames import spark_frame
from frontierlab.engines.tables import Table
from frontierlab.errors import SparkError, StatementError
from frontierlab.schema import IOV_COLUMNS
from frontierlab.settings import Settings
from frontierlab.spark import sessions
from frontierlab.spark.calls import in_spark
from frontierlab.spark.summaries import noted_summary
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.periods import Period

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["DuckLogs", "Engine", "Logs", "SparkLogs", "unchanged"]

Engine = Literal["duckdb", "spark"]
"""The programs that run statements."""

Times: TypeAlias = "tuple[datetime | None, datetime | None]"
"""The time ``[since, until)`` of queries; None is no limit."""

_EVER: Times = (None, None)
_COUNT = "SELECT count(*) AS queries FROM {logs}"


class Logs(ABC):
    """The logs of datasets, or a selection of them, for filters, caching figures, reports and `frontierlab.sql`.

    `frontierlab.open_logs` makes them. Rows are read when a question is put. A row is one query that reached Frontier.
    The columns are those of `frontierlab.schema`, with the datasets' extra columns at the end. The IOV is in
    ``iov_since`` and ``iov_until``, which are stored as ``since`` and ``until``.

    Attributes
    ----------
    engine : str
        The program that answers: ``duckdb`` or ``spark``.
    period : Period or None
        The datasets; None if the logs are a Spark DataFrame of the caller.
    """

    engine: ClassVar[Engine]
    period: Period | None
    settings: Settings | None
    shape: str  # the name of the summary's shape; empty for rows
    part: bool  # whether `where` has chosen some of the rows
    times: Times  # the time to which `where` has limited the rows

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """The datasets; empty if the logs are a Spark DataFrame of the caller."""
        return () if self.period is None else self.period.datasets

    @property
    def notes(self) -> list[str]:
        """Sentences about overlaps and gaps of several datasets; see `frontierlab.datasets.Period`."""
        return [] if self.period is None else self.period.notes

    @property
    @abstractmethod
    def columns(self) -> list[str]:
        """The names of the columns in SQL, in order."""

    @abstractmethod
    def count(self) -> int:
        """Count the queries.

        Raises
        ------
        Cancelled, StatementError, DatasetError, SparkError
            As a filter raises them.
        """

    @abstractmethod
    def summary(self, name: str) -> Logs | None:
        """Return the summary (`frontierlab.storage.summaries`) of all rows; None if there is none.

        Parameters
        ----------
        name
            The name of its shape.
        """

    @abstractmethod
    def where(self, condition: str, args: Mapping[str, Any]) -> Logs:
        """Return the logs of the queries that meet a condition; they have no summary.

        Parameters
        ----------
        condition, args
            What `frontierlab.Selection.where` returns: a WHERE clause, and the values of its parameters.
        """

    @abstractmethod
    def to_spark(self, session: SparkSession | None = None) -> DataFrame:
        """Return the logs as a Spark DataFrame, without reading rows.

        Parameters
        ----------
        session
            The Spark session to use; by default the one of the logs, or else `frontierlab.spark.session`.

        Raises
        ------
        SparkError
            Spark does not start, or its Java process has ended.
        Thinned
            The rows of a dataset were removed.
        """

    def require_rows(self) -> None:
        """Raise Thinned if the rows are asked for and a dataset has none any more; a summary of them can be asked."""
        if not self.shape:
            for dataset in self.datasets:
                dataset.require_rows()

    def __repr__(self) -> str:
        name = "a Spark DataFrame" if self.period is None else self.period.name
        return f"<Logs of {'a part of ' * self.part}{name}, with {self.engine}: {len(self.columns)} columns>"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):
                raise AttributeError(name)
            raise AttributeError(
                f"Logs have no {name}. Ask frontierlab.filters or frontierlab.sql; logs.to_spark() gives a Spark "
                "DataFrame."
            )


@dataclass(frozen=True, repr=False, eq=False)
class DuckLogs(Logs):
    """Logs in Parquet files, for DuckDB.

    Parameters
    ----------
    period
        The datasets.
    table
        All rows of these datasets, or a summary of them.
    settings
        The settings of a Spark session for `to_spark`.
    limits
        The limits of DuckDB.
    shape
        The name of the summary's shape; empty for rows.
    conditions
        The clauses of `where`, with the values of their parameters.
    """

    engine: ClassVar[Engine] = "duckdb"
    period: Period
    table: Table
    settings: Settings | None
    limits: Limits
    shape: str = ""
    conditions: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    @property
    def part(self) -> bool:  # type: ignore[override]
        """Whether `where` has chosen some of the rows."""
        return bool(self.conditions)

    @property
    def times(self) -> Times:  # type: ignore[override]
        """The time to which `where` has limited the rows."""
        return reduce(_narrowed, (args for _, args in self.conditions), _EVER)

    @property
    def columns(self) -> list[str]:
        """The names of the columns in SQL, in order."""
        return [*self.table.columns]

    def count(self) -> int:
        """Count the queries."""
        tables, what = {"logs": self.selected}, "counting queries"
        with unchanged(self):
            frame = duck.run_own(tables, as_duckdb(_COUNT), description=what, limits=self.limits)
        return int(frame["queries"].iloc[0])

    def summary(self, name: str) -> DuckLogs | None:
        """Return the summary of all rows; None if there is none."""
        table = None if self.conditions else self.table.summary(name)
        return None if table is None else replace(self, table=table, shape=name)

    def where(self, condition: str, args: Mapping[str, Any]) -> DuckLogs:
        """Return the logs of the queries that meet a condition."""
        return replace(self, conditions=(*self.conditions, (condition, args))) if condition else self

    @property
    def selected(self) -> Table:
        """The rows that meet the conditions."""
        tests = ((as_duckdb(clause).strip().removeprefix("WHERE"), args) for clause, args in self.conditions)
        return reduce(lambda table, test: table.where(*test), tests, self.table)

    def to_spark(self, session: SparkSession | None = None) -> DataFrame:
        """Return the logs as a Spark DataFrame."""
        self.require_rows()
        frame = spark_frame(self.table, session or sessions.session(self.settings))
        return reduce(lambda one, condition: _where(one, *condition), self.conditions, frame)


@dataclass(frozen=True, repr=False, eq=False)
class SparkLogs(Logs):
    """Logs in a Spark DataFrame.

    Parameters
    ----------
    frame
        The Spark DataFrame.
    period
        The datasets that it holds; None for a DataFrame of the caller.
    settings
        The settings that name the data folder.
    shape
        The name of the summary's shape; empty for rows.
    part
        Whether `where` has chosen some of the rows.
    times
        The time to which `where` has limited the rows.
    """

    engine: ClassVar[Engine] = "spark"
    frame: DataFrame
    period: Period | None = None
    settings: Settings | None = None
    shape: str = ""
    part: bool = False
    times: Times = _EVER

    @property
    def columns(self) -> list[str]:
        """The names of the columns in SQL, in order."""
        names = self.frame.columns
        return [name if IOV_COLUMNS.get(name) in names else IOV_COLUMNS.get(name, name) for name in names]

    def count(self) -> int:
        """Count the queries."""
        with unchanged(self):
            frame = spark.run(self.frame, _COUNT, description="counting queries")
        return int(frame["queries"].iloc[0])

    def summary(self, name: str) -> SparkLogs | None:
        """Return the summary of all rows; None if there is none."""
        open_summary = noted_summary(self.frame)
        summary = None if open_summary is None else open_summary(name)
        return None if summary is None else replace(self, frame=summary, shape=name)

    def where(self, condition: str, args: Mapping[str, Any]) -> SparkLogs:
        """Return the logs of the queries that meet a condition."""
        if not condition:
            return self
        chosen = _where(self.frame, condition, args)
        return replace(self, frame=chosen, part=True, times=_narrowed(self.times, args))

    def to_spark(self, session: SparkSession | None = None) -> DataFrame:
        """Return the DataFrame, in the session that it has."""
        self.require_rows()
        return self.frame


def _narrowed(times: Times, args: Mapping[str, Any]) -> Times:
    """Return the time that is within both a limit and the limit in the parameters of a selection."""
    since = [time for time in (times[0], args.get("since")) if time is not None]
    until = [time for time in (times[1], args.get("until")) if time is not None]
    return max(since, default=None), min(until, default=None)


def _where(frame: DataFrame, condition: str, args: Mapping[str, Any]) -> DataFrame:
    session, statement = frame.sparkSession, f"SELECT * FROM {{logs}}{condition}"
    return in_spark(session, lambda: session.sql(statement, args=dict(args), logs=frame), "a selection of logs")


@contextmanager
def unchanged(*logs: Logs) -> Iterator[None]:
    """Raise DatasetError if a dataset was deleted, renamed or replaced since it was opened, or is during the body.

    The files of another dataset of the same name would give an answer, but not that of the opened dataset. Neither
    would the files that a thinned dataset has left, where its rows are asked for: that raises Thinned.
    """
    for one in logs:
        one.require_rows()
    periods = [one.period for one in logs if one.period is not None]

    def check() -> None:
        for period in periods:
            period.require_unchanged()

    check()
    try:
        yield
    except (StatementError, SparkError):  # perhaps because files are gone
        check()
        raise
    check()
