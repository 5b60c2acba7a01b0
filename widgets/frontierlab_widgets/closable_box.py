"""A box with a title that the user can close."""

from __future__ import annotations

from html import escape

from ipywidgets import Widget

from frontierlab_widgets import elements
from frontierlab_widgets.panel import row

__all__ = ["ClosableBox"]


class ClosableBox(elements.VBox):
    """A title, a button that closes the box, and the content below. The box is closed at first.

    Attributes
    ----------
    button : Button
        Closes the box; the panel adds the action (see `Panel.click`).
    content : VBox
        The content; it can be greyed, but the button always works.
    """

    def __init__(self) -> None:
        self._title = elements.HTML()
        self.button = elements.Button(description="Close", icon="times", tooltip="Close this box")
        self.content = elements.VBox()
        super().__init__([row(self._title, self.button), self.content])
        self.shut()

    @property
    def is_open(self) -> bool:
        """Whether the box is open."""
        return elements.is_shown(self)

    def show(self, title: str, shown: Widget) -> None:
        """Open the box and show a widget in it."""
        self._title.value = f"<b>{escape(title)}</b>"
        self.content.children = [shown]
        elements.show(self, True)

    def shut(self) -> None:
        """Close the box."""
        elements.show(self, False)
