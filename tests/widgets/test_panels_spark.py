"""Panels that put questions to logs, without a browser: explore, caching, and the dashboard of all."""

from __future__ import annotations

import ast
import json
import re
import threading
from concurrent.futures import Future
from datetime import UTC, datetime
from html import escape

import pandas as pd
import pytest
from bokeh.events import SelectionGeometry
from bokeh.models import Axis, BoxSelectTool, Plot
from frontierlab_widgets import CachingPanel, Dashboard, ExplorePanel
from frontierlab_widgets.explore_work import ALL, TABS
from frontierlab_widgets.overview_work import STEPS
from frontierlab_widgets.panel import Phase

import frontierlab as fl
from frontierlab.errors import InvalidRequestError
from frontierlab.reports.chapters import ALL_FILTERS
from frontierlab.sample import World
from tests.support.logs import make_dataset
from tests.widgets.test_panels_data import button

LONG = 180
KEYS = ["db", "schema", "nodefullpath", "tagname"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Two datasets of a small world."""
    folder = tmp_path_factory.mktemp("data")
    World(2_000, seed=5).write(folder / "dump.ndjson")
    settings = fl.sample.settings(data_dir=folder)
    for name in ("day", "other"):
        fl.extract(settings, source=folder / "dump.ndjson", name=name, progress=False)
    return settings


@pytest.fixture(scope="module", autouse=True)
def few():
    """Two plots a tab, because these tests are about the panel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TABS, "Databases and schemas", ("queries_per_db", "uncached_by_kind"))
        patch.setitem(TABS, "Over time", ("queries_over_time", "bytes_over_time"))
        patch.setitem(TABS, ALL, ("queries_per_db", "queries_over_time"))
        yield


@pytest.fixture(scope="module")
def explored(few, settings):
    """A panel that has drawn its first tab; tests make their own of its state where they change it."""
    panel = ExplorePanel(settings, dataset="day")
    assert panel.wait(LONG)
    return panel


def drawn(panel):
    """All models of the figures that a panel shows."""
    return list(panel._figures.view._model.references())


