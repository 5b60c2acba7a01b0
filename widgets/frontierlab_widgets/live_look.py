"""A look at what an index holds over time, to choose the period of an extraction in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from html import escape
from typing import Any

import pandas as pd
from bokeh.events import SelectionGeometry
from bokeh.models import BoxSelectTool
from ipywidgets import Layout

from frontierlab import plots
from frontierlab.overviews.result import Overview
from frontierlab.util.times import from_milliseconds, in_words, parse_time
from frontierlab_widgets import elements
from frontierlab_widgets.bokeh_figures import BokehFigures
from frontierlab_widgets.formatting import notes, warning_box
from frontierlab_widgets.panel import row

__all__ = ["LiveLook"]

_STALE = "frontierlab-stale"


class LiveLook(elements.VBox):
    """A histogram of the queries of an index, whose box select chooses a period; and how many queries that has.

    It is hidden until there is one.

    Parameters
    ----------
    panel
        The panel that it is in.
    choose
        Called with the period that was selected: whole bins, UTC.
    undo
        Called to choose the period of the look again.

    Attributes
    ----------
    overview : Overview or None
        What is shown.
    """

    def __init__(self, panel: Any, choose: Callable[[datetime, datetime], object], undo: Callable[[], object]) -> None:
        self._panel, self._choose = panel, choose
        self.overview: Overview | None = None
        self._told, self._remarks = elements.HTML(), elements.HTML()
        self._figures = BokehFigures()
        self._greyed = elements.VBox([self._figures])
        whole = elements.Button(description="The whole look", tooltip="Choose the period that was looked at again")
        panel.click(whole, undo, always=False)
        super().__init__([row(self._told, whole), self._greyed, self._remarks], layout=_hidden())

    def show(self, overview: Overview) -> None:
        """Show a look."""
        self.overview = overview
        self._remarks.value = warning_box(overview.warnings) + notes(overview.notes)
        elements.show(self, True)
        self.draw()

    def draw(self) -> None:
        """Draw the histogram, in the colours of the page's theme."""
        if self.overview is not None:
            drawing = plots.queries_over_time.drawing(self.overview.over_time)
            self._figures.draw({"queries": drawing}, dark=self._panel.dark, prepare=self._let_brush)

    def refresh(self) -> None:
        """Let new pages and saved notebooks have what is shown."""
        self._figures.refresh()

    def follow(self, since: str, until: str, stale: str) -> None:
        """Say how many queries a period has; `stale` says why the look is of other queries, and greys it."""
        if self.overview is None:
            return
        self._told.value = f'<div role="status">{escape(stale or self._counted(since, until))}</div>'
        (self._greyed.add_class if stale else self._greyed.remove_class)(_STALE)

    def brush(self, start: float, stop: float) -> None:
        """Choose a range of time, in milliseconds since the epoch, UTC: the nearest whole bins, at least one."""
        assert self.overview is not None
        width = round(1_000 * self.overview.bin_seconds)
        first, last = (round(moment / width) for moment in sorted((start, stop)))
        since, until = (from_milliseconds(width * number) for number in (first, max(first + 1, last)))
        self._choose(since, until)

    def _counted(self, since: str, until: str) -> str:
        """Count the queries of the bins in a period; one that is no whole number of bins has at most so many."""
        assert self.overview is not None
        frame = self.overview.over_time
        width = pd.Timedelta(seconds=self.overview.bin_seconds)
        inside = pd.Series(True, index=frame.index)
        whole = True
        for text, side in ((since, "since"), (until, "until")):
            if not text:
                continue
            moment = pd.Timestamp(parse_time(text))
            inside &= frame["time"] + width > moment if side == "since" else frame["time"] < moment
            at_an_edge = (moment - pd.Timestamp(0, tz="UTC")) % width == pd.Timedelta(0)
            whole &= at_an_edge or moment in (self.overview.since, self.overview.until)
        count = int(frame.loc[inside, ["cached", "not_cached", "unknown"]].sum().sum())
        ends = [in_words(parse_time(text)) if text else word for text, word in ((since, "the first"), (until, "now"))]
        counted = f"{count:,}" if whole else f"Up to {count:,}"
        return (
            f"{counted} of {self.overview.queries:,} queries of {self.overview.index}, from {ends[0]} to {ends[1]}. "
            "Select a range in the figure to choose a period."
        )

    def _let_brush(self, figure: Any) -> None:
        for tool in figure.tools:
            if isinstance(tool, BoxSelectTool):
                figure.toolbar.active_drag = tool
                tool.persistent = False  # the fields show the period
                figure.on_event(SelectionGeometry, self._brushed)

    def _brushed(self, event: Any) -> None:
        if event.final and event.geometry.get("type") == "rect":
            self._panel.guarded(lambda: self.brush(event.geometry["x0"], event.geometry["x1"]))


def _hidden() -> Layout:
    return elements.layout(display="none", width="100%")
