"""Request URLs of Frontier: from the URL to the SQL of its payloads, and back.

A request names one or several payloads, after a slash or a question mark::

    http://host:8000/atlr/Frontier/type=frontier_request:1:DEFAULT&encoding=BLOBzip5&p1=eNpz…

``p1`` of a query is base64 of a zlib stream of the SQL. Frontier's alphabet writes ``.`` ``-`` ``_`` for ``+`` ``/``
``=``, so that nothing needs percent-encoding; scripts also send the standard alphabet. Both are read, mixed and
without padding too. ``p1`` of a file request is the path of the file; a certificate request has none. ``encoding`` is
about the answer and does not change how ``p1`` is read.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64encode
from binascii import Error, a2b_base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, unquote, unquote_to_bytes

from frontierlab.errors import InvalidRequestError, RequestUrlError

__all__ = [
    "LONGEST_P1",
    "LONGEST_SQL",
    "Payload",
    "Request",
    "decode_p1",
    "decode_request",
    "encode_p1",
    "encode_request",
    "is_frontier_url",
]

LONGEST_SQL = 1 << 20
"""Bytes of SQL that a ``p1`` may hold; the Frontier client has the same limit."""

LONGEST_P1 = 1 << 20
"""Characters that a ``p1`` may have. A request of the Frontier client has at most 8,192."""

Kind = Literal["sql", "file", "certificate", "other"]

_KINDS: dict[str, Kind] = {"frontier_request": "sql", "frontier_file": "file", "cert_request": "certificate"}
_START = re.compile(r"(?:^|[/?&])(?=(?:type|meta|write)=)")
_TO_STANDARD = bytes.maketrans(b".-_", b"+/=")
_TO_FRONTIER = bytes.maketrans(b"+/=", b".-_")
_SPACE = b" \t\r\n"
_MOST_PAYLOADS = 1_000  # a request of 8,192 bytes has room for fewer


@dataclass(frozen=True, slots=True)
class Payload:
    """One payload of a request: what was asked for.

    Parameters
    ----------
    kind
        ``sql``, ``file``, ``certificate``, or ``other`` for a type that is not known here.
    type
        The type as written: ``frontier_request:1:DEFAULT``.
    encoding
        The encoding of the answer: ``BLOBzip5``; None if the request names none.
    text
        The SQL, or the path of the file; None if it was refused or there is none.
    refused
        Why ``p1`` cannot be decoded; None if it could.
    parameters
        The further parameters of the payload, such as ``ttl``, ``sec`` and ``freshkey``.
    """

    kind: Kind
    type: str
    encoding: str | None
    text: str | None
    refused: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was decoded.

    Parameters
    ----------
    base
        What stands before the parameters, without the slash or question mark between: ``http://host:8000/atlr/Frontier``.
    payloads
        The payloads, in order; at least one.
    """

    base: str
    payloads: tuple[Payload, ...]

    @property
    def sql(self) -> tuple[str, ...]:
        """The SQL texts of the payloads that could be decoded, in order."""
        return tuple(payload.text for payload in self.payloads if payload.kind == "sql" and payload.text is not None)

    @property
    def refused(self) -> tuple[str, ...]:
        """Why payloads could not be decoded; empty if all could."""
        return tuple(payload.refused for payload in self.payloads if payload.refused is not None)


def is_frontier_url(url: str) -> bool:
    """Return whether a URL, a path or a query string has the parameters of a Frontier request."""
    return _START.search(url) is not None


def decode_request(url: str) -> Request:
    """Decode a Frontier request.

    Parameters
    ----------
    url
        The whole URL, its path, or only the parameters, as a servlet log has them (``/type=…`` or ``type=…``).

    Returns
    -------
    Request
        A payload whose ``p1`` cannot be decoded has the reason in ``refused``; the others of the request are decoded.

    Raises
    ------
    RequestUrlError
        The text has no ``type=…`` parameter, so it is not a Frontier request; or it has more than 1,000 payloads.
    """
    start = _START.search(url)
    if start is None:
        raise RequestUrlError(
            f"This is not a Frontier request: it has no type=… parameter after a slash or question mark: {url[:80]!r}."
        )
    groups: list[list[tuple[str, str]]] = []
    for word in url[start.end() :].split("&"):
        name, _, value = word.partition("=")
        if name in ("type", "meta", "write"):
            groups.append([])
            if len(groups) > _MOST_PAYLOADS:
                raise RequestUrlError(f"This Frontier request has more than {_MOST_PAYLOADS:,} payloads.")
        groups[-1].append((name, value))
    return Request(url[: start.start()], tuple(_payload(group) for group in groups))


def decode_p1(text: str) -> str:
    """Decode the ``p1`` of a query to its SQL.

    The memory that decoding takes is bounded by `LONGEST_P1` and `LONGEST_SQL`, whatever the text holds.

    Parameters
    ----------
    text
        ``p1``, in Frontier's alphabet or the standard one, with or without padding; percent-encoded characters are
        decoded, white space is left out.

    Raises
    ------
    RequestUrlError
        The text is no base64, what it encodes is no zlib stream, ends early, has further bytes after its end, or is
        longer than `LONGEST_SQL`, or the SQL is no text. The message says which.
    """
    packed = _bytes_of(text)
    try:
        stream = zlib.decompressobj()
        sql = stream.decompress(packed, LONGEST_SQL + 1)
    except zlib.error:
        raise RequestUrlError("p1 is base64, but what it encodes is not a valid zlib stream.") from None
    if len(sql) > LONGEST_SQL:
        raise RequestUrlError(f"p1 holds more than {LONGEST_SQL:,} bytes of SQL, the most that a request may have.")
    if not stream.eof:
        raise RequestUrlError("p1 is cut off: its zlib stream has no end.")
    if stream.unused_data:
        raise RequestUrlError(f"p1 has {len(stream.unused_data):,} bytes after the end of its zlib stream.")
    try:
        return sql.decode()
    except UnicodeDecodeError:
        raise RequestUrlError("p1 holds bytes that are neither ASCII nor UTF-8 text.") from None


