"""The figure of incidents over days."""

from __future__ import annotations

from typing import Any, cast

import pandas as pd
from bokeh.models import FactorRange, HoverTool
from bokeh.plotting import figure as Figure

from frontierlab.diagnosis.finding import KINDS
from frontierlab.diagnosis.recurrence import lasting_scope, recurrence
from frontierlab.diagnosis.words import scope_in_words
from frontierlab.plots.style import COLOURS, check_frame, empty, new_figure, short, time_formatter

__all__ = ["history_figure"]

_MOST = 25  # rows
_ROW = 34  # pixels
_LEAST = 0.004  # of the axis: the shortest bar that is seen
_TITLE = "Incidents over days"


def history_figure(frame: pd.DataFrame) -> Figure:
    """Return the figure of the frame of `frontierlab.diagnosis.history.read`."""
    check_frame(frame, "figure", ["since", "until", "kind", "sentence", "days"], of="diagnosis.history.read")
    if frame.empty:
        return empty(_TITLE, "", "No incidents are stored for this.")
    rows = frame.assign(key=[recurrence(row) for row in frame.to_dict("records")])
    rows["label"] = [_label(row) for row in rows.to_dict("records")]
    order = rows.groupby("key", sort=False).agg(days=("days", "max"), last=("since", "max"), label=("label", "last"))
    order = order.sort_values(["days", "last"], ascending=False)
    left_out = len(order) - _MOST
    order = order.head(_MOST)
    rows = rows[rows["key"].isin(order.index)].copy()
    words = f"{len(frame):,} incidents in {len(frame.attrs.get('diagnosed', ())):,} diagnoses"
    if left_out > 0:
        words += f"; {left_out:,} more kinds and scopes are not drawn"
    factors = [f"{place}" for place in range(len(order))]
    row_of = dict(zip(order.index, factors, strict=True))
    start, end = rows["since"].min(), rows["until"].max()
    least = max((end - start) * _LEAST, pd.Timedelta(minutes=5))
    plot: Any = new_figure(
        _TITLE,
        words,
        x_axis_type="datetime",
        y_range=FactorRange(factors=factors[::-1]),
        height=160 + _ROW * len(order),
    )
    data = {
        "y": rows["key"].map(row_of).tolist(),
        "left": rows["since"].dt.tz_localize(None),
        "right": rows["until"]
        .where(rows["until"] - rows["since"] >= least, rows["since"] + least)
        .dt.tz_localize(None),
        "sentence": rows["sentence"].tolist(),
        "days": rows["days"].tolist(),
        "colour": [COLOURS[KINDS.index(kind) % len(COLOURS)] for kind in rows["kind"]],
    }
    bars = plot.hbar(
        y="y", left="left", right="right", height=0.7, fill_color="colour", line_color="colour", source=data
    )
    plot.add_tools(HoverTool(renderers=[bars], tooltips=[("", "@sentence"), ("days", "@days")]))
    plot.xaxis.formatter, plot.xaxis.axis_label = time_formatter(), "time (UTC)"
    plot.yaxis.major_label_overrides = {row_of[key]: short(label) for key, label in order["label"].items()}
    return cast("Figure", plot)


def _label(row: dict[Any, Any]) -> str:
    return f"{row['kind']} · {scope_in_words(lasting_scope(row), kind=str(row['kind']))}"
