"""Documents in, typed rows out: a page at a time, column-wise, with the odd ones set aside.

msgspec reads what is of the columns' own types, and nothing else: it is strict, and the quickest that was measured
(`benchmarks/README.md`). A document that it refuses is read value by value (`frontierlab.odd`).
"""

from __future__ import annotations

import itertools
import json
import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.odd import SetAside, convert, converter_of
from frontierlab.schema import DOCUMENT_FIELDS, MISSING_IOV, Column

__all__ = ["DocumentReader", "Page"]

_TOGETHER = 1_000  # documents at a time: their objects are used again for the next before they leave the cache
_ALONE = 16  # so few documents are quicker read value by value than as a table of their own
_PIECES = 8
_INTEGER = r"^-?\d{1,19}$"
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


@dataclass
class Page:
    """What some documents became.

    Parameters
    ----------
    rows
        A row a document that could be read; the columns are those of a log row that come from the
        document, names as plain text and ``db`` with its suffix.
    set_aside
        ``(reason, document)`` of each document that could not be read.
    converted
        How many values were not of their column's own type but clear in meaning, by field.
    """

    rows: pa.Table
    set_aside: list[tuple[str, bytes]] = field(default_factory=list)
    converted: Counter[str] = field(default_factory=Counter)


class DocumentReader:
    """Turns documents into rows.

    Parameters
    ----------
    extra
        Columns for further fields of the documents.
    """

    def __init__(self, extra: Iterable[Column] = ()) -> None:
        self._columns = DOCUMENT_FIELDS | {str(column.field): column for column in extra}
        self._schema = pa.schema([(name, _plain(column.type)) for name, column in self._columns.items()])
        self._decoders: dict[pa.Schema, msgspec.json.Decoder[Any]] = {}
        self._converters = {name: converter_of(column.type) for name, column in self._columns.items()}

    def read(self, documents: Sequence[bytes]) -> Page:
        """Read documents.

        Parameters
        ----------
        documents
            JSON text in UTF-8, one document each, or lines of elasticdump that hold it as ``_source``.

        Returns
        -------
        Page
            Every document is in its rows or set aside; the rows' order can differ from the documents'.
        """
        page = Page(self._schema.empty_table())
        parsed: list[tuple[pa.Table, Sequence[bytes]]] = []
        odd: list[bytes] = []
        for start in range(0, len(documents), _TOGETHER):
            refused = self._parse(documents[start : start + _TOGETHER], parsed)
            if len(refused) > _ALONE:  # of another shape than the first of them
                refused = self._parse(refused, parsed)
            odd += refused
        tables: list[pa.Table] = []
        # neighbours of one shape together: each step is worth taking for many rows at once
        for _, alike in itertools.groupby(parsed, key=lambda pair: pair[0].schema):
            pieces, whole = zip(*alike, strict=True)
            self._type_all(pa.concat_tables(pieces), list(itertools.chain(*whole)), tables, odd, page.converted)
        tables.append(self._one_by_one(odd, page))
        page.rows = self._renamed(pa.concat_tables(tables))
        return page

    def _parse(self, documents: Sequence[bytes], parsed: list[tuple[pa.Table, Sequence[bytes]]]) -> list[bytes]:
        """Make a table of the documents that are of the first one's shape, and return the others."""
        shape = self._shape(documents[0])
        decoder = self._decoder(shape)
        try:
            read, good = _together(documents, decoder), documents
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors, and so is a text that is not UTF-8
            read, good, refused = _each(documents, decoder)
        else:
            refused = []
        if read:
            arrays = [
                pa.array(list(map(operator.attrgetter(f"column_{number}"), read)), type_)
                for number, type_ in enumerate(shape.types)
            ]
            parsed.append((pa.Table.from_arrays(arrays, schema=shape), good))
        return refused

    def _type_all(
        self,
        table: pa.Table,
        documents: Sequence[bytes],
        tables: list[pa.Table],
        odd: list[bytes],
        converted: Counter[str],
    ) -> None:
        """Sort the rows of a table into those whose text could be cast and odd ones."""
        if len(documents) <= _ALONE:
            odd.extend(documents)
            return
        try:
            typed, good = self._typed(table, converted)
        except pa.ArrowInvalid:
            for start, stop in _pieces(len(documents)):
                self._type_all(table.slice(start, stop - start), documents[start:stop], tables, odd, converted)
            return
        odd.extend(documents[row] for row in np.flatnonzero(~good).tolist())
        tables.append(typed)

    def _shape(self, document: bytes) -> pa.Schema:
        """Guess from one document which numbers are written as text, and the reverse, in its neighbours.

        A wrong guess costs time, never a value: what does not fit it is refused.
        """
        try:
            values = json.loads(bytes(document))
        except (ValueError, RecursionError):
            values = None
        values = values if isinstance(values, dict) else {}
        fields = []
        for name, type_ in zip(self._schema.names, self._schema.types, strict=True):
            value = values.get(name)
            if pa.types.is_timestamp(type_) or (pa.types.is_integer(type_) and isinstance(value, str)):
                type_ = pa.string()
            elif pa.types.is_string(type_) and isinstance(value, int) and not isinstance(value, bool):
                type_ = pa.int64()
            fields.append((name, type_))
        return pa.schema(fields)

    def _decoder(self, shape: pa.Schema) -> msgspec.json.Decoder[Any]:
        """Return what reads documents of a shape, each into a struct of the columns' values."""
        if shape not in self._decoders:
            members = [
                # a field's own name need not be one that Python takes
                (f"column_{number}", _python_type(column.type) | None, msgspec.field(name=column.name, default=None))
                for number, column in enumerate(shape)
            ]
            struct = msgspec.defstruct("Document", members, gc=False)
            self._decoders[shape] = msgspec.json.Decoder(struct)
        return self._decoders[shape]

    def _typed(self, table: pa.Table, converted: Counter[str]) -> tuple[pa.Table, np.ndarray[Any, Any]]:
        """Cast what was read as text; rows whose text needs a closer look are left for `convert`."""
        good = pc.is_valid(table["@timestamp"])
        for name, type_ in zip(self._schema.names, self._schema.types, strict=True):
            if pa.types.is_string(table[name].type) and not pa.types.is_string(type_):
                is_time = pa.types.is_timestamp(type_)
                matches = _are_times(table[name]) if is_time else pc.match_substring_regex(table[name], _INTEGER)
                good = pc.and_(good, pc.fill_null(matches, True))
            elif pa.types.is_floating(type_):
                good = pc.and_(good, pc.fill_null(pc.is_finite(table[name]), True))
        if not pc.all(good).as_py():
            table = table.filter(good)
        typed = table.select(self._schema.names).cast(self._schema)
        for name in self._schema.names:
            if table[name].type != typed[name].type and not pa.types.is_timestamp(typed[name].type):
                converted[name] += len(typed) - typed[name].null_count
        return typed, good.to_numpy()

    def _one_by_one(self, documents: list[bytes], page: Page) -> pa.Table:
        rows = []
        for document in documents:
            try:
                row, converted = convert(document, self._converters)
            except SetAside as reason:
                page.set_aside.append((str(reason), bytes(document)))
            else:
                rows.append(row)
                page.converted.update(converted)
        return pa.Table.from_pylist(rows, schema=self._schema)

    def _renamed(self, table: pa.Table) -> pa.Table:
        table = table.rename_columns([column.name for column in self._columns.values()])
        for name in ("since", "until"):
            filled = pc.fill_null(table[name], MISSING_IOV)
            table = table.set_column(table.schema.get_field_index(name), name, filled)
        return table


