"""Repeat an action of a panel while a page shows it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from frontierlab_widgets.kernel_status import KernelStatus

__all__ = ["PeriodicTimer"]


class PeriodicTimer:
    """Calls an action at regular intervals, in a thread that exists only while a page shows the panel.

    Parameters
    ----------
    lifeline
        The panel's `KernelStatus`.
    action
        Called when a page starts to show the panel, and then at each interval. It must not raise.
    seconds
        The interval.
    """

    def __init__(self, kernel_status: KernelStatus, action: Callable[[], object], seconds: float) -> None:
        self._ended = threading.Event()
        self._kernel_status = kernel_status
        self._action = action
        self._seconds = seconds
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None
        kernel_status.on_shown(self._begin)

    def stop(self) -> None:
        """Stop for good."""
        self._ended.set()

    def _begin(self) -> None:
        with self._turn:
            if self._thread is None and not self._ended.is_set():
                self._thread = threading.Thread(target=self._tick, name="ticker", daemon=True)
                self._thread.start()

    def _tick(self) -> None:
        while self._goes_on():
            self._action()
            self._ended.wait(self._seconds)

    def _goes_on(self) -> bool:
        with self._turn:
            if self._kernel_status.is_shown() and not self._ended.is_set():
                return True
            self._thread = None
            return False
