"""A dataset's logs as a Spark DataFrame."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from frontierlab.errors import DatasetError
from frontierlab.settings import Settings
from frontierlab.spark import sessions
from frontierlab.spark.calls import in_spark
from frontierlab.spark.summaries import note_summary
from frontierlab.spark.types import spark_schema, with_iov_names
from frontierlab.storage.store import Dataset, open_dataset
from frontierlab.storage.summaries import SUMMARY_SCHEMA, summary_files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

__all__ = ["open_logs"]


def open_logs(
    dataset: Dataset | str,
    *,
    session: SparkSession | None = None,
    settings: Settings | None = None,
    allow_incomplete: bool = False,
) -> DataFrame:
    """Open a dataset's logs as a Spark DataFrame.

    A row is one query that reached Frontier. The columns are those of `frontierlab.schema`, with
    the dataset's extra columns at the end. The IOV is in ``iov_since`` and ``iov_until``, which are stored as
    ``since`` and ``until``. Rows are read when a statement first needs them. ``time`` is an instant: Spark shows it in
    the time zone of its session, UTC by default.

    Parameters
    ----------
    dataset
        A dataset, or the name of one in the data folder of `settings`.
    session
        The Spark session to use; by default `frontierlab.spark.session` of `settings`.
    settings
        By default ``Settings()``.
    allow_incomplete
        Open the existing files of an incomplete dataset. Its counts are too small.

    Raises
    ------
    DatasetError
        The dataset does not exist, it is incomplete, or two of its column names differ in case only.
    SparkError
        Spark does not start, or its Java process has ended.
    Cancelled
        A `frontierlab.spark.cancellable` block around the call was cancelled.
    """
    if isinstance(dataset, str):
        dataset = open_dataset(dataset, settings)
    if dataset.state != "complete" and not allow_incomplete:
        raise DatasetError(
            f"The dataset {dataset.name} is incomplete: figures from it would be too small. The same call of "
            "extract() goes on where it stopped; open_logs(…, allow_incomplete=True) opens what is there."
        )
    spark = session or sessions.session(settings)
    _require_different_names(dataset, spark)
    schema = spark_schema(dataset.schema)
    files = dataset.files()
    if not files:
        return in_spark(spark, lambda: with_iov_names(spark.createDataFrame([], schema)), "opening the logs")
    logs = _read(spark, schema, files)
    summaries = summary_files(dataset.path, files) if dataset.state == "complete" else []
    if summaries:
        note_summary(logs, functools.cache(lambda name: _summary(spark, summaries, name)))
    return logs


def _require_different_names(dataset: Dataset, spark: SparkSession) -> None:
    """Refuse a dataset whose column names differ in case only; early versions could write such datasets."""
    names: dict[str, str] = {}
    for name in dataset.schema.names:
        other = names.setdefault(name.casefold(), name)
        if other != name and spark.conf.get("spark.sql.caseSensitive") != "true":
            raise DatasetError(
                f"The columns {other} and {name} of the dataset {dataset.name} differ in case alone, and Spark cannot "
                f"tell them apart. Extract the logs again without the extra field {name}; or read this dataset without "
                "Spark, with its to_pandas()."
            )


def _summary(spark: SparkSession, files: Sequence[Path], name: str) -> DataFrame:
    summaries = _read(spark, spark_schema(SUMMARY_SCHEMA), files)
    # one partition, so that Spark does not shuffle
    return in_spark(spark, lambda: summaries.where(f"summary = '{name}'").coalesce(1), "opening a summary")


def _read(spark: SparkSession, schema: StructType, files: Sequence[Path]) -> DataFrame:
    def read() -> DataFrame:
        return with_iov_names(spark.read.schema(schema).parquet(*map(_unglob, files)))

    return in_spark(spark, read, "opening the logs")


def _unglob(path: Path) -> str:
    """Escape the characters of a path that Hadoop would take for a glob pattern."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", str(path))
