"""Floods of different IOVs, and wrong ones, of a folder and tag: counts that rise against the folder's own level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from frontierlab.diagnosis.finding import Finding
from frontierlab.diagnosis.scan import Evidence, of_counts, scan
from frontierlab.diagnosis.series import Clock, Floats, Series, by_hour, quantile_of_some, rate_of

__all__ = ["floods", "wrong_iovs"]

LEAST_FACTOR = 1.5
LEAST_GAIN = 40.0
LEAST_SHARE = 0.011
"""The least share of the day's queries that are too many."""

HOLDS = 0.85
"""The share of a folder's excess from which one of its tags is named."""

_NAMES = ("db", "schema", "nodefullpath", "tagname")
_SMALL = 0.05  # of the answers: so many are small by chance
_MOST_SMALL = 0.25  # of the answers: a folder with more has small payloads
_NEARLY_ALL = 0.7  # of the answers of such a folder are small while it is asked for what is empty
_TIMES = 1.5  # the usual share, of a folder of which some payloads are small
_LOW_HOURS = 0.15  # the quantile of the hours
_WRONG = 0.7  # of the least share: wrong IOVs have hardly a normal number
_ALSO = 0.5  # of the excess in different queries is one in queries; otherwise they are only new on this day
_MOST_NEW = 0.75  # of the queries that are too many are different, at least
_FRESH = 0.35  # of very many: the IOVs of a folder are some ten thousand, and are asked for again
_IOVS = 7_500
_LONGEST = 0.75  # of the bins: what is high for longer is normal
_UNCACHED = 0.6  # of the excess
_QUANTILE = 0.3186  # a quarter of normal values is within so many standard deviations
_FLOOR = 0.05  # queries that are always expected in a bin
_MOST = 10


def floods(fresh: pd.DataFrame, folders: pd.DataFrame, clock: Clock, taken: Sequence[Finding] = ()) -> list[Finding]:
    """Return the folders and tags that were asked for many IOVs that nobody had asked for before on that day.

    Parameters
    ----------
    fresh
        Different queries by the bin in which each was first asked.
    folders
        The queries of folders and tags.
    clock
        The bins.
    taken
        Wrong IOVs that were found: their queries differ too.
    """
    columns = ["bin", *_NAMES, "fresh"]
    merged = folders[["bin", *_NAMES, "queries", "uncached"]].merge(fresh[columns], on=["bin", *_NAMES], how="left")
    merged["fresh"] = merged["fresh"].fillna(0)
    tags = Series(_named(merged), _NAMES, clock)
    return _search("iov_flood", "", tags, "fresh", "different queries", _today(folders, clock), taken)


def wrong_iovs(folders: pd.DataFrame, clock: Clock) -> list[Finding]:
    """Return the folders and tags that were asked for IOVs off Athena's grid, for nonsense, or for empty answers."""
    frame, total = _named(folders), _today(folders, clock)
    tags = Series(frame, _NAMES, clock)
    share = _always_small(tags, clock)[tags.place]
    some = np.where((share >= _SMALL) & (share < _MOST_SMALL), _TIMES * share * frame["bodies"].to_numpy(float), 0.0)
    small = np.where(share < _MOST_SMALL, frame["small"].to_numpy(float), 0.0)
    frame = frame.assign(small=(small - some).clip(0))
    tags = tags.with_measures(frame)
    found: list[Finding] = []
    for how, measure in (("unaligned", "unaligned"), ("nonsense", "nonsense")):
        found += _search("wrong_iov", how, tags, measure, f"{how} queries", total, found)
    empty = _search("wrong_iov", "empty", tags, "small", "empty queries", total, found)
    frame = frame.assign(usual=np.minimum(small, some))
    return [*found, *(whole for one in empty if (whole := _with_usual(one, frame, clock)) is not None)]


def _with_usual(one: Finding, frame: pd.DataFrame, clock: Clock) -> Finding | None:
    """Return a finding with the answers that are usually small: they were seen too, and are normal.

    None if they are many, and large answers came as well: the folder was asked otherwise.
    """
    place = clock.places(frame)
    inside = (place >= one.start) & (place < one.stop)
    for name in _NAMES[:3]:
        inside &= (frame[name] == one.scope[name]).fillna(False).to_numpy(dtype=bool)
    usual, bodies = (float(frame[name].to_numpy(float)[inside].sum()) for name in ("usual", "bodies"))
    if usual and one.seen + usual < _NEARLY_ALL * bodies:
        return None
    return replace(one, seen=round(one.seen + usual, 3), normal=one.normal + usual)


