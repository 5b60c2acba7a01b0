"""The figure of repeated queries."""

from __future__ import annotations

import pandas as pd

from frontierlab.plots.drawing import Drawing
from frontierlab.plots.grouped import grouped
from frontierlab.plots.making import as_plot
from frontierlab.plots.style import COLOURS, Series, check_frame

__all__ = ["repeated_queries"]

_SERIES = (
    Series("repeats", "repeats, not cached", COLOURS[1], "square"),
    Series("firsts", "first of each, not cached", COLOURS[6], "circle"),
    Series("cached", "cached", COLOURS[0], "triangle"),
)


@as_plot
def repeated_queries(frame: pd.DataFrame, *, selection: str | None = None, top: int = 20) -> Drawing:
    """Draw the shares of repeats in the queries of each folder and tag of a Squid or site.

    The other queries are the first of each different query that was not cached, and the cached ones. See
    `frontierlab.plots` for the parameters.
    """
    asker = "computingsite" if "computingsite" in frame else "squid"
    keys = [asker, "db", "schema", "nodefullpath", "tagname"]
    check_frame(frame, "repeated_queries", [*keys, "payload", "queries", "repeats", "cached", "dbtime_ms", "bytes"])
    shown = frame.assign(tagname=frame["tagname"].mask(~frame["payload"].fillna(True), "(no payload)"))
    for suffix in ("", "_before") if "queries_before" in frame else ("",):
        shown[f"firsts{suffix}"] = frame[f"queries{suffix}"] - frame[f"repeats{suffix}"] - frame[f"cached{suffix}"]
    shown.attrs = frame.attrs
    return grouped(
        shown,
        "repeated_queries",
        keys,
        _SERIES,
        title=f"Repeated queries of each {'site' if asker == 'computingsite' else 'Squid'}",
        selection=selection,
        axis="% of the queries of a folder and tag",
        told=[("dbtime_ms", "database time of the repeats", "ms"), ("bytes", "size of the repeats", "bytes")],
        percent=True,
        top=top,
    )
