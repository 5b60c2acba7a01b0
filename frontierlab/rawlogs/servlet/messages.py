"""The messages of the servlet: how each begins, and what it means for its request.

Every release of the servlet since 3.1 prints some of these; `Kind` has one name for all wordings of a message. The
wordings were read in the servlet's source.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["AFTER_STOP", "Kind", "PREFIXES", "WITH_TEXT", "WITH_TRACE", "bits", "kind_of"]


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

WITH_TRACE = (
    Kind.PROCESSING_ERROR,
    Kind.DISCONNECTED,
    Kind.ACQUIRE_ERROR,
    Kind.CACHED_TIME_ERROR,
    Kind.TIME_ERROR,
    Kind.INIT_ERROR,
    Kind.INTERNAL_ERROR,
    Kind.FATAL,
    Kind.NOTE,
    Kind.LATE,
)
"""Messages that further lines may belong to, up to an empty line: a stack trace, or a text of Oracle."""

WITH_TEXT = (
    Kind.START,
    Kind.SQL,
    Kind.PROCESSING_ERROR,
    Kind.DISCONNECTED,
    Kind.ACQUIRE_ERROR,
    Kind.CACHED_TIME_ERROR,
    Kind.TIME_ERROR,
    Kind.INIT_ERROR,
    Kind.INTERNAL_ERROR,
    Kind.FATAL,
    Kind.INITIALIZING,
)
"""Messages whose text is read; of the others the kind and the numbers are enough."""


def kind_of(message: bytes) -> Kind:
    """Return the kind of a message."""
    return next((kind for prefix, kind in PREFIXES if message.startswith(prefix)), Kind.OTHER)


def bits(*kinds: Kind) -> int:
    """Return the integer that stands for a set of kinds."""
    return sum(1 << kind for kind in kinds)
