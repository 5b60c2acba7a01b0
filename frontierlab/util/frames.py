"""Results of statements as data frames that keep every value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["as_fractions", "as_frame"]


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Convert an Arrow table to a data frame.

    Integers are ``Int64``, flags ``boolean``, texts ``string`` and fractions ``Float64``; all can be null. Instants are
    UTC in whole milliseconds.
    """
    instant = pa.timestamp("ms", tz="UTC")
    schema = pa.schema(
        [
            field.with_type(instant) if pa.types.is_timestamp(field.type) and field.type.tz else field
            for field in table.schema
        ]
    )
    frame: pd.DataFrame = table.cast(schema, safe=False).to_pandas(types_mapper=_pandas_type)
    return frame


def as_fractions(values: NDArray[np.float64]) -> Any:
    """Return fractions as an array of pandas, in which NaN is null. It shares the memory of `values`."""
    return pd.arrays.FloatingArray(values, np.isnan(values))


def _pandas_type(type_: pa.DataType) -> Any:
    if pa.types.is_integer(type_):
        return pd.Int64Dtype()
    if pa.types.is_floating(type_):
        return pd.Float64Dtype()
    if pa.types.is_boolean(type_):
        return pd.BooleanDtype()
    return pd.StringDtype() if pa.types.is_string(type_) or pa.types.is_large_string(type_) else None