def _always_small(tags: Series, clock: Clock) -> Floats:
    """Return the share of small answers in the hours in which it is low: small payloads are small in every hour."""
    small, bodies = by_hour(tags.reference("small"), clock), by_hour(tags.reference("bodies"), clock)
    some = bodies > 0
    share = quantile_of_some(small / np.where(some, bodies, 1.0), some, _LOW_HOURS)
    return np.where(some.any(axis=1), share, 1.0)


def _named(folders: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that name a folder."""
    return folders[folders["nodefullpath"].notna()].reset_index(drop=True)


def _today(folders: pd.DataFrame, clock: Clock) -> float:
    """Return the number of queries of the data, without the baseline."""
    return float(folders["queries"][folders["bin"] >= clock.start].sum())


def _search(
    kind: str,
    how: str,
    tags: Series,
    measure: str,
    unit: str,
    total: float,
    taken: Sequence[Finding],
) -> list[Finding]:
    if not len(tags):
        return []
    clock, least = tags.clock, max(50.0, LEAST_SHARE * total * (_WRONG if how else 1.0))
    seen = tags[measure].copy()
    for other in taken:
        seen[tags.rows_of(other.scope), max(0, other.start - 1) : other.stop + 1] = 0.0
    place, labels = tags.groups(_NAMES[:3])
    usual = tags.usual(measure)
    before = None if usual is None else _together(usual, place, len(labels))
    found: list[Finding] = []
    while len(found) < _MOST:
        folder = _together(seen, place, len(labels))
        large = np.flatnonzero(folder.sum(axis=1) >= _FRESH * least)
        if not len(large):
            break
        expected = _expected(folder[large], None if before is None else before[large], clock)
        one = scan(_counts(folder[large], expected), LEAST_FACTOR)
        if one is None or one.gain < LEAST_GAIN:
            break
        row, span = int(large[one.row]), slice(one.start, one.stop)
        there, normal = float(folder[row, span].sum()), float(expected[one.row, span].sum())
        rows = np.flatnonzero(place == row)
        seen[rows, max(0, one.start - 1) : one.stop + 1] = 0.0
        if there - normal < (least if how else min(_MOST_NEW * least, max(_FRESH * least, _IOVS))):
            continue
        if one.stop - one.start > _LONGEST * clock.bins and not clock.before:
            continue
        if not how and not _also(tags, rows, span, there - normal, least, clock):
            continue
        scope: dict[str, Any] = {name: labels[name][row] for name in _NAMES[:3]}
        tag = _tag(tags, tags[measure][rows, span].sum(axis=1), rows)
        scope |= {} if tag is None else {"tagname": tag}
        found.append(Finding(kind, scope, one.start, one.stop, normal, there, unit, one.gain, how))
    return found


def _also(tags: Series, rows: np.ndarray, span: slice, excess: float, least: float, clock: Clock) -> bool:
    """Return whether the uncached queries rose by enough, and not the cached ones.

    All queries are new when a day begins, or a task; a new task that caches well has many cached ones.
    """
    rises = []
    for name in ("uncached", "queries"):
        queries, usual = tags[name][rows].sum(axis=0, keepdims=True), tags.usual(name)
        normal = _expected(queries, None if usual is None else usual[rows].sum(axis=0, keepdims=True), clock)
        rises.append(float(queries[0, span].sum() - normal[0, span].sum()))
    return rises[0] >= max(least, _ALSO * excess, _UNCACHED * rises[1])


def _tag(tags: Series, seen: Floats, rows: np.ndarray) -> Any:
    """Return the tag that holds the excess of a folder with several tags; None if several do."""
    names = tags.labels["tagname"].iloc[rows]
    known = names.notna().to_numpy()
    if known.sum() < 2 or not seen[known].sum():
        return None
    best = int(np.argmax(np.where(known, seen, -1.0)))
    return names.iloc[best] if seen[best] >= HOLDS * seen[known].sum() else None


def _together(values: Floats, place: np.ndarray, count: int) -> Floats:
    """Return the sums of series by group."""
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, place, values)
    return sums


def _expected(seen: Floats, usual: Floats | None, clock: Clock) -> Floats:
    rate = rate_of(seen, usual, clock)[:, None]
    return np.asarray(np.broadcast_to(rate + _FLOOR, seen.shape))


def _counts(seen: Floats, expected: Floats) -> Evidence:
    """Return the evidence; tasks come and go, so folders vary by much more than by chance."""
    residual = np.abs(seen - expected) / np.sqrt(expected)
    spread = (np.quantile(residual, 0.25, axis=1) / _QUANTILE) ** 2  # an incident can fill more than half of the bins
    return of_counts(seen, expected, spread.clip(1.0))
