"""Figures that share a time axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bokeh.models import CrosshairTool, DatetimeAxis, Range1d
from bokeh.models.annotations import Span
from bokeh.plotting import figure

__all__ = ["link"]


def link(figures: Sequence[figure]) -> Sequence[figure]:
    """Give the figures over time one time axis and one crosshair; other figures are unchanged.

    Linked figures belong to one page: put them in one document.

    Parameters
    ----------
    figures
        Figures of `frontierlab.plots`. They are changed.

    Returns
    -------
    Sequence[figure]
        The same figures.
    """
    # not plot.select: it goes through all models of a figure
    timed: list[Any] = [plot for plot in figures if any(isinstance(axis, DatetimeAxis) for axis in plot.xaxis)]
    if timed:
        whole = Range1d(start=min(p.x_range.start for p in timed), end=max(p.x_range.end for p in timed))
        line = Span(dimension="height", line_alpha=0.3)
        for plot in timed:
            plot.x_range = whole
            (crosshair,) = (tool for tool in plot.tools if isinstance(tool, CrosshairTool))
            crosshair.overlay = line
    return figures
