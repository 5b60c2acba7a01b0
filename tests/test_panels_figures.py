"""Figures of panels, and what the page says of them."""

from __future__ import annotations

import pytest
from bokeh.core.serialization import UnknownReferenceError
from bokeh.plotting import figure
from frontierlab_widgets.figures import Figures


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
