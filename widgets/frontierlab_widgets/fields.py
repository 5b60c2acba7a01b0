"""A field of a panel, which says below itself what is wrong with its value."""

from __future__ import annotations

from html import escape

import ipywidgets as widgets

__all__ = ["Field"]

_INVALID = "frontierlab-invalid"


class Field(widgets.VBox):
    """A widget with a value, and below it the sentence that says why the value is not valid.

    Parameters
    ----------
    widget
        What the user types into or chooses from.
    """

    def __init__(self, widget: widgets.Widget) -> None:
        self.widget = widget
        self._told = widgets.HTML(layout=widgets.Layout(display="none"))
        super().__init__([widget, self._told])
        self.add_class("frontierlab-field")

    @property
    def label(self) -> str:
        """What the page calls it."""
        return str(getattr(self.widget, "description", ""))

    def mark(self, sentence: str) -> None:
        """Show in the page why the value is not valid; an empty sentence takes the mark away."""
        self._told.value = f'<span role="alert">{escape(sentence)}</span>' if sentence else ""
        self._told.layout.display = "" if sentence else "none"
        if sentence:
            self.add_class(_INVALID)
        else:
            self.remove_class(_INVALID)
