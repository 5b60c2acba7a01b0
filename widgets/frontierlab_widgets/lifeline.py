"""What ties a panel to the page that shows it."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

__all__ = ["Lifeline"]

_STATIC = Path(__file__).parent / "static"


class Lifeline(anywidget.AnyWidget):
    """Says in the panel that its kernel has ended, which only the page can; and which theme the page has.

    Parameters
    ----------
    dark
        Whether the page's theme is dark.
    """

    _esm = _STATIC / "panel.js"
    _css = _STATIC / "panel.css"

    dark = traitlets.Bool(False).tag(sync=True)
