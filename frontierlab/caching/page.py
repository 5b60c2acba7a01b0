"""One HTML page for one detector group: its folders, what they cost, why, and what would help."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from bokeh.models import Column, ColumnDataSource, FixedTicker, HoverTool, NumeralTickFormatter, PlainText, Range1d
from bokeh.models.annotations import LegendItem
from bokeh.plotting import figure

from frontierlab.caching.explain import Explanation
from frontierlab.caching.explain_plot import explain_figure
from frontierlab.caching.what_if import FolderTag, what_if_figure
from frontierlab.errors import InvalidRequestError
from frontierlab.pages import target_of, write_page
from frontierlab.plots import drawing
from frontierlab.schema import NO_TAG

__all__ = ["bars", "page", "row_names", "waste_figure"]

_COLOURS = {"bytes": "#D55E00", "database time": "#009E73", "before": "#999999"}  # others are blue
_NEEDED = (
    *("db", "schema", "nodefullpath", "tagname", "queries", "different_queries", "different_payloads_iov"),
    *("bytes_served", "wasted_bytes", "wasted_dbtime", "efficiency_iov"),
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
    """Draw some bars a row, one a series, each with its exact value as text at its end.

    Parameters
    ----------
    title, words
        What stands above.
    rows
        Names of the rows, the first at the top.
    series, texts
        The lengths and the texts of the bars, a value a row, by the name of the series; a missing length is no bar.
    label
        What the axis says.
    empty
        What stands there when there is no row.
    """
    if not len(rows) or not any(pd.notna(value) for values in series.values() for value in values):
        return drawing.empty(title, words, empty)
    height = 0.8 / len(series)
    plot = drawing.new_figure(title, words, height=150 + max(38, 17 * len(series)) * len(rows))
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
        drawing.legend_of(plot).items.append(LegendItem(label=name, renderers=[bar]))
        drawn.append(bar)
    plot.add_tools(HoverTool(renderers=drawn, tooltips=[("", "@row"), ("", "@series: @text")]))
    plot.x_range = Range1d(start=0, end=1.25 * high or 1.0)
    _name_rows(plot, rows)
    plot.xaxis.axis_label = label
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0.[00]")
    plot.xaxis.ticker.desired_num_ticks = 5
    return cast("figure", plot)


def waste_figure(frame: pd.DataFrame, *, top: int = 20) -> figure:
    """Draw which folder and tag wastes what: database time and bytes, the most database time at the top.

    Parameters
    ----------
    frame
        What `frontierlab.caching.efficiency` returned.
    top
        So many rows at most; the rest is added up in a last row.

    Raises
    ------
    InvalidRequestError
        It is another frame.
    """
    _check(frame)
    columns = ["wasted_dbtime", "wasted_bytes"]
    known = frame[frame[columns].notna().all(axis=1)]
    wasted = known.sort_values(columns, ascending=False, ignore_index=True)
    names = row_names(wasted).tolist()
    numbers = wasted[columns].astype("float64")
    totals = numbers.sum()
    if len(names) > top + 1:
        numbers = pd.concat([numbers.iloc[:top], numbers.iloc[top:].sum().to_frame().T], ignore_index=True)
        names = [*names[:top], f"({len(names) - top:,} others)"]
    times, sizes = (f"{totals.iloc[0] / 1e3:,.1f} s of database time", f"{totals.iloc[1] / 1e6:,.1f} MB")
    shares = [(100 * numbers[column] / (totals[column] or 1)).tolist() for column in columns]
    return bars(
        "What the folders waste",
        f"in all {times} and {sizes}, fetched more often than once",
        names,
        {"database time": shares[0], "bytes": shares[1]},
        {
            "database time": [f"{value / 1e3:,.1f} s" for value in numbers["wasted_dbtime"]],
            "bytes": [f"{value / 1e6:,.1f} MB" for value in numbers["wasted_bytes"]],
        },
        "per cent of all that these folders waste",
        "No folder and tag here has a payload that is known.",
    )


def row_names(frame: pd.DataFrame) -> pd.Series[Any]:
    """Return what the rows of folders and tags are called in a figure; ``none`` is no tag and left out."""
    names: pd.Series[Any] = frame["nodefullpath"] + (" " + frame["tagname"]).where(frame["tagname"] != NO_TAG, "")
    return names


def _name_rows(plot: Any, names: Sequence[str]) -> None:
    plot.y_range = Range1d(start=len(names) - 0.4, end=-0.6)
    plot.yaxis.ticker = FixedTicker(ticks=list(range(len(names))))
    plot.yaxis.major_label_overrides = {i: PlainText(text=drawing.short(name)) for i, name in enumerate(names)}
    plot.ygrid.grid_line_color = None


def _check(frame: pd.DataFrame) -> None:
    lacking = [name for name in _NEEDED if name not in frame]
    if lacking:
        raise InvalidRequestError(f"This frame has no column {lacking[0]}: give one that efficiency() returned.")


def page(
    frame: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    explanations: Sequence[Explanation] = (),
    what_ifs: Sequence[pd.DataFrame] = (),
    title: str = "Caching of conditions folders",
) -> Path:
    """Write one page for a detector group: an HTML file that needs no network to be read.

    Its folders and what they cost; for each that is explained, why (the queries against the payload intervals,
    who asked), and what would help. MB are 10^6 bytes, s are seconds of database time.

    Parameters
    ----------
    frame
        The group's rows of what `frontierlab.caching.efficiency` returned.
    path
        Where to write. A former page is replaced in one step, or left as it was.
    explanations
        Of some of its folders and tags, in the order in which they are shown; see `frontierlab.caching.explain`.
    what_ifs
        Of the same folders and tags, in any order; see `frontierlab.caching.what_if`.
    title
        The page's title.

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    InvalidRequestError
        The frame is another, `path` is a folder, or a what-if is of a folder and tag that is not explained.
    """
    _check(frame)
    target = target_of(path, "pixel.html")
    helps: dict[FolderTag, pd.DataFrame] = {what.attrs["folder"]: what for what in what_ifs}
    alone = [str(folder) for folder in helps if folder not in {e.folder for e in explanations}]
    if alone:
        raise InvalidRequestError(f"There is a what-if of {alone[0]}, but no explanation: give explain() of it too.")
    sections = [(e, helps.get(e.folder)) for e in explanations]
    drawn: list[figure | Column] = [waste_figure(frame)]
    for explanation, what in sections:
        drawn += [explain_figure(explanation), *([] if what is None else [what_if_figure(what, words="")])]
    return write_page(
        target,
        "caching.html",
        drawn,
        title=title,
        notes=frame.attrs.get("notes", ()),
        summary=_summary(frame),
        rows=[_row(record) for record in frame.to_dict("records")],
        problems=_problems(frame),
        sections=[(e, what is not None, [] if what is None else _table(what)) for e, what in sections],
        advice={e.folder: what.attrs.get("advice", "") for e, what in sections if what is not None},
    )


def _summary(frame: pd.DataFrame) -> str:
    total = frame[["queries", "bytes_served", "wasted_bytes", "wasted_dbtime"]].sum()
    return (
        f"{len(frame):,} folders and tags, {_number(total['queries'])} queries, {_mb(total['bytes_served'])} MB "
        f"served. Fetched more often than an ideal cache would: {_mb(total['wasted_bytes'])} MB and "
        f"{_seconds(total['wasted_dbtime'])} s of database time."
    )


def _row(record: dict[Any, Any]) -> list[str]:
    share = record["efficiency_iov"]
    return [
        f"{record['nodefullpath']}\n{record['db']} {record['schema']}",
        str(record["tagname"]),
        str(record.get("cause", "")),
        *(_number(record[name]) for name in ("queries", "different_queries", "different_payloads_iov")),
        "" if pd.isna(share) else f"{share:.1%}",
        _mb(record["bytes_served"]),
        _mb(record["wasted_bytes"]),
        _seconds(record["wasted_dbtime"]),
    ]


def _problems(frame: pd.DataFrame) -> list[str]:
    if "problem" not in frame:
        return []
    rows = frame[frame["problem"].fillna("") != ""]
    places = zip(rows["nodefullpath"], rows["tagname"], rows["problem"], strict=True)
    return [f"{path} ({tag}): {problem}" for path, tag, problem in places]


def _table(what: pd.DataFrame) -> list[list[str]]:
    return [
        [row["grid"], _number(row["requests"]), _mb(row["bytes"]), _seconds(row["dbtime"]), _number(row["estimated"])]
        for row in what.to_dict("records")
    ]


def _number(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:,.0f}"


def _mb(value: Any) -> str:
    return "" if pd.isna(value) else f"{value / 1e6:,.1f}"


def _seconds(value: Any) -> str:
    return "" if pd.isna(value) else f"{value / 1e3:,.1f}"
