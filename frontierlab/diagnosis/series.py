"""Time series of groups: a row a group, a column a bin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Clock", "Floats", "HOUR_MS", "Series", "level", "shape_of"]

Floats = NDArray[np.float64]
"""An array of numbers."""

HOUR_MS = 3_600_000
"""Milliseconds of an hour."""

_SMOOTH = 9  # hours

SUSTAINED = 0.3
"""The quantile of hours that is the sustained level: an incident can last for most of a day."""


@dataclass(frozen=True)
class Clock:
    """The bins of a diagnosis.

    Parameters
    ----------
    start, bin_ms
        The start of the first bin in ms since the epoch, and the width of a bin.
    bins
        Their number.
    """

    start: int
    bin_ms: int
    bins: int

    @property
    def per_hour(self) -> int:
        """The number of bins that a normal level is taken over: an hour, but not more than a 24th of the data."""
        return max(1, min(HOUR_MS // self.bin_ms, self.bins // 24))

    def time(self, place: int) -> pd.Timestamp:
        """Return the start of a bin, UTC."""
        return pd.Timestamp(self.start + place * self.bin_ms, unit="ms", tz="UTC")


class Series:
    """Series of one or several measures of the same groups.

    Parameters
    ----------
    frame
        A row is a group in a bin: ``bin``, the names of the group, and the measures.
    names
        The columns that name a group.
    clock
        The bins.
    """

    def __init__(self, frame: pd.DataFrame, names: Sequence[str], clock: Clock) -> None:
        self.names, self.clock = list(names), clock
        grouped = frame.groupby(self.names, dropna=False, sort=True)
        self.place = grouped.ngroup().to_numpy(dtype=np.int64)
        self.labels = frame[self.names].iloc[_firsts(self.place)].reset_index(drop=True)
        self.bin = (frame["bin"].to_numpy(dtype=np.int64) - clock.start) // clock.bin_ms
        self._frame = frame
        self._known: dict[str, Floats] = {}

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, measure: str) -> Floats:
        if measure not in self._known:
            self._known[measure] = self.of(self._frame[measure].to_numpy(dtype=np.float64))
        return self._known[measure]

    def of(self, values: Floats) -> Floats:
        """Return the series of one value for each row of the frame."""
        cells = len(self) * self.clock.bins
        sums = np.bincount(self.place * self.clock.bins + self.bin, values, cells)
        return np.asarray(sums, dtype=np.float64).reshape(len(self), self.clock.bins)

    def rows_of(self, scope: Mapping[str, Any]) -> NDArray[np.int64]:
        """Return the groups in a scope; names that the groups do not have are not asked for."""
        mask = np.ones(len(self), dtype=bool)
        for name, value in scope.items():
            if name in self.labels:
                mask &= (self.labels[name] == value).fillna(False).to_numpy(dtype=bool)
        return np.flatnonzero(mask)

    def groups(self, names: Sequence[str]) -> tuple[NDArray[Any], pd.DataFrame]:
        """Return for each group the number of its group by fewer names, and the labels of these."""
        if not names:
            return np.zeros(len(self), dtype=np.int64), pd.DataFrame(index=range(1))
        place = self.labels.groupby(list(names), dropna=False, sort=True).ngroup().to_numpy(dtype=np.int64)
        return place, self.labels[list(names)].iloc[_firsts(place)].reset_index(drop=True)


def _firsts(place: NDArray[Any]) -> NDArray[np.int64]:
    """Return where each number appears first."""
    return np.unique(place, return_index=True)[1] if len(place) else place


def by_hour(values: Floats, clock: Clock) -> Floats:
    """Return sums over hours; bins at the end that make no hour are left out."""
    step = clock.per_hour
    whole = values.shape[1] // step * step
    return np.asarray(values[:, :whole].reshape(len(values), -1, step).sum(axis=2))


def level(amount: Floats, exposure: Floats, clock: Clock, quantile: float = SUSTAINED) -> Floats:
    """Return the sustained rate of each series: a low quantile of the hours' quotients, hours weighted alike.

    Hours with little exposure are left out, as far as enough others are there.
    """
    above, below = by_hour(amount, clock), by_hour(exposure, clock)
    given = (below > 0).any(axis=1)
    usual = np.zeros((len(below), 1))
    usual[given, 0] = np.nanmedian(np.where(below[given] > 0, below[given], np.nan), axis=1)
    some = below > np.maximum(0.05 * usual, 1e-9)
    rates = np.where(some, above / np.where(some, below, 1.0), np.nan)
    found = np.zeros(len(amount))
    if given.any():
        found[given] = np.nanquantile(rates[given], quantile, axis=1)
    return found


def shape_of(queries: Floats, clock: Clock) -> Floats:
    """Return the shape of the data: how many queries the hours have usually, relative to their mean.

    It is the running median of the hours of most of a working day, so that an incident of some hours does not change
    it.
    """
    shape = np.ones(queries.shape[1])
    hours = by_hour(queries.sum(axis=0, keepdims=True), clock)[0]
    if len(hours) < 2 * _SMOOTH or not np.median(hours):
        return shape
    padded = np.pad(hours / np.median(hours), _SMOOTH // 2, mode="reflect")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, _SMOOTH), axis=1)
    smooth = np.convolve(np.pad(middle, 1, mode="edge"), np.ones(3) / 3, mode="valid").clip(0.3, 3.0)
    centres = (np.arange(len(smooth)) + 0.5) * clock.per_hour
    shape = np.interp(np.arange(len(shape)) + 0.5, centres, smooth)
    return np.asarray(shape / shape.mean())
