"""Slow databases, slow servers, and larger answers: means of logarithms that rise against their own level.

A schema is slow when its folders are slower than they themselves usually are: residuals are taken a folder, so a slow
folder that is asked more often does not make its schema slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from frontierlab.diagnosis.finding import Finding, overlap
from frontierlab.diagnosis.long_rises import with_parents
from frontierlab.diagnosis.scan import Best, Evidence, burst, of_logs, scan
from frontierlab.diagnosis.series import Clock, Floats, Series, by_hour, median_of_some, quantile_of_some

__all__ = ["LATENCIES", "Latency", "slower"]

LEAST_FACTOR = 1.35
LEAST_GAIN = 25.0
_LEAST_OF_LONG = 1.5  # of what fills more than half of the data
_LEAST_OF_MANY = 1.45  # of a whole schema, instance, or everything: what many series have in common wanders too

WANDER = 0.1
"""The standard deviation by which the level of a series wanders within a day, in logarithms."""

SCALE = 100.0  # the statements give hundredths, as whole numbers
_AT_LEAST = 4  # values of an hour of a series with few
_BLOCKS = (1, 2, 4)  # hours
_PER_BLOCK = 8  # values: a series with fewer has longer blocks
_QUANTILE = 0.34
_LOW = 0.41  # standard deviations by which this quantile is below the mean
_PER_HOUR = 15  # values from which an hour has a level
_MOST = 12  # incidents of one kind
_FEWEST = 20  # values in an interval
_LONGEST = 0.75  # of the bins: what is high for longer is normal
_HOLDS = 0.85  # of the evidence, from which one tag is named
_PARENT = 2  # children that must deviate before a parent is named


@dataclass(frozen=True)
class Latency:
    """One measure and the scopes in which it can rise.

    Parameters
    ----------
    kind, unit
        The kind of the incident, and the unit of the measure.
    count, total, squares
        The columns with the number of values, the sum of their logarithms, and of the squares of these.
    names
        The columns of the series.
    scopes
        The choices of names that can be told, the widest last.
    """

    kind: str
    unit: str
    count: str
    total: str
    squares: str
    names: tuple[str, ...]
    scopes: tuple[tuple[str, ...], ...]


LATENCIES = (
    Latency(
        "slow_database",
        "ms of database time a query",
        "timed",
        "log_dbtime",
        "log_dbtime_2",
        ("db", "schema", "nodefullpath"),
        (("db", "schema", "nodefullpath"), ("db", "schema"), ("schema", "nodefullpath"), ("schema",), ("db",), ()),
    ),
    Latency(
        "slow_server",
        "ms outside of the database a query",
        "timed",
        "log_overhead",
        "log_overhead_2",
        ("frontierserver",),
        (("frontierserver",), ()),
    ),
    Latency(
        "payload_growth",
        "bytes an answer",
        "bodies",
        "log_bytes",
        "log_bytes_2",
        ("db", "schema", "nodefullpath", "tagname"),
        (
            ("db", "schema", "nodefullpath", "tagname"),
            ("db", "schema", "nodefullpath"),
            ("schema", "nodefullpath"),
        ),
    ),
)
"""The latencies that are looked at."""


def slower(latency: Latency, frame: pd.DataFrame, clock: Clock, wrong: Sequence[Finding] = ()) -> list[Finding]:
    """Return where a measure rose, the clearest first.

    Parameters
    ----------
    latency
        The measure.
    frame
        The result of the statement that counts it.
    clock
        The bins.
    wrong
        Queries for wrong IOVs; the times of those whose answers are empty are not counted.
    """
    frame = frame[frame[latency.count] > 0].reset_index(drop=True)
    if frame.empty:
        return []
    series = Series(frame, latency.names, clock)
    count, total, squares = (series[name].copy() for name in (latency.count, latency.total, latency.squares))
    total, squares = total / SCALE, squares / SCALE
    before = (series.usual(latency.count), series.usual(latency.total))
    variance = _within(count, total, squares)
    for other in (one for one in wrong if one.how == "empty"):
        cells = np.ix_(series.rows_of(other.scope), np.arange(max(0, other.start - 1), min(clock.bins, other.stop + 1)))
        for values in (count, total, squares):
            values[cells] = 0.0
    scopes = [(names, *series.groups(names)) for names in latency.scopes]
    whole = (count.copy(), total.copy(), variance)
    found: list[Finding] = []
    while len(found) < _MOST:
        base = _normal(count, total, variance, before, clock)
        evidence = _evidence(count, total, base, variance)
        one = _best(latency, evidence, scopes, found, clock, base, count)
        if one is None:
            break
        finding, rows = one
        found.append(finding)
        cells = np.ix_(rows, np.arange(max(0, finding.start - 1), min(clock.bins, finding.stop + 1)))
        for values in (count, total):
            values[cells] = 0.0  # medians are taken anew without what is explained
    if latency.names[-1] == "tagname":  # `_is_parent` decides between a tag and its folder
        return _without_tags(found)
    return with_parents(found, latency.scopes, series, whole, WANDER, clock)


def _without_tags(found: list[Finding]) -> list[Finding]:
    """Return findings in which one of a folder stands for those of several of its tags at a time."""
    merged: list[Finding] = []
    for one in sorted(found, key=lambda one: -one.gain):
        scope = {name: value for name, value in one.scope.items() if name != "tagname"}
        place = next(
            (
                n
                for n, other in enumerate(merged)
                if "tagname" in one.scope
                and {name: value for name, value in other.scope.items() if name != "tagname"} == scope
                and overlap(one, other) >= 0.5
            ),
            None,
        )
        if place is None:
            merged.append(one)
        else:
            merged[place] = replace(merged[place], scope=scope)
    return merged


def _within(count: Floats, total: Floats, squares: Floats) -> Floats:
    """Return the variance of single values within a bin, for each series."""
    spread = (squares - np.divide(total**2, count, out=np.zeros_like(total), where=count > 0)).clip(0)
    free = (count - 1).clip(0)
    pooled = spread.sum() / max(free.sum(), 1.0)
    return np.asarray((spread.sum(axis=1) + 10 * pooled) / (free.sum(axis=1) + 10) + 1e-4)


def _normal(
    count: Floats, total: Floats, variance: Floats, before: tuple[Floats | None, Floats | None], clock: Clock
) -> Floats:
    """Return the normal mean of each series: of the baseline where it has values of the series, else of the data."""
    own = _level(count, total, clock, variance)
    number, sums = before
    if number is None or sums is None:
        return own
    return np.where(number.sum(axis=1) >= _PER_HOUR, _level(number, sums / SCALE, clock, variance), own)


def _level(count: Floats, total: Floats, clock: Clock, variance: Floats) -> Floats:
    """Return the normal mean of each series: a low quantile of the means of its hours, or of longer times if few ask.

    The means of few values spread, and their low quantile is too low by a known part of that spread.
    """
    quantile = clock.quantile(_QUANTILE)
    hourly, sums = by_hour(count, clock), by_hour(total, clock)
    base, left = np.zeros(len(count)), (count > 0).any(axis=1)
    for hours in _BLOCKS:
        n, s = _blocks(hourly, hours), _blocks(sums, hours)
        usual = _median_of_some(n)  # not the most: an incident can ask a folder much more often
        rows = left & ((usual >= _PER_BLOCK) | (hours == _BLOCKS[-1])) & (n > 0).any(axis=1)
        enough = n >= np.minimum(_PER_HOUR, np.maximum(usual / 2, np.minimum(usual, _AT_LEAST)))[:, None]
        means = s / np.where(n > 0, n, 1.0)
        if rows.any():
            spread = np.sqrt(variance[rows] / usual[rows])
            low = _LOW * spread * (quantile < 0.5)
            base[rows] = quantile_of_some(means[rows], enough[rows], quantile) + low
        left &= ~rows
    return base


def _blocks(hourly: Floats, hours: int) -> Floats:
    """Return sums over several hours; the last ones can be fewer."""
    missing = -hourly.shape[1] % hours
    return np.asarray(np.pad(hourly, ((0, 0), (0, missing))).reshape(len(hourly), -1, hours).sum(axis=2))


def _median_of_some(n: Floats) -> Floats:
    """Return the median of the numbers of each row that are not 0; 1 where all are."""
    return np.where((n > 0).any(axis=1), median_of_some(n), 1.0)


def _evidence(count: Floats, total: Floats, base: Floats, variance: Floats) -> Evidence:
    given = count > 0
    residual = np.where(given, total / np.where(given, count, 1.0) - base[:, None], 0.0)
    noise = np.where(given, variance[:, None] / np.where(given, count, 1.0) + WANDER**2, np.inf)
    return of_logs(residual, noise)


def _best(
    latency: Latency,
    evidence: Evidence,
    scopes: Sequence[tuple[tuple[str, ...], Any, pd.DataFrame]],
    found: list[Finding],
    clock: Clock,
    base: Floats,
    count: Floats,
) -> tuple[Finding, np.ndarray] | None:
    """Return the clearest rise, and the series that it covers."""
    best: tuple[float, Finding, np.ndarray] | None = None
    for names, place, labels in scopes:
        usable = labels.notna().all(axis=1).to_numpy() if names else np.ones(1, dtype=bool)
        merged = evidence.together(place, len(labels))
        merged = Evidence(merged.seen * usable[:, None], merged.normal * usable[:, None], logs=True)
        one = scan(merged, LEAST_FACTOR if len(names) > 1 or latency.names == names else _LEAST_OF_MANY)
        if one is None or one.gain < LEAST_GAIN or (best is not None and one.gain <= 1.02 * best[0]):
            continue
        one = burst(merged, one)
        rows = np.flatnonzero(place == one.row)
        if len(names) < len(latency.names) and not _is_parent(latency, evidence, rows, one, count):
            continue
        weight = count[rows, one.start : one.stop].sum(axis=1)
        if weight.sum() < _FEWEST or one.stop - one.start > (1.0 if clock.before else _LONGEST) * clock.bins:
            continue
        if not clock.knows_direction(one.stop - one.start) and one.factor < _LEAST_OF_LONG:
            continue
        normal = float(np.exp((base[rows] * weight).sum() / max(weight.sum(), 1e-9)))
        scope = {name: labels[name].iloc[one.row] for name in names}
        finding = Finding(latency.kind, scope, one.start, one.stop, normal, normal * one.factor, latency.unit, one.gain)
        best = (one.gain, finding, rows)
    return None if best is None else best[1:]


def _is_parent(latency: Latency, evidence: Evidence, rows: np.ndarray, one: Best, count: Floats) -> bool:
    """Return whether a rise is that of several children: two deviate, and of tags none has nearly all of it."""
    if _deviating(evidence, rows, one.start, one.stop) < _PARENT:
        return False
    if latency.names[-1] != "tagname":
        return True
    weight = evidence.seen[rows, one.start : one.stop].sum(axis=1).clip(0)
    values = count[rows, one.start : one.stop].sum(axis=1)
    return bool(weight.max() < _HOLDS * weight.sum() and (values >= _FEWEST / 2).sum() >= _PARENT)


def _deviating(evidence: Evidence, rows: np.ndarray, start: int, stop: int) -> int:
    """Return how many of these series rise in an interval."""
    seen = evidence.seen[rows, start:stop].sum(axis=1)
    normal = evidence.normal[rows, start:stop].sum(axis=1)
    rise = np.divide(seen, normal, out=np.zeros_like(seen), where=normal > 0)
    return int(((rise > 0.5 * np.log(LEAST_FACTOR)) & (rise * np.sqrt(normal) > 2)).sum())
