"""Figures made from drawings, and updated by others.

`make` builds the models that the drawing's structure needs, and fills in everything else; `update` only fills. So a
figure that was updated equals one that was made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Literal, ParamSpec, Protocol, cast

import numpy as np
from bokeh.core.properties import value
from bokeh.events import SelectionGeometry
from bokeh.models import (
    BoxSelectTool,
    ColumnDataSource,
    CrosshairTool,
    CustomJS,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    LogColorMapper,
    NumeralTickFormatter,
    Range1d,
)
from bokeh.models.annotations import BoxAnnotation, ColorBar, Label, LegendItem, Span, Title
from bokeh.palettes import viridis
from bokeh.plotting import figure
from bokeh.transform import transform

from frontierlab.plots.drawing import Axis, Colours, Drawing
from frontierlab.plots.style import (
    LINE,
    legend_columns,
    legend_height,
    new_figure,
    plain,
    short,
    time_formatter,
    wrapped,
)

__all__ = ["HEAT", "HEAT_IN_THE_DARK", "PlotFunction", "as_plot", "dress_axis", "fill_axis", "make", "update"]

P = ParamSpec("P")

HEAT_IN_THE_DARK: tuple[str, ...] = tuple(viridis(64))
"""The colours of numbers on a dark page, from the lowest to the highest; they are told apart without red and green."""

HEAT: tuple[str, ...] = HEAT_IN_THE_DARK[::-1]
"""The colours of numbers on a light page: the highest is the darkest."""

_SAY_RANGE = """
    if (cb_obj.final && cb_obj.geometry.type == "rect") {
        const at = (ms) => new Date(ms).toISOString().replace("Z", "")
        title.text = `selected: since="${at(cb_obj.geometry.x0)}", until="${at(cb_obj.geometry.x1)}" (UTC)`
        title.visible = true
    }
