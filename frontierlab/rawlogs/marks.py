"""Marks of files, by which they are recognised after they were renamed, copied or compressed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from frontierlab.errors import InvalidRequestError
from frontierlab.exports.compression import SNIFFED, decompressed, is_compressed
from frontierlab.rawlogs.lines import BLOCK

__all__ = ["Mark", "Marks", "OpenFile"]

_HEAD = 4_096  # bytes at the beginning of a file
_LEAST = 32  # of them that tell files apart: less than a line with its time
_REMEMBERED = 5_000  # files


class Mark(NamedTuple):
    """What a file is recognised by.

    Parameters
    ----------
    device, number
        Where it is on the disk; zeros if that is not known.
    size, digest
        How many bytes of its text were hashed, from its beginning, and the hash.
    """

    device: int
    number: int
    size: int
    digest: str


class Marks:
    """Compares files with marks; what was read of a file is remembered until the file changes."""

    def __init__(self) -> None:
        self._heads: dict[tuple[int, int], tuple[tuple[int, int], bytes]] = {}  # by place; of a size and a time

    def of(self, file: Path) -> Mark:
        """Return the mark of all that the beginning of a file has now."""
        head = self._head(file)
        return Mark(*(_identity(file) or (0, 0)), len(head), _digest(head))

    def place(self, mark: Mark, files: Sequence[Path]) -> int | None:
        """Return the place of the file with this mark: the same file if it is there, otherwise a copy of it."""
        found: int | None = None
        for place, file in enumerate(files):
            head = self._head(file)
            if len(head) < mark.size or _digest(head[: mark.size]) != mark.digest:
                continue
            if _identity(file) == (mark.device, mark.number):
                return place
            if mark.size >= _LEAST:
                found = place
        return found

    def any_of(self, file: Path, marks: Iterable[Mark]) -> bool:
        """Whether a file has one of these marks; that of an empty file is the mark of an empty file alone."""
        empty = not self._head(file)
        return any((mark.size > 0 or empty) and self.place(mark, [file]) is not None for mark in marks)

    def _head(self, file: Path) -> bytes:
        """Return the beginning of a file, decompressed; nothing if it cannot be read."""
        try:
            found = file.stat()
            key, stamp = (found.st_dev, found.st_ino), (found.st_size, found.st_mtime_ns)
            known = self._heads.get(key)
            if known is not None and known[0] == stamp:
                return known[1]
            head = b""
            for piece in decompressed(file, "a log"):
                head += piece
                if len(head) >= _HEAD:
                    break
            if len(self._heads) >= _REMEMBERED:
                self._heads.clear()
            self._heads[key] = stamp, head[:_HEAD]
            return head[:_HEAD]
        except (OSError, InvalidRequestError):
            return b""


class OpenFile:
    """A file that is being read, from its beginning or from an offset on.

    Parameters
    ----------
    path
        The file, plain or compressed.
    name
        What it was called when it was first read.
    offset
        Bytes of its text that were read before; ``position`` is where the next byte is, at most the end of a file that
        is not compressed.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    InvalidRequestError
        It cannot be read.
    """

    def __init__(self, path: Path, name: Path, offset: int = 0) -> None:
        self.name, self.path = name, path
        self._head = b""
        self._pieces: Generator[bytes] | None = None
        try:
            self._file = path.open("rb", buffering=0)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _unreadable(path, error) from error
        try:
            if is_compressed(self._file.read(SNIFFED)):
                self._pieces = decompressed(path, "a log")
            self._go_to(offset)
        except BaseException:
            self.close()
            raise

    def _go_to(self, offset: int) -> None:
        """Go to an offset, at most the end, of a file that was just opened."""
        self._left = b""  # of a piece of a compressed file
        if self._pieces is None:
            self.position = min(offset, os.fstat(self._file.fileno()).st_size)
            self._head = os.pread(self._file.fileno(), min(self.position, _HEAD), 0)
            self._file.seek(self.position)
            return
        self.position = offset
        passed = 0
        while passed < offset and (piece := next(self._pieces, b"")):
            self._head = (self._head + piece)[: min(offset, _HEAD)]
            passed += len(piece)
            self._left = piece[len(piece) - max(passed - offset, 0) :]

    def mark(self) -> Mark:
        """Return the mark of what was read of the file."""
        found = os.fstat(self._file.fileno())
        return Mark(found.st_dev, found.st_ino, len(self._head), _digest(self._head))

    def has(self, mark: Mark) -> bool:
        """Whether what was read of the file begins as a mark says."""
        return _digest(self._head[: mark.size]) == mark.digest

    def is_at(self, path: Path) -> bool:
        """Whether the file is the one at a path."""
        found = os.fstat(self._file.fileno())
        return _identity(path) == (found.st_dev, found.st_ino)

    def is_truncated(self) -> bool:
        """Whether what was read is not in the file any more."""
        if self._pieces is not None:
            return False
        known = len(self._head)
        return (
            os.fstat(self._file.fileno()).st_size < self.position
            or os.pread(self._file.fileno(), known, 0) != self._head
        )

    def read(self, say: Callable[[str], object]) -> bytes:
        """Return the next bytes of its text; none if there are none now. `say` is told if the rest is damaged."""
        if self._pieces is None:
            try:
                data = self._file.read(BLOCK)
            except OSError as error:
                raise _unreadable(self.path, error) from error
        else:
            try:
                data, self._left = self._left or next(self._pieces, b""), b""
            except InvalidRequestError as error:
                if not self.position:
                    raise
                say(f"{error} Its text was read up to byte {self.position:,}.")
                data, self._pieces = b"", _nothing()
        self.position += len(data)
        return data

    def passed(self, data: bytes) -> None:
        """Note the next bytes that need not be read again."""
        if len(self._head) < _HEAD:
            self._head += data[: _HEAD - len(self._head)]

    def close(self) -> None:
        """Close the file."""
        if self._pieces is not None:
            self._pieces.close()
        self._file.close()


def _nothing() -> Generator[bytes]:
    yield from ()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _digest(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()[:32]


def _unreadable(path: Path, error: OSError) -> InvalidRequestError:
    return InvalidRequestError(f"{path} cannot be read: {error.strerror or error}.")
