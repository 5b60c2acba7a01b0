"""Times: whatever people write ends as UTC in whole milliseconds."""

import time
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontierlab.errors import FrontierlabError, InvalidRequestError
from frontierlab.util.times import format_time, from_milliseconds, parse_time, to_milliseconds

OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2261, 12, 30))
ZONES = st.one_of(
    st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone),
    st.sampled_from(["Europe/Zurich", "America/New_York", "Asia/Kathmandu"]).map(ZoneInfo),
)


@pytest.fixture
def machine_in_new_york(monkeypatch):
    """Run with a local zone other than UTC."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "value",
    [
        "2026-10-01",
        " 2026-10-01 ",
        "2026-10-01T00:00:00",
        "2026-10-01 00:00",
        "2026-10-01T00:00:00Z",
        "2026-10-01T02:00:00+02:00",
        "2026-09-30T19:00:00.000-0500",
        date(2026, 10, 1),
        datetime(2026, 10, 1),
        datetime(2026, 10, 1, 2, tzinfo=ZoneInfo("Europe/Zurich")),
        pd.Timestamp("2026-10-01"),
        pd.Timestamp("2026-10-01", tz="UTC").tz_convert("Asia/Tokyo"),
    ],
)
@pytest.mark.usefixtures("machine_in_new_york")
def test_every_way_to_write_a_time_is_the_same_time(value):
    assert parse_time(value) == OCTOBER
    assert parse_time(value).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "value", ["", "yesterday", "2026-13-01", "2026-02-30", "1790812800000", 1790812800000, 1.5, None, True, pd.NaT]
)
def test_invalid_times_are_refused_with_examples(value):
    with pytest.raises(InvalidRequestError, match=r"is not a time.*"):
        parse_time(value)


@pytest.mark.parametrize("value", ["1969-12-31T23:59:59.999", "1970-01-01T00:00+00:01", "2262-01-01", "0001-01-01"])
def test_years_out_of_range_are_refused(value):
    with pytest.raises(InvalidRequestError, match="the year must be from 1970 to 2261"):
        parse_time(value)


def test_a_zone_that_leaves_the_calendar_is_refused():
    with pytest.raises(FrontierlabError, match="is not a time"):
        parse_time("0001-01-01T00:00:00+01:00")


def test_digits_below_a_millisecond_are_cut_not_rounded():
    assert parse_time("2026-10-01T00:00:00.001999") == OCTOBER + timedelta(milliseconds=1)
    assert parse_time("2026-10-01T00:00:00.000999999") == OCTOBER
    assert to_milliseconds(OCTOBER + timedelta(microseconds=1999)) == to_milliseconds(OCTOBER) + 1


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_milliseconds_make_the_round_trip(milliseconds):
    assert to_milliseconds(from_milliseconds(milliseconds)) == milliseconds


@given(MOMENTS, ZONES)
def test_zones_are_converted_and_no_zone_means_utc(moment, zone):
    milliseconds = timedelta(milliseconds=1)
    whole = moment.replace(tzinfo=UTC, microsecond=moment.microsecond // 1000 * 1000)
    assert parse_time(moment) == parse_time(moment.isoformat()) == whole
    elsewhere = moment.replace(tzinfo=UTC).astimezone(zone)
    assert parse_time(elsewhere) == whole
    assert to_milliseconds(elsewhere) == (whole - datetime(1970, 1, 1, tzinfo=UTC)) // milliseconds


@given(MOMENTS, ZONES)
def test_a_written_time_is_read_back(moment, zone):
    whole = parse_time(moment)
    text = format_time(whole.astimezone(zone))
    assert len(text) == len("2026-10-01T00:00:00.000Z")
    assert text.endswith("Z")
    assert parse_time(text) == whole


def test_format():
    assert format_time(OCTOBER.astimezone(ZoneInfo("Asia/Tokyo"))) == "2026-10-01T00:00:00.000Z"
    assert format_time(from_milliseconds(1_790_812_800_123)) == "2026-10-01T00:00:00.123Z"
