"""Work of a panel, done in a thread of its own so that no click freezes the notebook."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from frontierlab.util.progress import Progress

__all__ = ["Stopped", "Work"]

_LOG = logging.getLogger("frontierlab_widgets")


class Stopped(Exception):
    """The user stopped the work; raised at its next report."""


class Work:
    """One piece of work and its thread.

    Parameters
    ----------
    run
        What is done. It is called with this object, whose `report` it calls now and then.
    finish
        Called at the end, in the work's thread, with this object, the result and the error; one of the two is None.
    show
        Called with each progress record.
    replaceable
        Whether newer work may take its place before its end.

    Attributes
    ----------
    ended : bool
        Whether it is at its end; `finish` sets it, for it may have to wait for its turn.
    progress : Progress or None
        What it reported last.
    """

    def __init__(
        self,
        run: Callable[[Work], Any],
        finish: Callable[[Work, Any, BaseException | None], object],
        show: Callable[[Work, Progress], object],
        *,
        replaceable: bool = False,
    ) -> None:
        self.stopping = threading.Event()
        self.replaceable = replaceable
        self.ended = False
        self.progress: Progress | None = None
        self._run = run
        self._finish = finish
        self._show = show
        self._when_stopped: list[Callable[[], object]] = []
        self._thread = threading.Thread(target=self._work, name="panel", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; it does at its next report, or where it looks at `stopping`. This returns at once."""
        self.stopping.set()
        for end in self._when_stopped:
            self._call(end)

    def when_stopped(self, end: Callable[[], object]) -> None:
        """Call something, in a thread of its own, that ends what goes on between two reports."""
        self._when_stopped.append(end)
        if self.stopping.is_set():
            self._call(end)

    def join(self, seconds: float | None = None) -> bool:
        """Wait for its end, and return whether it has come."""
        if self._thread is not threading.current_thread():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def report(self, progress: Progress) -> None:
        """Show how far it is.

        Raises
        ------
        Stopped
            The user wants it to stop.
        """
        if self.stopping.is_set():
            raise Stopped
        self.progress = progress
        self._show(self, progress)

    def _work(self) -> None:
        result, error = None, None
        try:
            result = self._run(self)
        except BaseException as caught:  # what it is decides the panel, which shows it
            error = caught
        self._finish(self, result, error)

    @staticmethod
    def _call(end: Callable[[], object]) -> None:
        """Call something that may never return, so that who stops the work does not wait for it."""

        def ended() -> None:
            try:
                end()
            except Exception:
                _LOG.exception("work could not be told to stop")

        threading.Thread(target=ended, name="stop", daemon=True).start()
