"""The IOV axis of an explanation: where IOVs are drawn, and their exact values as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontierlab.caching.answer_sets import Integers
from frontierlab.schema import OPEN_IOV
from frontierlab.util.times import from_milliseconds

__all__ = ["Axis", "BINS"]

BINS = 200
"""The largest number of bins on the IOV axis."""

_LUMIS = 2**32 - 1  # the lower half of an IOV: the lumiblock


@dataclass(frozen=True)
class Axis:
    """The axis on which IOVs are drawn: a place is a float, and the exact IOV is kept as text.

    For a folder of times, the place is milliseconds from the epoch. For other folders, it is the index of the
    run among the requested runs (from 0), plus the fraction of the run before the lumiblock. Runs that were
    not requested take no space.

    Parameters
    ----------
    base
        run-lumi or time.
    runs
        The requested runs, in order; empty for times.
    lumis
        The width of a run in lumiblocks; 1 for times.
    low, high
        The ends of the axis; IOVs beyond them are drawn at the ends.
    """

    base: str
    runs: tuple[int, ...]
    lumis: int
    low: float
    high: float

    @classmethod
    def of(cls, base: str, since: Integers, until: Integers, more: Integers) -> Axis:
        """Choose the axis from the requested IOVs; from ``more`` if the requested IOVs are only 0 or open."""
        ends = np.concatenate([since, until])
        for values in (ends, more):
            own = values[(values > 0) & (values < OPEN_IOV)]
            if len(own):
                break
        if base == "time":
            places = own / 10**6
            low, high = (float(places.min()), float(places.max())) if len(own) else (0.0, 0.0)
            return cls(base, (), 1, low, high if high > low else low + 60_000)
        lumi = own & _LUMIS
        runs = np.unique(own >> 32)
        return cls(
            base, tuple(runs.tolist()), int(lumi[lumi < _LUMIS].max(initial=0)) + 1, 0.0, float(max(1, len(runs)))
        )

    def place(self, iov: Integers) -> NDArray[np.float64]:
        """Return the places of IOVs on the axis."""
        if self.base == "time":
            places: NDArray[Any] = iov / 10**6
        else:
            runs = np.array([*self.runs, OPEN_IOV], np.int64)
            number = np.searchsorted(runs, iov >> 32)
            inside = runs[number] == iov >> 32
            places = number + np.where(inside, np.minimum(iov & _LUMIS, self.lumis) / self.lumis, 0.0)
        return np.asarray(np.clip(places, self.low, self.high), np.float64)

    def edges(self) -> NDArray[np.float64]:
        """Return the edges of the bins; a run has a whole number of bins, or a bin a whole number of runs."""
        if self.base == "time":
            return np.linspace(self.low, self.high, BINS + 1)
        runs = max(1, len(self.runs))
        if runs > BINS:
            width = -(-runs // BINS)
            return np.append(np.arange(0, runs, width), runs).astype(float)
        return np.linspace(0, runs, runs * min(BINS // runs, self.lumis) + 1)

    def text(self, iov: int) -> str:
        """Format an IOV for reading, with its exact value."""
        if iov == OPEN_IOV:
            return "open (2^63-1)"
        if self.base == "time":
            seconds, rest = divmod(iov, 10**9)
            return f"{from_milliseconds(seconds * 1000):%Y-%m-%d %H:%M:%S}.{rest:09d} UTC ({iov})"
        run, lumi = iov >> 32, iov & _LUMIS
        return f"run {run}, {'its end' if lumi == _LUMIS else f'lumiblock {lumi}'} ({iov})"
