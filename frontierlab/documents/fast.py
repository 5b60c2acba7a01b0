"""The fast reader: turns a page of documents into typed rows, column by column.

DuckDB splits a page of documents into one column of JSON texts per field. It keeps the texts as they were written,
releases the interpreter lock, and was the fastest in the measurements (`benchmarks/README.md`). Each column is then
parsed strictly. A document with a value that is not plainly of its column's type goes to the lenient reader
(`frontierlab.documents.lenient`). For an extra field only the value goes there, so it never costs the document.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.documents.lenient import Converter, MalformedDocument, convert, convert_text, converter_of
from frontierlab.schema import DOCUMENT_FIELDS, MISSING_IOV, Column

__all__ = ["DocumentReader", "ParsedPage"]

_SHORT = r'^("-?\d{1,18}"|-?\d{1,18})$'  # an integer, or text that is one
_LONG = r'^("\d{19}"|\d{19})$'  # may exceed int64
_LARGEST = str(2**63 - 1)


@dataclass
class ParsedPage:
    """The result of reading some documents.

    Parameters
    ----------
    rows
        One row per document that could be read, with the columns of a log row that come from the
        document; ``db`` still has its suffix.
    malformed
        ``(reason, document)`` of each malformed document.
    converted
        Number of values of another type than their column whose meaning is clear, by field.
    unfit
        Number of values of extra fields that do not fit their column, by field; they are null in the rows.
    with_iov
        Number of rows that give an IOV.
    """

    rows: pa.Table
    malformed: list[tuple[str, bytes]] = field(default_factory=list)
    converted: Counter[str] = field(default_factory=Counter)
    unfit: Counter[str] = field(default_factory=Counter)
    with_iov: int = 0


class _ParsedColumn(NamedTuple):
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


class DocumentReader:
    """Turns documents into rows. Several threads may share a reader.

    Parameters
    ----------
    extra
        Columns for further fields of the documents.
    """

    def __init__(self, extra: Iterable[Column] = ()) -> None:
        self._extra = {str(column.field): column for column in extra}
        self._columns = DOCUMENT_FIELDS | self._extra
        self._schema = pa.schema([(name, column.type) for name, column in self._columns.items()])
        self._converters = {name: converter_of(column) for name, column in self._columns.items()}
        shape = json.dumps(dict.fromkeys(self._columns, "JSON"), ensure_ascii=False).replace("'", "''")
        self._statement = f"SELECT unnest(from_json(document, '{shape}')) FROM documents"
        self._idle: list[duckdb.DuckDBPyConnection] = []

    def read(self, documents: Sequence[bytes]) -> ParsedPage:
        """Read documents.

        Parameters
        ----------
        documents
            JSON text in UTF-8, one document each, or lines of elasticdump with the document as ``_source``.

        Returns
        -------
        ParsedPage
            Every document is in the rows or malformed. The rows can be in another order than the documents.
        """
        page, others = ParsedPage(self._schema.empty_table()), list[bytes]()  # others: for the lenient reader
        if any(isinstance(document, bytes) for document in documents):  # text that is not known to be JSON
            documents = _sound(documents, others)
        try:
            texts = self._taken_apart(documents)
        except (duckdb.Error, UnicodeDecodeError):
            documents = _sound(documents, others)
            try:
                texts = self._taken_apart(documents)
            except duckdb.Error:  # for example: two extra fields whose names differ only in case
                others += documents
                documents, texts = [], pa.table({name: pa.nulls(0, pa.string()) for name in self._columns})
        rows, good = self._typed(texts, page)
        others += [documents[row] for row in np.flatnonzero(~good).tolist()]
        rows = pa.concat_tables([rows, self._one_by_one(others, page)])
        page.with_iov = pc.sum(pc.and_(pc.is_valid(rows["sqlsin"]), pc.is_valid(rows["sqlunt"]))).as_py() or 0
        page.rows = self._renamed(rows)
        return page

    def _taken_apart(self, documents: Sequence[bytes]) -> pa.Table:
        """Split documents into the JSON texts of their fields; null where a document lacks a field.

        Raises
        ------
        UnicodeDecodeError
            A document is not UTF-8.
        duckdb.Error
            A document is not JSON.
        """
        text = b"".join(documents)
        if not text.isascii():
            text.decode()
        ends = np.cumsum(np.fromiter(map(len, documents), np.int64, len(documents)))
        offsets = pa.py_buffer(np.concatenate([np.zeros(1, np.int64), ends]))
        array = pa.Array.from_buffers(pa.large_string(), len(documents), [None, offsets, pa.py_buffer(text)])
        with self._connection() as connection:
            connection.register("documents", pa.table({"document": array}))
            try:
                return connection.sql(self._statement).to_arrow_table()
            finally:
                connection.unregister("documents")

    @contextmanager
    def _connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a DuckDB connection that uses one thread: slices are read in parallel already.

        The connections must not be in a `threading.local`. A forked child process, such as the one that becomes
        Spark's Java, clears the locals of other threads, and closing a DuckDB connection there crashes it.
        """
        try:
            connection = self._idle.pop()  # atomic: several threads borrow connections
        except IndexError:
            connection = duckdb.connect(config={"threads": 1})
        try:
            yield connection
        finally:
            self._idle.append(connection)

    def _typed(self, texts: pa.Table, page: ParsedPage) -> tuple[pa.Table, np.ndarray[Any, Any]]:
        """Parse all columns; return the rows that parsed cleanly, and a boolean mask of them."""
        read = {name: self._read(name, _whole(texts[name])) for name in self._columns}
        good = pc.is_valid(read["@timestamp"].values)
        for column in read.values():
            if column.good is not None:
                good = pc.and_(good, column.good)
        for name, column in read.items():
            for counter, which in ((page.converted, column.converted), (page.unfit, column.unfit)):
                if which is not None and (count := pc.sum(pc.and_(which, good)).as_py()):
                    counter[name] += count
        rows = pa.Table.from_arrays([column.values for column in read.values()], schema=self._schema)
        if not pc.all(good).as_py():
            rows = rows.filter(good)
        return rows, good.to_numpy(zero_copy_only=False)

    def _read(self, name: str, texts: pa.Array) -> _ParsedColumn:
        column, is_extra = self._columns[name], name in self._extra
        if column.as_json:
            return _ParsedColumn(texts, pc.fill_null(_as_written(texts), True))
        read = _read(texts, column.type)
        if is_extra or not pa.types.is_dictionary(column.type):  # the lenient reader accepts no further names
            return _with_lenient_values(read, texts, column.type, self._converters[name], is_extra)
        return read

    def _one_by_one(self, documents: list[bytes], page: ParsedPage) -> pa.Table:
        rows = []
        for document in documents:
            try:
                row, converted, unfit = convert(document, self._converters)
            except MalformedDocument as reason:
                page.malformed.append((str(reason), bytes(document)))
            else:
                rows.append(row)
                page.converted.update(converted)
                page.unfit.update(unfit)
        return pa.Table.from_pylist(rows, schema=self._schema)

    def _renamed(self, table: pa.Table) -> pa.Table:
        table = table.rename_columns([column.name for column in self._columns.values()])
        for name in ("since", "until"):
            filled = pc.fill_null(table[name], MISSING_IOV)
            table = table.set_column(table.schema.get_field_index(name), name, filled)
        return table


