"""What was kept over weeks: nightly jobs with their reports, incidents, and caching figures."""

from __future__ import annotations

from typing import Any

import pandas as pd
import traitlets
from ipywidgets import Widget

import frontierlab as fl
from frontierlab.errors import FrontierlabError
from frontierlab_widgets import elements
from frontierlab_widgets.code_box import Expression, call
from frontierlab_widgets.formatting import moment, notes, number
from frontierlab_widgets.panel import PANEL_LOCK, Panel, row
from frontierlab_widgets.panel_words import in_panel_words
from frontierlab_widgets.table import Table, TableColumn
from frontierlab_widgets.view_work import Latest

__all__ = ["HistoryPanel"]

_NIGHTS = (
    TableColumn("day", "Day (UTC)", "whose queries the nightly job extracted", lambda day: f"{day:%Y-%m-%d}"),
    TableColumn(
        "state",
        "State",
        "of the day's dataset: complete, thinned (only its summaries are left), incomplete, absent or damaged",
    ),
    TableColumn("queries", "Queries", "of that day", number, True, bar=True),
    TableColumn("incidents", "Incidents", "that the diagnosis of the day found", number, True),
    TableColumn("findings", "Findings", "of the hourly checks of operators, on that day", number, True),
    TableColumn("missing", "Missing", "what the nightly job could not do", lambda told: str(told).replace("\n", " ")),
    TableColumn("dataset", "Dataset", "with the queries of that day", picked=False),
    TableColumn("report", "Report", "path of the day's report, an HTML page", picked=False),
)

_INCIDENTS = (
    TableColumn("since", "Since (UTC)", "when it began", moment),
    TableColumn("kind", "Kind", "what deviated, such as load or rejections"),
    TableColumn("sentence", "What happened", "when, where, how much, and what it cost"),
    TableColumn("days", "Days", "on which incidents of the same kind and scope are stored", number, True),
    TableColumn("dataset", "Dataset", "in which it was found"),
    TableColumn("until", "Until (UTC)", "when it ended", moment, picked=False),
    TableColumn("advice", "Advice", "what helps", in_panel_words, picked=False),
    TableColumn("tell", "Tell", "who should know", picked=False),
)


_NIGHTLY = (
    "Each night, the nightly job extracts the queries of the day before as a dataset, checks them, looks for incidents "
    "and writes a report, as far as periodic in the settings names these steps."
)
_STORED = "What nightly jobs, and fl.diagnosis.history.store, have stored over time."
_FIGURES = "What Store, in Waste, has stored over time, to compare a folder before and after a fix."


class HistoryPanel(Panel):
    """The nightly jobs of the data folder, the stored incidents, and the stored caching figures.

    Parameters
    ----------
    settings
        By default ``Settings()``.

    Attributes
    ----------
    night : str
        The day of the chosen nightly job, such as 2026-10-01; empty if none is chosen.
    incidents : DataFrame or None
        The result of `frontierlab.diagnosis.history.read`; None before it is read.
    shown : bool
        Whether its tab is open: what is not seen is not read.
    """

    title = "History"

    night = traitlets.Unicode().tag(saved=True)
    incidents = traitlets.Instance(pd.DataFrame, allow_none=True)
    shown = traitlets.Bool(False)

    def build(self) -> list[Widget]:
        """Build the three tables."""
        self._latest = Latest(self.fail)
        self._nights = Table(
            _NIGHTS,
            "id",
            "No nightly job has run in this data folder yet: periodic, in the settings, says what it does.",
            label="Nightly jobs",
        )
        self._past = Table(
            _INCIDENTS, "id", "No incident is stored: nightly jobs store those that they find.", label="Incidents"
        )
        self._show_past = elements.Button(description="Show its queries", tooltip="Choose the queries of this incident")
        self._lead_to: Any = lambda dataset, selection: None
        self._remarks, self._lacks = elements.HTML(), elements.HTML()
        self._stored = elements.VBox()
        self._look = elements.Button(description="Look at it", tooltip="Choose the dataset of this day")
        self._frame = pd.DataFrame()
        self._open: Any = lambda name: None
        self.click(self._look, lambda: self._open(self._dataset()), when=lambda: bool(self._dataset()))
        self.click(self._show_past, self._choose_incident, when=lambda: bool(self._past.selected))
        self._past.observe(lambda _: self.allow(), "selected")
        traitlets.link((self, "night"), (self._nights, "selected"))
        self.on(self._chosen, "night")
        self.on(self.refresh, "settings", "shown")
        return [
            elements.HTML(f"<h4>Nightly jobs</h4><p class='frontierlab-quiet'>{_NIGHTLY}</p>"),
            self._nights,
            row(self._look, self._remarks),
            elements.HTML(f"<h4>Incidents</h4><p class='frontierlab-quiet'>{_STORED}</p>"),
            self._lacks,
            self._past,
            row(self._show_past),
            elements.HTML(f"<h4>Stored caching figures</h4><p class='frontierlab-quiet'>{_FIGURES}</p>"),
            self._stored,
        ]

    def lead(self, open_dataset: Any, show_incident: Any, stored: Widget) -> None:
        """Say what opens a dataset and what shows queries of one, and show the stored figures of the caching panel."""
        self._open, self._lead_to = open_dataset, show_incident
        self._stored.children = [stored]

    def refresh(self) -> None:
        """Read nights and incidents again, off the main thread."""
        settings = self.settings
        if settings is not None and self.shown:
            self._latest.begin(
                lambda: (fl.nights.list_nights(settings), fl.diagnosis.history.read(settings)), self._show_read
            )

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the nights are read; see `WorkMixin.wait`."""
        return self._latest.wait(3_600.0 if seconds is None else seconds) and super().wait(seconds)

    def code(self) -> str:
        """Return the calls that give these tables."""
        settings = Expression("settings")
        calls = ("fl.nights.list_nights", "fl.diagnosis.history.read", "fl.caching.history.read")
        return "\n".join(call(one, settings) for one in calls)

    def _choose_incident(self) -> None:
        assert self.incidents is not None
        incident = self.incidents.loc[int(self._past.selected)]
        self._lead_to(str(incident["dataset"]), fl.Selection.from_json(str(incident["selection"])))

    def _show_read(self, found: tuple[pd.DataFrame, pd.DataFrame]) -> None:
        frame, incidents = found
        with PANEL_LOCK, self.shown_errors():
            self.incidents = incidents.reset_index(drop=True)
            newest = self.incidents.iloc[::-1]
            self._past.show(newest.assign(id=newest.index.astype(str)))
            told = incidents.attrs.get("notes", ()) if incidents.attrs.get("unreadable") or len(incidents) else ()
            self._lacks.value = notes(told)  # that nothing is stored the table says
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
