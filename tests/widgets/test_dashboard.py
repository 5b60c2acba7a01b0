"""The parts of the dashboard: its header, its numbers, its bars, and the views that it keeps."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime
from html import escape
from pathlib import Path

import pandas as pd
import pytest
from bokeh.models.annotations import Title
from frontierlab_widgets import Dashboard
from frontierlab_widgets.chips import chips_of, without
from frontierlab_widgets.dashboard import _SECTIONS
from frontierlab_widgets.formatting import amount, amounts, capital
from frontierlab_widgets.kept_views import forget_old_views, keep_view, kept_views, new_key, read_view
from frontierlab_widgets.overview_words import folder_told
from frontierlab_widgets.overview_work import STEPS, changes_of, tiles, totals
from frontierlab_widgets.selection_fields import SelectionFields
from frontierlab_widgets.view_work import BY, MEASURES, bars_of, cost_by, count_choices, count_view
from ipywidgets import Widget
from ipywidgets.embed import embed_data
from ipywidgets.widgets.widget import _instances

import frontierlab as fl
from frontierlab.caching.causes import BELOW
from frontierlab.errors import InvalidRequestError
from frontierlab.sample import World
from tests.widgets.test_panels_data import ask_nothing, button

LONG = 60


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> fl.Settings:
    """Settings for a data folder with the dataset day, which no test changes."""
    folder = tmp_path_factory.mktemp("dashboard")
    World(1_500, seed=5).write(folder / "dump.ndjson")
    settings = fl.sample.settings(data_dir=folder)
    fl.extract(settings, source=folder / "dump.ndjson", name="day", progress=False)
    return settings


@pytest.fixture(scope="module")
def rows(settings: fl.Settings) -> pd.DataFrame:
    """Its rows."""
    return fl.datasets.open_dataset("day", settings).to_pandas()


@pytest.fixture
def board(settings: fl.Settings, monkeypatch: pytest.MonkeyPatch):
    """A dashboard of the dataset whose tabs ask nothing by themselves; its header counts."""
    ask_nothing(monkeypatch, count=True)
    board = Dashboard(settings, dataset="day")
    assert board.header.wait(LONG)
    yield board
    board.close()


class TestNumbers:
    @pytest.mark.parametrize("selection", [fl.Selection(), fl.Selection(db="CONDBR2", until="2026-10-01T12:00")])
    @pytest.mark.slow
    def test_tiles_count_and_bars_equal_the_rows(self, settings, rows, selection):
        chosen = rows
        if selection.db:
            ends = pd.Timestamp("2026-10-01T12:00", tz="UTC")
            chosen = rows[(rows["db"] == "CONDBR2") & (rows["time"] < ends)]
        hit = chosen["cached"].astype("boolean").fillna(False)
        missed = ~hit
        failed = chosen[["disconn", "rejected", "procerror"]].fillna(False).any(axis=1)
        logs = fl.open_logs("day", settings=settings)
        numbers = totals(logs, selection)
        assert numbers["queries"] == len(chosen)
        assert numbers["bytes"] == chosen.loc[missed, "fsize"].sum()
        assert numbers["dbtime_ms"] == chosen.loc[missed, "dbtime"].sum()
        assert numbers["failures"] == failed.sum()
        counted = count_view("day", settings, selection)
        assert (counted.queries, counted.cached, counted.total) == (len(chosen), hit.sum(), len(rows))
        for by in BY:
            costs = cost_by("day", settings, selection, by)
            assert costs["queries"].sum() == len(chosen), by  # nothing is left out
            for top in (1, 5, 50):
                assert len(bars_of(costs, by, "bytes", top)) <= top + 2
        assert f"{len(chosen):,}" in tiles(numbers, None)

    def test_bars_are_of_the_largest_and_add_up(self, settings):
        costs = cost_by("day", settings, fl.Selection(), "site")
        for measure, column in MEASURES.items():
            bars = bars_of(costs, "site", measure, 3)
            assert [bar["name"] for bar in bars[3:]] == [f"({len(costs) - 4} others)", "(no site named)"]
            largest = costs[costs["part"] == "named"].sort_values(column, ascending=False)["computingsite"].head(3)
            assert [bar["name"] for bar in bars[:3]] == largest.tolist()
            shares = [float(bar["text"].split(", ")[-1].removesuffix(" %")) for bar in bars]
            assert sum(shares) == pytest.approx(100, abs=0.3)
            assert max(bar["share"] for bar in bars[:3]) == 1
            assert [bar["share"] for bar in bars[3:]] == [None, None]  # the rest does not set the scale

    @pytest.mark.parametrize(
        ("value", "measure", "text"),
        [
            (0, "queries", "0"),
            (999, "queries", "999"),
            (19_488, "queries", "19.5k"),
            (999_960, "failures", "1.0M"),
            (120_000_000, "bytes", "120.0 MB"),
            (512, "bytes", "512 B"),
            (3_446_454_798, "bytes", "3.4 GB"),
            (166_265, "dbtime_ms", "166.3 s"),
            (1_094_238, "querytime_ms", "18 min 14 s"),
            (None, "queries", ""),
        ],
    )
    def test_amounts_have_at_most_four_digits_and_a_unit(self, value, measure, text):
        assert amount(value, measure) == text

    @pytest.mark.parametrize(
        ("values", "measure", "texts"),
        [
            ([1_638, 1_634, 900, 1_634], "queries", ["1.64k", "1.63k", "900", "1.63k"]),
            ([1_638, 1_642, 1_512], "queries", ["1.638k", "1.642k", "1.5k"]),
            ([3_446_454_798, 3_446_454_797], "bytes", ["3,446,454,798 B", "3,446,454,797 B"]),
            ([1_094_238, 1_094_241, 500], "dbtime_ms", ["1,094.238 s", "1,094.241 s", "0.5 s"]),
        ],
    )
    def test_amounts_that_differ_read_differently(self, values, measure, texts):
        assert amounts(values, measure) == texts

    @pytest.mark.slow
    def test_what_changed_is_of_the_comparison_or_of_the_second_half(self, settings):
        dataset, logs = fl.datasets.open_dataset("day", settings), fl.open_logs("day", settings=settings)
        words, frame = changes_of(dataset, logs, settings, fl.Selection(), "")
        assert "against the time before" in words
        assert frame["significant"].all()
        window = fl.Selection(since="2026-10-01T12:00", until="2026-10-01T18:00")
        words, frame = changes_of(dataset, logs, settings, window, "previous")
        same = fl.what_changed(window.shifted(-pd.Timedelta(hours=6)).of(logs), window.of(logs), top=5)
        assert frame["rate"].tolist() == same.loc[same["significant"].fillna(False), "rate"].tolist()
        with pytest.raises(InvalidRequestError, match="choose a window"):
            changes_of(dataset, logs, settings, fl.Selection(), "previous")

    def test_choices_have_the_counts_of_the_rows(self, settings, rows):
        found = count_choices("day", settings)
        for column in ("db", "schema", "computingsite", "frontierserver", "taskid"):
            counts = rows[column].dropna().value_counts()
            counts = counts[counts > 0]  # a category can have no row
            assert dict(zip(found[column]["value"], found[column]["queries"], strict=True)) == counts.to_dict()
            assert found[column]["queries"].is_monotonic_decreasing


class TestHeader:
    def test_chips_name_each_condition_and_are_taken_off_one_by_one(self):
        chosen = fl.Selection(
            db="CONDBR2", taskid=[1, 2, 3], computingsite=["A", "B", "C", None], cached=False, since="2026-10-01"
        )
        texts = {chip["id"]: chip["text"] for chip in chips_of(chosen, {"computingsite": ["A", "B", "C", "D", None]})}
        assert texts == {
            "db": "database: CONDBR2",
            "taskid": "task: 1, 2 and 1 more",
            "computingsite": "site: not D",
            "cached": "not cached",
            "time": "from 2026-10-01 00:00 UTC",
        }
        for chip in texts:
            chosen = without(chosen, chip)
        assert chosen == fl.Selection()
        for until, words in (("2026-10-01T12:00", "12:00 UTC"), ("2026-10-02", "2026-10-02 00:00 UTC")):
            (chip,) = chips_of(fl.Selection(since="2026-10-01T10:00", until=until))
            assert chip["text"] == f"from 2026-10-01 10:00 to {words}"

    def test_tabs_make_no_fields_for_what_the_header_chooses(self, settings):
        others = {*_instances}
        board = Dashboard(settings)
        made = [widget for name, widget in [*_instances.items()] if name not in others]
        assert {"Caching", "Explore"} <= {*board.panels}
        assert [one for one in made if isinstance(one, SelectionFields)] == []
        for name in ("Caching", "Explore"):
            panel = board.panels[name]
            panel.selection = fl.Selection(db="CONDBR2")
            panel.clear_choice()
            assert panel.selection == board.selection == fl.Selection()
        board.close()

    def test_without_a_window_the_time_of_the_data_is_told_and_empty_fields_say_what_they_mean(self, board, rows):
        header = board.header
        since, until = rows["time"].min().floor("min"), rows["time"].max().ceil("min")
        assert f'"all of its time">{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC<' in header._count.value
        fields = header._times.fields.values()
        assert [(one.description, one.value, one.placeholder) for one in fields] == [
            ("since (UTC)", "", "start of the data"),
            ("until (UTC)", "", "end of the data"),
        ]
        board.selection = fl.Selection(since="2026-10-01T10:00")
        assert header.wait(LONG)
        assert f"{until:%Y-%m-%d %H:%M}" not in header._count.value

    def test_a_narrow_page_hides_nothing_that_is_invalid_or_unusual(self, board):
        header, folded, secondary = board.header, "frontierlab-folded", "frontierlab-secondary"
        assert folded in header._dom_classes
        assert secondary in header._against._dom_classes
        board.compare = "-1d"
        assert secondary not in header._against._dom_classes
        assert "choose a window" not in header._count.value  # the tabs say it; here it would push the lines
        header._times.fields["since"].value = "noon"
        assert folded not in header._dom_classes
        header._times.fields["since"].value = ""
        assert folded in header._dom_classes
        button(board, "More ▾").click()
        assert folded not in header._dom_classes
        button(board, "Less ▴").click()
        assert folded in header._dom_classes

    def test_quick_choices_and_arrows_move_the_time_in_whole_bins(self, board, rows):
        header = board.header
        header._range.value = "its last 6 hours"
        end = rows["time"].max()
        until = end.floor("5min") + pd.Timedelta(minutes=5)
        assert board.selection == fl.Selection(since=until - pd.Timedelta(hours=6), until=until)
        assert header._range.value == "time …"  # the fields show the time
        assert header.wait(LONG)
        header._earlier.click()
        assert board.selection.until == until - pd.Timedelta(hours=6)
        header._later.click()
        assert board.selection.until == until
        header._range.value = "all of its time"
        assert board.selection == fl.Selection()
        assert header._earlier.disabled

    def test_the_count_follows_each_choice_and_undo_takes_it_back(self, board, rows):
        header = board.header
        header._add("cached", "false")
        header._add("db", "CONDBR2")
        assert header.wait(LONG)
        hit = rows["cached"].astype("boolean").fillna(False)
        count = int(((rows["db"] == "CONDBR2") & ~hit).sum())
        assert header.counted.in_words() == f"{count:,} of {len(rows):,} queries, 0 % cached"
        header._undo.click()
        assert board.selection == fl.Selection(cached=False)
        header._take_off("cached")
        assert board.selection == fl.Selection()

    @pytest.mark.slow
    def test_an_invalid_time_blocks_the_tabs(self, board):
        field = board.header._times.fields["since"]
        field.value = "yesterday noon"
        for name in ("Overview", "Caching", "Explore"):
            assert "is not a time" in board.panels[name].invalid["since"]
        assert button(board.panels["Caching"], "Compute").disabled
        with pytest.raises(InvalidRequestError, match=r"Correct the field 'since \(UTC\)' first"):
            board.keep("a view")
        field.value = ""
        assert {name: panel.invalid for name, panel in board.panels.items()} == {name: {} for name in board.panels}


@pytest.fixture
def earlier():
    """The numbers of the widgets that earlier tests have left in this process."""
    return {*_instances}


def saved_bytes(board, earlier, *, defaults=False):
    """The bytes that a notebook has more if the state of its widgets is saved with it.

    JupyterLab leaves the defaults of traits out; nbclient and papermill do not.
    """
    mine = [widget for number, widget in list(_instances.items()) if number not in earlier]
    made = Widget.get_manager_state(drop_defaults=not defaults, widgets=mine)["state"]
    state = embed_data(views=[board], drop_defaults=not defaults, state=made)["manager_state"]
    return len(json.dumps(state, indent=1))


@pytest.mark.slow
def test_what_nobody_opens_is_not_made_and_keeps_its_place_in_a_view(settings, monkeypatch, earlier):
    ask_nothing(monkeypatch)
    board = Dashboard(settings)
    always = {"Overview", "Caching", "Explore", "Datasets"}
    assert {*board.panels.made()} == always
    assert saved_bytes(board, earlier, defaults=True) < 1_300_000
    board.tab = "Data"
    assert {*board.panels.made()} == always
    board.tab = "Extract"
    assert {*board.panels.made()} == {*always, "Extract"}
    assert board._sections._boxes["Extract"].children == (board.panels["Extract"],)
    board.panels["Extract"].since = "2026-10-01"
    button(board, "Settings").click()
    assert board._settings_box.children == (board.panels["Settings"],)
    board.settings = settings.model_copy(update={"es_page": 7})
    board.tab = "Overview"
    state = board.state()
    again = Dashboard.from_state(json.dumps(state), settings)
    assert {*again.panels.made()} == always
    assert again.state() == state  # also of panels that are not made yet
    assert again.panels["Extract"].since == "2026-10-01"
    assert board.panels["Jobs"].settings.es_page == 7
    with pytest.raises(InvalidRequestError, match="nothing, which JobsPanel does not know"):
        again.restore({**state, "panels": {"Jobs": {"panel": "JobsPanel", "nothing": 1}}})
    for one in (board, again):
        one.close()


class TestKeptViews:
    def test_a_view_is_kept_by_name_and_opened_in_another_dashboard(self, board, settings):
        board.selection, board.tab = fl.Selection(db="CONDBR2"), "Data"
        board.keep("a bad day")
        path = settings.data_dir / "views" / "a bad day.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_size < 10_000
        assert kept_views(settings) == ["a bad day"]
        again = Dashboard.open("a bad day", settings)
        assert again.state() == board.state()
        assert again.key != board.key
        again.close()
        path.unlink()

    @pytest.mark.slow
    def test_each_change_is_kept_by_itself_without_secrets(self, settings, monkeypatch):
        ask_nothing(monkeypatch)
        secret = fl.Settings(**{**dict(settings), "es_user": "me", "es_pswd": "hunter-2"})
        board = Dashboard(secret, dataset="day")
        board.selection = fl.Selection(schema="ATLAS_COOLOFL_PIXEL")
        board.close()  # what is due is written
        text = (settings.data_dir / "views" / f"{board.key}.json").read_text()
        assert "ATLAS_COOLOFL_PIXEL" in text
        assert "hunter" not in text + board._kernel_status.again + board._kernel_status.kept
        names = {}
        exec(board._kernel_status.again.replace("Dashboard.reopen", "again = Dashboard.reopen"), names)
        again = names["again"]  # the password is gone with the kernel, and the user with it
        assert (again.dataset, again.selection, again.key) == ("day", board.selection, board.key)
        assert (again.settings.es_user, again.settings.data_dir) == (None, settings.data_dir)
        assert "es_pswd" in again.error
        again.close()

    @pytest.mark.slow
    def test_a_new_dashboard_offers_the_last_view(self, board, settings, monkeypatch):
        board.selection = fl.Selection(db="OFLP200")
        board._keeper.now()
        other = Dashboard(settings)
        assert (other.go_on.description, other.go_on.layout.display) == ("Go on with day, Overview", "")
        other.go_on.click()
        assert (other.error, other.dataset, other.selection) == ("", "day", board.selection)
        assert other.go_on.layout.display == "none"
        other.close()

    def test_a_failed_write_is_told_once_and_leaves_the_former_view(self, tmp_path, monkeypatch):
        ask_nothing(monkeypatch)
        board = Dashboard(fl.sample.settings(data_dir=tmp_path))
        board._keeper.now()
        (file,) = (tmp_path / "views").iterdir()
        before = file.read_text()

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("frontierlab.util.files.sync", full)
            board.tab = "History"
            board._keeper.now()
            assert "The view is not kept, because the disk of" in board.error
            board.error = ""
            board._keeper.now()
            assert board.error == ""
        assert ([*(tmp_path / "views").iterdir()], file.read_text()) == ([file], before)
        board._keeper.now()
        assert json.loads(file.read_text())["tab"] == "History"
        board.close()

    @pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "last", "x" * 101])
    def test_a_name_that_is_none_is_refused(self, tmp_path, name):
        with pytest.raises(InvalidRequestError, match="not a name of a view"):
            keep_view(name, {}, fl.Settings(data_dir=tmp_path))
        assert not [*tmp_path.iterdir()]

    def test_missing_and_damaged_views_say_so(self, tmp_path):
        settings = fl.Settings(data_dir=tmp_path)
        keep_view("night", {"panel": "Dashboard"}, settings)
        with pytest.raises(InvalidRequestError, match=r"There is no view 'day' in .*\. There are: night\."):
            read_view("day", settings)
        with pytest.raises(InvalidRequestError, match="There is no view 'last'"):
            Dashboard.open(settings=settings)
        (tmp_path / "views" / "night.json").write_text("{")
        with pytest.raises(InvalidRequestError, match="is not a view"):
            read_view("night", settings)

    def test_only_the_newest_views_stay(self, tmp_path: Path):
        settings = fl.Settings(data_dir=tmp_path)
        keep_view("mine", {}, settings)
        keys = [new_key() for _ in range(23)]
        for age, key in enumerate(keys):
            path = keep_view(key, {"panel": key}, settings)
            moment = datetime(2026, 10, 1, age, tzinfo=UTC).timestamp()
            os.utime(path, (moment, moment))
        forget_old_views(settings)
        assert {path.stem for path in (tmp_path / "views").iterdir()} == {"mine", *keys[3:]}
        assert read_view("last", settings) == {"panel": keys[-1]}


@pytest.mark.slow
def test_what_can_be_added_is_counted_when_it_is_looked_at(settings, monkeypatch):
    ask_nothing(monkeypatch, count=True)
    board = Dashboard(settings, dataset="day")
    assert board.header.wait(LONG)
    assert board.header.chips.choices == []
    board.header.chips._received(None, {"ask": "choices"}, None)
    assert board.header.wait(LONG)
    assert {"db", "taskid", "squid"} <= {one["column"] for one in board.header.chips.choices}
    board.header.refresh()  # from now on they are counted again by themselves
    assert board.header.wait(LONG)
    assert board.header.chips.choices
    board.close()


@pytest.mark.slow
def test_an_overview_keeps_what_it_found_and_leads_to_the_folder_and_the_incident(settings, earlier):
    board = Dashboard(settings, dataset="day")
    overview, waste = board.panels["Overview"], board.panels["Caching"]
    assert overview.wait(LONG)
    assert {name: step.error for name, step in overview.found.items()} == dict.fromkeys(STEPS)
    found = overview.found
    board.tab, board.selection = "Data", fl.Selection(db="CONDBR2")
    assert "not of the selection" in overview.stale  # the tab is not open: nothing is asked
    board.selection = fl.Selection()
    assert (overview.found, overview.stale) == (found, "")
    worst = found["folders"].result.iloc[0]
    cure = found["advice"].result[0].cure
    assert f'<p class="frontierlab-cure">{escape(cure)}</p>' in overview._worst.children[0].children[0].value
    figures = found["folders"].result
    assert overview._whole_figures() is figures
    assert waste.whole_figures() is figures
    part, row = fl.Selection(computingsite="SITE"), worst.to_dict() | {"cause": BELOW}
    told = folder_told(row, found["advice"].result[0], part, figures)
    assert f"Below the threshold: <b>{amount(worst['wasted_dbtime'], 'dbtime_ms')}</b> of database time" in told
    assert f"In the whole dataset: {worst['cause']}; wasted: {worst['wasted_dbtime'] / 1e3:,.0f} s of" in told
    assert "without these filters you see what the folder loses in all" in folder_told(row, None, part, None)
    assert "whole dataset" not in folder_told(row, None, fl.Selection(), figures)
    overview._worst.children[0].children[1].click()
    assert waste.wait(LONG)
    assert (board.tab, waste.error) == ("Waste", "")
    assert waste.folder == worst[["db", "schema", "nodefullpath", "tagname"]].tolist()
    assert f"<p>{capital(str(worst['cause']))}</p>" in waste._detail.told.value
    for shown in (waste._waste, waste._detail.why, waste._detail.help):  # on a narrow page, Bokeh cuts longer lines
        titles = [one.text for one in shown.view.page.references() if isinstance(one, Title) and one.text]
        assert titles
        assert max(len(line) for title in titles for line in title.splitlines()) <= 40
    task = next(int(row["id"]) for row in waste._detail.tasks.rows if row["id"])
    waste._detail.tasks.selected = str(task)
    button(waste, "Only this task").click()
    assert board.selection.taskid == (task,)
    assert board.selection.nodefullpath == (worst["nodefullpath"],)
    assert waste.wait(LONG)
    before = saved_bytes(board, earlier)
    for tab in ("Explore", "History", *_SECTIONS):
        board.tab = tab
    board.show_settings()
    assert board.panels["Explore"].wait(LONG)
    assert before < 1_200_000
    assert saved_bytes(board, earlier) < 1_500_000  # all of it was opened
    board.close()


@pytest.mark.slow
def test_history_has_stored_incidents_and_leads_to_their_queries(settings, monkeypatch):
    ask_nothing(monkeypatch)
    diagnosis = fl.diagnose("day", settings=settings, progress=False)
    fl.diagnosis.history.store(diagnosis, settings)
    board = Dashboard(settings, tab="History")
    history = board.panels["History"]
    assert history.wait(LONG)
    assert (history.error, len(history._past.rows)) == ("", len(diagnosis))
    assert len(diagnosis) > 0
    assert button(history, "Show its queries").disabled
    row = history._past.rows[-1]  # the first one in time
    history._past.selected = row["id"]
    button(history, "Show its queries").click()
    shown = [one for one in diagnosis if one.selection == board.selection]
    assert row["cells"][2] in [one.sentence for one in shown]
    assert (board.dataset, board.tab, history.error) == ("day", "Explore", "")
    board.close()


@pytest.mark.slow
def test_a_step_of_the_overview_that_fails_costs_the_others_nothing(settings):
    board = Dashboard(settings.model_copy(update={"coolr_archive": None, "coolr_host": None}), dataset="day")
    overview = board.panels["Overview"]
    assert overview.wait(LONG)
    errors = {name: step.error for name, step in overview.found.items()}
    assert "coolr_host" in str(errors.pop("folders"))
    assert errors == dict.fromkeys({*STEPS} - {"folders"})
    assert "coolr_host" in overview._heads["folders"].value
    assert "frontierlab-tile" in overview._tiles.value
    assert "being worked out" not in overview._tiles.value
    assert len(overview._incidents.children) == len(overview.found["incidents"].result)
    board.close()
