"""A choice in Explore updates the figures that are shown, and everything that is made of them."""

from __future__ import annotations

import json
import threading
from html import escape
from typing import Any

import pandas as pd
import pytest
from bokeh.core.serialization import Deserializer
from bokeh.document import Document
from bokeh.models import ColorBar
from frontierlab_widgets import ExplorePanel, explore_panel, explore_work, work_mixin
from frontierlab_widgets.bokeh_figures import BokehFigures
from frontierlab_widgets.explore_work import TABS
from frontierlab_widgets.panel import Phase
from ipywidgets.embed import embed_data

import frontierlab as fl
from frontierlab import Selection, plots
from frontierlab.plots.making import HEAT_IN_THE_DARK, make
from tests.support.logs import START, make_dataset
from tests.support.waiting import wait_for
from tests.widgets.test_panels_data import button

LONG = 120
TAB, NAMES = "Over time", ("queries_over_time", "bytes_over_time", "long_queries_per_schema")
CONDITIONS = Selection(db="CONDBR2")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> fl.Settings:
    """A dataset day of two databases, one of which has one schema, and the other two."""
    folder = tmp_path_factory.mktemp("data")
    rows = [
        {
            "time": START + 60_000 * n,
            "db": "OFLP200" if n % 3 else "CONDBR2",
            "schema": ("A", "B", "C")[n % 3],
            "cached": n % 2 == 0,
            "querytime": 1_500,
            "fsize": 1_000 * (n % 7),
        }
        for n in range(60)
    ]
    make_dataset(folder / "datasets" / "day", rows)
    return fl.Settings(data_dir=folder)


@pytest.fixture
def panel(settings: fl.Settings, monkeypatch: pytest.MonkeyPatch) -> ExplorePanel:
    """A panel that shows three plots over time of all queries."""
    monkeypatch.setitem(TABS, TAB, NAMES)
    panel = ExplorePanel(settings, dataset="day", tab=TAB)
    assert panel.wait(LONG)
    assert (panel.phase, panel.error) == (Phase.DONE, "")
    return panel


def figures(panel: ExplorePanel) -> list[Any]:
    return list(panel._figures.view.page.children)


def drawn(panel: ExplorePanel) -> dict[str, list[float]]:
    """The numbers that figures draw, by the name of the plot, in Bokeh's JSON of what new pages and files get."""
    (content,) = panel._figures.view.render_bundle["docs_json"].values()
    (page,) = content["roots"]
    first = (plot["attributes"]["renderers"][0]["attributes"]["data_source"] for plot in page["attributes"]["children"])
    lengths = (dict(source["attributes"]["data"]["entries"])["y"] for source in first)
    return {name: [float(value) for value in Deserializer().decode(y)] for name, y in zip(NAMES, lengths, strict=False)}


def heights(document: Document) -> dict[str, list[float]]:
    """The numbers that the figures of a document draw."""
    (page,) = document.roots
    first = (plot.renderers[0].data_source.data["y"] for plot in page.children)
    return {name: [float(value) for value in y] for name, y in zip(NAMES, first, strict=False)}


def expected(panel: ExplorePanel) -> dict[str, list[float]]:
    """The numbers that new figures of the chosen queries draw."""
    logs = fl.open_logs("day", settings=panel.settings)
    keywords = {"bin_seconds": panel.frames[NAMES[0]].attrs["bin_seconds"]}
    frames = {name: getattr(fl.filters, name)(logs, panel.selection, **keywords) for name in NAMES}
    drawings = {name: getattr(plots, name).drawing(frame) for name, frame in frames.items()}
    return {name: [float(value) for value in drawing.marks[0].data["y"]] for name, drawing in drawings.items()}


