"""Caching figures, their history, reports and jobs of several datasets: those of all queries in one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

import frontierlab as fl
from frontierlab import Dataset, Settings, jobs, sample
from frontierlab.caching import explain, history, what_if
from frontierlab.caching.efficiencies import efficiency
from frontierlab.datasets import Period
from frontierlab.errors import InvalidRequestError
from tests.caching.truth import KEY, PIXEL, PIXEL_TAG, assert_is_the_truth

FOLDER = dict(zip(KEY, (*PIXEL, PIXEL_TAG), strict=True))


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The sample in two datasets that both have the queries from 08:00 to 14:00."""
    settings = sample.settings(data_dir=tmp_path_factory.mktemp("halves"), job_backend="inline")
    for name, limits in (("night", {"until": "2026-10-01T14:00"}), ("noon", {"since": "2026-10-01T08:00"})):
        fl.extract(settings, source=sample.path(), name=name, progress=False, **limits)
    return settings


@pytest.fixture
def day(halves: Settings) -> Period:
    return fl.datasets.period(["night", "noon"], settings=halves)


@pytest.mark.slow
def test_figures_of_two_halves_are_those_of_the_whole(
    day: Period, halves: Settings, truth: pd.DataFrame, figures: pd.DataFrame, dataset: Dataset
) -> None:
    assert day.counts.kept > dataset.counts.kept
    frame = efficiency(day, halves, progress=False)
    assert_is_the_truth(frame, truth)
    pd.testing.assert_frame_equal(frame, figures)
    assert frame.attrs["dataset"] == [day.name, day.identity]
    assert {*day.notes} <= {*frame.attrs["notes"]}
    assert "08:00 to 2026-10-01 14:00 UTC: its queries are counted once, from night." in day.notes[0]


@pytest.mark.slow
def test_a_folder_of_two_halves_is_that_of_the_whole(
    day: Period, halves: Settings, archived: Settings, dataset: Dataset
) -> None:
    one, both = (explain(*what, **FOLDER) for what in ((dataset, archived), (day, halves)))
    pd.testing.assert_frame_equal(both.queries, one.queries)
    assert both.notes == day.notes
    grids = [what_if(*what, **FOLDER) for what in ((dataset, archived), (day, halves))]
    pd.testing.assert_frame_equal(grids[1], grids[0])


@pytest.mark.slow
def test_figures_are_stored_under_the_name_and_time_of_the_period(day: Period, halves: Settings) -> None:
    window = fl.datasets.period(["night", "noon"], "2026-10-01T10:00", "2026-10-01T20:00", settings=halves)
    frame = efficiency(window, halves, [PIXEL], progress=False)
    with pytest.raises(InvalidRequestError, match=r"These figures are of the dataset night, noon \(2 datasets, "):
        history.store(frame, day, halves)
    assert history.store(frame, window, halves) == len(frame)
    assert history.store(frame, window, halves) == len(frame)  # replaces the first
    stored = history.read(halves, dataset=window.name)
    assert len(stored) == len(frame)
    assert stored["period_since"].unique().tolist() == [datetime(2026, 10, 1, 10, tzinfo=UTC)]
    assert stored["period_until"].unique().tolist() == [datetime(2026, 10, 1, 20, tzinfo=UTC)]
    assert stored["queries"].sum() == frame["queries"].sum()


@pytest.mark.slow
@pytest.mark.usefixtures("few_chapters")
def test_jobs_take_periods(day: Period, halves: Settings) -> None:
    window = fl.datasets.period("n*", "2026-10-01T12:00", "2026-10-01T16:00", settings=halves)
    by_names, by_pattern, by_window = (
        jobs.submit("caching", settings=halves, dataset=given, folders=[PIXEL], store=True)
        for given in (["night", "noon"], "n*", window)
    )
    pd.testing.assert_frame_equal(by_names.result(), by_pattern.result())
    assert by_pattern.record().arguments["dataset"] == ["night", "noon"]
    assert by_window.result()["queries"].sum() < by_names.result()["queries"].sum()
    assert by_window.warnings == window.notes
    again = jobs.submit("caching", settings=halves, **by_window.arguments)
    pd.testing.assert_frame_equal(again.result(), by_window.result())
    assert {*history.read(halves, dataset=day.name)["period_since"]} >= {window.since, day.since}
    page = jobs.submit("report", settings=halves, dataset=window).result()
    assert page == halves.data_dir / "reports" / "night-noon-2026-10-01T1200-2026-10-01T1600.html"
    text = page.read_text(encoding="utf-8")
    assert f'<p class="warning">{window.notes[0]}</p>' in text
    assert "<dt>asked for</dt><dd>from 2026-10-01 12:00 to 2026-10-01 16:00 UTC</dd>" in text
    kept = [f"{one.counts.kept:,}" for one in window.datasets]
    assert f'<td>night</td><td class="number">{kept[0]}</td><td>from 2026-10-01 12:00 to 2026-10-01 14:00 UTC' in text
    assert f'<td>noon</td><td class="number">{kept[1]}</td><td>from 2026-10-01 14:00 to 2026-10-01 16:00 UTC' in text


@pytest.mark.slow
@pytest.mark.usefixtures("few_chapters")
def test_a_report_names_its_gaps_and_is_written_where_one_says(halves: Settings, tmp_path: Path) -> None:
    gap = fl.datasets.period("*", "2026-09-30", "2026-10-01T09:00", settings=halves)
    text = fl.report(gap, path=tmp_path / "page.html", findings=False, settings=halves).read_text(encoding="utf-8")
    assert "No dataset covers the time from 2026-09-30 00:00 to 2026-10-01 00:00" in text
