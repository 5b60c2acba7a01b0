"""Stretches of plain files: a process reads them by itself, so that their text need not be sent to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from frontierlab.exports.encodings import plain_text_at

__all__ = ["Stretch", "Stretches", "read_here", "read_stretch"]

_TAILS = (2**16, 2**19, 2**22)  # bytes before the end of a stretch that are looked at, until an end is found
_CHUNK = 2**18


class Moved(Exception):  # not public: only for what reads the stretch in another way
    """Another file is at the path now, or the file is shorter: the stretch cannot be read there."""


class Stretch(NamedTuple):
    """Some bytes of a file; ``device`` and ``inode`` tell whether it is still the same file."""

    path: str
    device: int
    inode: int
    offset: int
    size: int


class Stretches:
    """Cuts an open file into stretches, up to the end that it has now.

    Parameters
    ----------
    path, file
        The file, and the same one opened: it can be read to its end also when another file takes its path.
    size
        About how many bytes a stretch has.
    left
        Called with the bytes before a possible end, the first line of which may lack its beginning; returns how many of
        them belong into the next stretch, or 0 if that is not known.
    """

    def __init__(self, path: Path, file: BinaryIO, size: int, left: Callable[[bytes], int]) -> None:
        found = os.fstat(file.fileno())
        self._path, self._file, self._size, self._left = path, file, size, left
        self._key = str(path), found.st_dev, found.st_ino
        self.offset: int | None = plain_text_at(file)
        """Where the next stretch begins; None if the file is compressed or not UTF-8."""
        self._end = found.st_size

    def __iter__(self) -> Iterator[tuple[Stretch, bool]]:
        """Yield stretches, and whether it is the last one; fewer if a line is not known to end in several MiB."""
        while self.offset is not None and self.offset < self._end:
            begin, end = self.offset, min(self.offset + self._size, self._end)
            if end < self._end:
                end -= self._to_leave(begin, end)
                if end == begin:
                    return
            self.offset = end
            yield Stretch(*self._key, begin, end - begin), end == self._end

    def rest(self) -> Iterator[bytes]:
        """Yield the bytes that are in no stretch."""
        assert self.offset is not None
        self._file.seek(self.offset)
        yield from iter(lambda: self._file.read(_CHUNK), b"")

    def _to_leave(self, begin: int, end: int) -> int:
        for width in _TAILS:
            low = max(begin, end - width)
            # with the byte before the stretch, a line feed, the first line is whole
            if left := self._left(os.pread(self._file.fileno(), end - low, low)):
                return left
            if low == begin:
                break
        return end - begin


def read_stretch(stretch: Stretch, behind: int) -> bytearray:
    """Return the bytes of a stretch, and zeros behind them.

    Raises
    ------
    Moved
        It cannot be read at its path any more.
    """
    with suppress(OSError):
        # not blocked by a pipe that has taken the path
        number = os.open(stretch.path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
        try:
            found = os.fstat(number)
            if (found.st_dev, found.st_ino) == (stretch.device, stretch.inode):
                data = _read(number, stretch, behind)
                if data is not None:
                    return data
        finally:
            os.close(number)
    raise Moved


def read_here(stretch: Stretch, file: BinaryIO) -> bytes:
    """Return the bytes of a stretch from the file that was opened, as many as there still are."""
    file.seek(stretch.offset)
    return file.read(stretch.size)


def _read(number: int, stretch: Stretch, behind: int) -> bytearray | None:
    data = bytearray(stretch.size + behind)
    left, place = memoryview(data)[: stretch.size], stretch.offset
    while left:
        done = os.preadv(number, [left], place)
        if not done:
            return None
        left, place = left[done:], place + done
    return data
