"""Read and write times; all are UTC in whole milliseconds."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from frontierlab.errors import InvalidRequestError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["format_time", "from_milliseconds", "in_words", "parse_time", "to_milliseconds"]

_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]|$)")
_EXAMPLES = "write 2026-10-01, 2026-10-01T12:30:00 (UTC) or 2026-10-01T14:30:00+02:00"


def parse_time(value: str | date | datetime | np.datetime64) -> datetime:
    """Read a point in time.

    Parameters
    ----------
    value
        ISO 8601 text, a date (its midnight) or a datetime. A value without a zone is UTC, independent
        of the machine's zone; another zone is converted. Digits below a millisecond are cut.

    Returns
    -------
    datetime
        The time in UTC, in whole milliseconds.

    Raises
    ------
    InvalidRequestError
        The value is not a time, or is outside the years 1970 to 2261.
    """
    try:
        moment: date
        if isinstance(value, str):
            if not _ISO.match(value.strip()):
                raise ValueError(value)
            moment = datetime.fromisoformat(value.strip())
        elif isinstance(value, date):
            moment = value
        else:  # NumPy's
            moment = value.astype("datetime64[ms]").astype(datetime)
        if not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise InvalidRequestError(f"{value!r} is not a time: {_EXAMPLES}.") from error
    if not 1970 <= moment.year <= 2261:
        raise InvalidRequestError(f"{value!r} is not a time of a query: the year must be from 1970 to 2261.")
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def to_milliseconds(moment: datetime) -> int:
    """Return the milliseconds from the epoch to a time with a zone; no float is involved."""
    elapsed = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (elapsed.days * 86_400 + elapsed.seconds) * 1000 + elapsed.microseconds // 1000


def from_milliseconds(milliseconds: int) -> datetime:
    """Return the UTC time for a number of milliseconds since the epoch."""
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


def format_time(moment: datetime) -> str:
    """Write a UTC time as ISO 8601 with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def in_words(moment: datetime | int) -> str:
    """Write a UTC time, or milliseconds since the epoch, as text for people."""
    if isinstance(moment, int):
        moment = from_milliseconds(moment)
    digits = "milliseconds" if moment.microsecond else "seconds" if moment.second else "minutes"
    return f"{moment.replace(tzinfo=None).isoformat(' ', digits)} UTC"
