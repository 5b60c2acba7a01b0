"""The figures of a diagnosis: the time that was looked at with its incidents shaded, and the measure of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pandas as pd
from bokeh.layouts import column
from bokeh.models import Column
from bokeh.models.annotations import BoxAnnotation, Label
from bokeh.plotting import figure as Figure

from frontierlab.plots import link
from frontierlab.plots.making import make
from frontierlab.plots.stepped import Line, over_time
from frontierlab.plots.style import COLOURS

if TYPE_CHECKING:
    from frontierlab.diagnosis.incident import Incident
    from frontierlab.diagnosis.result import Diagnosis

__all__ = ["day_figure", "figures_of", "incident_figure", "queries_figure", "timeline"]

_SHOWN = {
    "slow_database": ("dbtime", "queries", "database time, ms a query", "ms"),
    "slow_server": ("overhead", "queries", "time outside of the database, ms a query", "ms"),
    "payload_growth": ("bytes", "queries", "bytes a query", "bytes"),
    "failures": ("failures", None, "failed queries in {bin}", "failed queries"),
    "rejections": ("failures", None, "failed queries in {bin}", "failed queries"),
}
_QUERIES = ("queries", None, "queries in {bin}", "queries")
_HEIGHT = 280
_TALL = 340  # with bars, as far as they need not more than so many rows:
_ROWS, _ROW_HEIGHT = 4, 14
_APART = 0.03  # of the time axis: numbers that are closer stand in two rows
_ROW = 0.12  # of the highest value: a row of bars
_BAR = 0.8  # of a row


def incident_figure(incident: Incident, number: int | None = None) -> Figure:
    """Return the measure of an incident over time, with the incident shaded."""
    amount, count, axis, unit = _SHOWN.get(incident.kind, _QUERIES)
    history = incident.history
    values: Any = history[amount].round().astype("Int64")
    if count is not None:
        values = (history[amount] / history[count].where(history[count] > 0)).round(2)
    title = incident.kind if number is None else f"{number}. {incident.kind}"
    words = incident.sentence.split(": ", 1)[-1]
    frame = pd.DataFrame({"time": history["time"], "value": values})
    plot = _drawn(frame, Line("value", axis.partition(" in {")[0], COLOURS[0]), title, words, axis, unit)
    _shade(plot, [incident])
    return cast("Figure", plot)


def timeline(diagnosis: Diagnosis) -> Figure:
    """Return all queries over time with the incidents shaded, each with its number."""
    title = "Queries over time, and the incidents" if len(diagnosis) else "Queries over time: nothing unusual"
    plot = queries_figure(diagnosis.total, title, diagnosis.selection.in_words())
    _shade(plot, [*diagnosis])
    _add_bars(plot, [*diagnosis])
    return plot


def queries_figure(frame: pd.DataFrame, title: str, words: str) -> Figure:
    """Return a figure of ``queries`` over ``time``: a row of the frame is a bin, and ``time`` is its start."""
    rows = frame[["time", "queries"]].assign(queries=lambda rows: rows["queries"].round().astype("Int64"))
    amount, _, axis, unit = _QUERIES
    plot = _drawn(rows, Line(amount, "all queries", COLOURS[0]), title, words, axis, unit, _TALL)
    return cast("Figure", plot)


def figures_of(diagnosis: Diagnosis) -> list[Figure]:
    """Return the timeline and a figure of each incident; all have one time axis, so put them into one document."""
    of_each = [incident_figure(one, number) for number, one in enumerate(diagnosis, 1)]
    return list(link([timeline(diagnosis), *of_each]))


def day_figure(diagnosis: Diagnosis) -> Column:
    """Return the figures of a diagnosis in a column."""
    return column(*figures_of(diagnosis), sizing_mode="stretch_width")


def _drawn(frame: pd.DataFrame, line: Line, title: str, words: str, axis: str, unit: str, height: int = _HEIGHT) -> Any:
    """Return a figure over time that is lower than those of filters."""
    drawing = over_time(frame, [line], title=title, words=words, axis=axis, unit=unit, scale="linear")
    return make(replace(drawing, height=height))


def _shade(plot: Any, incidents: Sequence[Incident]) -> None:
    """Shade the time of incidents, once where they overlap."""
    spans: list[tuple[float, float]] = []
    for left, right in sorted(map(_ends, incidents)):
        if spans and left <= spans[-1][1]:
            left, right = spans[-1][0], max(right, spans.pop()[1])
        spans.append((left, right))
    for left, right in spans:
        band = BoxAnnotation(left=left, right=right, fill_alpha=0.12, fill_color=COLOURS[1], line_color=COLOURS[1])
        plot.add_layout(band)


def _add_bars(plot: Any, incidents: Sequence[Incident]) -> None:
    """Draw a numbered bar for each incident above the line, in several rows where bars would cover each other."""
    span, top = plot.x_range.end - plot.x_range.start, plot.y_range.end
    ends: list[float] = []
    for number, incident in enumerate(incidents, 1):
        left, right = _ends(incident)
        row = next((row for row, end in enumerate(ends) if end <= left), len(ends))
        ends[row : row + 1] = [max(right, left + _APART * span)]
        low = top * (1 + _ROW * row)
        colour = COLOURS[1 + (number - 1) % (len(COLOURS) - 1)]
        bar = BoxAnnotation(left=left, right=right, bottom=low, top=low + _BAR * _ROW * top)
        bar.update(fill_alpha=0.5, fill_color=colour, line_color=colour)
        label = Label(x=left, y=low, x_offset=2, text=str(number), text_color="#222222", text_font_size="11px")
        plot.add_layout(bar)
        plot.add_layout(label)
    end = top * (1 + _ROW * len(ends))
    plot.y_range.update(end=end, reset_end=end)
    plot.height += _ROW_HEIGHT * max(0, len(ends) - _ROWS)  # the line keeps its part of the figure
    plot.yaxis[0].bounds = plot.ygrid[0].bounds = (plot.y_range.start, top)  # no number stands beside a bar


def _ends(incident: Incident) -> tuple[float, float]:
    left, right = (incident.row[name].timestamp() * 1000 for name in ("since", "until"))
    return left, right
