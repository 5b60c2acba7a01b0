"""From blocks of lines to messages: which lines begin one, who wrote it when, and of what kind it is.

Nothing here goes line by line. The bytes of a block are an array, and each step works on all lines at once: where lines
begin, whether the fixed signs of a time stand where they must, the digits of times and numbers. A loop over regular
expressions does the same ten times more slowly. What is done with a piece of a log needs no other piece, so that
several processes can do it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pickle import PickleBuffer
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from frontierlab.rawlogs.lines import OF_A_REASON, LineCounts, are_plain, plain_lines
from frontierlab.rawlogs.personal import Pseudonyms
from frontierlab.rawlogs.servlet.details import DetailReader
from frontierlab.rawlogs.servlet.heads import is_logback, numbers_in
from frontierlab.rawlogs.servlet.idle import without_idle
from frontierlab.rawlogs.servlet.kinds import KindReader
from frontierlab.rawlogs.servlet.layouts import HeadReader
from frontierlab.rawlogs.servlet.messages import WITH_TEXT, WITH_TRACE, Kind, Messages
from frontierlab.rawlogs.stretches import Stretch, read_stretch
from frontierlab.rawlogs.texts import PADDING, cut_out, windows

__all__ = ["BlockScanner", "NOT_SET", "Piece", "Scanned", "piece_of", "scanning"]

Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_TRACED = np.zeros(64, bool)
_TRACED[list(WITH_TRACE)] = True
_TOLD = np.zeros(64, bool)
_TOLD[list(WITH_TEXT)] = True
NOT_SET = "not_set"
"""The server's name in lines before the servlet has read it."""


class Piece(NamedTuple):
    """Some whole messages of a log, to be scanned by any `BlockScanner`.

    Parameters
    ----------
    data
        The lines, and at least `PADDING` other bytes; or where they are read.
    size
        How many bytes the lines have.
    cut
        The numbers, from 0, of lines that were too long and are not whole.
    last
        Whether the file ends here.
    goes_on
        The kind of a message at the end of the file before that goes on here; None if there is none.
    """

    data: bytes | bytearray | memoryview | PickleBuffer | Stretch
    size: int
    cut: tuple[int, ...] = ()
    last: bool = False
    goes_on: int | None = None


@dataclass
class Scanned:
    """What a piece holds.

    Parameters
    ----------
    messages
        The messages; ``place``, ``file`` and ``line`` are the number of the line in the piece, from 0.
    servers, zones
        The names whose numbers the messages have.
    counts
        What became of the lines.
    aside
        Lines that were set aside, the first ones of each reason: reason, number of the line, text.
    goes_on
        The kind of a message that goes on in the next file, or None.
    """

    messages: Messages
    servers: list[str]
    zones: list[str]
    counts: LineCounts
    aside: list[tuple[str, int, bytes]] = field(default_factory=list)
    goes_on: int | None = None


