"""The columns that rows of servlet logs have beyond those of `frontierlab.schema.COLUMNS`."""

from __future__ import annotations

__all__ = ["EXTRA_FIELDS", "FLAGS_OF", "OUTCOMES", "Outcome"]

from enum import IntEnum


class Outcome(IntEnum):
    """What became of a query; `OUTCOMES` has the names that rows have."""

    SERVED = 0
    NOT_MODIFIED_CACHED = 1
    NOT_MODIFIED = 2
    REJECTED = 3
    DISCONNECTED = 4
    PROCESSING_ERROR = 5
    NOT_ACQUIRED = 6
    LAST_MODIFIED = 7
    REFUSED = 8
    INTERNAL_ERROR = 9
    NOT_REACHED = 10
    UNFINISHED = 11
    UNKNOWN = 12


OUTCOMES: tuple[str, ...] = (
    "served",
    "not modified (cached)",
    "not modified (database)",
    "rejected",
    "disconnected",
    "processing error",
    "database not acquired",
    "last-modified time failed",
    "refused",
    "internal error",
    "not reached",
    "unfinished",
    "unknown",
)
"""The names of outcomes, in the order of `Outcome`.

``not modified (database)`` asked Oracle for the date of the tables alone. ``not reached`` is a payload behind one that
failed. ``unfinished`` has neither an answer nor a stop: the servlet died, or the log ends. ``unknown`` stopped without
a line that tells its outcome.
"""

FLAGS_OF: dict[str, tuple[Outcome, ...]] = {
    "cached": (Outcome.NOT_MODIFIED_CACHED,),
    "disconn": (Outcome.DISCONNECTED,),
    "rejected": (Outcome.REJECTED,),
    "procerror": (
        Outcome.PROCESSING_ERROR,
        Outcome.NOT_ACQUIRED,
        Outcome.LAST_MODIFIED,
        Outcome.REFUSED,
        Outcome.INTERNAL_ERROR,
        Outcome.NOT_REACHED,
    ),
}
"""The outcomes for which a flag of the row is true.

Only the first outcome of ``procerror`` is what Elasticsearch is known to flag so. The others are failures too, and
would count as answers without a flag; the column ``outcome`` tells them apart. All flags of ``unfinished`` and
``unknown`` are null.
"""

EXTRA_FIELDS: dict[str, str | None] = {
    "outcome": "name",
    "error": "name",
    "servlet_version": "name",
    "request_id": "integer",
    "generation": "integer",
    "payload": "integer",
    "channel": "integer",
    "fingerprint": "name",
    "rows": "integer",
    "acquire_ms": "integer",
    "transfer_ms": "integer",
    "active_connections": "integer",
    "keepalives": "integer",
    "seen": "name",
    "asker": "name",
    "account": "name",
    "client": "name",
    "zone": "name",
    "utc_offset": "integer",
    "log": "name",
    "line": "integer",
}
"""The further columns and their types, as ``extra_fields`` of a request.

``error``: the number of Oracle's error, or the class of the exception. ``request_id``, ``generation``: with the server
and the log, the key of the request. ``payload``: its number within the request, from 0. ``rows``: of the answer.
``acquire_ms``: waiting for a connection; ``transfer_ms``: fetching and encoding. ``seen``: ``whole``, ``no start``,
``no stop`` or ``neither``. ``asker``: ``task``, or who asked instead, such as ``varnish``. ``account`` and ``client``
are hashes. ``utc_offset``: minutes that the log's ``zone`` was ahead of UTC. ``log``, ``line``: where the request
begins.
"""
