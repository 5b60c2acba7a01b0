"""The caching panel as a tab of a dashboard: figures of the current choice are there without a click."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar

import pandas as pd
import traitlets
from ipywidgets import Widget

from frontierlab import Selection
from frontierlab_widgets import elements
from frontierlab_widgets.caching_panel import CachingPanel
from frontierlab_widgets.origin import Origin

__all__ = ["WasteTab"]

_KEPT = 8  # datasets and selections of which the figures are kept


class WasteTab(CachingPanel):
    """A caching panel whose choice of queries is in the header of a dashboard.

    Attributes
    ----------
    shown : bool
        Whether the tab is open. An open tab computes the figures of the current choice, unless they are kept.
    """

    saved_as: ClassVar[str] = CachingPanel.__name__

    shown = traitlets.Bool(False)

    _leads: Mapping[str, Callable[[], object]] = MappingProxyType({})
    _wanted = ""  # the folder to choose once there are figures

    def build(self) -> list[Widget]:
        """Build the panel without its own choice of queries, and without its history, which has a tab of its own."""
        self._kept: OrderedDict[Origin, tuple[str, pd.DataFrame]] = OrderedDict()
        parts = [part for part in super().build() if part is not self._datasets]
        elements.show(self._tabs.bar, False)
        self._tabs.take_out("History")
        self.on(self._follow, "shown", "dataset", "selection", "settings", "invalid", "phase")
        return parts

    def build_picker(self, *, folders_only: bool = False) -> list[Widget]:
        """Build no choice of queries."""
        return []

    def build_links(self) -> list[Widget]:
        """Build the button that leads to Explore."""
        explore = elements.Button(
            description="Show in Explore", tooltip="Choose the queries of this folder, and open Explore"
        )
        self.click(explore, self._show_in_explore, when=lambda: bool(self.folder))
        return [explore]

    @property
    def history_view(self) -> Widget:
        """The stored figures, for the tab History."""
        return self._past

    def lead(self, **actions: Callable[[], object]) -> None:
        """Say what opens the tabs ``explore`` and ``history``."""
        self._leads = actions

    def take(self, figures: pd.DataFrame) -> None:
        """Show figures that another panel computed, unless the same ones are shown or others are being computed."""
        if figures.empty or self._going_on() is not None:
            return
        if self.figures is None or self.figures.attrs != figures.attrs:
            self.job = ""
            self._take(figures, self.require_settings())

    def choose_folder(self, folder: list[str]) -> None:
        """Choose a folder and tag, and explain it; once there are figures, if there are none yet."""
        if self.figures is None or self.stale or json.dumps(folder) not in self._ids():
            self._wanted = json.dumps(folder)
            self._follow()
        else:
            self.folder = folder

    def restore(self, state: Mapping[str, Any] | str) -> None:
        """Restore a state; figures that no job keeps are computed again when the tab is open."""
        given = self.read_state(state)
        folder = given.pop("folder", [])
        super().restore({"panel": self.saved_as, **given})
        if folder:
            self.choose_folder(folder)

    def _ids(self) -> set[str]:
        return {row["id"] for row in self._table.rows}

    def _follow(self) -> None:
        """Show the figures of the current choice if they are kept; an open tab computes them otherwise."""
        if not self.dataset or self.settings is None or self.invalid or self._going_on() is not None:
            return
        if self.figures is not None and not self.stale:
            return
        wanted = self.chosen_origin(self.chosen_dataset())
        if wanted in self._kept:
            self.job, figures = self._kept[wanted]
            self._take(figures, self.require_settings())
        elif self.shown and wanted != self._tried:
            self._tried = wanted  # what failed is not tried again by itself
            self.compute()

    _tried: Origin | None = None

    def _take(self, figures: pd.DataFrame, settings: Any) -> None:
        chosen = self._wanted or (json.dumps(self.folder) if self.folder else "")
        super()._take(figures, settings)
        self._tried = None
        if self.origin is not None:
            self._kept[self.origin] = (self.job, figures)
            self._kept.move_to_end(self.origin)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        if not self.stale and chosen in self._ids():
            self._wanted = ""
            self.folder = json.loads(chosen)

    def whole_figures(self) -> pd.DataFrame | None:
        """Return the figures of all queries of the dataset, if they are kept."""
        origin = replace(self.computed_origin(), selection=Selection())
        return self._kept[origin][1] if origin in self._kept else None

    def _show_in_explore(self) -> None:
        self.selection = self.of_folder()
        self._leads["explore"]()

    def _show_stored(self) -> None:
        self._leads["history"]()
