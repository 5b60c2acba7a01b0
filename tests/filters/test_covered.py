"""What is said of a window that the data do not reach, or reach in part."""

import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

import frontierlab as fl
from frontierlab import Dataset, Selection, filters
from frontierlab.engines import Logs
from frontierlab.errors import InvalidRequestError
from frontierlab.filters.changes_statement import BINS, bounds_of_bins
from frontierlab.filters.covered import covered_window
from frontierlab.filters.extracted import NotExtracted
from frontierlab.storage.spans import Span
from frontierlab.util.times import format_time, from_milliseconds, to_milliseconds
from tests.support.logs import START, make_dataset

MINUTE, HOUR = 60_000, 3_600_000
DAY = Selection(since="2026-10-01", until="2026-10-02")


def requested(folder: Path, first: float, last: float) -> Dataset:
    """Return a dataset of these hours, with a query each ten minutes."""
    times = [START + int(hour * HOUR) for hour in (first, last)]
    rows = [{"time": time, "schema": "A"} for time in range(*times, 10 * MINUTE)]
    request = {name: format_time(from_milliseconds(time)) for name, time in zip(("since", "until"), times, strict=True)}
    return make_dataset(folder, rows, request=request)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return requested(tmp_path_factory.mktemp("days") / "day", 0, 24)


@pytest.mark.parametrize("compare", ["previous", "-1d", "-7d", "2026-09-30", "2027-01-01"])
def test_a_comparison_with_a_time_without_data_is_refused(day: Dataset, compare: str) -> None:
    with pytest.raises(
        InvalidRequestError, match=r"The dataset day covers nothing of the time from 20.* Covered: from"
    ):
        filters.queries_over_time(day, DAY, compare=compare)


def test_a_comparison_of_a_time_without_data_is_refused(day: Dataset) -> None:
    told = (
        "The dataset day covers nothing of the time from 2026-10-02 00:00 UTC to 2026-10-03 00:00 UTC. Covered: from "
        "2026-10-01 00:00 to 2026-10-02 00:00 UTC. Nothing can be compared with that: choose since, until and what to "
        "compare with so that both windows are within the time of the data."
    )
    with pytest.raises(InvalidRequestError) as raised:
        filters.queries_per_db(day, DAY.shifted(timedelta(days=1)), compare="previous")
    assert str(raised.value) == told


def test_a_comparison_with_a_part_has_a_note(day: Dataset) -> None:
    frame = filters.queries_per_db(day, since="2026-10-01T06:00", until="2026-10-01T16:00", compare="previous")
    assert frame["queries_before" if "queries_before" in frame else "unknown_before"].tolist() == [36]
    assert frame.attrs["notes"] == [
        "The dataset day covers 60 % of the time from 2026-09-30 20:00 to 2026-10-01 06:00 UTC. Not covered: from "
        "2026-09-30 20:00 to 2026-10-01 00:00 UTC."
    ]


def test_a_dataset_of_another_day_has_none_of_the_window(day: Dataset, tmp_path: Path) -> None:
    other = requested(tmp_path / "other", -24, 0)
    with pytest.raises(InvalidRequestError, match="The dataset other covers nothing of the time from 2026-10-01 00:00"):
        filters.queries_per_db(day, DAY, compare=other)
    frame = filters.queries_per_db(day, DAY, compare=(other, "previous"))
    assert frame["unknown_change"].tolist() == [0]
    assert "notes" not in frame.attrs


def test_what_was_not_extracted_cannot_be_compared(day: Dataset, tmp_path: Path) -> None:
    narrow = make_dataset(tmp_path / "narrow", [{"schema": "A"}], request={"selection": {"schema": ["A"]}})
    for asked in (
        lambda: filters.queries_per_db(day, schema="B", compare=narrow),
        lambda: fl.what_changed((narrow, Selection(schema="B")), day),
    ):
        with pytest.raises(
            InvalidRequestError, match=r"has only queries with schema A: none .* Nothing can be compared"
        ):
            asked()


def test_a_selection_without_data_warns(day: Dataset) -> None:
    with pytest.warns(
        NotExtracted, match="The dataset day covers nothing of the time from 2026-10-05 00:00 UTC"
    ) as told:
        frame = filters.queries_per_db(day, since="2026-10-05")
    assert [Path(one.filename).name for one in told] == ["test_covered.py"]
    assert frame.empty
    assert len(frame.attrs["notes"]) == 1
    with pytest.warns(NotExtracted, match="nothing of the time to 2026-10-01 00:00 UTC"):
        filters.queries_over_time(day, until="2026-10-01")


def test_a_selection_with_a_part_has_a_note_and_one_within_has_none(day: Dataset) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        week = filters.queries_per_db(day, since="2026-10-01", until="2026-10-08")
        assert week.attrs["notes"][0].startswith("The dataset day covers 14.3 % of the time from 2026-10-01 00:00 to")
        for within in (Selection(), DAY, Selection(since="2026-10-01T03:00"), Selection(until="2026-10-01T03:00")):
            assert "notes" not in filters.queries_per_db(day, within).attrs


