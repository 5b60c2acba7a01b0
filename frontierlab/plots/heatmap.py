"""Drawings over time with one row of cells per group, and the number as the colour of a cell."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from frontierlab.errors import InvalidRequestError
from frontierlab.plots.drawing import Axis, Colours, Drawing, Mark
from frontierlab.plots.stepped import Line, bins_of, texts_of
from frontierlab.plots.style import LINE, Scale, is_log, short

__all__ = ["Form", "MANY", "MOST", "heatmap", "is_heatmap"]

Form = Literal["lines", "heatmap", "auto"]
"""How groups over time are drawn: a line each, a row of coloured cells each, or whichever is legible."""

MANY = 8
"""Lines from which on ``auto`` draws a heat map: more of them cannot be followed."""

MOST = 60
"""Rows of a heat map, at most."""

_ROW, _TALL_ROW = 20, 34  # pixels; a long name has two lines
_AROUND = 175  # pixels of titles, time axis and colour bar
_TITLE = 32  # characters of a line: long names leave a narrow page little room for the title


def is_heatmap(form: Form, groups: int) -> bool:
    """Return whether so many groups are drawn as a heat map.

    Raises
    ------
    InvalidRequestError
        The form is unknown.
    """
    if form not in ("lines", "heatmap", "auto"):
        raise InvalidRequestError(f"form={form!r}: give lines, heatmap or auto.")
    return form == "heatmap" or (form == "auto" and groups > MANY)


def heatmap(
    frame: pd.DataFrame, rows: Sequence[Line], *, title: str, words: str, axis: str, unit: str, scale: Scale
) -> Drawing:
    """Draw rows of cells over time, the first row at the top; a row of the frame is a bin that starts at ``time``.

    A bin without a number has no cell; neither has a zero, unless it is a share. Hover texts have the values before;
    the colours do not.

    Parameters
    ----------
    frame, title, words, axis, unit, scale
        As for `frontierlab.plots.stepped.over_time`.
    rows
        The columns of the numbers, and the names of the rows.
    """
    frame, left, right, seconds = bins_of(frame)
    numbers = frame[[line.column for line in rows]]
    shares = unit == "%"
    log = is_log(numbers, "linear" if shares else scale)
    values = numbers.to_numpy(dtype="float64", na_value=np.nan)
    there = values[np.isfinite(values) & (values > 0)]
    low, high = (0.0, 100.0) if shares else _ends(there, log=log)
    if any(f"{line.column}_before" in frame for line in rows):
        words = f"{words}\nbefore (in hover texts): {frame.attrs.get('before', 'the other logs')}".strip()
    marks = [_row(frame, place, line, left, right, unit, zeros=shares) for place, line in enumerate(rows)]
    tall = any("\n" in short(line.name) for line in rows)
    label = f"{axis.format(bin=f'{seconds:g} s')}{' (logarithmic)' if log else ''}; blank: none"
    lines = textwrap.wrap(title, _TITLE)
    return Drawing(
        "\n".join(lines),
        words,
        Axis("time (UTC)", left[0], right[-1], kind="datetime", grid=False),
        Axis(
            "",
            len(rows) - 0.5,
            -0.5,
            ticks=range(len(rows)),
            names={place: line.name for place, line in enumerate(rows)},
            grid=False,
        ),
        _AROUND + LINE * (len(lines) - 1) + (_TALL_ROW if tall else _ROW) * len(rows),
        marks=marks,
        hover=range(len(marks)),
        tips=[("", "$name"), ("from", "@left{%F %T}"), ("to", "@right{%F %T} UTC"), ("", "@text")],
        bins=True,
        brush=True,
        colours=Colours(label, low, high, "log" if log else "linear"),
    )


def _row(frame: pd.DataFrame, place: int, line: Line, left: Any, right: Any, unit: str, *, zeros: bool) -> Mark:
    values = frame[line.column].to_numpy(dtype="float64", na_value=np.nan)
    with np.errstate(invalid="ignore"):
        shown = np.flatnonzero(values >= 0 if zeros else values > 0)
    texts = texts_of(frame.iloc[shown], line.column, unit)
    data: dict[str, Any] = {
        "left": left[shown],
        "right": right[shown],
        "value": values[shown],
        "text": texts,
        "top": np.full(len(shown), place - 0.46),
        "bottom": np.full(len(shown), place + 0.46),
    }
    look = {"left": "left", "right": "right", "top": "top", "bottom": "bottom", "line_color": None}
    return Mark("quad", data, look, name=line.name)


def _ends(numbers: Any, *, log: bool) -> tuple[float, float]:
    """Return the numbers of the first and the last colour."""
    if not numbers.size:
        return (1.0, 2.0) if log else (0.0, 1.0)
    high = float(numbers.max())
    if not log:
        return 0.0, high
    low = float(numbers.min())
    return low, max(high, 2 * low)
