"""Costs by database object and by who asked: queries, bytes, database time, query time and failures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

import pandas as pd

from frontierlab.errors import InvalidRequestError
from frontierlab.filters.expressions import FAILED, NODE, NOT_CACHED, SCHEMA, TAG, add_percent_of_all
from frontierlab.filters.filter import as_filter
from frontierlab.filters.measures import Count, Measure, Sum
from frontierlab.filters.question import Question

__all__ = [
    "COSTS",
    "Cost",
    "cost_per_node",
    "cost_per_schema",
    "cost_per_server",
    "cost_per_site",
    "cost_per_squid",
    "cost_per_tag",
    "cost_per_task",
]

Cost = Literal["queries", "bytes", "dbtime_ms", "querytime_ms", "failures"]
"""The costs by which groups can be ranked."""

COSTS: dict[str, Measure] = {
    "queries": Count(),
    "bytes": Sum("fsize", where=NOT_CACHED),
    "dbtime_ms": Sum("dbtime", where=NOT_CACHED),
    "querytime_ms": Sum("querytime"),
    "failures": Count(FAILED),
}
"""The costs of queries: their number, response size, database time, query time and failures."""

_with_earlier_name = partial(as_filter, earlier={"by": "rank_by"})


@_with_earlier_name
def cost_per_task(*, rank_by: Cost = "queries", top: int | None = 20) -> Question:
    """Add up the costs of each task.

    Parameters
    ----------
    rank_by
        The cost that ranks tasks: ``queries``, ``bytes``, ``dbtime_ms``, ``querytime_ms`` or ``failures``. Its
        earlier name ``by`` is taken too.
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
        querytime_ms : Int64, whole time in milliseconds of all queries, cached or not
        failures : Int64, number of queries that were rejected, lost their client or ended in an error
        queries_percent, bytes_percent, dbtime_ms_percent, querytime_ms_percent, failures_percent : Float64, % of
            the sum of all rows; null if that sum is 0, such as the shares of failures where no query failed
    """
    return _costs({"taskid": "taskid"}, rank_by, top, {"taskname": "max(taskname)"})


@_with_earlier_name
def cost_per_server(*, rank_by: Cost = "queries", top: int | None = 20) -> Question:
    """Add up the costs at each Frontier server.

    Parameters
    ----------
    rank_by
        The cost that ranks servers: ``queries``, ``bytes``, ``dbtime_ms``, ``querytime_ms`` or ``failures``. Its
        earlier name ``by`` is taken too.
    top
        How many servers have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a server, the largest first: ``frontierserver`` (string), and the columns of
        `cost_per_task` from ``part`` on.
    """
    return _costs({"frontierserver": "frontierserver"}, rank_by, top)


@_with_earlier_name
def cost_per_site(*, rank_by: Cost = "queries", top: int | None = 20) -> Question:
    """Add up the costs of each site; not every index names sites.

    Parameters
    ----------
    rank_by
        The cost that ranks sites: ``queries``, ``bytes``, ``dbtime_ms``, ``querytime_ms`` or ``failures``. Its
        earlier name ``by`` is taken too.
    top
        How many sites have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a site, the largest first: ``computingsite`` (string), and the columns of
        `cost_per_task` from ``part`` on.
    """
    return _costs({"computingsite": "computingsite"}, rank_by, top)


@_with_earlier_name
def cost_per_squid(*, rank_by: Cost = "queries", top: int | None = 20) -> Question:
    """Add up the costs of each Squid; not every index names Squids.

    Parameters
    ----------
    rank_by
        The cost that ranks Squids: ``queries``, ``bytes``, ``dbtime_ms``, ``querytime_ms`` or ``failures``. Its
        earlier name ``by`` is taken too.
    top
        How many Squids have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a Squid, the largest first: ``squid`` (string), and the columns of `cost_per_task`
        from ``part`` on.
    """
    return _costs({"squid": "squid"}, rank_by, top)


@as_filter
def cost_per_schema(*, rank_by: Cost = "queries", top: int | None = 20) -> Question:
    """Add up the costs of each schema; ``db`` selects one database.

    Parameters
    ----------
    rank_by
        The cost that ranks schemas: ``queries``, ``bytes``, ``dbtime_ms``, ``querytime_ms`` or ``failures``.
    top
        How many schemas have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a schema of a database, the largest first: ``db``, ``schema`` (string), and the columns of
        `cost_per_task` from ``part`` on.
    """
    return _costs(SCHEMA, rank_by, top)


@as_filter
def cost_per_node(*, rank_by: Cost = "queries", top: int | None = 20) -> Question:
    """Add up the costs of each folder; ``schema`` selects one schema.

    Parameters
    ----------
    rank_by
        The cost that ranks folders: ``queries``, ``bytes``, ``dbtime_ms``, ``querytime_ms`` or ``failures``.
    top
        How many folders have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a folder of a schema of a database, the largest first: ``db``, ``schema``, ``nodefullpath`` (string),
        and the columns of `cost_per_task` from ``part`` on.
    """
    return _costs(NODE, rank_by, top)


@as_filter
def cost_per_tag(*, rank_by: Cost = "queries", top: int | None = 20) -> Question:
    """Add up the costs of each tag of a folder; ``nodefullpath`` selects one folder.

    Parameters
    ----------
    rank_by
        The cost that ranks tags: ``queries``, ``bytes``, ``dbtime_ms``, ``querytime_ms`` or ``failures``.
    top
        How many tags have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a tag of a folder, the largest first: ``db``, ``schema``, ``nodefullpath``, ``tagname`` (string), and
        the columns of `cost_per_task` from ``part`` on. Two folders can have tags of the same name. A folder without
        tags has one row, with the tag ``none``. ``part`` is ``missing`` where the log names no tag.
    """
    return _costs(TAG, rank_by, top)


def _costs(keys: Mapping[str, str], rank_by: str, top: int | None, labels: Mapping[str, str] | None = None) -> Question:
    if rank_by not in COSTS:
        raise InvalidRequestError(f"rank_by={rank_by!r}: give one of {', '.join(COSTS)}.")

    def derive(frame: pd.DataFrame) -> pd.DataFrame:
        return add_percent_of_all(frame, [*COSTS])

    return Question(
        COSTS, keys, labels=labels or {}, top=top, rank=(rank_by,), derive=derive, facts={"rank_by": rank_by}
    )
