import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bokeh.core.validation import check_integrity
from bokeh.embed import file_html
from bokeh.events import SelectionGeometry
from bokeh.models import (
    BoxSelectTool,
    CustomJS,
    DatetimeAxis,
    HBar,
    HoverTool,
    LogScale,
    PlainText,
    Quad,
    Scatter,
    Step,
)
from bokeh.models.annotations import Label, Legend, Title
from bokeh.resources import INLINE
from playwright.sync_api import Browser, Page

from frontierlab import plots
from frontierlab.errors import InvalidRequestError
from tests.support.waiting import until_true

WORDS = "database CONDBR2, from 2026-10-01 00:00 UTC, to 2026-10-02 00:00 UTC"


def counts(*rows: tuple[Any, ...], keys: tuple[str, ...], selection: str = WORDS) -> pd.DataFrame:
    columns = [*keys, "cached", "not_cached", "unknown"]
    types = dict.fromkeys(columns, "Int64") | {key: "string" for key in keys if key != "time"}
    frame = pd.DataFrame(rows, columns=columns).astype({c: t for c, t in types.items() if c != "time"})
    if "time" not in keys:
        part = frame[keys[-1]].isna().map({True: "missing", False: "named"}).astype("string")
        frame.insert(len(keys), "part", part)
        frame.insert(len(keys) + 1, "groups", pd.array([1] * len(frame), dtype="Int64"))
    else:
        frame["time"] = pd.to_datetime(frame["time"], utc=True)
    frame.attrs = {"selection": selection, "bin_seconds": 300.0}
    return frame


def per_db(*rows: tuple[Any, ...], **options: Any) -> pd.DataFrame:
    return counts(*rows, keys=("db",), **options)


def per_schema(*rows: tuple[Any, ...], **options: Any) -> pd.DataFrame:
    return counts(*rows, keys=("db", "schema"), **options)


def over_time(*rows: tuple[Any, ...], **options: Any) -> pd.DataFrame:
    return counts(*rows, keys=("time",), **options)


DB = per_db(("CONDBR2", 40, 60, 0), ("OFLP200", 5, 10, 0))
SCHEMA = per_schema(("CONDBR2", "B", 4, 6, 0), ("CONDBR2", None, 1, 1, 1))
TIME = over_time(("2026-10-01T00:00", 4, 6, 0), ("2026-10-01T00:05", 0, 0, 0), ("2026-10-01T00:10", 1, 9, 0))
EACH = [(plots.queries_per_db, DB), (plots.cached_per_schema, SCHEMA), (plots.queries_over_time, TIME)]


def titles(plot: Any) -> list[str]:
    texts = [title.text for title in plot.select(Title) if title.text]
    return [text if isinstance(text, str) else text.text for text in texts]


def glyphs(plot: Any, kind: Any) -> list[Any]:
    return [renderer for renderer in plot.renderers if isinstance(renderer.glyph, kind)]


def labels(plot: Any) -> list[str]:
    return [getattr(label, "text", label) for label in plot.yaxis[0].major_label_overrides.values()]


