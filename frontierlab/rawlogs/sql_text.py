"""The text of SQL statements, apart from their values: what is equal in queries that differ only in values.

`split` cuts the values out of a text, fast, so that texts of one shape are recognised without being parsed.
`canonical` writes a shape in one way: without comments, white space and case, with generated names renamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

__all__ = ["Canonical", "FIRST_SLOT", "Slot", "canonical", "parsable", "split", "sql_hash", "without_binds"]

FIRST_SLOT = 7_000_000_000
"""The number that marks the first slot in `parsable`; the next slots have the numbers after it."""

_STRING = r"'(?:[^']++|'')*+(?:'|\Z)"
_QUOTED = r'"[^"]*+(?:"|\Z)'
_NAME = r"[A-Za-z_$\#][\w$\#]*+"
_NUMBER = r"\d++(?:\.\d*+)?(?:[eE][+-]?\d++)?"
_BIND = r":\w++|:\"[^\"]*+\"|\?"
_COMMENT = r"/\*(?s:.*?)(?:\*/|\Z)|--[^\n]*+"

# each match is a stretch without values, and the value behind it; the last one has an empty value
_PIECES = re.compile(
    rf"""((?:[^'"\w$\#/:?-]++ | {_NAME} | {_QUOTED} | {_COMMENT} | /(?!\*) | -(?!-) | :(?!\w|"[^"]*"))*+)
         ({_STRING} | {_NUMBER} | {_BIND} | \Z | .)""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_TOKENS = re.compile(
    rf"""\s++ | (?P<comment>{_COMMENT}) | (?P<value>{_STRING} | {_NUMBER} | {_BIND})
         | (?P<quoted>{_QUOTED}) | (?P<name>{_NAME}) | (?P<sign>\(\+\) | [<>!]= | <> | \|\| | .)""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_IN_HINT = re.compile(rf"\s++|(?P<value>{_STRING})|(?P<name>{_QUOTED}|[\w$\#]++)|(?P<sign>.)", re.ASCII | re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z][\w$#]*", re.ASCII)
_ENDS_FROM = frozenset(
    [
        *(
            "WHERE",
            "GROUP",
            "ORDER",
            "HAVING",
            "CONNECT",
            "START",
            "UNION",
            "INTERSECT",
            "MINUS",
            "SELECT",
            "SET",
            "FETCH",
        ),
        *("OFFSET", "FOR"),
    ]
)
_JOINS = frozenset(
    [
        *("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "OUTER", "CROSS", "NATURAL", "ON", "USING", "PARTITION", "SAMPLE"),
        *("AS", "OF"),
    ]
)
_BEFORE_MINUS = frozenset(
    [
        *(
            "(",
            ",",
            "=",
            "<",
            ">",
            "<=",
            ">=",
            "<>",
            "+",
            "-",
            "*",
            "/",
            "||",
            "AND",
            "BETWEEN",
            "ELSE",
            "OR",
            "SELECT",
        ),
        *("THEN", "WHEN", "WHERE"),
    ]
)


class Slot(NamedTuple):
    """A place of a shape where values stand: one value, or those of an IN list.

    Parameters
    ----------
    values
        The numbers of the values among those that `split` gives.
    signs
        1 or -1 for each: whether a minus stands before it.
    """

    values: tuple[int, ...]
    signs: tuple[int, ...]


class Canonical(NamedTuple):
    """A shape, written in the one way.

    Parameters
    ----------
    tokens
        The words of the statement; ``?`` for the values of a slot.
    hint_tokens
        The words of its hints, with generated names renamed.
    slots
        The places of values, in the order of their ``?``.
    deepest
        How deep its parentheses go.
    fingerprint
        16 hexadecimal digits: equal for equal words of statement and hints, in every process and version.
    """

    tokens: list[str]
    hint_tokens: list[str]
    slots: list[Slot]
    deepest: int
    fingerprint: str


def sql_hash(text: str) -> int:
    """Return a 64-bit number for exactly this text.

    It is the ``sqlhash`` of queries whose IOV is not known; see `frontierlab.rawlogs.CoolQuery.shape` for others.
    It is the same in every process and version, but another one than in Elasticsearch, whose hash is not known.
    """
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True)


def split(text: str) -> tuple[tuple[str, ...], list[str]]:
    """Return the stretches of a text between its values, and the values as written.

    Texts with equal stretches have equal shapes.
    """
    found = _PIECES.findall(text)
    stretches, values = zip(*found, strict=True) if found else ((), ())
    return stretches, list(values)


def without_binds(text: str) -> tuple[str, list[str]]:
    """Return a statement without the values of binds behind it, and these values.

    The servlet takes a text with a ``?`` and a colon as a statement with the values for its question marks behind it:
    ``SELECT … WHERE A=? AND B=?:v1:v2``. Here a text counts as one only if a ``?`` stands outside of strings before the
    first colon.
    """
    if "?" not in text or ":" not in text:
        return text, []
    head, *binds = text.split(":")
    return (head, binds) if "?" in split(head)[1] else (text, [])


def canonical(text: str) -> Canonical:
    """Return the shape of a statement."""
    kinds, words = _words(text)
    aliases = _aliases(kinds, words)
    tokens: list[str] = []
    hints: list[str] = []
    slots: list[tuple[list[int], list[int]]] = []
    number = depth = deepest = 0
    renamed = _Renamed(aliases)
    for place, (kind, word) in enumerate(zip(kinds, words, strict=True)):
        if kind == "comment":
            if word.startswith("/*+"):
                hints += renamed.hint(word[3:].removesuffix("*/"))
        elif kind == "value":
            sign = 1
            if tokens[-1:] == ["-"] and (len(tokens) == 1 or tokens[-2] in _BEFORE_MINUS):
                tokens.pop()
                sign = -1
            if _continues_list(tokens):
                tokens.pop()
            else:
                tokens.append("?")
                slots.append(([], []))
            slots[-1][0].append(number)
            slots[-1][1].append(sign)
            number += 1
        else:
            depth += (word == "(") - (word == ")")
            deepest = max(deepest, depth)
            tokens.append(renamed.word(words, place) if kind == "name" else word)
    while tokens[-1:] == [";"]:
        tokens.pop()
    found = [Slot(tuple(values), tuple(signs)) for values, signs in slots]
    return Canonical(tokens, hints, found, deepest, _digest(tokens, hints))


class _Renamed:
    """Table aliases and names of query blocks, renamed in the order of their first appearance."""

    def __init__(self, aliases: dict[int, str]) -> None:
        self._declared = aliases
        self._names: dict[str, str] = {}
        for alias in aliases.values():
            self._names.setdefault(alias, f"T{len(self._names) + 1}")
        self._blocks: dict[str, str] = {}

    def word(self, words: list[str], place: int) -> str:
        qualifies = words[place + 1 : place + 2] == ["."] and (place == 0 or words[place - 1] != ".")
        return self._names.get(words[place], words[place]) if qualifies or place in self._declared else words[place]

    def hint(self, text: str) -> list[str]:
        words = [found[0] for found in _IN_HINT.finditer(text) if not found[0].isspace()]
        upper = [word if word.startswith("'") else _name(word) for word in words]
        for at, word in enumerate(upper):
            block = upper[at - 1 : at] == ["@"] or (at > 1 and upper[at - 2 : at] == ["QB_NAME", "("])
            if block and word not in self._blocks:
                self._blocks[word] = f"B{len(self._blocks) + 1}"
        return [self._names.get(word) or self._blocks.get(word) or word for word in upper]


def _words(text: str) -> tuple[list[str], list[str]]:
    kinds, words = [], []
    for found in _TOKENS.finditer(text):
        kind = found.lastgroup
        if kind is None:
            continue
        word = found[0]
        if kind == "quoted":
            kind, word = "name", _name(word)
        elif kind == "name":
            word = word.upper()
        elif word == "!=":
            word = "<>"
        kinds.append(kind)
        words.append(word)
    return kinds, words


def _name(word: str) -> str:
    bare = word.strip('"')
    return bare.upper() if _PLAIN.fullmatch(bare) else word.upper()


def _continues_list(tokens: list[str]) -> bool:
    """Return whether the next value continues an IN list: ``IN ( ? ,``."""
    return tokens[-4:] == ["IN", "(", "?", ","]


def _aliases(kinds: list[str], words: list[str]) -> dict[int, str]:
    """Return the aliases of tables by their places among the words."""
    found: dict[int, str] = {}
    in_from: list[bool] = [False]
    expected = False  # whether a table may follow
    for place, (kind, word) in enumerate(zip(kinds, words, strict=True)):
        if word == "(" and kind == "sign":
            in_from.append(False)
        elif word == ")" and kind == "sign":
            if len(in_from) > 1:
                in_from.pop()
            expected = False
        elif kind == "name" and word in ("FROM", "JOIN"):
            in_from[-1] = expected = True
        elif kind == "name" and word in _ENDS_FROM:
            in_from[-1] = expected = False
        elif word == "," and in_from[-1]:
            expected = True
        elif kind == "name" and in_from[-1] and word not in _JOINS:
            before = words[place - 1]
            if expected and before != ".":
                expected = False  # the table, or its schema
            elif (
                before not in (".", ",", "@") and (kinds[place - 1] == "name" or before == ")") and _ends(words, place)
            ):
                found[place] = word
    return found


def _ends(words: list[str], place: int) -> bool:
    following = words[place + 1] if place + 1 < len(words) else ""
    return following in ("", ",", ")", ";") or following in _ENDS_FROM or following in _JOINS


def _digest(*parts: list[str]) -> str:
    digest = blake2b(digest_size=8)
    for part in parts:
        for word in part:
            digest.update(word.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(b"\1")
    return digest.hexdigest()


def parsable(shape: Canonical, written: list[str]) -> Iterator[str]:
    """Yield the words of a shape with a marked value in each slot, for a parser."""
    slot = 0
    for word in shape.tokens:
        if word != "?":
            yield word
            continue
        first = written[shape.slots[slot].values[0]]
        yield f"'slot {slot}'" if first.startswith("'") else str(FIRST_SLOT + slot)
        slot += 1
