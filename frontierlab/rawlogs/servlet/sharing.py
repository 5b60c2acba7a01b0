"""Reading one servlet log to its end: in this thread alone, or with processes that scan its pieces.

Processes read the pieces of plain files by themselves; text that must be decompressed or decoded is sent to them. The
thread that puts the pieces together scans one too where it would otherwise wait.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from pickle import PickleBuffer
from typing import Any, BinaryIO

from frontierlab.errors import Cancelled, InvalidRequestError
from frontierlab.rawlogs.lines import Block, LineCounts, blocks, first_lines
from frontierlab.rawlogs.log_files import COMPRESSION, LogSet
from frontierlab.rawlogs.processes import Processes
from frontierlab.rawlogs.servlet.cutting import last_message
from frontierlab.rawlogs.servlet.log_reader import LogFacts, LogReader, PrintedLog
from frontierlab.rawlogs.servlet.messages import Messages
from frontierlab.rawlogs.servlet.scanning import Piece, Scanned, piece_of
from frontierlab.rawlogs.stretches import Moved, Stretch, Stretches, read_here
from frontierlab.rawlogs.texts import PADDING

__all__ = ["read_log"]

_SIZE = 8 * 2**20  # bytes of a block
_LOOK = 0.2  # seconds between two looks at whether to stop
_AHEAD = 2  # pieces that wait for each process


def read_log(
    log: LogSet,
    reader: LogReader,
    stop: threading.Event,
    read: Callable[[int], Any],
    processes: Processes[Piece, Scanned] | None = None,
    turn: threading.Lock | None = None,
) -> LogFacts:
    """Read all files of a log.

    Parameters
    ----------
    log, reader
        The log, and what reads its blocks.
    stop
        Set from another thread to stop.
    read
        Called with the number of bytes of each block.
    processes
        What scans the pieces of printed logs; None does so in this thread.
    turn
        Held while pieces of plain files are given to processes. Of several logs that are read at the same time, one is
        put together then: threads that do so would wait for each other, and each needs memory for its rows.

    Raises
    ------
    Cancelled
        `stop` was set.
    InvalidRequestError
        A file cannot be read, or is not text.
    DatasetError
        One of the processes has ended.
    """
    if processes is not None and isinstance(reader.source, PrintedLog):
        _Shared(reader, reader.source, stop, read, processes, turn or threading.Lock()).read(log)
    else:
        for file in log.files:
            for block, last in _with_last(blocks(file, _SIZE, reader.facts.problems)):
                _go_on(stop)
                reader.add(block, last=last)
                read(len(block.data))
    return reader.finish()


class _Shared:
    """Reads the files of a log; processes scan its pieces, a bounded number of them at a time."""

    def __init__(
        self,
        reader: LogReader,
        source: PrintedLog,
        stop: threading.Event,
        read: Callable[[int], Any],
        processes: Processes[Piece, Scanned],
        turn: threading.Lock,
    ) -> None:
        self._reader, self._source, self._stop, self._read, self._processes = reader, source, stop, read, processes
        self._turn, self._has_turn = turn, False
        self._most = 1 + _AHEAD * processes.count
        self._waiting: deque[tuple[Future[Scanned], Piece, int]] = deque()  # in order, with the bytes of the file
        self._file: BinaryIO | None = None  # the one that is being read
        self._short = ""  # the last one that became shorter

    def read(self, log: LogSet) -> None:
        """Read all files."""
        try:
            if not any(COMPRESSION.search(file.name) for file in log.files):
                self._take_turn()  # threads that decompress do not wait for each other
            for file in log.files:
                if not self._plain(file, at_last=file == log.files[-1]):
                    self._blocks(blocks(file, _SIZE, self._reader.facts.problems))
                self._take_all()  # the next file may begin with lines of this one's last message
        finally:
            self._end_turn()
            for future, _, _ in self._waiting:
                future.cancel()

    def _take_turn(self) -> None:
        while not self._turn.acquire(timeout=_LOOK):
            _go_on(self._stop)
        self._has_turn = True

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._turn.release()

    def _plain(self, path: Path, *, at_last: bool) -> bool:
        """Read a plain file; return False for another one, of which nothing is read."""
        if not first_lines(path, 1):
            return False  # empty, or not to be read: the other way says why
        begun = False
        try:
            with path.open("rb") as self._file:
                stretches = Stretches(path, self._file, _SIZE, last_message)
                if stretches.offset is None:
                    return False
                done = False
                for stretch, done in stretches:
                    self._submit(self._source.scanner.refer(stretch, last=done), stretch.size)
                    begun = True
                if done and at_last:
                    self._end_turn()  # processes go on with the next log, while the rows of this one are written
                self._take_all()
                if not done:  # lines that do not fit into stretches
                    line = self._source.scanner.line if begun else 1
                    self._blocks(blocks(path, _SIZE, text=stretches.rest(), line=line))
                    self._take_all()
        except OSError as error:
            reason = f"{path} cannot be read: {error.strerror or error}."
            if not begun:
                raise InvalidRequestError(reason) from error
            self._take_all()
            self._reader.facts.problems.append(f"{reason} Its lines up to {self._source.scanner.line - 1:,} were read.")
        return True

    def _blocks(self, some: Iterator[Block]) -> None:
        for block, last in _with_last(some):
            piece = self._source.scanner.cut(block, last=last)
            if piece is not None:
                assert isinstance(piece.data, bytes)
                self._submit(piece._replace(data=PickleBuffer(piece.data)), len(block.data))

    def _submit(self, piece: Piece, size: int) -> None:
        _go_on(self._stop)
        self._waiting.append((self._processes.submit(piece), piece, size))
        while len(self._waiting) > self._most:
            self._take()

    def _take_all(self) -> None:
        while self._waiting:
            self._take()

    def _take(self) -> None:
        """Put in what the next piece holds."""
        future, piece, size = self._waiting.popleft()
        self._reader.put(self._answer(future, piece))
        self._read(size)

    def _answer(self, future: Future[Scanned], piece: Piece) -> Scanned:
        while True:
            _go_on(self._stop)
            if future.done() or not self._processes.help():
                try:
                    return future.result(_LOOK)
                except Moved:
                    return self._moved(piece)
                except TimeoutError:
                    continue

    def _moved(self, piece: Piece) -> Scanned:
        """Scan a piece of a file whose path another one has taken, or that is shorter now."""
        assert isinstance(piece.data, Stretch)
        assert self._file is not None
        try:
            data = read_here(piece.data, self._file)
        except OSError:
            data = b""
        if len(data) < piece.data.size and self._short != piece.data.path:
            self._short = piece.data.path
            self._reader.facts.problems.append(
                f"{piece.data.path} became shorter while it was read, or is damaged: what stood from byte "
                f"{piece.data.offset + len(data):,} on is missing."
            )
        if not data:
            return Scanned(Messages.empty(), [], [], LineCounts(), goes_on=piece.goes_on if piece.last else None)
        return self._source.scan(piece_of(data + bytes(1 + PADDING), piece))


def _go_on(stop: threading.Event) -> None:
    if stop.is_set():
        raise Cancelled("The reading of logs was stopped.")


def _with_last(some: Iterator[Block]) -> Iterator[tuple[Block, bool]]:
    """Yield each block, and whether it is the last one."""
    before: Block | None = None
    for block in some:
        if before is not None:
            yield before, False
        before = block
    if before is not None:
        yield before, True
