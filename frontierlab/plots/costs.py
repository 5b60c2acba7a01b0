"""Figures of costs: shares of the queries, bytes, database time, query time and failures."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from frontierlab.plots.drawing import Drawing
from frontierlab.plots.grouped import grouped
from frontierlab.plots.making import as_plot
from frontierlab.plots.style import COLOURS, Series, check_frame, task_labels, words_of

__all__ = [
    "cost_per_node",
    "cost_per_schema",
    "cost_per_server",
    "cost_per_site",
    "cost_per_squid",
    "cost_per_tag",
    "cost_per_task",
]

_COSTS = (
    Series("queries", "queries", COLOURS[0], "circle"),
    Series("bytes", "bytes", COLOURS[1], "square"),
    Series("dbtime_ms", "database time (ms)", COLOURS[2], "triangle"),
    Series("querytime_ms", "query time (ms)", COLOURS[4], "inverted_triangle"),
    Series("failures", "failures", COLOURS[3], "diamond"),
)
_COUNTED_LATER = ("querytime_ms",)  # overviews and frames of earlier versions lack it


@as_plot
def cost_per_task(frame: pd.DataFrame, *, selection: str | None = None, top: int = 20) -> Drawing:
    """Draw each task's share of the queries, bytes, database time, query time and failures.

    See `frontierlab.plots` for the parameters.
    """
    check_frame(frame, "cost_per_task", ["taskid", "taskname"])
    named = frame.assign(task=task_labels(frame))
    named.attrs = frame.attrs
    return _costs(named, ["task"], "cost_per_task", "Cost of each task", selection, top)


@as_plot
def cost_per_server(frame: pd.DataFrame, *, selection: str | None = None, top: int = 20) -> Drawing:
    """Draw each server's share of the queries, bytes, database time, query time and failures.

    See `frontierlab.plots` for the parameters.
    """
    return _costs(frame, ["frontierserver"], "cost_per_server", "Cost at each server", selection, top)


@as_plot
def cost_per_site(frame: pd.DataFrame, *, selection: str | None = None, top: int = 20) -> Drawing:
    """Draw each site's share of the queries, bytes, database time, query time and failures.

    See `frontierlab.plots` for the parameters.
    """
    return _costs(frame, ["computingsite"], "cost_per_site", "Cost of each site", selection, top)


@as_plot
def cost_per_squid(frame: pd.DataFrame, *, selection: str | None = None, top: int = 20) -> Drawing:
    """Draw each Squid's share of the queries, bytes, database time, query time and failures.

    See `frontierlab.plots` for the parameters.
    """
    return _costs(frame, ["squid"], "cost_per_squid", "Cost of each Squid", selection, top)


@as_plot
def cost_per_schema(frame: pd.DataFrame, *, selection: str | None = None, top: int = 20) -> Drawing:
    """Draw each schema's share of the queries, bytes, database time, query time and failures.

    See `frontierlab.plots` for the parameters.
    """
    return _costs(frame, ["db", "schema"], "cost_per_schema", "Cost of each schema", selection, top)


@as_plot
def cost_per_node(frame: pd.DataFrame, *, selection: str | None = None, top: int = 20) -> Drawing:
    """Draw each folder's share of the queries, bytes, database time, query time and failures.

    See `frontierlab.plots` for the parameters.
    """
    keys = ["db", "schema", "nodefullpath"]
    return _costs(frame, keys, "cost_per_node", "Cost of each folder", selection, top)


@as_plot
def cost_per_tag(frame: pd.DataFrame, *, selection: str | None = None, top: int = 20) -> Drawing:
    """Draw each tag's share of the queries, bytes, database time, query time and failures.

    See `frontierlab.plots` for the parameters.
    """
    keys = ["db", "schema", "nodefullpath", "tagname"]
    return _costs(frame, keys, "cost_per_tag", "Cost of each tag", selection, top)


def _costs(frame: pd.DataFrame, keys: Sequence[str], name: str, title: str, selection: str | None, top: int) -> Drawing:
    series = [one for one in _COSTS if one.column in frame or one.column not in _COUNTED_LATER]
    check_frame(frame, name, [*keys, "part", *(one.column for one in series)])
    nothing = [one.name for one in series if not frame.filter(regex=f"^{one.column}(_before)?$").to_numpy().any()]
    if len(frame) and nothing:
        words = f"{words_of(frame, selection)}\n0 in all, so without shares: {', '.join(nothing)}".strip()
        selection = words
    return grouped(
        frame,
        name,
        keys,
        series,
        title=title,
        selection=selection,
        axis="% of the selected queries' total",
        unit="",
        share="all",
        percent=True,
        stacked=False,
        top=top,
    )
