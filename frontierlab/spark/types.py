"""The Spark types of a dataset's columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from frontierlab.errors import DatasetError

if TYPE_CHECKING:
    from pyspark.sql.types import DataType, StructType

__all__ = ["spark_schema"]


def spark_schema(schema: pa.Schema) -> StructType:
    """Convert a dataset's Arrow schema to a Spark schema.

    Raises
    ------
    DatasetError
        A column has a type that datasets do not use.
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
