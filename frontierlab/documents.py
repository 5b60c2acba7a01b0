"""Documents in, typed rows out: a page at a time, column-wise, with the odd ones set aside.

A page is handed to Arrow's JSON reader as it came. Where that refuses it for the sake of one
value, the page is split until the document is alone, and that one is read value by value
(`frontierlab.odd`). What Arrow would take in silence although it should not is checked.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from frontierlab.odd import SetAside, convert, converter_of
from frontierlab.schema import DOCUMENT_FIELDS, MISSING_IOV, Column

__all__ = ["DocumentReader", "Page"]

_TOGETHER = 1_000  # documents for Arrow at a time: an odd one among them costs these alone a second reading
_ALONE = 16  # so few documents are quicker read value by value than split further
_PIECES = 8
_LONGEST = 2**31 - 1
_INTEGER = r"^-?\d{1,19}$"


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
            self._parse_all(documents[start : start + _TOGETHER], parsed, odd)
        tables: list[pa.Table] = []
        # neighbours of one shape together: each step is worth taking for many rows at once
        for _, alike in itertools.groupby(parsed, key=lambda pair: pair[0].schema):
            pieces, whole = zip(*alike, strict=True)
            self._type_all(pa.concat_tables(pieces), list(itertools.chain(*whole)), tables, odd, page.converted)
        tables.append(self._one_by_one(odd, page))
        page.rows = self._renamed(pa.concat_tables(tables))
        return page

    def _parse_all(
        self,
        documents: Sequence[bytes],
        parsed: list[tuple[pa.Table, Sequence[bytes]]],
        odd: list[bytes],
        alone: bool = True,
    ) -> None:
        """Sort documents into tables that Arrow could read and odd ones, of which there may be one `alone`."""
        if len(documents) <= _ALONE:
            odd.extend(documents)
            return
        try:
            parsed.append((self._parse(documents), documents))
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            culprit = _culprit(str(error), documents) if alone else None
            if culprit is None:
                for start, stop in _pieces(len(documents)):
                    self._parse_all(documents[start:stop], parsed, odd)
            else:
                odd.append(documents[culprit])
                self._parse_all([*documents[:culprit], *documents[culprit + 1 :]], parsed, odd, alone=False)

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

    def _parse(self, documents: Sequence[bytes]) -> pa.Table:
        """Hand documents to Arrow; refused ones raise ArrowInvalid or UnicodeDecodeError."""
        if isinstance(documents[0], bytes) and not all(map(_is_framed, documents)):
            # a line of two documents and one of none would cancel out in the number of rows
            raise pa.ArrowInvalid("not an object a line")
        text = b"\n".join(documents)
        if len(text) >= _LONGEST:
            raise pa.ArrowInvalid("more text than Arrow takes in one block")
        if not text.isascii():
            text.decode()  # Arrow would take what is not UTF-8
        table = pyarrow.json.read_json(
            pa.BufferReader(text),
            # one block and one thread: the slices are read side by side already
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pyarrow.json.ParseOptions(
                explicit_schema=self._shape(documents[0]),
                unexpected_field_behavior="ignore",
                newlines_in_values=True,
            ),
        )
        if table.num_rows != len(documents):
            raise pa.ArrowInvalid("rows and documents do not correspond")
        return table

    def _shape(self, document: bytes) -> pa.Schema:
        """Guess from one document which numbers are written as text, and the reverse, in its neighbours.

        A wrong guess costs time, never a value: Arrow refuses what does not fit it. Arrow also crashes
        where no document is an object, so the first has to be one.
        """
        try:
            values = json.loads(bytes(document))
        except (ValueError, RecursionError) as error:
            raise pa.ArrowInvalid("not JSON") from error
        if not isinstance(values, dict):
            raise pa.ArrowInvalid("not an object")
        fields = []
        for name, type_ in zip(self._schema.names, self._schema.types, strict=True):
            value = values.get(name)
            if pa.types.is_timestamp(type_) or (pa.types.is_integer(type_) and isinstance(value, str)):
                type_ = pa.string()
            elif pa.types.is_string(type_) and isinstance(value, int) and not isinstance(value, bool):
                type_ = pa.int64()
            fields.append((name, type_))
        return pa.schema(fields)

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


def _culprit(refusal: str, documents: Sequence[bytes]) -> int | None:
    """Return which document Arrow's message is about, where it tells.

    A wrong answer would cost time, never a value: an odd document is read value by value.
    """
    row = re.search(r"in row (\d+)$", refusal)
    if row is not None and int(row[1]) < len(documents):
        return int(row[1])
    value = re.search(r"couldn't parse:(\S+)$", refusal)
    if value is None:
        return None
    member = re.compile(rb":\s*" + re.escape(value[1].encode()) + rb"\s*[,}]")
    return next((i for i, document in enumerate(documents) if member.search(document)), None)


def _is_framed(line: bytes) -> bool:
    line = line.strip()
    return line.startswith(b"{") and line.endswith(b"}")


def _plain(type_: pa.DataType) -> pa.DataType:
    """Return the type in which a column is read: its own, but names as text, since Arrow's reader cannot encode."""
    return type_.value_type if pa.types.is_dictionary(type_) else type_
