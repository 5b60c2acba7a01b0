"""Processes that share work whose threads would wait for the interpreter's lock.

Each is started by a command of its own, not by `multiprocessing`: so scripts need no guard around their main part, and
notebooks and workers of jobs can use them too. Work and answers go through sockets, pickled; large buffers, such as the
columns of tables, are copied as they are. Nothing is in the arguments of a process, which others can see.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from importlib.abc import MetaPathFinder
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, Self, TypeVar

from frontierlab.errors import DatasetError

__all__ = ["Processes", "processors", "serve"]

_GIVEN = 2  # jobs that a process has: it does not wait for its next one
_PATIENCE = 300.0  # seconds; a piece of a log takes one
_END = 5.0  # seconds in which a process ends that has no work any more
# the C library gives memory back after each job and asks for the same again, unless told that so much may stay
_KEPT = {name: str(2**26) for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")}
_LARGE = 2**20  # bytes of a buffer that is sent by itself
_ALIGNED = 64  # where columns begin
# without taking the modules and the memory apart, which takes longer than the start of most commands
_COMMAND = "import os; from frontierlab.rawlogs.processes import serve; serve(); os._exit(0)"
Job = TypeVar("Job")
Answer = TypeVar("Answer")


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Processes(Generic[Job, Answer]):
    """Processes that answer jobs; leaving the ``with`` block ends them.

    When the block is left by an error, they are killed at once. They also end by themselves when this process dies,
    however it dies. Ctrl-C does not reach them. One that neither takes nor sends a byte for `patience` seconds while it
    has a job, such as a stopped one, is lost like one that has ended. They have no pandas.

    Parameters
    ----------
    count
        How many.
    make
        Called once in each process; returns the function that answers a job. It must be found by its name there.
    arguments
        The arguments of `make`; they can hold secrets.
    """

    def __init__(self, count: int, make: Callable[..., Callable[[Job], Answer]], *arguments: Any) -> None:
        self.count, self.patience = count, _PATIENCE
        self._first = (make, arguments)
        self._jobs: SimpleQueue[tuple[Job, Future[Answer]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._lost: DatasetError | None = None
        self.children: list[subprocess.Popen[bytes]] = []
        self._ends: list[socket.socket] = []  # of the sockets to them
        self._threads: list[threading.Thread] = []
        self._own: Callable[[Job], Answer] | None = None  # what answers jobs in this process
        self._helping = threading.Lock()

    def __enter__(self) -> Self:
        try:
            for _ in range(self.count):
                child, end = _started()
                self.children.append(child)
                self._ends.append(end)
                thread = threading.Thread(target=self._serve, args=(child, end), daemon=True)
                thread.start()
                self._threads.append(thread)
        except BaseException:
            self._end(kill=True)
            raise
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._end(kill=error is not None)

    def submit(self, job: Job) -> Future[Answer]:
        """Give a job to the next process that is free.

        Raises
        ------
        DatasetError
            A process has ended, or did not answer in time. The jobs that wait raise the same.
        """
        future: Future[Answer] = Future()
        with self._lock:
            if self._lost is not None:
                raise self._lost
            self._jobs.put((job, future))
        return future

    def help(self) -> bool:
        """Answer a job here that no process has begun; return whether there was one, and no other thread does so."""
        if not self._helping.acquire(blocking=False):
            return False  # two threads would wait for each other: for the interpreter's lock
        try:
            try:
                item = self._jobs.get_nowait()
            except Empty:
                return False
            if item is None:  # the end, for the thread of a process
                self._jobs.put(None)
                return False
            job, future = item
            if future.set_running_or_notify_cancel():
                self._answer_here(job, future)
            return True
        finally:
            self._helping.release()

    def _answer_here(self, job: Job, future: Future[Answer]) -> None:
        try:
            if self._own is None:
                make, arguments = self._first
                self._own = make(*arguments)
            future.set_result(self._own(job))
        except Exception as error:
            future.set_exception(error)

    def _serve(self, child: subprocess.Popen[bytes], end: socket.socket) -> None:
        """Send jobs to a process and take its answers, in a thread of its own."""
        given: deque[Future[Answer]] = deque()
        try:
            _bound(end, self.patience)
            _send(end, self._first)
            goes_on = True
            while goes_on or given:
                goes_on = goes_on and self._give(end, given)
                if given:
                    _bound(end, self.patience)
                    good, answer = _receive(end)
                    future = given.popleft()
                    (future.set_result if good else future.set_exception)(answer)
        except Exception as error:
            lost = _ended(child, error)
            child.kill()  # nothing waits for it any more, and a stopped one does not end by itself
            with self._lock:
                self._lost = self._lost or lost
            for future in given:
                future.set_exception(lost)
            self._refuse(lost)

    def _give(self, end: socket.socket, given: deque[Future[Answer]]) -> bool:
        """Send a process its jobs: one to do and one to begin with at once; return False if there will be no more."""
        while len(given) < _GIVEN:
            try:
                item = self._jobs.get(block=not given)
            except Empty:
                return True
            if item is None:
                return False
            job, future = item
            if future.set_running_or_notify_cancel():
                given.append(future)
                _bound(end, self.patience)
                _send(end, job)
        return True

    def _refuse(self, lost: DatasetError) -> None:
        """Let the jobs fail that no process has begun."""
        with suppress(Empty):
            while (item := self._jobs.get_nowait()) is not None:
                if item[1].set_running_or_notify_cancel():
                    item[1].set_exception(lost)

    def _end(self, *, kill: bool) -> None:
        for child in self.children:
            if kill:
                child.kill()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(_END)
        for end in self._ends:
            end.close()
        for child in self.children:
            try:
                child.wait(_END)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _started() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a process that finds the same modules as this one; return it and the socket to it."""
    path = os.pathsep.join(dict.fromkeys(place or str(Path.cwd()) for place in sys.path))
    others = {name: value for name, value in os.environ.items() if not name.startswith(("CONFIG_FILE", "FRONTIERLAB_"))}
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            child = subprocess.Popen(
                [sys.executable, "-c", _COMMAND],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=_KEPT | others | {"PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C must not reach it: this process ends it
            )
        except BaseException:
            ours.close()
            raise
    return child, ours


def _ended(child: subprocess.Popen[bytes], error: Exception) -> DatasetError:
    """Say that a process was lost."""
    how = f"failed ({type(error).__name__}: {error})"
    if isinstance(error, BlockingIOError):  # see _bound
        why = "it is stopped (SIGSTOP)" if _is_stopped(child) else "it hangs, or the machine has no time for it"
        return DatasetError(
            f"A process that helped to read has not answered in time: {why}. Nothing of this reading is kept. Look at "
            "what stops processes on this machine, or how busy it is, and start the reading again."
        )
    if isinstance(error, (EOFError, OSError)):
        with suppress(subprocess.TimeoutExpired):
            child.wait(_END)
        code = child.returncode
        how = "does not answer" if code is None else f"ended with status {code}"
        if code is not None and code < 0:
            how = f"was ended by the signal {signal.Signals(-code).name}"
    return DatasetError(
        f"A process that helped to read {how}. If it was SIGKILL, the machine may have been short of memory. "
        "Nothing of this reading is kept; start it again."
    )


def _bound(end: socket.socket, seconds: float) -> None:
    """Let each call of a socket fail that moves no byte for so long.

    The system watches the time: with a timeout of Python's, a call would end after each small piece.
    """
    whole, rest = divmod(seconds, 1)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        end.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", int(whole), int(rest * 1e6)))


def _is_stopped(child: subprocess.Popen[bytes]) -> bool:
    """Whether a process was stopped, and not continued."""
    with suppress(ChildProcessError):
        return os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
    return False


class _WithoutPandas(MetaPathFinder):
    """Lets the import of pandas fail: Arrow would load it with its first array, which is half of a start."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Refuse pandas; let others find any other module."""
        if fullname == "pandas":
            raise ModuleNotFoundError("Processes that share work do without pandas.", name=fullname)


def serve() -> None:
    """Answer jobs until there are no more: the main function of such a process."""
    sys.meta_path.insert(0, _WithoutPandas())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(0)) as end, suppress(EOFError, ConnectionError):
        make, arguments = _receive(end)
        work = make(*arguments)
        jobs: SimpleQueue[tuple[Any] | None] = SimpleQueue()
        threading.Thread(target=_receive_all, args=(end, jobs), daemon=True).start()
        while (item := jobs.get()) is not None:
            try:
                answer: tuple[bool, Any] = (True, work(item[0]))
            except Exception as error:
                answer = (False, _portable(error))
            _send(end, answer)


