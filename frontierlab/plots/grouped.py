"""Figures with one row per group: stacked bars, or dots on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, NumeralTickFormatter, PlainText, Range1d
from bokeh.plotting import figure

from frontierlab.errors import InvalidRequestError
from frontierlab.filters.expressions import add_percent, add_percent_of_all
from frontierlab.filters.top import MISSING, NAMED, OTHER, unnamed
from frontierlab.plots.style import (
    BEFORE,
    FLOOR,
    Scale,
    Series,
    add_to_legend,
    check_frame,
    drawn,
    empty,
    format_number,
    is_log,
    known,
    new_figure,
    short,
    words_of,
)

__all__ = ["grouped", "limited", "name_rows"]


def grouped(
    frame: pd.DataFrame,
    name: str,
    keys: Sequence[str],
    series: Sequence[Series],
    *,
    title: str,
    selection: str | None,
    axis: str,
    unit: str = "queries",
    share: Literal["row", "all"] = "row",
    percent: bool = False,
    stacked: bool = True,
    scale: Scale = "auto",
    top: int = 20,
) -> figure:
    """Draw one row per group, in the order of the frame.

    Parameters
    ----------
    frame
        The frame of a filter by group, with or without a comparison.
    name
        The name of the filter.
    keys
        The columns that name a group.
    series
        The series drawn in each row.
    title, selection, axis, unit
        The title, the selection in words, the axis label, and the unit in hover texts.
    share
        Whether a share is a fraction of its row or of all rows.
    percent
        Draw shares instead of numbers.
    stacked
        True if the series add up; False draws dots.
    scale
        The scale of numbers; see `frontierlab.plots.style.is_log`.
    top
        The largest number of named groups; the others are added up in one row.

    Raises
    ------
    InvalidRequestError
        The frame is of another filter, or `scale` or `top` is invalid.
    """
    check_frame(frame, name, [*keys, "part", *(one.column for one in series)])
    words = words_of(frame, selection)
    if frame.empty:
        return empty(title, words)
    rows = limited(frame, keys, [one.column for one in series], top)
    series = known(series, rows)
    shown = _shown(rows, series, share) if percent else rows
    columns = [one.column for one in series]
    log = not percent and is_log(shown[columns].sum(axis=1).to_frame(), scale)
    compared, outline = f"{columns[0]}_before" in rows, stacked and not log
    if compared:
        before = f"before ({'outline' if outline else 'hollow'}): {frame.attrs.get('before', 'the other logs')}"
        words = f"{words}\n{before}".strip()
    plot = new_figure(title, words, x_axis_type="log" if log else "linear")
    name_rows(plot, rows["label"])
    texts = _texts(rows, series, share, unit)
    places = {"y": list(range(len(rows))), "name": rows["label"].tolist()}
    source = ColumnDataSource(places | texts | {name: drawn(shown[name], log, zero=np.nan) for name in columns})
    found = _bars(plot, source, series) if outline else _dots(plot, source, series)
    named = [(one.name, [renderer]) for one, renderer in zip(series, found, strict=True)]
    if compared:
        named.append(_before(plot, shown, series, outline=outline, percent=percent))
    add_to_legend(plot, *named)
    tips = [(one.name, f"@{one.column}_text") for one in series]
    total = [("together", "@total_text")] if len(series) > 1 and stacked else []
    plot.add_tools(HoverTool(renderers=list(found), tooltips=[("", "@name"), *tips, *total]))
    plot.xaxis.axis_label = f"{axis}{' (logarithmic, zeros left out)' if log else ''}"
    plot.xaxis.ticker.desired_num_ticks = 4
    if log:
        highest = float(shown.select_dtypes("number").to_numpy(dtype="float64", na_value=0).max())
        plot.x_range = Range1d(start=FLOOR, end=2 * max(highest, 1))
    else:
        plot.x_range.start = 0
        plot.xaxis.formatter = NumeralTickFormatter(format="0,0[.]0")
        plot.ygrid.grid_line_color = None if stacked else plot.ygrid.grid_line_color
    return cast("figure", plot)


def limited(frame: pd.DataFrame, keys: Sequence[str], columns: Sequence[str], top: int) -> pd.DataFrame:
    """Return the first `top` named rows, one row for other groups, and one for missing groups, with labels."""
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise InvalidRequestError(f"top={top!r}: give a whole number of rows, 1 or more.")
    columns = [*columns, *(f"{name}_before" for name in columns if f"{name}_before" in frame)]
    named, missing = frame[frame["part"] == NAMED], frame[frame["part"] == MISSING]
    rest = pd.concat([named.iloc[top:], frame[frame["part"] == OTHER]])
    varying = [*(key for key in keys[:-1] if named[key].nunique(dropna=False) > 1), keys[-1]]
    labels = named.iloc[:top][varying].astype("string").fillna("").agg(" · ".join, axis=1)
    found = [named.iloc[:top][columns].assign(label=labels)]
    for rows, part in ((rest, OTHER), (missing, MISSING)):
        if len(rows):
            groups = rows["groups"].sum(skipna=False)
            label = unnamed(part, None if pd.isna(groups) else int(groups))
            # sum each column separately: a sum over mixed columns would convert int64 to float64
            sums = {name: pd.Series([rows[name].sum()]).astype(rows[name].dtype) for name in columns}
            found.append(pd.DataFrame(sums).assign(label=label))
    return pd.concat(found, ignore_index=True)


def _shown(rows: pd.DataFrame, series: Sequence[Series], share: str) -> pd.DataFrame:
    """Return the shares in percent to draw instead of numbers."""
    found: dict[str, Any] = {}
    for suffix in ("", "_before"):
        columns = [f"{one.column}{suffix}" for one in series if f"{one.column}{suffix}" in rows]
        part = rows[columns]
        shares = add_percent(part, columns, part.sum(axis=1)) if share == "row" else add_percent_of_all(part, columns)
        found |= {name: shares[f"{name}_percent"] for name in columns}
    return pd.DataFrame(found)


def _texts(rows: pd.DataFrame, series: Sequence[Series], share: str, unit: str) -> dict[str, Any]:
    totals = rows[[one.column for one in series]].sum(axis=1)
    texts = {"total_text": [format_number(total, unit) for total in totals]}
    for one in series:
        whole = totals if share == "row" else [rows[one.column].sum()] * len(rows)
        found = [
            f"{format_number(n, unit)} ({n / all_:.1%})" if all_ else format_number(n, unit)
            for n, all_ in zip(rows[one.column], whole, strict=True)
        ]
        if f"{one.column}_before" in rows:
            before = rows[f"{one.column}_before"]
            found = [f"{text}; before {format_number(n, unit)}" for text, n in zip(found, before, strict=True)]
        texts[f"{one.column}_text"] = found
    return texts


def _bars(plot: Any, source: ColumnDataSource, series: Sequence[Series]) -> Sequence[Any]:
    columns, colours = [one.column for one in series], [one.colour for one in series]
    return cast(
        "Sequence[Any]", plot.hbar_stack(columns, source=source, y="y", height=0.7, color=colours, muted_alpha=0.1)
    )


def _dots(plot: Any, source: ColumnDataSource, series: Sequence[Series]) -> Sequence[Any]:
    return [
        plot.scatter(source=source, x=one.column, y="y", marker=one.marker, size=10, color=one.colour, muted_alpha=0.1)
        for one in series
    ]


def _before(
    plot: Any, shown: pd.DataFrame, series: Sequence[Series], *, outline: bool, percent: bool
) -> tuple[str, list[Any]]:
    """Draw values before as hollow dots, or as an outline of the bar (of its first part if all bars are 100 %)."""
    y = list(range(len(shown)))
    if not outline:
        hollow = [
            plot.scatter(x, y, marker=one.marker, size=14, fill_color=None, line_color=one.colour, muted_alpha=0.1)
            for one in series
            for x in [drawn(shown[f"{one.column}_before"], log=True, zero=np.nan)]
        ]
        return "before", hollow
    parts = series[:1] if percent else series
    right = shown[[f"{one.column}_before" for one in parts]].sum(axis=1).to_numpy(dtype="float64", na_value=np.nan)
    bar = plot.hbar(y=y, left=0, right=right, height=0.86, fill_alpha=0, line_color=BEFORE, line_width=2)
    bar.muted_glyph.line_alpha = 0.1
    return f"{parts[0].name} before" if percent and len(series) > 1 else "before", [bar]


def name_rows(plot: Any, labels: pd.Series[Any]) -> None:
    """Label the rows of a figure, the first at the top, and set its height; null is a row without a label."""
    # plain text: otherwise Bokeh reads dollar signs as a formula
    texts = {place: short(label) for place, label in enumerate(labels) if not pd.isna(label)}
    plot.height = 160 + (12 + 14 * max(text.count("\n") + 1 for text in texts.values())) * len(labels)
    plot.y_range = Range1d(start=len(labels) - 0.4, end=-0.6)
    plot.yaxis.ticker = FixedTicker(ticks=list(texts))
    plot.yaxis.major_label_overrides = {place: PlainText(text=text) for place, text in texts.items()}
