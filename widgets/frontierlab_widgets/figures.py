"""Bokeh figures in a panel."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bokeh
import ipywidgets as widgets
from bokeh.document import Document
from bokeh.layouts import column
from bokeh.models import Axis, Grid, Legend, Plot, Text, Title
from bokeh.models.annotations import ColorBar, Label
from IPython.display import Javascript, display
from jupyter_bokeh import BokehModel

__all__ = ["Figures", "darken", "load_bokeh"]

_LIGHT, _LINE, _GROUND = "#dddddd", "#777777", "#1e1e1e"


class _View(BokehModel):
    """A `BokehModel` that can be closed more than once, as widgets are at the end of Python."""

    def close(self) -> None:
        if self.comm is not None:
            super().close()


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
        page = column(list(figures), sizing_mode="stretch_width")
        if dark:
            darken(page)
        Document().add_root(page)
        if self._view is None:
            self._view = _View(page, layout=widgets.Layout(width="100%"))
            self.children = [self._view]
        else:
            # as a new model would do, and the page draws anew what it has a view of; after a reload too
            self._view.update_from_model(page)

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
