"""The interval in which a series deviates most, by likelihood.

A bin speaks for a change by a factor ``f`` with ``A a(f) - B b(f)``. For counts with a variance of ``d`` times their
expectation, ``A`` is observed / d, ``B`` expected / d, ``a`` log f and ``b`` f - 1. For means of logarithms with the
variance ``v``, ``A`` is residual / v, ``B`` 1 / v, ``a`` log f and ``b`` (log f)² / 2. The interval with the largest
sum is found in one pass, for all series at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frontierlab.diagnosis.series import Floats

__all__ = ["Best", "Evidence", "burst", "of_counts", "of_logs", "scan"]

SPLITTING = 20.0
"""How much likelier a stretch inside of an interval must be without the change than with it, for two bursts."""

_STRETCH = 3  # bins
FACTORS = (1.4, 2.0, 3.5, 8.0, 25.0)
_TURNS = 3


@dataclass(frozen=True)
class Evidence:
    """How each bin of each series speaks for a change; see the module."""

    seen: Floats
    normal: Floats
    logs: bool

    def weights(self, factor: float | Floats) -> tuple[Floats, Floats]:
        """Return ``a`` and ``b`` of factors."""
        of = np.log(np.asarray(factor))
        return of, (of**2 / 2 if self.logs else np.asarray(factor) - 1)

    def together(self, place: np.ndarray, count: int) -> Evidence:
        """Return the evidence of groups of series."""
        sums = []
        for values in (self.seen, self.normal):
            total = np.zeros((count, values.shape[1]))
            np.add.at(total, place, values)
            sums.append(total)
        return Evidence(sums[0], sums[1], self.logs)

    def factor(self, seen: float, normal: float) -> float:
        """Return the factor of an interval from its sums."""
        ratio = seen / max(normal, 1e-9)
        return float(np.exp(min(ratio, 20.0))) if self.logs else ratio


@dataclass(frozen=True)
class Best:
    """The interval ``[start, stop)`` of one series that deviates most."""

    row: int
    start: int
    stop: int
    factor: float
    gain: float


def of_counts(observed: Floats, expected: Floats, dispersion: Floats | float) -> Evidence:
    """Return the evidence of counts."""
    spread = np.broadcast_to(np.asarray(dispersion, dtype=float).reshape(-1, 1), (len(observed), 1))
    return Evidence(observed / spread, expected / spread, logs=False)


def of_logs(residual: Floats, variance: Floats) -> Evidence:
    """Return the evidence of mean logarithms; bins without values have an infinite variance."""
    weight = 1 / variance
    return Evidence(np.where(weight > 0, residual, 0.0) * weight, weight, logs=True)


def scan(evidence: Evidence, least: float) -> Best | None:
    """Return the interval with the largest gain among all series; None if no change by `least` or more is likely."""
    best: Best | None = None
    for factor in FACTORS:
        if factor < least:
            continue
        a, b = evidence.weights(factor)
        found = _widest(evidence.seen * a - evidence.normal * b)
        for row in np.argsort(found[0])[-3:]:
            one = _refined(evidence, int(row), *(int(part[row]) for part in found[1:]))
            if one.factor >= least and (best is None or one.gain > best.gain):
                best = one
    return best


def burst(evidence: Evidence, best: Best) -> Best:
    """Return the larger of two bursts if an interval has a stretch of three normal bins or more; else the interval.

    It is for rates and means, to which bins without queries say nothing: a gap in the data parts no burst.
    """
    part = best
    while True:
        a, b = evidence.weights(min(part.factor, 1e6))
        span = slice(part.start, part.stop)
        score = evidence.seen[part.row, span] * a - evidence.normal[part.row, span] * b
        gains, starts, stops = _widest(-score[None, :])
        first, last = part.start + int(starts[0]), part.start + int(stops[0])
        sides = (part.start, first), (last, part.stop)
        if gains[0] < SPLITTING or last - first < _STRETCH or any(left == right for left, right in sides):
            return part
        total = np.concatenate([[0.0], np.cumsum(score)])
        gains_of = [float(total[right - part.start] - total[left - part.start]) for left, right in sides]
        left, right = sides[int(np.argmax(gains_of))]
        seen, normal = (float(values[part.row, left:right].sum()) for values in (evidence.seen, evidence.normal))
        part = Best(part.row, left, right, evidence.factor(seen, normal), max(gains_of))


def _refined(evidence: Evidence, row: int, start: int, stop: int) -> Best:
    """Fit the factor and the edges in turn."""
    seen, normal = evidence.seen[row : row + 1], evidence.normal[row : row + 1]
    factor, gain = 1.0, 0.0
    for _ in range(_TURNS):
        factor = evidence.factor(float(seen[0, start:stop].sum()), float(normal[0, start:stop].sum()))
        if factor <= 1.0:
            return Best(row, start, stop, factor, 0.0)
        a, b = evidence.weights(min(factor, 1e6))
        gains, starts, stops = _widest(seen * a - normal * b)
        gain = float(gains[0])
        if (int(starts[0]), int(stops[0])) == (start, stop):
            break
        start, stop = int(starts[0]), int(stops[0])
    factor = evidence.factor(float(seen[0, start:stop].sum()), float(normal[0, start:stop].sum()))
    return Best(row, start, stop, factor, gain)


def _widest(score: Floats) -> tuple[Floats, np.ndarray, np.ndarray]:
    """Return for each row the largest sum of an interval, and the interval."""
    total = np.concatenate([np.zeros((len(score), 1)), np.cumsum(score, axis=1)], axis=1)
    low = np.minimum.accumulate(total, axis=1)
    rise = total[:, 1:] - low[:, :-1]
    stop = rise.argmax(axis=1)
    rows = np.arange(len(score))
    before = np.where(np.arange(total.shape[1])[None, :] <= stop[:, None], total, np.inf)
    start = total.shape[1] - 1 - before[:, ::-1].argmin(axis=1)  # the last of equal ones
    return rise[rows, stop], start, stop + 1
