"""What many SQL texts ask for, as columns, without reading each of them anew."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frontierlab.rawlogs.cool_sql import CoolQuery, read_cool_sql
from frontierlab.rawlogs.sql_text import sql_hash
from frontierlab.rawlogs.texts import Texts, numbers

__all__ = ["Asked", "AskedAll", "NO_WIDTH", "QueryReader"]

Integers = NDArray[np.int64]

_SPLIT = b"IOV_SINCE<="
_LONG = re.compile(rb"(?<![\w.])(\d{3,19})(?![\w.])")
_MOST = 2**63 - 1
_OTHERS = (1_234_567, 7_654_321)
_PATTERNS, _TEXTS = 5_000, 4_000  # that are remembered; a text has about 2 kB
_NONE = -1
NO_WIDTH = -(2**62)
"""The width of an IOV that has none."""


_COLUMNS: tuple[tuple[str, str, pa.DataType], ...] = (
    ("db", "db", pa.string()),
    ("schema", "schema", pa.string()),
    ("node_id", "node_id", pa.int64()),
    ("nodefullpath", "node", pa.string()),
    ("tag_id", "tag_id", pa.int64()),
    ("tagname", "tag", pa.string()),
    ("channel", "channel", pa.int64()),
    ("fingerprint", "fingerprint", pa.string()),
)


class Asked(NamedTuple):
    """What a query asks for, as columns of a row; see `frontierlab.rawlogs.CoolQuery`."""

    db: str | None
    schema: str | None
    node_id: int | None
    node: str | None
    tag_id: int | None
    tag: str | None
    since: int
    until: int
    width: int | None
    channel: int | None
    fingerprint: str
    not_cool: str | None
    shape: int | None
    asks_payload: bool | None


class _Pattern(NamedTuple):
    """What all texts ask for that differ in the numbers of the IOV alone.

    Parameters
    ----------
    asked
        What one of them asks for.
    pieces
        The rest of the texts, from the first limit of the IOV on, without these numbers.
    roles
        For each number 0, the beginning of the IOV, or 1, its end.
    """

    asked: Asked
    pieces: tuple[bytes, ...]
    roles: tuple[int, ...]


@dataclass(frozen=True)
class AskedAll:
    """What many texts ask for.

    Parameters
    ----------
    asked
        Different answers.
    codes
        The number of the answer of each text.
    since, until, width
        The IOV of each text, instead of the one in its answer; `NO_WIDTH` where there is none.
    hashes
        The hash of all that each text asks for but the IOV; of the text itself where that is not known.
    """

    asked: list[Asked]
    codes: Integers
    since: Integers
    until: Integers
    width: Integers
    hashes: Integers

    def take(self, which: NDArray[np.bool_]) -> AskedAll:
        """Return what some of the texts ask for."""
        columns = (values[which] for values in (self.codes, self.since, self.until, self.width, self.hashes))
        return AskedAll(self.asked, *columns)

    @property
    def cool(self) -> NDArray[np.bool_]:
        """Whether each text is a query of COOL."""
        found: NDArray[np.bool_] = np.array([one.not_cool is None for one in self.asked], bool)[self.codes]
        return found

    def columns(self) -> dict[str, pa.Array]:
        """Return what was asked as columns of a dataset's rows, one row for each text."""
        codes = pa.array(self.codes)
        columns: dict[str, pa.Array] = {}
        for name, field, type_ in _COLUMNS:
            values = pa.array([getattr(one, field) for one in self.asked], type_)
            columns[name] = _named(values, codes) if type_ == pa.string() else values.take(codes)
        return columns | {
            "since": pa.array(self.since),
            "until": pa.array(self.until),
            "queryiov": pa.array(self.width, mask=self.width == NO_WIDTH),
            "sqlhash": pa.array(self.hashes),
        }


