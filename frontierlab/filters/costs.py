"""Costs by task, server, site and Squid: queries, bytes, database time and failures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pandas as pd

from frontierlab.errors import InvalidRequestError
from frontierlab.filters.expressions import FAILED, NOT_CACHED, add_percent_of_all
from frontierlab.filters.filter import as_filter
from frontierlab.filters.measures import Count, Measure, Sum
from frontierlab.filters.question import Question

__all__ = ["COSTS", "Cost", "cost_per_server", "cost_per_site", "cost_per_squid", "cost_per_task"]

Cost = Literal["queries", "bytes", "dbtime_ms", "failures"]
"""The costs by which groups can be ranked."""

COSTS: dict[str, Measure] = {
    "queries": Count(),
    "bytes": Sum("fsize", where=NOT_CACHED),
    "dbtime_ms": Sum("dbtime", where=NOT_CACHED),
    "failures": Count(FAILED),
}
"""The costs of queries: their number, response size, database time and failures."""


@as_filter
def cost_per_task(*, by: Cost = "queries", top: int | None = 20) -> Question:
    """Add up the costs of each task.

    Parameters
    ----------
    by
        The cost that ranks tasks: ``queries``, ``bytes``, ``dbtime_ms`` or ``failures``.
    top
        How many tasks have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a PanDA task, the largest first.

        taskid : Int64
        taskname : string; if the log gives a task several names, the alphabetically last one
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        queries : Int64, number of queries
        bytes : Int64, the sum of ``fsize`` of queries that were not cached
        dbtime_ms : Int64, database time in milliseconds of queries that were not cached
        failures : Int64, number of queries that were rejected, lost their client or ended in an error
        queries_percent, bytes_percent, dbtime_ms_percent, failures_percent : Float64, % of the sum of all rows
    """
    return _costs("taskid", by, top, {"taskname": "max(taskname)"})


@as_filter
def cost_per_server(*, by: Cost = "queries", top: int | None = 20) -> Question:
    """Add up the costs at each Frontier server.

    Parameters
    ----------
    by
        The cost that ranks servers: ``queries``, ``bytes``, ``dbtime_ms`` or ``failures``.
    top
        How many servers have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a server, the largest first: ``frontierserver`` (string), and the columns of
        `cost_per_task` from ``part`` on.
    """
    return _costs("frontierserver", by, top)


@as_filter
def cost_per_site(*, by: Cost = "queries", top: int | None = 20) -> Question:
    """Add up the costs of each site; not every index names sites.

    Parameters
    ----------
    by
        The cost that ranks sites: ``queries``, ``bytes``, ``dbtime_ms`` or ``failures``.
    top
        How many sites have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a site, the largest first: ``computingsite`` (string), and the columns of
        `cost_per_task` from ``part`` on.
    """
    return _costs("computingsite", by, top)


@as_filter
def cost_per_squid(*, by: Cost = "queries", top: int | None = 20) -> Question:
    """Add up the costs of each Squid; not every index names Squids.

    Parameters
    ----------
    by
        The cost that ranks Squids: ``queries``, ``bytes``, ``dbtime_ms`` or ``failures``.
    top
        How many Squids have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a Squid, the largest first: ``squid`` (string), and the columns of `cost_per_task`
        from ``part`` on.
    """
    return _costs("squid", by, top)


def _costs(column: str, by: str, top: int | None, labels: Mapping[str, str] | None = None) -> Question:
    if by not in COSTS:
        raise InvalidRequestError(f"by={by!r}: give one of {', '.join(COSTS)}.")

    def derive(frame: pd.DataFrame) -> pd.DataFrame:
        return add_percent_of_all(frame, [*COSTS])

    return Question(COSTS, {column: column}, labels=labels or {}, top=top, rank=(by,), derive=derive, facts={"by": by})
