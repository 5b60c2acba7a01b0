"""The clock of a Squid: from the time on its wall to UTC.

A line bears the host's local time and then ``+0000``, which is a literal of the log format: it is right only where the
host's clock is in UTC. So the reader is told the host's zone. A zone other than ``+0000`` is what it says.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frontierlab.errors import InvalidRequestError
from frontierlab.rawlogs.squid.fields import NATIVE_ZONE

__all__ = ["Clock", "LITERAL", "zone_of"]

LITERAL = "+0000"
"""The zone that is written after local time, whatever the host's zone is."""

_QUARTER = 900_000  # ms; zones change their offset at whole quarters of an hour
_BACK = 1_800_000  # ms; lines of several workers are out of order by less, the end of summer time by more

Numbers = NDArray[np.int64]


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name, such as ``UTC`` or ``Europe/Zurich``.

    Raises
    ------
    InvalidRequestError
        There is no such zone.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise InvalidRequestError(
            f"timezone={name!r} is no time zone: give a name of the IANA database, such as 'UTC' or 'Europe/Zurich'."
        ) from error


class Clock:
    """Converts the times of one file, block after block, in the order of its lines.

    In the hour that comes twice at the end of summer time, a time is of the first pass until the lines go back by half
    an hour or more; from there on it is of the second pass. A file that begins within the second pass is read as the
    first: `unsure` counts the lines of such an hour.

    Parameters
    ----------
    hidden
        The zone that the literal ``+0000`` hides.
    """

    def __init__(self, hidden: tzinfo) -> None:
        self._hidden = hidden
        self._second_pass = False
        self._latest = -1  # ms on the wall within the hour that comes twice
        self.unsure = 0

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, as a plain dict for JSON."""
        return {"second_pass": self._second_pass, "latest": self._latest, "unsure": self.unsure}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as a clock that gave this state."""
        self._second_pass, self._latest, self.unsure = state["second_pass"], state["latest"], state["unsure"]

    def to_utc(self, local_ms: Numbers, zones: pa.Array) -> Numbers:
        """Return times in ms since the epoch, UTC.

        Parameters
        ----------
        local_ms
            Times on the wall in ms since 1970, in the order of the lines.
        zones
            The zones as they were written, or `fields.NATIVE_ZONE`.
        """
        encoded = zones.dictionary_encode()
        names, codes = encoded.dictionary.to_pylist(), np.asarray(encoded.indices)
        offsets = np.array([_written(name) for name in names], dtype=np.int64)[codes]
        literal = np.array([name == LITERAL for name in names], dtype=bool)[codes]
        found: Numbers = local_ms - offsets
        if self._hidden is UTC or not literal.any():
            return found
        found[literal] = self._hidden_to_utc(local_ms[literal])
        return found

    def _hidden_to_utc(self, local: Numbers) -> Numbers:
        quarters, inverse = np.unique(local // _QUARTER, return_inverse=True)
        offsets = np.array([[_offset(int(quarter), self._hidden, fold) for fold in (0, 1)] for quarter in quarters])
        first, second = offsets[inverse, 0], offsets[inverse, 1]
        twice = first > second
        if not twice.any():
            self._second_pass, self._latest = False, -1
            return np.asarray(local - first)
        self.unsure += int(twice.sum())
        inside = local[twice]
        running = np.maximum.accumulate(np.maximum(inside, self._latest))
        later = self._second_pass | np.logical_or.accumulate(running - inside >= _BACK)
        self._second_pass, self._latest = bool(later[-1]), int(running[-1])
        first[twice] = np.where(later, second[twice], first[twice])
        return np.asarray(local - first)


def _written(zone: str) -> int:
    """Return the offset of a zone such as ``+0100``, in ms."""
    if zone == NATIVE_ZONE:
        return 0
    minutes = 60 * int(zone[1:3]) + int(zone[3:5])
    return (-1 if zone[0] == "-" else 1) * 60_000 * minutes


def _offset(quarter: int, zone: tzinfo, fold: int) -> int:
    """Return the offset of a zone in a quarter of an hour on the wall, in ms."""
    try:
        wall = datetime(1970, 1, 1) + timedelta(milliseconds=quarter * _QUARTER)
        offset = wall.replace(tzinfo=zone, fold=fold).utcoffset()
    except OverflowError:  # a year that no clock shows
        return 0
    return 0 if offset is None else offset // timedelta(milliseconds=1)
