"""Bins in time and in milliseconds: half open, aligned to zero, every one of them in the answer."""

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
"""Bins of an answer at most; a day of whole seconds fits."""

MAX_ROWS = 2_000_000
"""Rows of an answer at most: bins times groups."""

_TINY_MS = 60_000  # a bin so narrow that, without a period, a dataset can have more of them than memory holds


class Bins(Protocol):
    """What a question asks its counts by, beside groups."""

    column: ClassVar[str]

    def expression(self, shift: timedelta) -> str:
        """Return the bin of a query, in SQL; its times are moved by `shift` first."""

    def args(self, shift: timedelta) -> Mapping[str, Any]:
        """Return the values of the parameters of `expression`."""

    def needs(self, shift: timedelta) -> set[Need]:
        """Return what must be known of a query to find its bin."""

    def check(self, selection: Selection) -> None:
        """Refuse a selection of too many bins before Spark is asked."""

    def limit(self, selection: Selection) -> str:
        """Return what ends the statement, so that Spark does not send many more rows than an answer can have."""

    def all(self, seen: Sequence[pd.Series[Any]], selection: Selection) -> pd.Index[Any]:
        """Return the bins that the answer has, in order, given those seen in each window."""

    def finish(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Put the columns that say what the bin is in its place."""


@dataclass(frozen=True)
class TimeBins:
    """Bins in time, aligned to the epoch.

    Parameters
    ----------
    bin_seconds
        Their width, in whole milliseconds.
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
        """Return the start of a query's bin, in SQL."""
        when = "unix_millis(time) + :shift_ms" if shift else "unix_millis(time)"
        return f"timestamp_millis({when} - pmod({when}, :bin_ms))"

    def args(self, shift: timedelta) -> dict[str, Any]:
        """Return the width, and by how much times are moved, in milliseconds."""
        moved = {"shift_ms": shift // timedelta(milliseconds=1)} if shift else {}
        return {"bin_ms": self.width} | moved

    def needs(self, shift: timedelta) -> set[Need]:
        """Return that times are cut at the limits of bins, moved by `shift`."""
        return {Need("time", "cut", self.width), Need("time", "cut", shift // timedelta(milliseconds=1))}

    def check(self, selection: Selection) -> None:
        """Refuse a period of too many bins before Spark is asked."""
        if selection.since is not None and selection.until is not None:
            self._starts(to_milliseconds(selection.since), to_milliseconds(selection.until))

    def limit(self, selection: Selection) -> str:
        """Return a limit where the bins are tiny and the period is not known."""
        known = selection.since is not None and selection.until is not None
        return "" if known or self.width >= _TINY_MS else f"\nLIMIT {MAX_ROWS + 1}"

    def all(self, seen: Sequence[pd.Series[Any]], selection: Selection) -> pd.DatetimeIndex:
        """Return every bin of the period; without one, from the first to the last that was seen."""
        found = np.concatenate([bins.dt.as_unit("ms").astype("int64").to_numpy() for bins in seen])
        start = int(found.min()) if selection.since is None else to_milliseconds(selection.since)
        end = int(found.max()) + 1 if selection.until is None else to_milliseconds(selection.until)
        starts = self._starts(start, end).view("datetime64[ms]")
        return pd.DatetimeIndex(starts, name=self.column).tz_localize("UTC")

    def finish(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame: the start of the bin says all."""
        return frame

    def _starts(self, start: int, end: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the starts of the bins that [start, end) meets, all in milliseconds from the epoch."""
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
    """Bins of a time that was taken, with one for the long tail.

    Parameters
    ----------
    value
        The column: ``querytime`` or ``dbtime``.
    bin_ms
        Their width, in milliseconds.
    overflow_ms
        Where the last bin begins, which has no end: a multiple of `bin_ms`.
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
        """Return the start of a query's bin, in SQL: that of the last for the long tail, -1 below zero."""
        value = self.value
        return (
            f"CASE WHEN {value} < 0 THEN -1 WHEN {value} >= :overflow_ms THEN :overflow_ms "
            f"ELSE {value} - pmod({value}, :bin_ms) END"
        )

    def args(self, shift: timedelta) -> dict[str, Any]:
        """Return the width and where the last bin begins."""
        return {"bin_ms": int(self.bin_ms), "overflow_ms": int(self.overflow_ms)}

    def needs(self, shift: timedelta) -> set[Need]:
        """Return that the value itself must be known."""
        return {Need(self.value)}

    def check(self, selection: Selection) -> None:
        """Take any period."""

    def limit(self, selection: Selection) -> str:
        """Return nothing: the number of bins is known."""
        return ""

    def all(self, seen: Sequence[pd.Series[Any]], selection: Selection) -> pd.Index[Any]:
        """Return every bin from zero to the long tail; one below zero and one without a value where there are some."""
        found = pd.concat(seen)
        bins = [*range(0, int(self.overflow_ms) + 1, int(self.bin_ms))]
        below, missing = bool((found < 0).any()), bool(found.isna().any())
        return pd.Index([*([-1] * below), *bins, *([pd.NA] * missing)], dtype="Int64", name=self.column)

    def finish(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Say each bin by its limits, of which one that it does not have is null."""
        start = frame.pop(self.column)
        below, tail = (start < 0).fillna(False), (start >= int(self.overflow_ms)).fillna(False)
        frame.insert(0, "from_ms", start.mask(below))
        frame.insert(1, "to_ms", (start + int(self.bin_ms)).mask(below, 0).mask(tail))
        return frame
