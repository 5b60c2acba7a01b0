"""Queries that the same Squid or site asks again, although it could have kept the answer."""

from __future__ import annotations

from typing import Literal, get_args

import pandas as pd

from frontierlab.errors import InvalidRequestError
from frontierlab.filters.expressions import TAG, add_percent
from frontierlab.filters.filter import as_filter
from frontierlab.filters.measures import Count, Largest, Measure, Sum
from frontierlab.filters.needs import Expression
from frontierlab.filters.question import Question
from frontierlab.schema import IOV_COLUMNS, MISSING_IOV, UNKNOWN_TAG
from frontierlab.selection import QUERY_KINDS, Selection

__all__ = ["Asker", "RepeatCost", "repeated_queries"]

Asker = Literal["squid", "site"]
"""Who can ask a query again."""

RepeatCost = Literal["dbtime_ms", "bytes", "repeats", "queries"]
"""The costs of repeated queries by which they can be ranked."""

_ASKERS = {"squid": "squid", "site": "computingsite"}

# A row is a query as the caching figures tell queries apart, sent by one Squid or site. A query counts if it was served
# and is known: without its SQL text, it is known by its folder and IOV, and not without an IOV.
_EACH_QUERY = """\
SELECT {asker}, db, schema, nodefullpath, tagname, sqlhash, since, until,
       count(*) AS asked,
       count_if(counts) AS served,
       count_if(counts AND NOT cached) AS uncached,
       coalesce(sum(dbtime) FILTER (WHERE counts AND NOT cached), 0) AS dbtime,
       coalesce(max(dbtime) FILTER (WHERE counts AND NOT cached), 0) AS most_dbtime,
       coalesce(sum(fsize) FILTER (WHERE counts AND NOT cached), 0) AS fsize,
       coalesce(max(fsize) FILTER (WHERE counts AND NOT cached), 0) AS most_fsize
FROM (SELECT {asker}, db, schema, nodefullpath, coalesce(tagname, :unknown) AS tagname,
             sqlhash, coalesce(iov_since, :missing) AS since, coalesce(iov_until, :missing) AS until,
             coalesce(cached, false) AS cached, dbtime, fsize,
             NOT (coalesce(disconn, false) OR coalesce(rejected, false) OR coalesce(procerror, false))
             AND (iov_since >= 0 AND iov_until >= iov_since AND (sqlhash IS NOT NULL OR nodefullpath IS NOT NULL)
                  OR coalesce(iov_since, :missing) < 0 AND coalesce(iov_until, :missing) < 0
                  AND sqlhash IS NOT NULL) AS counts
      FROM {queries})
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"""

_COLUMNS = (*TAG, "sqlhash", *IOV_COLUMNS.values(), "cached", *QUERY_KINDS[:-1], "dbtime", "fsize")
"""The columns of the log in it, beside the one that names who asks."""

_MEASURES: dict[str, Measure] = {
    "queries": Sum("served"),
    "different_queries": Count("served > 0"),
    "cached": Sum("served - uncached"),
    "repeats": Sum("uncached - 1", where="uncached > 0"),
    "most_repeated": Largest("uncached"),
    "dbtime_ms": Sum("dbtime - most_dbtime"),
    "bytes": Sum("fsize - most_fsize"),
    "asked": Sum("asked"),
}


@as_filter
def repeated_queries(*, by: Asker = "squid", rank_by: RepeatCost = "dbtime_ms", top: int | None = 20) -> Question:
    """Find the queries that a Squid or site asks again and that are not cached, with their cost, by folder and tag.

    A Squid keeps what it got, so it should ask a query once, and later only whether the answer is still good, which
    Frontier answers as ``cached``. A Squid that does not keep answers, or that jobs bypass, repeats its queries.

    Queries are the same if their folder, tag, SQL text (``sqlhash``) and IOV are, as in `frontierlab.caching`. Queries
    that ask for no payload have no IOV; they have rows of their own. Each Squid of a site has to ask a query once, so
    a few repeats of a site with several Squids are normal.

    Parameters
    ----------
    by
        Who asks again: a ``squid`` or a ``site``; not every index names them.
    rank_by
        What ranks rows: ``dbtime_ms`` or ``bytes`` of the repeats, the number of ``repeats`` or of ``queries``.
    top
        How many folders and tags of a Squid or site have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a folder and tag of a Squid or site, the largest first.

        squid or computingsite : string; ``part`` is ``missing`` where the log does not name it
        db, schema, nodefullpath : string
        tagname : string; ``unknown`` where the log names no tag
        payload : boolean; whether the queries ask for a payload; null if a row has both kinds
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        queries : Int64, number of queries that were served: they did not fail
        different_queries : Int64, how many of these are different
        cached : Int64, how many of the queries were cached
        repeats : Int64, how many of the queries were not cached, but for one of each different query. A query for
            which the log does not say whether it was cached counts as not cached, as in `frontierlab.caching`
        most_repeated : Int64, how often the query that was repeated most was not cached; 0 if all were cached
        dbtime_ms, bytes : Int64, database time (milliseconds) and ``fsize`` of the repeats: the sum over the queries
            that were not cached, but for the largest value of each different query
        left_out : Int64, number of queries that are not counted above: they failed; their IOV is half given or ends
            before it starts; or the log gives neither the SQL text nor a folder with an IOV to know them by
        repeats_percent : Float64, % of the queries that are repeats; null without queries
    """
    if by not in _ASKERS:
        raise InvalidRequestError(f"by={by!r}: give one of {', '.join(_ASKERS)}.")
    if rank_by not in get_args(RepeatCost):
        raise InvalidRequestError(f"rank_by={rank_by!r}: give one of {', '.join(get_args(RepeatCost))}.")
    asker = _ASKERS[by]
    return _Repeats(
        _MEASURES,
        {**TAG, "payload": "since >= 0", asker: asker},
        within=Expression.of(_EACH_QUERY.format(asker=asker, queries="{queries}"), asker, *_COLUMNS),
        args={"unknown": UNKNOWN_TAG, "missing": MISSING_IOV},
        top=top,
        rank=(rank_by,),
        derive=_derived,
        facts={"by": by, "rank_by": rank_by},
    )


class _Repeats(Question):
    """A question about groups named by who asks, which comes first in the result."""

    def answer(self, raw: list[pd.DataFrame], selection: Selection) -> pd.DataFrame:
        answer = super().answer(raw, selection)
        *_, asker = self.keys
        return answer[[asker, *answer.columns.drop(asker)]]


def _derived(frame: pd.DataFrame) -> pd.DataFrame:
    left_out = frame["asked"] - frame["queries"]
    frame = frame.drop(columns="asked").assign(most_repeated=frame["most_repeated"].fillna(0), left_out=left_out)
    return add_percent(frame, ["repeats"], frame["queries"])
