"""Bins of time and of durations: half open, aligned to zero, and complete (the result includes empty bins)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd

from frontierlab.errors import InvalidRequestError
from frontierlab.filters.needs import Need
from frontierlab.selection import Selection
from frontierlab.util.times import in_words, to_milliseconds

__all__ = ["Bins", "MAX_BINS", "MAX_ROWS", "TimeBins", "ValueBins"]

MAX_BINS = 100_000
"""The largest number of bins in a result; a day in bins of one second fits."""

MAX_ROWS = 2_000_000
"""The largest number of rows in a result: bins times groups."""

_TINY_MS = 60_000  # without a known period, narrower bins can be too many for memory


class Bins(Protocol):
    """The bins by which a question counts, in addition to groups."""

    column: ClassVar[str]

    def expression(self, shift: timedelta) -> str:
        """Return the SQL of a query's bin, after moving its time by `shift`."""

    def args(self, shift: timedelta) -> Mapping[str, Any]:
        """Return the values of the parameters of `expression`."""

    def needs(self, shift: timedelta) -> set[Need]:
        """Return the columns that are needed to find a query's bin."""

    def check(self, selection: Selection) -> None:
        """Refuse a selection with too many bins before Spark runs."""

    def limit(self, selection: Selection) -> str:
        """Return a LIMIT clause, so that Spark does not send many more rows than `MAX_ROWS`; may be empty."""

    def all(self, seen: Sequence[pd.Series[Any]], selection: Selection) -> pd.Index[Any]:
        """Return all bins of the result in order; `seen` holds the bins with queries in each window."""

    def finish(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Replace the bin column by the columns that describe the bin."""


@dataclass(frozen=True)
class TimeBins:
    """Bins of time, aligned to the epoch.

    Parameters
    ----------
    bin_seconds
        Width of a bin in seconds, a multiple of 0.001.
    """

    bin_seconds: float = 300
    column: ClassVar[str] = "time"

    def __post_init__(self) -> None:
        try:
            good = self.bin_seconds > 0 and abs(self.width - self.bin_seconds * 1000) < 1e-6 and self.width > 0
        except (TypeError, ValueError, OverflowError):  # a text, nan, infinity
            good = False
        if not good:
            raise InvalidRequestError(
                f"bin_seconds={self.bin_seconds!r}: give a number of seconds from 0.001, in whole milliseconds."
            )

    @property
    def width(self) -> int:
        """Width in milliseconds."""
        return round(self.bin_seconds * 1000)

    def expression(self, shift: timedelta) -> str:
        """Return the SQL of the start of a query's bin."""
        when = "unix_millis(time) + :shift_ms" if shift else "unix_millis(time)"
        return f"timestamp_millis({when} - pmod({when}, :bin_ms))"

    def args(self, shift: timedelta) -> dict[str, Any]:
        """Return the bin width and the shift of times, both in milliseconds."""
        moved = {"shift_ms": shift // timedelta(milliseconds=1)} if shift else {}
        return {"bin_ms": self.width} | moved

    def needs(self, shift: timedelta) -> set[Need]:
        """Return the needs: times cut at bin limits, moved by `shift`."""
        return {Need("time", "cut", self.width), Need("time", "cut", shift // timedelta(milliseconds=1))}

    def check(self, selection: Selection) -> None:
        """Refuse a period with too many bins before Spark runs."""
        if selection.since is not None and selection.until is not None:
            self._starts(to_milliseconds(selection.since), to_milliseconds(selection.until))

    def limit(self, selection: Selection) -> str:
        """Return a LIMIT clause if bins are narrow and the period is not known."""
        known = selection.since is not None and selection.until is not None
        return "" if known or self.width >= _TINY_MS else f"\nLIMIT {MAX_ROWS + 1}"

    def all(self, seen: Sequence[pd.Series[Any]], selection: Selection) -> pd.DatetimeIndex:
        """Return every bin of the period; without a period, from the first to the last bin with a query."""
        found = np.concatenate([bins.dt.as_unit("ms").astype("int64").to_numpy() for bins in seen])
        start = int(found.min()) if selection.since is None else to_milliseconds(selection.since)
        end = int(found.max()) + 1 if selection.until is None else to_milliseconds(selection.until)
        starts = self._starts(start, end).view("datetime64[ms]")
        return pd.DatetimeIndex(starts, name=self.column).tz_localize("UTC")

    def finish(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame unchanged: the start describes the bin."""
        return frame

    def _starts(self, start: int, end: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the starts of the bins that overlap [start, end), in milliseconds from the epoch."""
        first = start - start % self.width
        count = -((first - end) // self.width)
        if count > MAX_BINS:
            raise InvalidRequestError(
                f"From {in_words(start)} to {in_words(end)} there are {count:,} bins of {self.bin_seconds:g} s, more "
                f"than {MAX_BINS:,}: choose a larger bin_seconds, or since and until closer together."
            )
        return np.arange(first, end, self.width, dtype=np.int64)


@dataclass(frozen=True)
class ValueBins:
    """Bins of a duration, with one bin for the long tail.

    Parameters
    ----------
    value
        The column: ``querytime`` or ``dbtime``.
    bin_ms
        Width of a bin, in milliseconds.
    overflow_ms
        Start of the last bin, which is unbounded: a multiple of `bin_ms`.
    """

    value: str
    bin_ms: int = 100
    overflow_ms: int = 10_000
    column: ClassVar[str] = "bin"

    def __post_init__(self) -> None:
        for name, value in (("bin_ms", self.bin_ms), ("overflow_ms", self.overflow_ms)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 < value < 2**53:
                raise InvalidRequestError(f"{name}={value!r}: give a whole number of milliseconds, 1 or more.")
        if self.overflow_ms % self.bin_ms:
            raise InvalidRequestError(
                f"overflow_ms={self.overflow_ms} is no multiple of bin_ms={self.bin_ms}: the last bin before it would "
                "be a narrower one."
            )
        if self.overflow_ms // self.bin_ms > MAX_BINS:
            raise InvalidRequestError(
                f"Up to overflow_ms={self.overflow_ms} there are {self.overflow_ms // self.bin_ms:,} bins of "
                f"{self.bin_ms} ms, more than {MAX_BINS:,}: choose a larger bin_ms or a smaller overflow_ms."
            )

    def expression(self, shift: timedelta) -> str:
        """Return the SQL of the start of a query's bin: `overflow_ms` for the long tail, -1 below zero."""
        value = self.value
        return (
            f"CASE WHEN {value} < 0 THEN -1 WHEN {value} >= :overflow_ms THEN :overflow_ms "
            f"ELSE {value} - pmod({value}, :bin_ms) END"
        )

    def args(self, shift: timedelta) -> dict[str, Any]:
        """Return the bin width and the start of the last bin."""
        return {"bin_ms": int(self.bin_ms), "overflow_ms": int(self.overflow_ms)}

    def needs(self, shift: timedelta) -> set[Need]:
        """Return the need of the exact value."""
        return {Need(self.value)}

    def check(self, selection: Selection) -> None:
        """Accept any period."""

    def limit(self, selection: Selection) -> str:
        """Return an empty text: the number of bins is known."""
        return ""

    def all(self, seen: Sequence[pd.Series[Any]], selection: Selection) -> pd.Index[Any]:
        """Return every bin from zero to the long tail; bins below zero and without a value only if not empty."""
        found = pd.concat(seen)
        bins = [*range(0, int(self.overflow_ms) + 1, int(self.bin_ms))]
        below, missing = bool((found < 0).any()), bool(found.isna().any())
        return pd.Index([*([-1] * below), *bins, *([pd.NA] * missing)], dtype="Int64", name=self.column)

    def finish(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Replace the bin by its limits ``from_ms`` and ``to_ms``; a missing limit is null."""
        start = frame.pop(self.column)
        below, tail = (start < 0).fillna(False), (start >= int(self.overflow_ms)).fillna(False)
        frame.insert(0, "from_ms", start.mask(below))
        frame.insert(1, "to_ms", (start + int(self.bin_ms)).mask(below, 0).mask(tail))
        return frame
