"""The questions that people ask of the logs: one function each, answered by one Spark SQL statement.

A filter is a pure function ``filter(logs, selection=None, **keywords) -> pandas.DataFrame``;
``filter.sql(…)`` takes the same but the logs, runs nothing, and returns its statement with the values
of its parameters. All filters take:

``selection``
    A `frontierlab.Selection`: which queries are asked about.
Its fields as keywords
    ``since``, ``until``, ``db``, ``schema``, ``nodefullpath``, ``tagname``, ``taskid``,
    ``frontierserver``, ``computingsite``, ``squid``, ``cached``, ``kind``, ``min_querytime``: each
    takes the place of the selection's own.
``compare``
    What to compare with: ``"previous"`` (the window of the same length just before), ``"-7d"`` (s,
    min, h, d, w), the time when the other window begins, other logs or a dataset, or a pair (other
    logs, when). Each column *x* then has *x*\\ ``_before`` and *x*\\ ``_change`` beside it; groups and
    bins are those of both windows. A second statement of the same form asks for it.

Frames of groups (schemas, folders, tasks, …) say in ``part`` whether a row is a ``named`` group, the
``other`` ones added up, or ``missing`` (the log does not name one), and in ``groups`` how many groups
it holds. With ``top=n`` the n largest have a row of their own; the parts always add up to the whole.
Bins are half open and aligned to the epoch, or to 0 ms, and every bin is there. A query of which the
log does not say whether it was cached is counted as ``unknown``. What nothing matches is a frame
without rows. In ``attrs`` a frame holds what a plot says of it: the filter, the selection in words.

Of logs as `frontierlab.open_logs` opened them, questions whose selection and bins fit are asked of the
dataset's summaries (`frontierlab.storage.summaries`), by the same statement with sums in place of counts: the answer
is the same, sooner. That is mostly so where ``since``, ``until`` and bins of time are whole hours (of some
filters, whole five minutes), and tags, tasks, servers, sites and Squids are left out.

All raise `InvalidRequestError` where a parameter makes no sense, before Spark is asked, and
`SparkError` or `Cancelled` where Spark does not come to an end.
"""

from frontierlab.filters.costs import cost_per_server, cost_per_site, cost_per_squid, cost_per_task
from frontierlab.filters.counts import (
    cached_per_schema,
    payload_per_node,
    payload_per_schema,
    queries_per_db,
    queries_per_schema,
    uncached_by_kind,
)
from frontierlab.filters.durations import queries_by_dbtime, queries_by_querytime
from frontierlab.filters.over_time import (
    bytes_over_time,
    long_queries_per_node,
    long_queries_per_schema,
    queries_over_time,
    querytime_percentiles,
)
from frontierlab.filters.shares import (
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
    "uncached_by_kind",
]
