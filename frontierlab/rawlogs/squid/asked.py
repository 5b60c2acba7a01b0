"""What requests asked for: columns from URLs, each different URL decoded once."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from threading import Lock
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
_CHUNKS = 32  # of remembered rows
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
        ("refused", pa.string()),  # why the request cannot be decoded
        ("nodetime", pa.string()),
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
        self._lock = Lock()
        self._rows = _SCHEMA.empty_table()  # of the URLs that are remembered
        self._places: dict[bytes, int] = {}  # of a URL's row, by the hash of the URL

    def columns(self, encoded: pa.DictionaryArray) -> Requests:
        """Return the columns of requests, from ``request`` to ``cache_key`` in `columns.SQUID_COLUMNS`.

        Parameters
        ----------
        encoded
            The URLs; each one of the dictionary is used.
        """
        rows = self._rows_of(encoded.dictionary.to_pylist())
        values = {name: rows[name].combine_chunks() for name in rows.column_names}
        for name in _NAMES:
            values[name] = values[name].dictionary_encode().cast(NAME)
        unreadable: Counter[str] = Counter()
        refused = values.pop("refused")
        if refused.null_count < len(refused):
            counts = np.bincount(np.asarray(encoded.indices), minlength=len(refused)).tolist()
            for why, count in zip(refused.to_pylist(), counts, strict=True):
                unreadable.update({why: count} if why is not None else {})
        return Requests({name: column.take(encoded.indices) for name, column in values.items()}, unreadable)

    def _rows_of(self, urls: list[str]) -> pa.Table:
        """Return a row for each URL; new ones are decoded and remembered."""
        digests = [blake2b(url.encode("utf-8", "surrogatepass"), digest_size=16).digest() for url in urls]
        with self._lock:
            remembered = self._rows
            places = [self._places.get(digest, -1) for digest in digests]
        new = [number for number, place in enumerate(places) if place < 0]
        if not new:
            return remembered.take(pa.array(places, pa.int64()))
        decoded = self._decoded([urls[number] for number in new], [digests[number] for number in new])
        with self._lock:
            if self._rows.num_rows + len(new) > _REMEMBERED:
                self._rows, self._places = _SCHEMA.empty_table(), {}
            first = self._rows.num_rows
            self._rows = pa.concat_tables([self._rows, decoded])
            if self._rows["request"].num_chunks > _CHUNKS:
                self._rows = self._rows.combine_chunks()
            self._places.update({digests[number]: first + place for place, number in enumerate(new)})
        for place, number in enumerate(new):
            places[number] = remembered.num_rows + place
        return pa.concat_tables([remembered, decoded]).take(pa.array(places, pa.int64()))

    def _decoded(self, urls: list[str], digests: list[bytes]) -> pa.Table:
        rows = [
            self._decode(url, int.from_bytes(key[:8], "big", signed=True))
            for url, key in zip(urls, digests, strict=True)
        ]
        columns = zip(*((*values, refused) for values, refused in rows), strict=True)
        read = _SCHEMA.remove(_SCHEMA.get_field_index("nodetime"))
        table = pa.table(
            [pa.array(column, type_) for column, type_ in zip(columns, read.types, strict=True)], schema=read
        )
        nodetime = pa.nulls(len(rows), pa.string())
        if self._catalogue is not None:
            table, nodetime = _completed(table, self._catalogue)
        return table.append_column("nodetime", nodetime).select(_SCHEMA.names).cast(_SCHEMA)

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
        given = query.since is not None and query.until is not None
        shape = hash_ if query.shape is None else query.shape
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
            shape if given else hash_,
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
