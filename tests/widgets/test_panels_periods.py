"""Several datasets in panels, as a period: chosen by text, drawn, computed, stored, exported and restored."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from frontierlab_widgets import CachingPanel, Dashboard, ExplorePanel
from frontierlab_widgets.chosen_datasets import code_of, opened, read_text
from frontierlab_widgets.explore_work import TABS
from frontierlab_widgets.panel import Phase

import frontierlab as fl
from frontierlab import Selection
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.util.times import format_time, from_milliseconds
from tests.support.logs import START, make_dataset
from tests.widgets.test_panels_data import ask_nothing, button

LONG = 120
DAY = 86_400_000
TAB, NAMES = "Over time", ("queries_over_time", "bytes_over_time")
FIRST = "night-* since 2026-10-01T12:00 until 2026-10-03"
WORDS = "period night-1, night-2 since 2026-10-01 12:00 UTC until 2026-10-03 00:00 UTC"


def day(folder, name, number, **request):
    """Make a dataset of a day, counted from 0, with a query every ten minutes; two thirds of them are of B."""
    folder_of = [{"db": "CONDBR2", "schema": schema, "nodefullpath": f"/{schema}"} for schema in "ABB"]
    rows = [
        {**folder_of[n % 3], "time": START + number * DAY + 600_000 * n, "cached": n % 2 == 0, "since": n, "until": n}
        for n in range(144)
    ]
    ends = {"since": START + number * DAY, "until": START + (number + 1) * DAY}
    asked = {end: format_time(from_milliseconds(time)) for end, time in ends.items()}
    return make_dataset(folder / "datasets" / name, rows, request={**asked, **request})


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Three days, of which the third is missing, and a dataset of other queries that overlaps the first."""
    folder = tmp_path_factory.mktemp("data")
    for name, number in (("night-1", 0), ("night-2", 1), ("night-4", 3)):
        day(folder, name, number)
    day(folder, "other", 0, source="elsewhere.ndjson")
    return fl.sample.settings(data_dir=folder)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setitem(TABS, TAB, NAMES)


def in_pandas(settings, since, until):
    """The queries of all days in a window."""
    frames = [fl.datasets.open_dataset(name, settings).to_pandas() for name in ("night-1", "night-2", "night-4")]
    rows = pd.concat(frames)
    return rows[(rows["time"] >= pd.Timestamp(since, tz="UTC")) & (rows["time"] < pd.Timestamp(until, tz="UTC"))]


class TestText:
    @pytest.mark.parametrize(
        ("text", "names", "limits"),
        [
            ("day", ("day",), {}),
            (" a ,b, ", ("a", "b"), {}),
            ("a* since 2026-10-01", ("a*",), {"since": "2026-10-01"}),
            ("a, b until 2026-10-01 12:00", ("a", "b"), {"until": "2026-10-01 12:00"}),
            ("a since 1 until 2 overlaps cut", ("a",), {"since": "1", "until": "2", "overlaps": "cut"}),
            ("since, until", ("since", "until"), {}),
            ("", (), {}),
        ],
    )
    def test_names_and_limits(self, text, names, limits):
        assert read_text(text) == (names, limits)

    @pytest.mark.parametrize("text", ["night-1", "night-?", "night-1,night-4", FIRST, "night-1, other overlaps keep"])
    def test_its_code_opens_the_same(self, settings, text):
        lines, name = code_of(text)
        names = {"fl": fl, "settings": settings}
        exec("\n".join(lines), names)
        source = names["period"] if lines else fl.datasets.open_dataset(name, settings)
        assert repr(source) == repr(opened(text, settings))

    @pytest.mark.parametrize(
        ("text", "error", "message"),
        [
            ("x-*", DatasetError, "No dataset in .* is named x-"),
            ("night-1, gone", DatasetError, "There is no dataset 'gone'"),
            ("night-1, a b", InvalidRequestError, "'a b' is not the name of a dataset.* Valid: names and patterns"),
            ("night-* since noon", InvalidRequestError, "'noon' is not a time.* Valid: names and patterns"),
            ("night-* since 2026-10-03 until 2026-10-01", InvalidRequestError, "must be later than since"),
            ("night-* since 2027-01-01", DatasetError, "cover no time from 2027-01-01"),
            ("night-* overlaps both", InvalidRequestError, "'both' is not valid"),
            (",", InvalidRequestError, "at least one dataset. Valid: names and patterns"),
            ("night-1, other", DatasetError, 'Leave one of them out.*"overlaps cut" at the end of this text takes'),
        ],
    )
    def test_an_invalid_one_is_refused_with_what_is_valid(self, settings, text, error, message):
        with pytest.raises(error, match=message):
            opened(text, settings)


