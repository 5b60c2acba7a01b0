"""How well a common change explains the rows of a group: the models that `localise` compares groups with.

Both models give a group the gain in log likelihood over "nothing changed here". A group of which only a part has
changed has a smaller gain than that part, and so has a part of a group that has changed as a whole: the largest gain
is that of the set itself (Kulldorff, "A spatial scan statistic", 1997, for counts).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from frontierlab.diagnosis.lattice import Floats

__all__ = ["Counts", "Deviations", "Relative"]

_ODD = 1e-9  # the least share of normal rows that the noise does not describe
_WIDE = 0.01  # the share of normal rows with a wider spread: the quotient of two numbers has heavier tails than these
_WIDER = 2.0  # times the spread of the others
_OTHER = 0.02  # the share of a group's rows that another cause has changed
_RANGE = 4.0  # relative deviations are from -2 to 2
_SHARP = 0.01  # the smallest spread of relative deviations in a group
_LEAST = 0.5  # the smallest change of a group, in spreads of the noise: a group that is only more even is no cause
_CLEAR = 2.0  # the change of a group, in spreads of the noise, from which it counts how even its rows are
_PRIOR = 1.0  # rows with the spread of the noise that a group's spread is counted with
_TURNS = 8


class Deviations(Protocol):
    """The deviations of rows from what was expected."""

    measures: Floats  # a row is a measure whose sums over a group give its gain

    def gain(self, sums: Floats) -> Floats:
        """Return the gain of groups from the sums of `measures`; not above 0 for a change in the other direction."""

    def gain_of(self, rows: Floats) -> float:
        """Return the gain of one group from its rows of `measures`, where other causes can have changed some rows."""

    def evidence(self, rows: Floats) -> Floats:
        """Return for each row of a group how much likelier it is with the group's change than without."""


class Counts:
    """Numbers of things that come independently, with a variance of `dispersion` times the expected number.

    Parameters
    ----------
    observed, expected
        A value a row, not below 0.
    upwards
        Whether there are more than expected.
    dispersion
        The variance divided by that of a Poisson distribution.
    """

    def __init__(self, observed: Floats, expected: Floats, upwards: bool, dispersion: float) -> None:
        self.measures = np.stack([observed, expected])
        self._upwards = upwards
        self._dispersion = dispersion

    def _ratio(self, sums: Floats) -> Floats:
        observed, expected = sums
        ratio = np.maximum(observed, 1e-9) / np.maximum(expected, 1e-9)
        return np.asarray(np.maximum(ratio, 1.0) if self._upwards else np.minimum(ratio, 1.0))

    def gain(self, sums: Floats) -> Floats:
        """Return the gain of groups from the sums of `measures`."""
        observed, expected = np.maximum(sums, 0.0)
        ratio = self._ratio(np.stack([observed, expected]))
        return np.asarray((observed * np.log(ratio) - expected * (ratio - 1)) / self._dispersion)

    def gain_of(self, rows: Floats) -> float:
        """Return the gain of one group from its rows of `measures`."""
        return float(self.gain(rows.sum(axis=1, keepdims=True))[0])

    def evidence(self, rows: Floats) -> Floats:
        """Return for each row how much likelier it is with the group's change than without."""
        ratio = self._ratio(rows.sum(axis=1, keepdims=True))
        observed, expected = rows
        return np.asarray((observed * np.log(ratio) - expected * (ratio - 1)) / self._dispersion)


class Relative:
    """Relative deviations ``2 (observed - expected) / (observed + expected)`` with the same noise in each row.

    Parameters
    ----------
    deviation
        A value a row, from -2 to 2; positive in the direction that is looked for.
    noise
        The spread of normal rows.
    odd
        The share of normal rows that this spread does not describe.
    """

    def __init__(self, deviation: Floats, noise: float, odd: float) -> None:
        self._noise = max(noise, _SHARP)
        self._odd = max(odd, _ODD)
        normal = self._log_normal(deviation)
        self.measures = np.stack([np.ones_like(deviation), deviation, deviation**2, normal])

    def _log_normal(self, deviation: Floats) -> Floats:
        near = np.log1p(-self._odd - _WIDE) + _log_gauss(deviation, 0.0, self._noise)
        wide = np.log(_WIDE) + _log_gauss(deviation, 0.0, _WIDER * self._noise)
        return np.asarray(np.logaddexp(np.logaddexp(near, wide), np.log(self._odd / _RANGE)))

    def _spread(self, mean: Floats, variance: Floats, rows: Floats) -> Floats:
        """Return the spread that groups are taken to have.

        A cause can leave its rows more even than the noise. A few rows that are on one side of the noise by chance are
        more even too: their change alone says whether there is a cause.
        """
        spread = np.sqrt((rows * variance + _PRIOR * self._noise**2) / (rows + _PRIOR) + _SHARP**2)
        return np.where(mean > _CLEAR * self._noise, spread, np.maximum(spread, self._noise))

    def gain(self, sums: Floats) -> Floats:
        """Return the gain of groups from the sums of `measures`."""
        rows, first, second, normal = sums
        rows = np.maximum(rows, 1e-9)
        mean = first / rows
        variance = np.maximum(second / rows - mean**2, 0.0)
        spread = self._spread(mean, variance, rows)
        changed = -rows * (np.log(spread * np.sqrt(2 * np.pi)) + variance / (2 * spread**2))
        return np.where((mean > _LEAST * self._noise) & (rows > 0.5), changed - normal, 0.0)

    def gain_of(self, rows: Floats) -> float:
        """Return the gain of one group from its rows of `measures`."""
        return float(self.evidence(rows).sum())

    def evidence(self, rows: Floats) -> Floats:
        """Return for each row how much likelier it is with the group's change than without."""
        deviation, normal = rows[1], rows[3]
        # start with the rows that the noise does not explain
        weight = 1 - np.exp(np.minimum(_log_gauss(deviation, 0.0, self._noise) - _log_gauss(0.0, 0.0, self._noise), 0))
        weight = np.where(deviation > 0, weight, 0.0) + 1e-9
        changed = normal
        for _ in range(_TURNS):
            total = weight.sum()
            mean = (weight * deviation).sum() / total
            variance = np.asarray((weight * (deviation - mean) ** 2).sum() / total)
            spread = float(self._spread(mean, variance, np.asarray(total)))
            near = np.log1p(-_OTHER) + _log_gauss(deviation, mean, spread)
            changed = np.logaddexp(near, np.log(_OTHER / _RANGE))
            new = 1 / (1 + np.exp(np.clip(normal - near, -50, 50)))
            if np.abs(new - weight).max() < 1e-3:
                break
            weight = new + 1e-9
        enough = mean > _LEAST * self._noise
        return np.asarray(changed - normal) if enough else np.full_like(deviation, -1.0)


def _log_gauss(value: Floats | float, mean: float, spread: float) -> Floats:
    return np.asarray(-0.5 * ((np.asarray(value) - mean) / spread) ** 2 - np.log(spread * np.sqrt(2 * np.pi)))