class TestExplore:
    def test_initially_no_dataset_is_chosen_and_all_are_offered(self, settings):
        panel = ExplorePanel(settings)
        assert [value for _, value in panel._datasets.listed.options] == ["", "day", "other"]
        assert (panel.phase, panel.frames) == (Phase.READY, {})
        button(panel, "CSV").click()
        assert "is not drawn: open the tab that has it" in panel.error

    @pytest.mark.slow
    def test_all_plots_of_the_first_tab_are_drawn(self, settings, monkeypatch):
        monkeypatch.setitem(TABS, "Databases and schemas", ALL_FILTERS["Databases and schemas"])
        panel = ExplorePanel(settings, dataset="day")
        assert panel.wait(LONG)
        assert panel.phase is Phase.DONE, panel.error
        assert list(panel.frames) == list(ALL_FILTERS["Databases and schemas"])
        assert len([m for m in drawn(panel) if isinstance(m, Plot)]) == len(panel.frames)
        assert re.search(r">DuckDB answered in \d+\.\d\d s, from summaries and queries\.<", panel._about.value)

    @pytest.mark.spark
    def test_the_start_of_spark_is_shown(self, settings, monkeypatch):
        monkeypatch.setattr(fl.spark, "start", lambda settings: Future())
        panel, told = ExplorePanel(settings.model_copy(update={"engine": "spark"})), []
        panel.observe(lambda change: told.append(change["new"] and change["new"].stage), "progress")
        panel.dataset = "day"
        assert panel.wait(LONG)
        assert told.index("starting Spark") < told.index("asking")

    def test_pickers_offer_catalogue_and_dataset_with_counts(self, explored, settings):
        counts = World(2_000, seed=5).logs().to_pandas().groupby("db", observed=True).size()
        options = {name: text for text, name in explored._picker._pickers["db"].options}
        assert options["CONDBR2"] == f"CONDBR2 ({counts['CONDBR2']:,})"
        panel = ExplorePanel(settings)
        panel._picker.offer(explored._picker.contents)
        panel.selection = fl.Selection(db="OFLP200")
        schemas = [name for _, name in panel._picker._pickers["schema"].options if name]
        catalogue = pd.read_parquet(settings.catalogue_path)
        assert set(catalogue.loc[catalogue["db"] == "OFLP200", "schema"]) <= set(schemas)

    def test_the_selection_follows_the_pickers_and_can_be_undone(self, explored, settings):
        panel = ExplorePanel(settings)
        panel._picker.offer(explored._picker.contents)
        panel._picker._pickers["db"].value = "CONDBR2"
        panel._picker._pickers["schema"].value = "ATLAS_COOLOFL_PIXEL"
        panel._picker._cached.value = "not cached"
        panel._picker._times["since"].value = "2026-10-01T06:00"
        expected = fl.Selection(db="CONDBR2", schema="ATLAS_COOLOFL_PIXEL", cached=False, since="2026-10-01T06:00")
        assert panel.selection == expected
        panel._picker._pickers["db"].value = "OFLP200"  # its schemas are others
        assert panel.selection == expected.but(db="OFLP200", schema=None)
        panel._picker._pickers["db"].value = ""  # all
        assert panel.selection == expected.but(db=None, schema=None)
        for _ in range(6):
            button(panel, "Undo").click()
        assert panel.selection == fl.Selection()
        assert panel._picker._pickers["db"].value == ""
        assert button(panel, "Undo").disabled

    def test_the_pickers_follow_the_selection(self, explored, settings):
        panel = ExplorePanel(settings)
        panel._picker.offer(explored._picker.contents)
        task = int(explored._picker.contents["tasks"]["taskid"].iloc[0])
        panel.selection = fl.Selection(db=["CONDBR2", "COMP200"], taskid=task, until="2026-10-01T12:00")
        assert panel._picker._pickers["db"].value == ("CONDBR2", "COMP200")
        assert panel._picker._tasks.value == (task,)
        assert panel._picker._times["until"].value == "2026-10-01T12:00"
        assert f"task {task}" in panel._picker._words.value

    def test_tasks_are_found_by_number_and_name(self, explored, settings):
        panel = ExplorePanel(settings)
        panel._picker.offer(explored._picker.contents)
        panel._picker._search.value = "overlay recon"
        texts = [text for text, _ in panel._picker._tasks.options]
        assert texts
        assert all("overlay" in text and "recon" in text for text in texts)
        number = str(explored._picker.contents["tasks"]["taskid"].iloc[3])
        panel._picker._search.value = number
        assert number in [str(task) for _, task in panel._picker._tasks.options]

    def test_an_invalid_time_is_marked_and_draws_nothing(self, settings):
        panel = ExplorePanel(settings)
        since, until = panel._picker._times.values()
        since.value = "yesterday noon"
        assert "'yesterday noon' is not a time: write 2026-10-01, " in panel.invalid["since"]
        assert panel.selection == fl.Selection()
        uses = ("Draw again", "SQL", "Code", "HTML report")
        assert [button(panel, name).disabled for name in uses] == [True] * 4
        panel.dataset = "day"  # nothing is drawn of a time that the user did not mean
        assert (panel.phase, panel.frames) == (Phase.READY, {})
        assert "Correct the field 'since (UTC)' first" in panel.error
        panel.selection = fl.Selection(db="CONDBR2")
        assert since.value == "yesterday noon"  # it stays, with its mark
        since.value = "2026-10-01T12:00"
        assert panel.invalid == {}
        assert not button(panel, "Draw again").disabled
        panel.stop()
        until.value = "2026-10-01T10:00"
        assert "must be later than since" in panel.invalid["until"]
        since.value = "2026-10-01T08:00"  # now the two go together
        window = {"since": "2026-10-01T08:00", "until": "2026-10-01T10:00"}
        assert (panel.invalid, panel.selection) == ({}, fl.Selection(db="CONDBR2", **window))
        panel.stop()
        panel.wait(LONG)

    def test_a_brushed_range_is_the_window(self, settings):
        panel = ExplorePanel(settings, dataset="day", tab="Over time")
        assert panel.wait(LONG)
        assert panel.phase is Phase.DONE, panel.error
        (figure, *_) = [m for m in drawn(panel) if isinstance(m, Plot) and m.select(BoxSelectTool)]
        start = datetime(2026, 10, 1, 6, tzinfo=UTC).timestamp() * 1000
        # the ends of a brush lie anywhere in the bins, of five minutes here
        geometry = {"type": "rect", "x0": start + 3_620_000.4, "x1": start - 0.7, "y0": 0.0, "y1": 1.0}
        figure.document.callbacks.trigger_event(SelectionGeometry(figure, geometry=geometry, final=False))
        assert panel.selection == fl.Selection()
        figure.document.callbacks.trigger_event(SelectionGeometry(figure, geometry=geometry, final=True))
        window = fl.Selection(since="2026-10-01T06:00", until="2026-10-01T07:00")
        assert panel.selection == window
        assert panel.wait(LONG)
        frame = panel.frames["queries_over_time"]
        time = World(2_000, seed=5).logs().to_pandas()["time"]
        inside = ((time >= window.since) & (time < window.until)).sum()
        assert frame[["cached", "not_cached", "unknown"]].to_numpy().sum() == inside

    def test_all_on_one_page_compared_with_another_dataset(self, settings):
        panel = ExplorePanel(settings, dataset="day", tab=ALL, compare="dataset:other")
        assert panel.wait(LONG)
        assert panel.phase is Phase.DONE, panel.error
        assert [*panel.frames] == [*TABS[ALL]]
        frame = panel.frames["queries_per_db"]
        assert (frame["cached_change"] == 0).all()

    def test_a_missing_dataset_is_reported(self, settings):
        panel = ExplorePanel.from_state({"panel": "ExplorePanel", "dataset": "gone"}, settings)
        assert panel.wait(LONG)
        assert "There is no dataset 'gone'" in panel.error
        assert panel._datasets.listed.value == "gone"

    @pytest.mark.slow
    def test_plots_are_stale_while_another_choice_is_made(self, settings):
        panel = ExplorePanel(settings, dataset="day", below="SQL")
        assert panel.wait(LONG)
        assert (panel.error, panel.stale, panel.origin.dataset) == ("", "", "day")
        assert (panel._below.is_open, panel._below._title.value) == (True, "<b>SQL: queries per database</b>")
        first, names = panel._code.code, ("Numbers", "SQL", "Code", "CSV", "Parquet")
        for change in ({"dataset": "other"}, {"compare": "dataset:other"}, {"selection": fl.Selection(db="CONDBR2")}):
            former = {name: getattr(panel, name) for name in change}
            panel.draw = lambda: None  # as while Spark works
            panel.set_trait(*next(iter(change.items())))
            assert panel.stale.startswith("These figures are of dataset day, all queries, "), change
            assert [button(panel, name).disabled for name in names] == [True] * 5
            assert "frontierlab-stale" in panel._figures._dom_classes
            assert "frontierlab-stale" in panel._below.content._dom_classes
            assert panel._code.code == first  # of the plot that is drawn
            with pytest.raises(InvalidRequestError, match="of dataset day, all queries"):
                panel.fresh(lambda: panel.export("csv"))()
            panel.set_trait(*next(iter(former.items())))
            assert panel.stale == ""
            assert [button(panel, name).disabled for name in names] == [False] * 5
            assert "frontierlab-stale" not in panel._figures._dom_classes
        del panel.draw
        panel.selection = fl.Selection(db="CONDBR2")
        assert panel.wait(LONG)
        assert (panel.stale, panel.origin.selection) == ("", panel.selection)
        assert "db = 'CONDBR2'" in panel._code.code != first  # it follows its plot
        button(panel, "Close").click()
        assert (panel.below, panel._below.is_open) == ("", False)

    def test_plots_of_a_deleted_or_replaced_dataset_are_stale(self, settings, tmp_path):
        settings = settings.model_copy(update={"data_dir": tmp_path})
        for name in ("one", "two"):
            make_dataset(tmp_path / "datasets" / name, [{"schema": "A"}])
        panel = ExplorePanel(settings, dataset="one")
        assert panel.wait(LONG)
        assert (panel.error, panel.stale) == ("", "")
        one = fl.datasets.open_dataset("one", settings)
        one.delete()
        button(panel, "CSV").click()  # before anything told the panel
        assert "These figures are of dataset one, all queries. There is no dataset 'one'" in panel.error
        panel.error = ""
        panel.refresh()
        assert panel.error == ""
        assert "There is no dataset 'one'" in panel.stale
        assert button(panel, "CSV").disabled
        make_dataset(tmp_path / "datasets" / "one", [{"schema": "A"}, {"schema": "B"}])
        panel.refresh()
        assert "the dataset one has changed since then. Click Draw again" in panel.stale
        button(panel, "Draw again").click()
        assert panel.wait(LONG)
        assert panel.stale == ""
        assert panel._picker.contents["folders"]["queries"].sum() == 2
        panel.settings = settings.model_copy(update={"es_port": 1})  # which changes nothing here
        assert panel.stale == ""

    def test_code_and_sql_do_the_same(self, explored, settings):
        names = {"fl": fl, "settings": settings}
        exec(explored.code(), names)
        pd.testing.assert_frame_equal(names["frame"], explored.frames[explored.plot])
        assert "GROUP BY" in explored.sql()

    def test_code_is_valid_python_for_any_names(self, settings):
        panel = ExplorePanel(settings)
        panel.draw = lambda: None
        panel.dataset, panel.compare = 'a"b', "dataset:it's"
        ast.parse(panel.code())

    def test_numbers_are_downloaded(self, explored, monkeypatch, tmp_path):
        sent = []
        monkeypatch.setattr(explored._download, "send", lambda content, buffers: sent.append((content, buffers)))
        for kind in ("CSV", "Parquet"):
            button(explored, kind).click()
        assert explored.error == ""
        (csv, (text,)), (parquet, (data,)) = sent
        assert (csv["name"], parquet["name"]) == ("day-queries_per_db.csv", "day-queries_per_db.parquet")
        (tmp_path / "a.parquet").write_bytes(data)
        frame = explored.frames["queries_per_db"]
        assert pd.read_parquet(tmp_path / "a.parquet")["cached"].tolist() == frame["cached"].tolist()
        assert f"{len(frame)} rows" in explored.message
        assert text.decode().startswith("db,")

    def test_in_the_dark_axes_and_grids_are_light(self, explored):
        explored.dark = True
        models = drawn(explored)
        assert {m.background_fill_color for m in models if isinstance(m, Plot)} == {"#1e1e1e"}
        assert {m.major_label_text_color for m in models if isinstance(m, Axis)} == {"#dddddd"}
        explored.dark = False
        assert "#1e1e1e" not in {m.background_fill_color for m in drawn(explored) if isinstance(m, Plot)}

    def test_a_saved_state_is_restored(self, settings):
        panel = ExplorePanel(settings)
        panel.tab, panel.selection = "Folders", fl.Selection(db="CONDBR2", since="2026-10-01T01:00")
        again = ExplorePanel.from_state(json.dumps(panel.state()), settings)
        assert (again.tab, again.selection) == (panel.tab, panel.selection)
        assert button(again, "Undo").disabled


