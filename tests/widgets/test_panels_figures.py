"""Figures of panels, and what comes late: from the page, and from a history that is read."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import bokeh
import pandas as pd
import pytest
from bokeh.core.serialization import UnknownReferenceError
from bokeh.plotting import figure
from frontierlab_widgets import CachingPanel, ExplorePanel, caching_history, caching_panel
from frontierlab_widgets.bokeh_figures import BokehFigures
from frontierlab_widgets.caching_history import HistoryView
from frontierlab_widgets.caching_work import FOLDERS, KEYS

from frontierlab import Selection, Settings
from frontierlab.caching.notes import notes_of
from frontierlab.storage.periods import Period
from tests.support.logs import make_dataset
from tests.widgets.test_panels_data import button

LONG = 30  # seconds after which a test that waits has failed


def said(kind: str, model: str, **more: object) -> dict[str, object]:
    """A message of the page, as jupyter_bokeh sends it."""
    return {"event": "jsevent", "kind": kind, "model": {"id": model}, **more}


def test_messages_about_replaced_figures_are_ignored() -> None:
    shown = BokehFigures()
    former, plot = figure(), figure()
    shown.show([former], dark=False)
    view = shown.view
    root = view._model.id
    shown.show([plot], dark=False)
    assert shown.view is view  # one view, or the browser's memory grows
    # the page removes the former figures once it draws the new ones, and a size may be under way at that time
    view._sync_model(view, said("RootRemoved", root), [])
    view._sync_model(view, said("ModelChanged", former.id, attr="width", new=500), [])
    assert former.width != 500
    view._sync_model(view, said("ModelChanged", plot.id, attr="width", new=500), [])
    assert plot.width == 500
    with pytest.raises(UnknownReferenceError, match="'p0'"):
        view._sync_model(view, said("ModelChanged", "p0", attr="width", new=500), [])
    shown.close()
    shown.close()


@pytest.mark.parametrize(
    ("cause", "repeated", "told"),
    [
        ("same query not cached", 1_234_567, "repeated: 1,234.6"),
        ("same query not cached", pd.NA, ""),
        ("below the threshold", 5_000, ""),
        ("IOVs on no grid", 5e6, ""),
    ],
)
def test_a_row_that_has_its_place_by_what_is_repeated_says_so(cause, repeated, told) -> None:
    (column,) = (one for one in FOLDERS if one.name == "wasted_dbtime")
    assert column.below is not None
    assert column.below({"cause": cause, "repeated_dbtime": repeated}) == told


def test_a_page_that_lacks_bokehjs_gets_it_from_the_kernel(monkeypatch) -> None:
    shown, sent = BokehFigures(), []
    monkeypatch.setattr(shown._drawn, "send", lambda content, buffers: sent.append((content, buffers)))
    shown._drawn._handle_custom_msg({"ask": "something else"}, [])
    assert sent == []
    shown._drawn._handle_custom_msg({"ask": "bokehjs"}, [])
    ((content, (script,)),) = sent
    assert content == {"bokehjs": bokeh.__version__}
    assert f'"{bokeh.__version__}"'.encode() in script


def test_a_late_history_is_dropped_and_a_failed_one_is_reported(data_dir, monkeypatch) -> None:
    """A server that does not answer holds up neither the panel nor the next reading."""
    slow, settings = threading.Event(), Settings(data_dir=data_dir)
    stored = {"dataset": "day", "queries": 5, "wasted_dbtime": 1.0, "notes": ""}
    moments = dict.fromkeys(("period_since", "period_until", "stored"), pd.Timestamp("2026-10-01", tz="UTC"))
    new = pd.DataFrame([{**stored, **moments}])
    new.attrs = {"notes": [], "unreadable": []}
    old = pd.concat([new, new.assign(dataset="before")])
    old.attrs = new.attrs
    answers = iter([lambda: slow.wait(LONG) and old, lambda: new, lambda: 1 / 0])
    monkeypatch.setattr(caching_history.history, "read", lambda settings: next(answers)())
    failed: list[BaseException] = []
    shown = HistoryView(lambda chosen: None, failed.append)
    shown.read(settings)
    late = shown._reading
    shown.read(settings)
    assert shown.wait(LONG)
    slow.set()
    assert late.join(LONG)
    assert [row["cells"][0] for row in shown.stored.rows] == ["day"]
    shown.read(settings)
    assert shown.wait(LONG)
    assert [type(error) for error in failed] == [ZeroDivisionError]


@pytest.fixture
def panel(tmp_path, monkeypatch):
    """A caching panel with a dataset day, and nothing that is computed."""
    monkeypatch.setattr(CachingPanel, "_draw_waste", lambda panel: None)
    make_dataset(tmp_path / "datasets" / "day", [{"schema": "A"}])
    return CachingPanel(Settings(data_dir=tmp_path), dataset="day")


def one_folder(panel: CachingPanel, **selection: str) -> pd.DataFrame:
    """Return caching figures of one folder, as they are computed."""
    dataset = panel.chosen_dataset()
    frame = pd.DataFrame([{column.name: 1 for column in FOLDERS} | dict.fromkeys(KEYS, "A") | {"problem": ""}])
    notes = notes_of(Period([dataset]), Selection(**selection))
    frame.attrs = {"notes": notes, "dataset": [dataset.name, dataset.identity], "selection": selection}
    return frame


def test_the_message_about_figures_disappears_when_they_are_stale(panel, monkeypatch) -> None:
    go, figures = threading.Event(), one_folder(panel)
    monkeypatch.setattr(caching_panel.jobs, "submit", lambda *_, **__: SimpleNamespace(id="1"))
    monkeypatch.setattr(caching_panel, "follow", lambda job, work: go.wait(LONG) and figures)
    panel.compute()
    panel.selection = Selection(cached=False)  # while it is computed
    go.set()
    assert panel.wait(LONG)
    assert (panel.error, panel.message) == ("", "")
    assert "not of the selection" in panel.stale
    panel.selection = Selection()
    panel.compute()
    assert panel.wait(LONG)
    assert (panel.stale, panel.message) == ("", "1 folders and tags, the most wasted or repeated database time first.")
    panel.selection = Selection(cached=False)
    assert panel.message == ""


def test_figures_of_a_window_name_it_above_and_when_stored(panel) -> None:
    window = {"since": "2026-10-01T06:00"}
    panel.selection = Selection(**window)
    panel._take(one_folder(panel, **window), panel.settings)
    assert "Figures of dataset day, from 2026-10-01 06:00 UTC." in panel._about.value
    figures = one_folder(panel, **window)
    figures.attrs["answered"] = {"engine": "duckdb", "from": "queries", "seconds": 0.25}
    panel._take(figures, panel.settings)
    assert "06:00 UTC. DuckDB answered in 0.25 s, from queries." in panel._about.value
    assert panel._notes.value == ""
    panel.store()
    assert panel.wait(LONG)
    told = "1 records of dataset day, from 2026-10-01 06:00 UTC, are stored."
    assert (panel.error, panel.message) == ("", told)


def test_a_panel_offers_datasets_without_opening_one(panel, monkeypatch) -> None:
    (panel.settings.data_dir / "datasets" / "damaged").mkdir()
    opened: list[object] = []
    monkeypatch.setattr("frontierlab.storage.listing._record", opened.append)
    for kind in (ExplorePanel, CachingPanel):
        made = kind(panel.settings)
        assert [name for _, name in made._datasets.listed.options] == ["", "damaged", "day"]
    assert opened == []


def test_exports_are_disabled_before_the_first_plot_and_with_an_invalid_time(panel, monkeypatch) -> None:
    monkeypatch.setattr(ExplorePanel, "draw", lambda panel: None)
    explore = ExplorePanel(panel.settings, dataset="day")
    buttons = [button(explore, name) for name in ("Numbers", "SQL", "Code", "CSV", "Parquet")]
    assert [one.disabled for one in buttons] == [True] * 5
    explore.origin = explore.chosen_origin(explore.chosen_dataset())
    assert [one.disabled for one in buttons] == [False] * 5
    explore._picker._times["since"].value = "noon"
    assert [one.disabled for one in buttons] == [True] * 5
    assert button(panel, "Store").disabled
