"""A box with a title that the user can close."""

from __future__ import annotations

from html import escape

import ipywidgets as widgets

from frontierlab_widgets.panel import row

__all__ = ["ClosableBox"]


class ClosableBox(widgets.VBox):
    """A title, a button that closes the box, and the content below. The box is closed at first.

    Attributes
    ----------
    button : Button
        Closes the box; the panel adds the action (see `Panel.click`).
    content : VBox
        The content; it can be greyed, but the button always works.
    """

    def __init__(self) -> None:
        self._title = widgets.HTML()
        self.button = widgets.Button(description="Close", icon="times", tooltip="Close this box")
        self.content = widgets.VBox()
        super().__init__([row(self._title, self.button), self.content])
        self.shut()

    @property
    def is_open(self) -> bool:
        """Whether the box is open."""
        return bool(self.layout.display != "none")

    def show(self, title: str, shown: widgets.Widget) -> None:
        """Open the box and show a widget in it."""
        self._title.value = f"<b>{escape(title)}</b>"
        self.content.children = [shown]
        self.layout.display = ""

    def shut(self) -> None:
        """Close the box."""
        self.layout.display = "none"
