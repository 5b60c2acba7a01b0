"""Parse the JSON texts of one column of documents at once."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.documents.lenient import Converter, MalformedDocument, convert_text

__all__ = ["ParsedColumn", "as_written", "parse_column", "with_lenient_values"]

_SHORT = r'^("-?\d{1,18}"|-?\d{1,18})$'  # an integer, or text that is one
_LONG = r'^("\d{19}"|\d{19})$'  # may exceed int64
_LARGEST = str(2**63 - 1)


class ParsedColumn(NamedTuple):
    """The values parsed from the texts of a column, and masks of them.

    Parameters
    ----------
    values
        The values; undefined where `good` is false.
    good
        Mask of the values that were parsed; None if all were.
    converted
        Mask of the values that were written as another type, with a clear meaning; None if there are none.
    unfit
        Mask of the values that do not fit the column and are null; None if there are none. For extra fields only.
    """

    values: pa.Array
    good: pa.Array | None = None
    converted: pa.Array | None = None
    unfit: pa.Array | None = None


def parse_column(texts: pa.Array, type_: pa.DataType) -> ParsedColumn:
    """Parse the JSON texts of a column of this type, strictly."""
    if pa.types.is_timestamp(type_):
        return _read_times(texts, type_)
    if pa.types.is_integer(type_):
        return _read_integers(texts)
    if pa.types.is_boolean(type_):
        return ParsedColumn(
            pc.equal(texts, "true"), pc.fill_null(pc.is_in(texts, pa.array(["true", "false", None])), True)
        )
    return _read_numbers(texts) if pa.types.is_floating(type_) else _read_names(texts)


def with_lenient_values(
    column: ParsedColumn, texts: pa.Array, type_: pa.DataType, converter: Converter, is_extra: bool
) -> ParsedColumn:
    """Parse the values that are not plain with the lenient reader, each distinct text once.

    A value that does not fit the column is null in an extra field; otherwise the lenient reader gets its document.
    """
    if column.good is None or pc.all(column.good).as_py():
        return column
    lenient = pc.invert(column.good)
    if not pa.types.is_floating(type_):  # a float64 column may use DuckDB's rounded fractions
        lenient = pc.fill_null(pc.and_(lenient, as_written(texts)), False)
    encoded = texts.filter(lenient).dictionary_encode()
    values, converted, unfit = list[Any](), list[bool](), list[bool]()
    for text in encoded.dictionary.to_pylist():
        try:
            value, plain = convert_text(text, converter)
        except MalformedDocument:
            value, plain = None, True
            unfit.append(True)
        else:
            unfit.append(False)
        values.append(value)
        converted.append(not plain)

    def placed(among: pa.Array, these: list[Any]) -> pa.Array:
        return pc.replace_with_mask(among, lenient, pa.array(these, among.type).take(encoded.indices))

    none = pa.repeat(pa.scalar(False), len(texts))
    lost = placed(none, unfit)
    return ParsedColumn(
        placed(column.values.cast(type_), values),
        good=pc.or_(column.good, lenient) if is_extra else pc.and_not(pc.or_(column.good, lenient), lost),
        converted=placed(none if column.converted is None else column.converted, converted),
        unfit=lost if is_extra else None,
    )


def as_written(texts: pa.Array) -> pa.Array:
    """Return a mask of the JSON texts that DuckDB left unchanged; it rounds fractions and integers beyond 64 bits."""
    return pc.or_(pc.starts_with(texts, '"'), pc.invert(pc.match_substring_regex(texts, r"(^|[\[,:])-?\d+[.eE]")))


def _read_integers(texts: pa.Array) -> ParsedColumn:
    try:
        return ParsedColumn(texts.cast(pa.int64()))
    except pa.ArrowInvalid:  # some are not integers, or are integers written as text
        digits = pc.utf8_trim(texts, '"')
        long = pc.and_(pc.match_substring_regex(texts, _LONG), pc.less_equal(digits, _LARGEST))
        good = pc.or_(pc.match_substring_regex(texts, _SHORT), long)
        values = pc.if_else(good, digits, None).cast(pa.int64())
        return ParsedColumn(values, pc.fill_null(good, True), pc.fill_null(pc.starts_with(texts, '"'), False))


def _read_numbers(texts: pa.Array) -> ParsedColumn:
    try:
        values = texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return ParsedColumn(pa.nulls(len(texts), pa.float64()), pc.is_null(texts))
    return ParsedColumn(values, pc.fill_null(pc.is_finite(values), True))


def _read_times(texts: pa.Array, type_: pa.DataType) -> ParsedColumn:
    """Read times like "2026-10-01T00:00:00.000Z", of the years that `convert` accepts."""
    looks = pc.and_(pc.equal(pc.binary_length(texts), 26), pc.ends_with(texts, 'Z"'))
    good = pc.and_(looks, pc.and_(pc.greater_equal(texts, '"1970'), pc.less(texts, '"2262')))
    values = pc.if_else(good, pc.utf8_slice_codeunits(texts, 1, 25), None)
    try:
        return ParsedColumn(values.cast(type_), pc.fill_null(good, True))
    except pa.ArrowInvalid:
        return ParsedColumn(pa.nulls(len(texts), type_), pc.is_null(texts))


def _read_names(texts: pa.Array) -> ParsedColumn:
    """Read names. There are few distinct names, so each is parsed once."""
    encoded = texts.dictionary_encode()
    different = encoded.dictionary.to_pylist()
    names = [_name(text) for text in different]
    if all(text.startswith('"') for text in different) and len({*names}) == len(names):
        return ParsedColumn(pa.DictionaryArray.from_arrays(encoded.indices, pa.array(names, pa.string())))
    values = pa.array(names, pa.string()).take(encoded.indices).dictionary_encode()
    numbers = pa.array([not text.startswith('"') for text in different], pa.bool_()).take(encoded.indices)
    return ParsedColumn(values, pc.or_(pc.is_null(texts), pc.is_valid(values)), pc.fill_null(numbers, False))


def _name(text: str) -> str | None:
    """Return the name in a JSON text: a string, or an integer as its decimal text; otherwise None."""
    if text.startswith('"'):
        return msgspec.json.decode(text, type=str)
    return text if re.fullmatch(r"-?\d+", text) else None
