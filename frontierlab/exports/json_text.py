"""Split a text into JSON documents: in lines, in arrays, in answers of searches, or one after another.

The end of a document is guessed: the end of the line, or the place where the next document seems to begin. If the text
up to there is valid JSON, the guess is right. Brackets are counted only if no guess is right. So lines and arrays are
split about as fast as the disk delivers them, and memory holds one block and the longest document.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from frontierlab.errors import InvalidRequestError

__all__ = ["AnswerFacts", "Document", "DocumentSplitter", "ErrorAnswer", "MalformedText"]

Document = bytes | msgspec.Raw
"""The text of a document: Raw if it is valid JSON, otherwise bytes."""

_LONGEST = 64_000_000  # bytes of the longest document that is read
_NEAR = 65_536  # bytes within which the end of a document is guessed
_HEAD = 1_000  # bytes kept of a document that is too long
_TRIES = 1_000  # places in a damaged object that are tried as the beginning of a document
_FAR = 16_384  # bytes after which an object without end is checked for damage

_SPACE = re.compile(rb"(?:[\s,\x1e]|\xef\xbb\xbf)*+")  # between documents; a byte order mark where files were joined
_NEXT = re.compile(rb"\}[\s,]*+\{")
_STRING = re.compile(rb'"(?:[^"\\\n]++|\\.)*+"')
_REST_OF_STRING = re.compile(rb'(?:[^"\\\n]++|\\.)*+')
_BRACKET = re.compile(rb'"(?:[^"\\\n]++|\\.)*+"|["{}\[\]]')
_SCALAR = re.compile(rb'"(?:[^"\\\n]++|\\.)*+"|[^\s,\]}\[{"]++')
_MEMBER = re.compile(rb'"((?:[^"\\\n]++|\\.)*+)"\s*+:\s*+')
_NEXT_LINE = re.compile(rb"\n(?=\s*+[{\[\]])")

# members of the answer to a search, a multi-search or a scroll, and of its `hits`
_KEYS = (
    *("took", "timed_out", "terminated_early", "num_reduce_phases", "_scroll_id", "pit_id", "_shards", "_clusters"),
    *("hits", "responses", "aggregations", "profile", "suggest", "status", "error", "total", "max_score"),
)
_ANSWER = re.compile(rb'\{\s*+"(?:' + "|".join(_KEYS).encode() + rb')"\s*+:')
_BEGINNING = 64  # bytes of an object that show whether it is an answer
_PREFIX = 20  # bytes: longer than the longest key and the text before it


class MalformedText(bytes):
    """The text of a malformed document, with the reason."""

    reason: str

    def __new__(cls, text: bytes, reason: str) -> MalformedText:
        """Make the text, with its reason."""
        made = super().__new__(cls, text)
        made.reason = reason
        return made


class ErrorAnswer(InvalidRequestError):
    """The text is the body of an error instead of a search's answer."""


@dataclass
class AnswerFacts:
    """Facts about the answers of searches in a text.

    Parameters
    ----------
    answers
        Number of answers.
    hits
        Number of documents in the answers.
    total
        Number of documents that the largest search found; a lower bound if `at_least` is true.
    problems
        Reasons why an answer is partial, such as ``timed out``.
    cut_short
        The text ends within an array or an answer.
    has_ids
        Documents have an `_id`.
    """

    answers: int = 0
    hits: int = 0
    total: int = 0
    at_least: bool = False
    problems: list[str] = field(default_factory=list)
    cut_short: bool = False
    has_ids: bool = False


class _Shape(msgspec.Struct):
    time: msgspec.Raw = msgspec.field(name="@timestamp", default=msgspec.Raw())
    source: msgspec.Raw = msgspec.field(name="_source", default=msgspec.Raw())


_RAW = msgspec.json.Decoder(msgspec.Raw)
_SHAPES = msgspec.json.Decoder(_Shape)
_NOT_JSON = (msgspec.DecodeError, RecursionError)


