"""Figures over time: queries, bytes and long queries (plots 7, 10, 15, 16)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from frontierlab.plots.drawing import Drawing, nothing
from frontierlab.plots.heatmap import Form
from frontierlab.plots.making import as_plot
from frontierlab.plots.series import Number, groups_over_time
from frontierlab.plots.stepped import Line, over_time
from frontierlab.plots.style import CACHED_SERIES, COLOURS, Scale, check_frame, format_number, is_log, known, words_of

__all__ = [
    "bytes_over_time",
    "long_queries_per_node",
    "long_queries_per_schema",
    "queries_over_time",
]

_SIZES = (("GB", 1e6), ("MB", 1e3), ("kB", 1.0))  # units of an axis, the largest first, in kB


@as_plot
def queries_over_time(frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto") -> Drawing:
    """Draw the queries over time, cached and not.

    See `frontierlab.plots` for the parameters.
    """
    check_frame(frame, "queries_over_time", ["time", *(one.column for one in CACHED_SERIES)])
    lines = [Line(one.column, one.name, one.colour) for one in known(CACHED_SERIES, frame)]
    return _drawn(frame, lines, "Queries over time", "queries in {bin}", "queries", selection, scale)


@as_plot
def bytes_over_time(frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto") -> Drawing:
    """Draw the response sizes over time, of queries that were not cached.

    See `frontierlab.plots` for the parameters.
    """
    check_frame(frame, "bytes_over_time", ["time", "bytes", "kB"])
    lines = [Line("size", "size of the answers, not cached", COLOURS[1])]
    frame, unit = _in_large_unit(frame, scale)
    return _drawn(frame, lines, "Response size over time", f"{unit} in {{bin}}", unit, selection, scale)


@as_plot
def long_queries_per_schema(
    frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto", form: Form = "lines"
) -> Drawing:
    """Draw the long queries over time, one line per schema.

    See `frontierlab.plots` for the parameters.
    """
    return _long(frame, "long_queries_per_schema", "schema", selection, scale, form)


@as_plot
def long_queries_per_node(
    frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto", form: Form = "lines"
) -> Drawing:
    """Draw the long queries over time, one line per folder.

    See `frontierlab.plots` for the parameters.
    """
    return _long(frame, "long_queries_per_node", "folder", selection, scale, form)


def _long(frame: pd.DataFrame, name: str, group: str, selection: str | None, scale: Scale, form: Form) -> Drawing:
    threshold = f"{frame.attrs.get('threshold_ms', 1000):,} ms"
    title = f"Long queries ({threshold} or more) per {group}"
    number = Number("queries", "long queries in {bin}", "queries")
    return groups_over_time(frame, name, group, number, title=title, selection=selection, scale=scale, form=form)


def _in_large_unit(frame: pd.DataFrame, scale: Scale) -> tuple[pd.DataFrame, str]:
    """Add the column ``size``: kB in the unit of the axis, with kB as hover texts; return that unit, too."""
    columns = [name for name in ("kB", "kB_before") if name in frame]
    numbers = frame[columns].to_numpy(dtype="float64", na_value=np.nan)
    numbers = numbers[numbers > 0]
    # the ticks of a logarithmic axis begin at the lowest value
    reached = 0.0 if not len(numbers) else numbers.min() if is_log(frame[columns], scale) else numbers.max()
    unit, size = next((one for one in _SIZES if reached >= one[1]), _SIZES[-1])
    added: dict[str, Any] = {}
    for name in columns:
        new = name.replace("kB", "size")
        added |= {new: frame[name] / size, f"{new}_text": [format_number(one, "kB") for one in frame[name]]}
    return frame.assign(**added), unit


def _drawn(
    frame: pd.DataFrame, lines: Sequence[Line], title: str, axis: str, unit: str, selection: str | None, scale: Scale
) -> Drawing:
    words = words_of(frame, selection)
    if frame.empty:
        return nothing(title, words)
    return over_time(frame, lines, title=title, words=words, axis=axis, unit=unit, scale=scale)
