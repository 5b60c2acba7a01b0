"""A dataset's logs as a Spark DataFrame."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from frontierlab import sessions
from frontierlab.datasets import Dataset, open_dataset
from frontierlab.errors import DatasetError
from frontierlab.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType, StructType

__all__ = ["open_logs", "spark_schema"]


def open_logs(
    dataset: Dataset | str,
    *,
    session: SparkSession | None = None,
    settings: Settings | None = None,
    allow_incomplete: bool = False,
) -> DataFrame:
    """Open a dataset's logs as a Spark DataFrame.

    A row is one query that reached Frontier; the columns are those of `frontierlab.schema`, with
    the dataset's extra columns at the end. Nothing is read before the first question. ``time`` is
    an instant: Spark shows it in the zone of its session, UTC here.

    Parameters
    ----------
    dataset
        A dataset, or the name of one in the data folder of `settings`.
    session
        The Spark session to use; by default `frontierlab.spark.session` of `settings`.
    settings
        By default ``Settings()``.
    allow_incomplete
        Open what is there of an incomplete dataset; figures from it are then too small.

    Raises
    ------
    DatasetError
        There is no such dataset, or it is incomplete.
    SparkError
        Spark does not start here.
    """
    if isinstance(dataset, str):
        dataset = open_dataset(dataset, settings)
    if dataset.state != "complete" and not allow_incomplete:
        raise DatasetError(
            f"The dataset {dataset.name} is incomplete: figures from it would be too small. The same call of "
            "extract() goes on where it stopped; open_logs(…, allow_incomplete=True) opens what is there."
        )
    spark = session or sessions.session(settings)
    schema = spark_schema(dataset.schema)
    files = [_unglob(path) for path in dataset.files()]
    if not files:
        return spark.createDataFrame([], schema)
    return spark.read.schema(schema).parquet(*files)


def _unglob(path: Path) -> str:
    """Write a path so that Hadoop does not read a pattern in it."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", str(path))


def spark_schema(schema: pa.Schema) -> StructType:
    """Return a dataset's schema as Spark's.

    Raises
    ------
    DatasetError
        A column has a type that datasets do not have.
    """
    from pyspark.sql.types import StructField, StructType

    return StructType([StructField(field.name, _spark_type(field.type)) for field in schema])


def _spark_type(type_: pa.DataType) -> DataType:
    from pyspark.sql import types

    if pa.types.is_dictionary(type_):
        return _spark_type(type_.value_type)
    if pa.types.is_list(type_):
        return types.ArrayType(_spark_type(type_.value_type))
    if pa.types.is_timestamp(type_):
        return types.TimestampType() if type_.tz else types.TimestampNTZType()
    known = {
        pa.bool_(): types.BooleanType(),
        pa.int32(): types.IntegerType(),
        pa.int64(): types.LongType(),
        pa.float64(): types.DoubleType(),
        pa.string(): types.StringType(),
        pa.date32(): types.DateType(),
    }
    if type_ not in known:
        raise DatasetError(f"A column of type {type_} cannot be read with Spark. Known: {', '.join(map(str, known))}.")
    return known[type_]
