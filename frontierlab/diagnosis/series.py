"""Time series of groups: a row a group, a column a bin.

With a baseline, frames hold its rows too, in bins before the first one of the data. What is normal is then read from
these bins alone, and what deviates is looked for in the data alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = [
    "Clock",
    "Floats",
    "HOUR_MS",
    "Series",
    "by_hour",
    "level",
    "median_of_some",
    "quantile_of_some",
    "rate_of",
    "shapes_of",
]

Floats = NDArray[np.float64]
"""An array of numbers."""

HOUR_MS = 3_600_000
"""Milliseconds of an hour."""

DAY_MS = 24 * HOUR_MS

_SMOOTH = 9  # hours
_SILENT = 0.05  # of the median: a bin with fewer queries

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
    before
        With a baseline, the real starts of its bins. In frames, they are the last bins before `start`, in this order.
    """

    start: int
    bin_ms: int
    bins: int
    before: tuple[int, ...] = ()

    def knows_direction(self, length: int) -> bool:
        """Return whether a deviation of so many bins is known to be unusual, and not the rest of the data."""
        return bool(self.before) or length <= self.bins / 2

    def quantile(self, sustained: float) -> float:
        """Return the quantile of hours that is normal: the lower sustained level of the data, a baseline's median."""
        return 0.5 if self.before else sustained

    def places(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        """Return the bin of each row of a frame, from 0 on; those of a baseline are negative."""
        return np.asarray((frame["bin"].to_numpy(dtype=np.int64) - self.start) // self.bin_ms, dtype=np.int64)

    def sums(self, frame: pd.DataFrame, measure: str) -> tuple[Floats, Floats | None]:
        """Return the sum of a measure in each bin, and in each bin of the baseline; None if there is none."""
        cells = len(self.before) + self.bins
        values = frame[measure].to_numpy(dtype=np.float64)
        whole = np.bincount(self.places(frame) + len(self.before), values, cells).astype(np.float64)
        return whole[len(self.before) :], whole[: len(self.before)] if self.before else None

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
        self.labels = _labels(frame, self.names, self.place)
        self.bin = clock.places(frame)
        self._frame = frame
        self._known: dict[str, Floats] = {}
        self._groups: dict[tuple[str, ...], tuple[NDArray[Any], pd.DataFrame]] = {}

    def with_measures(self, frame: pd.DataFrame) -> Series:
        """Return the series of a frame of the same rows with other measures; to group rows takes most of the time."""
        other = copy(self)
        other._frame, other._known = frame, {}
        return other

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, measure: str) -> Floats:
        """Return the series of a measure in the data."""
        return self._whole(measure)[:, len(self.clock.before) :]

    def usual(self, measure: str) -> Floats | None:
        """Return the series of a measure in the baseline; None if there is none."""
        return self._whole(measure)[:, : len(self.clock.before)] if self.clock.before else None

    def reference(self, measure: str) -> Floats:
        """Return the series that normal levels are read from: the baseline if there is one, else the data."""
        usual = self.usual(measure)
        return self[measure] if usual is None else usual

    def _whole(self, measure: str) -> Floats:
        if measure not in self._known:
            values = self._frame[measure].to_numpy(dtype=np.float64)
            before = len(self.clock.before)
            cells = before + self.clock.bins
            sums = np.bincount(self.place * cells + self.bin + before, values, len(self) * cells)
            self._known[measure] = np.asarray(sums, dtype=np.float64).reshape(len(self), cells)
        return self._known[measure]

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
        if tuple(names) not in self._groups:
            place = self.labels.groupby(list(names), dropna=False, sort=True).ngroup().to_numpy(dtype=np.int64)
            self._groups[tuple(names)] = place, _labels(self.labels, names, place)
        return self._groups[tuple(names)]


def _labels(frame: pd.DataFrame, names: Sequence[str], place: NDArray[Any]) -> pd.DataFrame:
    """Return the names of each group, from the first row of each."""
    firsts = np.unique(place, return_index=True)[1]
    return pd.DataFrame({name: frame[name].array[firsts] for name in names})


def by_hour(values: Floats, clock: Clock) -> Floats:
    """Return sums over hours, or over a 24th of the bins if that is shorter; bins at the end are left out."""
    step = _hour(values, clock)
    whole = values.shape[1] // step * step
    return np.asarray(values[:, :whole].reshape(len(values), whole // step, step).sum(axis=2))


def _hour(values: Floats, clock: Clock) -> int:
    """Return how many bins a level is taken over."""
    return int(max(1, min(HOUR_MS // clock.bin_ms, values.shape[1] // 24)))


def level(amount: Floats, exposure: Floats, clock: Clock, quantile: float = SUSTAINED) -> Floats:
    """Return the sustained rate of each series: a low quantile of the hours' quotients, hours weighted alike.

    Hours with little exposure are left out, as far as enough others are there.
    """
    above, below = by_hour(amount, clock), by_hour(exposure, clock)
    some = below > np.maximum(0.05 * median_of_some(below)[:, None], 1e-9)
    return quantile_of_some(above / np.where(some, below, 1.0), some, clock.quantile(quantile))


def median_of_some(values: Floats) -> Floats:
    """Return the median of the positive values of each row; 0 where there are none."""
    some = values > 0
    ordered = np.sort(np.where(some, values, np.inf), axis=1)
    number, rows = some.sum(axis=1), np.arange(len(values))
    middle = ordered[rows, np.maximum(number - 1, 0) // 2] + ordered[rows, np.minimum(number // 2, values.shape[1] - 1)]
    return np.asarray(np.where(number > 0, middle / 2, 0.0), dtype=np.float64)


def quantile_of_some(values: Floats, some: NDArray[np.bool_], quantile: float) -> Floats:
    """Return the quantile of some values of each row; 0 where there are none.

    It is that of `numpy.quantile`, which takes one row at a time, to the last digit.
    """
    ordered = np.sort(np.where(some, values, np.inf), axis=1)
    last = np.maximum(some.sum(axis=1) - 1, 0)
    at = last * quantile
    low = np.floor(at).astype(np.int64)
    rows = np.arange(len(values))
    below, above, part = ordered[rows, low], ordered[rows, np.minimum(low + 1, last)], at - low
    with np.errstate(invalid="ignore"):  # the infinite ones of rows without any
        step = above - below
        found = np.where(part < 0.5, below + step * part, above - step * (1 - part))
    return np.asarray(np.where(some.any(axis=1), found, 0.0), dtype=np.float64)


def rate_of(now: Floats, usual: Floats | None, clock: Clock, quantile: float = SUSTAINED) -> Floats:
    """Return the normal number in a bin of each series: that of the baseline if there is one, else of the data."""
    values = now if usual is None else usual
    return level(values, np.ones_like(values), clock, quantile)


def shapes_of(now: Floats, usual: Floats | None, clock: Clock) -> tuple[Floats, Floats]:
    """Return the shape of the data, and of what the normal level is taken from.

    A shape is how many queries the hours have usually, relative to their mean. A baseline's is that of its times of
    the day; it is 1 if the baseline lacks some of these.
    """
    if usual is None:
        shape = _shape_of(now, clock)
        return shape, shape
    before = _shape_of(usual, clock)
    minute = np.array(clock.before, dtype=np.int64) % DAY_MS // clock.bin_ms
    ours = (clock.start + clock.bin_ms * np.arange(clock.bins)) % DAY_MS // clock.bin_ms
    cells = DAY_MS // clock.bin_ms + 1
    number = np.bincount(minute, minlength=cells)
    if DAY_MS % clock.bin_ms or not number[ours].all():
        return np.ones(clock.bins), np.ones(len(clock.before))
    return np.asarray(np.bincount(minute, before, cells)[ours] / number[ours]), before


def _shape_of(queries: Floats, clock: Clock) -> Floats:
    """Return the running median of the hours over most of a working day: a shorter incident does not change it."""
    shape = np.ones(queries.shape[1])
    total = queries.sum(axis=0, keepdims=True)
    speaking = (total > _SILENT * np.median(total)).astype(np.float64)
    spoken = by_hour(speaking, clock)[0]
    if len(spoken) < 2 * _SMOOTH or not np.median(spoken):
        return shape
    some = spoken > 0.25 * spoken.max()  # silence is no part of the shape
    rates = by_hour(total * speaking, clock)[0][some] / spoken[some]
    hours = np.interp(np.arange(len(spoken)), np.flatnonzero(some), rates)
    whole_days = (
        len(hours) * _hour(queries, clock) * clock.bin_ms % DAY_MS == 0
    )  # the hours after the last are the first
    padded = np.pad(hours / np.median(hours), _SMOOTH // 2, mode="wrap" if whole_days else "reflect")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, _SMOOTH), axis=1)
    smooth = np.convolve(np.pad(middle, 1, mode="edge"), np.ones(3) / 3, mode="valid").clip(0.3, 3.0)
    centres = (np.arange(len(smooth)) + 0.5) * _hour(queries, clock)
    shape = np.interp(np.arange(len(shape)) + 0.5, centres, smooth)
    return np.asarray(shape / shape.mean())
