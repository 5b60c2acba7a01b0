"""The results of frontierlab's own statements as data frames.

They are made of DuckDB's arrays. Arrow would need a relation, for which DuckDB plans a statement twice: a small one
takes half of its time to be planned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd

__all__ = ["fetched"]


def fetched(one: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return the result of the statement that a connection has executed, with the types of `frontierlab.util.frames`.

    Raises
    ------
    ValueError
        A column has a type that no own statement has so far, or two have one name.
    """
    description = one.description or []
    types = {name: str(type_) for name, type_, *_ in description}
    unknown = [name for name, type_ in types.items() if type_ not in _ARRAYS]
    if unknown or len(types) < len(description):
        raise ValueError(f"A column of an own statement cannot be read: {', '.join(unknown or types)} of {types}.")
    columns = zip(types.items(), one.fetchnumpy().values(), strict=True)
    return pd.DataFrame({name: _ARRAYS[type_](*_parted(values)) for (name, type_), values in columns}, copy=False)


def _parted(values: Any) -> tuple[Any, Any]:
    """Return the values of a column, and where they are null."""
    if isinstance(values, np.ma.MaskedArray):
        return values.data, np.ma.getmaskarray(values)
    return values, np.zeros(len(values), dtype=bool)


def _whole(values: Any, null: Any) -> Any:
    return pd.arrays.IntegerArray(values.astype(np.int64, copy=False), null)


def _texts(values: Any, null: Any) -> Any:
    values[null] = pd.NA
    return pd.arrays.StringArray(values)


def _times(values: Any, null: Any) -> Any:
    values[null] = np.datetime64("NaT")
    return pd.DatetimeIndex(values.astype("datetime64[ms]")).tz_localize("UTC")


def _lists(values: Any, null: Any) -> Any:
    """Return lists of fractions as arrays, in which null is NaN."""
    of_rows = np.full(len(values), None, dtype=object)
    for row in np.flatnonzero(~null):
        of_rows[row] = np.ma.filled(values[row], np.nan)
    return of_rows


_ARRAYS: dict[str, Callable[[Any, Any], Any]] = {
    "BIGINT": _whole,
    "INTEGER": _whole,
    "DOUBLE": pd.arrays.FloatingArray,
    "BOOLEAN": pd.arrays.BooleanArray,
    "VARCHAR": _texts,
    "TIMESTAMP WITH TIME ZONE": _times,
    "DOUBLE[]": _lists,
}
