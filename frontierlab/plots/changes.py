"""The figure of what changed: increases to the right, decreases to the left."""

from __future__ import annotations

from typing import Any, cast

import pandas as pd
from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter, Range1d
from bokeh.models.annotations import Label, Span
from bokeh.plotting import figure

from frontierlab.filters.changes import CHANGE_KEYS, CHANGES
from frontierlab.plots.drawing import dress_axis, fill_axis
from frontierlab.plots.grouped import limited, rows_axis
from frontierlab.plots.style import (
    COLOURS,
    add_to_legend,
    check_frame,
    empty,
    format_number,
    new_figure,
    task_labels,
    words_of,
)

__all__ = ["what_changed"]

_LESS, _MORE = COLOURS[0], COLOURS[1]
_HEADS = {"folder": "Folders", "tag": "Tags", "task": "Tasks", "server": "Servers"}
_AXES = {
    "share": "change of the share of queries (percentage points)",
    "bytes": "change (bytes)",
    "failures": "change of the number of failed queries",
}
_SAME = {"share": "the shares", "bytes": "the bytes", "failures": "the failures"}
_NUMBERS = ("queries", *CHANGES)


def what_changed(frame: pd.DataFrame, *, selection: str | None = None, top: int = 8) -> figure:
    """Draw which folders, tags, tasks and servers changed most, by the measure given to `frontierlab.what_changed`.

    Parameters
    ----------
    frame
        The frame that `frontierlab.what_changed` returned.
    selection
        The selection of now in words; by default that of the frame.
    top
        The largest number of bars of each kind; the others are added up in one bar.
    """
    columns = [f"{name}{suffix}" for name in _NUMBERS for suffix in ("", "_before", "_change")]
    check_frame(frame, "what_changed", ["what", "part", "groups", *columns], of="frontierlab.what_changed")
    by = frame.attrs.get("by", "share")
    words = f"now: {words_of(frame, selection) or 'all'}\nbefore: {frame.attrs.get('before') or 'all'}"
    title = "What changed"
    if frame.empty:
        return empty(title, words, "Neither now nor before does any query match.")
    for suffix, side in (("", "now"), ("_before", "before")):
        if by == "share" and not frame[f"queries{suffix}"].any():
            return empty(title, words, f"There are no queries {side}, so that no share changed.")
    rows = _rows(frame, by, top)
    if not rows["change"].any():
        return empty(title, words, f"Nothing changed: {_SAME[by]} of all are the same as before.")
    plot = new_figure(title, words)
    plot.height, y = rows_axis(rows["label"])
    plot.y_range = Range1d()
    dress_axis(y, plot.yaxis[0], plot.ygrid[0])
    fill_axis(plot.yaxis[0], plot.y_range, y)
    bars = rows[rows["label"].notna()]
    parts = (("less", bars["change"] < 0, _LESS), ("more", bars["change"] >= 0, _MORE))
    chosen = [(name, bars[which.fillna(False)], colour) for name, which, colour in parts]
    found = [(name, [_bars(plot, some, colour)]) for name, some, colour in chosen if len(some)]
    add_to_legend(plot, *found)
    plot.add_tools(HoverTool(renderers=[bar for _, (bar,) in found], tooltips=[("", "@name"), *_tips()]))
    _axes(plot, rows, by)
    return cast("figure", plot)


def _rows(frame: pd.DataFrame, by: str, top: int) -> pd.DataFrame:
    """Return the rows from the top; each kind has a heading row without a label, then its bars."""
    found = []
    for what, keys in CHANGE_KEYS.items():
        kind = frame[frame["what"] == what]
        if what == "task":
            kind = kind.assign(task=task_labels(kind))
            keys = ("task",)
        rows = limited(kind, keys, _NUMBERS, top)
        change = rows[by] - rows[f"{by}_before"]
        texts = {f"{name}_text": _texts(rows, name) for name in _NUMBERS}
        heading = pd.DataFrame({"heading": [_HEADS[what]]}, dtype="string")
        found += [heading, rows[["label"]].assign(change=change.astype("Float64"), **texts)]
    return pd.concat(found, ignore_index=True)


def _texts(rows: pd.DataFrame, name: str) -> list[str]:
    unit, points = {"share": ("%", "points"), "bytes": ("bytes", "bytes")}.get(name, ("", ""))
    texts = []
    for now, before in zip(rows[name], rows[f"{name}_before"], strict=True):
        change = now - before
        sign = "+" if not pd.isna(change) and change > 0 else ""
        texts.append(
            f"{format_number(now, unit)}; before {format_number(before, unit)} ({sign}{format_number(change, points)})"
        )
    return texts


def _bars(plot: Any, rows: pd.DataFrame, colour: str) -> Any:
    data: dict[str, Any] = {f"{name}_text": rows[f"{name}_text"].tolist() for name in _NUMBERS}
    right = rows["change"].to_numpy(dtype="float64")
    data |= {"y": rows.index.tolist(), "right": right, "name": rows["label"].tolist()}
    data["alpha"] = [0.4 if label.startswith("(") else 1.0 for label in rows["label"]]  # a sum of several
    source = ColumnDataSource(data)
    return plot.hbar(
        source=source, y="y", left=0, right="right", height=0.7, color=colour, alpha="alpha", muted_alpha=0.1
    )


def _tips() -> list[tuple[str, str]]:
    names = {"queries": "queries", "share": "of all queries", "bytes": "bytes, not cached", "failures": "failures"}
    return [(names[name], f"@{name}_text") for name in _NUMBERS]


def _axes(plot: Any, rows: pd.DataFrame, by: str) -> None:
    change = rows["change"].to_numpy(dtype="float64", na_value=0)
    low, high = min(change.min(), 0), max(change.max(), 0)
    room = 0.06 * (high - low)
    plot.x_range = Range1d(start=low - room, end=high + room)
    plot.add_layout(Span(location=0, dimension="height", line_color="#333333", line_width=1))
    for place, heading in enumerate(rows["heading"]):
        if pd.isna(heading):
            continue
        plot.add_layout(
            Label(
                x=0,
                x_units="screen",
                y=place,
                text=heading,
                text_baseline="middle",
                text_font_style="bold",
                text_font_size="13px",
                background_fill_color="white",
            )
        )
    plot.xaxis.axis_label = _AXES[by]
    plot.xaxis.ticker.desired_num_ticks = 4
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0[.]00")
    plot.ygrid.grid_line_color = None