class QueryReader:
    """Reads SQL texts. Most differ from an earlier one in the numbers of the IOV alone, which are at their end.

    Texts are told apart by everything before the first limit of the IOV, and by what is left of the rest without its
    numbers; only for a new combination is the text parsed.
    """

    def __init__(self) -> None:
        self._patterns: dict[tuple[bytes, ...], _Pattern | None] = {}
        self._of_head: dict[bytes, _Pattern] = {}
        self._roles: dict[tuple[bytes, ...], tuple[int, ...]] = {}
        self._texts: dict[bytes, Asked] = {}

    def read(self, text: bytes) -> Asked:
        """Return what one text asks for."""
        asked = self._texts.get(text)
        if asked is None:
            if len(self._texts) >= _TEXTS:
                self._texts.clear()
            asked = self._texts[text] = _slowly(text)
        return asked

    def read_all(self, array: pa.LargeBinaryArray | Texts) -> AskedAll:
        """Return what many texts ask for: the same as `read` of each, but done for many at once."""
        texts = array if isinstance(array, Texts) else Texts.of(array)
        place = texts.find(_SPLIT, by=_SPLIT.index(b"<"))
        whole = place < 0
        place = np.where(whole, texts.end, place)
        heads = texts.cut(texts.begin, place).dictionary_encode()
        head = heads.indices.to_numpy().astype(np.int64)
        found = _Found(len(texts))
        # texts without such a limit are equal if their heads are
        self._put_whole(texts, head, np.flatnonzero(whole), found)
        groups = self._groups(texts, head, np.flatnonzero(~whole), place, found)
        for (pieces, roles), (rows, numbers_) in groups.items():
            fits, pair = _fitting(texts, place[rows], pieces, roles, rows)
            found.codes[rows[fits]] = numbers_[fits]
            found.since[rows[fits]], found.until[rows[fits]] = pair[0][fits], pair[1][fits]
            found.width[rows[fits]] = (pair[1] - pair[0])[fits]
        left = np.flatnonzero(found.codes == _NONE)
        alone = [self.read(texts[k]) for k in left.tolist()]
        found.put(left, np.array([found.number(one, one.shape) for one in alone], np.int64))
        return found.all(texts)

    def _put_whole(self, texts: Texts, head: Integers, rows: Integers, found: _Found) -> None:
        """Put in the answers of texts that are equal where their codes are."""
        firsts, of = _distinct(head[rows])
        numbers_ = []
        for first in rows[firsts].tolist():
            one = self.read(texts[first])
            numbers_.append(found.number(one, sql_hash(_text(texts[first])) if one.shape is None else one.shape))
        found.put(rows, np.array(numbers_, np.int64)[of])

    def _groups(
        self, texts: Texts, head: Integers, rows: Integers, place: Integers, found: _Found
    ) -> dict[tuple[tuple[bytes, ...], tuple[int, ...]], tuple[Integers, Integers]]:
        """Return the texts whose patterns have the same pieces and roles, and the numbers of their answers."""
        firsts, of = _distinct(head[rows])
        kinds: dict[tuple[tuple[bytes, ...], tuple[int, ...]], int] = {}
        kind_of, number_of = np.full((2, len(firsts)), _NONE, np.int64)
        for code, first in enumerate(rows[firsts].tolist()):
            size = int(place[first] - texts.begin[first])
            text = texts[first]
            pattern = self._of_head.get(text[:size]) or self._pattern(text, size)
            if pattern is not None:
                number_of[code] = found.number(pattern.asked, pattern.asked.shape)
                kind_of[code] = kinds.setdefault((pattern.pieces, pattern.roles), len(kinds))
        wanted, numbers_ = kind_of[of], number_of[of]
        return {key: (rows[wanted == kind], numbers_[wanted == kind]) for key, kind in kinds.items()}

    def _pattern(self, text: bytes, place: int) -> _Pattern | None:
        """Return the pattern of a text; None if its IOV is not certain, so that each text is read by itself."""
        pieces = _LONG.split(text[place:])
        key = (text[:place], *pieces[::2])
        if key in self._patterns:
            return self._patterns[key]
        if len(self._patterns) >= _PATTERNS:
            self._patterns.clear()
            self._of_head.clear()
            self._roles.clear()
        asked = self.read(text)
        ends = [str(asked.since).encode(), str(asked.until).encode()]
        roles: tuple[int, ...] | None = None
        # only where each of the numbers is an end of the IOV, so that no other value can hide among them
        if asked.not_cool is None and set(pieces[1::2]) == set(ends):
            if ends[0] == ends[1]:  # which number is which was told by another text
                if (roles := self._roles.get(key[1:])) is None:
                    return None
            else:
                roles = self._roles[key[1:]] = tuple(ends.index(number) for number in pieces[1::2])
        pattern = None if roles is None else self._confirmed(text, place, pieces, roles, asked)
        self._patterns[key] = pattern
        if pattern is not None:
            self._of_head[text[:place]] = pattern  # texts with another rest do not fit it, and are read by themselves
        return pattern

    @staticmethod
    def _confirmed(
        text: bytes, place: int, pieces: list[bytes], roles: tuple[int, ...], asked: Asked
    ) -> _Pattern | None:
        others = [*(str(_OTHERS[role]).encode() for role in roles), b""]
        other = text[:place] + b"".join(piece + number for piece, number in zip(pieces[::2], others, strict=True))
        since, until = _OTHERS
        # with two other numbers, the text must ask for these, and for nothing else that is new
        if _slowly(other) != asked._replace(since=since, until=until, width=until - since):
            return None
        return _Pattern(asked, tuple(pieces[::2]), roles)


