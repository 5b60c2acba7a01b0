"""The figures of a diagnosis, and its page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from bokeh.layouts import column
from bokeh.models import Column
from bokeh.models.annotations import BoxAnnotation, Title
from bokeh.models.widgets import Div
from bokeh.plotting import figure as Figure

from frontierlab import plots
from frontierlab.pages.html import target_of
from frontierlab.plots.style import COLOURS, plain, time_formatter

if TYPE_CHECKING:
    from frontierlab.diagnosis.incident import Incident
    from frontierlab.diagnosis.result import Diagnosis

__all__ = ["day_figure", "incident_figure", "write_incident", "write_page"]

_SHOWN = {
    "slow_database": ("dbtime", "queries", "database time, ms a query"),
    "slow_server": ("overhead", "queries", "time outside of the database, ms a query"),
    "payload_growth": ("bytes", "queries", "bytes a query"),
    "failures": ("failures", None, "failed queries"),
    "rejections": ("failures", None, "failed queries"),
}
_HEIGHT = 220


def incident_figure(incident: Incident) -> Figure:
    """Return the measure of an incident over time, with the incident shaded."""
    amount, count, name = _SHOWN.get(incident.kind, ("queries", None, "queries"))
    history = incident.history
    values = history[amount]
    if count is not None:
        values = values / history[count].where(history[count] > 0)
    drawn = _figure(incident.sentence.split(": ", 1)[-1], name)
    _line(drawn, history["time"], values)
    _shade(drawn, incident, COLOURS[1])
    return drawn


def day_figure(diagnosis: Diagnosis) -> Column:
    """Return all queries over time with the incidents shaded, and the figure of each incident below."""
    whole = _figure("All queries; the incidents are shaded", "queries")
    _line(whole, diagnosis.total["time"], diagnosis.total["queries"])
    for place, incident in enumerate(diagnosis):
        _shade(whole, incident, COLOURS[1 + place % (len(COLOURS) - 1)])
    return column(whole, *(incident_figure(one) for one in diagnosis), sizing_mode="stretch_width")


def _line(drawn: Any, times: pd.Series[Any], values: pd.Series[Any]) -> None:
    """Draw values over times; Bokeh takes times in UTC without a zone."""
    drawn.step(times.dt.tz_localize(None), values, mode="after", color=COLOURS[0])


def _figure(title: str, name: str) -> Figure:
    drawn: Any = Figure(
        height=_HEIGHT, sizing_mode="stretch_width", x_axis_type="datetime", tools="pan,box_zoom,reset,save"
    )
    drawn.title = Title(text=plain(title), text_font_size="10pt")
    drawn.xaxis.formatter = time_formatter()
    drawn.xaxis.axis_label, drawn.yaxis.axis_label = "UTC", name
    drawn.y_range.start = 0
    made: Figure = drawn
    return made


def _shade(drawn: Any, incident: Incident, colour: str) -> None:
    left, right = (incident.row[name].tz_localize(None) for name in ("since", "until"))
    drawn.add_layout(BoxAnnotation(left=left, right=right, fill_alpha=0.15, fill_color=colour))


def write_page(diagnosis: Diagnosis, path: str | os.PathLike[str]) -> Path:
    """Write the sentences and figures of a diagnosis as one page."""
    target = target_of(path, "diagnosis.html")
    text = Div(text=diagnosis._repr_html_(), sizing_mode="stretch_width")
    return plots.save(column(text, day_figure(diagnosis), sizing_mode="stretch_width"), target)


def write_incident(incident: Incident, path: str | os.PathLike[str]) -> Path:
    """Write the text and the figure of an incident as one page."""
    target = target_of(path, "incident.html")
    text = Div(text=incident._repr_html_(), sizing_mode="stretch_width")
    return plots.save(column(text, incident_figure(incident), sizing_mode="stretch_width"), target)
