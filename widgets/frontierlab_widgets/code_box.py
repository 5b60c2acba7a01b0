"""The work of a panel as lines of Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import traitlets

from frontierlab.selection import Selection
from frontierlab.util.literals import literal
from frontierlab_widgets.drawn_by_page import DrawnByPage

__all__ = ["CodeBox", "Expression", "call"]

_STATIC = Path(__file__).parent / "static"
_WIDTH = 100


class CodeBox(DrawnByPage):
    """A box of code with a copy button.

    Parameters
    ----------
    code
        The lines.
    """

    _esm = _STATIC / "code.js"
    _css = _STATIC / "code.css"

    code = traitlets.Unicode().tag(sync=True)


class Expression(str):
    """Code that `call` writes unquoted, such as the name of a variable: ``Name("settings")``."""


def call(function: str, *arguments: Any, **keywords: Any) -> str:
    """Write a call as Python: on one line, or one argument per line if that is too long.

    Parameters
    ----------
    function
        The function, as code: ``fl.extract``, or ``dataset = fl.extract``.
    *arguments, **keywords
        Values (see `frontierlab.util.literals.literal`), selections, or code (`Expression`).

    Examples
    --------
    >>> print(call("fl.datasets.open_dataset", "day", Name("settings")))
    fl.datasets.open_dataset("day", settings)
    """
    parts = [*map(_code, arguments), *(f"{name}={_code(value)}" for name, value in keywords.items())]
    line = f"{function}({', '.join(parts)})"
    return line if len(line) <= _WIDTH else "\n".join([f"{function}(", *(f"    {part}," for part in parts), ")"])


def _code(value: Any) -> str:
    if isinstance(value, Expression):
        return value
    return f"fl.{value!r}" if isinstance(value, Selection) else literal(value)
