"""A drawing: what a figure shows, as plain values. `frontierlab.plots.making` makes a figure of it, or updates one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from frontierlab.plots.style import why_empty

__all__ = ["Axis", "Colours", "Drawing", "Mark", "nothing", "share_time"]


class Axis(NamedTuple):
    """An axis, from its start to its end.

    Parameters
    ----------
    label
        Its label.
    start, end
        Its ends.
    kind
        Its scale.
    form
        The format of its numbers, as Bokeh's ``NumeralTickFormatter`` has it; empty for Bokeh's own.
    ticks
        The places of its ticks; by default Bokeh chooses.
    names
        The texts of ticks, by place, instead of numbers.
    few
        Whether there should be few ticks.
    grid
        Whether it has a grid.
    """

    label: str
    start: float
    end: float
    kind: Literal["linear", "log", "datetime"] = "linear"
    form: str = ""
    ticks: Sequence[float] | None = None
    names: Mapping[int, str] | None = None
    few: bool = False
    grid: bool = True


class Colours(NamedTuple):
    """Numbers as colours: the column ``value`` of all marks, explained by a colour bar.

    Parameters
    ----------
    label
        The label of the colour bar.
    low, high
        The numbers of its ends.
    kind
        Its scale.
    """

    label: str
    low: float
    high: float
    kind: Literal["linear", "log"] = "linear"


class Mark(NamedTuple):
    """Marks of one kind: the rows of some data, drawn as steps, bars, dots or boxes.

    Parameters
    ----------
    kind
        The method of Bokeh's figure that draws them.
    data
        Columns by name. Marks with the same object have one source.
    look
        The arguments of the method: constants, and names of columns.
    muted
        Properties of the marks while they are muted, beside those in `look`.
    name
        What ``$name`` in hover texts is.
    """

    kind: str
    data: Mapping[str, Any]
    look: Mapping[str, Any]
    muted: Mapping[str, Any] = {}
    name: str = ""


@dataclass(frozen=True, eq=False)
class Drawing:
    """What a figure shows.

    Parameters
    ----------
    title, words
        The title, and below it the selection in words, with its line breaks.
    x, y
        The axes.
    height
        The height in pixels without the lines of `words` and, beyond the first, of the legend.
    marks
        What is drawn.
    legend
        Names, and for each the indices of the marks that a click on it mutes.
    hover
        The indices of the marks that the mouse meets.
    tips
        Lines of the hover text: names, and what stands beside them.
    bins
        Whether the marks that the mouse meets are bins: there is a line at the mouse, and without `colours` the mouse
        meets them above and below, too.
    brush
        Whether a range can be selected.
    band
        The ends of a shaded range.
    colours
        The numbers as colours; None if the marks have colours of their own.
    nothing
        Why nothing is drawn; empty if something is.
    """

    title: str
    words: str
    x: Axis
    y: Axis
    height: int
    marks: Sequence[Mark] = ()
    legend: Sequence[tuple[str, Sequence[int]]] = ()
    hover: Sequence[int] = ()
    tips: Sequence[tuple[str, str]] = ()
    bins: bool = False
    brush: bool = False
    band: tuple[float, float] | None = None
    colours: Colours | None = None
    nothing: str = field(default="", kw_only=True)

    def structure(self) -> tuple[Any, ...]:
        """Return what an update cannot change: drawings with equal structures have the same kinds of models."""
        places: dict[int, int] = {}
        return (
            bool(self.nothing),
            [(axis.kind, axis.form, axis.ticks is None, axis.few, axis.grid) for axis in (self.x, self.y)],
            [(m.kind, dict(m.look), dict(m.muted), places.setdefault(id(m.data), n)) for n, m in enumerate(self.marks)],
            [list(marks) for _, marks in self.legend],
            list(self.hover),
            self.bins,
            self.brush,
            self.band is None,
            None if self.colours is None else self.colours.kind,
        )


def nothing(title: str, words: str, reason: str = "") -> Drawing:
    """Return a drawing without data that gives the reason, by default that no query matches."""
    axis = Axis("", 0, 1)
    return Drawing(title, words, axis, axis, height=160, nothing=reason or why_empty(words))


def share_time(drawings: Sequence[Drawing]) -> list[Drawing]:
    """Return the same drawings; those over time have the same ends of the time axis, so that all data are inside."""
    timed = [one.x for one in drawings if one.x.kind == "datetime"]
    if not timed:
        return list(drawings)
    start, end = min(axis.start for axis in timed), max(axis.end for axis in timed)

    def shared(drawing: Drawing) -> Drawing:
        if drawing.x.kind != "datetime" or (drawing.x.start, drawing.x.end) == (start, end):
            return drawing
        return replace(drawing, x=drawing.x._replace(start=start, end=end))

    return [shared(one) for one in drawings]
