"""The windows of time that checks look at, one after another."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeAlias

from frontierlab.errors import InvalidRequestError
from frontierlab.storage.spans import Span, merged
from frontierlab.util.times import in_words, parse_time, to_milliseconds

__all__ = ["DAY", "Every", "HOUR", "MINUTE", "MOST", "Windows", "covers", "length_of", "windows_of"]

Every: TypeAlias = str | timedelta | None
"""What `length_of` accepts."""

MINUTE = 60_000
"""A minute in milliseconds."""

HOUR = 60 * MINUTE
"""An hour in milliseconds."""

DAY = 24 * HOUR
"""A day in milliseconds."""

MOST = 10_000
"""The most windows of one run: a year of hours fits."""

_UNITS = {"min": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY, "hour": HOUR, "day": DAY}
_LENGTH = re.compile(r"(?:(?P<number>[1-9]\d{0,5})(?P<unit>min|h|d|w)|(?P<word>hour|day))")


@dataclass(frozen=True)
class Windows:
    """Windows of the same length, in UTC milliseconds.

    Parameters
    ----------
    start, stop
        The time of all windows together, ``[start, stop)``.
    length
        The length of each.
    """

    start: int
    stop: int
    length: int

    @property
    def all(self) -> list[Span]:
        """The windows, in order."""
        return [Span(start, start + self.length) for start in range(self.start, self.stop, self.length)]

    @property
    def hours(self) -> float:
        """The length of each in hours."""
        return self.length / HOUR

    def number(self, moment: int) -> int:
        """Return the number of the window that a time is in, from 0."""
        return (moment - self.start) // self.length


def length_of(every: Every) -> int | None:
    """Return the length of a window in milliseconds; None if there is one window.

    Raises
    ------
    InvalidRequestError
        It is not a length of whole minutes.
    """
    if every is None:
        return None
    if isinstance(every, timedelta):
        length, rest = divmod(every, timedelta(minutes=1))
        if length > 0 and not rest:
            return length * MINUTE
    elif isinstance(every, str) and (found := _LENGTH.fullmatch(every)):
        return int(found["number"] or 1) * _UNITS[found["unit"] or found["word"]]
    raise InvalidRequestError(
        f'every={every!r} is not a length of time: give "1h", "30min", "1d" (a number and min, h, d or w), "hour", '
        '"day", or a timedelta of whole minutes.'
    )


def windows_of(
    since: str | date | datetime | None, until: str | date | datetime | None, every: Every, end: int
) -> Windows:
    """Return the windows of a run.

    Parameters
    ----------
    since, until
        The time; UTC if it has no zone.
    every
        The length of a window; None is one window.
    end
        Where the data end, in UTC milliseconds. Without `until`, the last window ends at the whole hour before.

    Raises
    ------
    InvalidRequestError
        A value is not valid, the time is no multiple of `every`, or there are more than `MOST` windows.
    """
    length = length_of(every)
    stop = end - end % HOUR if until is None else to_milliseconds(parse_time(until))
    start = stop - (length or HOUR) if since is None else to_milliseconds(parse_time(since))
    if stop <= start:
        last = "" if until is not None else ", the last whole hour of the data"
        raise InvalidRequestError(f"until ({in_words(stop)}{last}) must be later than since ({in_words(start)}).")
    length = length or stop - start
    if (stop - start) % length:
        raise InvalidRequestError(
            f"From {in_words(start)} to {in_words(stop)} is no multiple of every={every!r}: move since or until."
        )
    if (stop - start) // length > MOST:
        raise InvalidRequestError(
            f"From {in_words(start)} to {in_words(stop)} there are more than {MOST:,} windows of every={every!r}: give "
            "a longer one, or less time."
        )
    return Windows(start, stop, length)


def covers(spans: Iterable[Span], window: Span) -> bool:
    """Return whether the whole of a window is covered by some spans."""
    return any(span.start <= window.start and window.stop <= span.stop for span in merged(spans))
