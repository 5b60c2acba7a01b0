"""What many SQL texts ask for, without reading each of them anew."""

from __future__ import annotations

import re
from typing import NamedTuple

from frontierlab.rawlogs.cool_sql import CoolQuery, CoolReader
from frontierlab.rawlogs.sql_text import sql_hash

__all__ = ["Asked", "QueryReader"]

_SPLIT = b"IOV_SINCE<="
_LONG = re.compile(rb"(?<![\w.])(\d{3,19})(?![\w.])")
_MOST = 2**63 - 1
_OTHERS = (1_234_567, 7_654_321)
_HEADS, _PATTERNS, _TEXTS = 5_000, 20_000, 4_000  # that are remembered; a text has about 2 kB


class Asked(NamedTuple):
    """What a query asks for, as columns of a row."""

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


class _Pattern(NamedTuple):
    """What all texts ask for that differ in their long numbers alone, and which of these numbers are which.

    ``roles`` has for each number 0, the beginning of the IOV, or 1, its end.
    """

    asked: Asked
    roles: tuple[int, ...]
    since: int
    until: int


class QueryReader:
    """Reads SQL texts. Most differ from an earlier one in the numbers of the IOV alone, which are at their end.

    Texts are told apart by everything before the first limit of the IOV, and by what is left of the rest without its
    long numbers; only for a new combination `CoolReader` is asked.
    """

    def __init__(self) -> None:
        self._cool = CoolReader()
        self._heads: dict[bytes, int] = {}
        self._patterns: dict[tuple[int | bytes, ...], _Pattern] = {}
        self._texts: dict[bytes, Asked] = {}

    def read(self, text: bytes) -> Asked:
        """Return what a text asks for."""
        place = text.find(_SPLIT)
        if place < 0:
            return self._known(text)
        pieces = _LONG.split(text[place:])
        numbers = pieces[1::2]
        key = (self._head(text[:place]), *pieces[::2])
        pattern = self._patterns.get(key)
        if pattern is None:
            return self._first(text, key, numbers)
        pair = numbers[pattern.since], numbers[pattern.until]
        if numbers != [pair[role] for role in pattern.roles]:
            return self._known(text)
        since, until = int(pair[0]), int(pair[1])
        if since > until or until > _MOST:
            return self._known(text)
        return pattern.asked._replace(since=since, until=until, width=until - since)

    def _head(self, head: bytes) -> int:
        number = self._heads.get(head)
        if number is None:
            if len(self._heads) >= _HEADS:
                self._heads.clear()
                self._patterns.clear()
            number = self._heads[head] = len(self._heads)
        return number

    def _first(self, text: bytes, key: tuple[int | bytes, ...], numbers: list[bytes]) -> Asked:
        """Read a text of a new pattern, and remember which of its numbers are the IOV, if that is certain."""
        asked = self._known(text)
        ends = [str(asked.since).encode(), str(asked.until).encode()]
        # only where each of the numbers is an end of the IOV, so that no other value can hide among them
        if asked.not_cool is None and ends[0] != ends[1] and set(numbers) == set(ends):
            roles = tuple(ends.index(number) for number in numbers)
            if self._confirmed(text, key, roles, asked):
                if len(self._patterns) >= _PATTERNS:
                    self._patterns.clear()
                self._patterns[key] = _Pattern(asked, roles, roles.index(0), roles.index(1))
        return asked

    def _confirmed(self, text: bytes, key: tuple[int | bytes, ...], roles: tuple[int, ...], asked: Asked) -> bool:
        """Whether the text with two other numbers asks for these, and for nothing else that is new."""
        head = text[: text.find(_SPLIT)]
        others = [str(number).encode() for number in _OTHERS]
        numbers = [*(others[role] for role in roles), b""]
        body = b"".join(bytes(piece) + number for piece, number in zip(key[1:], numbers, strict=True))
        since, until = _OTHERS
        return self._slowly(head + body) == asked._replace(since=since, until=until, width=until - since)

    def _known(self, text: bytes) -> Asked:
        asked = self._texts.get(text)
        if asked is None:
            if len(self._texts) >= _TEXTS:
                self._texts.clear()
            asked = self._texts[text] = self._slowly(text)
        return asked

    def _slowly(self, text: bytes) -> Asked:
        return _asked(self._cool.read(text.decode("utf-8", "backslashreplace")))

    @staticmethod
    def hash(text: bytes) -> int:
        """Return the hash of a text, for the column ``sqlhash``."""
        return sql_hash(text.decode("utf-8", "backslashreplace"))


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
    )
