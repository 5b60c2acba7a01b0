"""From fields of lines to rows: which requests are Frontier's, what they asked, who asked, what the Squid did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from frontierlab.rawlogs.personal import Pseudonyms
from frontierlab.rawlogs.squid.asked import Asked
from frontierlab.rawlogs.squid.clock import Clock
from frontierlab.rawlogs.squid.columns import SQUID_SCHEMA
from frontierlab.rawlogs.squid.fields import FIELDS, NOTHING, compacted, mask_of
from frontierlab.rawlogs.squid.identities import (
    client_column,
    identity_columns,
    modified_column,
    worker_column,
)
from frontierlab.rawlogs.squid.results import read_result
from frontierlab.schema import NAME, TIME

__all__ = ["Answers", "dated", "read_answers"]

_OTHERS = (("/cvmfs/", "cvmfs"), ("cache_object:", "manager"), ("/squid-internal-", "manager"))


@dataclass(frozen=True)
class Answers:
    """The answers of a block of lines.

    Parameters
    ----------
    rows
        The answers to requests for Frontier: the columns of `columns.SQUID_SCHEMA` but those of time, place and line,
        and ``local_ms``, ``zone`` and ``number`` (of the line in its block, from 0).
    others
        Numbers of the other lines, by what they are.
    results, unknown_results, unreadable, unknown
        Numbers of rows, as in `facts.SquidFacts`.
    without_task
        Number of rows without a task.
    """

    rows: pa.Table
    others: Counter[str] = field(default_factory=Counter)
    results: Counter[str] = field(default_factory=Counter)
    unknown_results: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    without_task: int = 0


def read_answers(tables: Sequence[pa.Table], asked: Asked, pseudonyms: Pseudonyms) -> Answers:
    """Return the answers among lines that were read, in the order of the lines.

    Parameters
    ----------
    tables
        Lines of a block, with the columns of `fields.FIELDS`.
    asked
        Decodes requests, each different one once.
    pseudonyms
        What replaces personal data.
    """
    if len(tables) == 1:
        return _answers(tables[0], asked, pseudonyms)
    fields = pa.concat_tables([FIELDS.empty_table(), *tables]).unify_dictionaries().combine_chunks()
    return _answers(fields.take(pc.sort_indices(fields["number"])), asked, pseudonyms)


def _answers(fields: pa.Table, asked: Asked, pseudonyms: Pseudonyms) -> Answers:
    fields = compacted(fields)
    mine, urls, others = _frontiers(fields)
    rows = fields.drop_columns(["url"])
    rows = compacted(rows.filter(pa.array(mine))) if not mine.all() else rows
    column = {name: _whole(rows[name]) for name in rows.column_names}
    requests = asked.columns(urls)
    who = identity_columns(column["identity"], pseudonyms)
    did, results, unknown = _results(column["tag"])
    values: dict[str, pa.Array] = {
        **{name: column[name] for name in ("number", "local_ms", "zone", "status", "wire_bytes", "duration_ms")},
        **requests.columns,
        **who,
        **did,
        "worker": worker_column(column["ident"]),
        "client": client_column(column["client"], pseudonyms),
        "method": column["method"].cast(NAME),
        "modified_since": modified_column(column["modified_since"]),
    }
    counted = (others, results, unknown, requests.unreadable, requests.unknown)
    return Answers(pa.table(values), *counted, values["taskid"].null_count)


def dated(answers: Answers, clock: Clock, place: Mapping[str, str | None], first: int) -> pa.Table:
    """Return rows with the columns of `columns.SQUID_SCHEMA`.

    Parameters
    ----------
    answers
        The answers of a block of lines. Blocks of a file are given in order.
    clock
        The clock of the file.
    place
        The columns ``squid``, ``computingsite`` and ``file``, which are the same for all rows.
    first
        The number of the first line of the block in its file.
    """
    rows = answers.rows
    ends = clock.to_utc(np.asarray(_whole(rows["local_ms"])), _whole(rows["zone"]))
    starts = ends - np.asarray(_whole(rows["duration_ms"]))
    columns = {name: rows[name] for name in rows.column_names}
    columns |= {"time": pa.array(starts).cast(TIME), "end_time": pa.array(ends).cast(TIME)}
    columns |= {"line": pa.array(np.asarray(_whole(rows["number"])) + first)}
    zeros = pa.array(np.zeros(rows.num_rows, dtype=np.int32))
    for name, value in place.items():
        known = pa.DictionaryArray.from_arrays(zeros, pa.array([value or ""]))
        columns[name] = known if value is not None else pa.nulls(rows.num_rows, NAME)
    return pa.table([columns[name] for name in SQUID_SCHEMA.names], schema=SQUID_SCHEMA)


def _frontiers(fields: pa.Table) -> tuple[NDArray[np.bool_], pa.DictionaryArray, Counter[str]]:
    """Return which lines are requests for Frontier, their URLs, and the numbers of the others by what they are."""
    url, identity = _whole(fields["url"]), _whole(fields["identity"])
    places, different = np.asarray(url.indices), url.dictionary
    named_so = mask_of(pc.match_substring_regex(different, r"[/?&]type=(frontier_|cert_request)"))
    mine = named_so[places] | mask_of(pc.not_equal(identity.dictionary, NOTHING))[np.asarray(identity.indices)]
    if mine.all():
        return mine, url, Counter()
    used, again = np.unique(places[mine], return_inverse=True)
    urls = pa.DictionaryArray.from_arrays(pa.array(again.astype(np.int32)), different.take(pa.array(used)))
    left = pa.array(~mine)
    methods = _whole(fields["method"]).filter(left).dictionary_decode()
    return mine, urls, _kinds(different.take(url.indices.filter(left)), methods)


def _kinds(urls: pa.Array, methods: pa.Array) -> Counter[str]:
    """Return the numbers of requests that are not Frontier's, by what they are."""
    found: Counter[str] = Counter()
    left = mask_of(pc.not_equal(methods, "CONNECT"))
    found["tunnel"] = len(left) - int(left.sum())
    for part, kind in _OTHERS:
        these = left & mask_of(pc.match_substring(urls, part))
        found[kind] += int(these.sum())
        left &= ~these
    found["other"] = int(left.sum())
    return +found


def _results(tags: pa.DictionaryArray) -> tuple[dict[str, pa.Array], Counter[str], Counter[str]]:
    """Return the columns of what the Squid did, and the numbers of results: all, and the unknown ones."""
    found = [read_result(*text.split(":", 1)) for text in tags.dictionary.to_pylist()]
    counts = np.bincount(np.asarray(tags.indices), minlength=len(found)).tolist()
    results: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    for one, count in zip(found, counts, strict=True):
        results[one.result] += count
        if one.result_class == "unknown":
            unknown[one.result] += count
    columns: dict[str, pa.Array] = {
        name: pa.array([getattr(one, name) for one in found], pa.string())
        .dictionary_encode()
        .take(tags.indices)
        .cast(NAME)
        for name in ("result", "result_class", "ending", "hierarchy", "peer")
    }
    for name in ("collapsed", "squid_hit", "sent_on"):
        columns[name] = pa.array([getattr(one, name) for one in found], pa.bool_()).take(tags.indices)
    return columns, results, unknown


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
