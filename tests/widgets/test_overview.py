"""The Overview: what it asks, in which order, and what it need not ask again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from html import escape, unescape
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from frontierlab_widgets import Dashboard, overview_work
from frontierlab_widgets.changes_work import burst_of, changes_in_words
from frontierlab_widgets.chosen_datasets import with_payloads
from frontierlab_widgets.kept_results import KeptResults
from frontierlab_widgets.overview_panel import OverviewPanel
from frontierlab_widgets.overview_words import folder_told, incident_told
from frontierlab_widgets.overview_work import STEPS, Step, changes_of, origin_of, over_time, totals
from frontierlab_widgets.panel import Phase
from frontierlab_widgets.panel_words import in_panel_words
from ipywidgets import Widget

import frontierlab as fl
from frontierlab.errors import StatementError
from frontierlab.sample import World
from frontierlab.util.progress import Progress

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LONG = 60
_NAMES = ["what", "db", "schema", "nodefullpath", "taskid", "frontierserver", "computingsite", "squid"]


def extract(settings: fl.Settings, queries: int) -> None:
    """Make the dataset day."""
    export = settings.data_dir / "dump.ndjson"
    World(queries, seed=6).write(export)
    fl.extract(settings, source=export, name="day", progress=False)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> fl.Settings:
    """Settings of a data folder with the dataset day, which tests only read."""
    settings = fl.sample.settings(data_dir=tmp_path_factory.mktemp("day"))
    extract(settings, 1_000)
    return settings


@pytest.fixture(scope="module")
def made(day: fl.Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the datasets day and sample, which is copied for each test."""
    settings = fl.sample.settings(data_dir=tmp_path_factory.mktemp("made"))
    shutil.copytree(day.data_dir, settings.data_dir, dirs_exist_ok=True)
    fl.extract(settings, source=fl.sample.path(), name="sample", progress=False)
    return settings.data_dir


@pytest.fixture
def settings(made: Path, tmp_path: Path) -> fl.Settings:
    """Settings for a data folder with the datasets day and sample."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return fl.sample.settings(data_dir=tmp_path)


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """No result of another test is shown."""
    monkeypatch.setattr("frontierlab_widgets.overview_panel._KEPT", KeptResults(8))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the parts that were asked, in their order; incidents and folders are not searched for."""
    names: list[str] = []
    usual = {name: getattr(overview_work, name) for name in ("totals", "over_time")}

    def asking(name: str) -> Callable[..., object]:
        def ask(*given: object) -> object:
            names.append(name)
            return usual[name](*given) if name in usual else None

        return ask

    for name in ("totals", "over_time", "changes_of", "_incidents"):
        monkeypatch.setattr(overview_work, name, asking(name))
    monkeypatch.setattr(overview_work._Folders, "figures", asking("figures"))
    return names


@pytest.mark.slow
def test_numbers_come_first_and_the_timeline_has_all_queries(settings: fl.Settings, asked: list[str]) -> None:
    panel = OverviewPanel(settings, selection=fl.Selection(db="CONDBR2"))
    panel.dataset = "day"
    assert panel.wait(LONG)
    assert asked[:2] == ["totals", "over_time"]
    assert sorted(asked[2:]) == ["_incidents", "changes_of", "figures"]
    assert {name: step.error for name, step in panel.found.items()} == dict.fromkeys(STEPS)
    counted = panel.found["timeline"].result
    assert counted["queries"].sum() == panel.found["numbers"].result["queries"] > 0
    of_filter = fl.filters.queries_over_time(fl.open_logs("day", settings=settings), db="CONDBR2")
    columns = ["cached", "not_cached", "unknown"]
    assert counted["time"].tolist() == of_filter["time"].tolist()
    assert counted["queries"].tolist() == of_filter[columns].sum(axis=1).tolist()
    panel.close()


