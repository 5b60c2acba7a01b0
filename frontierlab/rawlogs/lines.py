"""The lines of raw logs: read in blocks of bounded size, and accounted for, each of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from frontierlab.errors import InvalidRequestError
from frontierlab.exports.encodings import text_blocks

__all__ = [
    "BLOCK",
    "Block",
    "LONGEST",
    "LineCounts",
    "OF_A_REASON",
    "SetAside",
    "are_plain",
    "blocks",
    "first_lines",
    "line_feeds",
    "plain_lines",
]

BLOCK = 16 * 2**20
"""About how many bytes a block has."""

_PIECE = 2**18  # bytes of a file at a time

LONGEST = 4 * 2**20
"""A longer line is cut: SQL in a log has at most 1 MiB."""

_HEAD = 1_000  # bytes of a line that are kept when it is cut or set aside
_MOST = 10_000  # lines that are kept when they are set aside; the others are counted
OF_A_REASON = 1_000
"""How many lines are kept that were set aside for the same reason."""


class Block(NamedTuple):
    """Some whole lines of a file.

    Parameters
    ----------
    data
        The lines, each with a line feed at its end. Bytes are as in the file, but UTF-16 and UTF-32 became UTF-8,
        carriage returns before line feeds are gone, and so are zeros, which a file has where it was truncated while it
        was written.
    file
        The file.
    first
        The number of the first line in its file, from 1.
    cut
        Numbers, in the file, of lines that were longer than `LONGEST`: only their beginning is in the data.
    """

    data: bytes
    file: Path
    first: int
    cut: tuple[int, ...] = ()


def blocks(
    file: Path, size: int = BLOCK, problems: list[str] | None = None, text: Iterator[bytes] | None = None, line: int = 1
) -> Iterator[Block]:
    """Yield the lines of a log file, plain or compressed, in blocks of about `size` bytes.

    At most about ``size + 2 * LONGEST`` bytes are in memory, however long a line is.

    Parameters
    ----------
    file
        A file as `frontierlab.exports.compression` reads it.
    size
        About how many bytes a block has.
    problems
        Gets a sentence if the file is damaged after its beginning; the lines before are yielded. If None, this raises.
    text
        The text of the file from the beginning of a line on, if not from its own beginning.
    line
        The number of that line.

    Raises
    ------
    InvalidRequestError
        The file cannot be read, is not text, or is damaged.
    """
    pieces = _Pieces(file, line)
    try:
        for piece in text_blocks(file, min(size, _PIECE), "a log") if text is None else text:
            pieces.add(piece)
            if pieces.size >= size:
                yield from pieces.whole()
    except InvalidRequestError as error:
        if problems is None or not pieces.begun:
            raise
        yield from pieces.rest()
        problems.append(f"{error} Its lines up to {pieces.number - 1:,} were read.")
        return
    yield from pieces.rest()


class _Pieces:
    """Pieces of a file that were read and not yielded; of a line that is too long only the beginning."""

    def __init__(self, file: Path, line: int) -> None:
        self.number = line  # of the first line that was not yielded
        self.size = 0
        self.begun = False
        self._file = file
        self._whole: list[bytes] = []  # whole lines
        self._part: list[bytes] = []  # the beginning of a line
        self._waiting = 0  # bytes of that line
        self._cut: list[int] = []

    def add(self, text: bytes) -> None:
        """Add the next piece."""
        self.begun = True
        end = text.rfind(b"\n") + 1
        if end:
            skipped = 0
            if self._waiting > LONGEST:
                skipped = text.find(b"\n")
                self._cut.append(self.number + sum(lines.count(b"\n") for lines in self._whole))
            lines = b"".join([*self._part, text[skipped:end]])
            self.size += len(lines)
            self._whole.append(lines)
            self._part, self._waiting = [], 0
        self._waiting += len(text) - end
        self._part.append(text[end:])
        if self._waiting > LONGEST:
            self._part = [b"".join(self._part)[:_HEAD]]

    def whole(self) -> Iterator[Block]:
        """Yield the whole lines."""
        if self._whole:
            data = _plain(b"".join(self._whole))
            yield Block(data, self._file, self.number, tuple(self._cut))
            self.number += line_feeds(data)
            self._whole, self._cut, self.size = [], [], 0

    def rest(self) -> Iterator[Block]:
        """Yield the whole lines, and the last line even if no line feed ends it."""
        yield from self.whole()
        if self._waiting:
            cut = (self.number,) if self._waiting > LONGEST else ()
            yield Block(_plain(b"".join(self._part)) + b"\n", self._file, self.number, cut)
            self.number += 1


def plain_lines(data: bytes) -> tuple[bytes, tuple[int, ...]]:
    """Return lines of a file as blocks have them, and the numbers, from 0, of those that were too long and are cut."""
    view = memoryview(data)
    text = (bytes(view[at : at + _PIECE]) for at in range(0, len(data), _PIECE))
    found = list(blocks(Path(), len(data), text=text, line=0))
    return b"".join(block.data for block in found), tuple(number for block in found for number in block.cut)


def are_plain(data: bytes | bytearray, size: int) -> bool:
    """Whether `plain_lines` would give the same bytes; they are looked at only where that is quick."""
    if data.find(b"\r", 0, size) >= 0 or data.find(b"\0", 0, size) >= 0:
        return False
    half = LONGEST // 2  # a line that is too long has at least one whole half without its end
    return all(data.find(b"\n", at, at + half) >= 0 for at in range(0, size - half, half))


def line_feeds(data: bytes | memoryview) -> int:
    """Return the number of line feeds; a tenth of the time of ``data.count``."""
    import numpy as np

    view = np.frombuffer(data, np.uint8)
    # in pieces that stay in the processor's cache
    return sum(int(np.count_nonzero(view[low : low + _PIECE] == ord("\n"))) for low in range(0, len(view), _PIECE))


def _plain(data: bytes) -> bytes:
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    return data.translate(None, b"\0") if b"\0" in data else data


def first_lines(file: Path, most: int = 200) -> list[bytes]:
    """Return the first lines of a file, without their line feeds; an empty list if it cannot be read."""
    try:
        for block in blocks(file, 2**18):
            return block.data.split(b"\n", most)[:most]
    except InvalidRequestError:
        pass
    return []


@dataclass
class LineCounts:
    """What became of the lines of logs: ``lines = used + continuations + set_aside``, always.

    Parameters
    ----------
    lines
        Lines read.
    used
        Lines that tell of a request or of the server.
    continuations
        Further lines of a message that began in a used line: of a stack trace, or of SQL with line breaks.
    set_aside
        Lines that could not be read, by reason.
    """

    lines: int = 0
    used: int = 0
    continuations: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: LineCounts) -> LineCounts:
        return LineCounts(
            self.lines + other.lines,
            self.used + other.used,
            self.continuations + other.continuations,
            self.set_aside + other.set_aside,
        )

    @property
    def add_up(self) -> bool:
        """Whether each line is in one of the counts."""
        return self.lines == self.used + self.continuations + self.set_aside.total()

    @property
    def share_set_aside(self) -> float:
        """The share of the lines that were set aside; 0 without lines."""
        return self.set_aside.total() / self.lines if self.lines else 0.0

    def as_record(self) -> dict[str, object]:
        """Return the counts as a plain dict for JSON."""
        return {
            "lines": self.lines,
            "used": self.used,
            "continuations": self.continuations,
            "set_aside": dict(self.set_aside.most_common()),
        }

    def warning(self, most: float) -> str:
        """Return a sentence if a larger share than `most` was set aside; otherwise an empty text."""
        from frontierlab.storage.losses import lines_lost

        return lines_lost(self.lines, self.set_aside, most)


class SetAside:
    """Lines that were set aside: all are counted, and the first ones are kept with their file and line number.

    Parameters
    ----------
    scrubbed
        Replaces personal data in the text of a line, such as `frontierlab.rawlogs.Pseudonyms.scrubbed`.
    """

    def __init__(self, scrubbed: Callable[[str], str] = lambda text: text) -> None:
        self._scrubbed = scrubbed
        self.counts: Counter[str] = Counter()
        self._kept: list[tuple[str, bytes]] = []
        self._number = 0
        self._of: Counter[str] = Counter()

    def add(self, reason: str, file: Path, line: int, text: bytes) -> None:
        """Set a line aside.

        Parameters
        ----------
        reason
            Why, in a few words that are the same for all lines like it.
        file, line
            Where it is; lines count from 1.
        text
            The line.
        """
        self.counts[reason] += 1
        if self.wants(reason):
            self._number += 1
            self._of[reason] += 1
            shown = self._scrubbed(text[:_HEAD].decode("utf-8", "backslashreplace"))
            record = {"file": str(file), "line": line, "text": shown}
            self._kept.append((reason, json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")))

    def wants(self, reason: str) -> bool:
        """Whether the text of a further line would be kept; otherwise it is enough to count it."""
        return self._number < _MOST and self._of[reason] < OF_A_REASON

    def count(self, reason: str, lines: int) -> None:
        """Count lines whose text is not kept."""
        self.counts[reason] += lines

    def take(self) -> tuple[list[tuple[str, bytes]], Counter[str]]:
        """Return the kept lines since the last call, as `SliceWriter.add_malformed` takes them; and those not kept.

        The numbers of lines that were not kept are by reason, for `SliceWriter.count`. Both begin anew.
        """
        kept, self._kept = self._kept, []
        more = self.counts - Counter(reason for reason, _ in kept)
        self.counts = Counter()
        return kept, more
