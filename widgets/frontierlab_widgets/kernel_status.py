"""The connection between a panel and the page that shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import traitlets

from frontierlab_widgets.drawn_by_page import DrawnByPage

__all__ = ["KernelStatus"]

_STATIC = Path(__file__).parent / "static"

ASK_SECONDS = 20.0
"""Seconds between two questions to the page whether it still shows the panel."""

GONE_SECONDS = 50.0
"""Seconds without an answer after which no page shows the panel: closed, hidden, scrolled away, or cell rerun."""


class KernelStatus(DrawnByPage):
    """Shows in the panel that its kernel has ended, and reports the theme of the page. The page does both.

    The page also reports when it shows the panel, and answers whether it still does.

    Parameters
    ----------
    dark
        Whether the page's theme is dark.
    again
        Python that shows the same view in a new kernel; empty if there is none. It holds no secret.
    kept
        The view as JSON; empty if there is none.
    """

    _esm = _STATIC / "panel.js"
    _css = _STATIC / "panel.css"

    dark = traitlets.Bool(False).tag(sync=True)
    again = traitlets.Unicode().tag(sync=True)
    kept = traitlets.Unicode().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._seen: float | None = None
        self._asked = 0.0
        self._when_shown: list[Callable[[], object]] = []
        self.on_msg(self._answered)

    def on_shown(self, action: Callable[[], object]) -> None:
        """Call an action each time a page starts to show the panel."""
        self._when_shown.append(action)

    def is_shown(self) -> bool:
        """Return whether a page shows the panel; this asks the page from time to time."""
        now = time.monotonic()
        if self._seen is None or now - self._seen > GONE_SECONDS or self.comm is None:
            self._seen = None
        elif now - self._asked > ASK_SECONDS:
            self._asked = now
            self.send({"ask": "shown"})
        return self._seen is not None

    def _answered(self, _: Any, content: Any, buffers: Any) -> None:
        was = self.is_shown()
        self._seen = time.monotonic()
        if not was:
            for action in self._when_shown:
                action()
