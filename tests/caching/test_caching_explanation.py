from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bokeh.core.validation import check_integrity
from bokeh.models import ColumnDataSource, HBar, Quad
from bokeh.models.annotations import Label
from hypothesis import given

from frontierlab import Dataset, sample
from frontierlab.caching.explanation import Explanation, explain, explanation_of
from frontierlab.caching.explanation_chart import explain_figure
from frontierlab.caching.iov_axis import BINS, Axis
from frontierlab.caching.queries import FolderTag
from frontierlab.coolr import Archive, Cancelled
from frontierlab.errors import CoolrError, DatasetError
from tests.caching.test_caching_grids import HV, LUMIS, OPEN, RUN3, SCT, asked, cases, payloads, rows_by_hand
from tests.support.logs import make_dataset

FOLDER = FolderTag(**RUN3)
RUN = 429_000 * LUMIS
NO_TASKS = pd.DataFrame(columns=["taskid", "taskname", "queries", "different_queries", "uncached", "bytes", "dbtime"])
OVERLAP = {
    "db": "CONDBR2",
    "schema": "ATLAS_COOLOFL_LAR",
    "nodefullpath": "/LAR/BadChannelsOfl/BadChannels",
    "tagname": "LARBadChannelsOflBadChannels-RUN2-UPD4-21",
}


class Broken(Archive):
    """An archive that fails when payloads are requested."""

    error: CoolrError = CoolrError("COOLR is away")

    def payloads(self, *arguments: Any, **options: Any) -> Any:
        raise self.error


def parts(drawn: Any) -> list[Any]:
    return list(drawn.children)


def labels(drawn: Any) -> list[str]:
    return [label.text for label in drawn.select({"type": Label})]


@given(cases())
def test_results_of_queries_and_counts_of_intervals(
    case: tuple[str, list[tuple[int, int, int]], list[tuple[int, int, int]]],
) -> None:
    grid, queries, rows = case
    frame = asked(*sorted(queries, key=lambda query: query[1:]))
    base = "time" if "minute" in grid else "run-lumi"
    found = explanation_of(FOLDER, base, frame, NO_TASKS, payloads(*rows), "")
    answers = [rows_by_hand(since, until, rows) for _, since, until in queries]
    different = {answer for answer in answers if answer}
    empty = sum(not answer for answer in answers)
    assert found.totals["queries"] == len(queries)
    assert found.totals["needed"] == len(different)
    assert found.totals["empty"] == empty
    assert found.totals["again"] == len(queries) - empty - len(different)
    got = {row: sum(row in answer for answer in answers) for row in rows}
    keys = found.intervals[["channel", "since", "until"]].itertuples(index=False, name=None)
    assert dict(zip(keys, found.intervals["different_queries"], strict=True)) == got
    assert len(found.queries) <= BINS
    assert found.queries["first"].min() == min(query[1] for query in queries)
    assert found.queries["last"].max() == max(query[1] for query in queries)


@given(cases())
def test_places_keep_the_order_of_iovs_and_are_exact_floats(
    case: tuple[str, list[tuple[int, int, int]], list[tuple[int, int, int]]],
) -> None:
    grid, queries, rows = case
    base = "time" if "minute" in grid else "run-lumi"
    since, until = (np.array([query[i] for query in queries], np.int64) for i in (1, 2))
    axis = Axis.of(base, since, until, np.array([row[1] for row in rows], np.int64))
    values = np.sort(np.concatenate([since, until, [0, OPEN]]))
    places = axis.place(values)
    assert (np.diff(places) >= 0).all()
    assert axis.low == places[0] <= places[-1] <= axis.high
    assert axis.low < axis.high
    assert abs(places).max() < 2**53
    edges = axis.edges()
    assert 2 <= len(edges) <= BINS + 1
    assert (np.diff(edges) > 0).all()
    assert all(str(value) in axis.text(value) or value == OPEN for value in values.tolist())


def test_runs_that_were_not_requested_take_no_space() -> None:
    since = np.array([RUN + 50, RUN + 100, 450_000 * LUMIS], np.int64)
    axis = Axis.of("run-lumi", since, since, np.array([], np.int64))
    assert axis.runs == (429_000, 450_000)
    assert axis.place(np.array([RUN, RUN + LUMIS - 1, 440_000 * LUMIS + 5, 450_000 * LUMIS])).tolist() == [0, 1, 1, 1]
    assert axis.text(RUN + 50) == f"run 429000, lumiblock 50 ({RUN + 50})"
    assert axis.text(RUN + LUMIS - 1).startswith("run 429000, its end (")
    assert axis.text(OPEN) == "open (2^63-1)"
    assert Axis("time", (), 1, 0, 1).text(1_790_812_800_000_000_001).startswith("2026-10-01 00:00:00.000000001 UTC (")


def test_many_runs_share_bins() -> None:
    since = np.arange(1, 1_001, dtype=np.int64) * LUMIS
    axis = Axis.of("run-lumi", since, since, since)
    assert len(axis.edges()) - 1 == BINS
    assert set(np.diff(axis.edges())) == {5.0}