def _are_times(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return which texts look like 2026-10-01T00:00:00.000Z, of years that `convert` takes; the cast looks closer."""
    looks = pc.and_(pc.equal(pc.binary_length(texts), 24), pc.ends_with(texts, "Z"))
    return pc.and_(looks, pc.and_(pc.greater_equal(texts, "1970"), pc.less(texts, "2262")))


def _pieces(count: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of the pieces into which so many documents are split."""
    size = -(-count // _PIECES)
    for start in range(0, count, size):
        yield start, min(start + size, count)


def _together(documents: Sequence[bytes], decoder: msgspec.json.Decoder[Any]) -> list[Any]:
    """Read documents at once; ValueError or RecursionError where one of them does not fit."""
    if isinstance(documents[0], bytes) and not all(map(_is_framed, documents)):
        # a line of two documents and one of none would cancel out in the number of documents
        raise ValueError("not an object a line")
    text = b"\n".join(documents)
    _check_text(text)
    read = decoder.decode_lines(text)
    if len(read) != len(documents):
        raise ValueError("not a document a line")
    return read


def _each(documents: Sequence[bytes], decoder: msgspec.json.Decoder[Any]) -> tuple[list[Any], list[bytes], list[bytes]]:
    """Read documents one after the other; return what was read, of which documents, and the refused ones."""
    read, good, refused = [], [], []
    for document in documents:
        try:
            _check_text(bytes(document))
            read.append(decoder.decode(document))
        except (ValueError, RecursionError):
            refused.append(document)
        else:
            good.append(document)
    return read, good, refused


def _check_text(text: bytes) -> None:
    """Raise UnicodeDecodeError where it is not UTF-8: in fields that are not wanted msgspec would take anything."""
    if not text.isascii():
        text.decode()


def _is_framed(line: bytes) -> bool:
    line = line.strip()
    return line.startswith(b"{") and line.endswith(b"}")


def _python_type(type_: pa.DataType) -> Any:
    if pa.types.is_integer(type_):
        return _INT64
    if pa.types.is_floating(type_):
        return float
    return bool if pa.types.is_boolean(type_) else str


def _plain(type_: pa.DataType) -> pa.DataType:
    """Return the type in which a column is read: its own, but names as text, encoded later, many at once."""
    return type_.value_type if pa.types.is_dictionary(type_) else type_
