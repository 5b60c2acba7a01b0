"""The Overview: what it asks, in which order, and what it need not ask again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from frontierlab_widgets import overview_work
from frontierlab_widgets.kept_results import KeptResults
from frontierlab_widgets.overview_panel import OverviewPanel
from frontierlab_widgets.overview_work import STEPS, Step, changes_of, origin_of, over_time, totals
from ipywidgets import Widget

import frontierlab as fl
from frontierlab.errors import StatementError
from frontierlab.sample import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LONG = 60


def extract(settings: fl.Settings, queries: int) -> None:
    """Make the dataset day."""
    export = settings.data_dir / "dump.ndjson"
    World(queries, seed=6).write(export)
    fl.extract(settings, source=export, name="day", progress=False)


@pytest.fixture
def settings(tmp_path: Path) -> fl.Settings:
    """Settings for a data folder with the dataset day."""
    settings = fl.sample.settings(data_dir=tmp_path)
    extract(settings, 1_000)
    return settings


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
def test_spark_gives_the_same_numbers_timeline_and_changes(settings: fl.Settings, running: SparkSession) -> None:
    dataset, selection = fl.datasets.open_dataset("day", settings), fl.Selection(db="CONDBR2")
    logs = {"duckdb": fl.open_logs(dataset, settings=settings), "spark": fl.open_logs(dataset, session=running)}
    assert {engine: one.engine for engine, one in logs.items()} == {engine: engine for engine in logs}
    numbers = {engine: totals(each, selection) for engine, each in logs.items()}
    assert numbers["spark"] == numbers["duckdb"]
    over = {engine: over_time(each, selection, dataset) for engine, each in logs.items()}
    pd.testing.assert_frame_equal(over["spark"], over["duckdb"])
    changed = {engine: changes_of(dataset, each, settings, selection, "") for engine, each in logs.items()}
    assert changed["spark"][0] == changed["duckdb"][0]
    pd.testing.assert_frame_equal(changed["spark"][1], changed["duckdb"][1])


def test_incidents_that_are_one_event_are_told_so(settings: fl.Settings) -> None:
    fl.extract(settings, source=fl.sample.path(), name="sample", progress=False)
    found = fl.diagnose("sample", settings=settings, progress=False)
    assert found.incidents["event"].nunique() == 1 < len(found)
    panel = OverviewPanel(settings)
    origin = origin_of(fl.datasets.open_dataset("sample", settings), fl.Selection(), settings, "")
    panel.found = {"incidents": Step("incidents", found, None, origin)}
    panel._show_incidents()
    assert f"{len(found)} incidents, likely of 1 event" in panel._heads["incidents"].value
    told = [row.children[1].value for row in panel._incidents.children]
    (cause,) = [place for place, one in enumerate(found) if one.cause is None]
    assert ["Likely a consequence of incident" in text for text in told] == [
        place != cause for place in range(len(told))
    ]
    panel.close()


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
    assert all(any(text[-40:] in card.children[0].value for card in cards[0]) for text in advice)
    panel.close()