@pytest.fixture(scope="module")
def computed(settings):
    """A panel that has computed the figures of all folders."""
    panel = CachingPanel(settings, dataset="day")
    button(panel, "Compute").click()
    assert panel.wait(LONG)
    return panel


class TestCaching:
    def test_initially_nothing_is_computed(self, settings):
        panel = CachingPanel(settings)
        assert panel._table.rows == []
        for name, message in (("Compute", "Choose a dataset"), ("Store", "Nothing is computed")):
            button(panel, name).click()
            assert message in panel.error

    @pytest.mark.slow
    def test_the_table_shows_the_worst_folder_first(self, computed, settings):
        assert computed.phase is Phase.DONE, computed.error
        figures = fl.caching.efficiency("day", settings, progress=False)
        assert computed.figures[KEYS].to_numpy().tolist() == figures[KEYS].to_numpy().tolist()
        assert [json.loads(row["id"]) for row in computed._table.rows] == figures[KEYS].to_numpy().tolist()

    @pytest.mark.slow
    def test_a_row_is_explained_and_tried(self, computed):
        button(computed, "Explain the worst").click()
        assert computed.wait(LONG)
        assert computed.error == ""
        assert computed.folder == computed.figures.loc[computed.figures["wasted_dbtime"].notna(), KEYS].iloc[0].tolist()
        assert json.loads(computed._table.selected) == computed.folder
        assert computed.tab == "Folders"
        assert "is explained" in computed.message
        assert computed.folder[2] in computed._detail.told.value
        assert computed._detail.grids.rows[0]["cells"][0] == "as asked"
        told = computed._detail.found["what"].attrs
        assert f'class="frontierlab-cure">{escape(told["cure"])}<' in computed._detail.told.value
        assert escape(told["reasons"]) in computed._detail.advice.value
        computed._table.selected = ""
        assert computed.folder == []

    @pytest.mark.slow
    def test_only_the_selected_queries_are_computed(self, computed, settings):
        panel = CachingPanel(settings, dataset="day", selection=fl.Selection(schema="ATLAS_COOLOFL_PIXEL"))
        panel._picker._times["until"].value = "2026-10-01T12:00"
        button(panel, "Compute").click()
        assert panel.wait(LONG)
        assert set(panel.figures["schema"]) == {"ATLAS_COOLOFL_PIXEL"}
        whole = computed.figures[computed.figures["schema"] == "ATLAS_COOLOFL_PIXEL"]
        assert 0 < panel.figures["queries"].sum() < whole["queries"].sum()
        part = "Figures of dataset day, schema ATLAS_COOLOFL_PIXEL, to 2026-10-01 12:00 UTC."
        assert part in panel._about.value
        assert "cover a part of the queries" in panel.figures.attrs["notes"][0]  # on pages, which have no such line
        assert "cover a part of the queries" not in panel._notes.value
        names = {"fl": fl, "settings": settings}
        exec(panel.code(), names)
        assert names["figures"][KEYS].to_numpy().tolist() == panel.figures[KEYS].to_numpy().tolist()
        panel.selection = fl.Selection(schema="NOWHERE")
        button(panel, "Compute").click()
        assert panel.wait(LONG)
        assert "The dataset day has no query with an IOV in the selection (schema NOWHERE" in panel.error
        assert "These figures are of dataset day, schema ATLAS_COOLOFL_PIXEL" in panel.stale
        panel._picker._times["since"].value = "noon"
        assert button(panel, "Compute").disabled
        button(panel, "Whole dataset").click()
        assert (panel.selection, panel.invalid, button(panel, "Compute").disabled) == (fl.Selection(), {}, False)

    @pytest.mark.slow
    def test_figures_are_stale_while_another_choice_is_made(self, computed, settings, tmp_path):
        sent = []
        computed._download.send = lambda content, buffers: sent.append((content["name"], buffers[0].decode()))
        button(computed, "Code").click()
        first, names = computed._code.code, ("Explain the worst", "Store", "HTML page", "Code")
        worst = computed._table.rows[0]["id"]
        others = {
            "dataset": "other",
            "selection": fl.Selection(since="2026-10-01T06:00"),
            "settings": settings.model_copy(update={"coolr_archive": None, "coolr_host": "elsewhere"}),
        }
        for name, other in others.items():
            computed.set_trait(name, other)
            assert computed.stale.startswith("These figures are of dataset day, all queries, "), name
            assert computed.stale.endswith(". Click Compute to update them.")
            assert [button(computed, one).disabled for one in names] == [True] * 4
            assert all("frontierlab-stale" in page._dom_classes for page in computed._greyed_pages)
            for action in (computed.store, computed.page, computed.explain_worst):
                with pytest.raises(InvalidRequestError, match="of dataset day, all queries"):
                    action()
            computed._table.selected = worst
            assert (computed.folder, computed._table.selected) == ([], "")
            assert "of dataset day, all queries" in computed.error
            assert computed._code.code == first
            computed.set_trait(name, {"dataset": "day", "selection": fl.Selection(), "settings": settings}[name])
            assert (computed.stale, computed.figures.empty) == ("", False)
            assert [button(computed, one).disabled for one in names] == [False] * 4
            assert not any("frontierlab-stale" in page._dom_classes for page in computed._greyed_pages)
        button(computed, "HTML page").click()
        ((name, page),) = sent
        assert (name, computed.error) == ("day-caching.html", "")
        assert "Caching of conditions folders, day" in page
        button(computed, "Close").click()
        assert not computed._code_box.is_open

    @pytest.mark.slow
    def test_an_explanation_keeps_the_tab_and_ends_with_its_figures(self, computed):
        detail = computed._detail
        computed._table.selected = computed._table.rows[0]["id"]
        assert "is being explained" in detail.told.value
        computed.tab = "History"
        assert computed.wait(LONG)
        assert (computed.tab, computed.error) == ("History", "")
        assert detail.why.layout.display == ""
        detail.forget()  # as where it was stopped
        button(computed, "Explain the worst").click()
        assert computed.wait(LONG)
        assert detail.found["why"].folder == tuple(computed.folder)
        figures = computed.figures
        computed.figures = figures.iloc[1:]
        assert (computed.folder, detail.found) == ([], {})
        assert "Choose a row of the table" in detail.told.value
        assert detail.why.layout.display == detail.grids.layout.display == "none"
        computed.figures = figures

    def test_choosing_a_row_does_not_interrupt_compute(self, computed):
        go = threading.Event()
        computed.begin(lambda _: go.wait(LONG), stage="counting")  # as the job of Compute
        computed._table.selected = computed._table.rows[0]["id"]
        assert "This panel is at work (counting). Wait for its end, or click Stop" in computed.error
        assert (computed.phase, computed._going.layout.visibility) == (Phase.WORKING, "visible")
        assert (computed.folder, computed._table.selected) == ([], "")
        go.set()
        assert computed.wait(LONG)
        assert computed.phase is Phase.DONE

    def test_figures_of_a_replaced_dataset_are_not_stored(self, computed, settings, tmp_path):
        settings = settings.model_copy(update={"data_dir": tmp_path})
        dataset = make_dataset(tmp_path / "datasets" / "day", [{"schema": "A"}])
        panel = CachingPanel(settings, dataset="day")
        figures = computed.figures.copy()
        figures.attrs["dataset"] = ["day", dataset.identity]
        panel._take(figures, settings)
        assert panel.stale == ""
        dataset.delete()
        make_dataset(tmp_path / "datasets" / "day", [{"schema": "A"}, {"schema": "A"}])
        button(panel, "Store").click()  # before anything told the panel
        assert "but the dataset day has changed since then. Click Compute" in panel.error
        assert button(panel, "Store").disabled
        assert fl.caching.history.read(settings).empty

    def test_code_is_valid_python_for_any_names(self, settings):
        panel = CachingPanel(settings)
        panel.dataset = 'a"b'
        panel.selection = fl.Selection(schema="it's \\")
        panel.set_trait("folder", ['"', "\\", "'", "\n"])  # refused, for nothing is computed
        assert panel.folder == []
        with panel.hold_trait_notifications():
            panel.folder = ['"', "\\", "'", "\n"]
            code = panel.code()
            panel.folder = []
        tree = ast.parse(code)
        assert ast.literal_eval(tree.body[2].value) == dict(zip(KEYS, ['"', "\\", "'", "\n"], strict=True))

    def test_figures_are_stored_and_compared(self, computed):
        computed.tab = "Folders"
        button(computed, "Store").click()
        assert computed.wait(LONG)
        assert (computed.error, computed.tab) == ("", "Folders")  # told, not moved
        assert computed.message.endswith(" records of dataset day, all queries, are stored.")
        button(computed, "Show the history").click()
        assert computed.tab == "History"
        assert computed._past.wait(LONG)
        (row,) = computed._past.stored.rows
        assert row["cells"][0] == "day"
        computed._past.stored.selected = row["id"]
        assert computed.error == ""
        assert (computed._past.compared["state"] == "both").all()

    @pytest.mark.slow
    def test_a_saved_state_is_restored_with_its_figures(self, computed, settings):
        again = CachingPanel.from_state(json.dumps(computed.state()), settings)
        assert again.wait(LONG)
        assert again.figures[KEYS].to_numpy().tolist() == computed.figures[KEYS].to_numpy().tolist()
        assert (again.stale, again.origin) == ("", computed.origin)
        other = CachingPanel.from_state({**computed.state(), "dataset": "other"}, settings)
        assert "of dataset day, all queries, not of dataset other" in other.stale
        assert button(other, "Store").disabled


