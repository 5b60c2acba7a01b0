"""Bokeh figures in a panel."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import bokeh
import ipywidgets as widgets
import traitlets
from bokeh.core.serialization import UnknownReferenceError
from bokeh.document import Document
from bokeh.layouts import column
from bokeh.models import Axis, Grid, LayoutDOM, Plot, Text
from bokeh.models.annotations import ColorBar, Label, Legend, Title
from jupyter_bokeh import BokehModel

__all__ = ["BokehFigures", "darken"]

_FORMER = 8  # replaced figures that the page may still send messages about
_LIGHT, _LINE, _GROUND = "#dddddd", "#777777", "#1e1e1e"


_UNDERSTOOD = ("ModelChanged", "ColumnsStreamed", "ColumnsPatched", "MessageSent")
"""The kinds of messages from the page that are handled here."""


class _View(BokehModel):
    """A `BokehModel` whose figures can be replaced, and that can be closed twice.

    The page learns of new figures a moment later than the kernel. Until then it sends messages about the replaced
    figures: sizes, ranges, and that they are removed. `BokehModel` knows only the new figures, so it would fail.
    """

    def __init__(self, model: LayoutDOM, **traits: Any) -> None:
        self._former: deque[set[str]] = deque(maxlen=_FORMER)
        super().__init__(model, **traits)

    def replace(self, model: LayoutDOM) -> None:
        """Show other figures in a new document; the page redraws all its views."""
        self._former.append({str(one.id) for one in self._model.references()})
        self.update_from_model(model)

    def close(self) -> None:
        """Remove the figures."""
        if self.comm is not None:
            super().close()

    def _sync_model(self, view: BokehModel, content: dict[str, Any], buffers: list[Any]) -> None:
        if content.get("kind") not in _UNDERSTOOD:
            return  # such as the removal of replaced figures
        try:
            super()._sync_model(view, content, buffers)
        except UnknownReferenceError as error:
            if not any(error.id in ids for ids in self._former):
                raise


class _Drawn(anywidget.AnyWidget):
    """Draws a `BokehModel`. A page that lacks BokehJS asks for it: in an output it would be saved with the notebook."""

    _esm = Path(__file__).parent / "static" / "bokeh.js"

    view = traitlets.Instance(BokehModel, allow_none=True).tag(sync=True, **widgets.widget_serialization)

    def __init__(self) -> None:
        super().__init__(layout=widgets.Layout(width="100%"))
        self.on_msg(self._send_bokehjs)

    def _send_bokehjs(self, _: Any, content: dict[str, Any], buffers: list[Any]) -> None:
        if content.get("ask") == "bokehjs":
            self.send({"bokehjs": bokeh.__version__}, [_bokehjs()])


class BokehFigures(widgets.VBox):
    """Figures one below the other, in one document.

    One view shows all figures in turn: a new view for each would stay in the browser's memory.

    Attributes
    ----------
    view : BokehModel or None
        What the page draws; None before the first figures.
    """

    def __init__(self) -> None:
        # in a box: the views of an anywidget do not follow changes of its CSS classes
        self._drawn = _Drawn()
        super().__init__([self._drawn], layout=widgets.Layout(width="100%"))
        self.view: _View | None = None

    def show(self, figures: Sequence[Any], *, dark: bool) -> None:
        """Show other figures.

        Parameters
        ----------
        figures
            New figures: they become part of this document.
        dark
            Whether the page's theme is dark.
        """
        self.layout.display = ""
        page = column(list(figures), sizing_mode="stretch_width")
        if dark:
            darken(page)
        Document().add_root(page)
        if self.view is None:
            self.view = self._drawn.view = _View(page, layout=widgets.Layout(width="100%"))
        else:
            self.view.replace(page)

    def hide(self) -> None:
        """Hide the figures until others are shown."""
        self.layout.display = "none"

    def close(self) -> None:
        """Remove the figures."""
        if self.view is not None:
            self.view.close()
        self._drawn.close()
        super().close()


def darken(page: Any) -> None:
    """Change figures to the colours of a dark page: background, axes, grids, titles, legends and texts."""
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
def _bokehjs() -> bytes:
    return (Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js").read_bytes()
