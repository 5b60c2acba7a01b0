"""The tokens of JSON text: spaces, names of members, and the ends of values, over several blocks of text."""

from __future__ import annotations

import re

import msgspec

__all__ = ["EndFinder", "MEMBER", "NEXT", "NOT_JSON", "skip_spaces", "value_end"]

NEXT = re.compile(rb"\}[\s,]*+\{")
"""The place where an object seems to end and the next one to begin."""

MEMBER = re.compile(rb'"((?:[^"\\\n]++|\\.)*+)"\s*+:\s*+')
"""The name of a member, and the colon."""

NOT_JSON = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises for text that is not JSON in UTF-8; before version 0.21, msgspec's own is no ValueError."""

_SPACE = re.compile(rb"(?:[\s,\x1e]|\xef\xbb\xbf)*+")  # between documents; a byte order mark where files were joined
_REST_OF_STRING = re.compile(rb'(?:[^"\\\n]++|\\.)*+')
_BRACKET = re.compile(rb'"(?:[^"\\\n]++|\\.)*+"|["{}\[\]]')
_SCALAR = re.compile(rb'"(?:[^"\\\n]++|\\.)*+"|[^\s,\]}\[{"]++')


def skip_spaces(text: bytes, at: int) -> int:
    """Return the position after spaces, commas and byte order marks."""
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]  # always matches


class EndFinder:
    """Finds the end of an object or array, over several blocks.

    Parameters
    ----------
    at
        The position where the search continues.
    """

    def __init__(self, at: int) -> None:
        self.at = at
        self._depth = 0
        self._in_string = False

    def find(self, text: bytes, stop: int) -> int | None:
        """Return the position after the end; None if the end is not before `stop`.

        Raises
        ------
        ValueError
            A line ends within a string; `at` is the end of that line.
        """
        if self._in_string and not self._leave_string(text, stop):
            return None
        for mark in _BRACKET.finditer(text, self.at, stop):
            first = text[mark.start()]
            self.at = mark.end()
            if first in b"{[":
                self._depth += 1
            elif first in b"}]":
                self._depth -= 1
                if self._depth <= 0:
                    return self.at
            elif len(mark[0]) == 1:  # a quote of a string that does not end in this block
                self._in_string = True
                if not self._leave_string(text, stop):
                    return None
                return self.find(text, stop)
        self.at = stop
        return None

    def _leave_string(self, text: bytes, stop: int) -> bool:
        quote = text.find(b'"', self.at, stop)
        end = stop if quote < 0 else quote
        # nearly always: this finds the end twenty times as fast as the expression
        if text.find(b"\\", self.at, end) < 0 and text.find(b"\n", self.at, end) < 0:
            self.at = end
        elif found := _REST_OF_STRING.match(text, self.at, stop):
            self.at = found.end()
        if self.at < stop and text[self.at] == 0x0A:
            raise ValueError("a line ends within a string")
        if self.at < stop and text[self.at] == 0x22:
            self._in_string = False
            self.at += 1
            return True
        return False  # the string continues in the next block, perhaps after a backslash


def value_end(text: bytes, at: int) -> int | None:
    """Return the position after a value; None if the value does not end in this text."""
    if text[at : at + 1] in (b"{", b"["):
        try:
            return EndFinder(at).find(text, len(text))
        except ValueError:
            return None
    scalar = _SCALAR.match(text, at)
    return scalar.end() if scalar and scalar.end() < len(text) else None
