"""Who asked: the columns that come from client addresses and Frontier ids, without personal data."""

from __future__ import annotations

import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.rawlogs.personal import FrontierId, Pseudonyms, parse_frontier_id
from frontierlab.rawlogs.squid.fields import NOTHING
from frontierlab.schema import NAME, TIME
from frontierlab.util.times import to_milliseconds

_WORKER = re.compile(r"kid\d{1,5}")
_PLACES = (
    re.compile(r"\A\S+ \S+ \S+(?= \[)"),  # client, ident and user before the time
    re.compile(r"(?<=\s)[^\s/]+(?=\s+[A-Z_]+/\d+\s)"),  # the client before the result of Squid's own format
    re.compile(r"(?<=\s)[^\s/]+(?=\s+[A-Z_]+/\S+\s+\S+\s*\Z)"),  # and the user before where the answer is from
    re.compile(r"(?<!\S)(?=[\w.-]*[A-Za-z])\w[\w-]*(?:\.[\w-]+)+(?!\S)"),  # names of hosts elsewhere
)
_NOBODY = FrontierId(NOTHING)
_JOB = r"^\[(?P<taskid>[0-9]{1,18})_(?P<pandaid>[0-9]{1,18})\]?(?: |$)"

__all__ = ["client_column", "identity_columns", "modified_column", "named", "scrubbed_line", "worker_column"]


def client_column(clients: pa.DictionaryArray, pseudonyms: Pseudonyms) -> pa.Array:
    """Return the clients, each replaced once."""
    return named(clients, pseudonyms.host)


def worker_column(idents: pa.DictionaryArray) -> pa.Array:
    """Return the worker process of each line, which is logged where the ident stands; everything else is dropped."""
    return named(idents, lambda text: text if text.startswith("kid") and text[3:].isdigit() else None)


def identity_columns(identities: pa.DictionaryArray, pseudonyms: Pseudonyms) -> dict[str, pa.Array]:
    """Return the columns ``taskid``, ``pandaid`` and ``agent`` of Frontier ids. Names of people are in none of them."""
    different = identities.dictionary
    jobs = pc.extract_regex(different, _JOB)  # nearly all: the others are taken apart one by one
    taskid, pandaid = (pc.cast(pc.struct_field(jobs, name), pa.int64()) for name in ("taskid", "pandaid"))
    texts = pc.if_else(jobs.is_null(), different, NOTHING).to_pylist()
    found = [_NOBODY if text == NOTHING else parse_frontier_id(text) for text in texts]
    agents = [None if one.agent == NOTHING or one.taskid else pseudonyms.scrubbed(one.agent) for one in found]
    columns = {
        "taskid": pc.coalesce(taskid, pa.array([one.taskid for one in found], pa.int64())),
        "pandaid": pc.coalesce(pandaid, pa.array([one.pandaid for one in found], pa.int64())),
        "agent": pa.array(agents, pa.string()).dictionary_encode().cast(NAME),
    }
    return {name: column.take(identities.indices) for name, column in columns.items()}


def modified_column(dates: pa.DictionaryArray) -> pa.Array:
    """Return the dates of If-Modified-Since; a text that is no date is null."""
    return pa.array([_moment(text) for text in dates.dictionary.to_pylist()], TIME).take(dates.indices)


def named(column: pa.DictionaryArray, name_of: Callable[[str], str | None]) -> pa.Array:
    """Return a column of names, each different text of `column` named once."""
    names = pa.array([name_of(text) for text in column.dictionary.to_pylist()], pa.string()).dictionary_encode()
    return names.take(column.indices).cast(NAME)


def scrubbed_line(line: str, pseudonyms: Pseudonyms) -> str:
    """Return a line that cannot be read with what looks personal replaced; clients and users also by their places."""
    if pseudonyms.keeps:
        return line
    for place in _PLACES:
        line = place.sub(lambda found: _hidden(found[0], pseudonyms), line)
    return pseudonyms.scrubbed(line)


def _hidden(words: str, pseudonyms: Pseudonyms) -> str:
    kept = (word if _WORKER.fullmatch(word) else pseudonyms.host(word) or "" for word in words.split(" "))
    return " ".join(kept)


def _moment(text: str) -> int | None:
    if text == NOTHING:
        return None
    try:
        found = parsedate_to_datetime(text.partition(";")[0])  # old clients write the length of the body behind it
        return to_milliseconds(found) if found.tzinfo is not None else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
