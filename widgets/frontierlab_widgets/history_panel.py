"""What was kept over weeks: nights with their incidents and reports, and stored caching figures."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import pandas as pd
import traitlets

import frontierlab as fl
from frontierlab.errors import FrontierlabError
from frontierlab_widgets.code_box import Expression, call
from frontierlab_widgets.formatting import notes, number
from frontierlab_widgets.panel import PANEL_LOCK, Panel
from frontierlab_widgets.table import Table, TableColumn
from frontierlab_widgets.view_work import Latest

__all__ = ["HistoryPanel"]

_NIGHTS = (
    TableColumn("day", "Day", "UTC", lambda day: f"{day:%Y-%m-%d}"),
    TableColumn("state", "State", "complete, thinned, incomplete, absent or damaged"),
    TableColumn("queries", "Queries", "", number, True, bar=True),
    TableColumn("incidents", "Incidents", "of the diagnosis", number, True),
    TableColumn("findings", "Findings", "of the checks", number, True),
    TableColumn("missing", "Missing", "what the night could not do", lambda told: str(told).replace("\n", " ")),
    TableColumn("dataset", "Dataset", picked=False),
    TableColumn("report", "Report", "path of its page", picked=False),
)


class HistoryPanel(Panel):
    """The nights of the data folder, and the stored caching figures.

    Parameters
    ----------
    settings
        By default ``Settings()``.

    Attributes
    ----------
    night : str
        The day of the chosen night, such as 2026-10-01; empty if none is chosen.
    shown : bool
        Whether its tab is open: what is not seen is not read.
    """

    title = "History"

    night = traitlets.Unicode().tag(saved=True)
    shown = traitlets.Bool(False)

    def build(self) -> list[widgets.Widget]:
        """Build the two tables."""
        self._latest = Latest(self.fail)
        self._nights = Table(
            _NIGHTS,
            "id",
            "No night has worked in this data folder: set periodic in the settings.",
            label="Nights",
        )
        self._remarks = widgets.HTML()
        self._stored = widgets.VBox()
        self._look = widgets.Button(description="Look at it", tooltip="Choose the dataset of this night")
        self._frame = pd.DataFrame()
        self._open: Any = lambda name: None
        self.click(self._look, lambda: self._open(self._dataset()), when=lambda: bool(self._dataset()))
        traitlets.link((self, "night"), (self._nights, "selected"))
        self.on(self._chosen, "night")
        self.on(self.refresh, "settings", "shown")
        return [
            widgets.HTML("<h4>Nights</h4>"),
            self._nights,
            widgets.HBox([self._look, self._remarks]),
            widgets.HTML("<h4>Stored caching figures</h4>"),
            self._stored,
        ]

    def lead(self, open_dataset: Any, stored: widgets.Widget) -> None:
        """Say what opens a dataset, and show the stored figures of the caching panel."""
        self._open = open_dataset
        self._stored.children = [stored]

    def refresh(self) -> None:
        """Read the nights again, off the main thread."""
        settings = self.settings
        if settings is not None and self.shown:
            self._latest.begin(lambda: fl.nights.list_nights(settings), self._show_nights)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the nights are read; see `WorkMixin.wait`."""
        return self._latest.wait(3_600.0 if seconds is None else seconds) and super().wait(seconds)

    def code(self) -> str:
        """Return the calls that give these tables."""
        settings = Expression("settings")
        return "\n".join([call("fl.nights.list_nights", settings), call("fl.caching.history.read", settings)])

    def _show_nights(self, frame: pd.DataFrame) -> None:
        with PANEL_LOCK, self.shown_errors():
            self._frame = frame.assign(id=[f"{day:%Y-%m-%d}" for day in frame["day"]])
            self._nights.show(self._frame, lambda one: "bad" if one["state"] in ("incomplete", "damaged") else "")
            self._chosen()

    def _row(self) -> dict[Any, Any]:
        if self._frame.empty:
            return {}
        found = self._frame[self._frame["id"] == self.night].to_dict("records")
        return found[0] if found else {}

    def _dataset(self) -> str:
        name = str(self._row().get("dataset") or "")
        if not name or self.settings is None:
            return ""
        try:
            fl.datasets.open_dataset(name, self.settings)
        except FrontierlabError:
            return ""
        return name

    def _chosen(self) -> None:
        told = self._row()
        self._remarks.value = notes(filter(None, [*str(told.get("remarks") or "").split("\n")]))
        self.allow()