def _sound(documents: Sequence[bytes], others: list[bytes]) -> list[bytes]:
    """Return the documents that are valid JSON in UTF-8, and add the rest to `others`."""
    sound = []
    for document in documents:
        try:
            msgspec.json.decode(document, type=msgspec.Raw)
            bytes(document).decode()  # msgspec does not check the UTF-8 of strings in Raw values
        except (ValueError, RecursionError):
            others.append(document)
        else:
            sound.append(document)
    return sound


def _read(texts: pa.Array, type_: pa.DataType) -> _ParsedColumn:
    if pa.types.is_timestamp(type_):
        return _read_times(texts, type_)
    if pa.types.is_integer(type_):
        return _read_integers(texts)
    if pa.types.is_boolean(type_):
        return _ParsedColumn(
            pc.equal(texts, "true"), pc.fill_null(pc.is_in(texts, pa.array(["true", "false", None])), True)
        )
    return _read_numbers(texts) if pa.types.is_floating(type_) else _read_names(texts)


def _with_lenient_values(
    column: _ParsedColumn, texts: pa.Array, type_: pa.DataType, converter: Converter, is_extra: bool
) -> _ParsedColumn:
    """Parse the values that are not plain with the lenient reader, each distinct text once.

    A value that does not fit the column is null in an extra field; otherwise the lenient reader gets its document.
    """
    if column.good is None or pc.all(column.good).as_py():
        return column
    lenient = pc.invert(column.good)
    if not pa.types.is_floating(type_):  # a float64 column may use DuckDB's rounded fractions
        lenient = pc.fill_null(pc.and_(lenient, _as_written(texts)), False)
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
    return _ParsedColumn(
        placed(column.values.cast(type_), values),
        good=pc.or_(column.good, lenient) if is_extra else pc.and_not(pc.or_(column.good, lenient), lost),
        converted=placed(none if column.converted is None else column.converted, converted),
        unfit=lost if is_extra else None,
    )


