"""Open the logs of datasets: the choice of the engine that answers questions about them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, TypeAlias, TypeGuard, cast, get_args

import pandas as pd

from frontierlab.engines.instance import Limits
from frontierlab.engines.logs import DuckLogs, Engine, Logs, SparkLogs
from frontierlab.engines.spark_frames import spark_frame
from frontierlab.engines.tables import Table
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.settings import Settings
from frontierlab.spark import sessions
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.periods import Period, several
from frontierlab.storage.store import Datasets, as_period

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["MOST_QUERIES", "Source", "as_logs", "beside", "engine_of", "is_source", "logs_of_datasets", "open_logs"]

Source: TypeAlias = "Logs | Datasets | DataFrame"
"""What questions can be put to; see `as_logs`."""

MOST_QUERIES = 500_000_000
"""The number of queries above which ``engine = auto`` is Spark.

On one machine, DuckDB answers sooner for every size that was measured (``benchmarks/sizes.py``, up to 195 million
queries: 1.6 to 8 times). Above this number a question takes DuckDB many seconds, and a cluster serves better."""

_ENGINES = ("auto", *get_args(Engine))


def open_logs(
    datasets: Datasets,
    *,
    engine: str | None = None,
    session: SparkSession | None = None,
    settings: Settings | None = None,
    allow_incomplete: bool = False,
) -> Logs:
    """Open the logs of one or several datasets, to put questions to them.

    ::

        logs = fl.open_logs("yesterday")
        fl.filters.queries_per_schema(logs, db="CONDBR2")
        fl.sql(logs, "SELECT count(*) AS queries FROM logs WHERE cached")

    Rows are read when a question is put. DuckDB answers in this process, without a start. Spark needs Java and some
    seconds to start; it can work on a cluster, and on more data than one machine holds. Both give the same frames.
    What answered is in ``attrs["answered"]`` of each frame.

    Parameters
    ----------
    datasets
        A dataset, the name of one in the data folder of `settings`, a list of these, or a period
        (`frontierlab.datasets.period`). An extra column is null in the rows of a dataset that lacks it.
    engine
        ``duckdb``, ``spark`` or ``auto``; by default ``engine`` of `settings`, which is ``auto`` by default. ``auto``
        is DuckDB if ``spark_master`` is local and the datasets hold `MOST_QUERIES` queries at most, and Spark
        otherwise.
    session
        The Spark session to use. If one is given, the engine is Spark.
    settings
        By default ``Settings()``.
    allow_incomplete
        Open the existing files of an incomplete dataset. Its counts are too small.

    Returns
    -------
    Logs
        The logs; ``logs.to_spark()`` is a Spark DataFrame of them.

    Raises
    ------
    InvalidRequestError
        There is no such engine, or no dataset is given.
    DatasetError
        A dataset does not exist, is incomplete or lacks files; two column names differ in case only; two datasets have
        a column of the same name with different types; or two datasets cover the same time, and it is not known whether
        they hold the same queries.
    SparkError
        The engine is Spark, and it does not start, or its Java process has ended.
    Cancelled
        A `frontierlab.cancellable` block around the call was cancelled.
    """
    settings = settings or Settings()
    period = as_period(datasets, settings)
    if not allow_incomplete:
        _require_complete(period)
    table = Table.of(*period.portions, allow_incomplete=True)
    if session is not None and engine == "duckdb":
        raise InvalidRequestError('engine="duckdb" uses no Spark session: leave session out.')
    if session is not None or engine_of(period, settings, engine) == "spark":
        return SparkLogs(spark_frame(table, session or sessions.session(settings)), period, settings)
    limits = Limits(settings.duckdb_memory_mb, settings.duckdb_threads, settings.spill_dir)
    return DuckLogs(period, table, settings, limits)


def engine_of(period: Period | Dataset, settings: Settings, engine: str | None = None) -> Engine:
    """Return the engine that `open_logs` chooses for datasets without a session.

    Raises
    ------
    InvalidRequestError
        There is no such engine.
    """
    engine = engine or settings.engine
    if engine not in _ENGINES:
        raise InvalidRequestError(f"engine={engine!r}: give one of {', '.join(_ENGINES)}.")
    if engine == "auto":
        here = settings.spark_master.startswith("local") and period.counts.kept <= MOST_QUERIES
        return "duckdb" if here else "spark"
    return "spark" if engine == "spark" else "duckdb"


def as_logs(
    source: Source,
    *,
    session: SparkSession | None = None,
    settings: Settings | None = None,
    allow_incomplete: bool = False,
) -> Logs:
    """Return the logs of anything that questions can be put to.

    Parameters
    ----------
    source
        What `open_logs` returned or accepts, or a Spark DataFrame, which is always asked with Spark.
    session, settings, allow_incomplete
        As for `open_logs`. With a session, opened logs become logs of that session.

    Raises
    ------
    InvalidRequestError
        `source` is none of these.
    DatasetError, SparkError, Cancelled
        As `open_logs` raises them.
    """
    if isinstance(source, Logs):
        if session is None:
            return source
        frame = source.to_spark(session)
        return SparkLogs(frame, source.period, source.settings, part=source.part, times=source.times)
    if _is_spark_frame(source):
        return SparkLogs(source)
    if not is_source(source):
        raise InvalidRequestError(
            f"{source!r} has no logs: give a dataset, the name of one, a list of these, a period, what open_logs "
            "returned, or a Spark DataFrame."
        )
    return open_logs(cast("Datasets", source), session=session, settings=settings, allow_incomplete=allow_incomplete)


def logs_of_datasets(
    source: Logs | Datasets,
    *,
    session: SparkSession | None = None,
    settings: Settings | None = None,
    allow_incomplete: bool = False,
) -> tuple[Logs, Period]:
    """Return the logs of whole datasets, and the datasets, for figures that say of which datasets they are.

    Parameters
    ----------
    source, session, settings, allow_incomplete
        As for `as_logs`.

    Raises
    ------
    InvalidRequestError
        `source` is a Spark DataFrame, or a selection of logs.
    DatasetError, SparkError, Cancelled
        As `open_logs` raises them.
    """
    logs = as_logs(source, session=session, settings=settings, allow_incomplete=allow_incomplete)
    if logs.period is None or logs.part:
        raise InvalidRequestError(
            f"{source!r} is not a whole dataset: give a dataset, the name of one, a list of these or what open_logs "
            "returned, and the wanted queries as selection=…."
        )
    return logs, logs.period


def beside(logs: Logs, other: Source) -> Logs:
    """Return other logs to compare with; datasets are opened with the engine, session and settings of `logs`.

    Raises
    ------
    InvalidRequestError, DatasetError, SparkError, Cancelled
        As `as_logs` raises them.
    """
    if isinstance(other, Logs) or _is_spark_frame(other):
        return as_logs(other)
    session = logs.frame.sparkSession if isinstance(logs, SparkLogs) else None
    return open_logs(cast("Datasets", other), engine=logs.engine, session=session, settings=logs.settings)


def is_source(source: object) -> TypeGuard[Source]:
    """Return whether `as_logs` accepts a value: its type fits, but a dataset can be missing or incomplete."""
    return isinstance(source, Logs | Dataset | Period | str) or _is_spark_frame(source) or _is_list(source)


def _is_spark_frame(source: object) -> TypeGuard[DataFrame]:
    return hasattr(source, "sparkSession")  # pyspark is not imported to find out


def _is_list(source: object) -> bool:
    if isinstance(source, pd.DataFrame):  # a collection of the names of its columns
        return False
    return isinstance(source, Collection) and all(isinstance(one, Dataset | str) for one in source)


def _require_complete(period: Period) -> None:
    missing = [one.name for one in period.datasets if one.state != "complete"]
    if missing:
        raise DatasetError(
            f"{several(missing)} {'is' if len(missing) == 1 else 'are'} incomplete: figures would be too small. The "
            "same call of extract() goes on where it stopped; open_logs(…, allow_incomplete=True) opens what is there."
        )
