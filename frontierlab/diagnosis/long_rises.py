"""What is slow for more than half of the data: whether it is one series, or all of its schema or database.

The usual level is read from the data, and of series with few queries it is too high where most of the data are slow.
So single series stand out where their whole database is slow. Here the time of such a finding is known, and the means
inside of it are compared with those outside, for the other series too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from frontierlab.diagnosis.finding import Finding, overlap, within
from frontierlab.diagnosis.scan import of_logs, scan
from frontierlab.diagnosis.series import Clock, Floats, Series

__all__ = ["with_parents"]

_FEWEST = 10.0  # values inside and outside, from which a series says something
_LEAST = 1.35  # times as slow as outside: the others too
_AS_MUCH = 0.6  # of the rise of the finding, in logarithms
_CLEAR = 4.0  # standard deviations


def with_parents(
    found: Sequence[Finding],
    scopes: Sequence[tuple[str, ...]],
    series: Series,
    values: tuple[Floats, Floats, Floats],
    wander: float,
    clock: Clock,
) -> list[Finding]:
    """Return findings in which one of the parent stands for those of its children, if they last very long.

    Parameters
    ----------
    found
        The findings of one kind.
    scopes
        The choices of names that can be told, the widest last.
    series
        The series.
    values
        The number of values in each bin of each series, the sum of their logarithms, and the variance of a single one.
    wander
        The standard deviation by which the level of a series wanders.
    clock
        The bins.
    """
    left = sorted(found, key=lambda one: -one.gain)
    short = [one for one in left if clock.knows_direction(one.stop - one.start)]
    long = [one for one in left if one not in short]
    if not long:
        return list(found)
    count, total, variance = (one.copy() for one in values)
    for one in short:
        cells = np.ix_(series.rows_of(one.scope), np.arange(one.start, one.stop))
        count[cells] = total[cells] = 0.0
    told = short
    while long:
        parent = _parent(long[0], scopes, series, (count, total, variance), wander)
        told.append(parent)
        long = [one for one in long[1:] if not (within(one.scope, parent.scope) and overlap(one, parent) >= 0.5)]
    return told


def _parent(
    one: Finding,
    scopes: Sequence[tuple[str, ...]],
    series: Series,
    values: tuple[Floats, Floats, Floats],
    wander: float,
) -> Finding:
    """Return the finding with the widest scope of which the other series rise as much in its time."""
    inside = np.zeros(values[0].shape[1], dtype=bool)
    inside[one.start : one.stop] = True
    rise, noise, outside = _rises(values, inside, wander)
    widest = one
    for names in scopes:
        if not {*names} < {*widest.scope}:
            continue
        scope = {name: widest.scope[name] for name in names}
        own = series.rows_of(widest.scope)
        others = np.setdiff1d(series.rows_of(scope), own)
        ours, _ = _together(rise[own], noise[own])
        theirs, clear = _together(rise[others], noise[others])
        if theirs >= max(np.log(_LEAST), _AS_MUCH * ours) and clear >= _CLEAR:
            widest = replace(widest, scope=scope)
    return widest if widest is one else _measured(widest, series.rows_of(widest.scope), values, outside, wander)


def _rises(values: tuple[Floats, Floats, Floats], inside: np.ndarray, wander: float) -> tuple[Floats, Floats, Floats]:
    """Return by how much the mean of each series is higher inside, the variance of that, and the mean outside."""
    count, total, variance = values
    parts = (inside, ~inside)
    numbers = [count[:, part].sum(axis=1) for part in parts]
    means = [total[:, part].sum(axis=1) / np.maximum(n, 1.0) for part, n in zip(parts, numbers, strict=True)]
    given = (numbers[0] >= _FEWEST) & (numbers[1] >= _FEWEST)
    spread = variance * sum(1 / np.maximum(n, 1.0) for n in numbers) + wander**2
    return means[0] - means[1], np.where(given, spread, np.inf), means[1]


def _together(rise: Floats, noise: Floats) -> tuple[float, float]:
    """Return the mean rise of several series, and how many standard deviations that is."""
    weight = 1 / noise
    if not weight.sum():
        return 0.0, 0.0
    mean = float((rise * weight).sum() / weight.sum())
    return mean, mean * float(np.sqrt(weight.sum()))


def _measured(
    one: Finding, rows: np.ndarray, values: tuple[Floats, Floats, Floats], outside: Floats, wander: float
) -> Finding:
    """Return a finding with the time and the factor of all its series."""
    count, total, variance = (part[rows] for part in values)
    given = (count > 0) & (count[:, : one.start].sum(axis=1) + count[:, one.stop :].sum(axis=1) > 0)[:, None]
    number = np.where(given, count, 1.0)
    residual = np.where(given, total / number - outside[rows][:, None], 0.0)
    evidence = of_logs(residual, np.where(given, variance[:, None] / number + wander**2, np.inf))
    best = scan(evidence.together(np.zeros(len(rows), dtype=np.int64), 1), _LEAST)
    if best is None or overlap(replace(one, start=best.start, stop=best.stop), one) < 0.5:
        return one
    weight = np.where(given, count, 0.0)[:, best.start : best.stop].sum(axis=1)
    normal = float(np.exp((outside[rows] * weight).sum() / max(weight.sum(), 1e-9)))
    return replace(one, start=best.start, stop=best.stop, normal=normal, seen=normal * best.factor, gain=best.gain)
