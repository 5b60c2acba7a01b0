"""Causes: why a folder and tag costs more than it has to, and what ending each cause would save."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from frontierlab.errors import InvalidRequestError

__all__ = [
    "BELOW",
    "CAUSES",
    "CONTENTS",
    "EMPTY",
    "FAILED",
    "FINE",
    "Gain",
    "MANY",
    "NOT_KNOWN",
    "NO_GRID",
    "REPEATED",
    "SOME",
    "WORTH_BYTES",
    "WORTH_SECONDS",
    "Worth",
    "cause_of",
    "gains_of",
]

WORTH_SECONDS = 60.0
"""The seconds of database time from which on a saving is worth the effort, if nothing else is given."""

WORTH_BYTES = 1e9
"""The bytes from which on a saving is worth the effort, if nothing else is given."""

REPEATED = "same query not cached"
"""One Squid or site asks the same again, and its cache does not keep the answer."""

MANY = "many queries for few payloads"
"""Different queries, on a grid, got the same answers."""

NO_GRID = "IOVs on no grid"
"""Different queries got the same answers, and most of their IOVs are on no grid."""

SOME = "different queries for some payloads"
"""Different queries got the same answers, though less than half of them."""

CONTENTS = "few contents under many IOVs"
"""Answers of different IOVs have the same content."""

EMPTY = "mostly empty answers"
"""Most queries found no payload."""

FAILED = "mostly failed queries"
"""More queries failed than were served."""

NOT_KNOWN = "not known"
"""The payloads are not known, and the queries cost enough to look at."""

BELOW = "below the threshold"
"""Badly cached, and too small for a cause: it loses less than what is worth the effort."""

FINE = "fine"
"""Well cached."""

CAUSES = (REPEATED, MANY, NO_GRID, SOME, CONTENTS, EMPTY, FAILED, NOT_KNOWN, BELOW, FINE)
"""The causes of ``frontierlab.caching.efficiency``."""


@dataclass(frozen=True)
class Worth:
    """What a saving must reach to be worth the effort: the database time or the bytes.

    Parameters
    ----------
    seconds
        Database time in seconds, over the whole data.
    size
        Bytes, over the whole data.

    Raises
    ------
    InvalidRequestError
        A value is no finite number from 0 on.
    """

    seconds: float = WORTH_SECONDS
    size: float = WORTH_BYTES

    def __post_init__(self) -> None:
        for name, value in (("worth_seconds", self.seconds), ("worth_bytes", self.size)):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value < 0:
                raise InvalidRequestError(f"{name}={value!r}: give a number, 0 or more.")

    def reached_by(self, dbtime: float, size: float) -> bool:
        """Return whether a saving, in milliseconds and bytes, is worth the effort."""
        return (dbtime > 0 and dbtime >= 1000 * self.seconds) or (size > 0 and size >= self.size)


class Gain(NamedTuple):
    """What ending a cause would save: database time in milliseconds, and bytes."""

    cause: str
    dbtime: float
    size: float


def gains_of(row: Mapping[str, Any]) -> list[Gain]:
    """Return what ending each cause that a folder and tag has would save, the largest share of its cost first.

    Parameters
    ----------
    row
        A row of figures, with ``empty_dbtime`` and ``empty_bytes`` (`frontierlab.caching.folder_figures.figures`).
    """
    gains = [Gain(REPEATED, _number(row, "repeated_dbtime"), _number(row, "repeated_bytes"))]
    if not row["problem"]:
        wasted, size = _number(row, "wasted_dbtime"), _number(row, "wasted_bytes")
        more = _number(row, "wasted_dbtime_content") - wasted, _number(row, "wasted_bytes_content") - size
        gains.append(Gain(_kind_of_waste(row), wasted, size))
        gains.append(Gain(CONTENTS, max(0.0, more[0]), max(0.0, more[1])))
        if _is_mostly_empty(row):
            gains.append(Gain(EMPTY, _number(row, "empty_dbtime"), _number(row, "empty_bytes")))
    whole = max(_number(row, "dbtime"), 1.0), max(_number(row, "bytes_served"), 1.0)
    found = [gain for gain in gains if gain.dbtime > 0 or gain.size > 0]
    return sorted(found, key=lambda gain: -(gain.dbtime / whole[0] + gain.size / whole[1]))


def cause_of(row: Mapping[str, Any], worth: Worth) -> str:
    """Return the cause of a row of figures; see `frontierlab.caching.efficiency`."""
    if row["failed"] > row["queries"]:
        return FAILED
    for gain in gains_of(row):
        if worth.reached_by(gain.dbtime, gain.size):
            return gain.cause
    if row["problem"]:
        cost = _number(row, "dbtime"), _number(row, "bytes_served")
        return NOT_KNOWN if worth.reached_by(*cost) else BELOW
    return BELOW if _is_poor(row) else FINE


def _kind_of_waste(row: Mapping[str, Any]) -> str:
    """Return the name of the waste of different queries that get the same answer."""
    if not _is_low(row, "efficiency_iov"):
        return SOME
    return NO_GRID if 2 * _number(row, "off_grid_queries") > _number(row, "different_queries") else MANY


def _is_poor(row: Mapping[str, Any]) -> bool:
    """Return whether a small folder would have a cause if it were large."""
    repeats = 2 * _number(row, "repeated_queries") > _number(row, "uncached")
    return repeats or _is_mostly_empty(row) or _is_low(row, "efficiency_iov") or _is_low(row, "efficiency_content")


def _is_mostly_empty(row: Mapping[str, Any]) -> bool:
    return 2 * _number(row, "empty_queries") > _number(row, "queries")


def _is_low(row: Mapping[str, Any], name: str) -> bool:
    value = row.get(name)
    return value is not None and not pd.isna(value) and value < 0.5


def _number(row: Mapping[str, Any], name: str) -> float:
    value = row.get(name)
    return 0.0 if value is None or pd.isna(value) else float(value)
