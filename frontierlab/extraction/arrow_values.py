"""Convert Arrow columns of any type to the values that documents have.

pandas, Spark, Impala, DuckDB and others write the same column as integers of any width, as floats (integers with
missing values), as decimals, as text or bytes, or dictionary-encoded. Here each value becomes the JSON value that a
document of the logs has. Then `frontierlab.documents` reads all documents in the same way, and reports the malformed
ones with a reason. Nothing is rounded.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.errors import InvalidRequestError

__all__ = ["LostDigits", "document_values", "is_plain", "unreadable"]

_EXACT = {64: 2**53, 32: 2**24, 16: 2**11}  # from here on a float can stand for several integers: 2^53 for 2^53 + 1
_LAST = 9_214_646_400_000  # the end of the year 2261: a document's time must be before
_PER_MS = {"s": 1_000, "ms": 1, "us": 1_000, "ns": 1_000_000}
_FLAGS: dict[Any, bool] = {1: True, 0: False}
_FLAGS |= {text: flag for flag in (True, False) for text in (str(flag), str(flag).lower(), str(flag).upper())}


class LostDigits(InvalidRequestError):
    """A column of floats has integers that are too large to be exact.

    Parameters
    ----------
    most
        The largest integer in the column.
    exact
        The limit below which all integers are exact.
    """

    def __init__(self, most: float, exact: int) -> None:
        super().__init__(most, exact)
        self.most = most
        self.exact = exact


def unreadable(type_: pa.DataType) -> bool:
    """Whether a type has no values for a log row: it is nested, a duration or an interval."""
    is_ = pa.types
    if is_.is_dictionary(type_):
        return unreadable(type_.value_type)
    if _is_list(type_):
        return unreadable(type_.value_type)
    nested = is_.is_struct(type_) or is_.is_map(type_) or is_.is_union(type_)
    return bool(nested or is_.is_duration(type_) or is_.is_interval(type_))


def is_plain(type_: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of a type need no conversion for a column of the wanted type."""
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_dictionary(wanted):
        return _is_text(type_) or pa.types.is_null(type_)
    if pa.types.is_timestamp(wanted):
        return bool(pa.types.is_timestamp(type_) and type_.tz is not None)
    return bool(type_ == wanted or pa.types.is_null(type_) or (pa.types.is_integer(type_) and wanted == pa.int64()))


def document_values(column: pa.Array, wanted: pa.DataType) -> list[Any]:
    """Return the values of a column as a document would have them.

    Parameters
    ----------
    column
        A column of any type that is not `unreadable`.
    wanted
        The type of the dataset's column.

    Returns
    -------
    list
        Values that JSON can encode; None for a missing value or NaN.

    Raises
    ------
    LostDigits
        A column of floats has integers that are too large to be exact.
    """
    if isinstance(column, pa.ExtensionArray):
        if getattr(column.type, "extension_name", "") == "arrow.uuid":
            return [None if value is None else str(value) for value in column.to_pylist()]
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    type_ = column.type
    if _is_list(type_):
        return _lists(column, wanted)
    if pa.types.is_timestamp(type_):
        return _times(column)
    if pa.types.is_floating(type_):
        values = _floats(column)
    elif pa.types.is_decimal(type_):
        values = _decimals(column)
    elif _is_text(type_) or _is_binary(type_):
        values = _texts(column)
    elif pa.types.is_temporal(type_):  # a date, or a time of day
        values = column.cast(pa.string()).to_pylist()
    else:
        values = column.to_pylist()
    if pa.types.is_boolean(wanted):
        return [_FLAGS.get(value, value) if isinstance(value, (int, str)) else value for value in values]
    return values


def _is_list(type_: pa.DataType) -> bool:
    is_ = pa.types
    views = is_.is_list_view(type_) or is_.is_large_list_view(type_)
    return bool(is_.is_list(type_) or is_.is_large_list(type_) or is_.is_fixed_size_list(type_) or views)


def _is_text(type_: pa.DataType) -> bool:
    is_ = pa.types
    return bool(is_.is_string(type_) or is_.is_large_string(type_) or is_.is_string_view(type_))


def _is_binary(type_: pa.DataType) -> bool:
    is_ = pa.types
    fixed = is_.is_fixed_size_binary(type_)
    return bool(is_.is_binary(type_) or is_.is_large_binary(type_) or is_.is_binary_view(type_) or fixed)


def _lists(column: pa.Array, wanted: pa.DataType) -> list[Any]:
    lengths = pc.list_value_length(column).to_pylist()
    values, end, found = document_values(pc.list_flatten(column), wanted), 0, []
    for length in lengths:
        found.append(None if length is None else values[end : end + length])
        end += length or 0
    return found


def _times(column: pa.Array) -> list[Any]:
    """Write times as ISO 8601 in UTC; a time without a zone is UTC, digits below a millisecond are cut."""
    unit = column.type.unit
    ticks = column.cast(pa.int64())
    last = _LAST // _PER_MS[unit] if unit == "s" else _LAST * _PER_MS[unit]
    good = pc.and_(pc.greater_equal(ticks, 0), pc.less(ticks, last))
    inside = pc.if_else(good, ticks, None)
    milliseconds = pc.multiply(inside, 1_000) if unit == "s" else pc.divide(inside, _PER_MS[unit])
    values: list[Any] = pc.strftime(milliseconds.cast(pa.timestamp("ms", "UTC")), "%Y-%m-%dT%H:%M:%SZ").to_pylist()
    for row in np.flatnonzero(pc.fill_null(pc.invert(good), False).to_numpy(zero_copy_only=False)).tolist():
        values[row] = f"{ticks[row].as_py()} {unit} after 1970"  # malformed: outside the years 1970 to 2261
    return values


def _floats(column: pa.Array) -> list[Any]:
    """Return whole numbers as integers, and other values as they are; those are malformed in a column of integers."""
    exact = _EXACT[column.type.bit_width]
    floats = column.to_numpy(zero_copy_only=False).astype(np.float64)  # NaN where null
    whole = np.isfinite(floats) & (np.floor(floats) == floats)
    most = np.abs(floats[whole]).max(initial=0)
    if most >= exact:
        raise LostDigits(float(most), exact)
    values: list[Any] = pa.array(np.where(whole, floats, 0).astype(np.int64), mask=~whole).to_pylist()
    for row in np.flatnonzero(~whole & ~np.isnan(floats)).tolist():
        values[row] = float(floats[row]) if np.isfinite(floats[row]) else str(floats[row])
    return values


def _decimals(column: pa.Array) -> list[Any]:
    try:
        values: list[Any] = column.cast(pa.int64()).to_pylist()
    except pa.ArrowInvalid:  # some are not integers, or are beyond int64
        numbers = column.to_pylist()
        values = [
            number if number is None else int(number) if number == int(number) else str(number) for number in numbers
        ]
    return values


def _texts(column: pa.Array) -> list[Any]:
    """Return text. Some writers store text as binary, and some store bytes that are not UTF-8 as text."""
    if _is_text(column.type):
        try:
            values: list[Any] = column.to_pylist()
        except UnicodeDecodeError:
            column = column.cast(pa.large_binary())
        else:
            return values
    return [None if value is None else _text(value) for value in column.to_pylist()]


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"bytes that are not UTF-8": value.hex()}  # malformed, with its bytes