@pytest.mark.slow
def test_what_is_known_is_shown_at_once_until_the_dataset_changes(settings: fl.Settings, asked: list[str]) -> None:
    first = OverviewPanel(settings, dataset="day")
    assert first.wait(LONG)
    before = len(asked)
    again = OverviewPanel(settings, dataset="day")
    assert (again.found, again.stale, len(asked)) == (first.found, "", before)
    assert again._tiles.value == first._tiles.value != ""
    elsewhere = OverviewPanel(settings.model_copy(update={"coolr_archive": Path("other")}), dataset="day")
    assert elsewhere.wait(LONG)
    assert len(asked) == 2 * before, "payloads of another COOLR give other advice"
    fl.datasets.delete_dataset("day", settings)
    extract(settings, 400)
    again.refresh()
    assert again.wait(LONG)
    assert len(asked) == 3 * before
    assert again.found["numbers"].result["queries"] == fl.datasets.open_dataset("day", settings).counts.kept
    for panel in (first, again, elsewhere):
        panel.close()


def test_a_statement_that_fails_beside_others_is_asked_again_alone(
    settings: fl.Settings, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def figures(_: object) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise StatementError("it needs more memory")

    def changes(*_: object) -> None:
        raise StatementError("a column overflows")

    monkeypatch.setattr(overview_work._Folders, "figures", figures)
    monkeypatch.setattr(overview_work, "changes_of", changes)
    panel = OverviewPanel(settings, dataset="day")
    assert panel.wait(LONG)
    assert (panel.found["folders"].error, len(attempts)) == (None, 2)
    assert str(panel.found["changes"].error) == "a column overflows"
    assert "a column overflows" in panel._heads["changes"].value
    panel.close()


@pytest.mark.spark
def test_spark_gives_the_same_numbers_timeline_and_changes(
    day: fl.Settings, running: SparkSession, uncompiled: None
) -> None:
    dataset, selection = fl.datasets.open_dataset("day", day), fl.Selection(db="CONDBR2")
    logs = {"duckdb": fl.open_logs(dataset, settings=day), "spark": fl.open_logs(dataset, session=running)}
    assert {engine: one.engine for engine, one in logs.items()} == {engine: engine for engine in logs}
    numbers = {engine: totals(each, selection) for engine, each in logs.items()}
    assert numbers["spark"] == numbers["duckdb"]
    over = {engine: over_time(each, selection, dataset) for engine, each in logs.items()}
    pd.testing.assert_frame_equal(over["spark"], over["duckdb"])
    changed = {engine: changes_of(dataset, each, day, selection, "") for engine, each in logs.items()}
    assert changed["spark"][0] == changed["duckdb"][0]
    pd.testing.assert_frame_equal(changed["spark"][1], changed["duckdb"][1])


@pytest.mark.slow
def test_of_the_sample_the_beginning_is_told_and_which_incident_led_to_the_others(settings: fl.Settings) -> None:
    heard: list[Progress] = []
    found = fl.diagnose("sample", settings=settings, progress=heard.append)
    assert heard[-1].done == heard[-1].total == len(heard) - 1  # the last says that it is done
    assert found.incidents["event"].nunique() == 1 < len(found)
    panel = OverviewPanel(settings)
    origin = origin_of(fl.datasets.open_dataset("sample", settings), fl.Selection(), settings, "")
    panel.found = {"incidents": Step("incidents", found, None, origin)}
    panel._show_incidents()
    (cause,) = [place for place, one in enumerate(found) if one.cause is None]
    told = f"{len(found)} incidents, likely of 1 event: incident {cause + 1} led to the others."
    assert told in panel._heads["incidents"].value
    told = [row.children[1].value for row in panel._incidents.children]
    assert ["Likely a consequence of incident" in text for text in told] == [
        place != cause for place in range(len(told))
    ]
    panel.close()
    for place, one in enumerate(found, 1):
        line, more = (plain(part) for part in incident_told(place, one).split("</summary>"))
        words = f"{place}. {one.sentence} {one.belongs_to} {one.advice} Tell {one.tell}."
        for numbers in (re.compile(r"\d[\d,.:-]*(?<![.,:-])"), re.compile(r"[\w/]{4,}")):
            told_there = {*numbers.findall(line), *numbers.findall(more)}
            assert told_there >= {*numbers.findall(in_panel_words(words))} - {"mostly"}
        assert one.sentence.split(", mostly ")[0].split(". ")[0].rstrip(".") in line
        assert one.belongs_to in line
        assert len(line) < 260
    dataset = fl.datasets.open_dataset("sample", settings)
    words, frame = changes_of(dataset, fl.open_logs(dataset), settings, fl.Selection(), "")
    assert words == "from 2026-10-01 09:55 UTC on, against the time before"
    task = frame[frame["what"] == "task"].iloc[0]
    rows = dataset.to_pandas()
    times = rows.loc[rows["taskid"] == task["taskid"], "time"]
    since, until = (pd.Timestamp(f"2026-10-01T{at}", tz="UTC") for at in ("09:55", "10:55"))
    first = pd.Timestamp(dataset.outcome().since, unit="ms", tz="UTC")
    before = (times < since).sum() / ((since - first) / pd.Timedelta(hours=1))
    rate = ((times >= since) & (times < until)).sum()
    assert rate > 10 * before > 0
    assert changes_in_words(frame)[0] == (
        f"task {task['taskid']} {task['taskname']}: up from {before:,.0f} to {rate:,.0f} queries an hour, back to "
        "normal since 10:55"
    )
    logs, whole = fl.open_logs(dataset), dataset.outcome()
    ends = [pd.Timestamp(at, unit="ms", tz="UTC").to_pydatetime() for at in (whole.since, whole.until + 1)]
    windows = [(logs, fl.Selection(since=a, until=b)) for a, b in ((ends[0], since), (since, until), (until, ends[1]))]
    alone = fl.what_changed(*windows[:2], top=5)
    told = alone[alone["significant"].fillna(False) & alone["what"].isin(frame["what"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(frame.drop(columns="then"), told[[name for name in frame if name != "then"]])
    later = fl.what_changed(windows[0], windows[2], top=None)
    up = {tuple(row) for row in later.loc[later["verdict"].isin(["more", "new"]), _NAMES].astype(object).to_numpy()}
    names = [tuple(row) for row in frame[_NAMES].astype(object).to_numpy()]
    assert [then.startswith("still") for then in frame["then"]] == [name in up for name in names]


def plain(text: str) -> str:
    """Return the text of HTML."""
    return unescape(re.sub(r"<[^>]+>", "", text))


@pytest.mark.slow
def test_the_sample_has_folder_figures_with_settings_that_name_no_coolr(made: Path) -> None:
    settings = fl.Settings(data_dir=made)
    dataset = fl.datasets.open_dataset("sample", settings)
    assert (settings.coolr_host, settings.coolr_archive) == (None, None)
    known = with_payloads(dataset, settings)
    figures = fl.caching.efficiency(dataset, known, progress=False)
    assert figures["wasted_dbtime"].notna().any()
    elsewhere = settings.model_copy(update={"coolr_host": "coolr.example"})
    assert with_payloads(dataset, elsewhere) is elsewhere
    other = fl.datasets.open_dataset("day", settings)
    assert with_payloads(other, settings) is settings  # its payloads are not those of the embedded sample


def test_a_folder_without_tags_is_said_to_be_one() -> None:
    record = dict.fromkeys(("db", "schema", "nodefullpath"), "X") | {
        "tagname": "none",
        "wasted_dbtime": None,
        "cause": "",
    }
    assert "X X (a folder without tags)</p>" in folder_told(record, None, fl.Selection(), None)
    assert "X X A-1</p>" in folder_told({**record, "tagname": "A-1"}, None, fl.Selection(), None)


def test_a_burst_is_found_with_its_beginning_and_its_end() -> None:
    def counted(*parts: tuple[int, int]) -> pd.DataFrame:
        queries = [value + place % 5 for length, value in parts for place in range(length)]
        return pd.DataFrame({"time": pd.date_range("2026-10-01", periods=len(queries), freq="5min", tz="UTC")}).assign(
            queries=queries
        )

    hour = [pd.Timestamp(f"2026-10-01T{at}", tz="UTC") for at in ("00:00", "02:00", "03:00", "06:00")]
    assert burst_of(counted((24, 50), (12, 300), (36, 50))) == (hour[1], hour[2], True, True)
    assert burst_of(counted((60, 50), (12, 300))) == (pd.Timestamp("2026-10-01T05:00", tz="UTC"), hour[3], True, False)
    assert burst_of(counted((24, 300), (48, 50))) == (hour[0], hour[1], False, True)
    for calm in (counted((72, 50)), counted((36, 50), (36, 60)), counted((1, 1)), counted((24, 50), (48, 300))):
        assert burst_of(calm) is None


def test_what_is_waited_for_is_said_at_its_place(settings: fl.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = OverviewPanel(settings, dataset="day", shown=False)
    assert (panel.phase, panel.found) == (Phase.READY, {})  # in a tab that is not open nothing is asked
    waiting: dict[str, list[str]] = {}

    def seen(logs: object, *_: object) -> None:
        waiting["then"] = [panel._heads[name].value for name in ("incidents", "folders", "changes")]

    monkeypatch.setattr(overview_work, "totals", seen)
    for name in ("over_time", "changes_of", "_incidents"):
        monkeypatch.setattr(overview_work, name, lambda *_: None)
    monkeypatch.setattr(overview_work._Folders, "figures", lambda _: None)
    panel.shown = True
    assert panel.wait(LONG)
    assert panel.error == ""
    words = ("Looking for incidents …", "Finding them …", "Comparing times …")
    assert [word in head for word, head in zip(words, waiting["then"], strict=True)] == [True] * 3
    assert overview_work.waiting("incidents", 1) == "Looking for incidents in 1 query: a few seconds …"
    assert overview_work.waiting("folders", 5_000_000) == "Finding them in 5,000,000 queries: about 10 s …"
    assert "about 2 min" in overview_work.waiting("incidents", 60_000_000)
    assert not [head.value for head in panel._heads.values() if "…" in head.value]
    panel.close()


def test_an_incomplete_dataset_is_said_to_be_so_before_its_numbers_and_resumed(settings: fl.Settings) -> None:
    manifest = settings.data_dir / "datasets" / "day" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"complete"', '"incomplete"', 1))
    board = Dashboard(settings, dataset="day", tab="Data")
    panel, asked = board.panels["Overview"], []
    told, resume = panel._lacks.children
    assert "The dataset day is incomplete: every number is too small." in told.value
    assert panel.found == {}
    board.panels["Datasets"].resume = lambda: asked.append(board.panels["Datasets"].dataset)
    resume.click()
    assert (asked, board.tab, board.section) == (["day"], "Data", "Datasets")
    manifest.write_text(manifest.read_text().replace('"incomplete"', '"complete"', 1))
    panel.refresh()
    assert panel._lacks.children == ()
    board.close()


@pytest.mark.slow
def test_of_one_query_no_part_of_the_overview_fails(tmp_path: Path) -> None:
    settings = fl.sample.settings(data_dir=tmp_path)
    World(1, seed=3, malformed=0).write(tmp_path / "one.ndjson")
    fl.extract(settings, source=tmp_path / "one.ndjson", name="one", progress=False)
    panel = OverviewPanel(settings, dataset="one")
    assert panel.wait(LONG)
    assert {name: step.error for name, step in panel.found.items()} == dict.fromkeys(STEPS)
    assert "There is too little time" in panel._changed.value
    assert "No folder wastes database time" in panel._heads["folders"].value
    assert "Nothing unusual was found in 1 query" in panel._heads["incidents"].value
    panel.close()


@pytest.mark.slow
def test_a_folder_keeps_its_button_when_its_advice_comes(settings: fl.Settings) -> None:
    """A click on a button that was replaced meanwhile would be lost."""
    panel = OverviewPanel(settings)
    cards: list[tuple[Widget, ...]] = []

    def note(change: dict[str, dict[str, Step]]) -> None:
        if "advice" in change["new"]:
            cards.append(panel._worst.children)  # of the folders alone: the advice is shown after this

    panel.observe(note, "found")
    panel.dataset = "day"
    assert panel.wait(LONG)
    assert len(panel._worst.children) == 3
    assert cards[0] == panel._worst.children
    assert all(card.comm is not None for card in cards[0])
    advice = panel.found["advice"].result
    told = [card.children[0].value for card in panel._worst.children]
    assert all(escape(one.cure) in text for one, text in zip(advice, told, strict=True))
    panel.close()
