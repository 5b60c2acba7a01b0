"""What requests asked for: columns from URLs, each different URL decoded once."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from frontierlab.catalogue import Catalogue
from frontierlab.errors import RequestUrlError
from frontierlab.rawlogs.cool_sql import CoolReader
from frontierlab.rawlogs.request_urls import decode_request
from frontierlab.rawlogs.sql_text import sql_hash
from frontierlab.schema import MISSING_IOV, NAME

__all__ = ["Asked", "Requests"]

_REMEMBERED = 200_000  # URLs, of about 500 bytes each: random URLs must not fill the memory
_COMPLETED = ("db", "schema", "node_id", "nodefullpath", "tag_id", "tagname")
_SCHEMA = pa.schema(
    [
        ("request", pa.string()),
        ("db", pa.string()),
        ("schema", pa.string()),
        ("node_id", pa.int64()),
        ("nodefullpath", pa.string()),
        ("tag_id", pa.int64()),
        ("tagname", pa.string()),
        ("since", pa.int64()),
        ("until", pa.int64()),
        ("payload", pa.bool_()),
        ("sqlhash", pa.int64()),
        ("query_shape", pa.int64()),
        ("cache_key", pa.int64()),
    ]
)
_NAMES = ("request", "db", "schema", "nodefullpath", "nodetime", "tagname")


class Requests(NamedTuple):
    """What requests asked for: the columns, and the number of unreadable ones by reason."""

    columns: dict[str, pa.Array]
    unreadable: Counter[str]


class Asked:
    """Decodes requests, each different one once; several threads may use it.

    Parameters
    ----------
    catalogue
        What names folders and tags; None leaves them with the numbers and names of the queries.
    """

    def __init__(self, catalogue: Catalogue | None) -> None:
        self._catalogue = catalogue
        self._cool = CoolReader()
        self._known: dict[bytes, tuple[tuple[Any, ...], str | None]] = {}

    def columns(self, urls: pa.Array) -> Requests:
        """Return the columns of requests, from ``request`` to ``cache_key`` in `columns.SQUID_COLUMNS`."""
        encoded = urls.dictionary_encode()
        found = [self._read(url) for url in encoded.dictionary.to_pylist()]
        rows = [dict(zip(_SCHEMA.names, row, strict=True)) for row, _ in found]
        different = pa.Table.from_pylist(rows, schema=_SCHEMA)
        nodetime = pa.nulls(len(rows), pa.string())
        if self._catalogue is not None:
            different, nodetime = _completed(different, self._catalogue)
        values = {name: different[name].combine_chunks() for name in _SCHEMA.names} | {"nodetime": nodetime}
        for name in _NAMES:
            one = values[name] if pa.types.is_dictionary(values[name].type) else values[name].dictionary_encode()
            values[name] = one.cast(NAME)
        counts = np.bincount(np.asarray(encoded.indices), minlength=len(found)).tolist()
        unreadable: Counter[str] = Counter()
        for (_, refused), count in zip(found, counts, strict=True):
            if refused is not None:
                unreadable[refused] += count
        return Requests({name: column.take(encoded.indices) for name, column in values.items()}, unreadable)

    def _read(self, url: str) -> tuple[tuple[Any, ...], str | None]:
        digest = blake2b(url.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        known = self._known.get(digest)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            key = int.from_bytes(digest[:8], "big", signed=True)
            known = self._known[digest] = self._decode(url, key)
        return known

    def _decode(self, url: str, key: int) -> tuple[tuple[Any, ...], str | None]:
        """Return the values of the columns, and why the request cannot be decoded."""
        try:
            payload = decode_request(url).payloads[0]  # COOL sends one a request
        except RequestUrlError:
            return _nothing("unreadable", key), "the URL has no parameters: it may have been cut at its question mark"
        if payload.refused is not None:
            return _nothing("unreadable", key), payload.refused
        if payload.kind != "sql" or payload.text is None:
            return _nothing(payload.kind, key), None
        query, hash_ = self._cool.read(payload.text), sql_hash(payload.text)
        if not query.is_cool:
            return _nothing("sql", key, hash_), None
        shape = sql_hash(repr((query.fingerprint, query.tag_ids, query.tag_name, query.channels, query.folder)))
        given = query.since is not None and query.until is not None
        return (
            "sql",
            query.instance,
            query.schema,
            query.folder,
            query.node,
            query.tag_id,
            query.tag_name,
            query.since if given else MISSING_IOV,
            query.until if given else MISSING_IOV,
            query.asks_payload,
            hash_,
            shape,
            key,
        ), None


def _nothing(request: str, key: int, hash_: int | None = None) -> tuple[Any, ...]:
    """Return the values of a request that is no COOL query."""
    return (request, *[None] * 6, MISSING_IOV, MISSING_IOV, None, hash_, hash_, key)


def _completed(rows: pa.Table, catalogue: Catalogue) -> tuple[pa.Table, pa.Array]:
    """Return rows with ids and names from the catalogue, and the IOV bases of their folders."""
    done = catalogue.complete(rows.select(_COMPLETED)).rows
    for name in _COMPLETED:
        column = done[name].cast(_SCHEMA.field(name).type)
        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
    return rows, done["nodetime"].cast(pa.string()).combine_chunks()