"""


class PlotFunction(Protocol[P]):
    """A plot function: a call returns a new figure, and ``drawing`` what that figure shows."""

    __name__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> figure:
        """Draw a frame."""
        ...

    def drawing(self, *args: P.args, **kwargs: P.kwargs) -> Drawing:
        """Return what the figure of a frame shows, after the same checks."""
        ...


def as_plot(describe: Callable[P, Drawing]) -> PlotFunction[P]:
    """Make a plot function from a function that returns a drawing."""

    @wraps(describe)
    def draw(*args: P.args, **keywords: P.kwargs) -> figure:
        return make(describe(*args, **keywords))

    draw.__annotations__ = {**describe.__annotations__, "return": "figure"}
    draw.drawing = describe  # type: ignore[attr-defined]
    return cast("PlotFunction[P]", draw)


def make(drawing: Drawing) -> figure:
    """Return a new figure of a drawing."""
    kinds = {"x_axis_type": drawing.x.kind, "y_axis_type": drawing.y.kind}
    plot = new_figure(drawing.title, "", **kinds, x_range=Range1d(), y_range=Range1d())
    # long names in one figure take no room from the others
    plot.frame_align = drawing.x.kind == "datetime" and drawing.y.names is None
    if drawing.nothing:
        plot.xaxis.visible = plot.yaxis.visible = plot.grid.visible = plot.toolbar.visible = False
        plot.add_layout(Label(x=0.5, y=0.5, text_align="center", text_baseline="middle"))
    for axis, line, grid in ((drawing.x, plot.xaxis[0], plot.xgrid[0]), (drawing.y, plot.yaxis[0], plot.ygrid[0])):
        dress_axis(axis, line, grid)
    colour = (
        {} if drawing.colours is None else {"fill_color": transform("value", _add_colour_bar(plot, drawing.colours))}
    )
    sources: dict[int, ColumnDataSource] = {}
    for mark in drawing.marks:
        source = sources.setdefault(id(mark.data), ColumnDataSource(dict(mark.data)))
        renderer = getattr(plot, mark.kind)(source=source, **mark.look, **colour)
        renderer.muted_glyph.update(**mark.muted)
    drawn = plot.renderers
    if drawing.legend:
        plot.above[0].items = [LegendItem(renderers=[drawn[n] for n in marks]) for _, marks in drawing.legend]
    if drawing.hover:
        mode: Literal["vline", "mouse"] = "vline" if drawing.bins and drawing.colours is None else "mouse"
        tool = HoverTool(renderers=[drawn[n] for n in drawing.hover], mode=mode)
        if drawing.colours is not None:
            tool.formatters = {"@left": "datetime", "@right": "datetime"}
        plot.add_tools(tool)
    if drawing.bins:
        plot.add_tools(CrosshairTool(overlay=Span(dimension="height", line_alpha=0.3)))
    if drawing.band is not None:
        plot.add_layout(BoxAnnotation(fill_alpha=0.1, fill_color="#888888", line_color=None))
    if drawing.brush:
        selected = Title(text_font_style="normal", text_font_size="12px")
        plot.add_layout(selected, "above")
        plot.js_on_event(SelectionGeometry, CustomJS(args={"title": selected}, code=_SAY_RANGE))
        plot.add_tools(BoxSelectTool(dimensions="width", persistent=True))
    _fill(plot, drawing)
    return cast("figure", plot)


def _add_colour_bar(plot: Any, colours: Colours) -> Any:
    """Add a colour bar below a figure, and return what makes colours of numbers."""
    mapper = (LogColorMapper if colours.kind == "log" else LinearColorMapper)(palette=HEAT)
    form = NumeralTickFormatter(format="0,0[.]0")
    bar = ColorBar(color_mapper=mapper, formatter=form, orientation="horizontal", height=10, padding=4, margin=0)
    bar.update(title_text_font_style="normal", title_text_font_size="12px", major_label_text_font_size="12px")
    plot.add_layout(bar, "below")
    return mapper


def update(plot: figure, former: Drawing, drawing: Drawing) -> bool:
    """Change a figure into that of another drawing, and return True; or return False and leave it unchanged.

    What the user did to the figure in the page, such as a zoom, is undone, as in a new figure.

    Parameters
    ----------
    plot
        The figure.
    former
        The drawing that it was made from or last updated with.
    drawing
        What it shows from now on. It must have the structure of the former drawing.
    """
    if former.structure() != drawing.structure():
        return False
    _fill(plot, drawing)
    return True


def dress_axis(axis: Axis, line: Any, grid: Any) -> None:
    """Give an axis and its grid what an update cannot change."""
    if axis.kind == "datetime":
        line.formatter = time_formatter()
    elif axis.form:
        line.formatter = NumeralTickFormatter(format=axis.form)
    if axis.ticks is not None:
        line.ticker = FixedTicker()
    elif axis.few:
        line.ticker.desired_num_ticks = 4
    if not axis.grid:
        grid.grid_line_color = None


def _fill(plot: Any, drawing: Drawing) -> None:
    """Set everything that the structure leaves open; what is equal already is not sent to a page."""
    legend, words, title, *selected = plot.above
    names, lines = [name for name, _ in drawing.legend], wrapped(drawing.words)
    plot.height = drawing.height + LINE * len(lines) + legend_height(names)
    title.text = drawing.title
    words.text = plain("\n".join(lines))
    for one in selected:
        one.update(text="", visible=False)
    fill_axis(plot.xaxis[0], plot.x_range, drawing.x)
    fill_axis(plot.yaxis[0], plot.y_range, drawing.y)
    for renderer, mark in zip(plot.renderers, drawing.marks, strict=True):
        renderer.muted = False
        renderer.data_source.selected.indices = []
        _fill_source(renderer.data_source, mark.data)
        if mark.name:
            renderer.name = mark.name
    if drawing.colours is not None:
        (bar,) = (one for one in plot.below if isinstance(one, ColorBar))
        bar.title = plain(drawing.colours.label)
        bar.color_mapper.update(low=drawing.colours.low, high=drawing.colours.high)
    for item, (name, _) in zip(legend.items, drawing.legend, strict=True):
        item.label = value(short(name))
    legend.ncols = legend_columns(names)
    for tool in plot.tools:
        if isinstance(tool, HoverTool):
            tool.tooltips = list(drawing.tips)
    for part in plot.center:
        if isinstance(part, BoxAnnotation) and drawing.band is not None:
            part.left, part.right = drawing.band
        elif isinstance(part, Label):
            part.text = drawing.nothing


def fill_axis(line: Any, range_: Range1d, axis: Axis) -> None:
    """Set the ends of a range, and the label and ticks of an axis; its kind and format stay."""
    ends = {"start": float(axis.start), "end": float(axis.end)}
    range_.update(**ends, reset_start=ends["start"], reset_end=ends["end"])  # the reset tool goes there, too
    line.axis_label = axis.label
    if axis.ticks is not None and list(line.ticker.ticks) != list(axis.ticks):
        line.ticker.ticks = list(axis.ticks)
    line.major_label_overrides = {place: plain(short(name)) for place, name in (axis.names or {}).items()}


def _fill_source(source: ColumnDataSource, data: Mapping[str, Any]) -> None:
    former = source.data
    if former.keys() != data.keys() or not all(_equal(former[name], data[name]) for name in data):
        source.data = dict(data)


def _equal(former: Any, latter: Any) -> bool:
    if isinstance(former, np.ndarray) and isinstance(latter, np.ndarray):
        return former.dtype == latter.dtype and np.array_equal(former, latter, equal_nan=former.dtype.kind == "f")
    return type(former) is type(latter) and bool(former == latter)