def _fitting(
    texts: Texts, at: Integers, pieces: tuple[bytes, ...], roles: tuple[int, ...], rows: Integers
) -> tuple[NDArray[np.bool_], list[Integers]]:
    """Return which texts have the pieces from these places on, with one pair of numbers between them, and the pairs."""
    fits = np.ones(len(rows), bool)
    pair: list[Integers | None] = [None, None]
    for piece, role in zip(pieces, [*roles, None], strict=True):
        fits &= texts.has_at(at, piece)
        at = at + len(piece)
        if role is None:
            break
        value, at = numbers(texts.view, at)
        known = pair[role]
        if known is None:
            pair[role] = value
        else:
            fits &= known == value
        fits &= value >= 100  # shorter numbers belong to the pieces
    since, until = (value if value is not None else np.zeros(len(rows), np.int64) for value in pair)
    fits &= (at == texts.end[rows]) & (since <= until)
    return fits, [since, until]


class _Found:
    """What was found of many texts, while it is being found; see `AskedAll`."""

    def __init__(self, texts: int) -> None:
        self.asked: list[Asked] = []
        self.codes = np.full(texts, _NONE, np.int64)
        self.since, self.until = np.full(texts, _NONE, np.int64), np.full(texts, _NONE, np.int64)
        self.width = np.full(texts, NO_WIDTH, np.int64)
        self._hashes: list[int | None] = []

    def number(self, asked: Asked, hash_: int | None) -> int:
        """Return the number of an answer with its hash; None if each of its texts has another one."""
        self.asked.append(asked)
        self._hashes.append(hash_)
        return len(self.asked) - 1

    def put(self, rows: Integers, numbers_: Integers) -> None:
        """Set the answers of texts, by their numbers."""
        if not len(rows):
            return
        self.codes[rows] = numbers_
        since, until, width = np.array(
            [[one.since, one.until, NO_WIDTH if one.width is None else one.width] for one in self.asked], np.int64
        ).T
        self.since[rows], self.until[rows], self.width[rows] = since[numbers_], until[numbers_], width[numbers_]

    def all(self, texts: Texts) -> AskedAll:
        """Return what was found, with the hash of each query."""
        hashes = np.array([one or 0 for one in self._hashes], np.int64)[self.codes]
        exact = np.flatnonzero(np.array([one is None for one in self._hashes], bool)[self.codes])
        for k in exact.tolist():
            hashes[k] = sql_hash(_text(texts[k]))
        return AskedAll(self.asked, self.codes, self.since, self.until, self.width, hashes)


def _named(values: pa.StringArray, codes: pa.Int64Array) -> pa.DictionaryArray:
    """Return names by their codes; equal ones once."""
    encoded = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(encoded.indices.take(codes), encoded.dictionary)


def _distinct(codes: Integers) -> tuple[Integers, Integers]:
    """Return where each code is first, and for each code the place among these."""
    _, firsts, of = np.unique(codes, return_index=True, return_inverse=True)
    return firsts, of


def _text(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")


def _slowly(text: bytes) -> Asked:
    return _asked(read_cool_sql(_text(text)))


def _asked(query: CoolQuery) -> Asked:
    since, until = query.since, query.until
    fits = [number is not None and 0 <= number <= _MOST for number in (since, until)]
    return Asked(
        query.instance,
        query.schema,
        query.folder,
        query.node,
        query.tag_id,
        query.tag_name,
        since if since is not None and fits[0] else -1,
        until if until is not None and fits[1] else -1,
        until - since if since is not None and until is not None and all(fits) else None,
        query.channel,
        query.fingerprint,
        query.not_cool,
        query.shape if all(fits) else None,
        query.asks_payload,
    )
