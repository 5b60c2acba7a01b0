"""Stored caching figures, and how those of now differ from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import pandas as pd

from frontierlab import Settings
from frontierlab.caching import history
from frontierlab_widgets.caching_work import seconds
from frontierlab_widgets.figures import Figures
from frontierlab_widgets.table import Column, Table
from frontierlab_widgets.words import moment, notes, number

__all__ = ["History"]

_COLUMNS = (
    Column("dataset", "Dataset"),
    Column("period_since", "From", "UTC", moment),
    Column("period_until", "To", "UTC", moment),
    Column("stored", "Stored", "UTC", moment),
    Column("folders", "Folders and tags", "", number, True),
    Column("wasted_dbtime", "Wasted s", "seconds in the database, of all folders", seconds, True),
)


class History(widgets.VBox):
    """A table of what is stored, and the comparison with a row of it.

    Parameters
    ----------
    choose
        Called with the id of the chosen row.
    """

    def __init__(self, choose: Callable[[str], object]) -> None:
        self.stored = Table(_COLUMNS, "id", "Nothing is stored yet.")
        self.compared: pd.DataFrame | None = None
        self._told = widgets.HTML("<p>Choose a stored result to compare it with what is computed now.</p>")
        self._figures = Figures()
        self._records = pd.DataFrame()
        self.stored.observe(lambda change: choose(change["new"]), "selected")
        super().__init__([self.stored, self._told, self._figures])

    def read(self, settings: Settings) -> list[str]:
        """Read what is stored, and return what a reader should know of it."""
        self._records = history.read(settings)
        groups = self._records.groupby(["dataset", "period_since", "period_until"], dropna=False)
        sums = {"stored": ("stored", "max"), "folders": ("queries", "size"), "wasted_dbtime": ("wasted_dbtime", "sum")}
        frame = groups.agg(**sums).reset_index()
        self.stored.show(frame.assign(id=[_id(record) for record in frame.to_dict("records")]))
        return list(self._records.attrs["notes"]) if self._records.attrs["unreadable"] else []

    def compare(self, stored: str, figures: pd.DataFrame, *, dark: bool) -> None:
        """Compare figures with those that are stored under an id."""
        ids = pd.Series([_id(record) for record in self._records.to_dict("records")], index=self._records.index)
        self.compared = history.compare(self._records[ids == stored], figures)
        self._told.value = notes(self.compared.attrs.get("notes", ()))
        self.draw(dark=dark)

    def forget(self) -> None:
        """Forget the comparison: the figures are others now."""
        self.compared = None
        self.stored.selected = ""

    def draw(self, *, dark: bool) -> None:
        """Draw the comparison."""
        if self.compared is not None:
            self._figures.show([history.compare_figure(self.compared)], dark=dark)


def _id(record: dict[Any, Any]) -> str:
    known = [record[name] for name in ("dataset", "period_since", "period_until")]
    return json.dumps(["" if pd.isna(value) else str(value) for value in known])
