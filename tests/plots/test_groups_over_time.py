"""Figures with one line per group over time: gaps, many groups, hover texts, and why there is nothing."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bokeh.models import LogScale, Quad, Step
from bokeh.models.annotations import ColorBar, Label, Legend, Title

from frontierlab import filters, plots
from frontierlab.errors import InvalidRequestError
from frontierlab.plots.making import make, update
from frontierlab.storage.store import Dataset
from tests.support.logs import START, make_dataset

BIN = 300_000


def dataset(folder: Path, *rows: dict[str, Any]) -> Dataset:
    return make_dataset(folder / "logs", rows)


def steps(plot: Any) -> list[tuple[list[float], list[float]]]:
    data = [one.data_source.data for one in plot.renderers if isinstance(one.glyph, Step)]
    return [(list(one["x"]), list(one["y"])) for one in data]


def hover(plot: Any) -> dict[str, Any]:
    (found,) = (one.data_source.data for one in plot.renderers if isinstance(one.glyph, Quad))
    return dict(found)


def legend(plot: Any) -> list[str]:
    return [item.label.value for item in plot.select_one(Legend).items]


def test_bins_without_a_value_are_gaps_and_the_bins_beside_them_whole(tmp_path: Path) -> None:
    times = {START: 7, START + 2 * BIN: 9, START + 3 * BIN: 8, START + 5 * BIN: 1}
    rows = [{"frontierserver": "one", "time": time, "initthreads": n} for time, n in times.items()]
    plot = plots.threads_over_time(filters.threads_over_time(dataset(tmp_path, *rows)))
    ((x, y),) = steps(plot)
    drawn = [((place - START) / BIN, None if math.isnan(n) else n) for place, n in zip(x, y, strict=True)]
    assert drawn == [(0, 7), (1, 7), (1, None), (2, 9), (3, 8), (4, 8), (4, None), (5, 1), (6, 1)]
    assert hover(plot)["s0_text"][:2] == ["7 threads (mean 7.0)", "none"]
    assert [axis.axis_label for axis in (*plot.xaxis, *plot.yaxis)] == ["time (UTC)", "threads, the most in 300 s"]  # type: ignore[attr-defined]


def test_hover_says_of_how_many_queries(tmp_path: Path) -> None:
    rows = [{"frontierserver": "one", "rejected": n == 0, "cached": n == 1} for n in range(8)]
    asked = dataset(tmp_path, *rows, {"frontierserver": "one", "time": START + 2 * BIN})
    for frame, column in (
        (filters.failures_over_time(asked), "rejected_text"),
        (filters.failures_over_time(asked, by="server"), "s0_text"),
    ):
        texts = hover(plots.failures_over_time(frame))[column]
        assert texts == ["1 of 8 queries (12.5%)", "no queries", "0 of 1 queries (0.0%)"]
    window = {"since": "2026-10-01T00:05", "until": "2026-10-01T00:15", "bin_seconds": 600}
    compared = filters.cached_share_over_time(asked, by="server", **window, compare="previous")
    assert hover(plots.cached_share_over_time(compared))["s0_text"] == [
        "no queries; before no queries",
        "0 of 1 queries (0.0%); before 1 of 8 queries (12.5%)",
    ]


def test_no_two_of_many_lines_look_alike_and_the_rest_is_counted(tmp_path: Path) -> None:
    rows = [{"schema": f"S{n:02}", "querytime": 1000, "time": START + k} for n in range(30) for k in range(n + 1)]
    rows += [{"db": f"D{n}", "querytime": 1000} for n in range(3)]
    asked = dataset(tmp_path, *rows)
    plot: Any = plots.long_queries_per_schema(filters.long_queries_per_schema(asked, top=None))
    looks = {(one.glyph.line_color, str(one.glyph.line_dash)) for one in plot.renderers if isinstance(one.glyph, Step)}
    assert len(looks) == len(steps(plot)) == 20
    assert "13 smaller schemas are not drawn" in [title.text for title in plot.select(Title)]
    few: Any = plots.long_queries_per_schema(filters.long_queries_per_schema(asked, top=2))
    assert legend(few) == ["S29", "S28", "(28 others)", "(none named)"]
    assert not [title.text for title in few.select(Title) if "drawn" in title.text]


def test_groups_without_a_name_keep_what_is_known(tmp_path: Path) -> None:
    answer = {"since": 1, "until": 2, "cached": False, "fsize": 5}
    rows = [{**answer, "schema": s, "nodefullpath": "/a", "tagname": t} for s in ("A", "B") for t in (None, "t")]
    frame = filters.bytes_per_answer_over_time(dataset(tmp_path, *rows), top=None)
    assert legend(plots.bytes_per_answer_over_time(frame)) == ["A · t", "B · t", "A · (none named)", "B · (none named)"]


def test_a_logarithmic_axis_without_zeros_begins_below_the_smallest(tmp_path: Path) -> None:
    rows = [
        {"nodefullpath": "/a", "since": 1, "until": 2, "cached": False, "fsize": size, "time": START + n * BIN}
        for n, size in enumerate((70_000, 250_000_000))
    ]
    plot: Any = plots.bytes_per_answer_over_time(filters.bytes_per_answer_over_time(dataset(tmp_path, *rows)))
    assert isinstance(plot.y_scale, LogScale)
    assert plot.y_range.start == 10_000
    assert plot.yaxis[0].axis_label == "bytes per answer in 300 s (logarithmic)"


def test_values_that_no_query_has_are_named(tmp_path: Path) -> None:
    asked = dataset(tmp_path, {"frontierserver": "one", "nodefullpath": "/a", "tagname": "t"})
    for plot, words in (
        (plots.threads_over_time(filters.threads_over_time(asked)), "no number of threads (initthreads)"),
        (plots.bytes_per_answer_over_time(filters.bytes_per_answer_over_time(asked)), "got an answer with a body"),
    ):
        label: Any = plot.select_one(Label)
        assert words in label.text


@pytest.mark.parametrize("by", ["kind", "server", "task", "folder"])
def test_a_frame_that_was_stored_is_drawn_alike(tmp_path: Path, by: Any) -> None:
    rows = [{"frontierserver": "one", "taskid": 7, "taskname": "x", "rejected": True, "nodefullpath": "/a"}] * 2
    frame = filters.failures_over_time(dataset(tmp_path, *rows), by=by)
    again = pd.read_csv(io.StringIO(frame.to_csv(index=False)))
    found, wanted = (plots.failures_over_time(one) for one in (again, frame))
    assert steps(found) == steps(wanted)
    assert legend(found) == legend(wanted)


def cells(drawing: Any) -> dict[str, dict[tuple[float, float], float]]:
    """The numbers of a heat map: by name of the row, by the bin's ends."""
    return {
        mark.name: {
            (left, right): number
            for left, right, number in zip(mark.data["left"], mark.data["right"], mark.data["value"], strict=True)
        }
        for mark in drawing.marks
    }


