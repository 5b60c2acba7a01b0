"""Several datasets as one: what counts of each, and what is said of overlaps and gaps."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import frontierlab as fl
from frontierlab.datasets import Period
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.storage.spans import Span, merged, minus
from frontierlab.util.times import format_time, from_milliseconds
from tests.support.logs import START, make_dataset

HOUR = 3_600_000


def at(hours):
    return START + int(hours * HOUR)


def text(hours):
    return format_time(from_milliseconds(at(hours)))


@pytest.fixture
def make(data_dir):
    """Make a dataset of these hours with a query at each full hour."""

    def make(name, since, until, *, missing=0, rows=None, request=None, **manifest):
        hours = range(since, until) if rows is None else rows
        request = {"since": text(since), "until": text(until), **(request or {})}
        queries = [{"time": at(hour), "querytime": hour} for hour in hours]
        return make_dataset(data_dir / "datasets" / name, queries, missing=missing, request=request, **manifest)

    return make


def hours_of(period):
    """Return the hours whose queries count, of each dataset by name."""
    found = {}
    for portion in period.portions:
        hours = [
            (ms - START) / HOUR
            for ms in portion.dataset.to_arrow(["time"], allow_incomplete=True)["time"].cast("int64").to_pylist()
        ]
        spans = portion.spans
        found[portion.dataset.name] = [
            hour for hour in hours if spans is None or any(span.start <= at(hour) < span.stop for span in spans)
        ]
    return found


# ---- spans ------------------------------------------------------------------------------------------

spans = st.tuples(st.integers(0, 30), st.integers(1, 10)).map(lambda pair: Span(pair[0], pair[0] + pair[1]))


def members(some):
    return {number for span in some for number in range(*span)}


@given(st.lists(spans), spans)
def test_spans_are_sets_of_time(some, taken):
    assert members(minus(merged(some), taken)) == members(some) - members([taken])
    joined = merged(some)
    assert members(joined) == members(some)
    assert all(one.stop < other.start for one, other in pairwise(joined))


# ---- periods ----------------------------------------------------------------------------------------


def test_days_in_a_row_are_one_period(make, settings):
    make("nightly-2", 24, 48)
    make("nightly-1", 0, 24)
    make("other", 48, 72)
    period = fl.datasets.period("nightly-*", settings=settings)
    assert [one.name for one in period.datasets] == ["nightly-1", "nightly-2"]
    assert (period.name, period.state, period.counts.kept) == ("nightly-1, nightly-2", "complete", 48)
    assert (period.since, period.until) == (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 3, tzinfo=UTC))
    assert (period.gaps, period.notes, period.is_whole) == ((), [], True)
    assert repr(period) == (
        "<Period nightly-1, nightly-2: complete, 48 rows, from 2026-10-01 00:00 to 2026-10-03 00:00 UTC>"
    )


@pytest.mark.parametrize("since", ["2026-10-01T12:00", "2026-10-01T14:00+02:00"])
def test_a_window_leaves_out_queries_and_datasets(make, settings, since):
    for day in range(4):
        make(f"day-{day}", 24 * day, 24 * day + 24)
    period = fl.datasets.period("day-?", since, "2026-10-03", settings=settings)
    assert hours_of(period) == {"day-0": [*range(12, 24)], "day-1": [*range(24, 48)]}
    assert not period.is_whole
    assert period.file_stem == "day-0-day-1-2026-10-01T1200-2026-10-03T0000"
    assert fl.datasets.period("day-1", settings=settings).file_stem == "day-1"
    assert period.until == datetime(2026, 10, 3, tzinfo=UTC)


def test_no_query_of_an_overlap_counts_twice(make, settings):
    make("a", 0, 24)
    make("b", 12, 36)
    make("inside", 26, 28)
    period = fl.datasets.period(["b", "inside", "a"], settings=settings)
    assert hours_of(period) == {"a": [*range(24)], "b": [*range(24, 36)], "inside": []}
    assert period.notes == [
        "The datasets a and b both cover the time from 2026-10-01 12:00 to 2026-10-02 00:00 UTC: its queries are "
        "counted once, from a.",
        "The datasets b and inside both cover the time from 2026-10-02 02:00 to 2026-10-02 04:00 UTC: its queries are "
        "counted once, from b.",
    ]


def test_a_complete_dataset_is_better_than_an_incomplete_one(make, settings):
    make("broken", 0, 48, missing=1)
    make("day", 24, 30)
    period = fl.datasets.period(["broken", "day"], settings=settings)
    assert period.state == "incomplete"
    assert hours_of(period)["broken"] == [*range(24), *range(30, 48)]
    with pytest.raises(DatasetError, match="The dataset broken is incomplete: figures of the period"):
        period.require_complete()


def test_the_same_time_extracted_twice_counts_from_the_newer_one(make, settings):
    make("first", 0, 24, created="2026-10-04T00:00:00.000Z")
    make("second", 0, 24, created="2026-10-05T00:00:00.000Z")
    assert hours_of(fl.datasets.period("*", settings=settings)) == {"first": [], "second": [*range(24)]}


def test_all_queries_are_better_than_some_of_them(make, settings):
    make("task", 0, 24, request={"taskid": 7})
    make("all", 12, 36)
    period = fl.datasets.period(["task", "all"], settings=settings)
    assert hours_of(period) == {"task": [*range(12)], "all": [*range(12, 36)]}
    assert (
        "Not all datasets were extracted with the same taskid: 7 in dataset task; all in dataset all." in period.notes
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        ({"cached": True}, {"cached": False}, "cached: True in dataset a; False in dataset b"),
        ({"taskid": 1}, {"taskid": 2}, "taskid: 1 in dataset a; 2 in dataset b"),
        (
            {"selection": {"db": ["CONDBR2"], "min_querytime": 5}},
            {"selection": {"db": ["OFLP200"]}},
            "selection: db CONDBR2, min_querytime 5 in dataset a; db OFLP200 in dataset b",
        ),
    ],
)
def test_datasets_of_different_queries_both_count(make, settings, ours, theirs, told):
    make("a", 0, 24, request=ours)
    make("b", 0, 24, request=theirs)
    period = fl.datasets.period(["a", "b"], settings=settings)
    assert period.is_whole
    assert "its queries are counted from both." in period.notes[0]
    assert told in period.notes[1]


@pytest.mark.parametrize(
    ("request_of_b", "difference"),
    [
        ({"source": "other.ndjson"}, "source is 'logs.ndjson' and 'other.ndjson'"),
        ({"source": "other.ndjson", "selection": {"db": ["CONDBR2"]}}, "selection is None and {'db': ['CONDBR2']}"),
        ({"db_instances": ["OFLP200", "CONDBR2"], "cached": True}, "cached is None and True; db_instances is"),
    ],
)
def test_an_overlap_of_unlike_datasets_is_the_callers_choice(make, settings, request_of_b, difference):
    make("a", 0, 24)
    make("b", 12, 36, request=request_of_b)
    with pytest.raises(DatasetError, match=r"datasets a and b both cover the time from 2026-10-01 12:00 to") as told:
        fl.datasets.period(["a", "b"], settings=settings)
    assert difference in str(told.value)
    cut = fl.datasets.period(["a", "b"], settings=settings, overlaps="cut")
    assert hours_of(cut) == {"a": [*range(24)], "b": [*range(24, 36)]}
    assert fl.datasets.period(["a", "b"], settings=settings, overlaps="keep").is_whole
    apart = fl.datasets.period(["a", "b"], "2026-10-02", settings=settings)  # only b covers it
    assert hours_of(apart) == {"b": [*range(24, 36)]}


def test_gaps_are_named(make, settings):
    make("a", 0, 24)
    make("c", 48, 72)
    period = fl.datasets.period(["a", "c"], settings=settings)
    assert period.gaps == ((at(24), at(48)),)
    assert period.notes == ["No dataset covers the time from 2026-10-02 00:00 to 2026-10-03 00:00 UTC."]
    wider = fl.datasets.period(["a", "c"], "2026-09-30", "2026-10-05", settings=settings)
    assert wider.gaps == ((at(-24), at(0)), (at(24), at(48)), (at(72), at(96)))


def test_a_cut_by_limit_queries_leaves_a_gap(make, settings):
    limit = {"limit_queries": 6, "available": 24, "cut_at": text(6), "cut_at_ms": at(6)}
    make("cut", 0, 24, rows=range(6), limit=limit)
    make("b", 12, 36)
    period = fl.datasets.period(["cut", "b"], settings=settings)
    assert period.gaps == ((at(6), at(12)),)
    assert period.is_whole


def test_a_day_that_was_extracted_before_its_end_covers_the_time_before(make, settings):
    make("today", 0, 24, rows=range(13), created=text(13.5), request={"index": "frontier", "source": "https://es"})
    make("later", 12, 36, created=text(40), request={"index": "frontier", "source": "https://es"})
    period = fl.datasets.period(["today", "later"], settings=settings)
    assert hours_of(period) == {"today": [*range(13)], "later": [*range(14, 36)]}  # no query was logged after 13:00


def test_without_a_requested_period_the_rows_tell_it(make, settings):
    anything = {"since": None, "until": None}
    make("one", 0, 24, request=anything)
    make("two", 24, 48, request={"source": "other.ndjson", **anything})
    make("three", 48, 72, request=anything, rows=[])
    period = fl.datasets.period(["one", "two", "three"], settings=settings)
    assert (period.since, period.until) == (datetime(2026, 10, 1, tzinfo=UTC), from_milliseconds(at(47) + 1))
    assert period.gaps == ((at(23) + 1, at(24)),)  # an hour; less than five minutes would be no gap


def test_many_notes_are_shortened(make, settings):
    for day in range(9):
        make(f"day-{day}", 48 * day, 48 * day + 24)
    period = fl.datasets.period("day-*", settings=settings)
    assert period.name == "day-0 to day-8 (9 datasets)"
    assert period.file_stem.startswith("day-0-to-day-8-9-datasets-2026-10-01T0000-")
    assert len(period.gaps) == 8
    assert period.notes[-1] == "There are 3 more gaps."


def test_columns_are_those_of_all_datasets(make, settings, data_dir):
    for name, extra in (("a", {"rows": "integer"}), ("b", {"who": "name"}), ("odd", {"rows": "name"})):
        make_dataset(data_dir / "datasets" / name, [{}], extra=extra, request={"source": name})
    period = fl.datasets.period(["a", "b"], settings=settings, overlaps="keep")
    assert period.schema.names[-2:] == ["rows", "who"]
    with pytest.raises(DatasetError, match="The column rows is int64 in a and string in odd"):
        _ = fl.datasets.period(["a", "odd"], settings=settings, overlaps="keep").schema


def test_the_identity_is_that_of_what_counts(make, settings):
    one = make("a", 0, 24)
    make("b", 24, 48)
    assert Period([one]).identity == one.identity
    both = [fl.datasets.period("?", *window, settings=settings).identity for window in [(), ("2026-10-01T05",)]]
    assert len({one.identity, *both}) == 3
    assert fl.datasets.period(["b", "a", "a"], settings=settings).identity == both[0]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((["a"], "2026-10-02", "2026-10-01"), InvalidRequestError, "until .* must be later than since"),
        (([],), InvalidRequestError, "A period needs at least one dataset"),
        (("b*",), DatasetError, r"No dataset in .* is named b\*. There are: a."),
        ((["b"],), DatasetError, "There is no dataset 'b'"),
        (("a", "2027-01-01"), DatasetError, r"dataset a cover no time from 2027-01-01 00:00 UTC\. Covered: from 2026"),
    ],
)
def test_what_is_no_period_is_refused(make, settings, arguments, error, message):
    make("a", 0, 24)
    with pytest.raises(error, match=message):
        fl.datasets.period(*arguments, settings=settings)
    with pytest.raises(InvalidRequestError, match=r"since is a frontierlab\.Settings: give it by name"):
        fl.datasets.period("a", settings)
    with pytest.raises(InvalidRequestError, match="overlaps='both' is not valid"):
        fl.datasets.period("a", settings=settings, overlaps="both")


def test_a_dataset_that_changed_since_is_noticed(make, settings):
    make("a", 0, 24, id="1")
    other = make("b", 24, 48, id="2")
    period = fl.datasets.period("?", settings=settings)
    period.require_unchanged()
    other.delete()
    with pytest.raises(DatasetError, match="The dataset b was deleted or renamed since it was opened"):
        period.require_unchanged()
    make("b", 24, 48, id="3")
    with pytest.raises(DatasetError, match="The dataset b was replaced by another of its name since it was opened"):
        period.require_unchanged()
