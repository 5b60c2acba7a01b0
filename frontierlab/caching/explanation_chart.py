"""The figure of an explanation: queries above payload intervals, and the tasks that asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from bokeh.layouts import column
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    CustomJSTickFormatter,
    FixedTicker,
    HoverTool,
    LogColorMapper,
    NumeralTickFormatter,
    PlainText,
    Range1d,
)
from bokeh.models.annotations import ColorBar, Label, LegendItem
from bokeh.palettes import YlOrBr9

from frontierlab.caching.answer_sets import Integers
from frontierlab.caching.explanation import Explanation
from frontierlab.caching.iov_axis import BINS, Axis
from frontierlab.caching.ranking import size_in_words
from frontierlab.plots import style

if TYPE_CHECKING:
    from bokeh.models import Column

__all__ = ["explain_figure"]


_RESULTS = (
    ("needed", "first to get a payload", "#0072B2"),
    ("again", "asked again for it", "#D55E00"),
    ("empty", "no payload", "#777777"),
    ("unknown", "payload not known", "#56B4E9"),
)
_TITLE = 40  # characters per line, so that it fits a narrow figure
_LINES = 60  # the largest number of rows of channels
_MARGINS = {"min_border_left": 130, "min_border_right": 20}


def explain_figure(explanation: Explanation, *, channels: int = 12, tasks: int = 8, words: str | None = None) -> Column:
    """Draw an explanation: three plots, the first two over the same IOV axis.

    The first plot shows different queries at the start of their IOVs, coloured by their result. The second shows
    the payload intervals of each channel; darker means that more different queries got the same payload. The
    third shows the tasks by database time. Hover texts give exact IOVs.

    Parameters
    ----------
    explanation
        The result of `explain`.
    channels
        The largest number of channel rows. Channels with the same intervals share a row; the others share the last.
    tasks
        The largest number of tasks; the others are added up.
    words
        The text above the figure; by default the tag, the summary and the notes of the explanation.
    """
    above = _queries_plot(explanation, words)
    below = _intervals_plot(explanation, min(max(channels, 1), _LINES), above.x_range)
    return column(above, below, _tasks_plot(explanation, max(tasks, 1)), sizing_mode="stretch_width")


def _queries_plot(explanation: Explanation, words: str | None) -> Any:
    frame, folder = explanation.queries, explanation.folder
    if words is None:
        tag = f"{folder.db} {folder.schema}, tag {folder.tagname}"
        words = "\n".join([tag, explanation.summary, *explanation.notes])
    plot = _plot(style.short(folder.nodefullpath, _TITLE), words, explanation.axis, 360)
    shown = [result for result in _RESULTS if frame[result[0]].sum()]
    data: dict[str, Any] = {name: frame[name].to_numpy(float) for name in ("left", "right")}
    data |= _texts(explanation.axis, frame[["first", "last"]]) | _numbers(
        frame, [*(result for result, *_ in shown), "queries"]
    )
    data["seconds"] = [f"{value / 1000:,.1f} s" for value in frame["dbtime"]]
    floor = np.zeros(len(frame))
    for result, *_ in shown:
        data[f"{result}_bottom"], floor = floor, floor + frame[result].to_numpy(float)
        data[f"{result}_top"] = floor
    source = ColumnDataSource(data)
    drawn = []
    for result, name, colour in shown:
        edges = {"left": "left", "right": "right", "bottom": f"{result}_bottom", "top": f"{result}_top"}
        drawn.append(
            plot.quad(source=source, **edges, color=colour, line_color="white", line_width=0.3, muted_alpha=0.1)
        )
        style.legend_of(plot).items.append(LegendItem(label=name, renderers=[drawn[-1]]))
    tips = [("IOVs begin", "@first_text"), ("to", "@last_text"), ("queries", "@queries_text")]
    tips += [(name, f"@{result}_text") for result, name, _ in shown]
    plot.add_tools(
        HoverTool(renderers=drawn, tooltips=[*tips, ("database time", "@seconds")], point_policy="follow_mouse")
    )
    plot.y_range.start = 0
    plot.yaxis.axis_label = "different queries"
    plot.yaxis.ticker = BasicTicker(min_interval=1)
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0")
    if frame.empty:
        _write_reason(plot, explanation.summary)
    return plot


def _intervals_plot(explanation: Explanation, most: int, x_range: Any) -> Any:
    frame, labels = _lines(explanation.intervals, most)
    axis = explanation.axis
    plot = _plot("Its payload intervals", "", axis, 170 + 22 * max(2, len(labels)), x_range=x_range)
    frame = _merged(
        frame.assign(left=axis.place(_int64(frame["since"])), right=axis.place(_int64(frame["ends"]))), axis
    )
    data: dict[str, Any] = {
        name: frame[name].to_numpy(float) for name in ("left", "right", "line", "different_queries")
    }
    data |= {"top": data["line"] - 0.42, "bottom": data["line"] + 0.42}
    data |= _texts(axis, frame[["since", "until"]]) | _numbers(frame, ["intervals", "different_queries"])
    data["name"] = [labels[line] for line in frame["line"]]
    high = max(2.0, float(frame["different_queries"].max() if len(frame) else 0))
    colours = LogColorMapper(palette=YlOrBr9[::-1], low=1, high=high, low_color="#eeeeee")
    bars = plot.quad(
        source=ColumnDataSource(data),
        **{name: name for name in ("left", "right", "top", "bottom")},
        fill_color={"field": "different_queries", "transform": colours},
        line_color="#888888",
        line_width=0.5,
    )
    tips = [
        ("", "@name"),
        ("valid from", "@since_text"),
        ("until", "@until_text"),
        ("intervals in this bar", "@intervals_text"),
    ]
    tips.append(("different queries that got one", "@different_queries_text"))
    plot.add_tools(HoverTool(renderers=[bars], tooltips=tips, point_policy="follow_mouse"))
    plot.y_range = Range1d(start=max(1, len(labels)) - 0.4, end=-0.6)
    plot.yaxis.ticker = FixedTicker(ticks=list(range(len(labels))))
    plot.yaxis.major_label_overrides = {i: PlainText(text=label) for i, label in enumerate(labels)}
    plot.ygrid.grid_line_color = None
    if frame.empty:
        _write_reason(plot, "See above." if explanation.problem else "No payload meets the IOVs that were asked for.")
        return plot
    bar = ColorBar(color_mapper=colours, title="different queries that got the same payload", height=10, padding=4)
    bar.update(title_text_font_style="normal", formatter=NumeralTickFormatter(format="0,0"))
    plot.above.insert(0, bar)  # under the title
    return plot


def _tasks_plot(explanation: Explanation, most: int) -> Any:
    frame = explanation.tasks
    names = frame["taskname"].fillna(frame["taskid"].astype("string")).fillna("(no task named)")
    frame = frame.assign(name=names).sort_values(["dbtime", "queries"], ascending=False, ignore_index=True)
    rest = frame.iloc[most:]
    if len(rest) > 1:
        other = {name: rest[name].sum() for name in ("queries", "uncached", "bytes", "dbtime")}
        frame = pd.concat([frame.iloc[:most], pd.DataFrame([{**other, "name": f"({len(rest):,} other tasks)"}])])
    plot = style.new_figure("Database time per task", "", height=120 + 34 * max(1, len(frame)), **_MARGINS)
    labels = [style.short(name, 26) for name in frame["name"]]
    data: dict[str, Any] = {"y": list(range(len(frame))), "seconds": frame["dbtime"].to_numpy(float) / 1000}
    data |= _numbers(frame, ["queries", "different_queries", "uncached"]) | {"name": frame["name"].tolist()}
    data["size"] = [size_in_words(value) for value in frame["bytes"]]
    data["time"] = [f"{value / 1000:,.1f} s" for value in frame["dbtime"]]
    bars = plot.hbar(source=ColumnDataSource(data), y="y", right="seconds", height=0.7, color="#009E73")
    tips = [("", "@name"), ("queries", "@queries_text"), ("different queries", "@different_queries_text")]
    tips += [("not cached", "@uncached_text"), ("bytes", "@size"), ("database time", "@time")]
    plot.add_tools(HoverTool(renderers=[bars], tooltips=tips))
    plot.x_range = Range1d(start=0, end=1.05 * max(0.001, float(np.max(data["seconds"], initial=0))))
    plot.y_range = Range1d(start=max(1, len(frame)) - 0.4, end=-0.6)
    plot.yaxis.ticker = FixedTicker(ticks=data["y"])
    plot.yaxis.major_label_overrides = {i: PlainText(text=label) for i, label in enumerate(labels)}
    plot.xaxis.axis_label = "database time, s"
    plot.ygrid.grid_line_color = None
    if frame.empty:
        _write_reason(plot, "No task asked.")
    return plot


def _plot(title: str, words: str, axis: Axis, height: int, **options: Any) -> Any:
    options.setdefault("x_range", Range1d(start=axis.low, end=axis.high))
    kind = "datetime" if axis.base == "time" else "linear"
    plot = style.new_figure(title, words, height=height, x_axis_type=kind, **_MARGINS, **options)
    if axis.base == "time":
        plot.xaxis.formatter, plot.xaxis.axis_label = style.time_formatter(), "IOV: time (UTC)"
        return plot
    plot.xaxis.formatter = CustomJSTickFormatter(
        args={"runs": list(axis.runs), "lumis": axis.lumis},
        code="""
        const run = Math.floor(tick + 1e-9), lumi = Math.round((tick - run) * lumis)
        if (run < 0 || run >= runs.length) return ""
        return lumi == 0 ? `${runs[run]}` : `${runs[run]} / ${lumi}`
        """,
    )
    plot.xaxis.ticker.desired_num_ticks = 5
    plot.xaxis.axis_label = "IOV: run / lumiblock, runs that were asked for only"
    return plot


def _lines(intervals: pd.DataFrame, most: int) -> tuple[pd.DataFrame, list[str]]:
    """Assign each interval to a row of the plot; all channels with the same intervals share a row."""
    same: dict[bytes, list[int]] = {}
    parts: dict[Any, pd.DataFrame] = {part["channel"].iloc[0]: part for _, part in intervals.groupby("channel")}
    for channel, part in parts.items():
        same.setdefault(part[["since", "ends"]].to_numpy(np.int64).tobytes(), []).append(channel)
    groups = sorted(same.values(), key=lambda group: (-len(group), group[0]))
    rest = groups[most - 1 :] if len(groups) > most else []
    groups = groups[: len(groups) - len(rest)]
    lines = [parts[group[0]].assign(line=line) for line, group in enumerate(groups)]
    labels = [f"channel {group[0]}" if len(group) == 1 else f"{len(group):,} channels" for group in groups]
    if rest:
        others = [channel for group in rest for channel in group]
        lines.append(pd.concat([parts[channel] for channel in others]).assign(line=len(groups)))
        labels.append(f"{len(others):,} other channels")
    columns = [*intervals.columns, "line"]
    return pd.concat(lines, ignore_index=True) if lines else pd.DataFrame(columns=columns, dtype="Int64"), labels


def _merged(frame: pd.DataFrame, axis: Axis) -> pd.DataFrame:
    """Merge intervals of a row that begin in the same bin into one bar, so that bars are not too thin to see."""
    bins = np.clip(np.searchsorted(axis.edges(), frame["left"], side="right") - 1, 0, BINS)
    groups = frame.assign(bin=bins).groupby(["line", "bin"], as_index=False)
    bars = {"left": ("left", "min"), "right": ("right", "max"), "since": ("since", "min"), "until": ("until", "max")}
    counts = {"intervals": ("since", "size"), "different_queries": ("different_queries", "max")}
    return pd.DataFrame(groups.agg(**bars, **counts))


def _texts(axis: Axis, frame: pd.DataFrame) -> dict[str, list[str]]:
    iovs: dict[str, Any] = {name: _int64(frame[name]).tolist() for name in frame.columns}
    return {f"{name}_text": [axis.text(iov) for iov in values] for name, values in iovs.items()}


def _numbers(frame: pd.DataFrame, names: list[str]) -> dict[str, list[str]]:
    return {f"{name}_text": ["" if pd.isna(n) else f"{n:,}" for n in frame[name]] for name in names}


def _int64(values: pd.Series[Any]) -> Integers:
    return values.to_numpy(np.int64)


def _write_reason(plot: Any, reason: str) -> None:
    """Write into an empty plot why it is empty."""
    plot.add_layout(Label(x=8, y=8, x_units="screen", y_units="screen", text=reason, text_font_size="12px"))
