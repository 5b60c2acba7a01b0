"""From requests to rows: one row for each query that a request asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frontierlab.errors import RequestUrlError
from frontierlab.rawlogs.cool_columns import QueryReader
from frontierlab.rawlogs.request_urls import decode_request
from frontierlab.rawlogs.servlet.columns import EXTRA_FIELDS, FLAGS_OF, OUTCOMES, Outcome
from frontierlab.rawlogs.servlet.cutting import Scanner
from frontierlab.rawlogs.servlet.details import query_table
from frontierlab.rawlogs.servlet.failures import error_of, is_abort
from frontierlab.rawlogs.servlet.messages import ERRORS, Kind, bits, joined
from frontierlab.rawlogs.servlet.requests import Requests
from frontierlab.schema import NAME, TIME, arrow_schema, extra_columns

__all__ = ["LOG_SCHEMA", "Made", "RowMaker", "table_of"]

LOG_SCHEMA = arrow_schema(extra_columns(EXTRA_FIELDS))
"""The Arrow schema of the rows of servlet logs."""

_BEFORE_NAMES = pa.schema([field for field in LOG_SCHEMA if field.name != "nodetime"])
_WITHOUT_BODY = (
    Outcome.NOT_MODIFIED_CACHED,
    Outcome.NOT_MODIFIED,
    Outcome.REJECTED,
    Outcome.REFUSED,
    Outcome.NOT_ACQUIRED,
)
_OF_STARTS = ["servlet_version", "initthreads", "squid", "client", "asker", "taskid", "pandaid", "account"]
_NONE = -1
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Made:
    """Rows that were made of requests.

    Parameters
    ----------
    rows
        One row per query, with the columns of `LOG_SCHEMA` without ``nodetime``.
    requests
        Number of requests.
    left_out
        Requests or queries that are no rows, by reason.
    """

    rows: pa.Table
    requests: int
    left_out: Counter[str]

    @classmethod
    def none(cls) -> Made:
        """Return no rows."""
        return cls(_BEFORE_NAMES.empty_table(), 0, Counter())


class RowMaker:
    """Makes rows of the requests of one log.

    Parameters
    ----------
    scanner
        What read the messages: it knows the names of servers, zones and files.
    host
        The name of the machine whose log it is, for ``frontierserver``; None for the name in the lines.
    """

    def __init__(self, scanner: Scanner, host: str | None = None) -> None:
        self._scanner = scanner
        self._host = host
        self._queries = QueryReader()

    def make(self, requests: Requests) -> Made:
        """Return the rows of some requests, in their order."""
        if not len(requests):
            return Made.none()
        table = _Requests(requests)
        start_of = table.last(Kind.START, requests.messages.text)
        row_of, payload, asked, left_out = self._asked(table, start_of)
        measured = _Rows(table, row_of, payload).measured()
        columns = measured | self._of_requests(table, start_of, row_of)
        return Made(table_of(columns, asked), len(requests), left_out)

    def _asked(
        self, table: _Requests, start_of: Integers
    ) -> tuple[Integers, Integers, dict[str, pa.ChunkedArray], Counter[str]]:
        """Return for each row its request, its payload and what was asked; and what is no row."""
        messages = table.requests.messages
        which = np.flatnonzero(messages.kind == Kind.SQL)
        of, told = table.of[which], messages.queries.take(pa.array(messages.text[which]))
        place = np.arange(len(of)) - np.searchsorted(of, of)
        if len(of):  # without requests whose SQL lacks lines of the log
            kept = np.bincount(of, ~told["whole"].to_numpy(), len(table.requests))[of] == 0
            of, place, told = of[kept], place[kept], told.filter(pa.array(kept)).drop_columns("whole")
        left_out: Counter[str] = Counter()
        without = np.bincount(of, minlength=len(table.requests)) == 0
        found: list[tuple[int, int, bytes]] = []
        for number in np.flatnonzero(without).tolist():
            urls = _from_url(messages.starts, int(start_of[number]))
            found += [(number, count, query) for count, query in enumerate(urls)]
            left_out[table.without_query(number)] += not urls
        if found:
            of = np.append(of, [number for number, _, _ in found])
            place = np.append(place, [count for _, count, _ in found])
            texts = pa.array([sql for _, _, sql in found], pa.large_binary())
            told = joined([told, query_table(self._queries, texts)])
            order = np.argsort(of, kind="stable")
            of, place, told = of[order], place[order], told.take(pa.array(order))
        if not len(of):
            told = query_table(self._queries, pa.array([], pa.large_binary()))
        cool = told["cool"].to_numpy()
        left_out["not a query of COOL"] = int((~cool).sum())
        told = told.filter(pa.array(cool))
        return of[cool], place[cool], dict(zip(told.column_names, told.columns, strict=True)), +left_out

    def _of_requests(self, table: _Requests, start_of: Integers, row_of: Integers) -> dict[str, Any]:
        """Return the columns that all queries of a request share."""
        which = start_of[row_of]
        begun = which >= 0
        starts = table.requests.messages.starts
        told: dict[str, Any] = dict.fromkeys(_OF_STARTS, [None] * len(row_of))
        if starts.num_rows:
            rows = starts.select(_OF_STARTS).take(pa.array(which, mask=~begun))
            told = dict(zip(_OF_STARTS, rows.columns, strict=True))
        first = table.requests.first[:-1][row_of]
        messages = table.requests.messages
        servers, zones = self._scanner.servers, self._scanner.zones
        files = [str(file) for file in self._scanner.files]
        server = _named(servers, messages.server[first])
        stopped = table.has(Kind.STOP)[row_of]
        seen = np.where(begun, np.where(stopped, 0, 2), np.where(stopped, 1, 3))
        return {
            "frontierserver": server if self._host is None else [self._host] * len(row_of),
            "time": messages.time[first],
            "zone": _named(zones, messages.zone[first]),
            "utc_offset": messages.offset[first],
            "log": _named(files, messages.file[first]),
            "line": messages.line[first],
            "request_id": messages.request[first],
            "generation": table.requests.generation[row_of],
            "seen": _named(["whole", "no start", "no stop", "neither"], seen),
            **told,
            "taskname": [None] * len(row_of),
            "computingsite": [None] * len(row_of),
        }


class _Requests:
    """Requests, with what is asked of them more than once."""

    def __init__(self, requests: Requests) -> None:
        self.requests = requests
        self.of = requests.of
        self.kinds = requests.kinds

    def has(self, *kinds: Kind) -> NDArray[np.bool_]:
        """Whether each request has a message of one of these kinds."""
        found: NDArray[np.bool_] = np.not_equal(self.kinds & bits(*kinds), 0)
        return found

    def last(self, kind: Kind, values: Integers) -> Integers:
        """Return the value of the last message of a kind in each request; -1 without one."""
        found = np.full(len(self.requests), _NONE, np.int64)
        which = np.flatnonzero(self.requests.messages.kind == kind)
        found[self.of[which]] = values[which]
        return found

    def without_query(self, number: int) -> str:
        """Say why a request has no query."""
        kinds = int(self.kinds[number])
        for kind, reason in (
            (Kind.CERTIFICATE, "a request for a certificate"),
            (Kind.FILE, "a request for a file"),
            (Kind.INIT_ERROR, "a refused request without a query"),
        ):
            if kinds & (1 << kind):
                return reason
        return "a request whose query is not in the log"


class _Rows:
    """The rows, with what was measured for each."""

    def __init__(self, table: _Requests, row_of: Integers, payload: Integers) -> None:
        self._table, self._row_of, self._payload = table, row_of, payload
        messages = table.requests.messages
        # payloads are processed one after another, and each begins with the execution of its query
        begun = np.cumsum(messages.kind == Kind.EXECUTING)
        before = np.concatenate([[0], begun])[table.requests.first[:-1]]
        self._place = np.maximum(begun - before[table.of] - 1, 0)
        named = np.isin(messages.kind, (Kind.PROCESSING_ERROR, Kind.DISCONNECTED)) & (messages.first >= 0)
        single = np.bincount(table.of, messages.kind == Kind.SQL, len(table.requests))[table.of] < 2
        self._place[named & ~single] = messages.first[named & ~single]
        self._place[single] = 0
        self._row_number = self._numbered()

    def _numbered(self) -> Integers:
        """Return the row of each message's payload; -1 if there is none."""
        width = int(max(self._place.max(initial=0), self._payload.max(initial=0))) + 1
        keys = self._row_of * width + self._payload
        wanted = self._table.of * width + self._place
        if not len(keys):
            return np.full(len(wanted), _NONE, np.int64)
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[at] == wanted, at, _NONE)

    def _values(self, kind: Kind, values: Integers) -> Integers:
        """Return a value of the last message of a kind for each row's payload; -1 without one."""
        found = np.full(len(self._row_of), _NONE, np.int64)
        which = np.flatnonzero((self._table.requests.messages.kind == kind) & (self._row_number >= 0))
        found[self._row_number[which]] = values[which]
        return found

    def measured(self) -> dict[str, Any]:
        """Return outcome, flags, times and sizes."""
        table, messages = self._table, self._table.requests.messages
        outcome, error = self._outcomes()
        idle = np.isin(outcome, _WITHOUT_BODY)
        began = self._values(Kind.EXECUTING, messages.time)
        ended = self._values(Kind.FINISHED, messages.time)
        for kind in (Kind.PROCESSING_ERROR, Kind.DISCONNECTED):
            ended = np.where(ended < 0, self._values(kind, messages.time), ended)
        dbtime = self._values(Kind.FINISHED, messages.second)
        by_clock = (dbtime < 0) & (began >= 0) & (ended >= began)
        dbtime = np.where(by_clock, ended - began, dbtime)
        dbtime = np.where((dbtime < 0) & idle & (outcome != Outcome.NOT_MODIFIED), 0, dbtime)
        size = self._values(Kind.ROWS, messages.second)
        untold = np.isin(outcome, (Outcome.UNFINISHED, Outcome.UNKNOWN))
        of = self._row_of
        kept = messages.kind == Kind.KEEPALIVE
        return {
            "outcome": _named(OUTCOMES, outcome),
            "error": error,
            **{flag: pa.array(np.isin(outcome, told), mask=untold) for flag, told in FLAGS_OF.items()},
            "payload": self._payload,
            "querytime": _null(table.last(Kind.STOP, messages.second)[of]),
            "dbtime": _null(dbtime),
            "fsize": _null(np.where((size < 0) & idle, 0, size)),
            "rows": _null(self._values(Kind.ROWS, messages.first)),
            "transfer_ms": _null(self._values(Kind.TRANSFERRED, messages.second)),
            "acquire_ms": _null(table.last(Kind.ACQUIRED, messages.second)[of]),
            "active_connections": _null(table.last(Kind.ACQUIRED, messages.first)[of]),
            "keepalives": np.bincount(table.of, kept, len(table.requests)).astype(np.int64)[of],
        }

    def _outcomes(self) -> tuple[Integers, list[str | None]]:
        """Return the outcome of each row, and what failed. The first outcome that fits counts."""
        table, of = self._table, self._row_of
        error: list[str | None] = [None] * len(of)
        aborted, failed = np.zeros(len(of), bool), np.zeros(len(of), bool)
        earliest = np.full(len(table.requests), 2**30, np.int64)  # payload that failed, of each request
        messages = table.requests.messages
        errors = np.flatnonzero(np.isin(messages.kind, ERRORS))
        for k, text in zip(errors.tolist(), messages.texts_of(errors).to_pylist(), strict=True):
            kind = messages.kind[k]
            gone = kind == Kind.DISCONNECTED or (kind == Kind.PROCESSING_ERROR and is_abort(text))
            rows = [int(self._row_number[k])]
            if kind not in (Kind.PROCESSING_ERROR, Kind.DISCONNECTED):
                rows = self._rows_of(int(table.of[k]))
            else:
                earliest[table.of[k]] = min(earliest[table.of[k]], self._place[k])
                if rows[0] >= 0:
                    (aborted if gone else failed)[rows[0]] = True
            for row in rows:
                if row >= 0 and error[row] is None:
                    error[row] = error_of(text)
        answered = self._values(Kind.ROWS, messages.second) >= 0

        def has(*kinds: Kind) -> NDArray[np.bool_]:
            return table.has(*kinds)[of]

        conditions: list[tuple[Outcome, Any]] = [
            (Outcome.REJECTED, has(Kind.REJECTED)),
            (Outcome.REFUSED, has(Kind.INIT_ERROR)),
            (Outcome.NOT_MODIFIED_CACHED, has(Kind.NOT_MODIFIED_CACHED)),
            (Outcome.NOT_MODIFIED, has(Kind.NOT_MODIFIED)),
            (Outcome.DISCONNECTED, aborted),
            (Outcome.PROCESSING_ERROR, failed),
            (Outcome.NOT_ACQUIRED, has(Kind.ACQUIRE_ERROR) & ~answered),
            (Outcome.LAST_MODIFIED, has(Kind.TIME_ERROR, Kind.CACHED_TIME_ERROR) & ~answered),
            (Outcome.SERVED, answered),
            (Outcome.NOT_REACHED, self._payload > earliest[of]),
            (Outcome.INTERNAL_ERROR, has(Kind.INTERNAL_ERROR, Kind.FATAL)),
            (Outcome.UNFINISHED, ~has(Kind.STOP)),
        ]
        outcome = np.select([holds for _, holds in conditions], [one for one, _ in conditions], Outcome.UNKNOWN)
        for row in np.flatnonzero(np.isin(outcome, (Outcome.SERVED, Outcome.NOT_REACHED))).tolist():
            error[row] = None  # that of another payload, or one after the answer
        return outcome, error

    def _rows_of(self, request: int) -> list[int]:
        low, high = np.searchsorted(self._row_of, [request, request + 1])
        return list(range(int(low), int(high)))


