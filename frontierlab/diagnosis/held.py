"""What was counted of scopes already, so that no scope is asked for twice, and several are asked for at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["AT_ONCE", "Held", "between", "members"]

AT_ONCE = 60
"""Scopes that one statement can count: each has a bit of a number."""


@dataclass(frozen=True)
class Held:
    """The counts of one scope.

    Parameters
    ----------
    scope
        The scope.
    start, stop
        The starts of the first bin that was counted and of the first one that was not, in ms since the epoch; None is
        all the time, with that of the baseline.
    by
        The names that the counts are parted by, besides the bin.
    frame
        The counts.
    """

    scope: Mapping[str, Any]
    start: int | None
    stop: int | None
    by: tuple[str, ...]
    frame: pd.DataFrame

    def part(self, scope: Mapping[str, Any], start: int, stop: int, by: str) -> pd.DataFrame | None:
        """Return the counts of a scope and time; None if they are not here."""
        if self.scope != scope or by not in self.by:
            return None
        if (self.start is not None and self.start > start) or (self.stop is not None and self.stop < stop):
            return None
        return between(self.frame, start, stop)


def between(frame: pd.DataFrame, start: int, stop: int) -> pd.DataFrame:
    """Return the rows of a frame whose bins begin in ``[start, stop)``, in ms since the epoch."""
    bins = frame["bin"].to_numpy(dtype=np.int64)
    return frame[(bins >= start) & (bins < stop)]


def members(scopes: Sequence[Mapping[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Return the SQL of a number with a bit for each scope that a query is in, and the values of its parameters."""
    terms: list[str] = []
    args: dict[str, Any] = {}
    for place, scope in enumerate(scopes):
        names = {name: f"scope_{place}_{name}" for name in scope}
        tests = " AND ".join(f"{name} = :{names[name]}" for name in scope)
        terms.append(f"IF({tests or '1 = 1'}, {1 << place}, 0)")
        args |= {names[name]: value for name, value in scope.items()}
    return " + ".join(terms), args