class TestField:
    def test_what_it_takes_is_the_choice_and_says_what_that_is(self, settings):
        panel = CachingPanel(settings)
        panel._datasets.several.value = FIRST
        assert (panel.dataset, panel._datasets.listed.label, panel.invalid) == (FIRST, "several", {})
        told = "Period: night-1, night-2, complete, up to 288 queries, from 2026-10-01 12:00 to 2026-10-03 00:00 UTC."
        assert told in panel._datasets._period.value
        assert panel.chosen_dataset().counts.kept == 288
        panel._datasets.listed.value = "night-4"
        assert (panel.dataset, panel._datasets.several.value) == ("night-4", "")
        assert "Period" not in panel._datasets._period.value
        panel._datasets.several.value = "night-1,"  # one dataset
        assert (panel.dataset, panel._datasets.several.value) == ("night-1", "")
        panel._datasets.several.value = "night-?"
        panel._datasets.several.value = ""
        assert panel.dataset == ""

    def test_invalid_text_is_marked_and_disables_the_buttons(self, settings):
        panel = CachingPanel(settings, dataset="night-1")
        panel._datasets.several.value = "x-*"
        assert "is named x-*. There are: night-1, night-2, night-4, other." in panel.invalid["dataset"]
        assert panel.dataset == "night-1"
        assert [button(panel, name).disabled for name in ("Compute", "Code")] == [True] * 2
        with pytest.raises(InvalidRequestError, match=r"Correct the field 'or several' first\. No dataset"):
            panel.compute()
        panel.refresh()  # as the dashboard does where a dataset comes or goes
        assert panel._datasets.several.value == "x-*"
        panel._datasets.several.value = ""
        assert (panel.dataset, panel.invalid) == ("night-1", {})
        assert not button(panel, "Compute").disabled

    def test_a_period_whose_dataset_is_deleted_is_marked_until_there_is_one_again(self, tmp_path):
        dataset = day(tmp_path, "a", 0)
        panel = CachingPanel(fl.Settings(data_dir=tmp_path), dataset="a*, b*")
        assert "is named b*" in panel.invalid["dataset"]
        later = day(tmp_path, "b", 1)
        panel.refresh()
        assert panel.invalid == {}
        dataset.delete()
        later.delete()
        panel.refresh()
        assert "There are: none yet." in panel.invalid["dataset"]
        assert panel._datasets.several.value == "a*, b*"


@pytest.fixture
def explored(settings):
    """A panel that shows plots over time of a period."""
    panel = ExplorePanel(settings, dataset=FIRST, tab=TAB)
    assert panel.wait(LONG)
    assert (panel.phase, panel.error, panel.stale) == (Phase.DONE, "", "")
    return panel