@pytest.mark.parametrize(("draw", "frame"), EACH)
def test_a_figure_states_what_it_shows(
    draw: Callable[..., Any], frame: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    before = frame.copy()
    plot = draw(frame)
    assert draw(frame) is not plot
    pd.testing.assert_frame_equal(frame, before)
    assert any(title.startswith("Queries ") for title in titles(plot))
    assert WORDS in {title.replace("\n", " ") for title in titles(plot)}
    assert "mine" in titles(draw(frame, selection="mine"))
    legend = plot.select_one(Legend)
    assert legend.click_policy == "mute"
    assert [item.label.value for item in legend.items][:2] == ["cached", "not cached"]
    assert plot.xaxis[0].axis_label.startswith(("queries", "time (UTC)"))
    with caplog.at_level(logging.WARNING):
        check_integrity(plot.references())
    assert caplog.text == ""


@pytest.mark.slow
@pytest.mark.parametrize(("draw", "frame"), EACH)
@pytest.mark.parametrize(
    ("words", "reason"), [(WORDS, "No query matches this selection."), ("", "There are no queries in these logs.")]
)
def test_an_empty_frame_says_why(draw: Callable[..., Any], frame: pd.DataFrame, words: str, reason: str) -> None:
    plot = draw(frame.head(0), selection=words)
    assert plot.select_one(Label).text == reason
    assert words in {title.replace("\n", " ") for title in titles(plot)} | {""}


@pytest.mark.parametrize(("draw", "frame"), EACH)
def test_another_frame_is_refused(draw: Callable[..., Any], frame: pd.DataFrame) -> None:
    with pytest.raises(InvalidRequestError, match=r"no column .*unknown: plots\.(\w+) takes what filters\.\1 returns"):
        draw(frame.rename(columns={"unknown": "x"}))
    with pytest.raises(InvalidRequestError, match="scale='cubic': give auto, linear or log"):
        draw(frame, scale="cubic")


def test_bars_are_stacked_in_the_order_of_the_frame_from_the_top() -> None:
    plot = plots.queries_per_db(DB)
    bars = glyphs(plot, HBar)
    assert labels(plot) == ["CONDBR2", "OFLP200"]
    assert plot.y_range.start > plot.y_range.end
    assert plot.x_range.start == 0
    data = bars[0].data_source.data
    assert [list(data[name]) for name in ("cached", "not_cached")] == [[40, 5], [60, 10]]
    assert data["cached_text"] == ["40 queries (40.0%)", "5 queries (33.3%)"]
    assert data["total_text"] == ["100 queries", "15 queries"]
    assert labels(plots.queries_per_db(DB.iloc[::-1])) == ["OFLP200", "CONDBR2"]


def test_counts_that_span_decades_are_dots_on_a_logarithmic_axis() -> None:
    plot = plots.queries_per_db(per_db(("A", 0, 2_000_000, 0), ("B", 3, 4, 0)))
    assert isinstance(plot.x_scale, LogScale)
    assert glyphs(plot, HBar) == []
    assert [
        renderer.glyph.marker.value if hasattr(renderer.glyph.marker, "value") else renderer.glyph.marker
        for renderer in glyphs(plot, Scatter)
    ] == ["circle", "square"]
    assert "logarithmic, zeros left out" in plot.xaxis[0].axis_label
    assert glyphs(plots.queries_per_db(per_db(("A", 0, 2_000_000, 0), ("B", 3, 4, 0)), scale="linear"), HBar)


def test_unknown_is_drawn_only_if_there_are_such_queries() -> None:
    assert len(glyphs(plots.queries_per_db(DB), HBar)) == 2
    plot = plots.cached_per_schema(SCHEMA)
    assert len(glyphs(plot, HBar)) == 3
    assert labels(plot) == ["B", "(none named)"]


def test_other_groups_are_added_up_in_one_row() -> None:
    frame = per_schema(*(("CONDBR2", f"S{n:02}", 2**n, 1, 0) for n in reversed(range(12))))
    data = glyphs(plots.cached_per_schema(frame, top=2), HBar)[0].data_source.data
    assert data["name"] == ["S11", "S10", "(10 others)"]
    assert sum(data["cached"]) == 2**12 - 1
    one = glyphs(plots.cached_per_schema(frame.head(3), top=2), HBar)[0].data_source.data
    assert one["name"][-1] == "(1 other)"
    with pytest.raises(InvalidRequestError, match="top=0"):
        plots.cached_per_schema(frame, top=0)


def test_others_that_are_larger_than_all_do_not_set_the_scale() -> None:
    frame = per_schema(*(("CONDBR2", f"S{n:02}", n, 1, 0) for n in reversed(range(50))))
    plot = plots.cached_per_schema(frame, top=10)
    assert labels(plot) == [f"S{n}" for n in reversed(range(40, 50))]
    assert "not drawn, as longer than all others: (40 others) 820 queries" in " ".join(" ".join(titles(plot)).split())
    assert plot.x_range.end == pytest.approx(1.05 * 50)
    assert labels(plots.cached_share_per_schema(frame, top=10))[-1] == "(40 others)"  # each row is 100 %


def test_schemas_of_several_databases_are_told_apart() -> None:
    plot = plots.cached_per_schema(per_schema(("CONDBR2", "S", 3, 0, 0), ("OFLP200", "S", 1, 0, 0)))
    assert labels(plot) == ["CONDBR2 · S", "OFLP200 · S"]


def test_names_of_up_to_60_characters_are_shown_whole() -> None:
    path = "/LAR/ElecCalibOfl/Pedestals/CaliWave/A/Folder/Of/60/Letters1"
    assert len(path) == 60
    longer = "ATLAS_" * 20 + "END"
    plot = plots.cached_per_schema(per_schema(("A", path, 9, 0, 0), ("A", longer, 1, 0, 0)))
    shown = labels(plot)
    assert shown[0].replace("\n", "") == path
    assert max(len(line) for label in shown for line in label.split("\n")) <= 32
    assert "…" in shown[1]
    assert shown[1].endswith("END")
    assert glyphs(plot, HBar)[0].data_source.data["name"] == [path, longer]


def test_a_name_that_looks_like_a_formula_is_only_a_name() -> None:
    plot = plots.cached_per_schema(per_schema(("A", "$$x$$", 9, 0, 0), ("A", "US$", 1, 0, 0), selection=r"\(x\)"))
    assert labels(plot) == ["$$x$$", "US$"]
    texts = [*plot.yaxis[0].major_label_overrides.values(), *(title.text for title in plot.select(Title))]
    assert {text.text for text in texts if isinstance(text, PlainText)} == {"$$x$$", r"\(x\)"}


def test_hover_text_shows_every_digit_of_an_int64() -> None:
    data = glyphs(plots.queries_per_db(per_db(("A", 2**60 + 1, 0, 0))), HBar)[0].data_source.data
    assert data["total_text"] == ["1,152,921,504,606,846,977 queries"]
    assert data["cached"].dtype == "float64"


def test_time_is_drawn_in_steps_with_the_width_of_a_bin() -> None:
    plot = plots.queries_over_time(TIME)
    steps = glyphs(plot, Step)
    xs, ys = (list(steps[1].data_source.data[name]) for name in ("x", "y"))
    assert [x - xs[0] for x in xs] == [0, 300_000, 600_000, 900_000]
    assert ys == [6, 0, 9, 9]
    assert isinstance(plot.xaxis[0], DatetimeAxis)
    assert plot.xaxis[0].axis_label == "time (UTC)"
    assert plot.yaxis[0].axis_label == "queries in 300 s"
    data = glyphs(plot, Quad)[0].data_source.data
    assert [data["from"][2], data["to"][2]] == ["2026-10-01 00:10:00", "2026-10-01 00:15:00 UTC"]
    assert plot.select_one(HoverTool).mode == "vline"
    assert plot.select_one(BoxSelectTool).dimensions == "width"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_axis_of_time_is_the_same_for_every_unit(unit: Any) -> None:
    frame = TIME.assign(time=TIME["time"].dt.as_unit(unit))
    frame.attrs = {}
    plot = plots.queries_over_time(frame)
    start = 1_790_812_800_000
    assert list(glyphs(plot, Step)[0].data_source.data["x"]) == [start + 300_000 * n for n in range(4)]
    assert plot.x_range.start == start
    assert plot.yaxis[0].axis_label == "queries in 300 s"


def test_frames_that_were_stored_or_concatenated_are_drawn_alike(tmp_path: Path) -> None:
    TIME.to_csv(tmp_path / "f.csv", index=False)
    TIME.to_parquet(tmp_path / "f.parquet")
    later = over_time(("2026-10-01T00:10", 1, 9, 0)).assign(time=lambda frame: frame["time"].dt.as_unit("s"))
    again = [
        pd.read_csv(tmp_path / "f.csv"),
        pd.read_csv(tmp_path / "f.csv", parse_dates=["time"]),
        pd.read_parquet(tmp_path / "f.parquet"),
        pd.concat([TIME.head(2), later], ignore_index=True),
    ]
    expected = glyphs(plots.queries_over_time(TIME), Quad)[0].data_source.data
    for frame in again:
        data = glyphs(plots.queries_over_time(frame), Quad)[0].data_source.data
        assert list(data["left"]) == list(expected["left"])
        assert list(data["right"]) == list(expected["right"])
        assert data["to"] == expected["to"]


def test_a_single_bin_has_the_width_from_the_filter() -> None:
    frame = TIME.head(1)
    frame.attrs["bin_seconds"] = 60.0
    assert plots.queries_over_time(frame).yaxis[0].axis_label == "queries in 60 s"


def test_zero_on_a_logarithmic_axis_is_its_bottom() -> None:
    plot = plots.queries_over_time(TIME, scale="log")
    assert list(glyphs(plot, Step)[0].data_source.data["y"]) == [4, 0.5, 1, 1]
    assert plot.y_range.start == 0.5
    assert plot.yaxis[0].axis_label == "queries in 300 s (logarithmic, from zero)"


def test_words_above_a_figure_fit_a_narrow_page_beside_long_names() -> None:
    told = "not drawn, as longer than all others: (4 others) queries 346 (14.1%), bytes 112,570,760 (14.4%), "
    told += "database time (ms) 29,696 (13.6%)"
    plot = plots.queries_per_db(per_db(("CONDBR2", 1, 0, 0)), selection=f"database CONDBR2\n{told}")
    text = next(one.text for one in plot.above if isinstance(one, Title) and "CONDBR2" in one.text)
    first, *lines = text.splitlines()
    assert (first, " ".join(lines)) == ("database CONDBR2", told)
    # a window of 700 pixels leaves 584 to a panel, long names of rows take 252, and a letter has 6.6 on average
    assert max(map(len, lines)) * 6.6 < 584 - 252


# ---- in a browser ----------------------------------------------------------------------------------


def opened(browser: Browser, plot: Any, folder: Path, width: int = 1000) -> tuple[Page, list[str]]:
    path = folder / "plot.html"
    path.write_text(file_html(plot, INLINE, "plot"), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 700})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(path.as_uri())
    until_true(page, "Bokeh.documents.length > 0 && Bokeh.documents[0].is_idle")
    return page, problems