def _receive_all(end: socket.socket, jobs: SimpleQueue[tuple[Any] | None]) -> None:
    """Receive jobs while another one is done: the other side never waits for this one to take a job."""
    try:
        with suppress(EOFError, OSError):
            while True:
                jobs.put((_receive(end),))
    finally:
        jobs.put(None)


def _portable(error: Exception) -> Exception:
    """Return an error that can be sent."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _send(end: socket.socket, message: object) -> None:
    """Send a message: a header, all small buffers in one piece, then the large ones.

    Each call on the other side may have to wait for the interpreter's lock, so there are few.
    """
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(message, 5, buffer_callback=buffers.append)
    parts = [memoryview(head), *(buffer.raw() for buffer in buffers)]
    small = [part for part in parts if part.nbytes < _LARGE]
    together = b"".join(piece for part in small for piece in (part, bytes(-part.nbytes % _ALIGNED)))
    sizes = struct.pack(f"<{len(parts)}Q", *(part.nbytes for part in parts))
    end.sendall(struct.pack("<QQ", len(sizes), len(together)) + sizes + together)
    for part in parts:
        if part.nbytes >= _LARGE:
            end.sendall(part)


def _receive(end: socket.socket) -> Any:
    described, together = struct.unpack("<QQ", _read(end, 16))
    block = memoryview(_read(end, described + together))
    parts: list[memoryview | bytearray] = []
    place = described
    for (size,) in struct.iter_unpack("<Q", block[:described]):
        if size >= _LARGE:
            parts.append(_read(end, size))
        else:
            parts.append(block[place : place + size])
            place += size + -size % _ALIGNED
    return pickle.loads(parts[0], buffers=parts[1:])


def _read(end: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    left = memoryview(data)
    while left.nbytes:
        done = end.recv_into(left, left.nbytes, socket.MSG_WAITALL)
        if not done:
            raise EOFError("the other side has closed the socket")
        left = left[done:]
    return data
