"""Whether a rate changed by more than chance: a test of two windows for many groups at once.

Queries come in bursts (a job asks for many folders in a second), so their numbers scatter more than independent events
would: by the dispersion, the ratio of the variance to the mean. It is estimated in each window from its bins, as
Pearson's statistic over its degrees of freedom (P. McCullagh and J. A. Nelder, Generalized Linear Models, 2nd edition,
1989, sections 4.5 and 6.2). A value divided by the dispersion is a number of independent events. Two such numbers are
compared by the likelihood ratio, or G, given their sum (J. Przyborowski and H. Wilenski, Biometrika 31 (1940) 313;
R. R. Sokal and F. J. Rohlf, Biometry), with the correction of F. Yates (J. R. Stat. Soc. Suppl. 1 (1934) 217) for few
events.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["FALSE_SHARE", "Values", "are_significant", "significance"]

Floats: TypeAlias = NDArray[np.float64]

FALSE_SHARE = 0.01
"""The share of chance findings that is expected among those called significant."""


class Values(NamedTuple):
    """What was counted or added up in a window.

    Parameters
    ----------
    values
        A row is a group, a column is a bin of time.
    exposures
        What a value of a steady group is proportional to, by bin, such as the hours.
    numbers
        How many queries are behind the values, by group.
    """

    values: Floats
    exposures: Floats
    numbers: Floats


def significance(now: Values, before: Values) -> Floats:
    """Return the significance of each group's change of rate, in standard deviations; positive is an increase.

    The dispersion of a group is the geometric mean of those of both windows: a flood in one of them does not hide
    itself by its own scatter. A dispersion is at least that of as many independent queries of equal size. In a window
    without values of a group it is the median of the groups that have values in both. That it is estimated is taken
    into account by Student's t distribution, as a normal deviate (D. L. Wallace, Ann. Math. Stat. 30 (1959) 1121).

    Parameters
    ----------
    now, before
        The values of the same groups. Values below zero count as zero.
    """
    sides = [side._replace(values=np.maximum(side.values, 0)) for side in (now, before)]
    sums = [side.values.sum(axis=1) for side in sides]
    total, number = sums[0] + sums[1], sides[0].numbers + sides[1].numbers
    unit = np.divide(total, number, out=np.ones_like(total), where=(number > 0) & (total > 0))
    dispersions = [_dispersion(side) / unit for side in sides]
    both = np.isfinite(dispersions[0]) & np.isfinite(dispersions[1])
    usual = max(float(np.median([one[both] for one in dispersions])), 1.0) if both.any() else 1.0
    first, second = (np.maximum(np.where(np.isfinite(one), one, usual), 1.0) for one in dispersions)
    events = unit * np.sqrt(first * second)
    deviates = _signed_root_of_g(sums[0] / events, sums[1] / events, *(side.exposures.sum() for side in sides))
    freedom = sum(max(int(np.count_nonzero(side.exposures)) - 1, 0) for side in sides)
    return _normal(deviates, freedom)


def are_significant(deviates: Floats, false_share: float = FALSE_SHARE) -> NDArray[np.bool_]:
    """Return which of many significances are no chance.

    Among those found, `false_share` is expected to be chance (Y. Benjamini and Y. Hochberg, J. R. Statist. Soc. B 57
    (1995) 289). This also holds for groups that change together, such as a folder and its tags (Y. Benjamini and
    D. Yekutieli, Ann. Stat. 29 (2001) 1165).

    Parameters
    ----------
    deviates
        What `significance` returned; NaN is not significant.
    false_share
        The expected share of chance findings.
    """
    chance = np.array([math.erfc(abs(one) / math.sqrt(2)) if one == one else 1.0 for one in deviates])
    ordered = np.sort(chance)
    below = np.flatnonzero(ordered <= false_share * np.arange(1, len(chance) + 1) / max(len(chance), 1))
    return chance <= ordered[below[-1]] if len(below) else np.zeros(len(chance), dtype=bool)


def _dispersion(side: Values) -> Floats:
    """Return each group's ratio of variance to mean; NaN where there are no values, or fewer than two bins."""
    used = side.exposures > 0
    values, exposures = side.values[:, used], side.exposures[used]
    expected = values.sum(axis=1, keepdims=True) * (exposures / (exposures.sum() or 1.0))
    known = (expected > 0).all(axis=1) & (len(exposures) > 1)
    found = np.full(len(values), np.nan)
    found[known] = ((values[known] - expected[known]) ** 2 / expected[known]).sum(axis=1) / (len(exposures) - 1)
    return found


def _signed_root_of_g(now: Floats, before: Floats, exposed: float, exposed_before: float) -> Floats:
    """Return the root of G, with the sign of the change; NaN if a window has no exposure."""
    total = now + before
    if not exposed or not exposed_before:
        return np.full(len(total), np.nan)
    expected = total * (exposed / (exposed + exposed_before))
    change = now - expected
    change = np.sign(change) * np.maximum(np.abs(change) - 0.5, 0.0)
    found = _term(expected + change, expected) + _term(total - expected - change, total - expected)
    return np.sign(change) * np.sqrt(np.maximum(2 * found, 0.0))


def _term(seen: Floats, expected: Floats) -> Floats:
    ratio = np.divide(seen, expected, out=np.ones_like(seen), where=(seen > 0) & (expected > 0))
    found: Any = seen * np.log(ratio)
    return np.asarray(found, dtype="float64")


def _normal(deviates: Floats, freedom: int) -> Floats:
    """Return the normal deviates that are as improbable as those of Student's t distribution."""
    if not freedom:
        return deviates
    size = (8 * freedom + 1) / (8 * freedom + 3) * np.sqrt(freedom * np.log1p(deviates**2 / freedom))
    return np.asarray(np.sign(deviates) * size, dtype="float64")
