"""The head of one line of a servlet, for where a few lines are looked at."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

__all__ = ["HEAD", "first_time"]

HEAD = re.compile(
    rb"(?P<server>\S{1,80}) (?P<month>\d\d)/(?P<day>\d\d)/(?P<year>\d\d) "
    rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)\.(?P<ms>\d{3}) (?P<zone>\S{1,24}) "
    rb"(?P<sign>[+-])(?P<hours>\d\d)(?P<minutes>\d\d) (?:id=(?P<id>\d+)(?:-ka)?|FrontierInit) "
)
"""What stands before a message; see `frontierlab.rawlogs.servlet.scanning`, which reads many lines."""


def first_time(lines: Iterable[bytes]) -> int | None:
    """Return the time of the first line of a servlet, UTC in ms since the epoch; None if there is none."""
    for line in lines:
        if (found := HEAD.match(line)) is not None:
            number = {name: int(found[name]) for name in ("month", "day", "hour", "minute", "second", "ms")}
            shift = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"]))
            try:
                local = datetime(2000 + int(found["year"]), number["month"], number["day"], tzinfo=UTC)
            except ValueError:
                continue
            local += timedelta(hours=number["hour"], minutes=number["minute"], seconds=number["second"])
            moment = local - shift if found["sign"] == b"+" else local + shift
            return int(moment.timestamp()) * 1000 + number["ms"]
    return None
