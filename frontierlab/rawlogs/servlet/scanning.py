"""From blocks of lines to messages: which lines begin one, who wrote it when, and of what kind it is.

Nothing here goes line by line. The bytes of a block are an array, and each step works on all lines at once: where lines
begin, whether the fixed signs of a time stand where they must, the digits of times and numbers. A loop over regular
expressions does the same ten times more slowly. What is done with a piece of a log needs no other piece, so that
several processes can do it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from pickle import PickleBuffer
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from frontierlab.rawlogs.lines import OF_A_REASON, Block, LineCounts, SetAside, are_plain, line_feeds, plain_lines
from frontierlab.rawlogs.personal import Pseudonyms
from frontierlab.rawlogs.servlet.details import DetailReader
from frontierlab.rawlogs.servlet.heads import HEAD, is_logback, numbers_in, read_heads
from frontierlab.rawlogs.servlet.idle import without_idle
from frontierlab.rawlogs.servlet.kinds import KindReader
from frontierlab.rawlogs.servlet.layouts import HeadReader, Names
from frontierlab.rawlogs.servlet.messages import WITH_TEXT, WITH_TRACE, Kind, Messages
from frontierlab.rawlogs.stretches import Stretch, read_stretch
from frontierlab.rawlogs.texts import PADDING, cut_out, windows

__all__ = ["BlockScanner", "NOT_SET", "Piece", "Scanned", "Scanner", "last_message", "piece_of", "scanning"]

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


class Scanner:
    """Reads the blocks of one log, in order: cuts them into pieces, and puts together what each piece holds.

    Parameters
    ----------
    aside
        Gets the lines that are no part of a message.
    """

    def __init__(self, aside: SetAside) -> None:
        self.counts = LineCounts()
        self.files: list[Path] = []
        self._servers, self._zones = Names(), Names()
        self._aside = aside
        self._rest = Block(b"", Path(), 0)  # the last message of the block before
        self._goes_on: int | None = None  # the kind of a message at the end of a file that goes on in the next one
        # of the pieces that are being scanned: the file, and the first line, None if that follows the piece before
        self._firsts: deque[tuple[int, int | None]] = deque()
        self.line = 1  # behind the last piece that was put in

    @property
    def servers(self) -> Sequence[str]:
        """The names of servers, by their numbers."""
        return self._servers.names

    @property
    def zones(self) -> Sequence[str]:
        """The names of time zones, by their numbers."""
        return self._zones.names

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs to go on in another process, as a plain dict for JSON."""
        return {
            "counts": self.counts.as_record(),
            "servers": self.servers,
            "zones": self.zones,
            "files": [str(file) for file in self.files],
            "rest": [self._rest.data.decode("latin-1"), self._rest.first, *self._rest.cut],
            "goes_on": self._goes_on,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where another scanner was when it gave this state."""
        counts = state["counts"]
        self.counts = LineCounts(**counts | {"set_aside": Counter(counts["set_aside"])})
        self._servers, self._zones = Names(state["servers"]), Names(state["zones"])
        self.files = [Path(file) for file in state["files"]]
        rest, first, *cut = state["rest"]
        self._rest = Block(rest.encode("latin-1"), self.files[-1] if self.files else Path(), first, tuple(cut))
        self._goes_on = state["goes_on"]

    def cut(self, block: Block, *, last: bool) -> Piece | None:
        """Return the whole messages of a block; None if there are none. Its last message waits for the next block.

        The piece that ends a file must be put in with `put` before the next file is begun.

        Parameters
        ----------
        block
            The next lines.
        last
            Whether it is the last block of its file.
        """
        if not self.files or self.files[-1] != block.file:
            self.files.append(block.file)
            self._rest = Block(b"", block.file, block.first)
        first = self._rest.first if self._rest.data else block.first
        cut = self._rest.cut + block.cut
        data = b"".join((self._rest.data, block.data, bytes(PADDING)))
        self._rest = Block(b"", block.file, 0)
        if len(data) == PADDING:
            return None
        low = len(data) - PADDING
        if not last and (size := _last_message(data, first, cut)):
            low -= size
            line = first + line_feeds(memoryview(data)[:low])
            self._rest = Block(data[low:-PADDING], block.file, line, tuple(number for number in cut if number >= line))
            if not low:
                return None
            cut = tuple(number for number in cut if number < line)
        self._firsts.append((len(self.files) - 1, first))
        goes_on, self._goes_on = self._goes_on, None
        return Piece(data, low, tuple(number - first for number in cut), last, goes_on)

    def refer(self, stretch: Stretch, *, last: bool) -> Piece:
        """Return the piece of a file that any process reads by itself; otherwise as `cut`.

        Parameters
        ----------
        stretch
            The next whole messages; see `last_message`.
        last
            Whether the file ends with them.
        """
        file = Path(stretch.path)
        begins = self.files[-1:] != [file]
        if begins:
            self.files.append(file)
            self._rest = Block(b"", file, 1)
        self._firsts.append((len(self.files) - 1, 1 if begins else None))
        goes_on, self._goes_on = self._goes_on, None
        return Piece(stretch, stretch.size, last=last, goes_on=goes_on)

    def put(self, seen: Scanned) -> Messages:
        """Take what the next piece holds, in the order in which they were cut; return its messages."""
        file, told = self._firsts.popleft()
        first = self.line if told is None else told
        self.line = first + seen.counts.lines
        for reason, line, text in seen.aside:
            self._aside.add(reason, self.files[file], first + line, text)
        kept = Counter(reason for reason, _, _ in seen.aside)
        for reason, lines in (seen.counts.set_aside - kept).items():
            self._aside.count(reason, lines)
        messages = seen.messages
        messages = replace(
            messages,
            place=self.counts.lines + messages.line,
            file=np.full(len(messages), file, np.int64),
            line=first + messages.line,
            server=self._servers.renamed(seen.servers, messages.server),
            zone=self._zones.renamed(seen.zones, messages.zone),
        )
        self.counts += seen.counts
        if seen.goes_on is not None:
            self._goes_on = seen.goes_on
        return messages


def _last_message(data: bytes, first: int, cut: tuple[int, ...]) -> int:
    """Return how many bytes the last message has that begins in a block; 0 if none begins in its last 4 MiB."""
    end = len(data) - PADDING
    lowest = max(end - _OPEN, 0)
    number = first + line_feeds(memoryview(data)[:end]) if cut else 0
    feed = end - 1
    while feed > lowest:
        begin = data.rfind(b"\n", 0, feed) + 1
        number -= 1
        if begin <= lowest and lowest:
            return 0
        if number not in cut and _is_head(data, begin, feed):
            return end - begin
        feed = begin - 1
    return 0


def last_message(tail: bytes) -> int:
    """Return how many bytes the last message has that begins behind the first line feed of some bytes; 0 without one.

    For `frontierlab.rawlogs.stretches.Stretches`: the last line need not be whole, and bytes are those of the file.
    """
    feed = tail.rfind(b"\n")
    while (begin := tail.rfind(b"\n", 0, max(feed, 0)) + 1) > 0:
        line = tail[begin:feed].removesuffix(b"\r").translate(None, b"\0")
        if _is_head(line + b"\n" + bytes(PADDING), 0, len(line)):
            return len(tail) - begin
        feed = begin - 1
    return 0


def _is_head(data: bytes, begin: int, feed: int) -> bool:
    """Whether a line begins a message."""
    if not HEAD.match(data, begin, feed):
        return False
    return bool(read_heads(np.frombuffer(data, np.uint8), np.array([begin]), np.array([feed])).found[0])


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