class TestExplore:
    @pytest.mark.slow
    def test_all_queries_of_the_period_are_counted_and_gaps_are_named(self, explored, settings):
        frame = explored.frames[NAMES[0]]
        rows = in_pandas(settings, "2026-10-01T12:00", "2026-10-03")
        assert frame[["cached", "not_cached"]].to_numpy().sum() == len(rows) == 216
        assert explored._picker.contents["folders"]["queries"].sum() == 216
        assert explored._notes.value == ""
        explored.dataset = "night-*"
        assert explored.wait(LONG)
        assert "No dataset covers the time from 2026-10-03 00:00 to 2026-10-04 00:00 UTC." in explored._notes.value
        assert explored._notes.value.count("No dataset covers") == 1
        assert explored._picker.contents["folders"]["queries"].sum() == 432

    @pytest.mark.slow
    def test_figures_are_bound_to_the_period_that_made_them(self, explored):
        assert explored.origin.in_words() == f"{WORDS}, all queries"
        explored.stop()
        explored.draw = lambda: None  # they stay as they are
        for other, told in {
            "night-1, night-2": "not of period night-1, night-2, all queries",
            "night-1": "not of dataset night-1, all queries",
            FIRST.replace("12:00", "13:00"): "since 2026-10-01 13:00 UTC",
        }.items():
            explored.dataset = other
            assert explored.stale.startswith(f"These figures are of {WORDS}, all queries, not of "), other
            assert told in explored.stale
            assert button(explored, "CSV").disabled
        explored.dataset = "night-1, night-2 since 2026-10-01T12:00 until 2026-10-03"  # the same in other words
        assert explored.stale == ""

    @pytest.mark.slow
    def test_code_numbers_and_report_are_of_the_period(self, explored, settings, monkeypatch):
        names = {"fl": fl, "settings": settings}
        explored.plot = NAMES[0]
        code = explored.code()
        asked = 'fl.datasets.period("night-*", since="2026-10-01T12:00", until="2026-10-03", settings=settings)'
        assert code.startswith(f"period = {asked}\nlogs = fl.open_logs(period, settings=settings)\n")
        exec(code, names)
        pd.testing.assert_frame_equal(names["frame"], explored.frames[NAMES[0]])
        sent = []
        monkeypatch.setattr(explored._download, "send", lambda content, buffers: sent.append(content["name"]))
        monkeypatch.setattr("frontierlab.reports.report.CHAPTERS", {TAB: NAMES[:1]})
        button(explored, "CSV").click()
        button(explored, "HTML report").click()
        assert explored.wait(LONG)
        stem = "night-1-night-2-2026-10-01T1200-2026-10-03T0000"
        assert sent == [f"{stem}-{NAMES[0]}.csv", f"{stem}.html"]
        assert explored.message == f"{stem}.html was given to the browser."

    @pytest.mark.slow
    def test_a_state_is_restored(self, explored, settings):
        again = ExplorePanel.from_state(json.dumps(explored.state()), settings)
        assert again.wait(LONG)
        assert (again.dataset, again.origin, again._datasets.several.value) == (FIRST, explored.origin, FIRST)

    @pytest.mark.slow
    def test_a_period_can_be_compared_with_another(self, settings):
        panel = ExplorePanel(settings, dataset="night-1", compare="dataset:night-2, night-4", tab=TAB)
        assert panel.wait(LONG)
        assert (panel.error, panel.stale) == ("", "")
        frame = panel.frames[NAMES[0]]
        assert frame["cached_before"].sum() == 2 * frame["cached"].sum() == 144
        assert 'compare=fl.datasets.period(["night-2", "night-4"], settings=settings)' in panel.code()

    @pytest.mark.slow
    def test_an_impossible_comparison_is_left_out_and_a_possible_one_is_made(self, explored):
        explored.compare = "-1d"
        assert explored.wait(LONG)
        assert "choose a window" in explored.not_compared
        assert "cached_before" not in explored.frames[NAMES[0]]
        explored.selection = Selection(since="2026-10-02", until="2026-10-02T12:00")
        assert explored.wait(LONG)
        assert "cover nothing of the time from 2026-10-01 00:00 UTC to 2026-10-01 12:00 UTC" in explored.not_compared
        explored.selection = Selection(since="2026-10-02T06:00", until="2026-10-02T18:00")
        assert explored.wait(LONG)
        assert (explored.error, explored.stale) == ("", "")
        frame = explored.frames[NAMES[0]]
        assert frame["cached"].sum() == 36
        assert frame["cached_before"].sum() == 18  # the period begins at noon
        assert "cover 50 % of the time from 2026-10-01 06:00 to 2026-10-01 18:00 UTC" in explored._notes.value

    @pytest.mark.slow
    def test_figures_stay_where_all_filters_fail(self, explored, monkeypatch):
        shown = explored._figures.view.page.children

        def fail(*_, **__):
            raise InvalidRequestError("It does not work.")

        for name in NAMES:
            monkeypatch.setattr(fl.filters, name, fail)
        explored.selection = Selection(schema="A")
        assert explored.wait(LONG)
        assert (explored.phase, explored.error) == (Phase.FAILED, "It does not work.")
        assert 'not of the selection "schema A". Click Draw again to have those.' in explored.stale
        assert explored._figures.view.page.children == shown != []


