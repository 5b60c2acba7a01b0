"""Bokeh figures in a panel."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import bokeh
import traitlets
from bokeh.core.json_encoder import serialize_json
from bokeh.core.serialization import Serializer, UnknownReferenceError
from bokeh.document import Document
from bokeh.layouts import column
from bokeh.models import Axis, ContinuousColorMapper, CrosshairTool, Grid, LayoutDOM, Plot, Text
from bokeh.models.annotations import ColorBar, Label, Legend, Title
from ipywidgets import Layout, widget_serialization
from jupyter_bokeh import BokehModel

from frontierlab.plots.drawing import Drawing, share_time
from frontierlab.plots.making import HEAT_IN_THE_DARK, make, update
from frontierlab.plots.style import TITLE_SIZE
from frontierlab_widgets import elements
from frontierlab_widgets.drawn_by_page import DrawnByPage
from frontierlab_widgets.shown_errors import PANEL_LOCK

__all__ = ["BokehFigures", "darken"]

_FORMER = 32  # replaced figures that the page may still send messages about
_GREY = {"opacity": "0.75", "filter": "grayscale(1)"}  # as in static/panel.css
_PLAIN = {"opacity": "1", "filter": "none"}  # said in full: BokehJS does not always undo a style that is taken away
_LIGHT, _LINE, _GROUND = "#dddddd", "#777777", "#1e1e1e"


_UNDERSTOOD = ("ModelChanged", "ColumnsStreamed", "ColumnsPatched", "MessageSent")
"""The kinds of messages from the page that are handled here."""


class _View(BokehModel):
    """A `BokehModel` whose figures can be replaced or changed, and that can be closed twice.

    The page learns of new figures a moment later than the kernel. Until then it sends messages about the replaced
    figures: sizes, ranges, and that they are removed. `BokehModel` knows only the new figures, so it would fail.

    ``render_bundle`` is what a page draws that shows the figures for the first time, and what is saved with a notebook.
    After a change of the figures `refresh` makes it anew. The ``tags`` of the layout count the changes, so that a page
    that has drawn them already does not draw the figures again (``static/bokeh.js``).
    """

    def __init__(self, model: LayoutDOM, **traits: Any) -> None:
        self._former: deque[set[str]] = deque(maxlen=_FORMER)
        self._held: list[Any] | None = None
        super().__init__(model, **traits)

    @property
    def page(self) -> Any:
        """The layout of the figures."""
        return self._model

    def replace(self, model: LayoutDOM) -> None:
        """Show other figures in a new document; the page redraws all its views."""
        self.forget(self._model)
        self.update_from_model(model)

    def forget(self, *models: LayoutDOM) -> None:
        """Ignore what the page may still say about figures that are removed."""
        if models:
            self._former.append({str(one.id) for model in models for one in model.references()})

    @contextmanager
    def one_patch(self) -> Iterator[None]:
        """Send all changes of figures within the block as one message; after an error, those until then."""
        events: list[Any] = []
        self._held = events
        try:
            yield
            if events:
                self._model.tags = [sum(self._model.tags) + 1]
        finally:
            self._held = None
            if events:
                self._send_patch(events)

    def refresh(self) -> None:
        """Make anew what other pages draw and what is saved with a notebook."""
        self.render_bundle = self._model_to_traits(self._model)

    def close(self) -> None:
        """Remove the figures."""
        if self.comm is not None:
            super().close()

    def _document_patched(self, event: Any) -> None:
        if event.setter is self:
            return
        if self._held is None:
            self._send_patch([event])
        else:
            self._held.append(event)

    def _send_patch(self, events: list[Any]) -> None:
        """Send changes in one message, with the arrays in its text.

        Bokeh's protocol has several messages. A page that begins to listen between them would take each part for
        another one from then on, and draw no change any more.
        """
        models = events[0].document.models
        serializer = Serializer(references=models.synced_references, deferred=False)
        content = serialize_json({"events": serializer.encode(events)})
        models.flush_synced(lambda model: not serializer.has_ref(model))
        self.send({"msg": "changes", "patch": content, "number": sum(self._model.tags)})

    def _sync_model(self, view: BokehModel, content: dict[str, Any], buffers: list[Any]) -> None:
        if content.get("kind") not in _UNDERSTOOD:
            return  # such as the removal of replaced figures
        try:
            with PANEL_LOCK:  # work changes the figures too
                super()._sync_model(view, content, buffers)
        except UnknownReferenceError as error:
            if not any(error.id in ids for ids in self._former):
                raise


class _Drawn(DrawnByPage):
    """Draws a `BokehModel`. A page that lacks BokehJS asks for it: in an output it would be saved with the notebook."""

    _esm = Path(__file__).parent / "static" / "bokeh.js"

    view = traitlets.Instance(BokehModel, allow_none=True).tag(sync=True, **widget_serialization)
    label = traitlets.Unicode().tag(sync=True)

    def __init__(self) -> None:
        super().__init__(layout=Layout(width="100%"))
        self.on_msg(self._send_bokehjs)

    def _send_bokehjs(self, _: Any, content: dict[str, Any], buffers: list[Any]) -> None:
        if content.get("ask") == "bokehjs":
            self.send({"bokehjs": bokeh.__version__}, [_bokehjs()])


class _Shown(NamedTuple):
    """A figure, and the drawing that it shows."""

    figure: Any
    drawing: Drawing

    def can_show(self, drawing: Drawing) -> bool:
        """Return whether the figure can be updated with a drawing."""
        return self.drawing.structure() == drawing.structure()


def _together(drawings: Mapping[str, Drawing | None]) -> dict[str, Drawing]:
    """Return the drawings that there are, with the same ends of the time axis."""
    there = {name: drawing for name, drawing in drawings.items() if drawing is not None}
    return dict(zip(there, share_time([*there.values()]), strict=True))


class BokehFigures(elements.VBox):
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
        super().__init__([self._drawn], layout=elements.layout(width="100%"))
        self.view: _View | None = None
        self._shown: dict[str, _Shown] = {}
        self._dark = False

    def show(self, figures: Sequence[Any], *, dark: bool) -> None:
        """Show other figures.

        Parameters
        ----------
        figures
            New figures: they become part of this document.
        dark
            Whether the page's theme is dark.
        """
        elements.show(self, True)
        self._shown = {}
        page = column(list(figures), sizing_mode="stretch_width")
        if dark:
            darken(page)
        Document().add_root(page)
        self._drawn.label = _label(figures)
        if self.view is None:
            self.view = self._drawn.view = _View(page, layout=elements.layout(width="100%"))
        else:
            self.view.replace(page)

    def draw(self, drawings: Mapping[str, Drawing | None], *, dark: bool, prepare: Callable[[Any], object]) -> None:
        """Show drawings. A figure that is shown already is updated if its drawing has the same structure.

        Those over time have one time axis and one crosshair. Call `refresh` when all is shown.

        Parameters
        ----------
        drawings
            The drawings by name, from top to bottom. None is for one that is still to come: its figure, if one is
            shown, stays as it is, and grey.
        dark
            Whether the page's theme is dark.
        prepare
            Called with each figure that is made.
        """
        elements.show(self, True)
        shown, self._shown = self._shown, {}  # after an error, the next figures are new ones
        if dark is not self._dark:
            shown = {}
        self._dark = dark
        there = _together(drawings)
        kept = {
            name: one
            for name, one in shown.items()
            if name in drawings and (name not in there or one.can_show(there[name]))
        }
        made = {name: _Shown(make(drawing), drawing) for name, drawing in there.items() if name not in kept}
        for one in made.values():
            prepare(one.figure)
        _share_time([*kept.values(), *made.values()])
        figures = {name: (kept | made)[name].figure for name in drawings if name in kept or name in made}
        if self.view is None or not kept:
            self.show([*figures.values()], dark=dark)
        else:
            if dark:
                for one in made.values():
                    darken(one.figure)
            self.view.forget(*(one.figure for name, one in shown.items() if name not in kept))
            self._update(kept, there, [*figures.values()])
        self._shown = {name: _Shown(figure, there.get(name) or kept[name].drawing) for name, figure in figures.items()}

    def _update(self, kept: Mapping[str, _Shown], drawings: Mapping[str, Drawing], figures: list[Any]) -> None:
        """Update the figures that have a drawing, and make the others grey; then show all `figures`."""
        assert self.view is not None
        with self.view.one_patch():
            for name, one in kept.items():
                if name not in drawings:
                    one.figure.styles = _GREY
                elif one.figure.styles:
                    one.figure.styles = _PLAIN
                if name in drawings and one.drawing is not drawings[name]:
                    update(one.figure, one.drawing, drawings[name])
            if figures != self.view.page.children:
                self.view.page.children = figures
        self._drawn.label = _label(figures)

    def refresh(self) -> None:
        """Let pages that show the figures for the first time, and saved notebooks, have what is shown now."""
        if self.view is not None:
            self.view.refresh()

    def hide(self) -> None:
        """Hide the figures until others are shown."""
        elements.show(self, False)

    def close(self) -> None:
        """Remove the figures."""
        if self.view is not None:
            self.view.close()
        self._drawn.close()
        super().close()


def _label(figures: Sequence[Any]) -> str:
    """Name figures for screen readers: their titles."""
    titles = [getattr(title.text, "text", title.text) for one in figures for title in _titles(one)]
    return "; ".join(str(title).replace("\n", " ") for title in titles if title)


def _titles(one: Any) -> Iterator[Title]:
    for title in getattr(one, "above", ()):
        if isinstance(title, Title) and title.text_font_size == TITLE_SIZE:
            yield title
    for child in getattr(one, "children", ()):
        yield from _titles(child)


def _share_time(shown: Sequence[_Shown]) -> None:
    """Give figures over time the time axis and the crosshair of the first of them."""
    timed = [one.figure for one in shown if one.drawing.x.kind == "datetime"]
    for plot in timed[1:]:
        if plot.x_range is not timed[0].x_range:
            plot.x_range, _crosshair(plot).overlay = timed[0].x_range, _crosshair(timed[0]).overlay


def _crosshair(plot: Any) -> Any:
    return next(tool for tool in plot.tools if isinstance(tool, CrosshairTool))


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
        elif isinstance(model, ContinuousColorMapper):
            model.palette = HEAT_IN_THE_DARK
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
