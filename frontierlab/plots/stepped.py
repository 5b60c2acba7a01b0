"""Figures of step lines, one step per bin: over time, or by duration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from bokeh.events import SelectionGeometry
from bokeh.models import (
    BoxSelectTool,
    ColumnDataSource,
    CrosshairTool,
    CustomJS,
    DataRange1d,
    HoverTool,
    NumeralTickFormatter,
    Range1d,
)
from bokeh.models.annotations import Span, Title
from bokeh.plotting import figure

from frontierlab.plots.style import (
    FLOOR,
    Scale,
    add_to_legend,
    drawn,
    format_number,
    is_log,
    new_figure,
    time_formatter,
)

__all__ = ["Line", "over_time", "stepped"]

_SAY_RANGE = """
    if (cb_obj.final && cb_obj.geometry.type == "rect") {
        const at = (ms) => new Date(ms).toISOString().replace("Z", "")
        title.text = `selected: since="${at(cb_obj.geometry.x0)}", until="${at(cb_obj.geometry.x1)}" (UTC)`
        title.visible = true
    }
"""


class Line(NamedTuple):
    """A line: the column of its numbers, its name, colour and dash."""

    column: str
    name: str
    colour: str
    dash: str = "solid"


def over_time(
    frame: pd.DataFrame, lines: Sequence[Line], *, title: str, words: str, axis: str, unit: str, scale: Scale
) -> figure:
    """Draw lines over time; a row of the frame is a bin that starts at ``time``; ``{bin}`` in `axis` is its width.

    ``time`` can have any unit, be text, or have no zone (then it is UTC), as in frames read from CSV or Parquet.
    A box select marks a range of time (event ``SelectionGeometry``; its limits are milliseconds
    from the epoch, UTC), and shows the range above the figure.
    """
    frame = frame.assign(time=pd.to_datetime(frame["time"], utc=True).dt.as_unit("ms"))
    frame = frame.sort_values("time", ignore_index=True)
    left = frame["time"].astype("int64").to_numpy() / 1
    seconds = frame.attrs.get("bin_seconds") or (float(left[1] - left[0]) / 1000 if len(left) > 1 else 300)
    right = left + 1000 * seconds
    texts = {
        "from": frame["time"].dt.strftime("%Y-%m-%d %H:%M:%S").tolist(),
        "to": (frame["time"] + pd.Timedelta(seconds=seconds)).dt.strftime("%Y-%m-%d %H:%M:%S UTC").tolist(),
    }
    plot = stepped(
        frame, lines, left, right, texts, title=title, words=words, unit=unit, scale=scale, x_axis_type="datetime"
    )
    plot.yaxis.axis_label = f"{axis.format(bin=f'{seconds:g} s')}{_note(plot)}"
    plot.xaxis.formatter = time_formatter()
    plot.xaxis.axis_label = "time (UTC)"
    plot.x_range = Range1d(start=left[0], end=right[-1])
    selected = Title(text="", visible=False, text_font_style="normal", text_font_size="12px")
    plot.add_layout(selected, "above")
    plot.js_on_event(SelectionGeometry, CustomJS(args={"title": selected}, code=_SAY_RANGE))
    plot.add_tools(BoxSelectTool(dimensions="width", persistent=True))
    return cast("figure", plot)


def stepped(
    frame: pd.DataFrame,
    lines: Sequence[Line],
    left: np.ndarray[Any, Any],
    right: np.ndarray[Any, Any],
    texts: dict[str, list[str]],
    *,
    title: str,
    words: str,
    unit: str,
    scale: Scale,
    **options: Any,
) -> Any:
    """Draw lines over bins from `left` to `right`; `texts` holds the bin limits for hover (``from``, ``to``)."""
    columns = [name for line in lines for name in (line.column, f"{line.column}_before") if name in frame]
    log = is_log(frame[columns], scale)
    if len(columns) > len(lines):
        words = f"{words}\nbefore (dotted): {frame.attrs.get('before', 'the other logs')}".strip()
    plot = new_figure(title, words, y_axis_type="log" if log else "linear", height=360, **options)
    edges = np.append(left, right[-1])
    found = [_step(plot, edges, frame[line.column], line, log) for line in lines]
    before = [
        _step(plot, edges, frame[f"{line.column}_before"], line._replace(dash="dotted"), log)
        for line in lines
        if f"{line.column}_before" in frame
    ]
    named = [(line.name, [renderer]) for line, renderer in zip(lines, found, strict=True)]
    add_to_legend(plot, *named, *([("before", before)] if before else []))
    highest = frame[columns].max(axis=1).fillna(0)
    data: dict[str, Any] = texts | {"left": left, "right": right, "top": np.maximum(drawn(highest, log=False), 1)}
    for line in lines:
        data[f"{line.column}_text"] = _texts(frame, line.column, unit)
    bins = plot.quad(
        source=ColumnDataSource(data),
        left="left",
        right="right",
        top="top",
        bottom=FLOOR if log else 0,
        alpha=0,
        hover_alpha=0.1,
    )
    tips = [("", "@from to @to"), *((line.name, f"@{line.column}_text") for line in lines)]
    plot.add_tools(
        HoverTool(renderers=[bins], mode="vline", tooltips=tips),
        CrosshairTool(overlay=Span(dimension="height", line_alpha=0.3)),
    )
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0[.]0")
    plot.y_range = DataRange1d(renderers=[*found, *before], start=FLOOR if log else 0)
    return plot


def _note(plot: Any) -> str:
    return " (logarithmic, from zero)" if type(plot.y_scale).__name__ == "LogScale" else ""


def _step(plot: Any, edges: np.ndarray[Any, Any], counts: pd.Series[Any], line: Line, log: bool) -> Any:
    values = drawn(counts, log)
    step = plot.step(
        edges, np.append(values, values[-1]), mode="after", line_color=line.colour, line_width=2, line_dash=line.dash
    )
    step.muted_glyph.line_alpha = 0.1
    return step


def _texts(frame: pd.DataFrame, column: str, unit: str) -> list[str]:
    texts = [format_number(value, unit) for value in frame[column]]
    if f"{column}_before" not in frame:
        return texts
    return [
        f"{now}; before {format_number(then, unit)}" for now, then in zip(texts, frame[f"{column}_before"], strict=True)
    ]
