"""The Spark types of a dataset's columns, and their names in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from frontierlab.errors import DatasetError
from frontierlab.schema import IOV_COLUMNS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType, StructType

__all__ = ["spark_schema", "with_iov_names"]


def spark_schema(schema: pa.Schema) -> StructType:
    """Convert a dataset's Arrow schema to a Spark schema.

    Raises
    ------
    DatasetError
        A column has a type that datasets do not use.
    """
    from pyspark.sql.types import StructField, StructType

    return StructType([StructField(field.name, _spark_type(field.type)) for field in schema])


def with_iov_names(logs: DataFrame) -> DataFrame:
    """Return logs whose IOV columns have their names in SQL (`IOV_COLUMNS`), ``iov_since`` and ``iov_until``.

    The result is `logs` itself if its columns have these names already.
    """
    stored = {name: new for name, new in IOV_COLUMNS.items() if name in logs.columns and new not in logs.columns}
    return logs.withColumnsRenamed(stored) if stored else logs


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
