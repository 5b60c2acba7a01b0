"""The different queries of one folder and tag, from the counts of all folders."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.caching.counting import MOST, QUERY, SUMS, Asker
from frontierlab.caching.queries import sorted_askers
from frontierlab.util.frames import as_frame

__all__ = ["askers_among", "different_among"]

_SUMMED = ("queries", "different_queries", "uncached", "repeated_queries", "repeated_bytes", "repeated_dbtime")


def different_among(rows: pa.Table) -> pd.DataFrame:
    """Return the frame of `frontierlab.caching.queries.different_queries`, without ``is_time``.

    Sums over no value are 0.

    Parameters
    ----------
    rows
        The rows of a folder and tag from `frontierlab.caching.counting.Counted`.
    """
    once = rows.group_by([*QUERY]).aggregate([(name, "sum") for name in SUMS])
    frame = as_frame(once).rename(columns=lambda name: name.removesuffix("_sum")).rename(columns={"bodies": "sized"})
    return frame.sort_values(["since", "until", "sqlhash"], ignore_index=True)


def askers_among(rows: pa.Table, askers: Mapping[int, Asker]) -> pd.DataFrame:
    """Return the frame of `frontierlab.caching.queries.askers_of`.

    Parameters
    ----------
    rows
        The rows of a folder and tag from `frontierlab.caching.counting.Counted`.
    askers
        The Squids and sites of these rows, by their hashes.
    """
    each = [*((name, "sum") for name in SUMS), *((name, "max") for name in MOST)]
    once = rows.group_by(["asker", *QUERY]).aggregate(each)
    again = pc.max_element_wise(pc.subtract(once["uncached_sum"], 1), 0)
    one = pa.table(
        {
            "asker": once["asker"],
            "queries": once["queries_sum"],
            "different_queries": pa.repeat(1, len(once)),
            "uncached": once["uncached_sum"],
            "repeated_queries": again,
            "repeated_bytes": pc.subtract(once["bytes_sum"], once["most_bytes_max"]),
            "repeated_dbtime": pc.subtract(once["dbtime_sum"], once["most_dbtime_max"]),
        }
    )
    summed = one.group_by(["asker"]).aggregate([*((name, "sum") for name in _SUMMED), ("uncached", "max")])
    frame = as_frame(summed).rename(
        columns={f"{name}_sum": name for name in _SUMMED} | {"uncached_max": "most_repeated"}
    )
    known = [None if pd.isna(asker) else askers[int(asker)] for asker in frame["asker"]]
    for column, is_site in (("squid", False), ("computingsite", True)):
        names = [one.name if one is not None and one.is_site is is_site else None for one in known]
        frame[column] = pd.Series(names, dtype="string", index=frame.index)
    return sorted_askers(frame.drop(columns="asker"))