class BlockScanner:
    """Scans pieces of logs, each by itself; remembers only what makes the next one faster.

    Parameters
    ----------
    pseudonyms
        What replaces personal data.
    """

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._heads, self._kinds, self._details = HeadReader(), KindReader(), DetailReader(pseudonyms)

    def scan(self, piece: Piece) -> Scanned:
        """Return what a piece holds."""
        assert isinstance(piece.data, (bytes, bytearray))
        view = np.frombuffer(piece.data, np.uint8)
        feeds = np.flatnonzero(view[: piece.size] == 10)
        begin = np.concatenate([[0], feeds[:-1] + 1]).astype(np.int64)
        heads = self._heads.read(view, begin, feeds)
        own = np.flatnonzero(heads.found)
        if piece.cut:
            own = own[~np.isin(own, piece.cut)]
        heads = heads.take(own)
        kind, at = self._kinds.read(view, heads.message, feeds[own])
        kind[(heads.request < 0) & (kind != Kind.INITIALIZING)] = Kind.SERVER
        seen = Scanned(Messages.empty(), [], [], LineCounts(len(begin)))
        ends = feeds[self._account(view, kind, own, begin, feeds, piece, seen) - 1]
        told = np.flatnonzero(_TOLD[kind])
        text = np.zeros(len(own), np.int64)
        text[told] = np.arange(1, len(told) + 1)
        for one in (Kind.START, Kind.SQL):
            text[kind == one] = np.arange(np.count_nonzero(kind == one))
        starts, queries = self._details.read(piece.data, at, ends, kind, heads.server, heads.request)
        numbers = numbers_in(view, at, kind)
        server, seen.servers = _used(heads.server, self._heads.servers.names)
        zone, seen.zones = _used(heads.zone, self._heads.zones.names)
        seen.messages = Messages(
            place=own,
            file=own,
            line=own,
            server=server,
            request=heads.request,
            time=heads.time,
            offset=heads.offset,
            zone=zone,
            kind=kind,
            first=numbers[0],
            second=numbers[1],
            text=text,
            texts=cut_out(view, np.append(0, at[told]), np.append(0, ends[told])),
            starts=starts,
            queries=queries,
        )
        return seen

    def scan_for_requests(self, piece: Piece) -> Scanned:
        """Return what a piece holds, without messages that change nothing of any request."""
        seen = self.scan(piece)
        return replace(seen, messages=without_idle(seen.messages))

    def _account(
        self,
        view: Bytes,
        kind: Integers,
        own: Integers,
        begin: Integers,
        feeds: Integers,
        piece: Piece,
        seen: Scanned,
    ) -> Integers:
        """Give further lines to their messages, and set the others aside; return the line behind each message."""
        total = len(begin)
        seen.counts.used = len(own)
        upto = own + 1
        if len(own) == total and not piece.last:
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
        outside[: self._continued(piece.goes_on, own, empty, closed, total)] = False
        steps = np.zeros(total + 1, np.int64)
        np.add.at(steps, own, 1)
        np.add.at(steps, upto, -1)
        outside &= np.cumsum(steps)[:total] == 0
        others = np.flatnonzero(outside)
        logback = others[is_logback(view, begin[others])]
        outside[logback] = False
        outside[[*piece.cut]] = True
        self._set_aside(view, np.flatnonzero(outside), begin, feeds, piece, seen)
        if piece.last and len(own) and upto[-1] == total:
            ended = view[feeds[-1] - 1] == ord("]") if kind[-1] == Kind.SQL else begin[-1] == feeds[-1]
            if (kind[-1] == Kind.SQL or (_TRACED[kind[-1]] and has_trace[-1])) and not ended:
                seen.goes_on = int(kind[-1])
        seen.counts.used += len(logback)
        seen.counts.continuations = total - len(own) - len(logback) - int(outside.sum())
        return upto

    @staticmethod
    def _continued(goes_on: int | None, own: Integers, empty: Integers, closed: Integers, total: int) -> int:
        """Return how many lines at the beginning belong to the last message of the file before."""
        if goes_on is None:
            return 0
        before = np.array([own[0] if len(own) else total])
        ends = closed if goes_on == Kind.SQL else empty
        return int(_through(ends, np.array([0]), before)[0])

    @staticmethod
    def _set_aside(
        view: Bytes, outside: Integers, begin: Integers, feeds: Integers, piece: Piece, seen: Scanned
    ) -> None:
        too_long = set(piece.cut)
        for k in outside.tolist():
            reason = "longer than 4 MiB" if k in too_long else "not a line of a servlet"
            seen.counts.set_aside[reason] += 1
            if seen.counts.set_aside[reason] <= OF_A_REASON:
                seen.aside.append((reason, k, view[begin[k] : min(feeds[k], begin[k] + 2_000)].tobytes()))


def scanning(pseudonyms: Pseudonyms) -> Callable[[Piece], Scanned]:
    """Return a function that scans pieces, for `frontierlab.rawlogs.processes.Processes`.

    The function raises `frontierlab.rawlogs.stretches.Moved` where a piece cannot be read any more.
    """
    scanner = BlockScanner(pseudonyms)

    def scan(piece: Piece) -> Scanned:
        if isinstance(piece.data, Stretch):
            return scanner.scan_for_requests(piece_of(read_stretch(piece.data, 1 + PADDING), piece))
        assert isinstance(piece.data, (memoryview, PickleBuffer))  # sent, or used here
        raw = piece.data if isinstance(piece.data, memoryview) else piece.data.raw()
        whole = raw.obj
        if not isinstance(whole, (bytes, bytearray)) or len(whole) != raw.nbytes:
            whole = bytes(raw)  # a small piece
        return scanner.scan_for_requests(piece._replace(data=whole))

    return scan


def piece_of(data: bytes | bytearray, piece: Piece) -> Piece:
    """Return a piece with its lines, from the bytes of the file and `PADDING` and one other bytes behind them."""
    size = len(data) - PADDING - 1
    if size and are_plain(data, size) and data[size - 1] == ord("\n"):
        return piece._replace(data=data, size=size)
    lines, cut = plain_lines(bytes(memoryview(data)[:size]))  # the last line of a file gets its line feed
    return piece._replace(data=lines + bytes(PADDING), size=len(lines), cut=cut)


def _used(numbers: Integers, names: Sequence[str]) -> tuple[Integers, list[str]]:
    """Return numbers of the used names alone, and these names."""
    used = np.flatnonzero(np.bincount(numbers, minlength=1))
    new = np.zeros(len(names) + 1, np.int64)
    new[used] = np.arange(len(used))
    return new[numbers], [names[number] for number in used.tolist()] if len(numbers) else []


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
