"""Figures of percentiles of query time and database time: over time, or of each server, schema or site."""

from __future__ import annotations

import pandas as pd

from frontierlab.plots.drawing import Drawing, nothing
from frontierlab.plots.grouped import grouped
from frontierlab.plots.making import as_plot
from frontierlab.plots.stepped import Line, over_time
from frontierlab.plots.style import COLOURS, VALUES, Scale, Series, check_frame, words_of

__all__ = ["dbtime_percentiles", "querytime_percentiles"]

_PERCENTILES = (
    Series("p50", "half took so long or less", COLOURS[0], "circle"),
    Series("p95", "95 %", COLOURS[2], "triangle"),
    Series("p99", "99 %", COLOURS[1], "square"),
)
_GROUPS = {
    "frontierserver": ("server", ["frontierserver"]),
    "schema": ("schema", ["db", "schema"]),
    "computingsite": ("site", ["computingsite"]),
}


@as_plot
def querytime_percentiles(
    frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto", top: int = 20
) -> Drawing:
    """Draw the percentiles of ``querytime``: over time, or of each server, schema or site.

    Percentiles of several groups do not add up: groups beyond `top` are not drawn. See `frontierlab.plots` for the
    parameters.
    """
    return _percentiles(frame, "querytime", "How long queries took", selection, scale, top)


@as_plot
def dbtime_percentiles(
    frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto", top: int = 20
) -> Drawing:
    """Draw the percentiles of ``dbtime`` of queries that were not cached: over time, or by server, schema or site.

    Percentiles of several groups do not add up: groups beyond `top` are not drawn. See `frontierlab.plots` for the
    parameters.
    """
    return _percentiles(frame, "dbtime", "How long the database took, not cached", selection, scale, top)


def _percentiles(frame: pd.DataFrame, value: str, title: str, selection: str | None, scale: Scale, top: int) -> Drawing:
    name = f"{value}_percentiles"
    group, keys = next((found for column, found in _GROUPS.items() if column in frame), ("", ["time"]))
    check_frame(frame, name, [*keys, "queries", *(one.column for one in _PERCENTILES)])
    words = words_of(frame, selection)
    if frame.empty:
        return nothing(title, words)
    if not group:
        lines = [Line(one.column, one.name, one.colour) for one in _PERCENTILES]
        axis = f"{VALUES[value]} (ms), bins of {{bin}}"
        return over_time(frame, lines, title=title, words=words, axis=axis, unit="ms", scale=scale)
    return grouped(
        frame,
        name,
        keys,
        _PERCENTILES,
        title=f"{title}: each {group}",
        selection=words,
        axis=f"{VALUES[value]} (ms)",
        unit="ms",
        share="none",
        told=[("queries", "queries", "")],
        stacked=False,
        scale=scale,
        top=top,
    )