# where on the page a point of the data is drawn
PLACE = """([x, y]) => {
    const view = [...Object.values(Bokeh.index)][0], frame = view.frame, box = view.el.getBoundingClientRect();
    return [box.x + frame.x_scale.compute(x), box.y + frame.y_scale.compute(y)];
}"""


@pytest.mark.browser
def test_hover_shows_exact_counts(browser: Browser, tmp_path: Path) -> None:
    plot = plots.queries_per_db(per_db(("CONDBR2", 2**60 + 1, 0, 0), ("OFLP200", 2**59, 2**59, 0)))
    page, problems = opened(browser, plot, tmp_path)
    page.mouse.move(*page.evaluate(PLACE, [2**58, 0]))
    page.get_by_text("1,152,921,504,606,846,977 queries (100.0%)").wait_for()
    page.get_by_text("CONDBR2", exact=True).wait_for()
    assert problems == []


@pytest.mark.browser
def test_hover_and_box_select_over_time(browser: Browser, tmp_path: Path) -> None:
    plot = plots.queries_over_time(TIME)
    plot.js_on_event(SelectionGeometry, CustomJS(code="if (cb_obj.final) window.selected = cb_obj.geometry"))
    plot.toolbar.active_drag = plot.select_one(BoxSelectTool)
    page, problems = opened(browser, plot, tmp_path, width=700)
    start = TIME["time"].iloc[0].timestamp() * 1000
    page.mouse.move(*page.evaluate(PLACE, [start + 700_000, 1]))
    page.get_by_text("2026-10-01 00:10:00 to 2026-10-01 00:15:00 UTC").wait_for()
    page.mouse.move(*page.evaluate(PLACE, [start + 100_000, 3]))
    page.mouse.down()
    page.mouse.move(*page.evaluate(PLACE, [start + 500_000, 5]), steps=5)
    page.mouse.up()
    until_true(page, "window.selected !== undefined")
    selected = page.evaluate("[window.selected.x0, window.selected.x1]")
    assert selected == pytest.approx([start + 100_000, start + 500_000], abs=5_000)
    assert problems == []
