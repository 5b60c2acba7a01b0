"""Figures of what filters return: one function a filter, by the same name. None of them queries.

Each takes the filter's frame, with a comparison or without, and returns a Bokeh figure, new each
time. What it shows and which queries were counted stand above it; exact numbers appear where the
pointer is; a click on a name in the legend mutes that series. What was before is drawn as an outline,
as hollow dots, or dotted. Counts that span decades get a logarithmic axis and are drawn as dots or
lines, for the parts of a stacked bar on such an axis would have lengths that lie. Over time, a box
select marks a range (event ``SelectionGeometry``) and says it above the figure.

All take:

``frame``
    What the filter of the same name returned.
``selection``
    Which queries were counted, in words; by default as the filter noted it.
``scale``
    Of numbers: ``linear``, ``log``, or ``auto``: log where the largest is more than 1000 times the smallest.
``top``
    Of groups: so many named rows at most, 20 by default; the rest is added up in one.

and raise `InvalidRequestError` for a frame of another filter or a value that is none of these.
"""

from frontierlab.plots.changes import what_changed
from frontierlab.plots.costs import cost_per_server, cost_per_site, cost_per_squid, cost_per_task
from frontierlab.plots.counts import (
    cached_per_schema,
    payload_per_node,
    payload_per_schema,
    queries_per_db,
    queries_per_schema,
    uncached_by_kind,
)
from frontierlab.plots.durations import queries_by_dbtime, queries_by_querytime
from frontierlab.plots.linking import link
from frontierlab.plots.over_time import (
    bytes_over_time,
    long_queries_per_node,
    long_queries_per_schema,
    queries_over_time,
    querytime_percentiles,
)
from frontierlab.plots.saving import save
from frontierlab.plots.shares import (
    bytes_share_per_node,
    bytes_share_per_schema,
    cached_share_per_node,
    cached_share_per_schema,
)

__all__ = [
    "bytes_over_time",
    "bytes_share_per_node",
    "bytes_share_per_schema",
    "cached_per_schema",
    "cached_share_per_node",
    "cached_share_per_schema",
    "cost_per_server",
    "cost_per_site",
    "cost_per_squid",
    "cost_per_task",
    "link",
    "long_queries_per_node",
    "long_queries_per_schema",
    "payload_per_node",
    "payload_per_schema",
    "queries_by_dbtime",
    "queries_by_querytime",
    "queries_over_time",
    "queries_per_db",
    "queries_per_schema",
    "querytime_percentiles",
    "save",
    "uncached_by_kind",
    "what_changed",
]
