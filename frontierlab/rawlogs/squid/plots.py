"""Figures of what the filters of Squid logs return; no queries.

Each function takes the frame of the filter of the same name, and draws like `frontierlab.plots`, whose page describes
the parameters ``selection``, ``scale`` and ``top``.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from frontierlab.filters.top import NAMED
from frontierlab.plots.drawing import Drawing, nothing
from frontierlab.plots.grouped import grouped
from frontierlab.plots.making import as_plot
from frontierlab.plots.stepped import Line, over_time
from frontierlab.plots.style import COLOURS, Scale, Series, check_frame, words_of

__all__ = [
    "hit_ratio_over_time",
    "hit_ratio_per_folder",
    "hit_ratio_per_site",
    "hit_ratio_per_squid",
    "hit_ratio_per_tag",
    "hit_ratio_per_task",
    "requests_over_time",
    "what_if_at_squids",
]

_RATIOS = (
    Line("hit_percent", "answered there", COLOURS[0]),
    Line("squid_hit_percent", "hits as Squid counts (with revalidations)", COLOURS[5], "dashed"),
    Line("revalidated_percent", "revalidated", COLOURS[4]),
)
_NUMBERS = (
    Line("requests", "requests", COLOURS[6]),
    Line("answered_there", "answered there", COLOURS[0]),
    Line("sent_on", "sent on", COLOURS[1]),
)
_PARTS = (
    Series("answered_there", "answered there", COLOURS[0], "circle"),
    Series("revalidated", "sent on: the copy was still good", COLOURS[4], "triangle"),
    Series("fetched", "sent on: others", COLOURS[1], "square"),
    Series("neither", "neither", COLOURS[6], "diamond"),
)
_COUNTED = ("requests", "answered_there", "sent_on", "revalidated")


@as_plot
def hit_ratio_over_time(frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "linear") -> Drawing:
    """Draw the shares of the requests that were answered by Squids, over time."""
    check_frame(frame, "hit_ratio_over_time", ["time", *(line.column for line in _RATIOS)], "hit_ratio_over_time")
    title, words = "Hit ratio of the Squids over time", words_of(frame, selection)
    if frame.empty or not frame["requests"].any():
        return nothing(title, words)
    return over_time(frame, _RATIOS, title=title, words=words, axis="% of the requests in {bin}", unit="%", scale=scale)


@as_plot
def requests_over_time(frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto") -> Drawing:
    """Draw the requests to Squids over time, those answered there, and those sent on; of `hit_ratio_over_time`."""
    check_frame(frame, "requests_over_time", ["time", *_COUNTED], "hit_ratio_over_time")
    title, words = "Requests to the Squids over time", words_of(frame, selection)
    if frame.empty:
        return nothing(title, words)
    axis, unit = "requests in {bin}", "requests"
    return over_time(frame, _NUMBERS, title=title, words=words, axis=axis, unit=unit, scale=scale)


@as_plot
def hit_ratio_per_folder(
    frame: pd.DataFrame, *, selection: str | None = None, top: int = 20, percent: bool = False
) -> Drawing:
    """Draw what the Squids did with the requests for each folder; with `percent`, as shares."""
    keys = ["db", "schema", "nodefullpath"]
    return _per(frame, keys, "hit_ratio_per_folder", "What the Squids did, by folder", selection, top, percent)


@as_plot
def hit_ratio_per_tag(
    frame: pd.DataFrame, *, selection: str | None = None, top: int = 20, percent: bool = False
) -> Drawing:
    """Draw what the Squids did with the requests for each tag; with `percent`, as shares."""
    keys = ["db", "schema", "nodefullpath", "tagname"]
    return _per(frame, keys, "hit_ratio_per_tag", "What the Squids did, by tag", selection, top, percent)


@as_plot
def hit_ratio_per_task(
    frame: pd.DataFrame, *, selection: str | None = None, top: int = 20, percent: bool = False
) -> Drawing:
    """Draw what the Squids did with the requests of each task; the share without a task stands above."""
    none = frame.attrs.get("without_task", {})
    words = words_of(frame, selection)
    if none.get("percent") is not None:
        words = f"{words}\n{none['percent']:.1f} % of the requests name no task".strip()
    return _per(frame, ["taskid"], "hit_ratio_per_task", "What the Squids did, by task", words, top, percent)


@as_plot
def hit_ratio_per_site(
    frame: pd.DataFrame, *, selection: str | None = None, top: int = 20, percent: bool = False
) -> Drawing:
    """Draw what the Squids of each site did; with `percent`, as shares."""
    title = "What the Squids did, by site"
    return _per(frame, ["computingsite"], "hit_ratio_per_site", title, selection, top, percent)


@as_plot
def hit_ratio_per_squid(
    frame: pd.DataFrame, *, selection: str | None = None, top: int = 20, percent: bool = False
) -> Drawing:
    """Draw what each Squid did; with `percent`, as shares."""
    return _per(frame, ["squid"], "hit_ratio_per_squid", "What each Squid did", selection, top, percent)


@as_plot
def what_if_at_squids(frame: pd.DataFrame, *, selection: str | None = None) -> Drawing:
    """Draw what the Squids would have done on coarser grids; of `frontierlab.rawlogs.squid.what_if_at_squids`."""
    needed = ["grid", "requests", "answered_there", "sent_on", "revalidated"]
    check_frame(frame, "what_if_at_squids", needed, "what_if_at_squids")
    title = "What the Squids would have done"
    rows = frame.assign(part=pd.array([NAMED] * len(frame), dtype="string"), groups=1)
    rows.attrs = frame.attrs
    keys = ["squid", "grid"] if "squid" in frame else ["grid"]
    return _per(rows, keys, "what_if_at_squids", title, selection, max(len(rows), 1), False)


def _per(
    frame: pd.DataFrame, keys: Sequence[str], name: str, title: str, selection: str | None, top: int, percent: bool
) -> Drawing:
    check_frame(frame, name, [*keys, "part", *_COUNTED], name)
    shown = frame.assign(
        fetched=(frame["sent_on"] - frame["revalidated"]).clip(lower=0),
        neither=(frame["requests"] - frame["answered_there"] - frame["sent_on"]).clip(lower=0),
    )
    shown.attrs = frame.attrs
    return grouped(
        shown,
        name,
        keys,
        _PARTS,
        title=title,
        selection=selection,
        axis="% of the requests" if percent else "requests",
        unit="requests",
        percent=percent,
        scale="linear",
        top=top,
    )
