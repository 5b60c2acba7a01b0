"""Split a text into JSON documents: in lines, in arrays, in answers of searches, or one after another.

The end of a document is guessed: the end of the line, or the place where the next document seems to begin. If the text
up to there is valid JSON, the guess is right. Brackets are counted only if no guess is right. So lines and arrays are
split about as fast as the disk delivers them, and memory holds one block and the longest document.
"""

from __future__ import annotations

import itertools
import re

import msgspec

from frontierlab.exports.json_tokens import MEMBER, NEXT, NOT_JSON, EndFinder, skip_spaces, value_end
from frontierlab.exports.search_answers import AnswerFacts, is_answer, may_be_answer

__all__ = ["Document", "DocumentSplitter", "MalformedText"]

Document = bytes | msgspec.Raw
"""The text of a document: Raw if it is valid JSON, otherwise bytes."""

_LONGEST = 64_000_000  # bytes of the longest document that is read
_NEAR = 65_536  # bytes within which the end of a document is guessed
_HEAD = 1_000  # bytes kept of a document that is too long
_TRIES = 1_000  # places in a damaged object that are tried as the beginning of a document
_FAR = 16_384  # bytes after which an object without end is checked for damage

_NEXT_LINE = re.compile(rb"\n(?=\s*+[{\[\]])")

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


class _Shape(msgspec.Struct):
    time: msgspec.Raw = msgspec.field(name="@timestamp", default=msgspec.Raw())
    source: msgspec.Raw = msgspec.field(name="_source", default=msgspec.Raw())


_RAW = msgspec.json.Decoder(msgspec.Raw)
_SHAPES = msgspec.json.Decoder(_Shape)


class DocumentSplitter:
    """Splits a text, given block by block, into documents.

    Documents can be in lines, in arrays, one after another, and hits of search answers; one text may mix these forms.
    A damaged document does not affect others: reading continues at the next line or object that is a document.
    """

    def __init__(self) -> None:
        self.facts = AnswerFacts()
        self._rest = b""
        self._within: list[str] = []  # the open levels: "array", "hits", or "members" of an answer
        self._end: EndFinder | None = None  # of the object at the start of the rest
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
                at = skip_spaces(text, at)
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
                if line[:1] != b"{" or may_be_answer(line):
                    return at, end
                self._begins_anew(line)
            try:
                found.append(_RAW.decode(line))
            except NOT_JSON:
                return at, end
            self._end = None
            at = end + 1
            if text[at : at + 1] != b"{":
                at = skip_spaces(text, at)
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
            if may_be_answer(text, at):
                found_answer = is_answer(text, at)
                if found_answer is None and not last:
                    return None
                if found_answer:
                    self.facts.answers += 1
                    self._within.append("members")
                    return at + 1
            after = self._guessed(text, at, found)
            if after > at:
                return after
            self._end = EndFinder(at)
        return self._counted(text, at, last, found)

    def _guessed(self, text: bytes, at: int, found: list[Document]) -> int:
        """Read objects that end where the next one seems to begin; return the position after them."""
        before = len(found)
        while next_ := NEXT.search(text, at, at + _NEAR):
            piece = text[at : next_.start() + 1]
            if piece[:_PREFIX] != self._usual:
                if may_be_answer(piece):
                    break
                self._begins_anew(piece)
            try:
                found.append(_RAW.decode(piece))
            except NOT_JSON:
                break
            at = next_.end() - 1
        self._count_hits(len(found) - before)
        return at

    def _counted(self, text: bytes, at: int, last: bool, found: list[Document]) -> int | None:
        """Read an object by counting its brackets, or the damaged part of it."""
        end = self._end or EndFinder(at)
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
            except NOT_JSON:
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
            for next_ in itertools.islice(NEXT.finditer(text, start, stop), _TRIES):
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
        next_ = NEXT.search(text, at, at + _NEAR)
        ends = [next_.start() + 1] if next_ else []
        try:
            if (after := EndFinder(at).find(text, min(len(text), at + _NEAR))) is not None:
                ends.append(after)
        except ValueError:
            return False
        for end in ends:
            try:
                shape = _SHAPES.decode(text[at:end])
            except NOT_JSON:
                continue
            return bool(bytes(shape.time) or bytes(shape.source))
        return False if ends or len(text) - at >= _NEAR else None

    # ---- answers of searches

    def _member(self, text: bytes, at: int, last: bool) -> int | None:
        """Read a member of an answer, or of the `hits` of an answer."""
        if text[at : at + 1] == b"}":
            self._within.pop()
            return at + 1
        member = MEMBER.match(text, at)
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
        after = value_end(text, value)
        if after is None:
            return len(text) if last else None
        self.facts.note(key, text[value:after])
        return after

    def _count_hits(self, number: int) -> None:
        if self._within and self._within[-1] == "hits":
            self.facts.hits += number
