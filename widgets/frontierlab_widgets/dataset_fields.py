"""Choose the dataset of a panel from a list, or write several as a period."""

from __future__ import annotations

from html import escape
from typing import Any, cast

from ipywidgets import Widget

from frontierlab.storage.listing import dataset_names
from frontierlab.storage.periods import Period
from frontierlab.util.times import in_words
from frontierlab_widgets import elements
from frontierlab_widgets.chosen_datasets import opened, read_text
from frontierlab_widgets.panel import PANEL_LOCK, row
from frontierlab_widgets.time_fields import TIMES

__all__ = ["CHOICES", "DatasetFields"]

CHOICES = ("dataset", *TIMES)
"""The fields of a choice of datasets and queries whose text can be invalid."""

_STYLE = {"description_width": "initial"}


class DatasetFields(elements.VBox):
    """The list of datasets, a field for several of them, and what is chosen if that is a period.

    Both follow the trait ``dataset`` of the panel. Text that names no period is marked, and the trait stays.

    Parameters
    ----------
    panel
        The panel.
    *others
        Further parts of the row.
    compact
        Show the field for several only on request, or if a period is chosen.

    Attributes
    ----------
    listed : Dropdown
        The list of datasets.
    several : Text
        The field for several.
    asks : Button
        The button that shows that field, if it is shown on request.
    names : list of str
        The datasets that exist.
    """

    def __init__(self, panel: Any, *others: Widget, compact: bool = False) -> None:
        self._panel = panel
        self._asked = False
        self.names: list[str] = []
        width = "190px" if compact else "240px"
        self.listed = elements.Dropdown(description="dataset", style=_STYLE, layout=elements.field_layout(width))
        self.several = elements.Text(
            description="or several",
            placeholder="nightly-* since 2026-10-01 until 2026-11-01",
            tooltip="Names and patterns with commas between them; then since and until, if only a part counts (UTC)",
            continuous_update=False,
            style=_STYLE,
            layout=elements.field_layout("380px"),
        )
        self._period = elements.HTML()
        panel.choose("dataset", self.listed)
        field = panel.bind("dataset", self.several, read=self._read, show=_period_in)
        self._field, self._compact = field, compact
        self.asks = elements.Button(
            description="Several datasets",
            tooltip="Read several datasets as one period",
            layout=elements.layout(display="" if compact else "none"),
        )
        panel.click(self.asks, self._ask_for_several)
        super().__init__([row(self.listed, self.asks, field, *others), self._period])
        panel.on(self.refresh, "settings", "dataset")
        self.refresh()

    def refresh(self) -> None:
        """Offer the datasets that exist now, and look again at a period of them."""
        panel = self._panel
        with PANEL_LOCK:
            self.names = [] if panel.settings is None else dataset_names(panel.settings.data_dir)
            several = [("several", panel.dataset)] if _period_in(panel.dataset) else []
            options = [("choose …", ""), *several, *((name, name) for name in self.names)]
            panel.offer(self.listed, options, panel.dataset)
            if self.several.value == _period_in(panel.dataset):  # otherwise a text that is not valid, which stays
                panel.check_field("dataset")
            self._show_period()
            if self._compact and not self._asked:
                shown = bool(self.several.value) or "dataset" in panel.invalid
                _show_field(self._field, shown)

    def _ask_for_several(self) -> None:
        self._asked = not self._asked
        _show_field(self._field, self._asked or bool(self.several.value))

    def _read(self, text: str) -> str:
        """Return the value of the trait for a text in the field for several."""
        if not text.strip():
            return "" if _period_in(self._panel.dataset) else self._panel.dataset
        if self._panel.settings is not None:
            opened(text, self._panel.settings)
        return read_text(text).single or text.strip()

    def _show_period(self) -> None:
        told, panel = "", self._panel
        if _period_in(panel.dataset) and "dataset" not in panel.invalid and panel.settings is not None:
            period = opened(panel.dataset, panel.settings)
            told = f"Period: {_in_words(cast('Period', period))}"
        self._period.value = f'<span class="frontierlab-quiet">{escape(told)}</span>'


def _period_in(text: str) -> str:
    """Return the text if it names a period, and nothing if it names a dataset."""
    return "" if read_text(text).single else text


def _in_words(period: Period) -> str:
    whole = "" if period.is_whole else "up to "
    parts = [period.name, period.state, f"{whole}{period.counts.kept:,} queries"]
    if period.since is not None and period.until is not None:
        parts.append(f"from {in_words(period.since).removesuffix(' UTC')} to {in_words(period.until)}")
    return f"{', '.join(parts)}."


def _show_field(field: Widget, shown: bool) -> None:
    """Show or hide a field."""
    elements.show(field, shown)