def many(folder: Path) -> Dataset:
    """Long queries of 12 schemas, some without a name, over an hour."""
    rows: list[dict[str, Any]] = [
        {"schema": f"S{n:02}", "querytime": 1000, "time": START + BIN * (k % 12) + k}
        for n in range(12)
        for k in range(3 * n + 1)
    ]
    return dataset(folder, *rows, *({"schema": None, "querytime": 1000} for _ in range(2)))


def test_a_heat_map_has_every_number_of_the_frame_in_its_place(tmp_path: Path) -> None:
    frame = filters.long_queries_per_schema(many(tmp_path), top=9)
    drawing = plots.long_queries_per_schema.drawing(frame, form="heatmap")
    shown = frame[frame["queries"] > 0]
    expected: dict[str, dict[tuple[float, float], float]] = {}
    for row in shown.to_dict("records"):
        name = {"other": f"({row['groups']} others)", "missing": "(none named)"}.get(row["part"], row["schema"])
        left = row["time"].timestamp() * 1000
        expected.setdefault(name, {})[left, left + BIN] = row["queries"]
    assert cells(drawing) == expected
    assert [*drawing.y.names.values()][-2:] == ["(3 others)", "(none named)"]  # each named group stays what it is
    assert [mark.data["top"][0] for mark in drawing.marks] == [n - 0.46 for n in range(11)]
    assert (drawing.y.start, drawing.y.end) == (10.5, -0.5)  # the largest at the top
    assert drawing.colours is not None
    assert (drawing.colours.high, drawing.colours.label) == (
        shown["queries"].max(),
        "long queries in 300 s; blank: none",
    )
    assert drawing.marks[0].data["text"][0] == f"{shown['queries'].iloc[0]} queries"
    assert (drawing.x.label, drawing.brush) == ("time (UTC)", True)


def test_a_heat_map_is_drawn_if_there_are_many_groups_or_if_it_is_chosen(tmp_path: Path) -> None:
    asked = many(tmp_path)
    for top, form, expected in ((3, "auto", False), (9, "auto", True), (9, "lines", False), (3, "heatmap", True)):
        frame = filters.long_queries_per_schema(asked, top=top)
        drawing = plots.long_queries_per_schema.drawing(frame, form=form)
        assert (drawing.colours is not None) is expected
    with pytest.raises(InvalidRequestError, match="form='dots': give lines, heatmap or auto"):
        plots.long_queries_per_schema(frame, form="dots")


def test_a_heat_map_of_shares_shows_zero_and_leaves_out_bins_without_queries(tmp_path: Path) -> None:
    rows = [
        {"frontierserver": "one", "cached": False},
        {"frontierserver": "one", "cached": True, "time": START + 2 * BIN},
    ]
    frame = filters.cached_share_over_time(dataset(tmp_path, *rows), by="server")
    drawing = plots.cached_share_over_time.drawing(frame, form="heatmap")
    assert cells(drawing) == {"one": {(START, START + BIN): 0.0, (START + 2 * BIN, START + 3 * BIN): 100.0}}
    assert drawing.colours is not None
    assert (drawing.colours.low, drawing.colours.high) == (0, 100)


def test_a_heat_map_that_is_updated_equals_a_new_one(tmp_path: Path) -> None:
    asked = many(tmp_path)
    former, latter = (
        plots.long_queries_per_schema.drawing(
            filters.long_queries_per_schema(asked, top=9, threshold_ms=ms), form="heatmap"
        )
        for ms in (1000, 900)
    )
    plot = make(former)
    hours: Any = replace(latter, colours=latter.colours._replace(high=99.0) if latter.colours else None)
    assert update(plot, former, hours)
    (bar,) = plot.select(ColorBar)
    assert (bar.color_mapper.high, bar.title) == (99.0, "long queries in 300 s; blank: none")
    assert {one.name for one in plot.renderers} >= {"S11", "(3 others)", "(none named)"}
