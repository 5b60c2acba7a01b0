"""Filters over several datasets: each query of the world counts once, whatever datasets hold it."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import frontierlab as fl
from frontierlab import Dataset, Settings, filters
from frontierlab.datasets import Period
from frontierlab.errors import DatasetError
from frontierlab.filters.extracted import NotExtracted
from frontierlab.util.times import format_time, from_milliseconds, to_milliseconds
from tests.filters.test_filters_agree import agrees
from tests.support.examples import examples
from tests.support.logs import START, make_dataset
from tests.support.random_logs import HOURS, LIMITS, questions
from tests.support.reference_answers import answer
from tests.support.reference_filters import Rows

MINUTE, HOUR = 60_000, 3_600_000
numbers = itertools.count()
times = st.integers(START, START + HOURS) | st.sampled_from(LIMITS)
windows = st.tuples(times, times).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: (min(pair), max(pair)))


def extracted(folder: Path, rows: Rows, since: int, until: int, **more: Any) -> Dataset:
    """Return a dataset with the rows of a window, as an extraction of the window from a server makes it."""
    inside = [row for row in rows if since <= row["time"] < until]
    asked = {name: format_time(from_milliseconds(time)) for name, time in (("since", since), ("until", until))}
    half = len(inside) // 2
    return make_dataset(folder / f"d{next(numbers)}", inside[:half], inside[half:], request=asked, **more)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], max_examples=examples(60))
@given(data=st.data(), covered=st.lists(windows, min_size=1, max_size=4), window=st.none() | windows)
def test_a_query_counts_once(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, covered: list[Any], window: tuple[int, int] | None
) -> None:
    name = data.draw(st.sampled_from(filters.__all__))
    world, selection, keywords = data.draw(questions(name))
    since, until = window or (START, START + HOURS)
    if not any(start < until and since < stop for start, stop in covered):
        return
    folder = tmp_path_factory.getbasetemp() / "periods"
    bounds = (None, None) if window is None else tuple(map(from_milliseconds, window))
    period = Period([extracted(folder, world.rows, *one) for one in covered], since=bounds[0], until=bounds[1])
    counted = [
        row
        for row in world.rows
        if (window is None or since <= row["time"] < until) and any(a <= row["time"] < b for a, b in covered)
    ]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        frame = getattr(filters, name)(period, selection, **keywords)
    agrees(frame, answer(name, counted, selection, **keywords))
    first, last = window or (min(a for a, _ in covered), max(b for _, b in covered))
    asked = (
        first if selection.since is None else to_milliseconds(selection.since),
        last if selection.until is None else to_milliseconds(selection.until),
    )
    reached = any(max(a, since, asked[0]) < min(b, until, asked[1]) for a, b in covered)
    assert [one.category for one in told] == ([] if reached else [NotExtracted])
    assert sum(one.stop - one.start for one in period.gaps) == _uncovered(covered, window)


def _uncovered(covered: list[tuple[int, int]], window: tuple[int, int] | None) -> int:
    """Return the milliseconds of the window (by default from the first to the last covered one) that none covers."""
    first, last = window or (min(a for a, _ in covered), max(b for _, b in covered))
    limits = sorted({first, last, *(max(first, min(time, last)) for pair in covered for time in pair)})
    return sum(b - a for a, b in itertools.pairwise(limits) if not any(c <= a and b <= d for c, d in covered))


# ---- three days, with an overlap, a gap and other columns ----------------------------------------------

ROWS = [
    {
        "time": START + n * 7 * MINUTE, "schema": f"S{n % 3}", "nodefullpath": f"/{n % 5}", "cached": n % 4 == 0,
        "fsize": 1 << n % 30, "querytime": 300 * (n % 7), "since": n % 6 - 1, "until": 9, "taskid": n % 2,
    }
    for n in range(1_000)
]  # fmt: skip


@pytest.fixture
def days(tmp_path: Path) -> Settings:
    """Days of 24 hours from 0:00, 23:03 and 72:00; the second has a further column, and so has the third."""
    folder = tmp_path / "data" / "datasets"
    for name, first, extra in (("a", 0, {}), ("b", 23.05, {"who": "name"}), ("c", 72, {"size": "integer"})):
        since = START + int(first * HOUR)
        rows = [{**row, "who": "me", "size": 5} for row in ROWS]
        dataset = extracted(folder, rows, since, since + 24 * HOUR, extra=extra, id=name)
        dataset.path.rename(folder / name)
    return Settings(data_dir=tmp_path / "data")


def rows_of(*spans: tuple[float, float]) -> pd.DataFrame:
    frame = pd.DataFrame(ROWS)
    hours = (frame["time"] - START) / HOUR
    return frame[[any(a <= hour < b for a, b in spans) for hour in hours]]


NOTES = [
    "The datasets a and b both cover the time from 2026-10-01 23:03 to 2026-10-02 00:00 UTC: its queries are counted "
    "once, from a.",
    "No dataset covers the time from 2026-10-02 23:03 to 2026-10-04 00:00 UTC.",
]


@pytest.mark.parametrize("engine", ["duckdb", pytest.param("spark", marks=pytest.mark.spark)])
def test_figures_of_days_are_those_of_their_rows(days: Settings, engine: str, request: pytest.FixtureRequest) -> None:
    session = request.getfixturevalue("running") if engine == "spark" else None
    if session:
        request.getfixturevalue("uncompiled")  # statements of periods are compiled in test_logs.py
    logs = fl.open_logs(["c", "a", "b"], settings=days, engine=engine, session=session)
    frame = filters.queries_over_time(logs, bin_seconds=3_600)
    expected = rows_of((0, 47.05), (72, 96))
    by_hour = expected.groupby((expected["time"] - START) // HOUR)["cached"].agg(["sum", "count"])
    found = frame[frame["cached"] + frame["not_cached"] > 0]
    assert ((found["time"].astype("int64") - START) // HOUR).tolist() == by_hour.index.tolist()
    assert found["cached"].tolist() == by_hour["sum"].tolist()
    assert (found["cached"] + found["not_cached"]).tolist() == by_hour["count"].tolist()
    assert frame.attrs["answered"]["from"] == "summary"
    assert frame.attrs["notes"] == NOTES
    found = fl.sql(logs, "SELECT count(*) AS n, count(who) AS w, sum(size) AS s FROM logs")
    b, c = rows_of((24, 47.05)), rows_of((72, 96))
    assert found.iloc[0].tolist() == [len(expected), len(b), 5 * len(c)]


@pytest.mark.slow
def test_days_are_compared_with_other_days(days: Settings) -> None:
    first, others = (fl.datasets.period(names, settings=days) for names in ("a", ["b", "c"]))
    frame = filters.queries_per_schema(first, compare=others)
    now, then = (rows_of(*spans)["schema"].value_counts() for spans in ([(0, 24)], [(23.05, 47.05), (72, 96)]))
    found = frame.set_index("schema")
    assert found["queries"].to_dict() == now.to_dict()
    assert found["queries_before"].to_dict() == then.to_dict()
    assert frame.attrs["notes"] == NOTES[1:]
    changes = fl.what_changed(first, others)
    assert changes[changes["what"] == "task"]["queries"].sum() == then.sum()
    tasks = fl.contents.tasks(fl.datasets.period("*", settings=days))
    assert tasks["queries"].sum() == len(rows_of((0, 47.05), (72, 96)))


def test_an_incomplete_day_is_named(days: Settings) -> None:
    make_dataset(days.data_dir / "datasets" / "d", ROWS[:10], missing=1, request={"source": "other"})
    with pytest.raises(DatasetError, match="The dataset d is incomplete: figures would be too small"):
        fl.open_logs(fl.datasets.period(["c", "d"], settings=days, overlaps="keep"), settings=days)
    logs = fl.open_logs(fl.datasets.period(["c", "d"], settings=days), settings=days, allow_incomplete=True)
    assert logs.count() == len(rows_of((72, 96))) + 10


def test_a_day_that_is_replaced_or_deleted_gives_no_figures(days: Settings) -> None:
    logs = fl.open_logs(["a", "c"], settings=days)
    filters.queries_per_db(logs)
    fl.datasets.delete_dataset("c", days)
    with pytest.raises(DatasetError, match="The dataset c was deleted or renamed since it was opened"):
        filters.queries_per_db(logs)
    make_dataset(days.data_dir / "datasets" / "c", ROWS[:7], id="new")  # the same names of files
    with pytest.raises(DatasetError, match="The dataset c was replaced by another of its name since it was opened"):
        filters.queries_per_db(logs)
    for count in (logs.count, lambda: fl.sql(logs, "SELECT count(*) AS n FROM logs")):
        with pytest.raises(DatasetError, match="The dataset c was replaced"):
            count()
