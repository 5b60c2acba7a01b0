"""No error of a panel is lost: it is shown, and one that nobody foresaw is logged too."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import traitlets

from frontierlab_widgets.formatting import sentence

__all__ = ["Failing", "ShownErrors", "TURN"]

_LOG = logging.getLogger("frontierlab_widgets")

TURN = threading.RLock()
"""Held while something happens to panels: work ends in its own threads, and what users do arrives in several."""


class Failing(traitlets.HasTraits):
    """What shows errors.

    Attributes
    ----------
    error : str
        What went wrong, a sentence; empty where nothing did.
    """

    error = traitlets.Unicode()

    def guarded(self, action: Callable[[], object]) -> None:
        """Do something that a user wants; an error is shown in the panel, whatever it is."""
        with TURN, self.shown_errors():
            self.error = ""
            action()

    def shown_errors(self) -> ShownErrors:
        """Return a context in which errors are shown in the panel."""
        return ShownErrors(self)

    def fail(self, error: BaseException) -> None:
        """Show an error; one that nobody raised on purpose is logged in full too. What goes on goes on."""
        text = sentence(error)
        if "should not have" in text:
            _LOG.error("%s", text, exc_info=error)
        self.error = text


class ShownErrors:
    """Shows an error in the panel, and lets it go no further; remembers it."""

    def __init__(self, panel: Failing) -> None:
        self._panel = panel
        self.error: Exception | None = None

    def __enter__(self) -> ShownErrors:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if not isinstance(error, Exception):
            return False  # a keyboard interrupt is for the kernel
        self.error = error
        self._panel.fail(error)
        return True
