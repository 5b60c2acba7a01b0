"""What requests asked for: columns from URLs, each different URL decoded once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from threading import Lock
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frontierlab.catalogue import Catalogue
from frontierlab.errors import RequestUrlError
from frontierlab.rawlogs.cool_columns import NO_WIDTH, QueryReader
from frontierlab.rawlogs.names import FOLDER, TAG
from frontierlab.rawlogs.request_urls import decode_p1, decode_request
from frontierlab.schema import MISSING_IOV, NAME

__all__ = ["Asked", "Requests"]

_REMEMBERED = 200_000  # URLs, of about 200 bytes each: random URLs must not fill the memory
_USUAL = re.compile(r"[^=?&]*/type=frontier_request:1(?::DEFAULT)?&encoding=\w+", re.ASCII)
_COMPLETED = ("db", "schema", "node_id", "nodefullpath", "tag_id", "tagname")
_CUT = "the URL has no parameters: it may have been cut at its question mark"


class _Kind(NamedTuple):
    """What very many requests have in common."""

    request: str
    refused: str | None = None  # why the request cannot be decoded
    db: str | None = None
    schema: str | None = None
    node_id: int | None = None
    nodefullpath: str | None = None
    tag_id: int | None = None
    tagname: str | None = None
    payload: bool | None = None
    nodetime: str | None = None
    unnamed: tuple[str, ...] = ()  # its folder and tag, where the catalogue lacks them


_STORED = {
    "request": NAME,
    "db": NAME,
    "schema": NAME,
    "node_id": pa.int64(),
    "nodefullpath": NAME,
    "nodetime": NAME,
    "tag_id": pa.int64(),
    "tagname": NAME,
    "payload": pa.bool_(),
}
_ROW = np.dtype(
    [("kind", "i4"), ("since", "i8"), ("until", "i8"), ("sqlhash", "i8"), ("is_sql", "?"), ("cache_key", "i8")]
)
Rows = NDArray[np.void]


class Requests(NamedTuple):
    """What requests asked for.

    Parameters
    ----------
    columns
        The columns from ``request`` to ``cache_key`` of `columns.SQUID_COLUMNS`.
    unreadable
        Number of requests that cannot be decoded, by reason.
    unknown
        Number of requests by folder or tag that has a number and that the catalogue lacks; empty without a catalogue.
    """

    columns: dict[str, pa.Array]
    unreadable: Counter[str]
    unknown: Counter[str]


class Asked:
    """Decodes requests, each different one once; several threads may use it.

    Parameters
    ----------
    catalogue
        What names folders and tags; None leaves them with the numbers and names of the queries.
    """

    def __init__(self, catalogue: Catalogue | None) -> None:
        self._catalogue = catalogue
        self._queries = QueryReader()
        self._lock = Lock()
        self._forget()

    def columns(self, encoded: pa.DictionaryArray) -> Requests:
        """Return what requests asked for.

        Parameters
        ----------
        encoded
            The URLs; each one of the dictionary is used.
        """
        urls = encoded.dictionary.cast(pa.binary()).to_pylist()
        different, kinds = self._rows_of(urls)
        used, codes = np.unique(different["kind"], return_inverse=True)
        found = [kinds[number] for number in used.tolist()]
        places = np.asarray(encoded.indices)
        rows, codes = different[places], codes[places].astype(np.int32)
        columns = {
            name: pa.array([getattr(one, name) for one in found], pa.string()).dictionary_encode().cast(NAME)
            if type_ == NAME
            else pa.array([getattr(one, name) for one in found], type_)
            for name, type_ in _STORED.items()
        }
        columns = {name: column.take(pa.array(codes)) for name, column in columns.items()}
        columns |= {name: pa.array(rows[name]) for name in ("since", "until", "cache_key")}
        columns["sqlhash"] = pa.array(rows["sqlhash"], mask=~rows["is_sql"])
        return Requests(columns, *_counted(found, np.bincount(codes, minlength=len(found)).tolist()))

    def _forget(self) -> None:
        self._rows: Rows = np.empty(0, _ROW)  # of the URLs that are remembered
        self._places: dict[bytes, int] = {}  # of a URL's row, by the hash of the URL
        self._kinds: list[_Kind] = []
        self._numbers: dict[_Kind, int] = {}  # of the kinds before they were completed

    def _rows_of(self, urls: Sequence[bytes]) -> tuple[Rows, list[_Kind]]:
        """Return a row for each URL, and the kinds that these rows name; new URLs are decoded and remembered."""
        digests = [blake2b(url, digest_size=16).digest() for url in urls]
        with self._lock:
            if len(self._rows) + len(urls) > _REMEMBERED:
                self._forget()
            places = [self._places.get(digest, -1) for digest in digests]
            new = [number for number, place in enumerate(places) if place < 0]
            if new:
                decoded = self._decoded([urls[number] for number in new])
                keys = b"".join(digests[number][:8] for number in new)
                decoded["cache_key"] = np.frombuffer(keys, ">i8")
                for place, number in enumerate(new, len(self._rows)):
                    places[number] = self._places[digests[number]] = place
                self._rows = np.concatenate([self._rows, decoded])
            return self._rows[places], self._kinds

    def _decoded(self, urls: list[bytes]) -> Rows:
        rows = np.zeros(len(urls), _ROW)
        rows["since"] = rows["until"] = MISSING_IOV
        kinds: list[_Kind | None] = [None] * len(urls)
        texts: list[str] = []
        for number, url in enumerate(urls):
            found = _payload(url.decode("utf-8", "backslashreplace"))
            if isinstance(found, str):
                rows["is_sql"][number] = True
                texts.append(found)
            else:
                kinds[number] = found
        if texts:
            queries = self._queries.read_all(pa.array(texts, pa.large_string()).cast(pa.large_binary()))
            given = queries.width != NO_WIDTH
            sql = np.flatnonzero(rows["is_sql"])
            rows["since"][sql[given]], rows["until"][sql[given]] = queries.since[given], queries.until[given]
            rows["sqlhash"][sql] = queries.hashes
            of = [
                _Kind("sql", None, one.db, one.schema, one.node_id, one.node, one.tag_id, one.tag, one.asks_payload)
                for one in queries.asked
            ]
            for number, code in zip(sql.tolist(), queries.codes.tolist(), strict=True):
                kinds[number] = of[code]
        rows["kind"] = self._numbers_of([kind for kind in kinds if kind is not None])
        return rows

    def _numbers_of(self, kinds: list[_Kind]) -> list[int]:
        """Return the number of each kind; new ones are completed from the catalogue."""
        new = [kind for kind in dict.fromkeys(kinds) if kind not in self._numbers]
        if new:
            self._numbers.update(zip(new, range(len(self._kinds), len(self._kinds) + len(new)), strict=True))
            self._kinds += new if self._catalogue is None else _completed(new, self._catalogue)
        return [self._numbers[kind] for kind in kinds]


@lru_cache(1_000)
def _is_usual(head: str) -> bool:
    """Return whether a URL is that of one query, from what it has before ``p1``."""
    return _USUAL.fullmatch(head) is not None


def _payload(url: str) -> str | _Kind:
    """Return the SQL of a request, or what else it is. COOL sends one payload a request: the first is taken."""
    head, _, p1 = url.partition("&p1=")
    usual = bool(p1) and "&" not in p1 and _is_usual(head)
    try:
        if usual:  # what nearly all requests look like, in a third of the time
            return decode_p1(p1)
        payload = decode_request(url).payloads[0]
    except RequestUrlError as error:
        return _Kind("unreadable", str(error) if usual else _CUT)
    if payload.refused is not None:
        return _Kind("unreadable", payload.refused)
    if payload.kind != "sql" or payload.text is None:
        return _Kind(payload.kind)
    return payload.text


def _completed(kinds: list[_Kind], catalogue: Catalogue) -> list[_Kind]:
    """Return kinds with ids and names from the catalogue, and the IOV bases of their folders."""
    types = {name: pa.int64() if name.endswith("_id") else pa.string() for name in _COMPLETED}
    table = pa.table({name: pa.array([getattr(kind, name) for kind in kinds], types[name]) for name in _COMPLETED})
    rows = catalogue.complete(table).rows
    names = rows.select([*_COMPLETED, "nodetime"]).to_pylist()
    return [_told(kind._replace(**values)) for kind, values in zip(kinds, names, strict=True)]


def _told(kind: _Kind) -> _Kind:
    """Return a kind that tells which of its names the catalogue lacks."""
    folder = [FOLDER] if kind.node_id is not None and kind.nodefullpath is None else []
    tag = [TAG] if kind.tag_id is not None and kind.tagname is None else []
    return kind._replace(unnamed=tuple(text.format_map(kind._asdict()) for text in folder + tag))


def _counted(kinds: list[_Kind], counts: list[int]) -> tuple[Counter[str], Counter[str]]:
    """Return the numbers of requests that cannot be decoded, and of those whose folder or tag has no name."""
    unreadable: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    for kind, count in zip(kinds, counts, strict=True):
        if kind.refused is not None:
            unreadable[kind.refused] += count
        unknown.update(dict.fromkeys(kind.unnamed, count))
    return unreadable, unknown
