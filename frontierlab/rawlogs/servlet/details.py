"""What start lines and SQL say, as tables: one row for each such message."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frontierlab.rawlogs.cool_columns import QueryReader
from frontierlab.rawlogs.personal import Pseudonyms
from frontierlab.rawlogs.servlet.messages import Kind
from frontierlab.rawlogs.servlet.starts import StartReader
from frontierlab.rawlogs.texts import Texts

__all__ = ["DetailReader", "query_table"]

Integers = NDArray[np.int64]
_SQL = b"SQL ["


class DetailReader:
    """Reads start lines and SQL; remembers what it has read before.

    Parameters
    ----------
    pseudonyms
        What replaces personal data.
    """

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._starts = StartReader(pseudonyms)
        self._queries = QueryReader()

    def read(
        self,
        data: bytes | bytearray,
        at: Integers,
        ends: Integers,
        kind: Integers,
        server: Integers,
        request: Integers,
    ) -> tuple[pa.Table, pa.Table]:
        """Return what start lines say, and what SQL asks for.

        Parameters
        ----------
        data
            The bytes of a block, and `PADDING` others.
        at, ends, kind, server, request
            Of each of its messages: where it begins and ends, its kind, the number of its server, and its id.

        Returns
        -------
        starts
            The columns of `StartReader.read_all`, and ``url``: the query string or path, where it may be needed because
            the SQL is not certain to be in the log; null otherwise.
        queries
            As `query_table`, and ``whole``: whether the SQL ends as it should.
        """
        starts = np.flatnonzero(kind == Kind.START)
        sql = np.flatnonzero(kind == Kind.SQL)
        whole = np.frombuffer(data, np.uint8)[np.maximum(ends[sql] - 1, 0)] == ord("]")
        texts = Texts(data, at[starts], ends[starts])
        columns = self._starts.read_all(texts)
        needed = ~_with_sql(kind, server, request, sql[~whole])[starts]
        columns["url"] = self._urls(texts, needed)
        texts = Texts(data, at[sql] + len(_SQL), np.where(whole, ends[sql] - 1, ends[sql]))
        queries = query_table(self._queries, texts)
        return pa.table(columns), queries.append_column("whole", pa.array(whole))

    def _urls(self, texts: Texts, needed: NDArray[np.bool_]) -> pa.Array:
        urls = [self._starts.url(texts[number]) for number in np.flatnonzero(needed).tolist()]
        places = np.cumsum(needed) - 1
        return pa.array(urls, pa.large_binary()).take(pa.array(places, mask=~needed))


def query_table(reader: QueryReader, texts: pa.LargeBinaryArray | Texts) -> pa.Table:
    """Return what SQL texts ask for: the columns of `AskedAll.columns`, and ``cool``: whether it is a query of COOL."""
    asked = reader.read_all(texts)
    return pa.table(asked.columns() | {"cool": pa.array(asked.cool)})


def _with_sql(kind: Integers, server: Integers, request: Integers, broken: Integers) -> NDArray[np.bool_]:
    """Whether messages are starts of requests that stop in this block, and whose SQL is all there."""
    rows = np.flatnonzero((kind == Kind.START) | (kind == Kind.SQL) | (kind == Kind.STOP))
    rows = rows[np.lexsort((rows, request[rows], server[rows]))]
    begins = np.flatnonzero(kind[rows] == Kind.START)
    complete = np.zeros(len(kind), bool)
    if not len(begins):
        return complete
    is_broken = np.zeros(len(kind), bool)
    is_broken[broken] = True
    of = np.cumsum(kind[rows] == Kind.START) - 1
    inside = of >= 0  # from a start up to the next one, or to the next request
    first = rows[begins[of[inside]]]
    inside[inside] = (request[rows[inside]] == request[first]) & (server[rows[inside]] == server[first])
    behind = np.minimum(begins + 1, len(rows) - 1)
    followed = inside[behind] & (kind[rows[behind]] == Kind.SQL)

    def count(which: NDArray[np.bool_]) -> Integers:
        return np.bincount(of[inside & which], minlength=len(begins))

    complete[rows[begins]] = followed & (count(kind[rows] == Kind.STOP) > 0) & (count(is_broken[rows]) == 0)
    return complete
