"""What a panel does, as lines of Python to take away."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

__all__ = ["Code"]

_STATIC = Path(__file__).parent / "static"


class Code(anywidget.AnyWidget):
    """A box of code with a copy button.

    Parameters
    ----------
    code
        The lines.
    """

    _esm = _STATIC / "code.js"
    _css = _STATIC / "code.css"

    code = traitlets.Unicode().tag(sync=True)
