"""The common style of all figures: frame, colours, titles, names and numbers."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import pandas as pd
from bokeh.models import DatetimeTickFormatter, PlainText, Range1d
from bokeh.models.annotations import Label, Legend, LegendItem, Title
from bokeh.plotting import figure

from frontierlab.errors import InvalidRequestError

__all__ = [
    "BEFORE",
    "CACHED_SERIES",
    "COLOURS",
    "FLOOR",
    "LEGEND_GAP",
    "LINE",
    "PAYLOAD_SERIES",
    "Scale",
    "Series",
    "TITLE_SIZE",
    "VALUES",
    "add_to_legend",
    "check_frame",
    "drawn",
    "empty",
    "format_number",
    "is_log",
    "known",
    "legend_columns",
    "legend_height",
    "legend_of",
    "new_figure",
    "plain",
    "short",
    "task_labels",
    "time_formatter",
    "why_empty",
    "words_of",
    "wrapped",
]

Scale = Literal["auto", "linear", "log"]
"""The scale of an axis of numbers."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#777777")
"""The colour-blind safe palette of Okabe and Ito ("Color Universal Design", 2008), without yellow (invisible on white).
"""

BEFORE = "#888888"
"""The colour of values before."""

FLOOR = 0.5
"""The start of a logarithmic axis of counts."""

_SPAN = 1000  # a bar of a thousandth of the largest is invisible
LINE = 15
"""The height of a line of text, in pixels."""

TITLE_SIZE = "15px"
"""The size of the titles of figures."""

LEGEND_GAP = 10
"""The gap between rows of the legend, in pixels."""

_WORDS = 64  # characters per line of the words above a figure of fixed height
_NARROW = 48  # the same if the height follows: they fit a narrow figure beside long names of rows
_FORMULA = ("$$", "\\[", "\\(")  # where Bokeh reads a formula
_TOOLS = "pan,wheel_zoom,box_zoom,reset,save"


class Series(NamedTuple):
    """A series of numbers, drawn in one colour.

    Parameters
    ----------
    column
        The column of its exact numbers.
    name
        Its name in the legend.
    colour, marker
        Its colour, and its marker if drawn as dots.
    """

    column: str
    name: str
    colour: str
    marker: str = "circle"


CACHED_SERIES = (
    Series("cached", "cached", COLOURS[0], "circle"),
    Series("not_cached", "not cached", COLOURS[1], "square"),
    Series("unknown", "cached or not: unknown", COLOURS[6], "triangle"),
)
"""The series of queries that were cached, that were not, and for which the log does not say."""

PAYLOAD_SERIES = (
    Series("payload", "asks for a payload", COLOURS[0], "circle"),
    Series("non_payload", "asks for none", COLOURS[1], "square"),
)
"""The series of queries with and without a payload request."""


VALUES = {"querytime": "query time", "dbtime": "database time"}
"""The names of measured times."""


def known(series: Sequence[Series], frame: pd.DataFrame) -> list[Series]:
    """Return the series to draw; the series ``unknown`` only if it has queries, now or before."""
    some = frame.filter(regex="^unknown").to_numpy().sum() > 0
    return [one for one in series if some or one.column != "unknown"]


def task_labels(frame: pd.DataFrame) -> pd.Series[Any]:
    """Return the label of each task: its number, and its name if the log gives one."""
    return frame["taskid"].astype("string") + (" " + frame["taskname"]).fillna("")


def check_frame(frame: pd.DataFrame, name: str, columns: Sequence[str], of: str | None = None) -> None:
    """Check that a frame has the columns that `of` returns (by default the filter called `name`).

    Raises
    ------
    InvalidRequestError
        The frame lacks a column.
    """
    lacking = [column for column in columns if column not in frame]
    if lacking:
        raise InvalidRequestError(
            f"This frame has no column {', '.join(lacking)}: plots.{name} takes what {of or f'filters.{name}'} returns."
        )


def words_of(frame: pd.DataFrame, selection: str | None) -> str:
    """Return the selection in words: the given text, or else the filter's."""
    return (frame.attrs.get("selection") if selection is None else selection) or ""


def format_number(value: Any, unit: str = "") -> str:
    """Format a number with all its digits; a fraction with two decimals."""
    if pd.isna(value):
        return "none"
    text = f"{value:,}" if float(value).is_integer() and not isinstance(value, float) else f"{value:,.2f}"
    return f"{text} {unit}".strip()


def is_log(counts: pd.DataFrame, scale: Scale) -> bool:
    """Return whether the axis is logarithmic: as given, or with ``auto`` if numbers span more than three decades.

    Raises
    ------
    InvalidRequestError
        `scale` is unknown.
    """
    if scale not in ("auto", "linear", "log"):
        raise InvalidRequestError(f"scale={scale!r}: give auto, linear or log.")
    numbers = counts.to_numpy(dtype="float64", na_value=np.nan)
    numbers = numbers[numbers > 0]
    return scale == "log" or (scale == "auto" and numbers.size > 0 and bool(numbers.max() > _SPAN * numbers.min()))


def drawn(counts: pd.Series[Any], log: bool, zero: float = FLOOR) -> np.ndarray[Any, Any]:
    """Return the lengths to draw as floats; hover texts show the exact numbers."""
    numbers = counts.to_numpy(dtype="float64", na_value=np.nan)
    return np.where(numbers > 0, numbers, np.where(np.isnan(numbers), np.nan, zero)) if log else numbers


