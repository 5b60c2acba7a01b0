"""Tabs: a bar with titles, and the pages of which it shows one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import traitlets
from ipywidgets import Layout, Widget

from frontierlab_widgets import elements
from frontierlab_widgets.drawn_by_page import DrawnByPage

__all__ = ["TabBar", "Tabs"]

_STATIC = Path(__file__).parent / "static"


class TabBar(DrawnByPage):
    """A bar of titles, one of which is chosen, by mouse or keyboard.

    The tabs of ipywidgets do nothing after a reload of the page if they are below other cells of a long notebook.

    Parameters
    ----------
    titles
        The titles.
    label
        What the bar chooses, for screen readers.

    Attributes
    ----------
    value : str
        The chosen title.
    """

    _esm = _STATIC / "tabs.js"
    _css = _STATIC / "tabs.css"

    titles: traitlets.List[str] = traitlets.List().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    value = traitlets.Unicode().tag(sync=True)

    def __init__(self, titles: Sequence[str], label: str) -> None:
        super().__init__(titles=[*titles], label=label, value=titles[0])


class Tabs(elements.VBox):
    """A bar of titles, and the page of the chosen one below it.

    Parameters
    ----------
    pages
        The pages by title; None is for one that `fill` brings later.
    label
        What the bar chooses, for screen readers.

    Attributes
    ----------
    bar : TabBar
        The bar.
    """

    def __init__(self, pages: Mapping[str, Widget | None], label: str) -> None:
        self.bar = TabBar([*pages], label)
        self._boxes = {
            title: elements.VBox([] if page is None else [page], layout=_page_layout()) for title, page in pages.items()
        }
        for box in self._boxes.values():
            box.add_class("frontierlab-page")
        self.bar.observe(self._show, "value")
        super().__init__([self.bar, *self._boxes.values()], layout=_page_layout())
        self._show()

    def fill(self, title: str, page: Widget) -> None:
        """Show a page below its title."""
        self._boxes[title].children = [page]

    def take_out(self, title: str) -> None:
        """Remove a page, because it is shown elsewhere."""
        box = self._boxes.pop(title)
        box.children = []
        self.bar.titles = [*self._boxes]
        self.children = [self.bar, *self._boxes.values()]
        self._show()

    def _show(self, _: object = None) -> None:
        for title, box in self._boxes.items():
            elements.show(box, title == self.bar.value)


def _page_layout() -> Layout:
    return elements.layout(width="100%", overflow="visible")
