"""Every plot function, with the frame that its filter returns."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.models import BoxSelectTool, CrosshairTool, DatetimeAxis, GlyphRenderer, HoverTool, Step
from bokeh.models.annotations import Label, Legend, Title
from bokeh.resources import INLINE
from playwright.sync_api import Browser

from frontierlab import Selection, filters, open_logs, plots
from frontierlab.engines import Logs
from frontierlab.errors import InvalidRequestError
from frontierlab.reports.chapters import ALL_FILTERS
from tests.support.logs import START, make_dataset
from tests.support.waiting import until_true

NAMES = list(filters.__all__)
WINDOW = Selection(since="2026-10-01T01:00", until="2026-10-01T02:00", db="CONDBR2")
QUESTIONS: dict[str, dict[str, Any]] = {"alone": {}, "compared": {"compare": "previous"}, "empty": {"taskid": 99}}


class Answers(dict[str, pd.DataFrame]):
    """What a filter answers to the questions; each is asked when a test first needs its answer."""

    def __init__(self, ask: Callable[..., pd.DataFrame], logs: Logs) -> None:
        self._ask, self._logs = ask, logs

    def __missing__(self, kind: str) -> pd.DataFrame:
        self[kind] = self._ask(self._logs, WINDOW, **QUESTIONS[kind])
        return self[kind]


Frames = dict[str, Answers]


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    """The frames of all filters."""
    rows: list[dict[str, Any]] = [
        {
            "time": START + 10_007 * n,
            "schema": ["ATLAS_COOLOFL_PIXEL", "ATLAS_COOLONL_SCT", None][n % 3],
            "nodefullpath": ["/PIXEL/PixCalib", "/LAR/ElecCalibOfl/Pedestals/CaliWave/A/Folder/Of/60/Letters1", None][
                n % 3
            ],
            "taskid": n % 30,
            "taskname": f"task.{n % 30}",
            "cached": [True, False, None][n % 7 % 3],
            "rejected": n % 11 == 0,
            "querytime": (n * 37) % 12_000,
            "dbtime": n % 200 if n % 5 else None,
            "fsize": 1000 * n,
            "frontierserver": f"frontier{n % 3}.example",
            "computingsite": "CERN",
            "squid": None,
            "initthreads": n % 50 if n % 9 else None,
            "tagname": ["PixCalib-RUN2-00", "none", None][n % 3],
            "since": 10 if n % 4 else -1,
            "until": 20 if n % 4 else -1,
        }
        for n in range(720)
    ]
    logs = open_logs(make_dataset(tmp_path_factory.mktemp("plots") / "logs", rows))
    return {name: Answers(getattr(filters, name), logs) for name in NAMES}


def titles(plot: Any) -> list[str]:
    return titles_of(plot.references())


def titles_of(models: Iterable[Any]) -> list[str]:
    texts = [one.text for one in models if isinstance(one, Title) and one.text]
    return [text if isinstance(text, str) else text.text for text in texts]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["alone", "compared"])
def test_a_figure_states_what_it_shows(frames: Frames, name: str, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    frame = frames[name][kind]
    before, attrs = frame.copy(), dict(frame.attrs)
    plot: Any = getattr(plots, name)(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert frame.attrs == attrs
    models = plot.references()  # once: each look for models goes through all of them
    words = "database CONDBR2, from 2026-10-01 01:00 UTC, to 2026-10-01 02:00 UTC"
    assert any(title.replace("\n", " ").startswith(words) for title in titles_of(models))
    assert len(titles_of(models)) == 2
    units = ("queries", "%", "kB", "MB", "bytes", "ms", "threads", "time (UTC)")
    axes = [axis.axis_label for axis in (*plot.xaxis, *plot.yaxis) if axis.axis_label]
    assert axes
    assert all(any(unit in label for unit in units) for label in axes)
    assert any(isinstance(one, HoverTool) for one in models)
    (legend,) = (one for one in models if isinstance(one, Legend))
    names = [item.label.value for item in legend.items]
    assert names[-1].endswith("before") is (kind == "compared")
    then = "2026-10-01 00:00 to 2026-10-01 01:00 UTC"
    assert any(then in title.replace("\n", " ") for title in titles_of(models)) is (kind == "compared")
    assert legend.click_policy == "mute"
    drawn = [one for one in models if isinstance(one, GlyphRenderer)]
    assert any(len(next(iter(one.data_source.data.values()))) for one in drawn)
    with caplog.at_level(logging.WARNING):
        document = Document()
        document.add_root(plot)
        document.validate()  # warns of models that do not go together, as a page does before it is written
    assert caplog.text == ""


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_answer_says_why(frames: Frames, name: str) -> None:
    plot: Any = getattr(plots, name)(frames[name]["empty"])
    assert plot.select_one(Label).text == "No query matches this selection."
    assert any("task 99" in title for title in titles(plot))


@pytest.mark.parametrize("name", NAMES)
def test_the_frame_of_another_filter_is_refused(frames: Frames, name: str) -> None:
    with pytest.raises(InvalidRequestError, match=rf"no column .*: plots\.{name} takes what filters\.{name} returns"):
        getattr(plots, name)(pd.DataFrame({"x": [1]}))


def test_steps_add_up_to_the_counts(frames: Frames) -> None:
    frame = frames["long_queries_per_schema"]["alone"]
    steps = [r for r in plots.long_queries_per_schema(frame).renderers if isinstance(r.glyph, Step)]  # type: ignore[attr-defined]
    assert sum(sum(step.data_source.data["y"][:-1]) for step in steps) == frame["queries"].sum()
    assert len(steps) == frame.groupby(["part", "schema"], dropna=False).ngroups


def test_percentiles_of_groups_beyond_the_largest_are_not_drawn() -> None:
    rows = [{"schema": f"S{n}", "querytime": 10 * n + m, "cached": False} for n in range(4) for m in range(5 - n)]
    rows += [{"schema": None, "querytime": 4}, {"schema": "S4", "querytime": None}]
    with TemporaryDirectory() as folder:
        logs = open_logs(make_dataset(Path(folder) / "logs", rows))
        frame = filters.querytime_percentiles(logs, by="schema", top=None)
        fewer = filters.querytime_percentiles(logs, by="schema", top=3)
    drawing = plots.querytime_percentiles.drawing(frame, top=2)
    assert drawing.words == "not drawn: 3 smaller groups"
    assert drawing.marks[0].data["name"] == ["S0", "S1", "(none named)"]
    assert drawing.marks[0].data["p50"].tolist() == [2, 11.5, 4]
    assert drawing.marks[0].data["p50_text"] == ["2.00 ms", "11.50 ms", "4.00 ms"]
    assert drawing.marks[0].data["queries_told"] == ["5", "4", "1"]
    others = plots.querytime_percentiles.drawing(fewer)
    assert others.words == ""
    assert others.marks[0].data["name"] == ["S0", "S1", "S2", "(2 others)", "(none named)"]
    assert others.marks[0].data["p50"].tolist() == [2, 11.5, 21, 30.5, 4]


def test_sizes_over_time_have_a_unit_in_which_they_are_short(frames: Frames) -> None:
    frame = frames["bytes_over_time"]["compared"]
    for times, log, unit, size in (
        (1e-3, False, "kB", 1),
        (1, False, "MB", 1e3),
        (1e3, False, "GB", 1e6),
        (1, True, "kB", 1),
    ):
        larger = frame.assign(kB=frame["kB"] * times, kB_before=frame["kB_before"] * times)
        if log:
            larger.loc[0, "kB"] = 2.0
        drawing = plots.bytes_over_time.drawing(larger, scale="log" if log else "linear")
        assert drawing.y.label.startswith(f"{unit} in 300 s")
        assert drawing.marks[0].data["y"][:-1].tolist() == pytest.approx((larger["kB"] / size).tolist())
        told = f"{larger['kB'][1]:,.2f} kB; before {larger['kB_before'][1]:,.2f} kB"
        assert drawing.marks[-1].data["size_text"][1] == told


def test_a_cost_draws_what_an_overview_counts(frames: Frames) -> None:
    frame = frames["cost_per_server"]["alone"]
    lacking = frame.drop(columns=[name for name in frame if name.startswith("querytime")])
    names = [[item[0] for item in plots.cost_per_server.drawing(one).legend] for one in (frame, lacking)]
    assert names[0] == ["queries", "bytes", "database time (ms)", "query time (ms)", "failures"]
    assert names[1] == [name for name in names[0] if name != "query time (ms)"]


def test_a_cost_says_that_nothing_has_no_shares(frames: Frames) -> None:
    frame = frames["cost_per_server"]["alone"].assign(failures=0)
    assert plots.cost_per_server.drawing(frame).words.endswith("\n0 in all, so without shares: failures")


@pytest.mark.slow
def test_figures_over_time_are_linked(frames: Frames) -> None:
    figures = [getattr(plots, name)(frames[name]["alone"]) for name in NAMES]
    assert plots.link(figures) is figures
    timed: list[Any] = [plot for plot in figures if plot.select(DatetimeAxis)]
    assert len(timed) == len(ALL_FILTERS["Over time"])
    assert len({id(plot.x_range) for plot in timed}) == 1
    assert len({id(plot.select_one(CrosshairTool).overlay) for plot in timed}) == 1
    assert all(plot.select_one(BoxSelectTool).dimensions == "width" for plot in timed)
    assert timed[0].x_range.start == START + 3_600_000
    assert plots.link([]) == []


@pytest.mark.browser
# What has room on a narrow page has room on a wide one, where a few of each kind are enough.
@pytest.mark.parametrize(("width", "names"), [(700, NAMES), (1400, NAMES[::6])], ids=["narrow", "wide"])
def test_every_figure_is_drawn(frames: Frames, browser: Browser, tmp_path: Path, width: int, names: list[str]) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    figures: list[Any] = [getattr(plots, name)(frames[name]["compared"]) for name in names]
    path = tmp_path / "figures.html"
    document = Document()
    with document.models.freeze():  # or all models are looked up again for each figure
        for plot in figures:
            document.add_root(plot)
    path.write_text(file_html(document, INLINE, "figures"), encoding="utf-8")
    page.goto(path.as_uri())
    until_true(page, "Bokeh.documents.length > 0 && Bokeh.documents[0].is_idle")
    # a figure is unreadable if titles and legend leave no room for its inner frame
    heights = page.evaluate(
        "Object.fromEntries(Bokeh.documents[0].roots().map(plot => [plot.id, Bokeh.index[plot.id].frame.bbox.height]))"
    )
    for name, plot in zip(names, figures, strict=True):
        steps = any(isinstance(one.glyph, Step) for one in plot.renderers)
        assert heights[plot.id] > (150 if steps else 18 * len(plot.yaxis[0].ticker.ticks)), name
    assert len(heights) == len(names)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert problems == []
