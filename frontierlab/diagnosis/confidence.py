"""How sure a row is: the chance that it is true, as it was on days of the sample with known incidents.

The chance is a logistic function of a few figures of the row, with a weight for each. ``python -m
benchmarks.confidence`` diagnoses days of the tuning seeds, tells true rows from false ones, fits the weights, and
prints them as they are stored here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from frontierlab.diagnosis.finding import Finding
from frontierlab.diagnosis.pricing import LEAST_COST, Price
from frontierlab.diagnosis.series import Clock

__all__ = ["FIGURES", "UNKNOWN_DIRECTION", "WEIGHTS", "chance", "clues_of"]

UNKNOWN_DIRECTION = 0.7
"""The most that is said of what fills more than half of the data without a baseline: which side is usual is not known.

On days of the sample it is always the shorter side; real days need not be so."""

FIGURES = ("gain", "cost", "factor", "bins", "queries")
"""The figures of a row: logarithms, about 0 for the faintest rows that are told."""

WEIGHTS: dict[str, float] = {
    "always": 0.02,
    "gain": 0.69,
    "cost": 1.70,
    "factor": -0.18,
    "bins": 0.41,
    "queries": -0.56,
    "iov_flood": -1.15,
    "cache_bypass": 0.36,
    "slow_database": 0.24,
    "slow_server": 0.24,
    "rejections": 0.04,
    "failures": -0.40,
    "payload_growth": 0.46,
    "load": -0.10,
    "silence": 0.08,
    "wrong_iov": 0.23,
}
"""The weights of `FIGURES` and of kinds; ``always`` is added to all. What is not here has the weight 0."""


def clues_of(finding: Finding, price: Price, clock: Clock) -> dict[str, float]:
    """Return the figures of a row that its confidence is computed from; the weight of its kind counts once."""
    factor = finding.normal / max(finding.seen, 1.0) if finding.kind == "silence" else finding.factor
    return {
        "always": 1.0,
        "gain": math.log(min(max(finding.gain, 1.0), 5_000.0) / 40),
        "cost": math.log(min(max(price.cost, LEAST_COST), 1.0) / LEAST_COST),
        "factor": math.log(min(max(factor, 1.0), 20.0)),
        "bins": math.log((finding.stop - finding.start) / 6),
        "queries": math.log(min(max(price.queries, 10.0), 1e6) / 1_000),
        finding.kind: 1.0,
    }


def chance(clues: Mapping[str, float], *, knows_direction: bool) -> float:
    """Return the chance that a row with these figures is true, from 0 to 1."""
    score = sum(WEIGHTS.get(name, 0.0) * value for name, value in clues.items())
    sure = 1 / (1 + math.exp(-score))
    return sure if knows_direction else min(sure, UNKNOWN_DIRECTION)
