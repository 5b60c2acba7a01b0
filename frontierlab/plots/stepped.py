"""Drawings of step lines, one step per bin: over time, or by duration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from frontierlab.plots.drawing import Axis, Drawing, Mark
from frontierlab.plots.style import FLOOR, Scale, drawn, format_number, is_log

__all__ = ["Line", "bins_of", "over_time", "stepped", "texts_of"]

_HEIGHT = 360  # pixels
_ROOM = 0.05  # above the highest value, as a part of the axis


class Line(NamedTuple):
    """A line: the column of its numbers, its name, colour and dash."""

    column: str
    name: str
    colour: str
    dash: str = "solid"


def over_time(
    frame: pd.DataFrame, lines: Sequence[Line], *, title: str, words: str, axis: str, unit: str, scale: Scale
) -> Drawing:
    """Draw lines over time; a row of the frame is a bin that starts at ``time``; ``{bin}`` in `axis` is its width.

    ``time`` can have any unit, be text, or have no zone (then it is UTC), as in frames read from CSV or Parquet.
    A box select marks a range of time (event ``SelectionGeometry``; its limits are milliseconds
    from the epoch, UTC), and shows the range above the figure.
    """
    frame, left, right, seconds = bins_of(frame)
    texts = {
        "from": frame["time"].dt.strftime("%Y-%m-%d %H:%M:%S").tolist(),
        "to": (frame["time"] + pd.Timedelta(seconds=seconds)).dt.strftime("%Y-%m-%d %H:%M:%S UTC").tolist(),
    }
    return stepped(
        frame,
        lines,
        left,
        right,
        texts,
        title=title,
        words=words,
        unit=unit,
        scale=scale,
        x=Axis("time (UTC)", left[0], right[-1], kind="datetime"),
        axis=axis.format(bin=f"{seconds:g} s"),
        brush=True,
    )


def bins_of(frame: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray[Any, Any], np.ndarray[Any, Any], float]:
    """Return the bins in order, their ends (ms from the epoch, UTC), and their width in seconds."""
    attrs = frame.attrs
    frame = frame.assign(time=pd.to_datetime(frame["time"], utc=True).dt.as_unit("ms"))
    frame = frame.sort_values("time", ignore_index=True)
    frame.attrs = attrs
    left = frame["time"].astype("int64").to_numpy() / 1
    seconds = attrs.get("bin_seconds") or (float(left[1] - left[0]) / 1000 if len(left) > 1 else 300)
    return frame, left, left + 1000 * seconds, seconds


def stepped(
    frame: pd.DataFrame,
    lines: Sequence[Line],
    left: np.ndarray[Any, Any],
    right: np.ndarray[Any, Any],
    texts: Mapping[str, list[str]],
    *,
    title: str,
    words: str,
    unit: str,
    scale: Scale,
    x: Axis,
    axis: str,
    **more: Any,
) -> Drawing:
    r"""Draw lines over bins from `left` to `right`.

    Parameters
    ----------
    frame
        A row is a bin; null is a gap in the line. If there is a column *x*\ ``_text``, it has the hover texts of *x*.
    lines
        The lines; each has a dotted line of its values before if the frame has them.
    left, right
        The ends of the bins.
    texts
        The ends of the bins as texts, for hover (``from``, ``to``).
    title, words
        The texts above the figure.
    unit
        The unit in hover texts.
    scale
        The scale of numbers; see `frontierlab.plots.style.is_log`.
    x
        The axis of bins.
    axis
        The label of the axis of numbers.
    **more
        Further parameters of the drawing.
    """
    columns = [name for line in lines for name in (line.column, f"{line.column}_before") if name in frame]
    before = [line for line in lines if f"{line.column}_before" in frame]
    log = is_log(frame[columns], scale)
    if before:
        words = f"{words}\nbefore (dotted): {frame.attrs.get('before', 'the other logs')}".strip()
    edges = np.append(left, right[-1])
    marks = [_step(edges, frame[line.column], line, log) for line in lines]
    marks += [_step(edges, frame[f"{line.column}_before"], line._replace(dash="dotted"), log) for line in before]
    legend: list[tuple[str, Sequence[int]]] = [(line.name, [place]) for place, line in enumerate(lines)]
    if before:
        legend.append(("before", range(len(lines), len(marks))))
    highest = frame[columns].max(axis=1).fillna(0)
    tops = np.maximum(drawn(highest, log=False), 1)
    floor = _floor(frame[columns]) if log else 0.0
    bins: dict[str, Any] = {**texts, "left": left, "right": right, "top": tops, "bottom": np.full(len(left), floor)}
    for line in lines:
        bins[f"{line.column}_text"] = texts_of(frame, line.column, unit)
    look = {"left": "left", "right": "right", "top": "top", "bottom": "bottom", "alpha": 0, "hover_alpha": 0.1}
    label = f"{axis} (logarithmic{', from zero' if floor == FLOOR else ''})" if log else axis
    y = Axis(label, floor, _end(float(highest.max()), floor), kind="log" if log else "linear", form="0,0[.]0")
    return Drawing(
        title,
        words,
        x,
        y,
        _HEIGHT,
        marks=[*marks, Mark("quad", bins, look)],
        legend=legend,
        hover=[len(marks)],
        tips=[("", "@from to @to"), *((line.name, f"@{line.column}_text") for line in lines)],
        bins=True,
        **more,
    )


def _floor(numbers: pd.DataFrame) -> float:
    """Return the lower end of a logarithmic axis: that of zero, or, above it, a power of ten if no number is zero."""
    values = numbers.to_numpy(dtype="float64", na_value=np.nan)
    lowest = float(np.nanmin(values)) if np.isfinite(values).any() else 0.0
    return max(FLOOR, 10.0 ** math.floor(math.log10(lowest))) if lowest > 0 else FLOOR


def _end(highest: float, floor: float) -> float:
    """Return the upper end of an axis, a little above the highest value."""
    highest = max(highest, 1.0)
    return highest * float((highest / floor) ** _ROOM) if floor else (1 + _ROOM) * highest


def _step(edges: np.ndarray[Any, Any], counts: pd.Series[Any], line: Line, log: bool) -> Mark:
    values = drawn(counts, log)
    gaps = np.flatnonzero(np.isnan(values))
    gaps = gaps[gaps > 0]  # a step before a gap ends where the gap begins
    x, y = np.insert(edges, gaps, edges[gaps]), np.insert(np.append(values, values[-1]), gaps, values[gaps - 1])
    look = {"x": "x", "y": "y", "mode": "after", "line_color": line.colour, "line_width": 2, "line_dash": line.dash}
    return Mark("step", {"x": x, "y": y}, look, {"line_alpha": 0.1})


def texts_of(frame: pd.DataFrame, column: str, unit: str) -> list[str]:
    """Return the hover texts of a column: its own if it has some, else its numbers with the unit; then those before."""
    now, then = (_formatted(frame, f"{column}{suffix}", unit) for suffix in ("", "_before"))
    return [f"{text}; before {before}" for text, before in zip(now, then, strict=True)] if then else now


def _formatted(frame: pd.DataFrame, column: str, unit: str) -> list[str]:
    if f"{column}_text" in frame:
        return frame[f"{column}_text"].tolist()
    return [format_number(value, unit) for value in frame[column]] if column in frame else []
