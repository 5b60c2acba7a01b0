"""An independent implementation of the significance of changes: one group at a time, with plain numbers."""

import math
import statistics
from collections.abc import Sequence


def deviates(
    now: Sequence[Sequence[float]],
    before: Sequence[Sequence[float]],
    exposed: Sequence[float],
    exposed_before: Sequence[float],
    numbers: Sequence[float],
) -> list[float]:
    """Return the standard deviations of each group's change.

    `now` and `before` have a list of values for each group, one for each bin; `numbers` are the queries behind both.
    """
    units = []
    for x, y, n in zip(now, before, numbers, strict=True):
        total = sum(max(v, 0) for v in (*x, *y))
        units.append(total / n if total > 0 and n > 0 else 1.0)
    scatter = [
        [None if (d := _dispersion(x, e)) is None else d / unit for x, unit in zip(side, units, strict=True)]
        for side, e in ((now, exposed), (before, exposed_before))
    ]
    seen = [d for pair in zip(*scatter, strict=True) if None not in pair for d in pair if d is not None]
    usual = max(statistics.median(seen), 1) if seen else 1.0
    freedom = sum(max(sum(e > 0 for e in side) - 1, 0) for side in (exposed, exposed_before))
    found = []
    for place, unit in enumerate(units):
        one, other = (max(side[place] if side[place] is not None else usual, 1) for side in scatter)
        size = unit * math.sqrt(one * other)
        a, b = (sum(max(v, 0) for v in side[place]) / size for side in (now, before))
        found.append(_deviate(a, b, sum(exposed), sum(exposed_before), freedom))
    return found


def _dispersion(values: Sequence[float], exposures: Sequence[float]) -> float | None:
    pairs = [(max(v, 0), e) for v, e in zip(values, exposures, strict=True) if e > 0]
    total, exposed = sum(v for v, _ in pairs), sum(e for _, e in pairs)
    if len(pairs) < 2 or total == 0:
        return None
    return sum((v - total * e / exposed) ** 2 / (total * e / exposed) for v, e in pairs) / (len(pairs) - 1)


def _deviate(a: float, b: float, exposed: float, exposed_before: float, freedom: int) -> float:
    if not exposed or not exposed_before:
        return math.nan
    if a + b == 0:
        return 0.0
    expected = (a + b) * exposed / (exposed + exposed_before)
    rest = a + b - expected
    step = max(abs(a - expected) - 0.5, 0) * (1 if a > expected else -1)
    x, y = expected + step, rest - step
    g = 2 * sum(v * math.log(v / m) for v, m in ((x, expected), (y, rest)) if v > 0)
    t = math.copysign(math.sqrt(max(g, 0)), step)
    if freedom:
        t = math.copysign((8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log(1 + t * t / freedom)), t)
    return t


def significant(found: Sequence[float], share: float = 0.01) -> list[bool]:
    """Return which significances the procedure of Benjamini and Hochberg takes."""
    chance = [math.erfc(abs(z) / math.sqrt(2)) if z == z else 1.0 for z in found]
    ranked = sorted(chance)
    limit = max((p for k, p in enumerate(ranked, 1) if p <= share * k / len(ranked)), default=-1.0)
    return [p <= limit for p in chance]
