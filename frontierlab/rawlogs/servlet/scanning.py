"""From blocks of lines to messages: which lines begin one, who wrote it when, and of what kind it is.

Nothing here goes line by line. The bytes of a block are an array, and each step works on all lines at once: where lines
begin, whether the fixed signs of a time stand where they must, the digits of times and numbers. A loop over regular
expressions does the same ten times more slowly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontierlab.rawlogs.lines import Block, LineCounts, SetAside
from frontierlab.rawlogs.servlet.heads import is_logback, numbers_in
from frontierlab.rawlogs.servlet.kinds import KindReader
from frontierlab.rawlogs.servlet.layouts import HeadReader
from frontierlab.rawlogs.servlet.messages import WITH_TEXT, WITH_TRACE, Kind, Messages
from frontierlab.rawlogs.servlet.texts import PADDING, cut_out, windows

__all__ = ["NOT_SET", "Scanner"]

Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_OPEN = 4 * 2**20  # a longer message is cut
_TRACED = np.zeros(64, bool)
_TRACED[list(WITH_TRACE)] = True
_TOLD = np.zeros(64, bool)
_TOLD[list(WITH_TEXT)] = True
NOT_SET = "not_set"
"""The server's name in lines before the servlet has read it."""


class Scanner:
    """Reads the blocks of one log, in order.

    Parameters
    ----------
    aside
        Gets the lines that are no part of a message.
    """

    def __init__(self, aside: SetAside) -> None:
        self.counts = LineCounts()
        self.files: list[Path] = []
        self._heads, self._kinds = HeadReader(), KindReader()
        self._aside = aside
        self._rest: tuple[bytes, int] = (b"", 0)  # the last message of the block before, and its line
        self._open: Kind | None = None  # the kind of a message at the end of a file that goes on in the next one

    @property
    def servers(self) -> Sequence[str]:
        """The names of servers, by their numbers."""
        return self._heads.servers.names

    @property
    def zones(self) -> Sequence[str]:
        """The names of time zones, by their numbers."""
        return self._heads.zones.names

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs to go on in another process, as a plain dict for JSON."""
        rest, line = self._rest
        return {
            "counts": self.counts.as_record(),
            "servers": self.servers,
            "zones": self.zones,
            "files": [str(file) for file in self.files],
            "rest": [rest.decode("latin-1"), line],
            "open": self._open,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where another scanner was when it gave this state."""
        counts = state["counts"]
        self.counts = LineCounts(**counts | {"set_aside": Counter(counts["set_aside"])})
        self._heads = HeadReader(state["servers"], state["zones"])
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
        data = b"".join((rest, block.data, bytes(PADDING)))
        if len(data) == PADDING:
            return Messages.empty()
        return self._scan(np.frombuffer(data, np.uint8), line if rest else block.first, block.cut, last=last)

    def _scan(self, view: Bytes, first: int, cut: tuple[int, ...], *, last: bool) -> Messages:
        size = len(view) - PADDING
        feeds = np.flatnonzero(view[:size] == 10)
        begin = np.concatenate([[0], feeds[:-1] + 1]).astype(np.int64)
        heads = self._heads.read(view, begin, feeds)
        own = np.flatnonzero(heads.found)
        if cut:
            own = own[~np.isin(own + first, cut)]
        self._rest = (b"", 0)
        if not last and len(own) and size - begin[own[-1]] < _OPEN:
            here = int(own[-1])  # the last message may go on in the next block
            self._rest = (view[begin[here] : size].tobytes(), first + here)
            own, begin, feeds = own[:-1], begin[:here], feeds[:here]
        heads = heads.take(own)
        kind, at = self._kinds.read(view, heads.message, feeds[own])
        kind[(heads.request < 0) & (kind != Kind.INITIALIZING)] = Kind.SERVER
        upto = self._account(view, kind, own, begin, feeds, first, cut, last=last)
        told = np.flatnonzero(_TOLD[kind])
        text = np.zeros(len(own), np.int64)
        text[told] = np.arange(1, len(told) + 1)
        numbers = numbers_in(view, at, kind)
        messages = Messages(
            place=self.counts.lines + own,
            file=np.full(len(own), len(self.files) - 1, np.int64),
            line=first + own,
            server=heads.server,
            request=heads.request,
            time=heads.time,
            offset=heads.offset,
            zone=heads.zone,
            kind=kind,
            first=numbers[0],
            second=numbers[1],
            text=text,
            texts=cut_out(view, np.append(0, at[told]), np.append(0, feeds[upto[told] - 1])),
        )
        self.counts.lines += len(begin)
        return messages

    def _account(
        self,
        view: Bytes,
        kind: Integers,
        own: Integers,
        begin: Integers,
        feeds: Integers,
        first: int,
        cut: tuple[int, ...],
        *,
        last: bool,
    ) -> Integers:
        """Give further lines to their messages, and set the others aside; return the line behind each message."""
        total = len(begin)
        self.counts.used += len(own)
        upto = own + 1
        if len(own) == total and not last:
            self._open = None
            return upto
        ends = np.append(own[1:], total)[: len(own)]
        empty = np.flatnonzero(begin == feeds)
        closed = np.flatnonzero((feeds > begin) & (view[feeds - 1] == ord("]")))
        followed = _TRACED[kind] & (ends > own + 1)
        has_trace = view[np.maximum(feeds[own] - 1, 0)] == ord(":")
        traced = np.flatnonzero(followed & has_trace)
        upto[traced] = _through(empty, own[traced] + 1, ends[traced])
        told = np.flatnonzero(followed & ~has_trace)  # a text of Oracle, which can have lines of its own
        upto[told] = _before(np.flatnonzero(~_goes_on(view, begin)), own[told] + 1, ends[told]) if len(told) else 0
        lines = np.flatnonzero((kind == Kind.SQL) & (ends > own + 1))
        lines = lines[view[feeds[own[lines]] - 1] != ord("]")]
        upto[lines] = _through(closed, own[lines] + 1, ends[lines])
        outside = np.ones(total, bool)
        outside[: self._continued(own, empty, closed, total)] = False
        steps = np.zeros(total + 1, np.int64)
        np.add.at(steps, own, 1)
        np.add.at(steps, upto, -1)
        outside &= np.cumsum(steps)[:total] == 0
        others = np.flatnonzero(outside)
        logback = others[is_logback(view, begin[others])]
        outside[logback] = False
        if cut:
            outside[[number - first for number in cut if 0 <= number - first < total]] = True
        self._set_aside(view, np.flatnonzero(outside), begin, feeds, first, cut)
        self._open = None
        if last and len(own) and upto[-1] == total:
            ended = view[feeds[-1] - 1] == ord("]") if kind[-1] == Kind.SQL else begin[-1] == feeds[-1]
            if (kind[-1] == Kind.SQL or (_TRACED[kind[-1]] and has_trace[-1])) and not ended:
                self._open = Kind(int(kind[-1]))
        self.counts.used += len(logback)
        self.counts.continuations += total - len(own) - len(logback) - int(outside.sum())
        return upto

    def _continued(self, own: Integers, empty: Integers, closed: Integers, total: int) -> int:
        """Return how many lines at the beginning belong to the last message of the file before."""
        if self._open is None:
            return 0
        before = np.array([own[0] if len(own) else total])
        ends = closed if self._open == Kind.SQL else empty
        return int(_through(ends, np.array([0]), before)[0])

    def _set_aside(
        self, view: Bytes, outside: Integers, begin: Integers, feeds: Integers, first: int, cut: tuple[int, ...]
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
            self._aside.add(
                reason, self.files[-1], first + k, view[begin[k] : min(feeds[k], begin[k] + 2_000)].tobytes()
            )
            self.counts.set_aside[reason] += 1


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