class TestCaching:
    @pytest.fixture(scope="class")
    @staticmethod
    def computed(settings):
        panel = CachingPanel(settings, dataset=FIRST)
        button(panel, "Compute").click()
        assert panel.wait(LONG)
        assert (panel.phase, panel.error, panel.stale) == (Phase.DONE, "", "")
        return panel

    @pytest.mark.slow
    def test_figures_code_and_page_are_of_the_period(self, computed, settings, monkeypatch):
        assert computed.figures["queries"].sum() == 216
        assert f"Figures of {WORDS}, all queries." in computed._about.value
        names = {"fl": fl, "settings": settings}
        exec(computed.code(), names)
        assert names["figures"]["queries"].tolist() == computed.figures["queries"].tolist()
        sent = []
        monkeypatch.setattr(computed._download, "send", lambda c, b: sent.append((c["name"], b[0].decode())))
        button(computed, "HTML page").click()
        ((name, page),) = sent
        assert name == "night-1-night-2-2026-10-01T1200-2026-10-03T0000-caching.html"
        assert "Caching of conditions folders, night-1, night-2 since 2026-10-01 12:00 UTC" in page

    @pytest.mark.slow
    def test_figures_are_stored_compared_and_restored(self, computed, settings):
        button(computed, "Store").click()
        assert computed.wait(LONG)
        assert computed.message.startswith("2 records of ")
        assert computed._past.wait(LONG)
        (row,) = computed._past.stored.rows
        assert row["cells"][:3] == ["night-1, night-2", "2026-10-01 12:00 UTC", "2026-10-03 00:00 UTC"]
        computed._past.stored.selected = row["id"]
        assert computed.error == ""
        assert (computed._past.compared["state"] == "both").all()
        again = CachingPanel.from_state(json.dumps(computed.state()), settings)
        assert again.wait(LONG)
        assert (again.stale, again.origin) == ("", computed.origin)
        again.dataset = "night-1, night-2"
        assert "not of period night-1, night-2, all queries. Click Compute" in again.stale


@pytest.mark.slow
def test_the_dashboard_shares_a_period_and_the_table_of_datasets_has_no_row_of_it(settings, monkeypatch):
    ask_nothing(monkeypatch)
    board = Dashboard(settings, tab="Datasets")
    board.panels["Datasets"]._table.selected = "night-1"
    assert (board.tab, board.section, board.dataset) == ("Data", "Datasets", "")
    board.header.datasets.several.value = "night-?"
    assert {board.panels[name].dataset for name in ("Overview", "Explore", "Caching")} == {"night-?"}
    assert (board.panels["Datasets"].dataset, board.panels["Datasets"].error) == ("night-1", "")
    again = Dashboard.from_state(json.dumps(board.state()), settings)
    assert again.state() == board.state()
    again.panels["Datasets"]._table.selected = "night-2"
    button(again.panels["Datasets"], "Look at it").click()
    assert again.panels["Caching"].dataset == again.dataset == "night-2"
    board.close()
    again.close()