def test_a_period_says_which_times_it_lacks(tmp_path: Path) -> None:
    days = [requested(tmp_path / f"d{n}", first, first + 2) for n, first in enumerate((0, 4, 8, 12, 16))]
    logs = fl.open_logs(days)
    frame = filters.queries_per_db(logs, DAY)
    assert frame.attrs["notes"][-1] == (
        "The datasets d0, d1, d2 and 2 more cover 41.7 % of the time from 2026-10-01 00:00 to 2026-10-02 00:00 UTC. "
        "Not covered: from 2026-10-01 02:00 to 2026-10-01 04:00 UTC and from 2026-10-01 06:00 to 2026-10-01 08:00 UTC "
        "and from 2026-10-01 10:00 to 2026-10-01 12:00 UTC and 2 more times."
    )
    with pytest.raises(InvalidRequestError, match="cover nothing of the time from 2026-10-01 02:00 UTC to"):
        filters.queries_per_db(logs, since="2026-10-01T04:00", until="2026-10-01T06:00", compare="previous")
    part = fl.datasets.Period(days, since="2026-10-01T00:30", until="2026-10-01T01:30")
    assert (
        "covers 50 % of the time"
        in filters.queries_per_db(part, until="2026-10-01T01:00", since="2026-10-01").attrs["notes"][-1]
    )


def test_a_file_without_a_period_covers_its_queries_and_a_few_minutes_more(tmp_path: Path) -> None:
    rows = [{"time": START + n * MINUTE, "schema": "A"} for n in range(3, 24 * 60 - 3)]
    dataset = make_dataset(tmp_path / "file", rows)
    assert "notes" not in filters.queries_per_db(dataset, DAY).attrs
    later = filters.queries_per_db(dataset, since="2026-10-01", until="2026-10-02T00:10")
    assert "from 2026-10-01 23:56:00.001 to 2026-10-02 00:10 UTC" in later.attrs["notes"][0]


def test_a_dataset_without_queries_cannot_be_compared(tmp_path: Path, day: Dataset) -> None:
    nothing = make_dataset(tmp_path / "nothing")
    with pytest.raises(InvalidRequestError, match=r"The dataset nothing covers no time\. Nothing can be compared"):
        fl.what_changed(nothing, day)
    with pytest.warns(NotExtracted, match="Covered: no time"):
        assert filters.queries_per_db(nothing, DAY).empty


def test_a_selection_of_logs_keeps_its_window(day: Dataset) -> None:
    morning = Selection(since="2026-10-01", until="2026-10-01T12:00").of(day)
    found = covered_window(morning, Selection(since="2026-10-01T06:00"))
    assert found.window == Span(START + 6 * HOUR, START + 12 * HOUR)
    with pytest.warns(NotExtracted, match="nothing of the time from 2026-10-01 13:00 UTC to 2026-10-01 12:00 UTC"):
        filters.queries_per_db(morning, since="2026-10-01T13:00")


_HOURS = ((0, 4), (6, 7), (10, 24))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    folder = tmp_path_factory.mktemp("parts")
    return fl.open_logs([requested(folder / f"p{first}", first, last) for first, last in _HOURS])


@given(data=st.data())
def test_covered_and_missing_times_add_up_to_the_window(parts: Logs, data: st.DataObject) -> None:
    """Every minute of a window is either covered by one of the datasets or missing."""
    hours = st.integers(-3, 27)
    first, last = sorted(data.draw(st.tuples(hours, hours).filter(lambda pair: pair[0] != pair[1])))
    selection = Selection(since=at(first), until=at(last))
    found = covered_window(parts, selection)
    wanted = [hour for hour in range(first, last) if any(a <= hour < b for a, b in _HOURS)]
    assert [*_of(found.covered)] == wanted
    assert [*_of(found.missing)] == [hour for hour in range(first, last) if hour not in wanted]
    assert found.milliseconds == len(wanted) * HOUR
    if wanted:
        bounds = bounds_of_bins(found.covered)
        inside = [sum(max(0, min(s.stop, to_milliseconds(b)) - s.start) for s in found.covered) for b in bounds]
        assert inside == [found.milliseconds * part // BINS for part in range(1, BINS)]


def at(hour: int) -> Any:
    return from_milliseconds(START + hour * HOUR)


def _of(spans: tuple[Span, ...]) -> list[int]:
    return [time // HOUR - START // HOUR for span in spans for time in range(span.start, span.stop, HOUR)]


@pytest.mark.spark
def test_a_data_frame_of_the_caller_covers_the_time_of_its_queries(
    day: Dataset, running: SparkSession, uncompiled: None
) -> None:
    logs = fl.open_logs(day, session=running)
    frame = logs.to_spark()
    told = "The Spark DataFrame covers nothing of the time from 2026-09-30 00:00 UTC to 2026-10-01 00:00 UTC"
    with pytest.raises(InvalidRequestError, match=told):
        filters.queries_per_db(frame, DAY, compare="previous")
    with pytest.raises(InvalidRequestError, match="The dataset day covers nothing of the time from 2026-09-30"):
        filters.queries_per_db(logs, DAY, compare="previous")
    with pytest.warns(NotExtracted, match="The Spark DataFrame covers nothing of the time from 2026-10-05"):
        filters.queries_per_db(frame, since="2026-10-05")
    half = Selection(since="2026-10-01", until="2026-10-01T12:00")
    changes = fl.what_changed((half.of(logs), Selection()), (frame, half.shifted(timedelta(hours=12))), what=["schema"])
    assert changes.attrs["hours_before"] == 12
    assert changes[["queries_before", "queries"]].to_numpy().tolist() == [[72, 72]]
    less = fl.what_changed((frame.drop("squid"), half), (frame, half), what=["squid", "schema"])
    assert less["what"].unique().tolist() == ["schema"]
    assert less.attrs["notes"] == ["Without the column squid its changes are not known."]