def _from_url(starts: pa.Table, number: int) -> list[bytes]:
    """Return the SQL in the URL of a request whose SQL lines are missing or cut."""
    url = starts["url"][number].as_py() if number >= 0 else None
    if not url:
        return []
    try:
        request = decode_request(url.decode("ascii", "backslashreplace"))
    except RequestUrlError:
        return []
    return [sql.encode("utf-8", "surrogatepass") for sql in request.sql]


def table_of(columns: dict[str, Any], asked: dict[str, Any]) -> pa.Table:
    """Return rows from their columns, and from those of what was asked."""
    columns = columns | asked
    arrays = [_array(columns[field.name], field.type) for field in _BEFORE_NAMES]
    return pa.Table.from_arrays(arrays, schema=_BEFORE_NAMES)


def _named(names: Sequence[str], codes: Integers) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names, pa.string()))


def _null(values: Integers) -> pa.Array:
    """Return the values; negative ones are null."""
    return pa.array(values, mask=values < 0)


def _array(values: Any, type_: pa.DataType) -> pa.Array:
    """Return a column of its type."""
    if type_ == TIME:
        return pa.array(values, pa.int64()).cast(TIME)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        if type_ == NAME and not pa.types.is_dictionary(values.type):
            return values.dictionary_encode()
        return values if values.type == type_ else values.cast(type_)
    if type_ == NAME:
        return pa.array(values, pa.string()).dictionary_encode().cast(NAME)
    return pa.array(values, type_)
