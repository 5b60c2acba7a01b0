"""The rows of datasets as Spark DataFrames."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

from frontierlab.engines.tables import Rows, Table
from frontierlab.spark.calls import in_spark
from frontierlab.spark.summaries import note_summary
from frontierlab.spark.types import spark_schema, with_iov_names
from frontierlab.storage.summaries import TIMES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["spark_frame"]


def spark_frame(table: Table, session: SparkSession) -> DataFrame:
    """Return the rows of a table as a Spark DataFrame, without reading them, and note its summaries.

    Raises
    ------
    DatasetError
        A column has a type that datasets do not use.
    SparkError
        Spark's Java process has ended.
    Cancelled
        A `frontierlab.cancellable` block around the call was cancelled.
    """
    frame = in_spark(session, lambda: _union(table, session), "opening the logs")
    if table.summaries:
        note_summary(frame, functools.cache(lambda name: _summary(table, name, session)))
    return frame


def _summary(table: Table, name: str, session: SparkSession) -> DataFrame | None:
    summary = table.summary(name)
    # one partition, so that Spark does not shuffle
    return None if summary is None else spark_frame(summary, session).coalesce(1)


def _union(table: Table, session: SparkSession) -> DataFrame:
    frames = (_read(rows, session) for rows in table.groups)
    return functools.reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), frames)


def _read(rows: Rows, session: SparkSession) -> DataFrame:
    from pyspark.sql.functions import expr, lit

    schema = spark_schema(rows.schema)
    if rows.files:
        frame = session.read.schema(schema).parquet(*map(_unglob, rows.files))
    else:
        # an empty list would be read by Python workers, which take seconds to start
        frame = session.range(0, 0, 1, 1).select(*(lit(None).cast(one.dataType).alias(one.name) for one in schema))
    frame = with_iov_names(frame)
    for condition in rows.conditions:
        frame = frame.where(condition)
    return frame.withColumn(TIMES, expr("1L")) if rows.times else frame


def _unglob(path: Path) -> str:
    """Escape the characters of a path that Hadoop would take for a glob pattern."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", str(path))
