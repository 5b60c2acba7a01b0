"""Work of a panel in a separate thread, so that no click freezes the notebook."""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from frontierlab.util.progress import Progress

__all__ = ["Work", "WorkStopped"]

_LOG = logging.getLogger("frontierlab_widgets")

_LOCK = threading.Lock()
_RUNNING: weakref.WeakSet[Work] = weakref.WeakSet()
_EXIT_SECONDS = 3.0  # longest wait at the end of the process: a thread that is killed within DuckDB aborts the process


@atexit.register
def _end_all() -> None:
    """Stop what is running, and wait for it a moment."""
    with _LOCK:
        running = [*_RUNNING]
    for work in running:
        work.stop()
    until = time.monotonic() + _EXIT_SECONDS
    for work in running:
        work.join(max(0.0, until - time.monotonic()))


class WorkStopped(Exception):
    """The user stopped the work; raised at its next report."""


class Work:
    """One piece of work and its thread.

    Parameters
    ----------
    run
        The function to run. It is called with this object, and calls its `report` from time to time.
    finish
        Called at the end, in the work's thread, with this object, the result and the error; one of the two is None.
    show
        Called with each progress record.
    take
        Called with each part of the result that comes before the end.
    replaceable
        Whether newer work may replace it before it ends.

    Attributes
    ----------
    ended : bool
        Whether the work has ended; `finish` sets it, because it may have to wait for a lock.
    progress : Progress or None
        The last progress record.
    """

    def __init__(
        self,
        run: Callable[[Work], Any],
        finish: Callable[[Work, Any, BaseException | None], object],
        show: Callable[[Work, Progress], object],
        *,
        take: Callable[[Work, Any], object] = lambda work, part: None,
        replaceable: bool = False,
    ) -> None:
        self.stopping = threading.Event()
        self._awaited = threading.Event()
        self.replaceable = replaceable
        self.ended = False
        self.progress: Progress | None = None
        self._run = run
        self._finish = finish
        self._show = show
        self._take = take
        self._when_stopped: list[Callable[[], object]] = []
        self._thread = threading.Thread(target=self._work, name="panel", daemon=True)

    def start(self) -> None:
        """Start the work."""
        with _LOCK:
            _RUNNING.add(self)
        self._thread.start()

    def stop(self) -> None:
        """Ask the work to end; it ends at its next report, or where it checks `stopping`. This returns at once."""
        self.stopping.set()
        for end in self._when_stopped:
            self._call(end)

    def when_stopped(self, end: Callable[[], object]) -> None:
        """Call a function in a separate thread on a stop, to end what runs between two reports."""
        self._when_stopped.append(end)
        if self.stopping.is_set():
            self._call(end)

    def pause(self, seconds: float) -> None:
        """Wait in the work's thread, but not while another thread waits for the end of the work."""
        self._awaited.wait(seconds)

    def join(self, seconds: float | None = None) -> bool:
        """Wait for the end of the work, and return whether it has ended."""
        self._awaited.set()
        if self._thread is not threading.current_thread():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def report(self, progress: Progress) -> None:
        """Show the progress of the work.

        Raises
        ------
        WorkStopped
            The user stopped the work.
        """
        if self.stopping.is_set():
            raise WorkStopped
        self.progress = progress
        self._show(self, progress)

    def hand_over(self, part: Any) -> None:
        """Hand over a part of the result before the end.

        Raises
        ------
        WorkStopped
            The user stopped the work.
        """
        if self.stopping.is_set():
            raise WorkStopped
        self._take(self, part)

    def _work(self) -> None:
        result, error = None, None
        try:
            result = self._run(self)
        except BaseException as caught:  # the panel decides how to show it
            error = caught
        try:
            self._finish(self, result, error)
        finally:
            with _LOCK:
                _RUNNING.discard(self)

    @staticmethod
    def _call(end: Callable[[], object]) -> None:
        """Call a function that may never return, in a separate thread; not while the process ends: no thread starts."""
        if sys.is_finalizing():
            return

        def ended() -> None:
            try:
                end()
            except Exception:
                _LOG.exception("work could not be told to stop")

        threading.Thread(target=ended, name="stop", daemon=True).start()
