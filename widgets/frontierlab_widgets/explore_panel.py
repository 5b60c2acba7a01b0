"""Plots of a dataset: which folders were queried, when, how long it took, and by whom."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from typing import Any

import traitlets
from bokeh.events import SelectionGeometry
from bokeh.models import BoxSelectTool
from ipywidgets import Widget

import frontierlab as fl
from frontierlab import plots
from frontierlab.engines.own_statements import ANSWERED, answered_in_words
from frontierlab.errors import FrontierlabError, InvalidRequestError
from frontierlab.plots.drawing import Drawing
from frontierlab.util.times import from_milliseconds
from frontierlab_widgets import elements
from frontierlab_widgets.bokeh_figures import BokehFigures
from frontierlab_widgets.chosen_datasets import Source
from frontierlab_widgets.dataset_fields import CHOICES, DatasetFields
from frontierlab_widgets.explore_exports import ExploreExports
from frontierlab_widgets.explore_work import (
    COMPARE,
    OTHER,
    TABS,
    Part,
    notes_of,
    origin_of,
    run_filters,
)
from frontierlab_widgets.formatting import error_box, notes
from frontierlab_widgets.origin import Origin
from frontierlab_widgets.shown_errors import PANEL_LOCK
from frontierlab_widgets.tabs import TabBar

__all__ = ["ExplorePanel"]

_PAST = 50
PAUSE = 1.0
"""Seconds between two drawings of figures that come one by one: each time the page lays out all figures anew."""


class ExplorePanel(ExploreExports):
    """All plots of a dataset, or of a selected part of it.

    Parameters
    ----------
    settings
        By default ``Settings()``.

    Attributes
    ----------
    dataset : str
        Name of the dataset, or several as a period; empty for none. See `FiguresPanel`.
    selection : Selection
        The selected queries.
    tab : str
        The open tab: one of the chapters of a report, or all plots.
    form : str
        See `ExploreExports`.
    compare : str
        What the plots are compared with: empty for nothing, ``previous``, ``-7d`` or another window that filters
        accept, or ``dataset:`` and another dataset or period.
    plot : str
        The plot whose numbers, SQL and code can be shown.
    below : str
        What is shown of that plot: Numbers, SQL or Code; empty for nothing.
    frames : dict
        The results of the filters, by the name of the plot.
    """

    title = "Explore"

    tab = traitlets.Enum([*TABS], next(iter(TABS))).tag(saved=True)

    def build(self) -> list[Widget]:
        """Build the pickers, the tabs with the figures, and the actions on a plot."""
        self._past: list[fl.Selection] = []
        self._going_back = False
        self._drawn = ""  # the tab whose figures are shown
        self._drawings: dict[str, Drawing] = {}
        self._coming: Origin | None = None  # of the figures that are new, until all are
        self._shown_at = float("-inf")  # when those were last shown, by the monotonic clock
        self._held = False  # whether some of them are not shown yet
        self._against = elements.Dropdown(
            description="compare with", style=_STYLE, layout=elements.field_layout("250px")
        )
        picker = self.build_picker()
        self._undo = elements.Button(description="Undo", tooltip="Take the last choice back")
        whole = elements.Button(description="All queries", tooltip="Take all filters off")
        draw = elements.Button(description="Draw again", tooltip="Ask the dataset again")
        self._figures = BokehFigures()
        self._notes = elements.HTML()
        self._tabs = TabBar(self.tabs(), "Plots")
        self.choose("compare", self._against)
        self.click(self._undo, self.undo)
        self.click(whole, self.clear_choice)
        self.click(draw, self.draw, uses=CHOICES)
        self._datasets = DatasetFields(self, self._against, self._undo, whole, draw)
        self._show_choices()
        tabs = self.bind("tab", self._tabs)
        self.observe(self._remember, "selection")
        exports = self.build_exports()
        about = self.watch_origin([self._notes, self._figures, self._below.content], "compare", "phase")
        self.on(self._show_choices, "settings", "compare", "dataset")
        if self._picker is not None:
            self.on(self._picker.forget, "dataset")
        self.on(self._follow, "dataset", "selection", "tab", "compare", "invalid")
        self.on(self._darken, "dark")
        self.on(self._reform, "form")
        self._undo.disabled = True
        return [
            self._datasets,
            *picker,
            *exports,
            self.foot,
            self._notes,
            tabs,
            self.build_comparison(),
            about,
            self._figures,
        ]

    # the selection

    def tabs(self) -> list[str]:
        """Return the titles of the tabs."""
        return [*TABS]

    def refresh(self) -> None:
        """Update the list of datasets."""
        self._datasets.refresh()
        self._show_choices()
        self.check_origin()

    def undo(self) -> None:
        """Undo the last change of the selection."""
        if self._past:
            self._going_back = True
            try:
                self.selection = self._past.pop()
            finally:
                self._going_back = False
            self._undo.disabled = not self._past

    def brush(self, start: float, stop: float) -> None:
        """Select a range of time: milliseconds since the epoch, UTC, as a figure gives them.

        Its ends are rounded to the nearest ends of the drawn bins; the smallest range is one bin.
        """
        width = self._bin_milliseconds()
        first, last = (round(moment / width) for moment in sorted((start, stop)))
        since, until = (from_milliseconds(width * number) for number in (first, max(first + 1, last)))
        self.selection = self.selection.but(since=since, until=until)

    def _bin_milliseconds(self) -> int:
        widths = [frame.attrs["bin_seconds"] for frame in self.frames.values() if "bin_seconds" in frame.attrs]
        return round(1_000 * widths[0]) if widths else 1

    def _remember(self, change: Any) -> None:
        if not self._going_back:
            self._past = [*self._past[-_PAST:], change["old"]]
        self._undo.disabled = not self._past

    def _show_choices(self) -> None:
        """Offer the existing datasets to compare with."""
        others = {f"dataset {name}": f"{OTHER}{name}" for name in self._datasets.names if name != self.dataset}
        self.offer(self._against, [*{**COMPARE, **others}.items()], self.compare)

    def restore(self, state: Mapping[str, Any] | str) -> None:
        """Restore a state."""
        super().restore(state)
        self._past = []
        self._undo.disabled = True

    # the plots

    def names_of(self, tab: str) -> Sequence[str]:
        """Return the names of the plots of a tab, in their order."""
        return TABS[tab]

    def chosen_origin(self, dataset: Source) -> Origin:
        """Return the origin of plots made from the current choice."""
        return origin_of(dataset, self.selection, self.settings, self.compare)

    def about_figures(self) -> str:
        """Return the text above the plots: what answered; without plots, it says what to do."""
        if self.origin is None and not self.dataset:
            return "<p>Choose a dataset: its plots are drawn here.</p>"
        known = [frame.attrs[ANSWERED] for frame in self.frames.values() if ANSWERED in frame.attrs]
        return f'<span class="frontierlab-quiet">{escape(answered_in_words(*known))}</span>'

    def how_to_refresh(self) -> str:
        """Say how to get plots of the current choice; usually they are being computed."""
        return "Those are being drawn." if self._is_drawing() else "Click Draw again to have those."

    def _is_drawing(self) -> bool:
        going = self._going_on()  # a report is not replaceable
        return going is not None and going.replaceable

    def _follow(self) -> None:
        """Draw the current choice, unless its plots are already drawn."""
        self.check_origin()
        self._show_tab()
        if self.dataset and (not self._at_hand() or self._is_drawing()):
            self.draw()

    def _at_hand(self) -> bool:
        """Return whether the plots of the open tab and the current choice are drawn."""
        return self.origin is not None and not self.stale and self._drawn == self.tab and self._coming is None

    def _show_tab(self) -> None:
        elements.show(self._figures, self._drawn == self.tab)

    def draw(self) -> None:
        """Run the filters of the open tab off the main thread, and draw their results.

        Raises
        ------
        InvalidRequestError
            No dataset is chosen, or a field is not valid.
        """
        self.require_valid(*CHOICES)
        if not self.dataset:
            raise InvalidRequestError("Choose a dataset first.")
        asked = partial(
            run_filters,
            self.dataset,
            self.require_settings(),
            self.selection,
            self.compare,
            self.names_of(self.tab),
            None if self._picker is None else self._picker.contents or {},
        )
        tab = self.tab
        self.begin(
            asked,
            lambda answer: self._asked(answer, tab),
            each=lambda part: self._take(part, tab),
            at_rest=self._rest,
            stage="opening the dataset",
            replaceable=True,
        )

    def _take(self, part: Part, tab: str) -> None:
        """Show the figure of a frame, a little later if one was shown just before.

        The figures of the tab that are still to come are grey.
        """
        if self._coming is not part.origin:
            self._coming, self._drawings, self._drawn = part.origin, {}, tab
            self._shown_at, self._held = float("-inf"), False
            self.not_compared = part.not_compared
        self._drawings[part.name] = self._drawing(part.name, part.frame)
        pause = self._shown_at + PAUSE - time.monotonic()
        if pause <= 0:
            self._show_coming()
        elif not self._held:
            self._held = True
            later = threading.Timer(pause, self._show_held, [part.origin])
            later.daemon = True
            later.start()

    def _show_coming(self) -> None:
        self._held = False
        self._show_figures(self.names_of(self._drawn))
        self._shown_at = time.monotonic()
        self.check_origin()
        self._show_stale()

    def _show_held(self, origin: Origin) -> None:
        with PANEL_LOCK, self.shown_errors():
            if self._held and self._coming is origin:
                self._show_coming()

    def _rest(self) -> None:
        if self._held and self._coming is not None:  # the work was stopped
            self._show_coming()
        self._figures.refresh()

    def _asked(self, answer: Mapping[str, Any], tab: str) -> None:
        if self._picker is not None and answer["contents"] is not None:
            self._picker.offer(answer["contents"])
        if not answer["frames"]:
            raise FrontierlabError(" ".join(answer["errors"]))  # the earlier figures stay, and are grey
        self.not_compared = answer["not_compared"]
        lacks = dict.fromkeys([*answer["notes"], *notes_of(answer["frames"].values())])  # each once
        self._notes.value = notes(lacks) + "".join(map(error_box, answer["errors"]))
        self._drawn, self.frames = tab, {**answer["frames"]}
        if self.plot not in self.frames:
            self.plot = next(iter(self.frames))
        self._show_figures()
        self._coming, self._held = None, False
        self.origin = answer["origin"]  # last: until everything is shown, the figures are stale
        self.check_origin()

    def _why_stale(self) -> str:
        if self._coming is None:
            return super()._why_stale()
        state = "are being drawn" if self._is_drawing() else "were not all drawn"
        advice = "" if self._is_drawing() else " Click Draw again to have the others."
        return f"The figures {state}; what is grey is of an earlier choice.{advice}"

    def is_greyed(self, part: Widget) -> bool:
        """Return whether a part of the view is grey: figures that are new are not, while others are still to come."""
        if part is not self._figures or self._coming is None:
            return True
        try:
            return bool(self._coming.differs(self.chosen_origin(self.chosen_dataset())))
        except FrontierlabError:
            return True

    def _show_figures(self, names: Sequence[str] | None = None) -> None:
        """Show the drawings; figures of other names are removed, or kept and greyed if they are among `names`."""
        if not self._drawn:
            return
        wanted = {name: self._drawings.get(name) for name in names or self.frames}
        self._figures.draw(wanted, dark=self.dark, prepare=self._let_brush)
        self._show_tab()

    def _drawing(self, name: str, frame: Any) -> Drawing:
        drawing: Drawing = getattr(plots, name).drawing(frame, **self.form_of(name))
        return drawing

    def _reform(self) -> None:
        """Draw the frames that are there in the chosen form; nothing is asked again, unless some are still to come."""
        if self._coming is not None:
            self.draw()
            return
        self._drawings = {name: self._drawing(name, frame) for name, frame in self.frames.items()}
        self._show_figures()
        self._figures.refresh()

    def _darken(self) -> None:
        self._show_figures([*self._drawings])
        self._figures.refresh()

    def _let_brush(self, figure: Any) -> None:
        for tool in figure.tools:
            if isinstance(tool, BoxSelectTool):  # the plot has a time axis
                figure.toolbar.active_drag = tool
                tool.persistent = False  # the figure then shows this range, without a box over it
                figure.on_event(SelectionGeometry, self._brushed)

    def _brushed(self, event: Any) -> None:
        if event.final and event.geometry.get("type") == "rect":
            self.guarded(lambda: self.brush(event.geometry["x0"], event.geometry["x1"]))


_STYLE = {"description_width": "initial"}
