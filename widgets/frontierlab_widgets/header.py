"""The header of a dashboard: what is looked at, in two lines that stay above all tabs."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from html import escape
from typing import Any

from ipywidgets import Widget

import frontierlab as fl
from frontierlab_widgets import elements
from frontierlab_widgets.chips import Chips, chips_of, choices_of, without
from frontierlab_widgets.dataset_fields import CHOICES, DatasetFields
from frontierlab_widgets.explore_work import COMPARE, OTHER
from frontierlab_widgets.formatting import sentence
from frontierlab_widgets.panel import PANEL_LOCK, row
from frontierlab_widgets.time_fields import TimeFields
from frontierlab_widgets.view_work import Counted, Latest, count_choices, count_view

__all__ = ["Header", "RANGES"]

_STYLE = {"description_width": "initial"}
_GRAIN = timedelta(minutes=5)  # windows begin and end at whole bins
_CHOOSE = "time …"
_FOLDED, _SECONDARY = "frontierlab-folded", "frontierlab-secondary"
_UNFOLD, _FOLD = "More ▾", "Less ▴"

RANGES: dict[str, timedelta | None] = {
    "all of its time": None,
    "its last hour": timedelta(hours=1),
    "its last 6 hours": timedelta(hours=6),
    "its last 24 hours": timedelta(days=1),
    "its last 7 days": timedelta(days=7),
}
"""The quick choices of the time of a dataset: its end minus this long, in whole five minutes."""


class Header(elements.VBox):
    """Dataset or period, time, comparison, filters as chips, and the number of chosen queries.

    All of it follows the traits ``dataset``, ``selection`` and ``compare`` of the panel. On a narrow page it shows what
    is used most, and *More* shows the rest; what is not as usual, such as a comparison or an invalid time, is shown.

    Parameters
    ----------
    panel
        The dashboard.
    undo
        Takes the last change of the selection back.
    *actions
        Further buttons of the second line.

    Attributes
    ----------
    datasets : DatasetFields
        The list of datasets, and the field for several.
    counted : Counted or None
        The number of chosen queries; None before it is known.
    """

    def __init__(self, panel: Any, undo: Any, *actions: Widget) -> None:
        self._panel = panel
        self.counted: Counted | None = None
        self._of = ""  # the dataset of the choices
        self._wants_choices = False  # from the first look at them on
        self._values: dict[str, list[Any]] = {}
        self._counts, self._choices = Latest(self._not_counted), Latest(self._not_counted)
        self._times = TimeFields(panel, "224px")
        self._range = elements.Dropdown(
            options=[_CHOOSE, *RANGES], tooltip="Time", layout=elements.layout(width="91px")
        )
        self._earlier = _arrow("◀", "The time before, as long")
        self._later = _arrow("▶", "The time after, as long")
        self._against = elements.Dropdown(
            description="compare with", style=_STYLE, layout=elements.field_layout("187px")
        )
        self.chips = Chips(
            lambda chip: panel.guarded(lambda: self._take_off(chip)),
            lambda column, value: panel.guarded(lambda: self._add(column, value)),
            lambda: panel.guarded(self._count_choices),
        )
        self._undo = elements.Button(description="Undo", tooltip="Take the last choice of queries back")
        whole = elements.Button(description="All queries", tooltip="Take all filters off")
        self._count = elements.HTML()
        self._count.add_class("frontierlab-counted")
        self._folded = True
        self._more = elements.Button(description=_UNFOLD, tooltip="Show or hide time, comparison and more")
        self._more.add_class("frontierlab-unfold")
        panel.choose("compare", self._against)
        panel.click(self._more, self._toggle)
        panel.click(self._undo, undo)
        panel.click(whole, self._everything, when=lambda: panel.selection != fl.Selection())
        panel.click(self._earlier, partial(self._shift, -1), when=self._has_window)
        panel.click(self._later, partial(self._shift, 1), when=self._has_window)
        self._range.observe(lambda change: panel.guarded(lambda: self._choose_range(change["new"])), "value")
        times = (self._range, self._earlier, *self._times.views, self._later)
        self.datasets = DatasetFields(panel, self._more, *times, self._against, compact=True)
        for one in (self.datasets.asks, *times, whole, *actions[:-1]):
            one.add_class(_SECONDARY)
        choices = row(self.chips, self._undo, whole, self._count, *actions)
        choices.add_class("frontierlab-header-choices")
        super().__init__([self.datasets, choices])
        self.add_class("frontierlab-header")
        panel.on(self.follow, "dataset", "selection", "compare", "settings", "invalid")
        self.follow()

    def follow(self) -> None:
        """Show the view of the panel, and count its queries."""
        with PANEL_LOCK:
            panel = self._panel
            self._times.follow()
            self.chips.chips = chips_of(panel.selection, self._values)
            others = {f"dataset {name}": f"{OTHER}{name}" for name in self.datasets.names if name != panel.dataset}
            compared = {**COMPARE, **others}
            panel.offer(self._against, [*compared.items()], panel.compare)
            chosen = next((name for name, value in compared.items() if value == panel.compare), panel.compare)
            self._against.tooltip = f"Compare with {chosen}"  # the field has no room for all of it
            panel.allow()
            self._fold()
            if not panel.dataset or panel.settings is None or "dataset" in panel.invalid:
                self.counted, self._count.value = None, ""
                return
            self._count_queries()

    def _toggle(self) -> None:
        self._folded = not self._folded
        self._fold()

    def _fold(self) -> None:
        """Let a narrow page hide what is used less, but nothing that is invalid or differs from the usual."""
        folded = self._folded and self._panel.invalid.keys().isdisjoint(CHOICES)
        self._more.description = _UNFOLD if folded else _FOLD
        _set_class(self, _FOLDED, folded)
        _set_class(self._against, _SECONDARY, not self._panel.compare)

    def _count_queries(self) -> None:
        panel = self._panel
        asked = (panel.dataset, panel.settings, panel.selection)
        self._counts.begin(partial(count_view, *asked), self._show_count)
        if self._of != panel.dataset:
            self._of, self.chips.choices, self._values = panel.dataset, [], {}
            self._choices.stop()
            if self._wants_choices:
                self._count_choices()

    def _count_choices(self) -> None:
        """Count what filters can be added for: it takes as long as several plots, so not before it is looked at."""
        self._wants_choices = True
        if self._of:
            self.chips.note = "What can be added is being counted."
            self._choices.begin(partial(count_choices, self._of, self._panel.settings), self._offer)

    def refresh(self) -> None:
        """Offer the datasets that exist now, and count again."""
        self._of = ""
        self.datasets.refresh()
        self.follow()

    def wait(self, seconds: float) -> bool:
        """Wait for the counts, and return whether they are there. For scripts and tests."""
        return self._counts.wait(seconds) and self._choices.wait(seconds)

    def stop(self) -> None:
        """Drop counts that are going on."""
        self._counts.stop()
        self._choices.stop()

    def leave_out(self, column: str, values: list[Any]) -> None:
        """Remember all values of a column, so that a chip can name those that are left out."""
        self._values = {**self._values, column: values}

    def _show_count(self, found: Counted) -> None:
        with PANEL_LOCK:
            self.counted = found
            chosen, times = self._panel.selection, found.times_in_words()
            whole = times if (chosen.since, chosen.until) == (None, None) else ""
            self._count.value = (
                f'<b class="frontierlab-count" role="status">{escape(found.in_words())}</b> '
                f'<span class="frontierlab-quiet frontierlab-whole" title="all of its time">{escape(whole)}</span>'
            )
            self._panel.allow()

    def _offer(self, found: Any) -> None:
        with PANEL_LOCK:
            self.chips.choices, self.chips.note = choices_of(found)

    def _not_counted(self, error: BaseException) -> None:
        with PANEL_LOCK:
            self.counted, self._count.value = None, f'<span class="frontierlab-quiet">{escape(sentence(error))}</span>'

    def _take_off(self, chip: str) -> None:
        if chip == "time":
            self._times.forget()
        self._panel.selection = without(self._panel.selection, chip)

    def _add(self, column: str, value: str) -> None:
        chosen = self._panel.selection
        if column == "cached":
            self._panel.selection = chosen.but(cached=value == "true")
            return
        one: Any = int(value) if column == "taskid" else value
        self._panel.selection = chosen.but(**{column: [*(getattr(chosen, column) or ()), one]})

    def _everything(self) -> None:
        self._times.forget()
        self._panel.selection = fl.Selection()

    def _choose_range(self, name: str) -> None:
        if name == _CHOOSE:
            return
        self._range.value = _CHOOSE  # it is an action, and the fields show the time
        length = RANGES[name]
        window = None if self.counted is None or length is None else _last(self.counted.until, length)
        since, until = window or (None, None)
        self._times.forget()
        self._panel.selection = self._panel.selection.but(since=since, until=until)

    def _window(self) -> tuple[datetime, datetime] | None:
        """Return the chosen time; an open end is that of the dataset."""
        chosen, counted = self._panel.selection, self.counted
        if counted is None or counted.since is None or counted.until is None:
            return None
        if chosen.since is None and chosen.until is None:
            return None
        since, until = chosen.since or _down(counted.since), chosen.until or _down(counted.until) + _GRAIN
        return (since, until) if since < until else None

    def _has_window(self) -> bool:
        return self._window() is not None

    def _shift(self, by: int) -> None:
        window = self._window()
        if window is not None:
            since, until = window
            step = by * (until - since)
            self._panel.selection = self._panel.selection.but(since=since + step, until=until + step)


def _down(moment: datetime) -> datetime:
    return moment - timedelta(seconds=moment.timestamp() % _GRAIN.total_seconds())


def _last(end: datetime | None, length: timedelta) -> tuple[datetime, datetime] | None:
    if end is None:
        return None
    until = _down(end) + _GRAIN
    return until - length, until


def _arrow(text: str, tooltip: str) -> elements.Button:
    made = elements.Button(description=text, tooltip=tooltip, layout=elements.layout(width="36px"))
    made.add_class("frontierlab-small")
    return made


def _set_class(widget: Widget, name: str, there: bool) -> None:
    """Give a widget a CSS class, or take it away."""
    (widget.add_class if there else widget.remove_class)(name)
