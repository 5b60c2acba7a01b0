"""The time of a selection as two fields, with a sentence below one that is not valid."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from frontierlab.errors import InvalidRequestError
from frontierlab.util.times import format_time, parse_time
from frontierlab_widgets import elements
from frontierlab_widgets.shown_errors import PANEL_LOCK

__all__ = ["TIMES", "TimeFields"]

TIMES = ("since", "until")
"""The fields, by name; their text can be invalid."""

_WITH_SECONDS = len("2026-10-01T12:30:00")
_EMPTY = {"since": "start of the data", "until": "end of the data"}
"""What an empty field means."""


class TimeFields:
    """The fields ``since`` and ``until`` of the selection of a panel.

    Parameters
    ----------
    panel
        The panel with the selection.
    width
        CSS width of a field.

    Attributes
    ----------
    fields : dict
        The text widgets by name.
    views : list
        What to show: the fields with room for a sentence.
    """

    def __init__(self, panel: Any, width: str = "260px") -> None:
        self._panel = panel
        self._following = False
        self._shown: dict[str, datetime | None] = {}
        self.fields = {name: _field(name, width) for name in TIMES}
        self.views = [panel.add_field(name, field) for name, field in self.fields.items()]
        for name, field in self.fields.items():
            field.observe(self._typed(name), "value")

    def follow(self) -> None:
        """Show the times of the selection; invalid text stays until the time changes."""
        with PANEL_LOCK:
            self._following = True
            try:
                for name in TIMES:
                    self._show(name, getattr(self._panel.selection, name))
            finally:
                self._following = False

    def forget(self) -> None:
        """Remove marks of invalid text."""
        for name in TIMES:
            self._panel.mark(name, "")

    def _show(self, name: str, moment: datetime | None) -> None:
        if name in self._panel.invalid and self._shown.get(name) == moment:
            return
        self._shown[name] = moment
        shown = "" if moment is None else format_time(moment).removesuffix("Z").removesuffix(".000")
        self.fields[name].value = shown[:-3] if len(shown) == _WITH_SECONDS and shown.endswith(":00") else shown
        self._panel.mark(name, "")

    def _typed(self, name: str) -> Callable[[Any], None]:
        def typed(_: Any) -> None:
            with PANEL_LOCK:
                if not self._following:
                    self._panel.guarded(lambda: self._take(name))

        return typed

    def _take(self, edited: str) -> None:
        """Read the times in the fields. An invalid time is marked at its field, and the selection stays."""
        times, problems = {}, dict.fromkeys(TIMES, "")
        for name, field in self.fields.items():
            try:
                times[name] = parse_time(field.value) if field.value.strip() else None
            except InvalidRequestError as error:
                problems[name] = str(error)
        try:
            selection = self._panel.selection.but(**times)
        except InvalidRequestError as error:  # since is not before until
            problems[edited] = problems[edited] or str(error)
            selection = self._panel.selection
        for name, problem in problems.items():
            self._panel.mark(name, problem)
        self._panel.selection = selection


def _field(name: str, width: str) -> elements.Text:
    return elements.Text(
        description=f"{name} (UTC)",
        tooltip=f"Such as 2026-10-01T12:30, in UTC; empty is the {_EMPTY[name]}",
        placeholder=_EMPTY[name],
        continuous_update=False,
        style={"description_width": "initial"},
        layout=elements.field_layout(width),
    )
