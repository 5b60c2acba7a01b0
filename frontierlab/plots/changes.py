"""The figure of what changed: rates that grew to the right, rates that fell to the left."""

from __future__ import annotations

from typing import Any, cast

import pandas as pd
from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter, Range1d
from bokeh.models.annotations import Label, Span
from bokeh.plotting import figure

from frontierlab.filters.changes_statement import CHANGE_KEYS
from frontierlab.filters.top import NAMED
from frontierlab.plots.grouped import limited, rows_axis
from frontierlab.plots.making import dress_axis, fill_axis
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
_HEADS = {
    "schema": "Schemas",
    "folder": "Folders",
    "tag": "Tags",
    "task": "Tasks",
    "server": "Servers",
    "site": "Sites",
    "squid": "Squids",
}
_SAME = {
    "queries": "the queries",
    "bytes": "the bytes",
    "dbtime_ms": "the database times",
    "querytime_ms": "the query times",
    "failures": "the failures",
    "share": "the shares",
}
_AXES = {
    "queries": "change (queries per hour)",
    "bytes": "change (bytes per hour)",
    "dbtime_ms": "change (ms of database time per hour)",
    "querytime_ms": "change (ms of query time per hour)",
    "failures": "change (failed queries per hour)",
    "share": "change of the share of queries (percentage points)",
}
_UNITS = {
    "share": ("%", "points"),
    "bytes": ("bytes", "bytes"),
    "dbtime_ms": ("ms", "ms"),
    "querytime_ms": ("ms", "ms"),
}
_TIPS = {
    "queries": "queries",
    "share": "of all queries",
    "bytes": "bytes, not cached",
    "dbtime_ms": "database time, not cached",
    "querytime_ms": "query time",
    "failures": "failures",
}
_NUMBERS = tuple(_TIPS)
_FAINT = 0.4  # a sum of several, or a difference that can be chance


def what_changed(frame: pd.DataFrame, *, selection: str | None = None, top: int = 8) -> figure:
    """Draw what changed most, by the rate of the measure given to `frontierlab.what_changed`.

    A bar is faint if its change can be chance, or if it is the sum of several.

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
    judged = ["rate", "rate_before", "factor", "significance", "significant", "verdict"]
    check_frame(frame, "what_changed", ["what", "part", "groups", *judged, *columns], of="frontierlab.what_changed")
    rank_by = frame.attrs.get("rank_by", "queries")
    words = f"now: {words_of(frame, selection) or 'all'}\nbefore: {frame.attrs.get('before') or 'all'}"
    title = "What changed"
    if frame.empty:
        return empty(title, words, "Neither now nor before does any query match.")
    for suffix, side in (("", "now"), ("_before", "before")):
        if rank_by == "share" and not frame[f"queries{suffix}"].any():
            return empty(title, words, f"There are no queries {side}, so that no share changed.")
    rows = _rows(frame, top)
    if not rows["change"].any():
        return empty(title, words, f"Nothing changed: {_SAME[rank_by]} of all are the same as before.")
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
    _axes(plot, rows, rank_by)
    return cast("figure", plot)


def _rows(frame: pd.DataFrame, top: int) -> pd.DataFrame:
    """Return the rows from the top; each kind has a heading row without a label, then its bars."""
    found = []
    for what, keys in CHANGE_KEYS.items():
        kind = frame[frame["what"] == what]
        if kind.empty:
            continue
        if what == "task":
            kind = kind.assign(task=task_labels(kind))
            keys = ("task",)
        rows = limited(kind, keys, ["rate", *_NUMBERS], top)
        change = (rows["rate"] - rows["rate_before"]).astype("Float64")
        texts = {f"{name}_text": _texts(rows, name) for name in _NUMBERS}
        heading = pd.DataFrame({"heading": [_HEADS[what]]}, dtype="string")
        found += [heading, rows[["label"]].assign(change=change, **texts, **_judged(kind, len(rows), top))]
    return pd.concat(found, ignore_index=True)


def _judged(kind: pd.DataFrame, rows: int, top: int) -> dict[str, list[Any]]:
    """Return the words about the change of each bar, and how faint the bar is."""
    words, alpha = [], []
    for row in kind[kind["part"] == NAMED].head(top).to_dict("records"):
        factor = "" if pd.isna(row["factor"]) else f", {format_number(row['factor'])} times the rate before"
        size = "" if pd.isna(row["significance"]) else f", {row['significance']:+.1f} standard deviations"
        words.append(f"{row['verdict']}{factor}{size}")
        alpha.append(1.0 if not pd.isna(row["significant"]) and row["significant"] else _FAINT)
    rest = rows - len(words)
    return {"verdict_text": [*words, *["several together"] * rest], "alpha": [*alpha, *[_FAINT] * rest]}


def _texts(rows: pd.DataFrame, name: str) -> list[str]:
    unit, points = _UNITS.get(name, ("", ""))
    texts = []
    for now, before in zip(rows[name], rows[f"{name}_before"], strict=True):
        change = now - before
        sign = "+" if not pd.isna(change) and change > 0 else ""
        texts.append(
            f"{format_number(now, unit)}; before {format_number(before, unit)} ({sign}{format_number(change, points)})"
        )
    return texts


def _bars(plot: Any, rows: pd.DataFrame, colour: str) -> Any:
    data: dict[str, Any] = {f"{name}_text": rows[f"{name}_text"].tolist() for name in (*_NUMBERS, "verdict")}
    right = rows["change"].to_numpy(dtype="float64")
    data |= {"y": rows.index.tolist(), "right": right, "name": rows["label"].tolist()}
    data["alpha"] = rows["alpha"].tolist()
    source = ColumnDataSource(data)
    return plot.hbar(
        source=source, y="y", left=0, right="right", height=0.7, color=colour, alpha="alpha", muted_alpha=0.1
    )


def _tips() -> list[tuple[str, str]]:
    return [("change", "@verdict_text"), *((name, f"@{column}_text") for column, name in _TIPS.items())]


def _axes(plot: Any, rows: pd.DataFrame, rank_by: str) -> None:
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
    plot.xaxis.axis_label = _AXES[rank_by]
    plot.xaxis.ticker.desired_num_ticks = 4
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0[.]00")
    plot.ygrid.grid_line_color = None