class TestDashboard:
    @pytest.mark.slow
    def test_the_panels_share_settings_dataset_and_selection(self, settings):
        board = Dashboard(settings)
        assert list(board.panels) == [
            *("Settings", "Overview", "Caching", "Explore", "History"),
            *("Extract", "Raw logs", "Datasets", "Jobs"),
        ]
        board.tab = "Explore"
        board.header.datasets.listed.value = "day"
        assert {board.panels[name].dataset for name in ("Overview", "Explore", "Caching")} == {"day"}
        assert board.panels["Explore"].wait(LONG)
        board.header.chips._add("db", "CONDBR2")
        assert board.panels["Caching"].selection == board.selection == fl.Selection(db="CONDBR2")
        window = fl.Selection(db="CONDBR2", since="2026-10-01T06:00", until="2026-10-01T07:00")
        board.panels["Explore"].selection = window  # as a brush does
        assert board.header._times.fields["since"].value == "2026-10-01T06:00"
        board.header._undo.click()
        assert board.selection == fl.Selection(db="CONDBR2")
        board.selection = window
        assert "selection=selection" in board.panels["Caching"].code()
        changed = settings.model_copy(update={"es_port": 9999})
        board.panels["Settings"].settings = changed
        assert {panel.settings.es_port for panel in board.panels.values()} == {9999}
        assert board.panels["Explore"].wait(LONG)
        board.close()

    @pytest.mark.slow
    def test_a_saved_state_is_restored(self, settings):
        board = Dashboard(settings)
        board.tab, board.dataset, board.selection = "Caching", "day", fl.Selection(db="CONDBR2")
        board.panels["Extract"].since = "2026-10-01"
        assert board.panels["Caching"].wait(LONG)  # the open tab computes its figures
        again = Dashboard.from_state(json.dumps(board.state()), settings)
        assert again.panels["Caching"].wait(LONG)
        board.panels["Caching"].job = again.panels["Caching"].job = ""  # each may have computed its figures by itself
        assert again.state() == board.state()
        assert (again.tab, again.dataset, again.selection) == ("Waste", "day", fl.Selection(db="CONDBR2"))
        again._share._given.value = "{"
        button(again, "Open a view").click()
        assert "not the state of a panel" in again.error
        for one in (board, again):
            one.close()

    @pytest.mark.slow
    def test_copy_as_code(self, settings):
        board = Dashboard(settings)
        board.tab, board.dataset = "Explore", "day"
        button(board, "Copy as code").click()
        assert board._share.shown.startswith("import frontierlab as fl")
        assert board.panels["Explore"].wait(LONG)
        names = {}
        exec(board._share.shown, names)
        assert names["frame"].equals(board.panels["Explore"].frames["queries_over_time"])
        board.close()

    @pytest.mark.slow
    def test_one_click_shows_the_sample(self, tmp_path):
        board = Dashboard(fl.Settings(data_dir=tmp_path))
        button(board, "Try it on the sample").click()
        for panel in ("Extract", "Extract", "Overview"):  # the dry run, the extraction, the first tab
            assert board.panels[panel].wait(LONG)
        overview = board.panels["Overview"]
        assert (board.dataset, board.tab, overview.phase) == ("sample", "Overview", Phase.DONE)
        assert {name: step.error for name, step in overview.found.items()} == dict.fromkeys(STEPS)
        board.close()