def sent(panel: ExplorePanel, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The messages to the page from now on."""
    messages: list[Any] = []
    monkeypatch.setattr(panel._figures.view, "send", lambda content, buffers=None: messages.append(content))
    return messages


@pytest.mark.slow
def test_a_choice_updates_the_figures_that_are_shown(panel: ExplorePanel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explore_panel, "PAUSE", 0.0)
    former, view, messages = figures(panel), panel._figures.view, sent(panel, monkeypatch)
    panel.selection = CONDITIONS
    assert panel.wait(LONG)
    assert panel.error == panel.stale == ""
    assert panel._figures.view is view
    assert figures(panel)[:2] == former[:2]  # the same figures
    assert figures(panel)[2] is not former[2]  # with fewer lines it is a new one, in its place
    patches = [json.loads(one["patch"]) for one in messages if "patch" in one]
    assert len(patches) == 3  # without a pause a figure each, as soon as its frame is there
    assert len({figure.x_range for figure in figures(panel)}) == 1
    words = [figure.above[1].text for figure in figures(panel)]
    assert words == ["database CONDBR2"] * 3
    assert drawn(panel) == expected(panel)


@pytest.mark.slow
def test_figures_that_come_soon_after_another_are_shown_together(
    panel: ExplorePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explore_panel, "PAUSE", 2.0 * LONG)
    messages = sent(panel, monkeypatch)
    panel.selection = CONDITIONS
    assert panel.wait(LONG)
    assert panel.error == panel.stale == ""
    assert len([one for one in messages if "patch" in one]) == 2
    assert [figure.above[1].text for figure in figures(panel)] == ["database CONDBR2"] * 3
    assert drawn(panel) == expected(panel)
    messages.clear()
    held = Held(monkeypatch, NAMES[2], Selection())
    panel.selection = Selection()
    assert held.reached.wait(LONG)
    assert [figure.above[1].text for figure in figures(panel)] == ["", "database CONDBR2", "database CONDBR2"]
    panel.stop()
    held.go.set()
    assert panel.wait(LONG)
    shown = [figure.above[1].text for figure in figures(panel)]
    assert shown == ["", "", "database CONDBR2"]  # nothing that came is lost
    assert drawn(panel)[NAMES[1]] == expected(panel)[NAMES[1]]


@pytest.mark.slow
def test_a_figure_that_comes_soon_after_another_does_not_wait_for_the_next(
    panel: ExplorePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explore_panel, "PAUSE", 0.2)
    held = Held(monkeypatch, NAMES[2], CONDITIONS)
    panel.selection = CONDITIONS
    assert held.reached.wait(LONG)
    wait_for(lambda: figures(panel)[1].above[1].text == "database CONDBR2")
    assert [figure.styles.get("opacity", "1") for figure in figures(panel)] == ["1", "1", "0.75"]
    held.go.set()
    assert panel.wait(LONG)
    assert drawn(panel) == expected(panel)


@pytest.mark.slow
def test_what_is_saved_and_exported_is_of_the_last_choice(panel: ExplorePanel, tmp_path) -> None:
    before = drawn(panel)
    panel.selection = CONDITIONS
    assert panel.wait(LONG)
    now = expected(panel)
    assert now != before
    # a notebook that is saved with the state of its widgets, and a page that is made of it
    view = panel._figures.view
    for state in (view.get_state(), embed_data(views=[view])["manager_state"]["state"][view.model_id]["state"]):
        (content,) = json.loads(state["render_bundle"])["docs_json"].values()
        assert heights(Document.from_json(content)) == now
    # a file
    page = plots.save(figures(panel)[0], tmp_path / "a.html").read_text()
    assert "database CONDBR2" in page
    # numbers, code
    assert panel.frames[NAMES[0]]["cached"].tolist() == now[NAMES[0]][:-1]
    names: dict[str, Any] = {"fl": fl, "settings": panel.settings}
    panel.plot = NAMES[0]
    exec(panel.code(), names)
    pd.testing.assert_frame_equal(names["frame"], panel.frames[NAMES[0]])


IMPOSSIBLE = [
    ("previous", {}, "To compare with the window before, choose a window"),
    ("-7d", {"since": "2026-10-01T00:00", "until": "2026-10-01T01:00"}, "Nothing can be compared with that"),
    ("dataset:gone", {}, "There is no dataset 'gone'"),
]


@pytest.mark.slow
def test_without_a_possible_comparison_the_plots_are_drawn_and_say_so(panel: ExplorePanel) -> None:
    for compare, window, why in IMPOSSIBLE:
        panel.selection = CONDITIONS.but(**window)
        panel.compare = compare
        assert panel.wait(LONG)
        assert (panel.phase, panel.error, panel.stale) == (Phase.DONE, "", ""), compare
        assert why in panel.not_compared
        assert drawn(panel) == expected(panel), compare
        assert not [column for frame in panel.frames.values() for column in frame if column.endswith("_before")]
        assert "compare" not in panel.code()
        told = next(box for box in panel.children if button_in(box, "Compare with nothing"))
        assert told.layout.display == ""
        assert escape(why) in told.children[0].value
        again = ExplorePanel.from_state(json.dumps(panel.state()), panel.settings)  # as Go on with does
        assert again.wait(LONG)
        assert (again.error, drawn(again)) == ("", drawn(panel)), compare
        button(panel, "Compare with nothing").click()
        assert panel.wait(LONG)
        assert (panel.compare, panel.not_compared, panel.stale, told.layout.display) == ("", "", "", "none")


def button_in(box: Any, name: str) -> bool:
    return any(getattr(one, "description", "") == name for one in getattr(box, "children", ()))


class Held:
    """Holds up a filter whenever it is asked about some queries."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, selection: Selection) -> None:
        usual = getattr(explore_work.filters, name)
        self.go, self.reached = threading.Event(), threading.Event()

        def ask(logs: Any, chosen: Selection, **keywords: Any) -> pd.DataFrame:
            if chosen == selection:
                self.reached.set()
                assert self.go.wait(LONG)
            return usual(logs, chosen, **keywords)

        monkeypatch.setattr(explore_work.filters, name, ask)


@pytest.mark.slow
def test_of_two_choices_the_later_is_shown(panel: ExplorePanel, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, NAMES[1], CONDITIONS)
    panel.selection = CONDITIONS
    assert held.reached.wait(LONG)
    late = panel._work
    panel.selection = Selection(db="OFLP200")
    assert panel.wait(LONG)
    shown = drawn(panel)
    assert shown == expected(panel)
    held.go.set()
    assert late.join(LONG)
    assert (drawn(panel), panel.origin.selection) == (shown, panel.selection)
    assert [figure.above[1].text for figure in figures(panel)] == ["database OFLP200"] * 3


@pytest.mark.slow
def test_the_first_figure_is_shown_while_others_are_still_to_come(
    panel: ExplorePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, NAMES[1], CONDITIONS)
    panel.selection = CONDITIONS
    assert held.reached.wait(LONG)
    assert [figure.above[1].text for figure in figures(panel)] == ["database CONDBR2", "", ""]
    assert [figure.styles.get("opacity", "1") for figure in figures(panel)] == ["1", "0.75", "0.75"]
    assert "frontierlab-stale" not in panel._figures._dom_classes
    assert panel.stale == "The figures are being drawn; what is grey is of an earlier choice."
    assert button(panel, "CSV").disabled
    panel.stop()
    held.go.set()
    assert panel.wait(LONG)
    assert panel.phase is Phase.STOPPED
    assert panel.stale.startswith("The figures were not all drawn; what is grey is of an earlier choice.")
    assert [figure.above[1].text for figure in figures(panel)] == ["database CONDBR2", "", ""]
    panel.selection = Selection()  # the choice of the grey figures; the first is of another
    assert "frontierlab-stale" in panel._figures._dom_classes or not panel.stale
    assert panel.wait(LONG)
    assert panel.stale == ""
    assert [figure.above[1].text for figure in figures(panel)] == [""] * 3
    assert [figure.styles.get("opacity", "1") for figure in figures(panel)] == ["1", "1", "1"]
    assert drawn(panel) == expected(panel)


@pytest.mark.slow
def test_a_zoom_or_a_muted_line_of_the_page_is_undone_by_a_choice(panel: ExplorePanel) -> None:
    (plot, *_), view = figures(panel), panel._figures.view
    line = plot.renderers[0]
    for model, name, new in ((plot.x_range, "start", 1.0), (plot.y_range, "end", 2.0), (line, "muted", True)):
        said = {"event": "jsevent", "kind": "ModelChanged", "model": {"id": model.id}, "attr": name, "new": new}
        view._sync_model(view, said, [])
    assert (plot.x_range.start, plot.y_range.end, line.muted) == (1.0, 2.0, True)
    panel.selection = CONDITIONS
    assert panel.wait(LONG)
    new = make(panel._figures._shown[NAMES[0]].drawing)
    assert (plot.x_range.start, plot.y_range.end, line.muted) == (new.x_range.start, new.y_range.end, False)


class CountedRefreshes:
    """Counts how often the saved state is made anew, and says when."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.made = 0, threading.Event()
        usual = BokehFigures.refresh

        def refresh(figures: BokehFigures) -> None:
            usual(figures)
            self.count += 1
            self.made.set()

        monkeypatch.setattr(BokehFigures, "refresh", refresh)


@pytest.mark.slow
def test_quick_choices_do_not_wait_for_the_saved_state_of_the_earlier(settings, monkeypatch) -> None:
    monkeypatch.setitem(TABS, TAB, NAMES)
    monkeypatch.setattr(work_mixin, "REST_SECONDS", 3.0)
    refreshes, done = CountedRefreshes(monkeypatch), threading.Event()
    panel = ExplorePanel(settings, tab=TAB)
    panel.observe(lambda change: change["new"] is Phase.DONE and done.set(), "phase")
    panel.dataset = "day"
    first = panel._work
    assert done.wait(LONG)
    done.clear()
    panel.selection = CONDITIONS  # the first is shown, and not saved yet
    assert done.wait(LONG)
    assert first.join(LONG)
    assert refreshes.count == 0
    assert refreshes.made.wait(LONG)  # nobody needs to wait for the panel
    assert panel.wait(LONG)
    assert refreshes.count == 1
    assert drawn(panel) == expected(panel)


@pytest.mark.slow
def test_a_stop_leaves_in_the_saved_state_what_is_shown(panel: ExplorePanel, monkeypatch: pytest.MonkeyPatch) -> None:
    before = drawn(panel)
    held = Held(monkeypatch, NAMES[1], CONDITIONS)
    panel.selection = CONDITIONS
    assert held.reached.wait(LONG)
    panel.stop()
    held.go.set()
    assert panel.wait(LONG)
    assert panel.phase is Phase.STOPPED
    assert drawn(panel) == {**before, NAMES[0]: expected(panel)[NAMES[0]]}


@pytest.mark.slow
def test_what_a_frame_lacks_is_told_once_and_with_its_numbers(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"time": START + n, "db": "CONDBR2", "schema": "A"} for n in range(3)]
    make_dataset(tmp_path / "datasets" / "part", rows, request={"selection": {"db": ["CONDBR2"]}})
    monkeypatch.setitem(TABS, TAB, NAMES)
    panel = ExplorePanel(fl.Settings(data_dir=tmp_path), dataset="part", tab=TAB)
    assert panel.wait(LONG)
    note = "The dataset part has only queries with database CONDBR2: other queries of this selection are missing."
    assert all(frame.attrs["notes"] == [note] for frame in panel.frames.values())
    assert panel._notes.value.count(note) == 1
    panel.plot = NAMES[0]
    button(panel, "Numbers").click()
    assert note in panel._below.content.children[0].value
    button(panel, "CSV").click()
    assert panel.message.endswith(note)
    panel.selection = CONDITIONS  # all of these are there
    assert panel.wait(LONG)
    assert panel.error == panel._notes.value == ""


@pytest.mark.slow
def test_many_series_become_a_heat_map_without_another_question(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"schema": f"S{n:02}", "querytime": 1_500, "time": START + 60_000 * k} for n in range(12) for k in range(n + 1)
    ]
    make_dataset(tmp_path / "datasets" / "day", rows)
    name = "long_queries_per_schema"
    monkeypatch.setitem(TABS, TAB, (name,))
    panel = ExplorePanel(fl.Settings(data_dir=tmp_path), dataset="day", tab=TAB)
    assert panel.wait(LONG)
    assert (panel.error, panel._drawings[name].colours is not None) == ("", True)
    (figure,) = figures(panel)
    assert {mark.name for mark in panel._drawings[name].marks} == {*(f"S{n:02}" for n in range(2, 12)), "(2 others)"}
    monkeypatch.setattr(panel, "draw", lambda: pytest.fail("nothing is asked again"))
    panel.form = "lines"
    assert panel._drawings[name].colours is None
    assert 'form="lines"' in panel.code()
    assert figures(panel)[0] is not figure
    panel.form = "heatmap"
    panel.dark = True
    (figure,) = figures(panel)
    (bar,) = figure.select(ColorBar)
    assert (bar.color_mapper.palette, bar.title_text_color) == (HEAT_IN_THE_DARK, "#dddddd")
    monkeypatch.setattr(panel, "draw", lambda: None)
    width = 1_000 * panel.frames[name].attrs["bin_seconds"]
    panel.brush(START + 0.4 * width, START + 2.6 * width)  # as the box select of the heat map gives it
    first, last = (round(ms / width) for ms in (START + 0.4 * width, START + 2.6 * width))
    assert (panel.selection.since, panel.selection.until) == tuple(
        pd.Timestamp(width * n, unit="ms", tz="UTC") for n in (first, last)
    )
