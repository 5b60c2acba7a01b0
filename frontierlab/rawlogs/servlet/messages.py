"""The messages of the servlet: how each begins, and what it means for its request.

Every release of the servlet since 3.1 prints some of these; `Kind` has one name for all wordings of a message. The
wordings were read in the servlet's source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = [
    "AFTER_STOP",
    "ERRORS",
    "Kind",
    "Messages",
    "PREFIXES",
    "WITH_TEXT",
    "WITH_TRACE",
    "bits",
    "joined",
    "kind_of",
]

Integers = NDArray[np.int64]


class Kind(IntEnum):
    """What a message says. The values are below 63, so that a set of kinds fits into an integer."""

    OTHER = 0
    """A message without meaning for the figures, such as those of higher verbosity."""
    START = 1
    SQL = 2
    NOT_MODIFIED_CACHED = 3
    REJECTED = 4
    ACQUIRED = 5
    NOT_MODIFIED = 6
    EXECUTING = 7
    FINISHED = 8
    TRANSFERRED = 9
    ROWS = 10
    STOP = 11
    PROCESSING_ERROR = 12
    DISCONNECTED = 13
    ACQUIRE_ERROR = 14
    CACHED_TIME_ERROR = 15
    TIME_ERROR = 16
    INIT_ERROR = 17
    INTERNAL_ERROR = 18
    KEEPALIVE = 19
    EMPTY = 20
    CERTIFICATE = 21
    FILE = 22
    NOTE = 23
    """Trouble that did not decide the answer."""
    FATAL = 24
    LATE = 25
    """What may follow after the request has stopped."""
    INITIALIZING = 26
    SERVER = 27
    """What the servlet says of itself when it begins."""
    GIVEN_DATE = 28
    """The client gave the date of its copy."""
    PRECOMMITTED = 29


PREFIXES: tuple[tuple[bytes, Kind], ...] = (
    (b"servlet_version:", Kind.START),
    (b"SQL [", Kind.SQL),
    (b"not modified (cached)", Kind.NOT_MODIFIED_CACHED),
    (b"not modified", Kind.NOT_MODIFIED),
    (b"rejecting because servlet too busy", Kind.REJECTED),
    (b"DB connection acquired", Kind.ACQUIRED),
    (b"DB mgr connection acquired", Kind.ACQUIRED),
    (b"Executing DB query", Kind.EXECUTING),
    (b"DB query finished", Kind.FINISHED),
    (b"DB data transferred", Kind.TRANSFERRED),
    (b"rows=", Kind.ROWS),
    (b"stop threads", Kind.STOP),
    (b"Error while processing payload", Kind.PROCESSING_ERROR),
    (b"Client disconnected while processing payload", Kind.DISCONNECTED),
    (b"Error acquiring database", Kind.ACQUIRE_ERROR),
    (b"Error getting cached last-modified time", Kind.CACHED_TIME_ERROR),
    (b"Error getting last-modified time", Kind.TIME_ERROR),
    (b"Error initializing Frontier object", Kind.INIT_ERROR),
    (b"Internal Error: MUST NEVER HAPPEN HERE!", Kind.INTERNAL_ERROR),
    (b"DB acquire", Kind.KEEPALIVE),
    (b"DB execute", Kind.KEEPALIVE),
    (b"DB mgr acquire", Kind.KEEPALIVE),
    (b"DB mgr execute", Kind.KEEPALIVE),
    (b"empty response", Kind.EMPTY),
    (b"cert size=", Kind.CERTIFICATE),
    (b"Reading file", Kind.FILE),
    (b"Reading url", Kind.FILE),
    (b"Reading ", Kind.FILE),
    (b"Content-Length: ", Kind.FILE),
    (b"Data ready length", Kind.FILE),
    (b"Cannot read path", Kind.FILE),
    (b"Error closing ", Kind.NOTE),
    (b"Error releasing DB connection", Kind.NOTE),
    (b"Error in nonXmlResponse", Kind.NOTE),
    (b"Error is ignored in ResponseFormat", Kind.NOTE),
    (b"don't know how to query timestamp", Kind.NOTE),
    (b"too late to affect header", Kind.NOTE),
    (b"FATAL ERROR:", Kind.FATAL),
    (b"Touching ", Kind.LATE),
    (b"Ignoring error with touch", Kind.LATE),
    (b"closing immediately", Kind.LATE),
    (b"Initializing Frontier servlet version", Kind.INITIALIZING),
    (b"if-modified-since:", Kind.GIVEN_DATE),
    (b"response was precommitted", Kind.PRECOMMITTED),
    (b"response committed", Kind.NOTE),
)
"""How messages begin; the first one that fits counts."""

AFTER_STOP = (Kind.FATAL, Kind.LATE)
"""Messages that may follow after a request has stopped."""

ERRORS = (
    Kind.PROCESSING_ERROR,
    Kind.DISCONNECTED,
    Kind.ACQUIRE_ERROR,
    Kind.CACHED_TIME_ERROR,
    Kind.TIME_ERROR,
    Kind.INIT_ERROR,
    Kind.INTERNAL_ERROR,
    Kind.FATAL,
)
"""Messages that tell of a failure."""

WITH_TRACE = (*ERRORS, Kind.NOTE, Kind.LATE)
"""Messages that further lines may belong to, up to an empty line: a stack trace, or a text of Oracle."""

WITH_TEXT = (*ERRORS, Kind.INITIALIZING)
"""Messages whose text is kept. Starts and SQL are read at once; of the others the kind and the numbers are enough."""


def kind_of(message: bytes) -> Kind:
    """Return the kind of a message."""
    return next((kind for prefix, kind in PREFIXES if message.startswith(prefix)), Kind.OTHER)


def bits(*kinds: Kind) -> int:
    """Return the integer that stands for a set of kinds."""
    return sum(1 << kind for kind in kinds)


@dataclass
class Messages:
    """Messages of a log, in the order of its lines; all arrays have one entry per message.

    Parameters
    ----------
    place
        The number of the message's line among all lines of the log, from 0.
    file, line
        The number of its file in the log, and of its first line there, from 1.
    server
        The number of the server's name.
    request
        The id of the request; -1 if the servlet itself says it.
    time, offset
        UTC in milliseconds since the epoch; and minutes that the log's zone was ahead of UTC.
    zone
        The number of the zone's name.
    kind
        A `Kind`.
    first, second
        Numbers in the message; -1 if there is none: of a start and a stop the threads, and of a stop the ms; of rows
        the rows and their size; of an acquired connection the active ones and the ms; of a finished query and of
        transferred data the ms; of an error the number of the payload.
    text
        The number of what the message says beyond that: of a start among the `starts`, of SQL among the `queries`, of
        any other message among the `texts`.
    texts
        Texts with their further lines, if a message is `WITH_TEXT`; an empty one for the others.
    starts, queries
        What start lines and SQL say, as `frontierlab.rawlogs.servlet.details` reads them.
    """

    place: Integers
    file: Integers
    line: Integers
    server: Integers
    request: Integers
    time: Integers
    offset: Integers
    zone: Integers
    kind: Integers
    first: Integers
    second: Integers
    text: Integers
    texts: pa.LargeBinaryArray
    starts: pa.Table
    queries: pa.Table

    def __len__(self) -> int:
        return len(self.place)

    def take(self, which: NDArray[Any]) -> Messages:
        """Return some of the messages: those that a mask or a list of numbers names."""
        return replace(self, **{name: getattr(self, name)[which] for name in _COLUMNS})

    def texts_of(self, which: NDArray[Any]) -> pa.LargeBinaryArray:
        """Return the texts of some of the messages, none of them a start or SQL."""
        return self.texts.take(pa.array(self.text[which]))

    def compact(self) -> Messages:
        """Return the same messages without what others say."""
        parts, text = {}, self.text.copy()
        for name, rows in self._parts():
            parts[name] = getattr(self, name).take(pa.array(self.text[rows]))
            text[rows] = np.arange(len(rows))
        return replace(self, text=text, **parts)

    def _parts(self) -> list[tuple[str, Integers]]:
        """Return the numbers of the messages of which `texts`, `starts` and `queries` say more."""
        return [
            ("starts", np.flatnonzero(self.kind == Kind.START)),
            ("queries", np.flatnonzero(self.kind == Kind.SQL)),
            ("texts", np.flatnonzero((self.kind != Kind.START) & (self.kind != Kind.SQL))),
        ]

    def as_table(self) -> pa.Table:
        """Return the messages as a table, to be stored."""
        table = pa.table({name: getattr(self, name) for name in _COLUMNS if name != "text"})
        for part, rows in self._parts():
            told = np.zeros(len(self), bool)
            told[rows] = True
            of = getattr(self, part).take(pa.array(self.text, mask=~told))
            for name, column in [("text", of)] if part == "texts" else zip(of.column_names, of.columns, strict=True):
                table = table.append_column(f"{part}.{name}", column)
        return table

    @classmethod
    def of_table(cls, table: pa.Table) -> Messages:
        """Return the messages of a table that `as_table` made."""
        columns: dict[str, Any] = {name: table[name].to_numpy() for name in _COLUMNS if name != "text"}
        found = replace(cls.empty(), **columns, text=np.zeros(table.num_rows, np.int64))
        parts: dict[str, Any] = {}
        for part, rows in found._parts():
            names = [name for name in table.column_names if name.startswith(f"{part}.")]
            of = table.select(names).take(pa.array(rows)).rename_columns([name.partition(".")[2] for name in names])
            parts[part] = pa.concat_arrays([cls.empty().texts, *of["text"].chunks]) if part == "texts" else of
            found.text[rows] = np.arange(len(rows))
        return replace(found, **parts)

    @classmethod
    def empty(cls) -> Messages:
        """Return no messages."""
        columns: dict[str, Any] = {name: np.zeros(0, np.int64) for name in _COLUMNS}
        return cls(**columns, texts=pa.array([], pa.large_binary()), starts=pa.table({}), queries=pa.table({}))

    @classmethod
    def together(cls, several: Sequence[Messages]) -> Messages:
        """Return all messages, in their order."""
        some = [one for one in several if len(one)]
        if len(some) < 2:
            return some[0] if some else cls.empty()
        columns: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in some]) for name in _COLUMNS}
        place, before = 0, {"texts": 0, "starts": 0, "queries": 0}
        for one in some:
            for name, rows in one._parts():
                columns["text"][place + rows] += before[name]
            place += len(one)
            before = {name: count + len(getattr(one, name)) for name, count in before.items()}
        return cls(
            **columns,
            texts=pa.concat_arrays([one.texts for one in some]),
            starts=joined([one.starts for one in some]),
            queries=joined([one.queries for one in some]),
        )


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the rows of tables with the same columns, in one piece; those without rows may have no columns."""
    some = [one for one in tables if one.num_rows]
    if len(some) < 2:
        return some[0] if some else tables[0]
    return pa.concat_tables(some).unify_dictionaries().combine_chunks()


_COLUMNS = [one.name for one in fields(Messages) if one.type == "Integers"]
