"""Something a panel does again and again for as long as it is there."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["Ticker"]


class Ticker:
    """Calls a method of a panel every so often, in a thread that keeps neither panel nor process alive.

    Parameters
    ----------
    panel
        Whose it is.
    method
        Called with the panel. Its error is shown in the panel.
    seconds
        Between two calls.
    """

    def __init__(self, panel: Any, method: Callable[[Any], object], seconds: float) -> None:
        self._ended = threading.Event()
        self._panel = weakref.ref(panel, lambda _: self._ended.set())
        self._method = method
        self._seconds = seconds
        threading.Thread(target=self._tick, name="ticker", daemon=True).start()

    def stop(self) -> None:
        """End it."""
        self._ended.set()

    def _tick(self) -> None:
        while not self._ended.wait(self._seconds):
            panel = self._panel()
            if panel is None:
                return
            with panel.shown_errors():
                self._method(panel)
            del panel
