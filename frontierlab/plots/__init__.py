"""Figures of filter results: one function per filter, with the filter's name. No plot function queries.

Each function takes the filter's frame, with or without a comparison, and returns a new Bokeh figure.
The title and the selection stand above the figure. Hover texts show exact numbers. A click on a name in
the legend mutes that series. Values before are drawn as an outline, as hollow dots, or as a dotted line.
Counts that span decades get a logarithmic axis and are drawn as dots or lines, because lengths of
stacked bars on a logarithmic axis are misleading. Over time, a box select marks a range (event
``SelectionGeometry``) and shows the range above the figure. Bins without a
value are gaps in a line. At most 20 groups have a line; the words above the figure count those that have none.
``form`` of the figures with one line per group draws them as a heat map: a row of cells per group, and the number as
their colour; ``auto`` does so for more than 8 groups.

All functions take:

``frame``
    The frame that the filter of the same name returned.
``selection``
    The selection in words; by default the filter's.
``scale``
    The scale of numbers: ``linear``, ``log``, or ``auto`` (log if the largest is over 1000 times the smallest).
``top``
    The largest number of named groups, by default 20; the others are added up in one row.

All functions raise `InvalidRequestError` for a frame of another filter or an invalid value.
"""

from frontierlab.plots.changes import what_changed
from frontierlab.plots.costs import (
    cost_per_node,
    cost_per_schema,
    cost_per_server,
    cost_per_site,
    cost_per_squid,
    cost_per_tag,
    cost_per_task,
)
from frontierlab.plots.counts import (
    cached_per_schema,
    payload_per_node,
    payload_per_schema,
    queries_per_db,
    queries_per_schema,
    uncached_by_kind,
)
from frontierlab.plots.durations import queries_by_dbtime, queries_by_querytime
from frontierlab.plots.groups_over_time import (
    bytes_per_answer_over_time,
    cached_share_over_time,
    failures_over_time,
    threads_over_time,
)
from frontierlab.plots.linking import link
from frontierlab.plots.notebooks import output_notebook
from frontierlab.plots.over_time import (
    bytes_over_time,
    long_queries_per_node,
    long_queries_per_schema,
    queries_over_time,
)
from frontierlab.plots.percentiles import dbtime_percentiles, querytime_percentiles
from frontierlab.plots.repeats import repeated_queries
from frontierlab.plots.saving import save
from frontierlab.plots.shares import (
    bytes_share_per_node,
    bytes_share_per_schema,
    cached_share_per_node,
    cached_share_per_schema,
)

__all__ = [
    "bytes_over_time",
    "bytes_per_answer_over_time",
    "bytes_share_per_node",
    "bytes_share_per_schema",
    "cached_per_schema",
    "cached_share_over_time",
    "cached_share_per_node",
    "cached_share_per_schema",
    "cost_per_node",
    "cost_per_schema",
    "cost_per_server",
    "cost_per_site",
    "cost_per_squid",
    "cost_per_tag",
    "cost_per_task",
    "dbtime_percentiles",
    "failures_over_time",
    "link",
    "long_queries_per_node",
    "long_queries_per_schema",
    "output_notebook",
    "payload_per_node",
    "payload_per_schema",
    "queries_by_dbtime",
    "queries_by_querytime",
    "queries_over_time",
    "queries_per_db",
    "queries_per_schema",
    "querytime_percentiles",
    "repeated_queries",
    "save",
    "threads_over_time",
    "uncached_by_kind",
    "what_changed",
]
