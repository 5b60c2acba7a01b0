"""The same query again and again from one Squid or site, without a cached answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from frontierlab.diagnosis.finding import Finding
from frontierlab.diagnosis.scan import of_counts, scan
from frontierlab.diagnosis.series import Clock, Series, level

__all__ = ["bypasses"]

LEAST_FACTOR = 3.0
LEAST_GAIN = 40.0
LEAST_SHARE = 0.006
"""The least share of the day's queries that are too many."""

HOLDS = 0.85
"""The share of a site's excess from which one of its Squids is named."""

_FOLDER = ["db", "schema", "nodefullpath", "tagname"]
_FLOOR = 0.1
_MOST = 8


def bypasses(repeats: pd.DataFrame, total: float, clock: Clock) -> list[Finding]:
    """Return the Squids and sites whose misses of the same queries of a folder and tag rose.

    Parameters
    ----------
    repeats
        A row is a bin and a query that one Squid of one site sent often.
    total
        The number of all queries.
    clock
        The bins.
    """
    frame = repeats[repeats["nodefullpath"].notna()].reset_index(drop=True)
    by_site = frame["computingsite"].notna().any()
    found: list[Finding] = []
    if frame.empty:
        return found
    place = "computingsite" if by_site else "squid"
    frame = frame[frame[place].notna()].reset_index(drop=True)
    names = [place, *_FOLDER[:3]]
    series = Series(frame, names, clock)
    seen = series["queries"].copy()
    least = max(50.0, LEAST_SHARE * total)
    while len(found) < _MOST:
        expected = np.broadcast_to(level(seen, np.ones_like(seen), clock, 0.4)[:, None] + _FLOOR, seen.shape)
        one = scan(of_counts(seen, expected, 2.0), LEAST_FACTOR)
        if one is None or one.gain < LEAST_GAIN:
            break
        span = slice(one.start, one.stop)
        there, normal = float(seen[one.row, span].sum()), float(expected[one.row, span].sum())
        seen[one.row, max(0, one.start - 1) : one.stop + 1] = 0.0
        if there - normal < least:
            continue
        rows = frame[(series.place == one.row) & (series.bin >= one.start) & (series.bin < one.stop)]
        scope: dict[str, Any] = {name: series.labels[name][one.row] for name in names}
        if (squid := _holder(rows, "squid")) is not None:
            scope["squid"] = squid
        if (tag := _holder(rows, "tagname")) is not None:
            scope["tagname"] = tag
        found.append(Finding("cache_bypass", scope, one.start, one.stop, normal, there, "repeated queries", one.gain))
    return found


def _holder(rows: pd.DataFrame, name: str) -> Any:
    """Return the value that has nearly all queries of these rows; None if several share them or none is named."""
    counts = rows.dropna(subset=[name]).groupby(name)["queries"].sum()
    if counts.empty or counts.max() < HOLDS * counts.sum():
        return None
    return counts.idxmax()
