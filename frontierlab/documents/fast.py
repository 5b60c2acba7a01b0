"""The fast reader: turns a page of documents into typed rows, column by column.

DuckDB splits a page of documents into one column of JSON texts per field. It keeps the texts as they were written,
releases the interpreter lock, and was the fastest in the measurements (`benchmarks/README.md`). Each column is then
parsed strictly. A document with a value that is not plainly of its column's type goes to the lenient reader
(`frontierlab.documents.lenient`). For an extra field only the value goes there, so it never costs the document.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.documents import splitter
from frontierlab.documents.lenient import MalformedDocument, convert, converter_of
from frontierlab.documents.parse_columns import ParsedColumn, as_written, parse_column, with_lenient_values
from frontierlab.exports.json_tokens import NOT_JSON
from frontierlab.schema import DOCUMENT_FIELDS, MISSING_IOV, Column

__all__ = ["DocumentReader", "ParsedPage"]


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
        self._statement = f"SELECT from_json(document, '{shape}') FROM documents"
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
        if bytes in {*map(type, documents)}:  # text that is not known to be JSON
            documents = _sound(documents, others)
        try:
            texts = self._taken_apart(documents)
        except (duckdb.Error, UnicodeDecodeError):
            documents = _sound(documents, others)
            try:
                texts = self._taken_apart(documents)
            except duckdb.Error:  # for example: two extra fields whose names differ only in case
                others += documents
                documents, texts = [], self._taken_apart([])
        rows, good = self._typed(texts, page)
        others += [documents[row] for row in np.flatnonzero(~good).tolist()]
        if others:
            rows = pa.concat_tables([rows, self._one_by_one(others, page)])
        page.with_iov = pc.sum(pc.and_(pc.is_valid(rows["sqlsin"]), pc.is_valid(rows["sqlunt"]))).as_py() or 0
        page.rows = self._renamed(rows)
        return page

    def close(self) -> None:
        """Close the connections to DuckDB that no thread uses. The next read opens one again.

        Without it they are closed when nothing refers to the reader any more.
        """
        while self._idle:
            self._idle.pop().close()

    def _taken_apart(self, documents: Sequence[bytes]) -> pa.Table:
        """Split documents into the JSON texts of their fields; null where a document lacks a field.

        Raises
        ------
        UnicodeDecodeError
            A document is not UTF-8.
        duckdb.Error
            A document is not JSON.
        """
        if not documents:
            return pa.table({name: pa.nulls(0, pa.string()) for name in self._columns})
        text = b"".join(documents)
        if not text.isascii():
            text.decode()
        ends = np.cumsum(np.fromiter(map(len, documents), np.int64, len(documents)))
        offsets = pa.py_buffer(np.concatenate([np.zeros(1, np.int64), ends]))
        array = pa.Array.from_buffers(pa.large_string(), len(documents), [None, offsets, pa.py_buffer(text)])
        with self._connection() as connection:
            connection.register("documents", pa.table({"document": array}))
            try:
                structs = connection.sql(self._statement).to_arrow_table().column(0)
            finally:
                connection.unregister("documents")
        # Arrow takes the structs apart: unnest() in the statement takes a fifth longer for a small page
        return pa.Table.from_arrays(structs.flatten(), names=[*self._columns])

    @contextmanager
    def _connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a DuckDB connection of this process's database.

        The connections must not be in a `threading.local`. A forked child process, such as the one that becomes
        Spark's Java, clears the locals of other threads, and closing a DuckDB connection there crashes it.
        """
        try:
            connection = self._idle.pop()  # atomic: several threads borrow connections
        except IndexError:
            connection = splitter.connection()
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

    def _read(self, name: str, texts: pa.Array) -> ParsedColumn:
        column, is_extra = self._columns[name], name in self._extra
        if column.as_json:
            return ParsedColumn(texts, pc.fill_null(as_written(texts), True))
        read = parse_column(texts, column.type)
        if is_extra or not pa.types.is_dictionary(column.type):  # the lenient reader accepts no further names
            return with_lenient_values(read, texts, column.type, self._converters[name], is_extra)
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
        except NOT_JSON:
            others.append(document)
        else:
            sound.append(document)
    return sound


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, without copying a single chunk as `combine_chunks` does."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
