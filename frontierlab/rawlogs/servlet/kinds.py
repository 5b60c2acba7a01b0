"""The kinds of many messages, by their first bytes: the same few beginnings come again and again."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from frontierlab.rawlogs.servlet.heads import past_place
from frontierlab.rawlogs.servlet.messages import PREFIXES, kind_of
from frontierlab.rawlogs.texts import words

__all__ = ["KindReader"]

Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]

_WIDTHS = (5, 12, 16, 24)  # bytes by which messages are told apart: if few do not tell, more
_LONGEST = max(len(prefix) for prefix, _ in PREFIXES)
_LOOKED_AT = 256  # messages that may show new beginnings
_UNCLEAR = -1
_MOST = 2_000  # beginnings that are known, of each width
_MIX = tuple(np.uint64(odd) for odd in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))


class KindReader:
    """Tells the kinds of the messages of one log."""

    def __init__(self) -> None:
        self._beginnings = [_Beginnings(width) for width in _WIDTHS]

    def read(self, view: Bytes, message: Integers, feeds: Integers) -> tuple[Integers, Integers]:
        """Return the kinds of messages, and where they begin behind ``<File.java> +<line> ``, if that stands there.

        Parameters
        ----------
        view
            The bytes.
        message, feeds
            Where messages begin, and the line feeds of their lines.
        """
        kinds, message = np.full(len(message), _UNCLEAR, np.int64), message.copy()
        left = self._known(view, message, np.arange(len(message)), kinds)
        while len(left):
            looked_at, left = left[:_LOOKED_AT], left[_LOOKED_AT:]
            learned = self._learn(view, message[looked_at])
            self._slowly(view, message, feeds, looked_at, kinds)
            if not learned:
                self._slowly(view, message, feeds, left, kinds)
                break
            left = self._known(view, message, left, kinds)
        return kinds, message

    def _known(self, view: Bytes, message: Integers, rows: Integers, kinds: Integers) -> Integers:
        """Set the kinds of those messages whose beginnings are known; return the others."""
        for known in self._beginnings:
            kinds[rows] = known.kinds(view, message[rows])
            rows = rows[kinds[rows] == _UNCLEAR]
        return rows

    @staticmethod
    def _slowly(view: Bytes, message: Integers, feeds: Integers, rows: Integers, kinds: Integers) -> None:
        """Set the kinds of messages one by one, and where they begin."""
        message[rows] = past_place(view, message[rows], feeds[rows])
        for k, low, high in zip(rows.tolist(), message[rows].tolist(), feeds[rows].tolist(), strict=True):
            kinds[k] = _kind_of(view[low : min(high, low + _LONGEST)].tobytes())

    def _learn(self, view: Bytes, message: Integers) -> bool:
        """Learn the shortest beginnings that tell kinds for certain; return whether any of these messages had one."""
        learned = False
        for text in {view[low : low + _WIDTHS[-1]].tobytes() for low in message.tolist()}:
            for known in self._beginnings:
                if (kind := _certain(text[: known.width])) is not None:
                    learned |= known.add(text[: known.width], kind)
                    break
        return learned


_kind_of = lru_cache(10_000)(kind_of)


def _certain(beginning: bytes) -> int | None:
    """Return the kind of all messages that begin so; None if they can be of several kinds."""
    line, feed, _ = beginning.partition(b"\n")
    if feed:  # the whole message
        return int(kind_of(line))
    if any(len(prefix) > len(line) and prefix.startswith(line) for prefix, _ in PREFIXES):
        return None
    word, blank, _ = line.partition(b" ")
    if line[:1].isupper() and (not blank or word.endswith(b".java")):  # perhaps a file and its line, and then a message
        return None
    return int(kind_of(line))


class _Beginnings:
    """Beginnings of one width and the kinds of messages that begin so."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._kind_of: dict[bytes, int] = {}
        self._sorted: tuple[Words, Integers, list[Words]] | None = None

    def add(self, beginning: bytes, kind: int) -> bool:
        """Learn a beginning; return whether it was new."""
        if beginning in self._kind_of or len(self._kind_of) >= _MOST:
            return False
        self._kind_of[beginning] = kind
        self._sorted = None
        return True

    def kinds(self, view: Bytes, at: Integers) -> Integers:
        """Return the kinds of the messages at these places; `_UNCLEAR` where none is known."""
        if not self._kind_of:
            return np.full(len(at), _UNCLEAR, np.int64)
        mixed, kinds, parts = self._sorted or self._sort()
        given = self._words(view, at)
        place = np.minimum(np.searchsorted(mixed, _mixed(given)), len(mixed) - 1)
        same = np.logical_and.reduce([part[place] == one for part, one in zip(parts, given, strict=True)])
        return np.where(same, kinds[place], _UNCLEAR)

    def _words(self, view: Bytes, at: Integers) -> list[Words]:
        """Return the beginnings at these places as words, the last one without bytes behind the width."""
        found = [words(view, at + low) for low in range(0, self.width, 8)]
        if left := self.width % 8:
            found[-1] &= np.uint64((1 << 8 * left) - 1)
        return found

    def _sort(self) -> tuple[Words, Integers, list[Words]]:
        text = b"".join(beginning + bytes(8) for beginning in self._kind_of)
        places = np.arange(len(self._kind_of)) * (self.width + 8)
        parts = self._words(np.frombuffer(text, np.uint8), places)
        order = np.argsort(_mixed(parts))
        kinds = np.array([*self._kind_of.values()], np.int64)
        self._sorted = _mixed(parts)[order], kinds[order], [part[order] for part in parts]
        return self._sorted


def _mixed(parts: list[Words]) -> Words:
    """Return one number for each beginning; different ones have the same number by chance alone."""
    total = parts[0] * _MIX[0]
    for part, odd in zip(parts[1:], _MIX[1:], strict=False):
        total = total + part * odd
    return total
