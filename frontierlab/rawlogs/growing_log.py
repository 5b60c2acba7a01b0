"""A log that is being written: what is added to it, through rotation, truncation and stops of the reader."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from frontierlab.rawlogs.lines import LONGEST, Block
from frontierlab.rawlogs.log_files import LogSet, files_of
from frontierlab.rawlogs.marks import Mark, Marks, OpenFile

__all__ = ["GrowingLog"]

_HEAD = 1_000  # bytes of a line that is too long
_LIST = 2.0  # seconds between two lists of the files of a log
_ATTEMPTS = 3  # to open a file that is being renamed
_KNOWN = 1_000  # files that were read to their end and are recognised


class GrowingLog:
    """Reads the files of a log, the oldest first, and then what is added to the last one, whole lines at a time.

    One rule holds for the beginning, for a rotation and after a stop: a file is read to its end, and then the next one
    of the log that was not read yet. Files are recognised by their first bytes, also when they were renamed, copied
    (before a truncation) or compressed meanwhile. When a file becomes shorter, it is read from its beginning, after
    what its copy has.

    Parameters
    ----------
    log
        The log, with the files that are read; those beside them are left out, later ones are not.
    add
        Called with each block, and whether it ends a file. If it raises an error, the state is that before the block.
    say
        Called with a sentence about lines that are missing.
    began
        As for `frontierlab.rawlogs.log_files.find_logs`.
    """

    def __init__(
        self,
        log: LogSet,
        add: Callable[[Block, bool], object],
        say: Callable[[str], object],
        began: Callable[[Path], int | None] = lambda file: None,
    ) -> None:
        self.path = log.path
        self.offset, self.line = 0, 1
        self._add, self._say, self._began = add, say, began
        self._file: OpenFile | None = None
        self._marks = Marks()
        self._read = [*log.beside]  # of files that were read to their end, or are not to be read
        self._last: Mark | None = None  # of the file that was read last
        self._times: dict[Mark, int | None] = {}
        self._listed = float("-inf")
        self._rest = b""  # the beginning of a line that is not whole
        self._skips = False  # a line that is too long goes on

    def state(self) -> dict[str, Any]:
        """Return what `resume` needs, as a plain dict for JSON."""
        file = self._file
        return {
            "file": None if file is None else str(file.name),
            "last": self._last if file is None else file.mark(),
            "read": self._read,
            "offset": self.offset,
            "line": self.line,
            "skips": self._skips,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on where a log was when it gave this state; `say` is told if lines were lost."""
        self._read = [Mark(*mark) for mark in state["read"]]
        self._last = None if state["last"] is None else Mark(*state["last"])
        if state["file"] is None or self._last is None:
            return
        self.offset, self.line, self._skips = state["offset"], state["line"], state["skips"]
        if self._reopen(self._last, Path(state["file"])):
            return
        if state["offset"]:
            self._say(
                f"What was written to {state['file']} after byte {state['offset']:,} of the file that was followed is "
                "missing: that file is gone, or was replaced, before it was read to its end."
            )
        self._add(Block(b"", Path(state["file"]), state["line"]), True)
        self._read.append(self._last)
        self._last = None
        self._anew()

    def read(self) -> bool:
        """Read what was added; return whether there was anything. The files may be missing for a while.

        Raises
        ------
        InvalidRequestError
            A file cannot be read.
        """
        grew = False
        while self._file is not None or self._next():
            grew = self._drain() or grew
            if self._file is not None:  # otherwise it was truncated, and is the next one
                if not self._has_later():
                    break
                grew = self._drain() or grew  # what came between the last look and the rotation
                self.end()
        return grew

    def end(self) -> None:
        """Give the last line, also if no line feed ends it, and close the file."""
        if self._file is None:
            return
        whole = bool(self._rest) and not self._skips  # a last line without a line feed
        data = _plain(self._rest) + b"\n" if whole else b""
        self._add(Block(data, self._file.name, self.line), True)
        self._file.passed(self._rest)
        self._finished(self._file.mark())
        self.close()
        self._anew()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _anew(self) -> None:
        """The next lines are at the beginning of a file."""
        self.offset, self.line, self._skips, self._rest = 0, 1, False, b""

    def _finished(self, mark: Mark) -> None:
        """Note that a file was read to its end."""
        self._read = [*self._read, mark][-_KNOWN:]
        self._last = mark

    def _list(self) -> tuple[Path, ...]:
        """List the files of the log, the oldest first."""
        self._listed = time.monotonic()
        return files_of(self.path, self._first_time)

    def _first_time(self, file: Path) -> int | None:
        """Return when a file begins; it is read once."""
        mark = self._marks.of(file)
        if mark not in self._times:
            self._times[mark] = self._began(file)
        return self._times[mark]

    def _later(self) -> list[Path]:
        """Return the files behind the one that was read last, without those that were read before."""
        files = self._list()
        last = self._file.mark() if self._file is not None else self._last
        place = None if last is None else self._marks.place(last, files)
        behind = files if place is None else files[place + 1 :]
        return [file for file in behind if not self._marks.any_of(file, self._read)]

    def _has_later(self) -> bool:
        assert self._file is not None
        recent = time.monotonic() - self._listed < _LIST
        if recent and (self._file.is_at(self.path) or not self.path.exists()):
            return False
        return bool(self._later())

    def _next(self) -> bool:
        """Open the next file, if there is one."""
        for _ in range(_ATTEMPTS):  # if it was renamed since it was listed, another file can have its name
            file = next(iter(self._later()), None)
            if file is None:
                break
            with suppress(FileNotFoundError):
                opened = OpenFile(file, file)
                if opened.is_at(next(iter(self._later()), file)):
                    self._file = opened
                    return True
                opened.close()
        return False  # the next look finds it

    def _reopen(self, mark: Mark, name: Path) -> bool:
        """Open the file with a mark, whatever it is called now, and go on in it; return whether there is one."""
        for _ in range(_ATTEMPTS):
            files = self._list()
            place = self._marks.place(mark, files)
            if place is None:
                return False
            with suppress(FileNotFoundError):  # it was renamed since it was listed
                opened = OpenFile(files[place], name, self.offset)
                if opened.has(mark):
                    self._file = opened
                    self.offset = opened.position  # less if what was read is there, and only later bytes were cut off
                    return True
                opened.close()
        return False

    def _drain(self) -> bool:
        """Read whole lines up to the end of the file."""
        assert self._file is not None
        if self._file.is_truncated():
            self._truncated(self._file)
        grew = False
        while self._file is not None and (data := self._file.read(self._say)):
            grew = True
            self._take(data)
        return grew

    def _take(self, data: bytes) -> None:
        """Give the whole lines among the next bytes."""
        assert self._file is not None
        text = self._rest + data
        end = text.rfind(b"\n") + 1
        if end:
            lines = text[text.index(b"\n") + 1 : end] if self._skips else text[:end]
            if lines:
                self._add(Block(_plain(lines), self._file.name, self.line), False)
            self.line += lines.count(b"\n")
            self._skips = False
        elif len(text) > LONGEST:
            end = len(text)
            if not self._skips:  # of a line that is too long, the beginning is given, once
                self._add(Block(_plain(text[:_HEAD]) + b"\n", self._file.name, self.line, (self.line,)), False)
                self.line += 1
                self._skips = True
        self._file.passed(text[:end])
        self.offset, self._rest = self.offset + end, text[end:]

    def _truncated(self, file: OpenFile) -> None:
        """Go on in the copy of a file that was truncated; without one, this file is over."""
        mark = file.mark()
        self._rest = b""
        if self._reopen(mark, file.name):
            file.close()
            return
        self._say(
            f"{file.name} was truncated after byte {self.offset:,} was read, and there is no copy of it: what it had "
            "behind that byte, if anything, is missing."
        )
        self._add(Block(b"", file.name, self.line), True)
        self._finished(mark)
        self.close()
        self._anew()


def _plain(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").translate(None, b"\0")
