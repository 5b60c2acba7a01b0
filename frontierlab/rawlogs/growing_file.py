"""A log file that is being written: what is added to it, through rotation and truncation."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from frontierlab.errors import InvalidRequestError
from frontierlab.rawlogs.lines import BLOCK, LONGEST, Block, blocks

__all__ = ["GrowingFile"]

_HEAD = 1_000  # bytes of a line that is too long


class GrowingFile:
    """Reads what is added to a file, whole lines at a time.

    When another file takes the path (rotation), the old one is read to its end first. When the file becomes shorter
    (truncation), it is read from its beginning.

    Parameters
    ----------
    path
        The file.
    add
        Called with each block, and whether it ends a file.
    """

    def __init__(self, path: Path, add: Callable[[Block, bool], object]) -> None:
        self.path = path
        self.offset, self.line = 0, 1
        self._add = add
        self._file: BinaryIO | None = None
        self._skips = False  # a line that is too long goes on

    @property
    def identity(self) -> list[int]:
        """The device and the number of the file that is open; empty if none is."""
        if self._file is None:
            return []
        found = os.fstat(self._file.fileno())
        return [found.st_dev, found.st_ino]

    def state(self) -> dict[str, Any]:
        """Return what `resume` needs, as a plain dict for JSON."""
        return {"identity": self.identity, "offset": self.offset, "line": self.line, "skips": self._skips}

    def resume(self, state: dict[str, Any], files: Sequence[Path]) -> str:
        """Go on where a tail was when it gave this state.

        Parameters
        ----------
        state
            The state.
        files
            The files of the log that are there now, the oldest first; the last one is the file itself.

        Returns
        -------
        str
            A sentence if lines were lost; otherwise empty.
        """
        known = [place for place, file in enumerate(files) if _identity(file) == state["identity"]]
        if not known:
            return (
                f"What was written to {self.path} after byte {state['offset']:,} of the file that was followed is "
                "missing: that file is gone or was compressed before it was read to its end."
            )
        first, later = files[known[0]], files[known[0] + 1 :]
        self.offset, self.line, self._skips = state["offset"], state["line"], state["skips"]
        self._file = first.open("rb")
        if later:  # it was rotated meanwhile
            self._drain()
            self._end()
        for file in later[:-1]:
            for block in blocks(file):
                self._add(block, False)
            self._add(Block(b"", file, 1), True)
        return ""

    def read(self) -> bool:
        """Read what was added; return whether there was anything. The path may be missing for a while."""
        if self._file is None:
            try:
                self._file = self.path.open("rb")
            except FileNotFoundError:
                return False
            except OSError as error:
                raise InvalidRequestError(f"{self.path} cannot be read: {error.strerror or error}.") from error
        if os.fstat(self._file.fileno()).st_size < self.offset:
            self._end(keep_open=True)
        grew = self._drain()
        there = _identity(self.path)
        if there and there != self.identity:  # rotated: what came between the last look and the rotation is first
            self._drain()
            self._end()
            return self.read() or grew
        return grew

    def end(self) -> None:
        """Give the last line, also if no line feed ends it, and close the file."""
        if self._file is not None:
            self._end()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _end(self, *, keep_open: bool = False) -> None:
        """End a file: the next lines are at the beginning of one."""
        assert self._file is not None
        self._file.seek(self.offset)
        rest = self._file.read(LONGEST)
        whole = bool(rest) and not self._skips and not keep_open  # a last line without a line feed
        self._add(Block(_plain(rest) + b"\n" if whole else b"", self.path, self.line), True)
        self.offset, self.line, self._skips = 0, 1, False
        if not keep_open:
            self.close()

    def _drain(self) -> bool:
        """Read whole lines up to the end of the file."""
        assert self._file is not None
        grew = False
        while True:
            self._file.seek(self.offset)
            data = self._file.read(BLOCK)
            end = data.rfind(b"\n") + 1
            if not end:
                if len(data) > LONGEST:
                    self._skip(data)
                    grew = True
                    continue
                return grew
            grew = True
            self._deliver(data[:end])
            self.offset += end

    def _deliver(self, data: bytes) -> None:
        if self._skips:  # the end of a line whose beginning was given
            data = data[data.index(b"\n") + 1 :]
        if data:
            self._add(Block(_plain(data), self.path, self.line), False)
            self.line += data.count(b"\n")
        self._skips = False

    def _skip(self, data: bytes) -> None:
        """Give the beginning of a line that is too long, once."""
        if not self._skips:
            self._add(Block(_plain(data[:_HEAD]) + b"\n", self.path, self.line, (self.line,)), False)
            self.line += 1
            self._skips = True
        self.offset += len(data)


def _identity(path: Path) -> list[int]:
    try:
        found = path.stat()
    except OSError:
        return []
    return [found.st_dev, found.st_ino]


def _plain(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").translate(None, b"\0")
