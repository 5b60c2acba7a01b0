"""The blocks of one log in their order: cut into pieces of whole messages, and what each holds put together."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from frontierlab.rawlogs.lines import Block, LineCounts, SetAside, line_feeds
from frontierlab.rawlogs.servlet.heads import HEAD, read_heads
from frontierlab.rawlogs.servlet.layouts import Names
from frontierlab.rawlogs.servlet.messages import Messages
from frontierlab.rawlogs.servlet.scanning import Piece, Scanned
from frontierlab.rawlogs.stretches import Stretch
from frontierlab.rawlogs.texts import PADDING

__all__ = ["Scanner", "last_message"]

_OPEN = 4 * 2**20  # a longer message is cut


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
