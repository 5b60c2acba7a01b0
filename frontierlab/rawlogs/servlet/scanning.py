"""From blocks of lines to messages: which lines begin one, who wrote it when, and of what kind it is.

Nothing here goes line by line. The bytes of a block are an array, and each step works on all lines at once: where lines
begin, whether the fixed signs of a time stand where they must, the digits of times and numbers. A loop over regular
expressions does the same ten times more slowly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frontierlab.rawlogs.lines import Block, LineCounts, SetAside
from frontierlab.rawlogs.servlet.heads import Heads, is_logback, numbers_in, read_heads
from frontierlab.rawlogs.servlet.messages import PREFIXES, WITH_TEXT, WITH_TRACE, Kind, Messages, kind_of
from frontierlab.rawlogs.servlet.texts import PADDING, cut_out, distinct, windows

__all__ = ["NOT_SET", "Scanner"]

Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_HEADS = (8, 12, 24, 64)  # bytes by which messages are told apart: if few do not tell, more
_LONGER = {width: {prefix[:width] for prefix, _ in PREFIXES if len(prefix) > width} for width in _HEADS}
_UNCLEAR = -1
_REMEMBERED = 100_000  # beginnings of messages
_TAIL = PADDING
_OPEN = 4 * 2**20  # a longer message is cut
_TRACED = np.zeros(64, bool)
_TRACED[list(WITH_TRACE)] = True
_TOLD = np.zeros(64, bool)
_TOLD[list(WITH_TEXT)] = True
NOT_SET = "not_set"
"""The server's name in lines before the servlet has read it."""


