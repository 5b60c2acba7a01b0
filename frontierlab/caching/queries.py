"""The different queries of one folder and tag."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from frontierlab.engines.asking import ask
from frontierlab.engines.logs import Logs
from frontierlab.schema import UNKNOWN_TAG
from frontierlab.selection import Selection, as_selection

__all__ = ["FolderTag", "different_queries", "served"]

_SERVED = (
    "db = :of_db",
    "schema = :of_schema",
    "nodefullpath = :of_nodefullpath",
    f"coalesce(tagname, '{UNKNOWN_TAG}') = :of_tagname",
    "iov_since >= 0",
    "iov_until >= iov_since",
    "NOT (coalesce(disconn, false) OR coalesce(rejected, false) OR coalesce(procerror, false))",
)

_DIFFERENT = """\
SELECT sqlhash,
       iov_since AS since,
       iov_until AS until,
       max(nodetime = 'time') AS is_time,
       count(*) AS queries,
       sum(fsize) FILTER (WHERE NOT coalesce(cached, false)) AS bytes,
       count(fsize) FILTER (WHERE NOT coalesce(cached, false)) AS sized,
       sum(dbtime) FILTER (WHERE NOT coalesce(cached, false)) AS dbtime,
       count(dbtime) FILTER (WHERE NOT coalesce(cached, false)) AS timed
FROM {{logs}}{where}
GROUP BY sqlhash, iov_since, iov_until"""


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
        and ``sqlhash``. For uncached queries: ``bytes``, the sum over the ``sized`` queries with a size, and ``dbtime``
        (ms), the sum over the ``timed`` queries with a database time. All Int64. ``is_time`` is true if the IOV is a
        time; null if the logs do not say.
    """
    where, args = served(folder, selection)
    frame = ask({"logs": logs}, _DIFFERENT.format(where=where), args, description=f"different queries of {folder}")
    return frame.sort_values(["since", "until", "sqlhash"], ignore_index=True)
