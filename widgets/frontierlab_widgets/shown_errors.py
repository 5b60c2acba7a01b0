"""Errors in panels: each one is shown, and unexpected ones are logged too."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import traitlets

from frontierlab_widgets.formatting import UNEXPECTED, sentence

__all__ = ["ErrorMixin", "PANEL_LOCK", "ShownErrors"]

_LOG = logging.getLogger("frontierlab_widgets")

PANEL_LOCK = threading.RLock()
"""Held while panels change, because several threads change them: those of work and those that handle user input."""


class ErrorMixin(traitlets.HasTraits):
    """Shows errors.

    Attributes
    ----------
    error : str
        The last error, a sentence; empty if there is none.
    """

    error = traitlets.Unicode()

    def guarded(self, action: Callable[[], object]) -> None:
        """Call an action of the user; any error is shown in the panel."""
        with PANEL_LOCK, self.shown_errors():
            self.error = ""
            action()

    def shown_errors(self) -> ShownErrors:
        """Return a context manager that shows errors in the panel."""
        return ShownErrors(self)

    def fail(self, error: BaseException) -> None:
        """Show an error; an unexpected one is also logged in full. Running work continues."""
        text = sentence(error)
        if text.startswith(UNEXPECTED):
            _LOG.error("%s", text, exc_info=error)
        self.error = text


class ShownErrors:
    """Shows an error in the panel, suppresses and remembers it."""

    def __init__(self, panel: ErrorMixin) -> None:
        self._panel = panel
        self.error: Exception | None = None

    def __enter__(self) -> ShownErrors:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if not isinstance(error, Exception):
            return False  # a keyboard interrupt is meant for the kernel
        self.error = error
        self._panel.fail(error)
        return True