def _as_written(texts: pa.Array) -> pa.Array:
    """Return a mask of the JSON texts that DuckDB left unchanged; it rounds fractions and integers beyond 64 bits."""
    return pc.or_(pc.starts_with(texts, '"'), pc.invert(pc.match_substring_regex(texts, r"(^|[\[,:])-?\d+[.eE]")))


def _read_integers(texts: pa.Array) -> _ParsedColumn:
    try:
        return _ParsedColumn(texts.cast(pa.int64()))
    except pa.ArrowInvalid:  # some are not integers, or are integers written as text
        digits = pc.utf8_trim(texts, '"')
        long = pc.and_(pc.match_substring_regex(texts, _LONG), pc.less_equal(digits, _LARGEST))
        good = pc.or_(pc.match_substring_regex(texts, _SHORT), long)
        values = pc.if_else(good, digits, None).cast(pa.int64())
        return _ParsedColumn(values, pc.fill_null(good, True), pc.fill_null(pc.starts_with(texts, '"'), False))


def _read_numbers(texts: pa.Array) -> _ParsedColumn:
    try:
        values = texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return _ParsedColumn(pa.nulls(len(texts), pa.float64()), pc.is_null(texts))
    return _ParsedColumn(values, pc.fill_null(pc.is_finite(values), True))


def _read_times(texts: pa.Array, type_: pa.DataType) -> _ParsedColumn:
    """Read times like "2026-10-01T00:00:00.000Z", of the years that `convert` accepts."""
    looks = pc.and_(pc.equal(pc.binary_length(texts), 26), pc.ends_with(texts, 'Z"'))
    good = pc.and_(looks, pc.and_(pc.greater_equal(texts, '"1970'), pc.less(texts, '"2262')))
    values = pc.if_else(good, pc.utf8_slice_codeunits(texts, 1, 25), None)
    try:
        return _ParsedColumn(values.cast(type_), pc.fill_null(good, True))
    except pa.ArrowInvalid:
        return _ParsedColumn(pa.nulls(len(texts), type_), pc.is_null(texts))


def _read_names(texts: pa.Array) -> _ParsedColumn:
    """Read names. There are few distinct names, so each is parsed once."""
    encoded = texts.dictionary_encode()
    different = encoded.dictionary.to_pylist()
    names = [_name(text) for text in different]
    if all(text.startswith('"') for text in different) and len({*names}) == len(names):
        return _ParsedColumn(pa.DictionaryArray.from_arrays(encoded.indices, pa.array(names, pa.string())))
    values = pa.array(names, pa.string()).take(encoded.indices).dictionary_encode()
    numbers = pa.array([not text.startswith('"') for text in different], pa.bool_()).take(encoded.indices)
    return _ParsedColumn(values, pc.or_(pc.is_null(texts), pc.is_valid(values)), pc.fill_null(numbers, False))


def _name(text: str) -> str | None:
    """Return the name in a JSON text: a string, or an integer as its decimal text; otherwise None."""
    if text.startswith('"'):
        return msgspec.json.decode(text, type=str)
    return text if re.fullmatch(r"-?\d+", text) else None


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, without copying a single chunk as `combine_chunks` does."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
