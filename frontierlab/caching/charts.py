"""The figures of caching: wasted bytes and database time, and the effect of a coarser grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, NumeralTickFormatter, PlainText, Range1d
from bokeh.models.annotations import LegendItem
from bokeh.plotting import figure

from frontierlab.caching.frames import require_columns
from frontierlab.caching.notes import note_of_part
from frontierlab.caching.ranking import size_in_words
from frontierlab.plots import style
from frontierlab.schema import NO_TAG
from frontierlab.selection import Selection

__all__ = ["WASTE_COLUMNS", "bars", "row_names", "waste_figure", "what_if_figure"]

WASTE_COLUMNS = (
    *("db", "schema", "nodefullpath", "tagname", "queries", "different_queries", "different_payloads_iov"),
    *("bytes_served", "wasted_bytes", "wasted_dbtime", "efficiency_iov"),
)
"""The columns of ``efficiency()`` that `waste_figure` and `frontierlab.caching.page` use."""

_TITLE = 40  # characters per line, so that it fits a narrow figure
_COLOURS = {"bytes": "#D55E00", "database time": "#009E73", "before": "#999999"}  # other series are blue


def what_if_figure(frame: pd.DataFrame, *, words: str | None = None) -> figure:
    """Draw the remaining requests, bytes and database time on each grid, in percent of the baseline.

    Parameters
    ----------
    frame
        The frame that `what_if` returned.
    words
        The text above the figure; by default the advice, and why figures of the dataset are partial.

    Raises
    ------
    InvalidRequestError
        The frame lacks a column of `what_if`.
    """
    require_columns(frame, ("grid", "requests", "bytes_share"), "what_if()")
    forms: dict[str, Callable[[float], str]] = {
        "requests": "{:,.0f}".format,
        "bytes": size_in_words,
        "dbtime": lambda time: f"{time / 1e3:,.1f} s",
    }
    names = {"requests": "different requests", "bytes": "bytes", "dbtime": "database time"}
    texts: dict[str, list[str]] = {
        name: ["unknown" if pd.isna(value) else form(value) for value in frame[name]] for name, form in forms.items()
    }
    folder = frame.attrs.get("folder")
    return bars(
        "What would be left" if folder is None else _titled("What would be left of", folder.nodefullpath),
        "\n".join([frame.attrs.get("advice", ""), *frame.attrs.get("notes", ())]) if words is None else words,
        frame["grid"].tolist(),
        {names[name]: (100 * frame[f"{name}_share"]).tolist() for name in forms},
        {names[name]: texts[name] for name in forms},
        "percent of the requests as asked",
        "No served query of this folder and tag has an IOV.",
    )


def bars(
    title: str,
    words: str,
    rows: Sequence[str],
    series: Mapping[str, Sequence[float]],
    texts: Mapping[str, Sequence[str]],
    label: str,
    empty: str,
) -> figure:
    """Draw horizontal bars: one per series in each row, with its exact value as text at the end of the bar.

    Parameters
    ----------
    title, words
        The texts above the figure.
    rows
        Names of the rows, the first at the top.
    series, texts
        The lengths and texts of the bars by series name, one value per row; a missing length draws no bar.
    label
        The label of the axis.
    empty
        The text of a figure without rows.
    """
    if not len(rows) or not any(pd.notna(value) for values in series.values() for value in values):
        return style.empty(title, words, empty)
    height = 0.8 / len(series)
    plot = style.new_figure(title, words, height=150 + max(38, 17 * len(series)) * len(rows))
    drawn = []
    high = max(float(value) for values in series.values() for value in values if pd.notna(value))
    for number, (name, values) in enumerate(series.items()):
        lengths = np.array([0.0 if pd.isna(value) else float(value) for value in values])
        data: dict[str, Any] = {
            "y": [i + (number - (len(series) - 1) / 2) * height for i in range(len(rows))],
            "length": lengths,
            "row": list(rows),
            "series": [name] * len(rows),
            "text": list(texts[name]),
        }
        source = ColumnDataSource(data)
        colour = _COLOURS.get(name, "#0072B2")
        bar = plot.hbar(source=source, y="y", right="length", height=0.9 * height, color=colour, muted_alpha=0.1)
        plot.text(
            source=source,
            x="length",
            y="y",
            text="text",
            x_offset=4,
            text_font_size="11px",
            text_baseline="middle",
            text_color="#444444",
        )
        style.legend_of(plot).items.append(LegendItem(label=name, renderers=[bar]))
        drawn.append(bar)
    plot.add_tools(HoverTool(renderers=drawn, tooltips=[("", "@row"), ("", "@series: @text")]))
    plot.x_range = Range1d(start=0, end=1.4 * high or 1.0)
    _name_rows(plot, rows)
    plot.xaxis.axis_label = label
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0.[00]")
    plot.xaxis.ticker.desired_num_ticks = 5
    return cast("figure", plot)


def waste_figure(frame: pd.DataFrame, *, top: int = 20, words: str | None = None) -> figure:
    """Draw the wasted database time and bytes of each folder and tag, most database time at the top.

    Parameters
    ----------
    frame
        The frame that `frontierlab.caching.efficiency` returned.
    top
        The largest number of rows; the others are added up in a last row.
    words
        The text above the figure; by default what is wasted in total, and of which queries the figures are.

    Raises
    ------
    InvalidRequestError
        The frame lacks a column of `efficiency`.
    """
    require_columns(frame, WASTE_COLUMNS, "efficiency()")
    columns = ["wasted_dbtime", "wasted_bytes"]
    known = frame[frame[columns].notna().all(axis=1)]
    wasted = known.sort_values(columns, ascending=False, ignore_index=True)
    names = row_names(wasted).tolist()
    numbers = wasted[columns].astype("float64")
    totals = numbers.sum()
    if len(names) > top + 1:
        numbers = pd.concat([numbers.iloc[:top], numbers.iloc[top:].sum().to_frame().T], ignore_index=True)
        names = [*names[:top], f"({len(names) - top:,} others)"]
    times, sizes = (f"{totals.iloc[0] / 1e3:,.1f} s of database time", size_in_words(totals.iloc[1]))
    shares = [(100 * numbers[column] / (totals[column] or 1)).tolist() for column in columns]
    return bars(
        "What the folders waste",
        "\n".join([f"wasted in total: {times} and {sizes}", *_part(frame)]) if words is None else words,
        names,
        {"database time": shares[0], "bytes": shares[1]},
        {
            "database time": [f"{value / 1e3:,.1f} s" for value in numbers["wasted_dbtime"]],
            "bytes": [size_in_words(value) for value in numbers["wasted_bytes"]],
        },
        "percent of the waste of all these folders",
        "The payloads of these folders and tags are not known.",
    )


def _part(frame: pd.DataFrame) -> list[str]:
    """Return a sentence on the selection of figures; none if they are of all queries."""
    selection, (name, _) = Selection.from_json(frame.attrs.get("selection", {})), frame.attrs.get("dataset", ("", ""))
    return [] if selection == Selection() else [note_of_part(name or "the dataset", selection)]


def row_names(frame: pd.DataFrame) -> pd.Series[Any]:
    """Return the names of folders and tags in a figure; the tag ``none`` (no tag) is left out."""
    names: pd.Series[Any] = frame["nodefullpath"] + (" " + frame["tagname"]).where(frame["tagname"] != NO_TAG, "")
    return names


def _titled(words: str, path: str) -> str:
    """Return a title of words and a path, in two lines if it is long: the path in its own if it fits."""
    title = f"{words} {path}"
    return f"{words}\n{path}" if len(path) <= _TITLE < len(title) else style.short(title, _TITLE)


def _name_rows(plot: Any, names: Sequence[str]) -> None:
    plot.y_range = Range1d(start=len(names) - 0.4, end=-0.6)
    plot.yaxis.ticker = FixedTicker(ticks=list(range(len(names))))
    plot.yaxis.major_label_overrides = {i: PlainText(text=style.short(name)) for i, name in enumerate(names)}
    plot.ygrid.grid_line_color = None
