"""Who asked: the columns that come from client addresses and Frontier ids, without personal data."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import numpy as np
import pyarrow as pa

from frontierlab.rawlogs.personal import Pseudonyms, parse_frontier_id
from frontierlab.rawlogs.squid.fields import NOTHING
from frontierlab.schema import NAME, TIME
from frontierlab.util.times import to_milliseconds

__all__ = ["client_column", "identity_columns", "modified_column", "named", "worker_column"]


def client_column(clients: pa.Array, pseudonyms: Pseudonyms) -> pa.Array:
    """Return the clients, each replaced once."""
    return named(clients, [pseudonyms.host(text) for text in _different(clients)])


def worker_column(idents: pa.Array) -> pa.Array:
    """Return the worker process of each line, which is logged where the ident stands; everything else is dropped."""
    texts = _different(idents)
    return named(idents, [text if text.startswith("kid") and text[3:].isdigit() else None for text in texts])


def identity_columns(identities: pa.Array, pseudonyms: Pseudonyms) -> dict[str, pa.Array]:
    """Return the columns ``taskid``, ``pandaid`` and ``agent`` of Frontier ids. Names of people are in none of them."""
    encoded = identities.dictionary_encode()
    found = [None if text == NOTHING else parse_frontier_id(text) for text in encoded.dictionary.to_pylist()]
    agents = [None if one is None or one.taskid is not None else pseudonyms.scrubbed(one.agent) for one in found]
    return {
        "taskid": pa.array([one and one.taskid for one in found], pa.int64()).take(encoded.indices),
        "pandaid": pa.array([one and one.pandaid for one in found], pa.int64()).take(encoded.indices),
        "agent": named(identities, agents),
    }


def modified_column(dates: pa.Array) -> pa.Array:
    """Return the dates of If-Modified-Since; a text that is no date is null."""
    encoded = dates.dictionary_encode()
    return pa.array([_moment(text) for text in encoded.dictionary.to_pylist()], TIME).take(encoded.indices)


def named(column: pa.Array, names: list[str | None]) -> pa.Array:
    """Return a column of names: `names` has the one of each different text of `column`, in order of appearance."""
    indices = np.asarray(column.dictionary_encode().indices)
    encoded = pa.array(names, pa.string()).dictionary_encode()
    return encoded.take(pa.array(indices)).cast(NAME)


def _different(column: pa.Array) -> list[str]:
    texts: list[str] = column.dictionary_encode().dictionary.to_pylist()
    return texts


def _moment(text: str) -> int | None:
    if text == NOTHING:
        return None
    try:
        found = parsedate_to_datetime(text.partition(";")[0])  # old clients write the length of the body behind it
        return to_milliseconds(found) if found.tzinfo is not None else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