class _End:
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
        found = _REST_OF_STRING.match(text, self.at, stop)
        self.at = found.end() if found else self.at
        if self.at < stop and text[self.at] == 0x0A:
            raise ValueError("a line ends within a string")
        if self.at < stop and text[self.at] == 0x22:
            self._in_string = False
            self.at += 1
            return True
        return False  # the string continues in the next block, perhaps after a backslash


class DocumentSplitter:
    """Splits a text, given block by block, into documents.

    Documents can be in lines, in arrays, one after another, and hits of search answers; one text may mix these forms.
    A damaged document does not affect others: reading continues at the next line or object that is a document.
    """

    def __init__(self) -> None:
        self.facts = AnswerFacts()
        self._rest = b""
        self._within: list[str] = []  # the open levels: "array", "hits", or "members" of an answer
        self._end: _End | None = None  # of the object at the start of the rest
        self._too_long: bytes | None = None  # the head of a document that is too long to keep
        self._usual = b"{"  # how the last document began, which was not an answer

    def feed(self, block: bytes, last: bool = False) -> list[Document]:
        """Return the documents that end in a block, in order.

        Parameters
        ----------
        block
            UTF-8 text that continues the blocks before.
        last
            Whether this is the last block.

        Raises
        ------
        ErrorAnswer
            The text is the body of an error; the message has its text.
        """
        text = self._rest + block if self._rest else block
        found: list[Document] = []
        at = line_end = 0
        while True:
            if self._too_long is None:
                at = _SPACE.match(text, at).end()  # type: ignore[union-attr]  # always matches
            if at >= len(text):
                break
            if not self._within and self._too_long is None and at >= line_end:
                at, line_end = self._lines(text, at, last, found)
                if at >= len(text):
                    break
            after = self._step(text, at, last, found)
            if after is None:
                break
            at = after
        if last and self._too_long is not None:
            self._malformed(b"", found)
        self._keep(text, min(at, len(text)), last)
        return found

    def _keep(self, text: bytes, at: int, last: bool) -> None:
        """Keep the text that is not read yet."""
        self._rest = text[at:]
        if self._end is not None:
            self._end.at -= at
        if last:
            self.facts.cut_short = bool(self._within)
        elif self._too_long is None and len(self._rest) > _LONGEST:
            self._too_long = self._rest[:_HEAD]
        if self._too_long is not None:
            if self._end is not None:
                done = min(self._end.at, len(self._rest))
                self._rest = self._rest[done:]
                self._end.at -= done
            else:
                self._rest = b""

    def _lines(self, text: bytes, at: int, last: bool, found: list[Document]) -> tuple[int, int]:
        """Read lines that are documents; return the positions of the first other line and of its end."""
        while at < len(text):
            end = text.find(b"\n", at)
            if end < 0:
                end = len(text)
                if not last:
                    return at, end
            line = text[at:end]
            if line[:_PREFIX] != self._usual:
                if line[:1] != b"{" or _ANSWER.match(line):
                    return at, end
                self._begins_anew(line)
            try:
                found.append(_RAW.decode(line))
            except _NOT_JSON:
                return at, end
            self._end = None
            at = end + 1
            if text[at : at + 1] != b"{":
                at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
        return at, at

    def _begins_anew(self, document: bytes) -> None:
        """Remember how this document begins, which differs from the last one, and whether it has an id."""
        self._usual = document[:_PREFIX]
        self.facts.has_ids = self.facts.has_ids or b'"_id"' in document

    def _step(self, text: bytes, at: int, last: bool, found: list[Document]) -> int | None:
        """Read the next piece of text; return the position after it, or None if more text is needed to decide."""
        if self._too_long is not None and self._end is None:
            return self._junk(text, at, last, found)
        first = text[at : at + 1]
        if self._end is None and self._within and self._within[-1] == "members":
            return self._member(text, at, last)
        if first == b"{" or self._end is not None:
            return self._object(text, at, last, found)
        if first == b"[":
            self._within.append("array")
            return at + 1
        if first == b"]" and self._within:
            self._within.pop()
            return at + 1
        return self._junk(text, at, last, found)

    def _junk(self, text: bytes, at: int, last: bool, found: list[Document]) -> int | None:
        """Read text that cannot begin a document, to the end of the line."""
        after = at + (self._too_long is None)
        ends = [place for mark in (b"\n", b"{", b"]") if (place := text.find(mark, after, at + _NEAR)) >= 0]
        end = min(ends) if ends and self._within else text.find(b"\n", after)
        if end < 0:
            if not last:
                return None
            end = len(text)
        self._malformed(text[at:end], found)
        return end

    def _malformed(self, text: bytes, found: list[Document]) -> None:
        """Add a malformed document, or its head if it is too long; one per line that begins like a document."""
        if self._too_long is not None:
            found.append(MalformedText(self._too_long, f"the document: longer than {_LONGEST // 1_000_000} MB"))
            self._too_long = None
        else:
            found += re.split(rb"\n(?=\{)", text.rstrip(b" \t\r\n,") or text)
        self._end = None

    # ---- objects

    def _object(self, text: bytes, at: int, last: bool, found: list[Document]) -> int | None:
        if self._end is None:
            if len(text) - at < _BEGINNING and not last:
                return None
            if _ANSWER.match(text, at):
                is_answer = self._is_answer(text, at)
                if is_answer is None and not last:
                    return None
                if is_answer:
                    self.facts.answers += 1
                    self._within.append("members")
                    return at + 1
            after = self._guessed(text, at, found)
            if after > at:
                return after
            self._end = _End(at)
        return self._counted(text, at, last, found)

    def _guessed(self, text: bytes, at: int, found: list[Document]) -> int:
        """Read objects that end where the next one seems to begin; return the position after them."""
        before = len(found)
        while next_ := _NEXT.search(text, at, at + _NEAR):
            piece = text[at : next_.start() + 1]
            if piece[:_PREFIX] != self._usual:
                if _ANSWER.match(piece):
                    break
                self._begins_anew(piece)
            try:
                found.append(_RAW.decode(piece))
            except _NOT_JSON:
                break
            at = next_.end() - 1
        self._count_hits(len(found) - before)
        return at

    def _counted(self, text: bytes, at: int, last: bool, found: list[Document]) -> int | None:
        """Read an object by counting its brackets, or the damaged part of it."""
        end = self._end or _End(at)
        while True:
            asked = end.at
            line = text.find(b"\n{", asked, asked + _FAR)
            stop = line if line >= 0 else min(len(text), asked + _FAR)
            try:
                after = end.find(text, stop)
            except ValueError:
                return self._damaged(text, at, end.at, last, found)
            if after is not None:
                return self._ended(text, at, after, found)
            if line >= 0:
                alone = self._stands_alone(text, line + 1)
                if alone or (alone is None and last):
                    self._malformed(text[at:line], found)
                    return line + 1
                if alone is None:
                    return None
                end.at = line + 1
            elif stop < len(text) or last:
                if (next_ := self._document_within(text, max(at, asked - _FAR), stop)) is not None:
                    self._malformed(text[at:next_], found)
                    return next_
                if stop == len(text):
                    self._malformed(text[at:], found)
                    return stop
            else:
                return None

    def _ended(self, text: bytes, at: int, after: int, found: list[Document]) -> int:
        """Read an object with known ends; if it is not JSON, it may end earlier, where a document within it begins."""
        if self._too_long is None:
            try:
                found.append(_RAW.decode(text[at:after]))
            except _NOT_JSON:
                after = self._document_within(text, at, after) or after
            else:
                self._count_hits(1)
                self._end = None
                return after
        self._malformed(text[at:after], found)
        return after

    def _document_within(self, text: bytes, start: int, stop: int) -> int | None:
        """Return the position of a document that begins within a damaged object; None if there is none."""
        if self._too_long is None:
            for next_ in itertools.islice(_NEXT.finditer(text, start, stop), _TRIES):
                if self._stands_alone(text, next_.end() - 1):
                    return next_.end() - 1
        return None

    def _damaged(self, text: bytes, at: int, line_end: int, last: bool, found: list[Document]) -> int | None:
        """Read an object with a line break within a string; continue at the next line with an object or array."""
        next_ = _NEXT_LINE.search(text, line_end)
        if next_ is None and not last:
            return None
        end = next_.start() if next_ else len(text)
        self._malformed(text[at:end], found)
        return end

    def _stands_alone(self, text: bytes, at: int) -> bool | None:
        """Whether a document with a time begins at a position; None if more text is needed to decide."""
        next_ = _NEXT.search(text, at, at + _NEAR)
        ends = [next_.start() + 1] if next_ else []
        try:
            if (after := _End(at).find(text, min(len(text), at + _NEAR))) is not None:
                ends.append(after)
        except ValueError:
            return False
        for end in ends:
            try:
                shape = _SHAPES.decode(text[at:end])
            except (msgspec.MsgspecError, RecursionError):
                continue
            return bool(bytes(shape.time) or bytes(shape.source))
        return False if ends or len(text) - at >= _NEAR else None

    # ---- answers of searches

    def _is_answer(self, text: bytes, at: int) -> bool | None:
        """Whether an object is an answer: it has hits or responses, and only members of answers before them."""
        at, error = at + 1, b""
        while True:
            at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
            if text[at : at + 1] == b"}":
                if error:
                    raise ErrorAnswer(error[:200].decode("utf-8", "replace"))
                return False
            member = _MEMBER.match(text, at)
            if member is None:
                return None if len(text) - at < _HEAD else False
            key, at = member[1].decode("utf-8", "replace"), member.end()
            if key not in _KEYS:
                return False
            if (key == "hits" and text[at : at + 1] in (b"{", b"[")) or (
                key == "responses" and text[at : at + 1] == b"["
            ):
                return True
            after = _value_end(text, at)
            if after is None:
                return None
            if key == "error":
                error = text[at:after]
            at = after

    def _member(self, text: bytes, at: int, last: bool) -> int | None:
        """Read a member of an answer, or of the `hits` of an answer."""
        if text[at : at + 1] == b"}":
            self._within.pop()
            return at + 1
        member = _MEMBER.match(text, at)
        if member is None:
            if len(text) - at < _HEAD and not last:
                return None
            self._within.clear()  # the answer is damaged: the text after it is read as outside of an answer
            return at
        key, value = member[1].decode("utf-8", "replace"), member.end()
        first = text[value : value + 1]
        if first == b"{" and key == "hits":
            self._within.append("members")
            return value + 1
        if first == b"[" and key in ("hits", "responses"):
            self._within.append("array" if key == "responses" else "hits")
            return value + 1
        after = _value_end(text, value)
        if after is None:
            return len(text) if last else None
        self._note(key, text[value:after])
        return after

    def _note(self, key: str, value: bytes) -> None:
        """Record what an answer says about its completeness."""
        try:
            said: Any = msgspec.json.decode(value)
        except (ValueError, RecursionError):
            return
        if key == "error":
            raise ErrorAnswer(value[:200].decode("utf-8", "replace"))
        if key == "timed_out" and said is True:
            self.facts.problems.append("timed out")
        if key == "_shards" and isinstance(said, dict) and said.get("failed"):
            self.facts.problems.append(f"{said['failed']} of {said.get('total')} shards failed")
        if key == "terminated_early" and said is True:
            self.facts.problems.append("ended early")
        if key == "_clusters" and isinstance(said, dict):
            away = [f"{said[state]} {state}" for state in ("skipped", "partial", "failed") if said.get(state)]
            if away:
                self.facts.problems.append(f"of {said.get('total')} clusters {', '.join(away)}")
        if key == "total":
            count = said.get("value") if isinstance(said, dict) else said
            if isinstance(count, int):
                self.facts.total = max(self.facts.total, count)
                self.facts.at_least |= isinstance(said, dict) and said.get("relation") == "gte"

    def _count_hits(self, number: int) -> None:
        if self._within and self._within[-1] == "hits":
            self.facts.hits += number


def _value_end(text: bytes, at: int) -> int | None:
    """Return the position after a value; None if the value does not end in this text."""
    if text[at : at + 1] in (b"{", b"["):
        try:
            return _End(at).find(text, len(text))
        except ValueError:
            return None
    scalar = _SCALAR.match(text, at)
    return scalar.end() if scalar and scalar.end() < len(text) else None
