"""A look at an index in the Extract panel: a range of its histogram becomes the period of the extraction."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from frontierlab_widgets import ExtractPanel
from frontierlab_widgets.panel import Phase

import frontierlab as fl
from frontierlab.sample import World
from frontierlab.util.progress import Progress
from tests.widgets.test_panels_data import button

LONG = 60
WIDTH = 300  # seconds
START = pd.Timestamp("2026-10-01", tz="UTC")
COUNTS = [5, 0, 7, 11, 13, 2]


def looked(**changes: Any) -> Any:
    """A look with six bins."""
    time = pd.date_range(START, periods=len(COUNTS), freq=f"{WIDTH}s", unit="ms")
    over_time = pd.DataFrame({"time": time, "cached": COUNTS, "not_cached": 1, "unknown": 0})
    over_time.attrs = {"bin_seconds": WIDTH, "selection": ""}
    given = {
        "over_time": over_time,
        "bin_seconds": WIDTH,
        "queries": sum(COUNTS) + len(COUNTS),
        "index": "logs",
        "since": START.to_pydatetime(),
        "until": (START + len(COUNTS) * pd.Timedelta(seconds=WIDTH)).to_pydatetime(),
        "notes": (),
        "warnings": (),
    }
    return SimpleNamespace(**{**given, **changes})


@pytest.fixture
def panel(settings: fl.Settings, monkeypatch: pytest.MonkeyPatch) -> ExtractPanel:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "frontierlab_widgets.extract_panel.overview", lambda settings, **given: (asked.append(given), looked())[1]
    )
    panel = ExtractPanel(settings.model_copy(update={"es_address": "es.example", "es_index": ("logs",)}), db="CONDBR2")
    panel.asked = asked
    return panel


def ms(minutes: float) -> float:
    return (START + pd.Timedelta(minutes=minutes)).timestamp() * 1_000


def test_a_range_of_the_figure_becomes_the_period_in_whole_bins_with_its_count(panel: ExtractPanel) -> None:
    button(panel, "Look at the index").click()
    assert panel.wait(LONG)
    assert (panel.error, panel.asked[0]["selection"]) == ("", fl.Selection(db="CONDBR2"))
    assert "44 of 44 queries of logs, from the first to now." in panel.live._told.value
    figure = panel.live._figures.view.page.children[0]
    geometry = {"type": "rect", "x0": ms(11), "x1": ms(18.6)}
    panel.live._brushed(SimpleNamespace(final=True, geometry=geometry))
    assert (panel.since, panel.until) == ("2026-10-01T00:10", "2026-10-01T00:20")
    assert f"{7 + 11 + 2} of 44 queries" in panel.live._told.value
    assert panel._inputs["since"].widget.value == "2026-10-01T00:10"
    panel.live.brush(ms(1), ms(1.1))  # the smallest range is a bin
    assert (panel.since, panel.until) == ("2026-10-01", "2026-10-01T00:05")
    panel.until = "2026-10-01T00:07"
    assert f"Up to {5 + 0 + 2} of 44 queries" in panel.live._told.value
    button(panel, "The whole look").click()
    assert (panel.since, panel.until) == ("", "")
    assert panel.live._figures.view.page.children[0] is figure  # nothing was asked or drawn again
    assert len(panel.asked) == 1


def test_a_look_of_other_queries_is_grey_and_says_so(panel: ExtractPanel) -> None:
    panel.look_over()
    assert panel.wait(LONG)
    panel.cached = True
    assert "These are other queries" in panel.live._told.value
    assert "frontierlab-stale" in panel.live._greyed._dom_classes
    panel.cached = None
    assert "frontierlab-stale" not in panel.live._greyed._dom_classes
    panel.source = "/some/export"
    assert button(panel, "Look at the index").disabled


def test_a_look_can_be_stopped_and_needs_an_index(settings: fl.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()

    def slow(settings: fl.Settings, *, progress: Any, **given: Any) -> None:
        begun.set()
        while True:
            progress(Progress("overview", 0, None, 0.0, None))

    monkeypatch.setattr("frontierlab_widgets.extract_panel.overview", slow)
    panel = ExtractPanel(settings)
    button(panel, "Look at the index").click()
    assert "es_address and es_index are not set" in panel.error
    panel.settings = settings.model_copy(update={"es_address": "es.example", "es_index": ("logs",)})
    panel.look_over()
    assert begun.wait(LONG)
    panel.stop()
    assert panel.wait(LONG)
    assert (panel.phase, panel.live.layout.display) == (Phase.STOPPED, "none")


@pytest.mark.elasticsearch
def test_the_count_of_a_range_is_that_of_its_extraction(elasticsearch_server, es, index, data_dir) -> None:
    fl.sample.load(es, World(2_000, seed=6, indexable=True, malformed=0), index)
    server = elasticsearch_server
    access = {"es_address": server.url, "es_user": server.user, "es_pswd": server.password}
    settings = fl.sample.settings(data_dir=data_dir, es_index=index, es_ca_certs=server.ca_certs, **access)
    panel = ExtractPanel(settings, since="2026-10-01", until="2026-10-02", name="part")
    panel.look_over()
    assert panel.wait(LONG)
    assert panel.error == ""
    panel.live.brush(ms(600.2), ms(1_000))
    counted = panel.live._told.value
    panel.look()
    assert panel.wait(LONG)
    panel.extract()
    assert panel.wait(LONG)
    kept = fl.datasets.open_dataset("part", settings).counts.kept
    assert kept > 0
    assert f">{kept:,} of " in counted
