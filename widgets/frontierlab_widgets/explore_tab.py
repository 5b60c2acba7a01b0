"""The explore panel as a tab of a dashboard: bars of any measure, one large plot, and all others a click away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import pandas as pd
import traitlets
from ipywidgets import Widget

from frontierlab.errors import InvalidRequestError
from frontierlab_widgets import elements
from frontierlab_widgets.bars import Bars
from frontierlab_widgets.explore_panel import ExplorePanel
from frontierlab_widgets.explore_work import TABS
from frontierlab_widgets.panel import PANEL_LOCK, row
from frontierlab_widgets.view_work import BY, MEASURES, Latest, bars_of, cost_by

__all__ = ["ONE", "ExploreTab"]

ONE = "One plot"
"""The tab with the chosen plot alone."""

_TOPS = (5, 10, 20, 50)
_MOST_LEFT = 2_000  # values of a selection that leaves one out
_STYLE = {"description_width": "initial"}


class ExploreTab(ExplorePanel):
    """An explore panel whose choice of queries is in the header of a dashboard.

    Attributes
    ----------
    measure, by : str
        What the bars measure, and of what; see `frontierlab_widgets.view_work`.
    top : int
        How many have their own bar; the others together have one too.
    shown : bool
        Whether the tab is open: what is not seen is not asked.
    costs : DataFrame or None
        What the bars show, with all measures and none left out.
    """

    saved_as: ClassVar[str] = ExplorePanel.__name__

    tab = traitlets.Enum([ONE, *TABS], ONE).tag(saved=True)
    measure = traitlets.Enum([*MEASURES], "queries").tag(saved=True)
    by = traitlets.Enum([*BY], "folder").tag(saved=True)
    top = traitlets.Enum(_TOPS, 10).tag(saved=True)
    plot = traitlets.Enum([*TABS[[*TABS][-1]]], "queries_over_time").tag(saved=True)
    shown = traitlets.Bool(False)
    costs = traitlets.Instance(pd.DataFrame, allow_none=True)

    def build(self) -> list[Widget]:
        """Build the bars above the plots; the choice of queries is elsewhere."""
        self._latest = Latest(self.fail)
        self._bars_of: Any = None
        self._costs_by = self.by  # what the bars are of, while others are asked for
        self._when_left_out: Callable[[str, list[Any]], object] = lambda column, values: None
        choices = [
            elements.Dropdown(description=name, options=[*options], style=_STYLE, layout=elements.layout(width=width))
            for name, options, width in (
                ("measure", MEASURES, "220px"),
                ("by", BY, "150px"),
                ("top", _TOPS, "110px"),
            )
        ]
        fields = [self.bind(one.description, one) for one in choices]
        self._bars = Bars(lambda bar, out: self.guarded(lambda: self.choose_bar(bar, out)))
        self._greyed_bars = elements.VBox([self._bars])
        parts = [part for part in super().build() if part is not self._datasets]
        again = elements.Button(description="Draw again", tooltip="Ask the dataset again")
        self.click(again, self._again)
        self.on(self._ask, "dataset", "selection", "settings", "by", "shown", "invalid")
        self.on(self._draw_bars, "measure", "top", "costs")
        self.on(self._follow, "shown", "plot")
        return [row(*fields, again), self._greyed_bars, *parts]

    def build_picker(self, *, folders_only: bool = False) -> list[Widget]:
        """Build no choice of queries."""
        return []

    def tabs(self) -> list[str]:
        """Return the titles of the tabs."""
        return [ONE, *super().tabs()]

    def names_of(self, tab: str) -> Sequence[str]:
        """Return the names of the plots of a tab, in their order."""
        return (self.plot,) if tab == ONE else super().names_of(tab)

    def lead(self, left_out: Callable[[str, list[Any]], object]) -> None:
        """Say what is called with a column and all its values when one of them is left out."""
        self._when_left_out = left_out

    def choose_bar(self, bar: str, out: bool = False) -> None:
        """Add the folder, task, … of a bar to the selection, or leave it out.

        Raises
        ------
        InvalidRequestError
            There are too many others to select them instead.
        """
        if self.costs is None:
            return
        _, keys = BY[self._costs_by]
        record = self.costs.loc[int(bar)]
        if not out:
            self.selection = self.selection.but(**{key: record[key] for key in keys})
            return
        column = keys[-1]
        values = [None if pd.isna(one) else one for one in self.costs.loc[self.costs["part"] != "other", column]]
        known = [*dict.fromkeys(values)]
        others = [one for one in known if one != record[column]]
        if len(others) > _MOST_LEFT:
            raise InvalidRequestError(
                f"There are {len(others):,} others, too many to choose them. Choose something larger first, or leave "
                "out a schema or a site."
            )
        if not others:
            raise InvalidRequestError("This is all that is chosen: without it, no query would be left.")
        self._when_left_out(column, known)
        self.selection = self.selection.but(**{column: others})

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for bars and plots; see `WorkMixin.wait`."""
        return self._latest.wait(3_600.0 if seconds is None else seconds) and super().wait(seconds)

    def close(self) -> None:
        """Close the panel and its widgets."""
        self._latest.stop()
        super().close()

    def _again(self) -> None:
        self._bars_of = None
        self._ask()
        self.draw()

    def _ask(self) -> None:
        """Ask for the bars of the current choice, if the tab is open and they are not there."""
        if not self.shown or not self.dataset or self.settings is None or self.invalid:
            return
        asked = (self.dataset, self.settings, self.selection, self.by)
        if asked == self._bars_of:
            return
        self._bars_of = asked
        self._greyed_bars.add_class("frontierlab-stale")
        self._latest.begin(partial(cost_by, *asked), partial(self._take_costs, self.by))

    def _take_costs(self, by: str, costs: pd.DataFrame) -> None:
        with PANEL_LOCK, self.shown_errors():
            self._costs_by, self.costs = by, costs
            self._greyed_bars.remove_class("frontierlab-stale")

    def _draw_bars(self) -> None:
        if self.costs is not None:
            with self._bars.hold_sync():
                self._bars.label = f"{self.measure} by {self._costs_by}"
                self._bars.bars = bars_of(self.costs, self._costs_by, self.measure, self.top)

    def _follow(self) -> None:
        if self.shown:
            super()._follow()

    def _at_hand(self) -> bool:
        return super()._at_hand() and (self.tab != ONE or self.plot in self.frames)
