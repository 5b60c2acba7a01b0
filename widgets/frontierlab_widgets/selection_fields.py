"""Pick the queries of a dataset: database, schema, folder, task and time."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import pandas as pd
from ipywidgets import Layout

from frontierlab.selection import Selection
from frontierlab_widgets import elements
from frontierlab_widgets.panel import PANEL_LOCK, row
from frontierlab_widgets.time_fields import TimeFields

__all__ = ["CACHED", "SelectionFields"]

_LEVELS = ("db", "schema", "nodefullpath")
_NAMES = {"db": "database", "schema": "schema", "nodefullpath": "folder"}
_STYLE = {"description_width": "initial"}
_TASKS = 50
# ipywidgets takes None for no choice
_ALL = ""
CACHED: dict[str, bool | None] = {"cached or not": None, "cached": True, "not cached": False}
"""The choices of cached queries, by label."""


class SelectionFields(elements.VBox):
    """Widgets that show and change the selection of a panel.

    Each widget offers what the catalogue and the dataset have within the choices before it, with the number of queries
    in the dataset.

    Parameters
    ----------
    panel
        The panel with the selection.
    folders_only
        Leave out tasks and whether queries were cached; a selection of these is shown as text and still applies.

    Attributes
    ----------
    contents : dict or None
        What is offered; None for nothing.
    """

    def __init__(self, panel: Any, *, folders_only: bool = False) -> None:
        super().__init__()
        self.contents: dict[str, pd.DataFrame] | None = None
        self._panel = panel
        self._following = False
        self._pickers = {
            level: elements.Dropdown(description=name, options=[("all", _ALL)], style=_STYLE, layout=_wide(level))
            for level, name in _NAMES.items()
        }
        self._cached = elements.Dropdown(
            description="queries", options=[*CACHED], style=_STYLE, layout=elements.field_layout("190px")
        )
        self._time_fields = TimeFields(panel)
        self._times = self._time_fields.fields
        self._search = elements.Text(
            description="find a task", placeholder="number or name", style=_STYLE, layout=elements.field_layout("260px")
        )
        self._tasks = elements.SelectMultiple(
            description="tasks",
            options=[],
            rows=4,
            style=_STYLE,
            layout=elements.field_layout("560px"),
            tooltip="none chosen is all",
        )
        self._words = elements.HTML()
        for level, picker in self._pickers.items():
            picker.observe(lambda change, level=level: self._picked(level, change["new"]), "value")
        self._cached.observe(lambda change: self._change(cached=CACHED[change["new"]]), "value")
        self._search.observe(lambda _: self._panel.guarded(self._offer_tasks), "value")
        self._tasks.observe(lambda change: self._change(taskid=change["new"] or None), "value")
        panel.observe(lambda _: self._panel.guarded(self._follow), "selection")
        others = [] if folders_only else [self._cached]
        self.children = [
            row(*self._pickers.values(), *others, *self._time_fields.views),
            *([] if folders_only else [row(self._search, self._tasks)]),
            self._words,
        ]
        self._follow()

    def forget(self) -> None:
        """Forget the contents of the previous dataset."""
        self.contents = None
        self._follow()

    def offer(self, contents: dict[str, pd.DataFrame]) -> None:
        """Offer ``folders`` and ``tasks``, as `fl.contents` returns them; null ``queries`` are unknown."""
        if contents is not self.contents:
            self.contents = contents
            self._follow()

    def clear(self) -> None:
        """Clear all choices and the text in the fields."""
        self._time_fields.forget()
        self._panel.selection = Selection()
        self._follow()

    def _change(self, **changes: Any) -> None:
        with PANEL_LOCK:
            if not self._following:
                self._panel.guarded(lambda: setattr(self._panel, "selection", self._panel.selection.but(**changes)))

    def _picked(self, level: str, value: Any) -> None:
        below = _LEVELS[_LEVELS.index(level) + 1 :]
        self._change(**{level: value or None}, **dict.fromkeys(below))

    def _follow(self) -> None:
        """Show the selection, and offer alternatives."""
        with PANEL_LOCK:
            self._show()

    def _show(self) -> None:
        selection = self._panel.selection
        self._following = True
        try:
            for level in _LEVELS:
                self._offer_level(level)
            self._cached.value = next(name for name, cached in CACHED.items() if cached is selection.cached)
            self._time_fields.follow()
            self._offer_tasks()
        finally:
            self._following = False
        words = selection.in_words()
        self._words.value = f'<span class="frontierlab-quiet">Selected: {escape(words or "all queries")}</span>'

    def _offer_level(self, level: str) -> None:
        picked = getattr(self._panel.selection, level)
        value = _ALL if picked is None else picked[0] if len(picked) == 1 else picked
        options: dict[Any, str] = {_ALL: "all"}
        if self.contents is not None:
            found = self.contents["folders"]
            for above in _LEVELS[: _LEVELS.index(level)]:
                if getattr(self._panel.selection, above) is not None:
                    found = found[found[above].isin(list(getattr(self._panel.selection, above)))]
            counts = found[found[level].notna()].groupby(level)["queries"].sum().sort_index()
            known = found["queries"].notna().any()
            options |= {str(name): f"{name} ({count:,})" if known else str(name) for name, count in counts.items()}
        options.setdefault(value, ", ".join(map(str, value)) if isinstance(value, tuple) else str(value))
        shown = [(text, name) for name, text in options.items()]
        if [*self._pickers[level].options] != shown:
            self._pickers[level].options = shown
        self._pickers[level].value = value

    def _offer_tasks(self) -> None:
        picked = self._panel.selection.taskid or ()
        found = (
            pd.DataFrame({"taskid": [], "taskname": [], "queries": []})
            if self.contents is None
            else (self.contents["tasks"])
        )
        names = found["taskid"].astype("string") + " " + found["taskname"].astype("string").fillna("")
        words = self._search.value.lower().split()
        match = pd.Series(True, index=found.index)
        for word in words:
            match &= names.str.lower().str.contains(word, regex=False)
        rows: Iterable[Any] = found[match].head(_TASKS).itertuples()
        options = {int(row.taskid): _task(row) for row in rows}
        for task in picked:
            options.setdefault(task, str(task))
        following, self._following = self._following, True
        try:
            self._tasks.options = [(text, task) for task, text in options.items()]
            self._tasks.value = tuple(picked)
        finally:
            self._following = following


def _task(row: Any) -> str:
    name = "" if pd.isna(row.taskname) else f" {row.taskname}"
    return f"{int(row.taskid)}{name} ({int(row.queries):,})"


def _wide(level: str) -> Layout:
    return elements.field_layout({"db": "230px", "schema": "360px", "nodefullpath": "420px"}[level])
