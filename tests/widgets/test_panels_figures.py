"""Figures of panels, and what comes late: from the page, and from a history that is read."""

from __future__ import annotations

import threading

import pandas as pd
import pytest
from bokeh.core.serialization import UnknownReferenceError
from bokeh.plotting import figure
from frontierlab_widgets import caching_history
from frontierlab_widgets.bokeh_views import Figures
from frontierlab_widgets.caching_history import History

from frontierlab import Settings

LONG = 30  # seconds after which a test that waits has failed


def said(kind: str, model: str, **more: object) -> dict[str, object]:
    """A message of the page, as jupyter_bokeh sends it."""
    return {"event": "jsevent", "kind": kind, "model": {"id": model}, **more}


def test_what_the_page_says_of_figures_that_were_replaced_is_passed_over() -> None:
    shown = Figures()
    former, plot = figure(), figure()
    shown.show([former], dark=False)
    view = shown._view
    root = view._model.id
    shown.show([plot], dark=False)
    assert shown._view is view  # one view, or the browser's memory grows
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


def test_a_history_that_is_read_late_is_dropped_and_one_that_fails_is_said(data_dir, monkeypatch) -> None:
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
    shown = History(lambda chosen: None, failed.append)
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
