"""Bokeh figures in a panel."""

from __future__ import annotations

import functools
import json
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bokeh
import ipywidgets as widgets
from bokeh.core.serialization import UnknownReferenceError
from bokeh.document import Document
from bokeh.layouts import column
from bokeh.models import Axis, Grid, LayoutDOM, Plot, Text
from bokeh.models.annotations import ColorBar, Label, Legend, Title
from IPython.display import Javascript, display
from jupyter_bokeh import BokehModel

__all__ = ["Figures", "darken", "load_bokeh"]

_FORMER = 8  # figures that the page may still speak of after they were replaced
_LIGHT, _LINE, _GROUND = "#dddddd", "#777777", "#1e1e1e"


_UNDERSTOOD = ("ModelChanged", "ColumnsStreamed", "ColumnsPatched", "MessageSent")
"""What the page can say of figures that has a meaning here."""


class _View(BokehModel):
    """A `BokehModel` whose figures are replaced by others, and that can be closed more than once.

    The page learns of new figures a moment later than we do: what it says of the former ones until then (sizes, ranges,
    and that it removes them) comes late, and `BokehModel` would fail at it, for it knows the new ones alone.
    """

    def __init__(self, model: LayoutDOM, **traits: Any) -> None:
        self._former: deque[set[str]] = deque(maxlen=_FORMER)
        super().__init__(model, **traits)

    def replace(self, model: LayoutDOM) -> None:
        """Show other figures, in a document of their own; the page draws anew whatever it has a view of."""
        self._former.append({str(one.id) for one in self._model.references()})
        self.update_from_model(model)

    def close(self) -> None:
        """Take the figures away."""
        if self.comm is not None:
            super().close()

    def _sync_model(self, view: BokehModel, content: dict[str, Any], buffers: list[Any]) -> None:
        if content.get("kind") not in _UNDERSTOOD:
            return  # such as that the page removes former figures
        try:
            super()._sync_model(view, content, buffers)
        except UnknownReferenceError as error:
            if not any(error.id in ids for ids in self._former):
                raise


class Figures(widgets.VBox):
    """Figures one below the other, in one document.

    There is one view for all that is ever shown: a new one each time would stay in the browser's memory.
    """

    def __init__(self) -> None:
        super().__init__(layout=widgets.Layout(width="100%"))
        self._view: _View | None = None

    def show(self, figures: Sequence[Any], *, dark: bool) -> None:
        """Show other figures.

        Parameters
        ----------
        figures
            New ones: they become part of this document.
        dark
            Whether the page's theme is dark.
        """
        self.layout.display = ""
        page = column(list(figures), sizing_mode="stretch_width")
        if dark:
            darken(page)
        Document().add_root(page)
        if self._view is None:
            self._view = _View(page, layout=widgets.Layout(width="100%"))
            self.children = [self._view]
        else:
            self._view.replace(page)

    def hide(self) -> None:
        """Take the figures out of sight until others are shown."""
        self.layout.display = "none"

    def close(self) -> None:
        """Take the figures away."""
        if self._view is not None:
            self._view.close()
        super().close()


def darken(page: Any) -> None:
    """Give figures the colours of a dark page: ground, axes, grids, titles, legends and texts. They are changed."""
    for model in page.references():
        if isinstance(model, Plot):
            model.background_fill_color = model.border_fill_color = _GROUND
            model.outline_line_color = _LINE
        elif isinstance(model, Axis):
            model.axis_line_color = model.major_tick_line_color = _LINE
            model.axis_label_text_color = model.major_label_text_color = _LIGHT
            if model.minor_tick_line_color is not None:
                model.minor_tick_line_color = _LINE
        elif isinstance(model, Grid):
            model.grid_line_alpha = 0.2
        elif isinstance(model, Title | Label | Text):
            model.text_color = _LIGHT
        elif isinstance(model, Legend):
            model.background_fill_color, model.label_text_color = _GROUND, _LIGHT
        elif isinstance(model, ColorBar):
            model.background_fill_color, model.title_text_color = _GROUND, _LIGHT
            model.major_label_text_color = _LIGHT


@functools.cache
def _bokeh() -> str:
    folder = Path(bokeh.__file__).parent / "server" / "static" / "js"
    return (folder / "bokeh.min.js").read_text(encoding="utf-8")


def load_bokeh() -> None:
    """Bring BokehJS into the page, where it is not there yet; figures in panels need it before they are drawn.

    It stands in the output of the cell, before the panel, so that it is there again after a reload of the page.
    """
    text = json.dumps(_bokeh()).replace("</", "<\\/")
    code = f"const s = document.createElement('script'); s.text = {text}; document.head.append(s);"
    display(Javascript(f"if (!window.Bokeh) {{ {code} }}"))  # type: ignore[no-untyped-call]
