"""Tables of text, fitted to the width of a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

__all__ = ["escaped", "table"]

_GAP = 2
_NARROWEST = 20  # characters that a column of texts keeps


def table(rows: Sequence[Sequence[Any]], columns: Sequence[str], width: int | None = None) -> tuple[str, list[str]]:
    """Return a table as text, and the names of columns for which there is no room.

    Numbers are on the right of their column. Integers have all their digits; fractions have six, or those before the
    point. A missing value
    is ``-``. Characters that a terminal would obey, such as line breaks, are shown as escapes.

    Parameters
    ----------
    rows
        Plain values, as `frontierlab.cli.output.plain` returns them.
    columns
        The name of each column.
    width
        Number of characters in a line; None is any. Texts are cut, the longest first, to at least 20 characters;
        their last character is then an ellipsis. If that is not enough, the last columns are left out.
    """
    cells = [[*map(_text, row)] for row in rows]
    numeric = [_is_numeric([row[i] for row in rows]) for i in range(len(columns))]
    widths = [max(map(len, [name, *(row[i] for row in cells)])) for i, name in enumerate(columns)]
    shown = len(columns)
    if width is not None:
        least = [
            size if number else max(len(name), min(size, _NARROWEST))
            for name, size, number in zip(columns, widths, numeric, strict=True)
        ]
        while shown > 1 and _total(least[:shown]) > width:
            shown -= 1
        widths = _fitted(widths[:shown], least[:shown], width)
    lines = [columns, *cells]
    text = "".join(f"{_line(line, widths[:shown], numeric)}\n" for line in lines)
    return text, list(columns[shown:])


def _fitted(widths: list[int], least: list[int], width: int) -> list[int]:
    """Return widths that fit, if the least ones do: the widest that can be cut is cut first."""
    widths = [*widths]
    while _total(widths) > width:
        can = [i for i in range(len(widths)) if widths[i] > least[i]]
        if not can:
            break
        widths[max(can, key=lambda i: widths[i])] -= 1
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    shown = []
    for cell, width, number in zip(cells, widths, numeric, strict=False):
        cell = cell if len(cell) <= width else f"{cell[: width - 1]}…"
        shown.append(cell.rjust(width) if number else cell.ljust(width))
    return (" " * _GAP).join(shown).rstrip()


def _is_numeric(values: Sequence[Any]) -> bool:
    found = [value for value in values if value is not None]
    return bool(found) and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in found)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if 1e5 <= abs(value) < 1e16 else f"{value:.6g}"
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False)
    return escaped(str(value))


def escaped(text: str, keep: str = "") -> str:
    """Return a text with escapes for all characters that a terminal would obey, but those of `keep`.

    A name in the log can hold anything, also commands to the terminal.
    """
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)