def new_figure(title: str, words: str, **options: Any) -> Any:  # Bokeh's types do not know its string values
    """Return an empty figure with its titles and a legend above it."""
    plot: Any = figure(sizing_mode="stretch_width", min_width=300, tools=_TOOLS, active_scroll=None, **options)
    plot.toolbar.logo = None
    plot.toolbar_location, plot.toolbar_sticky = "above", False
    legend = Legend(orientation="horizontal", location="left", click_policy="mute", spacing=LEGEND_GAP)
    legend.update(border_line_color=None, padding=2, margin=0, glyph_width=20, glyph_height=14)
    plot.add_layout(legend, "above")
    lines = plain("\n".join(wrapped(words, _WORDS)))
    plot.add_layout(Title(text=lines, text_font_style="normal", text_font_size="12px"), "above")
    plot.add_layout(Title(text=title, text_font_size=TITLE_SIZE), "above")
    plot.axis.major_label_text_font_size = "12px"
    plot.axis.axis_label_text_font_size = "12px"
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.minor_tick_line_color = None
    return plot


def wrapped(words: str, line: int = _NARROW) -> list[str]:
    """Return the lines of the words above a figure; they fit a narrow one."""
    return [text for part in words.splitlines() for text in textwrap.wrap(part, line)]


def plain(text: str) -> str | PlainText:
    """Return a text as Bokeh takes it; one with the marks of a formula is an object, so that it is not read as one."""
    return PlainText(text=text) if any(mark in text for mark in _FORMULA) else text


def legend_of(plot: Any) -> Any:
    """Return a figure's legend."""
    return next(one for one in plot.above if isinstance(one, Legend))


def add_to_legend(plot: Any, *named: tuple[str, Sequence[Any]]) -> None:
    """Add names to the legend; a click on a name mutes its series. The figure grows by the lines of the names."""
    names = [name for name, _ in named]
    legend = legend_of(plot)
    legend.items = [LegendItem(label=short(name), renderers=list(drawn)) for name, drawn in named]
    legend.ncols = legend_columns(names)
    plot.height += legend_height(names)


def legend_columns(names: Sequence[str]) -> int:
    """Return the number of columns of a legend."""
    longest = max((len(line) for name in names for line in short(name).splitlines()), default=0)
    return 3 if longest <= 16 else 2  # so that it fits a narrow figure


def legend_height(names: Sequence[str]) -> int:
    """Return the pixels that the lines of a legend take beyond the first."""
    texts, columns = [short(name) for name in names], legend_columns(names)
    rows = [texts[place : place + columns] for place in range(0, len(texts), columns)]
    lines = sum(max(text.count("\n") + 1 for text in row) for row in rows)
    return max(0, LINE * (lines - 1) + LEGEND_GAP * (len(rows) - 1))


def empty(title: str, words: str, reason: str | None = None) -> figure:
    """Return a figure without data that gives the reason."""
    plot = new_figure(title, words, height=160)
    plot.xaxis.visible = plot.yaxis.visible = plot.grid.visible = plot.toolbar.visible = False
    plot.x_range, plot.y_range = Range1d(start=0, end=1), Range1d(start=0, end=1)
    plot.add_layout(Label(x=0.5, y=0.5, text=reason or why_empty(words), text_align="center", text_baseline="middle"))
    return cast("figure", plot)


def why_empty(words: str) -> str:
    """Return the reason why a figure of a selection, given in words, is empty."""
    return "No query matches this selection." if words else "There are no queries in these logs."


def short(name: str, line: int = 32) -> str:
    """Break a name into two lines, after a line for its schema; cut a long name in the middle.

    Paths differ least in the middle.
    """
    name = " ".join(name.split())
    apart = name.rfind(" · ", 0, line + 5)  # a schema may exceed the line a little
    if len(name) > line and apart > 0:
        return f"{name[:apart]} ·\n{_two_lines(name[apart + 3 :], line)}"
    return _two_lines(name, line)


def _two_lines(name: str, line: int) -> str:
    if len(name) > 2 * line:
        name = f"{name[: line - 1]}…{name[-line:]}"
    if len(name) <= line:
        return name
    apart = name.rfind(" · ")
    if 0 < apart <= line and len(name) - apart - 3 <= line:
        return f"{name[:apart]} ·\n{name[apart + 3 :]}"
    best = max(name.rfind(mark, len(name) - line - 1, line) for mark in "/_-. ") + 1
    cut = best or line
    return f"{name[:cut]}\n{name[cut:]}"


def time_formatter() -> DatetimeTickFormatter:
    """Return the tick format of a time axis: the time of day, with the date where it changes."""
    day = "%Y-%m-%d"
    narrow = "%m-%d"  # a full date would overlap the next tick
    return DatetimeTickFormatter(
        milliseconds="%H:%M:%S.%3N",
        seconds="%H:%M:%S",
        minsec="%H:%M:%S",
        minutes="%H:%M",
        hourmin="%H:%M",
        hours="%H:%M",
        days=narrow,
        months=narrow,
        years=day,
        context=DatetimeTickFormatter(
            microseconds=day,
            milliseconds=day,
            seconds=day,
            minsec=day,
            minutes=day,
            hourmin=day,
            hours=day,
            days="%Y",
            months="%Y",
            years="",
        ),
        context_which="start",
        strip_leading_zeros=False,
    )
