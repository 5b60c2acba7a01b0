"""The lenient reader: reads the documents that the fast reader refuses, value by value.

A value is converted if its meaning is clear; otherwise the whole document is malformed, and is
kept with the reason. An extra field never costs its document: a value that does not fit its column is null, and
counted. The rules are in the table of `convert`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pyarrow as pa

from frontierlab.errors import FrontierlabError
from frontierlab.exports.json_text import MalformedText
from frontierlab.schema import DOCUMENT_FIELDS, Column
from frontierlab.util.times import to_milliseconds

__all__ = ["Converter", "MalformedDocument", "convert", "convert_text", "converter_of"]

Converter = Callable[[Any], tuple[Any, bool]]
"""A function: value → (value of the column, whether the given value was already of the column's type)."""

_DAY = len("2026-10-01")  # the longest of the forms 2026-10-01, 20261001, 2026-W40-4
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MISSING = {"", "-", "nan", "null", "none", "nat", "<na>"}
_FLAGS = {"true": True, "false": False, "1": True, "0": False}
_EPOCH_MS = re.compile(r"\d{12,14}")


class MalformedDocument(FrontierlabError):
    """A document is malformed; the message is the reason, such as ``sqlsin: not an integer``."""


def convert(raw: bytes, converters: dict[str, Converter]) -> tuple[dict[str, Any], list[str], list[str]]:
    """Read one document, value by value.

    ========== ==========================================================================
    column     accepted values
    ========== ==========================================================================
    integer    an integer within int64, also as a float or text (``12.0``, ``" 12"``);
               beyond 2^53 only with all its digits (not ``1.79e18``);
               a measured time with a fraction is rounded, halves up
    number     any finite number, also as text
    flag       true, false, 1, 0, 1.0, 0.0; also as text in any case (``"True"``, ``"0"``)
    name       text; an integer becomes its decimal text
    time       ISO 8601, UTC if it has no zone, digits below a millisecond are cut; 12 to
               14 digits, as a number or text, are milliseconds since the epoch; in an
               extra field a date alone is its midnight UTC
    json       any value, as its JSON text
    not json   an array of one value is that value; an empty array and NaN are missing
    not a name ``""``, ``"-"``, ``"NaN"``, ``"null"``, ``"None"``, ``"NaT"`` and ``"<NA>"``, in
               any case, are missing, since programs write them for a missing value
    ========== ==========================================================================

    Parameters
    ----------
    raw
        The document, or a line of elasticdump with the document as ``_source``.
    converters
        The converter of each wanted field (`converter_of` its column).

    Returns
    -------
    row
        The value of each field, None if missing; a time is in milliseconds since the epoch.
    converted
        The fields whose value was of another type than the column.
    unfit
        The extra fields whose value does not fit the column; they are None in the row.

    Raises
    ------
    MalformedDocument
        The document is malformed. The message names the first field of a log row, in the order of `converters`,
        that cannot be converted, and why.
    """
    if isinstance(raw, MalformedText):
        raise MalformedDocument(raw.reason)
    try:
        document = _parsed(bytes(raw))
    except (ValueError, RecursionError):
        raise MalformedDocument("the line: not JSON") from None
    if isinstance(document, dict) and "@timestamp" not in document and isinstance(document.get("_source"), dict):
        document = document["_source"]
    if not isinstance(document, dict):
        raise MalformedDocument("the line: not a document")
    row: dict[str, Any] = {}
    converted, unfit = list[str](), list[str]()
    for field, converter in converters.items():
        try:
            row[field], plain = _alone(document.get(field), converter)
            if row[field] is None and field == "@timestamp":
                raise MalformedDocument("missing")
        except MalformedDocument as reason:
            if field in DOCUMENT_FIELDS:
                raise MalformedDocument(f"{field}: {reason}") from None
            row[field], plain = None, True
            unfit.append(field)
        if not plain:
            converted.append(field)
    return row, converted, unfit


def convert_text(text: str, converter: Converter) -> tuple[Any, bool]:
    """Read the JSON text of one value; return the column's value, and whether the text was of the column's type.

    Raises
    ------
    MalformedDocument
        The value does not fit the column; the message says why.
    """
    try:
        return _alone(_parsed(text), converter)
    except (ValueError, RecursionError):
        raise MalformedDocument("not JSON") from None


def _parsed(text: str | bytes) -> Any:
    return json.loads(text, parse_float=_fraction, parse_constant=Decimal, object_pairs_hook=_first)


def _fraction(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:  # an exponent of twenty digits
        return Decimal("Infinity")


def converter_of(column: Column) -> Converter:
    """Return the converter of a column; see `Converter`."""
    type_ = column.type
    if column.as_json:
        return _json
    if pa.types.is_timestamp(type_):
        return _time if column.field in DOCUMENT_FIELDS else _time_or_day
    if pa.types.is_boolean(type_):
        return _flag
    if pa.types.is_integer(type_):
        return _measure if column.measured else _integer
    if pa.types.is_floating(type_):
        return _number
    return _name


def _alone(value: Any, converter: Converter) -> tuple[Any, bool]:
    """Convert a value that may be missing, or in an array of one value."""
    if value is None:
        return None, True
    if converter is _json:
        return converter(value)
    if isinstance(value, Decimal) and value.is_nan():
        return None, False
    if isinstance(value, str) and converter is not _name and value.strip().lower() in _MISSING:
        return None, False
    if isinstance(value, list):
        if len(value) > 1:
            raise MalformedDocument("an array of several values")
        return (_alone(value[0], converter)[0] if value else None), False
    if isinstance(value, dict):
        raise MalformedDocument("an object")
    return converter(value)


def _first(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict of an object's members; of several members with the same name the first counts, as in DuckDB."""
    found = dict[str, Any]()
    for name, value in members:
        found.setdefault(name, value)
    return found


def _decimal(value: Any, what: str) -> Decimal:
    try:
        if isinstance(value, bool) or (isinstance(value, str) and "_" in value):  # Decimal accepts 1_000
            raise MalformedDocument(what)
        number = Decimal(value.strip() if isinstance(value, str) else value)
    except ArithmeticError:
        raise MalformedDocument(what) from None
    if not number.is_finite():
        raise MalformedDocument(what)
    return number


def _integer(value: Any) -> tuple[int, bool]:
    if type(value) is int and -(2**63) <= value < 2**63:
        return value, True
    number = _decimal(value, "not an integer")
    if not -(2**64) < number < 2**64:  # checked before int(), which would compute all digits of 1e999999
        raise MalformedDocument("beyond int64")
    if number != int(number):
        raise MalformedDocument("not an integer")
    if not -(2**63) <= number < 2**63:
        raise MalformedDocument("beyond int64")
    if abs(number) > 2**53 and number.as_tuple().exponent > 0:  # type: ignore[operator]  # finite: an int
        raise MalformedDocument("an integer without its last digits")
    return int(number), False


def _measure(value: Any) -> tuple[int, bool]:
    """Read a measured time: a fraction is rounded to the nearest integer."""
    try:
        return _integer(value)
    except MalformedDocument as reason:
        if str(reason) != "not an integer":
            raise
    number = _decimal(value, "not an integer").to_integral_value(ROUND_HALF_UP)
    return _integer(number)[0], False


def _number(value: Any) -> tuple[float, bool]:
    number = float(_decimal(value, "not a number"))
    if not math.isfinite(number):
        raise MalformedDocument("beyond float64")
    return number, isinstance(value, (int, Decimal))


def _flag(value: Any) -> tuple[bool, bool]:
    if isinstance(value, bool):
        return value, True
    # also 1.0: a column of flags with missing values is often written as floats
    found = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else {1: True, 0: False}.get(value)
    if found is not None:
        return found, False
    raise MalformedDocument("not a flag")


def _name(value: Any) -> tuple[str, bool]:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            raise MalformedDocument("not a name") from None
        return value, True
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value), False
    raise MalformedDocument("not a name")


def _time(value: Any) -> tuple[int, bool]:
    if isinstance(value, int) and not isinstance(value, bool):
        # ten digits may be seconds: refused, not guessed
        milliseconds = value if 10**11 <= value < 10**14 else -1
    elif isinstance(value, str) and _EPOCH_MS.fullmatch(value):
        milliseconds = int(value)
    elif isinstance(value, str):
        text = value.strip()
        try:
            moment = datetime.fromisoformat(text)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise MalformedDocument("not a time") from None
        if len(text) <= _DAY:
            raise MalformedDocument("a date without a time of day")
        milliseconds = to_milliseconds(moment)
    else:
        raise MalformedDocument("not a time")
    if not 0 <= milliseconds < 9_214_646_400_000:  # the years 1970 to 2261, as in a request
        raise MalformedDocument("not a time")
    return milliseconds, isinstance(value, str) and value.endswith("Z") and len(value) == 24


def _time_or_day(value: Any) -> tuple[int, bool]:
    """Read a time; a date alone is its midnight UTC, as in Elasticsearch."""
    try:
        return _time(value)
    except MalformedDocument:
        if not (isinstance(value, str) and _DATE.fullmatch(value.strip())):
            raise
        return _time(f"{value.strip()}T00:00:00.000Z")[0], False


def _json(value: Any) -> tuple[str, bool]:
    try:
        return _json_text(value), True
    except RecursionError:
        raise MalformedDocument("nested too deeply") from None


def _json_text(value: Any) -> str:
    """Return a value as JSON text with every digit of its numbers; NaN and infinities are null."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{json.dumps(key)}:{_json_text(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_json_text, value))}]"
    if isinstance(value, Decimal):
        return str(value) if value.is_finite() else "null"
    return json.dumps(value)
