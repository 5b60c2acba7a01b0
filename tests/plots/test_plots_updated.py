"""A figure that was updated equals one that was made anew."""

from __future__ import annotations

import json
import re
from typing import Any

import pandas as pd
import pytest
from bokeh.document import Document
from bokeh.models import LegendItem, Range1d
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from frontierlab import filters, plots
from frontierlab.plots.drawing import Drawing, share_time
from frontierlab.plots.making import make, update
from tests.support.examples import examples
from tests.support.random_logs import questions

NAMES = list(filters.__all__)
SMALLEST = {"bin_seconds": 300, "bin_ms": 100}  # narrower bins give the same figures of thousands of points
START = pd.Timestamp("2026-10-01", tz="UTC")


def content(plot: Any) -> str:
    """Return all that a figure consists of, as JSON, with its models numbered in the order of their appearance."""
    document = Document()
    document.add_root(plot)
    text = json.dumps(document.to_json(deferred=False)["roots"])
    document.remove_root(plot)
    for default in ('"text": "", ', '"start": 0.0, ', '"end": 1.0, '):  # Bokeh writes these only where they were set
        text = text.replace(default, "")
    numbers: dict[str, int] = {}
    return re.sub(r'"(p\d+)"', lambda found: f'"#{numbers.setdefault(found[1], len(numbers))}"', text)


def drawing_of(name: str, data: st.DataObject) -> Drawing:
    """Return the drawing of a filter's answer to a random question, mostly with a comparison."""
    logs, selection, keywords = data.draw(questions(name))
    keywords |= {name: limit for name, limit in SMALLEST.items() if keywords.get(name, limit) < limit}
    before = data.draw(st.sampled_from([None, logs.logs, logs.logs]))
    frame = getattr(filters, name)(logs.logs, selection, compare=before, **keywords)
    drawing: Drawing = getattr(plots, name).drawing(frame)
    return drawing


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=examples(2), suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_an_updated_figure_equals_a_new_one(name: str, data: st.DataObject) -> None:
    former, drawing = drawing_of(name, data), drawing_of(name, data)
    plot = make(former)
    alike = former.structure() == drawing.structure()
    event(f"same structure: {alike}")
    wanted = content(make(drawing) if alike else plot)
    assert update(plot, former, drawing) is alike
    assert content(plot) == wanted


def per_schema(*counts: tuple[int, int], names: tuple[str, ...] = ("PIXEL", "SCT", "TRT")) -> pd.DataFrame:
    """Return a frame of `cached_per_schema`."""
    rows = [("CONDBR2", name, "named", 1, *both, 0) for name, both in zip(names, counts, strict=False)]
    columns = ["db", "schema", "part", "groups", "cached", "not_cached", "unknown"]
    return pd.DataFrame(rows, columns=columns)


def over_time(*counts: int, hours: int = 0, unknown: int = 0, words: str = "database CONDBR2") -> pd.DataFrame:
    """Return a frame of `queries_over_time`."""
    times = pd.date_range(START + pd.Timedelta(hours=hours), periods=len(counts), freq="5min", unit="ms")
    frame = pd.DataFrame({"time": times, "cached": counts, "not_cached": 1, "unknown": unknown})
    frame.attrs = {"bin_seconds": 300, "selection": words}
    return frame


def test_rows_names_and_words_change_without_new_models() -> None:
    former = plots.cached_per_schema.drawing(per_schema((1, 2), (3, 4)))
    plot = make(former)
    models = {model.id for model in plot.references()}
    frame = per_schema((5, 6), (7, 8), (9, 10), names=("ATLAS_COOLOFL_" + "LONG" * 9, "B", "C"))
    frame.attrs = {"selection": "database CONDBR2, " + "and much more, " * 9}
    drawing = plots.cached_per_schema.drawing(frame)
    assert update(plot, former, drawing)
    assert content(plot) == content(make(drawing))
    assert plot.renderers[0].data_source.data["not_cached"].tolist() == [6, 8, 10]
    assert {model.id for model in plot.references()} == models


def test_what_the_user_did_to_a_figure_is_undone() -> None:
    former, drawing = (plots.queries_over_time.drawing(over_time(*n)) for n in ((4, 5, 6), (4, 5, 6)))
    plot: Any = make(former)
    plot.x_range.update(start=plot.x_range.start + 1_000, end=plot.x_range.end - 1_000)  # as a zoom in the page
    plot.y_range.end = 3
    plot.renderers[0].muted = True
    plot.renderers[0].data_source.selected.indices = [1]
    plot.above[-1].update(text="selected: …", visible=True)
    assert update(plot, former, drawing)
    assert (plot.x_range.start, plot.x_range.end) == (drawing.x.start, drawing.x.end)
    assert (plot.y_range.end, plot.renderers[0].muted) == (drawing.y.end, False)
    assert plot.renderers[0].data_source.selected.indices == []
    assert (plot.above[-1].text, plot.above[-1].visible) == ("", False)


def test_the_reset_tool_goes_to_the_ends_of_the_new_data() -> None:
    former, drawing = (plots.queries_over_time.drawing(over_time(4, 5, hours=hours)) for hours in (0, 9))
    plot: Any = make(former)
    assert update(plot, former, drawing)
    nine = (START + pd.Timedelta(hours=9)).timestamp() * 1000
    assert (plot.x_range.start, plot.x_range.reset_start) == (nine, nine)
    assert plot.x_range.reset_end == nine + 600_000


@pytest.mark.parametrize(
    "frame",
    [
        over_time(4, 5, unknown=1),  # another line
        over_time(4, 500_000),  # a logarithmic axis
        over_time().astype({"cached": "int64"}),  # nothing
    ],
)
def test_a_figure_of_another_structure_is_left_as_it_is(frame: pd.DataFrame) -> None:
    former = plots.queries_over_time.drawing(over_time(4, 5))
    plot = make(former)
    unchanged = content(plot)
    assert not update(plot, former, plots.queries_over_time.drawing(frame))
    assert content(plot) == unchanged


def test_drawings_over_time_get_the_same_ends_and_others_none() -> None:
    first, last = (plots.queries_over_time.drawing(over_time(4, 5, hours=hours)) for hours in (0, 9))
    other = plots.cached_per_schema.drawing(per_schema((1, 2)))
    together = share_time([last, other, first])
    assert together[1] is other
    assert {(one.x.start, one.x.end) for one in (together[0], together[2])} == {(first.x.start, last.x.end)}
    assert together[0].marks is last.marks
    assert share_time([other]) == [other]


def test_the_axis_of_numbers_ends_a_little_above_the_highest() -> None:
    plot: Any = plots.queries_over_time(over_time(0, 200))
    assert isinstance(plot.y_range, Range1d)
    assert (plot.y_range.start, plot.y_range.end) == pytest.approx((0, 210))
    bars: Any = plots.cached_per_schema(per_schema((30, 70), (50, 10)))
    assert (bars.x_range.start, bars.x_range.end) == pytest.approx((0, 105))
    assert [bar.glyph.left for bar in bars.renderers] == ["cached_from", "not_cached_from"]
    data = bars.renderers[1].data_source.data
    assert [data[name].tolist() for name in ("not_cached_from", "not_cached_to")] == [[30, 50], [100, 60]]
    assert isinstance(bars.above[0].items[0], LegendItem)