def encode_p1(sql: str, *, alphabet: Literal["frontier", "standard"] = "frontier", padding: bool = True) -> str:
    """Encode SQL as the ``p1`` of a query, as the Frontier client does: zlib at level 9, then base64.

    Parameters
    ----------
    sql
        The SQL. A line break at its end is left out.
    alphabet
        ``frontier`` for ``.`` ``-`` ``_``; ``standard`` for ``+`` ``/`` ``=``, which a URL needs percent-encoded.
    padding
        Whether to write the padding at the end.

    Raises
    ------
    InvalidRequestError
        The SQL is longer than `LONGEST_SQL`, or the alphabet is unknown.
    """
    if alphabet not in ("frontier", "standard"):
        raise InvalidRequestError(f"alphabet is {alphabet!r}; valid are frontier and standard.")
    plain = sql.removesuffix("\n").encode()
    if len(plain) > LONGEST_SQL:
        raise InvalidRequestError(
            f"The SQL has {len(plain):,} bytes; the most that a request may have is {LONGEST_SQL:,}."
        )
    packed = b64encode(zlib.compress(plain, 9))
    packed = packed if padding else packed.rstrip(b"=")
    return (packed.translate(_TO_FRONTIER) if alphabet == "frontier" else packed).decode("ascii")


def encode_request(
    payloads: Sequence[str | Payload], *, base: str = "", separator: Literal["/", "?"] = "/", encoding: str = "BLOBzip5"
) -> str:
    """Return the URL of a request.

    Parameters
    ----------
    payloads
        SQL texts, or `Payload` objects for other kinds and for further parameters.
    base
        What stands before the parameters; empty gives the parameters alone, with the separator before them.
    separator
        ``/`` for parameters as part of the path, as ATLAS's clients write them; ``?`` for a query string.
    encoding
        The encoding of the answers to payloads that name none.

    Raises
    ------
    InvalidRequestError
        There is no payload, a payload was refused and so has no text, or a SQL text is too long.
    """
    if not payloads:
        raise InvalidRequestError("A request needs at least one payload.")
    whole = [
        Payload("sql", "frontier_request:1:DEFAULT", None, one) if isinstance(one, str) else one for one in payloads
    ]
    return f"{base}{separator}{'&'.join(_written(payload, encoding) for payload in whole)}"


def _written(payload: str | Payload, encoding: str) -> str:
    if isinstance(payload, str):
        payload = Payload("sql", "frontier_request:1:DEFAULT", None, payload)
    words = [f"type={payload.type}", f"encoding={payload.encoding or encoding}"]
    if payload.refused is not None or (payload.text is None and payload.kind in ("sql", "file")):
        raise InvalidRequestError(f"A payload of type {payload.type} has no text: give one, or leave the payload out.")
    if payload.text is not None:
        p1 = encode_p1(payload.text) if payload.kind == "sql" else quote(payload.text, safe="/:+,.-_~")
        words.append(f"p1={p1}")
    words += [f"{name}={quote(value, safe='/:')}" for name, value in payload.parameters.items()]
    return "&".join(words)


def _payload(words: list[tuple[str, str]]) -> Payload:
    type_ = unquote(words[0][1])
    given: dict[str, str] = {}
    for name, value in words[1:]:
        if name:
            given.setdefault(name, value)
    encoding, p1 = given.pop("encoding", None), given.pop("p1", None)
    kind = _KINDS.get(type_.partition(":")[0], "other")
    text, refused = p1, None
    if kind == "sql":
        text, refused = (None, "The query has no p1.") if p1 is None else _decoded(p1)
    elif p1 is not None:
        text = unquote(p1)
    elif kind == "file":
        refused = "The file request has no p1."
    return Payload(kind, type_, encoding, text, refused, {name: unquote(value) for name, value in given.items()})


def _decoded(p1: str) -> tuple[str | None, str | None]:
    try:
        return decode_p1(p1), None
    except RequestUrlError as error:
        return None, str(error)


def _bytes_of(text: str) -> bytes:
    if len(text) > LONGEST_P1:
        raise RequestUrlError(f"p1 has {len(text):,} characters; the most that are decoded are {LONGEST_P1:,}.")
    try:
        written = unquote_to_bytes(text) if "%" in text else text.encode("ascii")
    except UnicodeEncodeError:
        raise RequestUrlError("p1 has characters that are not ASCII.") from None
    standard = written.translate(_TO_STANDARD, _SPACE).rstrip(b"=")
    if not standard:
        raise RequestUrlError("p1 is empty.")
    if len(standard) % 4 == 1:
        raise RequestUrlError(f"p1 is cut off: {len(standard):,} characters are no whole number of base64 bytes.")
    try:
        return a2b_base64(standard + b"=" * (-len(standard) % 4), strict_mode=True)
    except Error:
        raise RequestUrlError("p1 has characters that neither alphabet of base64 has, or padding within.") from None
