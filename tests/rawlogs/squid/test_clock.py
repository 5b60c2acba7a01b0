"""The zone that +0000 hides, and the hour that comes twice."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontierlab.errors import InvalidRequestError
from frontierlab.rawlogs.squid.clock import Clock, zone_of

ZURICH = "Europe/Zurich"


def wall(moment: datetime, zone: str) -> int:
    """What a clock in a zone shows, in ms since 1970."""
    shown = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return (shown - datetime(1970, 1, 1)) // timedelta(milliseconds=1)


def utc(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)),
    st.lists(st.integers(1, 1500), max_size=30),
    st.integers(1, 5),
    st.sampled_from([ZURICH, "America/Chicago", "Asia/Kathmandu", "UTC"]),
)
def test_lines_in_order_get_their_times_back(start: datetime, steps: list[int], blocks: int, zone: str) -> None:
    # lines that are at most 25 minutes apart, from before any hour that comes twice
    begin = start.replace(microsecond=0, tzinfo=UTC)
    while wall(begin + timedelta(hours=1), zone) - wall(begin, zone) != 3_600_000 or _twice(begin, zone):
        begin -= timedelta(hours=1)
    moments = [begin]
    for step in steps:
        moments.append(moments[-1] + timedelta(seconds=step))
    clock = Clock(zone_of(zone))
    found: list[int] = []
    for part in np.array_split(np.array([wall(moment, zone) for moment in moments]), blocks):
        found += clock.to_utc(part.astype(np.int64), pa.array(["+0000"] * len(part), pa.string())).tolist()
    assert found == [utc(moment) for moment in moments]


def _twice(moment: datetime, zone: str) -> bool:
    local = moment.astimezone(ZoneInfo(zone))
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def test_the_hour_that_comes_twice_is_told_apart_by_the_order_of_lines() -> None:
    first = datetime(2026, 10, 25, 0, 10, tzinfo=UTC)  # 02:10 in summer time; an hour later it is 02:10 again
    moments = [first + timedelta(minutes=10 * step) for step in range(12)]
    clock = Clock(zone_of(ZURICH))
    local = np.array([wall(moment, ZURICH) for moment in moments])
    assert len(set(local.tolist())) < len(moments)
    assert clock.to_utc(local, pa.array(["+0000"] * 12)).tolist() == [utc(moment) for moment in moments]
    assert clock.unsure == int(sum(_twice(moment, ZURICH) for moment in moments)) > 0


def test_another_zone_in_a_line_is_what_it_says() -> None:
    clock = Clock(zone_of(ZURICH))
    found = clock.to_utc(np.array([3_600_000] * 3), pa.array(["+0100", "-0130", "epoch"]))
    assert found.tolist() == [0, 9_000_000, 3_600_000]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "+0100"])
def test_a_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(InvalidRequestError, match="is no time zone"):
        zone_of(zone)
