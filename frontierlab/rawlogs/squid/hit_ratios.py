"""Hit ratios of Squids: over time, and per folder, tag, task, site and Squid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pandas as pd

from frontierlab.errors import InvalidRequestError
from frontierlab.filters.bins import TimeBins
from frontierlab.filters.expressions import NODE, TAG, add_percent, add_quotient
from frontierlab.filters.measures import Count, Measure, Sum
from frontierlab.filters.question import Question
from frontierlab.rawlogs.squid.filter import as_squid_filter
from frontierlab.rawlogs.squid.results import ANSWERED_THERE, NOT_ASKED

__all__ = [
    "LEFT_OUT",
    "MEASURES",
    "Rank",
    "hit_ratio_over_time",
    "hit_ratio_per_folder",
    "hit_ratio_per_site",
    "hit_ratio_per_squid",
    "hit_ratio_per_tag",
    "hit_ratio_per_task",
    "results_of_squids",
]

Rank = Literal["requests", "sent_on", "wire_bytes"]
"""The measures by which groups can be ranked."""


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)


REQUEST = f"result_class NOT IN ({_listed(NOT_ASKED)})"
"""The condition that a line is a question to the cache."""

THERE = f"NOT sent_on AND result_class IN ({_listed((*ANSWERED_THERE, 'stale'))})"
"""The condition that a Squid answered without asking a server."""

_OF_CLASS = {
    "negative_hits": "negative hit",
    "revalidated": "revalidated",
    "replaced": "replaced",
    "stale": "stale",
    "failed": "failed",
    "forced": "forced",
    "missed": "miss",
    "unknown": "unknown",
}

LEFT_OUT = {"denied": "denied", "not_understood": "none", "tunnels": "tunnel"}
"""The columns of answers that are no requests to the cache, and their classes."""

MEASURES: dict[str, Measure] = {
    "requests": Count(REQUEST),
    "answered_there": Count(THERE),
    "sent_on": Count(f"sent_on AND {REQUEST}"),
    "squid_hits": Count(f"squid_hit AND {REQUEST}"),
    **{name: Count(f"result_class = '{class_}'") for name, class_ in _OF_CLASS.items()},
    **{name: Count(f"result_class = '{class_}'") for name, class_ in LEFT_OUT.items()},
    "aborted": Count(f"ending = 'aborted' AND {REQUEST}"),
    "without_task": Count(f"taskid IS NULL AND {REQUEST}"),
    "wire_bytes": Sum("wire_bytes", where=REQUEST),
}
"""What is counted of the answers of Squids."""


@as_squid_filter
def hit_ratio_over_time(*, bin_seconds: float = 300) -> Question:
    """Count what Squids did with requests over time.

    Parameters
    ----------
    bin_seconds
        Width of a bin in seconds, a multiple of 0.001.

    Returns
    -------
    pandas.DataFrame
        A row is a bin of the times when requests came; empty bins are there too.

        time : datetime64[ms, UTC], start of the bin
        requests : Int64, requests for Frontier, without the three kinds of answers below that are no requests
        answered_there : Int64, those answered from the cache without asking a server: hits, cached errors, and old
            copies that were sent without asking
        sent_on : Int64, those that went to a server or another cache, as a request or as a question about a copy
        squid_hits : Int64, hits as Squid itself counts: revalidations, cached errors and old copies are among them
        negative_hits, revalidated, replaced, stale, failed, forced, missed, unknown : Int64, requests by class
            (`frontierlab.rawlogs.squid.results.CLASSES`)
        denied, not_understood, tunnels : Int64, answers that are not among the requests: refused or redirected by the
            Squid (``TCP_DENIED``), without a request that it understood, and tunnels
        aborted : Int64, requests whose client went away
        without_task : Int64, requests that name no task, as those through Varnish
        wire_bytes : Int64, bytes sent to clients, headers included and mostly compressed: they cannot be compared with
            ``fsize`` of Frontier's logs, which is the size before compression
        hit_percent, squid_hit_percent, revalidated_percent : Float64, % of the requests; null without requests
        fetches_per_request : Float64, ``sent_on`` by ``requests``, the f/r of WLCG's monitor in this bin

        ``attrs["without_task"]`` is the number of requests without a task, and its share in %. ``attrs["notes"]`` says
        how many answers are not among the requests.
    """
    bins = TimeBins(bin_seconds)
    return Question(MEASURES, bins=bins, derive=_derived, facts={"bin_seconds": bin_seconds})


@as_squid_filter
def hit_ratio_per_folder(*, rank_by: Rank = "requests", top: int | None = 20) -> Question:
    """Count what Squids did with the requests for each folder.

    Parameters
    ----------
    rank_by
        What ranks folders: ``requests``, ``sent_on`` or ``wire_bytes``.
    top
        How many folders have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a folder of a schema of a database, the largest first: ``db``, ``schema``, ``nodefullpath`` (string),
        ``part`` and ``groups`` (`frontierlab.filters`), and the columns of `hit_ratio_over_time` from ``requests`` on.
        Requests that are no COOL queries are ``missing``.
    """
    return _per(NODE, rank_by, top)


@as_squid_filter
def hit_ratio_per_tag(*, rank_by: Rank = "requests", top: int | None = 20) -> Question:
    """Count what Squids did with the requests for each tag of a folder.

    Parameters
    ----------
    rank_by
        What ranks tags: ``requests``, ``sent_on`` or ``wire_bytes``.
    top
        How many tags have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a tag of a folder, the largest first: ``db``, ``schema``, ``nodefullpath``, ``tagname`` (string), and
        the columns of `hit_ratio_per_folder` from ``part`` on.
    """
    return _per(TAG, rank_by, top)


@as_squid_filter
def hit_ratio_per_task(*, rank_by: Rank = "requests", top: int | None = 20) -> Question:
    """Count what Squids did with the requests of each task.

    Parameters
    ----------
    rank_by
        What ranks tasks: ``requests``, ``sent_on`` or ``wire_bytes``.
    top
        How many tasks have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a PanDA task, the largest first: ``taskid`` (Int64), and the columns of `hit_ratio_per_folder` from
        ``part`` on. Requests that name no task have the part ``missing``: a Varnish between takes the task away. Their
        share stands in ``attrs["without_task"]`` and above the figure.
    """
    return _per({"taskid": "taskid"}, rank_by, top)


@as_squid_filter
def hit_ratio_per_site(*, rank_by: Rank = "requests", top: int | None = 20) -> Question:
    """Count what the Squids of each site did; sites are those that the reader was told.

    Parameters
    ----------
    rank_by
        What ranks sites: ``requests``, ``sent_on`` or ``wire_bytes``.
    top
        How many sites have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a site, the largest first: ``computingsite`` (string), and the columns of `hit_ratio_per_folder` from
        ``part`` on.
    """
    return _per({"computingsite": "computingsite"}, rank_by, top)


@as_squid_filter
def hit_ratio_per_squid(*, rank_by: Rank = "requests", top: int | None = 20) -> Question:
    """Count what each Squid did.

    Parameters
    ----------
    rank_by
        What ranks Squids: ``requests``, ``sent_on`` or ``wire_bytes``.
    top
        How many Squids have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a Squid, the largest first: ``squid`` (string), and the columns of `hit_ratio_per_folder` from ``part``
        on.
    """
    return _per({"squid": "squid"}, rank_by, top)


@as_squid_filter
def results_of_squids(*, top: int | None = None) -> Question:
    """Count the answers by result tag, known or not.

    Parameters
    ----------
    top
        How many tags have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a result tag as it was logged, the most frequent first: ``result_class``, ``result`` (string), ``part``
        and ``groups`` (`frontierlab.filters`), ``answers`` (Int64, all lines, those that are no requests too),
        ``sent_on`` (Int64), and ``wire_bytes`` (Int64).
    """
    keys = {"result_class": "result_class", "result": "result"}
    measures: dict[str, Measure] = {"answers": Count(), "sent_on": Count("sent_on"), "wire_bytes": Sum("wire_bytes")}
    return Question(measures, keys, top=top, rank=("answers",))


def _per(keys: Mapping[str, str], rank_by: str, top: int | None) -> Question:
    if rank_by not in ("requests", "sent_on", "wire_bytes"):
        raise InvalidRequestError(f"rank_by={rank_by!r}: give one of requests, sent_on, wire_bytes.")
    return Question(MEASURES, keys, top=top, rank=(rank_by,), derive=_derived, facts={"rank_by": rank_by})


def _derived(frame: pd.DataFrame) -> pd.DataFrame:
    counts = ["answered_there", "squid_hits", "revalidated"]
    shares = add_percent(frame[counts], counts, frame["requests"])
    frame = frame.assign(
        hit_percent=shares["answered_there_percent"],
        squid_hit_percent=shares["squid_hits_percent"],
        revalidated_percent=shares["revalidated_percent"],
    )
    return add_quotient(frame, "fetches_per_request", "sent_on", "requests")
