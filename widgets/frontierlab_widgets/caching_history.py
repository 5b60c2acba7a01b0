"""Stored caching figures, and their differences from the current ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pandas as pd

from frontierlab import Settings
from frontierlab.caching import history
from frontierlab_widgets import elements
from frontierlab_widgets.bokeh_figures import BokehFigures
from frontierlab_widgets.caching_work import seconds
from frontierlab_widgets.formatting import moment, notes, number
from frontierlab_widgets.panel import PANEL_LOCK
from frontierlab_widgets.table import Table, TableColumn
from frontierlab_widgets.work import Work

__all__ = ["HistoryView"]

_COLUMNS = (
    TableColumn("dataset", "Dataset", "whose figures were stored"),
    TableColumn("period_since", "From (UTC)", "the first time of its queries", moment),
    TableColumn("period_until", "To (UTC)", "the last time of its queries", moment),
    TableColumn("stored", "Stored (UTC)", "when the figures were stored", moment),
    TableColumn("folders", "Folders and tags", "how many", number, True),
    TableColumn(
        "wasted_dbtime",
        "Wasted database time (s)",
        "seconds in the database that an ideal cache would have saved, of all folders",
        seconds,
        True,
    ),
)


class HistoryView(elements.VBox):
    """A table of the stored results, and the comparison with the chosen one.

    Parameters
    ----------
    choose
        Called with the id of the chosen row.
    fail
        Called with the error if the history cannot be read.

    Attributes
    ----------
    compared : DataFrame or None
        The comparison with the chosen row; None if there is none.
    """

    def __init__(self, choose: Callable[[str], object], fail: Callable[[BaseException], object]) -> None:
        self._fail = fail
        self._records = pd.DataFrame()
        self.stored = Table(_COLUMNS, "id", "Nothing is stored yet.", label="Stored caching figures")
        self.compared: pd.DataFrame | None = None
        self._notes = elements.HTML()
        self._told = elements.HTML()
        self._figures = BokehFigures()
        self.comparison = elements.VBox([self._told, self._figures])
        self._reading: Work | None = None
        self.stored.observe(lambda change: choose(change["new"]), "selected")
        self.forget()
        super().__init__([self._notes, self.stored, self.comparison])

    def read(self, settings: Settings) -> None:
        """Read the history in a separate thread, so that a server that does not answer blocks nothing else."""
        self._notes.value = '<p class="frontierlab-quiet">The history is being read …</p>'
        self._reading = Work(lambda _: history.read(settings), self._was_read, lambda *_: None)
        self._reading.start()

    def wait(self, seconds: float) -> bool:
        """Wait until the history is read, and return whether it is. For scripts and tests."""
        return self._reading is None or self._reading.join(seconds)

    def _was_read(self, work: Work, records: pd.DataFrame | None, error: BaseException | None) -> None:
        with PANEL_LOCK:
            if work is not self._reading:
                return  # a later call reads it again
            self._notes.value = ""
            if error is not None:
                self._fail(error)
            elif records is not None:
                self._show(records)

    def _show(self, records: pd.DataFrame) -> None:
        self._records = records
        groups = self._records.groupby(["dataset", "period_since", "period_until"], dropna=False)
        sums = {"stored": ("stored", "max"), "folders": ("queries", "size"), "wasted_dbtime": ("wasted_dbtime", "sum")}
        frame = groups.agg(**sums).reset_index()
        self.stored.show(frame.assign(id=[_id(record) for record in frame.to_dict("records")]))
        self._notes.value = notes(records.attrs["notes"] if records.attrs["unreadable"] else ())
        if self.compared is None:
            self._offer_comparison()

    def compare(self, stored: str, figures: pd.DataFrame, *, dark: bool) -> None:
        """Compare figures with those stored under an id."""
        ids = pd.Series([_id(record) for record in self._records.to_dict("records")], index=self._records.index)
        self.compared = history.compare(self._records[ids == stored], figures)
        self._told.value = notes(self.compared.attrs.get("notes", ()))
        self.draw(dark=dark)

    def forget(self) -> None:
        """Drop the comparison, because the figures have changed."""
        self.compared = None
        self.stored.selected = ""
        self._offer_comparison()
        self._figures.hide()

    def _offer_comparison(self) -> None:
        offer = "<p>Choose a stored result to compare it with what is computed now.</p>"
        self._told.value = "" if self._records.empty else offer

    def draw(self, *, dark: bool) -> None:
        """Draw the comparison."""
        if self.compared is not None:
            self._figures.show([history.compare_figure(self.compared)], dark=dark)


def _id(record: dict[Any, Any]) -> str:
    known = [record[name] for name in ("dataset", "period_since", "period_until")]
    return json.dumps(["" if pd.isna(value) else str(value) for value in known])
