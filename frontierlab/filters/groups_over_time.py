"""Failures, threads, sizes of answers and cached shares over time, each by what an operator looks at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import pandas as pd

from frontierlab.filters.bins import TimeBins
from frontierlab.filters.expressions import (
    ANSWERED,
    CACHED,
    FAILURES,
    GROUPS,
    QUERIES,
    add_percent,
    add_quotient,
    add_sum,
    keys_of,
)
from frontierlab.filters.filter import as_filter
from frontierlab.filters.measures import Count, Largest, Sum
from frontierlab.filters.needs import Expression
from frontierlab.filters.question import Question

__all__ = [
    "AnswersBy",
    "CachedBy",
    "FailuresBy",
    "bytes_per_answer_over_time",
    "cached_share_over_time",
    "failures_over_time",
    "threads_over_time",
]

FailuresBy = Literal["kind", "server", "task", "site", "squid", "folder"]
"""What `failures_over_time` can be grouped by."""

AnswersBy = Literal["tag", "folder"]
"""What `bytes_per_answer_over_time` can be grouped by."""

CachedBy = Literal["site", "squid", "server"]
"""What `cached_share_over_time` can be grouped by."""


@as_filter
def failures_over_time(*, by: FailuresBy = "kind", bin_seconds: float = 300, top: int | None = 10) -> Question:
    """Count the failed queries over time, of each kind; also by server, task, site, Squid or folder.

    Parameters
    ----------
    by
        ``kind``: no groups, a row is a time bin. ``server``, ``task``, ``site``, ``squid`` or ``folder``: a row is a
        time bin of one of these.
    bin_seconds
        Width of a time bin in seconds, a multiple of 0.001.
    top
        How many groups have their own series (those with the most failed queries); None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a time bin, or a time bin of a group. Every group has every bin, as in `queries_over_time`; in each
        bin, the group with the most failed queries of the whole period comes first.

        time : start of the bin, UTC
        frontierserver; taskid, taskname; computingsite; squid; or db, schema, nodefullpath : string (taskid: Int64),
        the group; if the log gives a task several names, the alphabetically last one; not with ``by="kind"``
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors; not with
        ``by="kind"``
        queries : Int64, number of all queries, failed or not
        rejected, disconn, procerror : Int64, number of failed queries of each kind: the first of disconn, rejected
        and procerror that is true
        failures : Int64, number of failed queries, the sum of the three
        failures_percent : Float64, % of the queries that failed; null without queries
    """

    def derive(frame: pd.DataFrame) -> pd.DataFrame:
        return add_percent(add_sum(frame, "failures", [*FAILURES]), ["failures"], frame["queries"])

    keys = keys_of(by, get_args(FailuresBy))
    return _over_time(
        {**QUERIES, **FAILURES},
        keys,
        bin_seconds,
        top,
        labels={"taskname": "max(taskname)"} if by == "task" else {},
        rank=(*FAILURES,),
        derive=derive,
    )


@as_filter
def threads_over_time(*, bin_seconds: float = 300, top: int | None = 10) -> Question:
    """Find the largest and the mean number of simultaneous threads (``initthreads``) of each server over time.

    Parameters
    ----------
    bin_seconds
        Width of a time bin in seconds, a multiple of 0.001.
    top
        How many servers have their own series (those with the most simultaneous threads); None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a time bin of a server. Every server has every bin, as in `queries_over_time`; in each bin, the server
        with the most threads of the whole period comes first. Of other servers together, ``largest`` is that of one
        of them, and ``mean`` is over the queries of all.

        time : start of the bin, UTC
        frontierserver : string
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        queries : Int64, number of queries
        with_initthreads : Int64, number of queries for which the log gives the threads; if it is 0 everywhere,
        ``attrs["notes"]`` says so (not every index has ``initthreads``)
        largest : Int64, the most threads that a query met; null without such queries
        mean : Float64, the mean over queries of the threads that they met; null without such queries
    """

    def derive(frame: pd.DataFrame) -> pd.DataFrame:
        return add_quotient(frame, "mean", "sum", "with_initthreads").drop(columns="sum")

    given = Expression.of("initthreads IS NOT NULL", "initthreads")
    measures = {"with_initthreads": Count(given), "largest": Largest("initthreads"), "sum": Sum("initthreads")}
    return _over_time(
        QUERIES | measures,
        GROUPS["server"],
        bin_seconds,
        top,
        rank=("largest",),
        derive=derive,
        counted={"with_initthreads": "initthreads"},
    )


@as_filter
def bytes_per_answer_over_time(*, by: AnswersBy = "tag", bin_seconds: float = 300, top: int | None = 10) -> Question:
    """Compute the mean size of the answers over time, of each folder and tag; ``schema`` selects one schema.

    An answer is that of a query which asks for a payload (``since >= 0`` and ``until >= since`` of its IOV), did not
    fail and was not cached (a cached answer has no body), with a size (``fsize``) above 0.

    Parameters
    ----------
    by
        ``tag``: each tag of each folder; queries whose tag the log does not name are ``missing``. ``folder``: each
        folder, whatever the tag.
    bin_seconds
        Width of a time bin in seconds, a multiple of 0.001.
    top
        How many tags or folders have their own series (those with the most bytes); None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a time bin of a tag or folder. Each has every bin, as in `queries_over_time`; in each bin, the one with
        the most bytes of the whole period comes first.

        time : start of the bin, UTC
        db, schema, nodefullpath : string
        tagname : string; not with ``by="folder"``
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        queries : Int64, number of queries, answered or not
        answers : Int64, number of answers
        bytes : Int64, the sum of ``fsize`` of the answers
        bytes_per_answer : Float64, the mean; null without answers
    """

    def derive(frame: pd.DataFrame) -> pd.DataFrame:
        return add_quotient(frame, "bytes_per_answer", "bytes", "answers")

    measures = {"answers": Count(ANSWERED), "bytes": Sum("fsize", ANSWERED)}
    keys = keys_of(by, get_args(AnswersBy))
    return _over_time(QUERIES | measures, keys, bin_seconds, top, rank=("bytes",), derive=derive)


@as_filter
def cached_share_over_time(*, by: CachedBy = "site", bin_seconds: float = 300, top: int | None = 10) -> Question:
    """Compute the share of cached queries over time, of each site, Squid or server.

    Parameters
    ----------
    by
        ``site``, ``squid`` or ``server``; not every index names sites and Squids.
    bin_seconds
        Width of a time bin in seconds, a multiple of 0.001.
    top
        How many sites, Squids or servers have their own series (those with the most queries); None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a time bin of a site, Squid or server. Each has every bin, as in `queries_over_time`; in each bin, the
        one with the most queries of the whole period comes first.

        time : start of the bin, UTC
        computingsite, squid or frontierserver : string
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        queries : Int64, number of queries
        cached, unknown : Int64, number of queries that were cached, and for which the log does not say
        cached_percent : Float64, % of all these queries that were cached; null without queries
    """

    def derive(frame: pd.DataFrame) -> pd.DataFrame:
        return add_percent(frame, ["cached"], frame["queries"])

    measures = {name: CACHED[name] for name in ("cached", "unknown")}
    keys = keys_of(by, get_args(CachedBy))
    return _over_time(QUERIES | measures, keys, bin_seconds, top, rank=("queries",), derive=derive)


def _over_time(
    measures: Mapping[str, Any], keys: Mapping[str, str], bin_seconds: float, top: int | None, **more: Any
) -> Question:
    bins, facts = TimeBins(bin_seconds), {"bin_seconds": bin_seconds}
    return Question(measures, keys, bins=bins, top=top, facts=facts, **more)
