"""Figures of what filters return: one function a filter, by the same name. None of them queries.

Each takes the filter's frame and returns a Bokeh figure, new each time. What it shows and which
queries were counted stand above it; exact numbers appear where the pointer is; a click on a name in
the legend mutes that series. Counts that span decades get a logarithmic axis and are drawn as dots
or lines, for the parts of a stacked bar on such an axis would have lengths that lie.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from bokeh.models import (
    BoxSelectTool,
    ColumnDataSource,
    CrosshairTool,
    DataRange1d,
    DatetimeTickFormatter,
    FixedTicker,
    HoverTool,
    NumeralTickFormatter,
    PlainText,
    Range1d,
)
from bokeh.models.annotations import Label, Legend, LegendItem, Title
from bokeh.plotting import figure

from frontierlab.errors import InvalidRequestError

__all__ = ["cached_per_schema", "queries_over_time", "queries_per_db"]

Scale = Literal["auto", "linear", "log"]

# Okabe and Ito's colours, told apart by colour-blind eyes: column, name in the legend, colour, marker
_CACHED = (
    ("cached", "cached", "#0072B2", "circle"),
    ("not_cached", "not cached", "#D55E00", "square"),
    ("unknown", "cached or not: unknown", "#777777", "triangle"),
)
_TOTAL = "__total"
_SPAN = 1000  # a bar of a thousandth of the largest is not seen
_TOOLS = "pan,wheel_zoom,box_zoom,reset,save"
_MISSING = "(none named)"
_FLOOR = 0.5  # where a logarithmic axis begins


def queries_per_db(frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto") -> figure:
    """Draw the queries of each database, cached and not.

    Parameters
    ----------
    frame
        What `frontierlab.filters.queries_per_db` returned.
    selection
        Which queries were counted, in words; by default as the filter noted it.
    scale
        ``linear`` (stacked bars), ``log`` (dots), or ``auto``: log where the largest count is more
        than 1000 times the smallest.

    Raises
    ------
    InvalidRequestError
        The frame is not of that filter.
    """
    _check(frame, "queries_per_db", ["db"])
    return _rows(frame, ["db"], "Queries per database", _words(frame, selection), scale, len(frame))


def cached_per_schema(
    frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto", top: int = 40
) -> figure:
    """Draw the queries of each schema of a database, cached and not.

    Parameters
    ----------
    frame
        What `frontierlab.filters.cached_per_schema` returned.
    selection
        Which queries were counted, in words; by default as the filter noted it.
    scale
        ``linear`` (stacked bars), ``log`` (dots), or ``auto``: log where the largest count is more
        than 1000 times the smallest.
    top
        So many rows at most; the rest is added up in a last row.

    Raises
    ------
    InvalidRequestError
        The frame is not of that filter.
    """
    _check(frame, "cached_per_schema", ["db", "schema"])
    names = ["schema"] if frame["db"].nunique() <= 1 else ["db", "schema"]
    return _rows(frame, names, "Queries per schema", _words(frame, selection), scale, top)


def queries_over_time(frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto") -> figure:
    """Draw the queries over time, cached and not.

    A box select marks a range of time (event ``SelectionGeometry``; its limits are milliseconds
    from the epoch, UTC).

    Parameters
    ----------
    frame
        What `frontierlab.filters.queries_over_time` returned.
    selection
        Which queries were counted, in words; by default as the filter noted it.
    scale
        ``linear``, ``log`` (the bottom is zero), or ``auto``: log where the largest count is more
        than 1000 times the smallest.

    Raises
    ------
    InvalidRequestError
        The frame is not of that filter.
    """
    _check(frame, "queries_over_time", ["time"])
    title, words = "Queries over time", _words(frame, selection)
    if frame.empty:
        return _empty(title, words)
    frame, series = frame.sort_values("time", ignore_index=True), _series(frame)
    log = _is_log(frame[[column for column, *_ in series]], scale)
    starts = frame["time"].astype("int64").to_numpy() / 1
    width = float(starts[1] - starts[0]) if len(starts) > 1 else 1000 * (frame.attrs.get("bin_seconds") or 300)
    plot = _figure(title, words, x_axis_type="datetime", y_axis_type="log" if log else "linear", height=360)
    edges = np.append(starts, starts[-1] + width)
    lines = []
    for column, name, colour, _ in series:
        counts = _drawn(frame[column], log)
        line = plot.step(edges, np.append(counts, counts[-1]), mode="after", line_color=colour, line_width=2)
        line.muted_glyph.line_alpha = 0.1
        _legend(plot).items.append(LegendItem(label=name, renderers=[line]))
        lines.append(line)
    data = _exact(frame, series) | {"left": starts, "right": starts + width}
    data["top"] = np.maximum(_drawn(frame[[s[0] for s in series]].max(axis=1), log=False), 1)
    data["from"] = frame["time"].dt.strftime("%Y-%m-%d %H:%M:%S").tolist()
    data["to"] = (frame["time"] + pd.Timedelta(milliseconds=width)).dt.strftime("%Y-%m-%d %H:%M:%S UTC").tolist()
    bins = plot.quad(
        source=ColumnDataSource(data),
        left="left",
        right="right",
        top="top",
        bottom=_FLOOR if log else 0,
        alpha=0,
        hover_alpha=0.1,
    )
    plot.add_tools(
        HoverTool(renderers=[bins], mode="vline", tooltips=[("time", "@from to @to"), *_tooltips(series)]),
        CrosshairTool(dimensions="height", line_alpha=0.3),
        BoxSelectTool(dimensions="width", persistent=True),
    )
    plot.xaxis.formatter = _time_formatter()
    plot.xaxis.axis_label = "time (UTC)"
    plot.yaxis.axis_label = f"queries in {width / 1000:g} s{' (logarithmic, from zero)' if log else ''}"
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0")
    plot.y_range = DataRange1d(renderers=lines, start=_FLOOR if log else 0)
    return cast("figure", plot)


def _rows(frame: pd.DataFrame, names: Sequence[str], title: str, words: str, scale: Scale, top: int) -> figure:
    """Draw a row a name, the largest at the top: stacked bars, or dots on a logarithmic axis."""
    if frame.empty:
        return _empty(title, words)
    series = _series(frame)
    frame = _largest(frame.assign(label=frame[list(names)].fillna(_MISSING).agg(" · ".join, axis=1)), series, top)
    log = _is_log(frame[[_TOTAL]], scale)
    # as plain text: in another, dollar signs would mean a formula
    labels = [_short(name) for name in frame["label"]]
    height = 160 + (38 if any("\n" in label for label in labels) else 26) * len(frame)
    plot = _figure(title, words, x_axis_type="log" if log else "linear", height=height)
    data = _exact(frame, series) | {"y": list(range(len(frame))), "name": frame["label"].tolist()}
    data |= {column: _drawn(frame[column], log, zero=np.nan) for column, *_ in series}
    source = ColumnDataSource(data)
    if log:
        drawn: list[Any] = [
            plot.scatter(source=source, x=column, y="y", marker=marker, size=10, color=colour, muted_alpha=0.1)
            for column, _, colour, marker in series
        ]
        plot.x_range = Range1d(start=_FLOOR, end=2 * float(frame[_TOTAL].max()))
    else:
        colours = [colour for _, _, colour, _ in series]
        columns = [column for column, *_ in series]
        drawn = plot.hbar_stack(columns, source=source, y="y", height=0.7, color=colours, muted_alpha=0.1)
        plot.x_range.start = 0
    _legend(plot).items = [LegendItem(label=s[1], renderers=[r]) for s, r in zip(series, drawn, strict=True)]
    plot.add_tools(HoverTool(renderers=list(drawn), tooltips=[("", "@name"), *_tooltips(series)]))
    plot.y_range = Range1d(start=len(frame) - 0.4, end=-0.6)
    plot.yaxis.ticker = FixedTicker(ticks=data["y"])
    plot.yaxis.major_label_overrides = {i: PlainText(text=label) for i, label in enumerate(labels)}
    plot.xaxis.axis_label = f"queries{' (logarithmic, zeros left out)' if log else ''}"
    plot.xaxis.ticker.desired_num_ticks = 4
    if not log:
        plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
    plot.ygrid.grid_line_color = "#eeeeee" if log else None
    return cast("figure", plot)


def _largest(frame: pd.DataFrame, series: Sequence[tuple[str, ...]], top: int) -> pd.DataFrame:
    """Return the `top` largest rows, and what they leave over as one row, so that all adds up."""
    columns = [column for column, *_ in series]
    frame = frame.assign(**{_TOTAL: frame[columns].sum(axis=1)})
    frame = frame.sort_values([_TOTAL, "label"], ascending=[False, True], ignore_index=True)
    if top < 1:
        raise InvalidRequestError(f"top={top}: give 1 or more.")
    rest = frame.iloc[top:]
    if len(rest) < 2:  # one row more takes no more room than the row that would stand for it
        return frame
    other = rest[[*columns, _TOTAL]].sum().to_frame().T.assign(label=f"({len(rest):,} others)")
    return pd.concat([frame.iloc[:top], other], ignore_index=True)


def _check(frame: pd.DataFrame, name: str, keys: Sequence[str]) -> None:
    lacking = [column for column in (*keys, *(s[0] for s in _CACHED)) if column not in frame]
    if lacking:
        raise InvalidRequestError(
            f"This frame has no column {', '.join(lacking)}: plots.{name} takes what filters.{name} returns."
        )


def _words(frame: pd.DataFrame, selection: str | None) -> str:
    return (frame.attrs.get("selection") if selection is None else selection) or ""


def _series(frame: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """Return the series to draw: the queries that may be cached or not only where there are some."""
    return [s for s in _CACHED if s[0] != "unknown" or frame[s[0]].sum() > 0]


def _is_log(counts: pd.DataFrame, scale: Scale) -> bool:
    if scale not in ("auto", "linear", "log"):
        raise InvalidRequestError(f"scale={scale!r}: give auto, linear or log.")
    numbers = counts.to_numpy(dtype="float64")
    numbers = numbers[numbers > 0]
    return scale == "log" or (scale == "auto" and numbers.size > 0 and numbers.max() > _SPAN * numbers.min())


def _drawn(counts: pd.Series[Any], log: bool, zero: float = _FLOOR) -> np.ndarray[Any, Any]:
    """Return the lengths to draw; exact numbers are shown as text, which keeps all their digits."""
    numbers = counts.to_numpy(dtype="float64")
    return np.where(numbers > 0, numbers, zero) if log else numbers


def _exact(frame: pd.DataFrame, series: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    columns = [column for column, *_ in series]
    totals = frame[columns].sum(axis=1)
    texts: dict[str, Any] = {
        f"{column}_text": [
            f"{n:,} ({n / total:.1%})" if total else "0" for n, total in zip(frame[column], totals, strict=True)
        ]
        for column in columns
    }
    return texts | {"total_text": [f"{n:,}" for n in totals]}


def _tooltips(series: Sequence[tuple[str, ...]]) -> list[tuple[str, str]]:
    return [*((name, f"@{column}_text") for column, name, *_ in series), ("queries", "@total_text")]


def _figure(title: str, words: str, **options: Any) -> Any:  # Bokeh's types do not know what its strings become
    plot: Any = figure(sizing_mode="stretch_width", min_width=300, tools=_TOOLS, active_scroll=None, **options)
    plot.toolbar.logo = None
    plot.toolbar_location, plot.toolbar_sticky = "above", False
    legend = Legend(orientation="horizontal", location="left", click_policy="mute", spacing=16)
    legend.update(border_line_color=None, padding=2, margin=0, glyph_width=14, glyph_height=14)
    plot.add_layout(legend, "above")
    lines = "\n".join(line for part in words.splitlines() for line in textwrap.wrap(part, 60))
    if lines:
        plot.add_layout(Title(text=PlainText(text=lines), text_font_style="normal", text_font_size="12px"), "above")
    plot.add_layout(Title(text=title, text_font_size="15px"), "above")
    plot.axis.major_label_text_font_size = "12px"
    plot.axis.axis_label_text_font_size = "12px"
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.minor_tick_line_color = None
    return plot


def _legend(plot: Any) -> Any:
    return plot.select_one(Legend)


def _empty(title: str, words: str) -> figure:
    """Return a figure that says why there is nothing in it."""
    plot = _figure(title, words, height=160)
    plot.xaxis.visible = plot.yaxis.visible = plot.grid.visible = plot.toolbar.visible = False
    plot.x_range, plot.y_range = Range1d(start=0, end=1), Range1d(start=0, end=1)
    reason = "No query matches this selection." if words else "There are no queries in these logs."
    plot.add_layout(Label(x=0.5, y=0.5, text=reason, text_align="center", text_baseline="middle"))
    return cast("figure", plot)


def _short(name: str, line: int = 32) -> str:
    """Write a name in two lines at most; a longer one loses its middle, where paths differ least."""
    name = " ".join(name.split())
    if len(name) > 2 * line:
        name = f"{name[: line - 1]}…{name[-line:]}"
    if len(name) <= line:
        return name
    best = max(name.rfind(mark, len(name) - line - 1, line) for mark in "/_-. ") + 1
    cut = best or line
    return f"{name[:cut]}\n{name[cut:]}"


def _time_formatter() -> DatetimeTickFormatter:
    day = "%Y-%m-%d"
    return DatetimeTickFormatter(
        milliseconds="%H:%M:%S.%3N",
        seconds="%H:%M:%S",
        minsec="%H:%M:%S",
        minutes="%H:%M",
        hourmin="%H:%M",
        hours="%H:%M",
        days=day,
        months=day,
        years=day,
        context=DatetimeTickFormatter(
            microseconds=day,
            milliseconds=day,
            seconds=day,
            minsec=day,
            minutes=day,
            hourmin=day,
            hours=day,
            days="",
            months="",
            years="",
        ),
        context_which="start",
        strip_leading_zeros=False,
    )
