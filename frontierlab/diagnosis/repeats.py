"""The same query again and again from one Squid or site, without a cached answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from frontierlab.diagnosis.finding import Finding, overlap
from frontierlab.diagnosis.scan import Best, of_counts, scan
from frontierlab.diagnosis.series import Clock, Series, rate_of

__all__ = ["all_bypassed", "bypasses"]

LEAST_FACTOR = 3.0
LEAST_GAIN = 40.0
LEAST_SHARE = 0.008
"""The least share of the day's queries that are too many."""

HOLDS = 0.85
"""The share of a site's excess from which one of its Squids is named."""

_FOLDER = ["db", "schema", "nodefullpath", "tagname"]
_FLOOR = 0.1
_SEVERAL = 2  # folders of which the cache is bypassed at once: it is the whole cache
_LEAST_OF_ALL = 1.6
_LEAST_SHARE_OF_ALL = 0.011
_LEAST_OF_MANY, _CHANCE = 0.006, 1.2  # a share of very many queries, and the roots that chance adds: less in all
_QUANTILE = 0.3186  # a quarter of normal values is within so many standard deviations
_UNCACHED = 0.8  # of the excess: more of everything has its share of cached queries
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
    place = _place(frame, clock)
    found: list[Finding] = []
    if frame.empty:
        return found
    frame = frame[frame[place].notna()].reset_index(drop=True)
    names = [place, *_FOLDER[:3]]
    series = Series(frame, names, clock)
    seen, usual = series["queries"].copy(), series.usual("queries")
    least = max(50.0, LEAST_SHARE * total)
    while len(found) < _MOST:
        expected = np.broadcast_to(rate_of(seen, usual, clock)[:, None] + _FLOOR, seen.shape)
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
    return _by_place(found, place)


def _place(frame: pd.DataFrame, clock: Clock) -> str:
    """Return the column that names where queries come from: an index can lack the site."""
    return "computingsite" if frame["computingsite"][frame["bin"] >= clock.start].notna().any() else "squid"


def _by_place(found: list[Finding], place: str) -> list[Finding]:
    """Return findings in which one of a site or Squid stands for those of several of its folders."""
    merged: list[Finding] = []
    left = sorted(found, key=lambda one: -one.gain)
    while left:
        first = left[0]
        together = [one for one in left if one.scope[place] == first.scope[place] and overlap(one, first) >= 0.5]
        left = [one for one in left if one not in together]
        if len({(one.scope["schema"], one.scope["nodefullpath"]) for one in together}) < _SEVERAL:
            merged += together
            continue
        names = (place, "squid")
        scope = {name: first.scope.get(name) for name in names if len({one.scope.get(name) for one in together}) == 1}
        scope = {name: value for name, value in scope.items() if value is not None}
        normal, seen = sum(one.normal for one in together), sum(one.seen for one in together)
        gain = sum(one.gain for one in together)
        merged.append(replace(first, scope=scope, normal=normal, seen=seen, gain=gain))
    return merged


def all_bypassed(
    misses: pd.DataFrame, first: pd.DataFrame, total: float, clock: Clock, taken: Sequence[Finding]
) -> list[Finding]:
    """Return the sites and Squids of which the misses of queries of all folders rose, but not the cached queries.

    Parameters
    ----------
    misses, first
        The queries and misses of sites and Squids, and the misses that a cache must have.
    total
        The number of all queries.
    clock
        The bins.
    taken
        What explains misses already: a site's or Squid's bypass of one folder.
    """
    place = _place(misses, clock)
    frame = misses.merge(first, on=["bin", "computingsite", "squid"], how="left")
    frame = frame.assign(repeated=frame["uncached"] - frame["fresh"].fillna(0))
    frame = frame[frame[place].notna()].reset_index(drop=True)
    found: list[Finding] = []
    if frame.empty:
        return found
    series = Series(frame, [place], clock)
    seen, usual = series["repeated"].clip(0), series.usual("repeated")
    least = max(50.0, min(_LEAST_SHARE_OF_ALL * total, _LEAST_OF_MANY * total + _CHANCE * total**0.5))
    while len(found) < _MOST:
        expected = rate_of(seen, usual, clock)[:, None] + _FLOOR + np.zeros_like(seen)
        residual = np.abs(seen - expected) / np.sqrt(expected)
        spread = (np.quantile(residual, 0.25, axis=1) / _QUANTILE) ** 2
        one = scan(of_counts(seen, expected, spread.clip(1.5)), _LEAST_OF_ALL)
        if one is None or one.gain < LEAST_GAIN:
            break
        span = slice(one.start, one.stop)
        there, normal = float(seen[one.row, span].sum()), float(expected[one.row, span].sum())
        seen[one.row, max(0, one.start - 1) : one.stop + 1] = expected[one.row, 0]
        rises = [_rise(series, name, one, clock) for name in ("uncached", "queries")]
        if there - normal < least or rises[0] < _UNCACHED * rises[1]:
            continue
        scope: dict[str, Any] = {place: series.labels[place][one.row]}
        rows = frame[(series.place == one.row) & (series.bin >= one.start) & (series.bin < one.stop)]
        if place != "squid" and (squid := _holder(rows, "squid", "repeated")) is not None:
            scope["squid"] = squid
        finding = Finding("cache_bypass", scope, one.start, one.stop, normal, there, "repeated queries", one.gain)
        if not any(other.scope.get(place) == scope[place] and overlap(finding, other) > 0.5 for other in taken):
            found.append(finding)
    return found


def _rise(series: Series, name: str, one: Best, clock: Clock) -> float:
    """Return the excess of a series in an interval over its level."""
    row, usual = slice(one.row, one.row + 1), series.usual(name)
    rate = rate_of(series[name][row], None if usual is None else usual[row], clock, 0.4)[0]
    return float(series[name][one.row, one.start : one.stop].sum() - rate * (one.stop - one.start))


def _holder(rows: pd.DataFrame, name: str, measure: str = "queries") -> Any:
    """Return the value that has nearly all queries of these rows; None if several share them or none is named."""
    counts = rows.dropna(subset=[name]).groupby(name)[measure].sum()
    if counts.empty or counts.max() < HOLDS * counts.sum():
        return None
    return counts.idxmax()