class _Names:
    """Numbers for names that are bytes in a block."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names: list[str] = [*names]
        self._numbers: dict[bytes, int] = {name.encode(): number for number, name in enumerate(self.names)}

    def number(self, name: bytes) -> int:
        found = self._numbers.get(name)
        if found is None:
            found = self._numbers[name] = len(self.names)
            self.names.append(name.decode("utf-8", "backslashreplace"))
        return found

    def of(self, data: Bytes, begin: Integers, length: Integers) -> Integers:
        """Return the numbers of many names; equal ones are looked up once."""
        if not len(begin):
            return np.zeros(0, np.int64)
        codes, examples = distinct(data, begin, length)
        known = [self.number(data[begin[k] : begin[k] + length[k]].tobytes()) for k in examples.tolist()]
        return np.array(known, np.int64)[codes]


class Scanner:
    """Reads the blocks of one log, in order.

    Parameters
    ----------
    aside
        Gets the lines that are no part of a message.
    """

    def __init__(self, aside: SetAside) -> None:
        self.counts = LineCounts()
        self.servers, self.zones = _Names(), _Names()
        self.files: list[Path] = []
        self._aside = aside
        self._kinds: dict[tuple[int, bytes], int] = {}
        self._rest: tuple[bytes, int] = (b"", 0)  # the last message of the block before, and its line
        self._open: Kind | None = None  # the kind of a message at the end of a file that goes on in the next one

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs to go on in another process, as a plain dict for JSON."""
        rest, line = self._rest
        return {
            "counts": self.counts.as_record(),
            "servers": self.servers.names,
            "zones": self.zones.names,
            "files": [str(file) for file in self.files],
            "rest": [rest.decode("latin-1"), line],
            "open": self._open,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where another scanner was when it gave this state."""
        counts = state["counts"]
        self.counts = LineCounts(**counts | {"set_aside": Counter(counts["set_aside"])})
        self.servers, self.zones = _Names(state["servers"]), _Names(state["zones"])
        self.files = [Path(file) for file in state["files"]]
        self._rest = (state["rest"][0].encode("latin-1"), state["rest"][1])
        self._open = None if state["open"] is None else Kind(state["open"])

    def read(self, block: Block, *, last: bool) -> Messages:
        """Return the messages of a block; the last one waits for the next block of its file.

        Parameters
        ----------
        block
            The next lines.
        last
            Whether it is the last block of its file.
        """
        if not self.files or self.files[-1] != block.file:
            self.files.append(block.file)
            self._rest = (b"", 0)
        rest, line = self._rest
        data, first = rest + block.data, line if rest else block.first
        if not data:
            return Messages.empty()
        return self._scan(data, first, block.cut, last=last)

    def _scan(self, data: bytes, first: int, cut: tuple[int, ...], *, last: bool) -> Messages:
        view = np.frombuffer(data + bytes(_TAIL), np.uint8)
        feeds = np.flatnonzero(view[: len(data)] == 10)
        begin = np.concatenate([[0], feeds[:-1] + 1]).astype(np.int64)
        heads = read_heads(view, begin, feeds)
        own = np.flatnonzero(heads.found)
        if cut:
            own = own[~np.isin(own + first, cut)]
        ends = _message_ends(own, len(begin))
        self._rest = (b"", 0)
        if not last and len(own) and len(data) - begin[own[-1]] < _OPEN:
            here = int(own[-1])  # the last message may go on in the next block
            self._rest = (data[begin[here] :], first + here)
            own, ends, begin, feeds = own[:-1], ends[:-1], begin[:here], feeds[:here]
        heads = heads.take(own)
        messages = self._messages(view, begin, feeds, heads, own, first)
        self._account(data, view, messages, heads.message, own, ends, begin, feeds, first, cut, last=last)
        return messages

    def _messages(
        self, view: Bytes, begin: Integers, feeds: Integers, heads: Heads, own: Integers, first: int
    ) -> Messages:
        kind = self._kinds_of(view, heads.message, feeds[own])
        kind[(heads.request < 0) & (kind != Kind.INITIALIZING)] = Kind.SERVER
        numbers = numbers_in(view, heads.message, kind)
        return Messages(
            place=self.counts.lines + own,
            file=np.full(len(own), len(self.files) - 1, np.int64),
            line=first + own,
            server=self.servers.of(view, begin[own], heads.name),
            request=heads.request,
            time=heads.time,
            offset=heads.offset,
            zone=self.zones.of(view, heads.zone_at, heads.zone),
            kind=kind,
            first=numbers[0],
            second=numbers[1],
            text=np.arange(len(own)),
            texts=pa.array([], pa.large_binary()),
        )

    def _kinds_of(self, view: Bytes, at: Integers, feeds: Integers) -> Integers:
        """Return the kinds of messages. Their first bytes tell most apart; equal ones are looked up once."""
        kinds = np.full(len(at), _UNCLEAR, np.int64)
        for width in _HEADS:
            rows = np.flatnonzero(kinds == _UNCLEAR)
            if not len(rows):
                break
            length = np.minimum(feeds[rows] - at[rows], width)
            codes, examples = distinct(view, at[rows], length)
            heads = [view[at[rows[k]] : at[rows[k]] + length[k]].tobytes() for k in examples.tolist()]
            kinds[rows] = np.array([self._kind_of_head(head, width) for head in heads], np.int64)[codes]
        return kinds

    def _kind_of_head(self, head: bytes, width: int) -> int:
        """Return the kind of messages that begin so; `_UNCLEAR` if a longer beginning can tell them apart."""
        kind = self._kinds.get((width, head))
        if kind is None:
            kind = _UNCLEAR if head in _LONGER[width] else int(kind_of(head))
            if len(self._kinds) < _REMEMBERED:
                self._kinds[width, head] = kind
        return kind

    def _account(
        self,
        data: bytes,
        view: Bytes,
        messages: Messages,
        at: Integers,
        own: Integers,
        ends: Integers,
        begin: Integers,
        feeds: Integers,
        first: int,
        cut: tuple[int, ...],
        *,
        last: bool,
    ) -> None:
        """Give further lines to their messages, set the others aside, and keep the texts that are read."""
        total = len(begin)
        empty = np.flatnonzero(begin == feeds)
        closed = np.flatnonzero((feeds > begin) & (view[feeds - 1] == ord("]")))
        upto = own + 1  # the line behind the last one of each message
        followed = _TRACED[messages.kind] & (ends > own + 1)
        has_trace = view[np.maximum(feeds[own] - 1, 0)] == ord(":")
        traced = np.flatnonzero(followed & has_trace)
        upto[traced] = _through(empty, own[traced] + 1, ends[traced])
        told = np.flatnonzero(followed & ~has_trace)  # a text of Oracle, which can have lines of its own
        upto[told] = _before(np.flatnonzero(~_goes_on(view, begin)), own[told] + 1, ends[told]) if len(told) else 0
        lines = np.flatnonzero((messages.kind == Kind.SQL) & (ends > own + 1))
        lines = lines[view[feeds[own[lines]] - 1] != ord("]")]
        upto[lines] = _through(closed, own[lines] + 1, ends[lines])
        if len(own):
            messages.texts = cut_out(view, at, np.where(_TOLD[messages.kind], feeds[upto - 1], at))
        goes_on = self._continued(own, empty, closed, total)
        outside = np.ones(total, bool)
        outside[:goes_on] = False
        steps = np.zeros(total + 1, np.int64)
        np.add.at(steps, own, 1)
        np.add.at(steps, upto, -1)
        outside &= np.cumsum(steps)[:total] == 0
        others = np.flatnonzero(outside)
        logback = others[is_logback(view, begin[others])]
        outside[logback] = False
        if cut:
            outside[[number - first for number in cut if 0 <= number - first < total]] = True
        self._set_aside(data, np.flatnonzero(outside), begin, feeds, first, cut)
        self._open = None
        if last and len(own) and upto[-1] == total:
            ended = view[feeds[-1] - 1] == ord("]") if messages.kind[-1] == Kind.SQL else begin[-1] == feeds[-1]
            opens = messages.kind[-1] == Kind.SQL or (_TRACED[messages.kind[-1]] and has_trace[-1])
            if opens and not ended:
                self._open = Kind(int(messages.kind[-1]))
        aside = int(outside.sum())
        self.counts.lines += total
        used = len(own) + len(logback)
        self.counts.used += used
        self.counts.continuations += total - used - aside

    def _continued(self, own: Integers, empty: Integers, closed: Integers, total: int) -> int:
        """Return how many lines at the beginning belong to the last message of the file before."""
        if self._open is None:
            return 0
        before = np.array([own[0] if len(own) else total])
        ends = closed if self._open == Kind.SQL else empty
        return int(_through(ends, np.array([0]), before)[0])

    def _set_aside(
        self, data: bytes, outside: Integers, begin: Integers, feeds: Integers, first: int, cut: tuple[int, ...]
    ) -> None:
        reasons = {number - first: "longer than 4 MiB" for number in cut}
        plain = "not a line of a servlet"
        for done, k in enumerate(outside.tolist()):
            reason = reasons.get(k, plain)
            if reason is plain and not self._aside.wants(plain):
                rest = [reasons.get(other, plain) for other in outside[done:].tolist()]
                for name in set(rest):
                    self._aside.count(name, rest.count(name))
                    self.counts.set_aside[name] += rest.count(name)
                return
            self._aside.add(reason, self.files[-1], first + k, data[begin[k] : min(feeds[k], begin[k] + 2_000)])
            self.counts.set_aside[reason] += 1


def _message_ends(own: Integers, total: int) -> Integers:
    """Return for each line that begins a message the next such line, or the end."""
    return np.concatenate([own[1:], [total]]).astype(np.int64) if len(own) else own


def _before(ends: Integers, begin: Integers, before: Integers) -> Integers:
    """Return the first of `ends` from `begin` on, but at most `before`."""
    return np.maximum(_through(ends, begin, before + 1) - 1, begin)


def _goes_on(view: Bytes, begin: Integers) -> Mask:
    """Whether lines look like further lines of an error: indented, or an error of Oracle."""
    oracle = (windows(view, begin, 4) == np.frombuffer(b"ORA-", np.uint8)).all(1)
    found: Mask = oracle | np.isin(view[begin], (9, 32))
    return found


def _through(ends: Integers, begin: Integers, before: Integers) -> Integers:
    """Return the line behind the first of `ends` from `begin` on, but at most `before`."""
    if not len(ends):
        return before
    at = np.searchsorted(ends, begin)
    found = np.where(at < len(ends), ends[np.minimum(at, len(ends) - 1)] + 1, before)
    return np.minimum(found, before)
