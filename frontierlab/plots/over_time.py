"""Figures over time: queries, bytes and long queries (plots 7, 10, 15, 16)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from frontierlab.filters.top import unnamed
from frontierlab.plots.drawing import Drawing, as_plot, nothing
from frontierlab.plots.stepped import Line, over_time
from frontierlab.plots.style import CACHED_SERIES, COLOURS, Scale, check_frame, known, words_of

__all__ = [
    "bytes_over_time",
    "long_queries_per_node",
    "long_queries_per_schema",
    "queries_over_time",
]

_DASHES = ("solid", "dashed", "dashdot")


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
    lines = [Line("kB", "size of the answers, not cached", COLOURS[1])]
    return _drawn(frame, lines, "Response size over time", "kB in {bin}", "kB", selection, scale)


@as_plot
def long_queries_per_schema(frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto") -> Drawing:
    """Draw the long queries over time, one line per schema.

    See `frontierlab.plots` for the parameters.
    """
    return _long(frame, "long_queries_per_schema", ["db", "schema"], "schema", selection, scale)


@as_plot
def long_queries_per_node(frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto") -> Drawing:
    """Draw the long queries over time, one line per folder.

    See `frontierlab.plots` for the parameters.
    """
    return _long(frame, "long_queries_per_node", ["db", "schema", "nodefullpath"], "folder", selection, scale)


def _long(
    frame: pd.DataFrame, name: str, keys: Sequence[str], what: str, selection: str | None, scale: Scale
) -> Drawing:
    check_frame(frame, name, ["time", *keys, "part", "groups", "queries"])
    threshold = f"{frame.attrs.get('threshold_ms', 1000):,} ms"
    title = f"Long queries ({threshold} or more) per {what}"
    wide, lines = _apart(frame, keys)
    return _drawn(wide, lines, title, "long queries in {bin}", "queries", selection, scale)


def _apart(frame: pd.DataFrame, keys: Sequence[str]) -> tuple[pd.DataFrame, list[Line]]:
    """Return a frame with one column per group, and the lines of these columns."""
    # every bin has all groups, in the same order
    count = int((frame["time"] == frame["time"].iloc[0]).sum()) if len(frame) else 0
    heads = frame.iloc[:count]
    varying = [*(key for key in keys[:-1] if heads[key].nunique() > 1), keys[-1]]
    columns, lines = {"time": frame["time"].iloc[::count].array} if count else {}, []
    for place, row in enumerate(heads.to_dict("records")):
        named = " · ".join(str(row[key]) for key in varying if not pd.isna(row[key]))
        colour, dash = COLOURS[place % len(COLOURS)], _DASHES[place // len(COLOURS) % len(_DASHES)]
        lines.append(Line(f"s{place}", unnamed(row["part"], row["groups"]) or named, colour, dash))
        for suffix in ("", "_before"):
            if f"queries{suffix}" in frame:
                columns[f"s{place}{suffix}"] = frame[f"queries{suffix}"].iloc[place::count].array
    wide = pd.DataFrame(columns)
    wide.attrs = frame.attrs
    return wide, lines


def _drawn(
    frame: pd.DataFrame, lines: Sequence[Line], title: str, axis: str, unit: str, selection: str | None, scale: Scale
) -> Drawing:
    words = words_of(frame, selection)
    if frame.empty:
        return nothing(title, words)
    return over_time(frame, lines, title=title, words=words, axis=axis, unit=unit, scale=scale)
