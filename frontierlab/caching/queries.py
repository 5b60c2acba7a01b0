"""The different queries of one folder and tag."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from frontierlab.engines.logs import Logs
from frontierlab.engines.own_statements import ask
from frontierlab.schema import UNKNOWN_TAG
from frontierlab.selection import Selection, as_selection

__all__ = ["FolderTag", "askers_of", "different_queries", "failed_queries", "served", "sorted_askers"]

_ASKED = (
    "db = :of_db",
    "schema = :of_schema",
    "nodefullpath = :of_nodefullpath",
    f"coalesce(tagname, '{UNKNOWN_TAG}') = :of_tagname",
    "iov_since >= 0",
    "iov_until >= iov_since",
)
_FAILED = "(coalesce(disconn, false) OR coalesce(rejected, false) OR coalesce(procerror, false))"
_SERVED = (*_ASKED, f"NOT {_FAILED}")

_DIFFERENT = """\
SELECT sqlhash,
       iov_since AS since,
       iov_until AS until,
       max(nodetime = 'time') AS is_time,
       count(*) AS queries,
       count_if(NOT coalesce(cached, false)) AS uncached,
       sum(fsize) FILTER (WHERE NOT coalesce(cached, false)) AS bytes,
       count(fsize) FILTER (WHERE NOT coalesce(cached, false)) AS sized,
       sum(dbtime) FILTER (WHERE NOT coalesce(cached, false)) AS dbtime,
       count(dbtime) FILTER (WHERE NOT coalesce(cached, false)) AS timed
FROM {{logs}}{where}
GROUP BY sqlhash, iov_since, iov_until"""

_ASKERS = """\
SELECT squid,
       computingsite,
       sum(queries) AS queries,
       count(*) AS different_queries,
       sum(uncached) AS uncached,
       coalesce(sum(uncached - 1) FILTER (WHERE uncached > 0), 0) AS repeated_queries,
       max(uncached) AS most_repeated,
       sum(bytes - most_bytes) AS repeated_bytes,
       sum(dbtime - most_dbtime) AS repeated_dbtime
FROM (
  SELECT squid,
         IF(squid IS NULL, computingsite, NULL) AS computingsite,
         sqlhash,
         iov_since,
         iov_until,
         count(*) AS queries,
         count_if(NOT coalesce(cached, false)) AS uncached,
         coalesce(sum(fsize) FILTER (WHERE NOT coalesce(cached, false)), 0) AS bytes,
         coalesce(max(fsize) FILTER (WHERE NOT coalesce(cached, false)), 0) AS most_bytes,
         coalesce(sum(dbtime) FILTER (WHERE NOT coalesce(cached, false)), 0) AS dbtime,
         coalesce(max(dbtime) FILTER (WHERE NOT coalesce(cached, false)), 0) AS most_dbtime
  FROM {{logs}}{where}
  GROUP BY 1, 2, 3, 4, 5
)
GROUP BY squid, computingsite"""


class FolderTag(NamedTuple):
    """A folder and one of its tags; the tag is ``none`` if the folder has no tags."""

    db: str
    schema: str
    nodefullpath: str
    tagname: str

    def __str__(self) -> str:
        return f"{self.db} {self.schema} {self.nodefullpath} {self.tagname}"


def served(folder: FolderTag, selection: Selection | None = None) -> tuple[str, dict[str, Any]]:
    """Return the WHERE clause for the served queries with an IOV of a folder and tag, and its parameter values."""
    where, args = as_selection(selection).where(*_SERVED)
    return where, args | {f"of_{name}": value for name, value in folder._asdict().items()}


def different_queries(logs: Logs, folder: FolderTag, selection: Selection | None = None) -> pd.DataFrame:
    """Return the different served queries with an IOV of a folder and tag, within a selection.

    Returns
    -------
    pandas.DataFrame
        A row is one (``sqlhash``, ``since``, ``until``) with its number of ``queries``, sorted by ``since``, ``until``
        and ``sqlhash``. For the ``uncached`` queries: ``bytes``, the sum over the ``sized`` queries with a size, and
        ``dbtime`` (ms), the sum over the ``timed`` queries with a database time. All Int64. ``is_time`` is true if the
        IOV is a time; null if the logs do not say.
    """
    where, args = served(folder, selection)
    frame = ask({"logs": logs}, _DIFFERENT.format(where=where), args, description=f"different queries of {folder}")
    return frame.sort_values(["since", "until", "sqlhash"], ignore_index=True)


def askers_of(logs: Logs, folder: FolderTag, selection: Selection | None = None) -> pd.DataFrame:
    """Return who sent the served queries of a folder and tag, and what they asked again.

    Returns
    -------
    pandas.DataFrame
        A row is a Squid (``squid``), or a site (``computingsite``) where the Squid is not known; both are null for
        queries that name neither. Most database time of repeats first: ``queries``, ``different_queries``,
        ``uncached``, ``repeated_queries``, ``most_repeated`` (how often the query that was repeated most was not
        cached), ``repeated_bytes``, ``repeated_dbtime`` (ms). See `frontierlab.caching.efficiency`.
    """
    where, args = served(folder, selection)
    frame = ask(
        {"logs": logs}, _ASKERS.format(where=where), args, description=f"Squids and sites that asked for {folder}"
    )
    return sorted_askers(frame)


def sorted_askers(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `askers_of` in their order; what no Squid and site sent has no repeats."""
    nobody = frame["squid"].isna() & frame["computingsite"].isna()
    repeats = ["repeated_queries", "most_repeated", "repeated_bytes", "repeated_dbtime"]
    frame.loc[nobody, repeats] = pd.NA
    order = ["repeated_dbtime", "repeated_queries", "squid", "computingsite"]
    return frame.sort_values(order, ascending=[False, False, True, True], ignore_index=True)


def failed_queries(logs: Logs, folder: FolderTag, selection: Selection | None = None) -> int:
    """Return the number of queries with an IOV of a folder and tag that failed."""
    where, args = as_selection(selection).where(*_ASKED, _FAILED)
    args = args | {f"of_{name}": value for name, value in folder._asdict().items()}
    statement = f"SELECT count(*) AS failed FROM {{logs}}{where}"
    frame = ask({"logs": logs}, statement, args, description=f"failed queries of {folder}")
    return int(frame["failed"].iloc[0])
