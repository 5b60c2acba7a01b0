"""The standard questions about the logs: each filter is a function that runs one statement in DuckDB or Spark.

A filter is a pure function ``filter(logs, selection=None, **keywords) -> pandas.DataFrame``.
``filter.sql(…)`` takes the same arguments without the logs. It runs nothing, and returns the statement with the
values of its parameters. All filters take:

``logs``
    Logs from `frontierlab.open_logs`; a complete dataset, the name of one, a list of these or a period; or a Spark
    DataFrame, which is always asked with Spark.
``selection``
    A `frontierlab.Selection`: the queries to count.
The fields of `Selection` as keywords
    ``since``, ``until``, ``db``, ``schema``, ``nodefullpath``, ``tagname``, ``taskid``,
    ``frontierserver``, ``computingsite``, ``squid``, ``cached``, ``kind``, ``min_querytime``: each
    replaces that field of the selection. ``since`` and ``until`` limit the time of the query, not its IOV.
``compare``
    What to compare with: ``"previous"`` (the preceding window of the same length), ``"-7d"`` (s,
    min, h, d, w), the start time of the other window, other logs or a dataset, or a pair (other
    logs, when). Each column *x* then also has *x*\\ ``_before`` and *x*\\ ``_change``. The rows cover the
    groups and bins of both windows. The comparison runs a second statement of the same form. Logs that cover nothing
    of a window cannot be compared.

In frames of groups (schemas, folders, tasks, …), ``part`` says what a row is: a ``named`` group, the sum of
``other`` groups, or ``missing`` (the log names no group). ``groups`` is the number of groups in the row.
With ``top=n`` the n largest groups have their own rows. The rows always add up to the total.
Bins are half open and aligned to the epoch, or to 0 ms. Empty bins have rows too. A query is ``unknown``
if the log does not say whether it was cached. If no query matches, the frame has no rows.
``attrs`` of a frame holds what a plot needs: the filter's name and the selection in words. ``attrs["answered"]``
says what answered: ``engine`` (``duckdb`` or ``spark``), ``from`` (``summary`` or ``queries``) and ``seconds``.
``attrs["notes"]``, if it is there, has sentences on why the figures are partial: gaps between datasets; a window that
the logs cover in part; a dataset that was extracted with a selection, and lacks some of these queries (if none are
there, `NotExtracted` warns); or a name or a value that the log gives for none of the queries. A dataset covers the time
of its request; a Spark DataFrame that of its queries.

If possible, a filter reads the summaries of a dataset (`frontierlab.storage.summaries`) instead of its rows. The
statement is the same, with sums in place of counts. The result is the same, but faster. It mostly applies when
``since``, ``until`` and time bins are whole hours (for some filters, whole five minutes) and no tags, tasks, servers,
sites or Squids are used.

All filters raise `InvalidRequestError` for an invalid parameter, or a comparison with a window without data, before
anything is asked, `StatementError` if the
statement fails, `SparkError` if Spark does not start or has ended, and `Cancelled`.
"""

from frontierlab.filters.costs import (
    cost_per_node,
    cost_per_schema,
    cost_per_server,
    cost_per_site,
    cost_per_squid,
    cost_per_tag,
    cost_per_task,
)
from frontierlab.filters.counts import (
    cached_per_schema,
    payload_per_node,
    payload_per_schema,
    queries_per_db,
    queries_per_schema,
    uncached_by_kind,
)
from frontierlab.filters.durations import queries_by_dbtime, queries_by_querytime
from frontierlab.filters.groups_over_time import (
    bytes_per_answer_over_time,
    cached_share_over_time,
    failures_over_time,
    threads_over_time,
)
from frontierlab.filters.over_time import (
    bytes_over_time,
    long_queries_per_node,
    long_queries_per_schema,
    queries_over_time,
)
from frontierlab.filters.percentiles import dbtime_percentiles, querytime_percentiles
from frontierlab.filters.repeats import repeated_queries
from frontierlab.filters.shares import (
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
    "repeated_queries",
    "threads_over_time",
    "uncached_by_kind",
]
