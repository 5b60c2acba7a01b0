"""The different queries of one folder and tag, and their IOV base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from frontierlab import spark
from frontierlab.caching.counting import UNKNOWN_TAG
from frontierlab.coolr import Source
from frontierlab.errors import InvalidRequestError
from frontierlab.selection import Selection

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["FolderTag", "GRIDS", "different_queries", "iov_base", "served"]

GRIDS = {
    "run-lumi": ("10 lumiblocks", "100 lumiblocks", "1 run", "payload"),
    "time": ("10 minutes", "60 minutes", "1440 minutes", "payload"),
}
"""The default grids to try, by the folder's IOV base."""


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
    where, args = (selection or Selection()).where(*_SERVED)
    return where, args | {f"of_{name}": value for name, value in folder._asdict().items()}


def different_queries(logs: DataFrame, folder: FolderTag, selection: Selection | None = None) -> pd.DataFrame:
    """Return the different served queries with an IOV of a folder and tag, within a selection.

    Returns
    -------
    pandas.DataFrame
        A row is one (``sqlhash``, ``since``, ``until``) with its number of ``queries``. For uncached queries:
        ``bytes``, the sum over the ``sized`` queries with a size, and ``dbtime`` (ms), the sum over the ``timed``
        queries with a database time. All Int64. ``is_time`` is true if the IOV is a time; null if the logs do
        not say.
    """
    where, args = served(folder, selection)
    return spark.run(logs, _DIFFERENT.format(where=where), args, description=f"different queries of {folder}")


def iov_base(queries: pd.DataFrame, folder: FolderTag, source: Source) -> str:
    """Return the IOV base of a folder, run-lumi or time, from the logs or else from COOLR.

    Raises
    ------
    InvalidRequestError
        Neither names the base.
    CoolrError
        COOLR was asked and did not answer.
    """
    known = queries["is_time"].dropna()
    if len(known):
        return "time" if known.iloc[0] else "run-lumi"
    nodes = {node.nodefullpath: node.nodetime for node in source.nodes(folder.db, folder.schema)}
    base = nodes.get(folder.nodefullpath)
    if base not in GRIDS:
        raise InvalidRequestError(
            f"The IOV base of {folder.nodefullpath} is not known: neither the dataset nor the folders of {folder.db} "
            f"{folder.schema} in COOLR name it. The rows of efficiency() show the folders and tags that were asked for."
        )
    return str(base)