@pytest.mark.slow
@pytest.mark.parametrize("where", [RUN3, SCT, HV, OVERLAP], ids=lambda where: where["nodefullpath"])
def test_explanation_agrees_with_the_truth_of_the_sample(
    explained: Callable[..., Explanation], truth: pd.DataFrame, where: Mapping[str, str], caplog: Any
) -> None:
    known = truth.set_index(["db", "schema", "nodefullpath", "tagname"]).loc[tuple(where.values())]
    found = explained(where)
    totals = found.totals
    assert totals["queries"] == found.tasks["queries"].sum() == known["queries"]
    assert totals["needed"] + totals["again"] + totals["empty"] == known["different_queries"]
    assert totals["needed"] == known["different_payloads_iov"]
    assert totals["empty"] == known["empty_queries"]
    assert totals["bytes"] == known["bytes_served"]
    assert found.tasks["uncached"].sum() == known["uncached"]
    assert found.tasks["dbtime"].is_monotonic_decreasing
    assert found.problem == ""
    assert any("overlap" in note for note in found.notes) == (where is OVERLAP)
    assert f"{int(known['different_queries']):,} different ones" in found.summary
    drawn = explain_figure(found)
    with caplog.at_level(logging.WARNING):
        check_integrity(drawn.references())
    assert caplog.text == ""
    assert len(parts(drawn)) == 3


@pytest.mark.slow
def test_bokeh_gets_no_number_that_is_inexact_as_a_float(explained: Callable[..., Explanation]) -> None:
    for where in (SCT, HV):
        found = explained(where)
        assert found.intervals["until"].max() == OPEN
        for source in explain_figure(found).select({"type": ColumnDataSource}):
            for name, values in source.data.items():
                numbers = [value for value in values if not isinstance(value, str)]
                assert all(abs(float(number)) < 2**53 for number in numbers), name
        text = json.dumps([list(source.data.get("since_text", ())) for source in _sources(found)])
        assert str(found.intervals["since"].max()) in text


def _sources(found: Any) -> list[Any]:
    return list(explain_figure(found).select({"type": ColumnDataSource}))


def test_bars_add_up_and_are_few(explained: Callable[..., Explanation]) -> None:
    found = explained(HV)
    above, below, tasks = parts(explain_figure(found, channels=5, tasks=3))
    stacks = [dict(r.data_source.data) for r in above.renderers if isinstance(r.glyph, Quad)]
    top = sum(stacks[0]["again_top"])
    assert top == found.totals["needed"] + found.totals["again"]
    bars = next(dict(r.data_source.data) for r in below.renderers if isinstance(r.glyph, Quad))
    assert set(bars["line"]) == {0, 1, 2, 3, 4}
    assert "12 other channels" in bars["name"]
    assert len(bars["line"]) <= 5 * BINS < len(found.intervals)
    assert sum(int(text.replace(",", "")) for text in bars["intervals_text"]) == len(found.intervals)
    assert below.x_range is above.x_range
    seconds = next(dict(r.data_source.data) for r in tasks.renderers if isinstance(r.glyph, HBar))
    assert len(seconds["name"]) == 4
    assert seconds["name"][3] == f"({len(found.tasks) - 3} other tasks)"
    assert sum(seconds["seconds"]) == pytest.approx(found.tasks["dbtime"].sum() / 1000)


@pytest.mark.usefixtures("queried")
def test_without_payloads_there_are_queries_tasks_and_the_reason(dataset: Dataset) -> None:
    broken = Broken(sample.path("payloads.parquet").parent)
    found = explain(dataset, sample.settings(), coolr=broken, **SCT)
    assert found.problem == "The payloads are not known: COOLR is away"
    assert found.problem in found.summary
    assert found.totals["unknown"] > 1000
    assert found.totals["needed"] == found.totals["again"] == 0
    assert labels(explain_figure(found)) == ["See above."]
    unknown = explain(dataset, sample.settings(), coolr=broken, **{**RUN3, "tagname": "unknown"})
    assert unknown.totals["unknown"] > 0
    assert "These queries have an unknown tag" in unknown.problem


@pytest.mark.usefixtures("queried")
def test_cancelling_is_not_reported_as_missing_payloads(dataset: Dataset) -> None:
    broken = Broken(sample.path("payloads.parquet").parent)
    broken.error = Cancelled("stop")
    with pytest.raises(Cancelled, match="stop"):
        explain(dataset, sample.settings(), coolr=broken, **SCT)


def test_a_folder_without_queries(tmp_path: Path) -> None:
    found = explain(make_dataset(tmp_path / "none", []), sample.settings(), **RUN3)
    assert found.summary == "No served query of this folder and tag has an IOV."
    assert repr(found) == f"<Explanation of {found.folder}: {found.summary}>"
    assert sorted(labels(explain_figure(found))) == [
        "No payload meets the IOVs that were asked for.",
        "No served query of this folder and tag has an IOV.",
        "No task asked.",
    ]


def test_notes_name_an_incomplete_dataset(tmp_path: Path) -> None:
    half = make_dataset(tmp_path / "half", [], missing=1)
    with pytest.raises(DatasetError, match="half is incomplete"):
        explain(half, sample.settings(), **RUN3)
    found = explain(half, sample.settings(), allow_incomplete=True, **RUN3)
    assert found.notes == ["The dataset half is incomplete: the figures cover only its complete parts."]
