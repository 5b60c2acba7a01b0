"""Widgets of panels share their layouts and styles: equal ones are one, and none is changed in place."""

from __future__ import annotations

import threading

import ipywidgets
import pytest
import traitlets
from frontierlab_widgets import ConnectionPanel, Dashboard, JobsPanel, elements
from frontierlab_widgets.shared_looks import Shared
from frontierlab_widgets.tabs import TabBar
from ipywidgets import Widget
from ipywidgets.embed import dependency_state
from ipywidgets.widgets.widget import _instances

import frontierlab as fl
from tests.widgets.test_panels_data import walk


def test_equal_layouts_and_styles_are_one() -> None:
    one, other = elements.HTML(), elements.Button()
    assert one.layout is other.layout is elements.layout()
    assert one.style is elements.HTML().style
    assert one.style is not other.style  # of another kind
    wide = elements.layout(width="90px", max_width="98%")
    assert wide is elements.layout(max_width="98%", width="90px")
    assert elements.Text(layout={"width": "90px", "max_width": "98%"}).layout is wide
    assert (wide.width, wide.max_width, wide.height) == ("90px", "98%", None)
    named = [elements.Text(style={"description_width": "initial"}) for _ in range(2)]
    assert named[0].style is named[1].style
    assert named[0].style.description_width == "initial"
    assert named[0].style is not elements.Text().style


@pytest.mark.parametrize("kind", [elements.HTML, elements.Dropdown, elements.HBox, elements.FloatProgress])
def test_the_page_is_told_the_same_as_by_ipywidgets(kind) -> None:
    ours, usual = kind(), getattr(ipywidgets, kind.__name__)()
    for name in {"layout", "style"} & {*usual.keys}:
        assert getattr(ours, name).get_state() == getattr(usual, name).get_state()
    mine = ours.get_state()
    assert {**mine, **{name: usual.get_state()[name] for name in {"layout", "style"} & {*mine}}} == usual.get_state()


def test_a_widget_is_shown_and_changed_alone() -> None:
    one, other = elements.HTML(layout={"width": "90px"}), elements.HTML(layout={"width": "90px"})
    elements.show(one, False)
    assert (one.layout.display, one.layout.width, elements.is_shown(one)) == ("none", "90px", False)
    assert (other.layout.display, other.layout.width, elements.is_shown(other)) == (None, "90px", True)
    elements.show(one, "anything")
    assert elements.is_shown(one)
    elements.change_layout(one, width="100%")
    assert (one.layout.display, one.layout.width, other.layout.width) == ("", "100%", "90px")


def test_a_layout_of_its_own_stays_with_its_widget() -> None:
    own = ipywidgets.Layout(height="20px")
    widget = elements.HTML(layout=own)
    elements.show(widget, False)
    assert widget.layout is own
    assert (own.display, own.height) == ("none", "20px")


def test_what_the_page_draws_has_a_layout_of_its_own() -> None:
    one, other = TabBar(["one"], "Pages"), TabBar(["one"], "Pages")
    elements.show(one, False)  # the page follows a change of its layout, and not another layout
    assert (one.layout.display, other.layout.display) == ("none", None)
    with pytest.raises(traitlets.TraitError, match="TabBar needs a layout of its own"):
        one.layout = elements.layout()


def test_a_shared_layout_or_style_is_not_changed_in_place() -> None:
    widget = elements.Button(layout={"width": "90px"})
    with pytest.raises(AttributeError, match=r"width would change for all widgets.*widget\.layout = ipywidgets"):
        widget.layout.width = "100%"
    with pytest.raises(AttributeError, match="would change for all widgets"):
        widget.layout.border = "solid"
    with pytest.raises(AttributeError, match="would change for all widgets"):
        widget.layout.set_trait("width", "100%")
    with pytest.raises(AttributeError, match="all widgets that share this ButtonStyle"):
        widget.style.button_color = "red"
    with pytest.raises(AttributeError, match="display would change"):
        widget.layout.set_state({"display": "none"})  # as a page does
    assert (widget.layout.width, widget.style.button_color) == ("90px", None)
    widget.layout = ipywidgets.Layout(width="100%")
    widget.style = ipywidgets.ButtonStyle(button_color="red")
    assert (widget.layout.width, elements.Button().style.button_color) == ("100%", None)


def test_a_layout_with_a_wrong_value_is_not_kept() -> None:
    for _ in range(2):
        with pytest.raises(traitlets.TraitError, match="align_items"):
            elements.layout(align_items="somewhere")


def test_a_panel_has_a_layout_of_its_own(tmp_path) -> None:
    settings = fl.sample.settings(data_dir=tmp_path)
    board, panel, other = Dashboard(settings), JobsPanel(settings), JobsPanel(settings)
    panel.layout.width = board.layout.width = "600px"
    assert (other.layout.width, elements.layout().width) == (None, None)
    for one in (board, panel, other):
        one.close()


def test_few_widgets_are_made(tmp_path) -> None:
    former = {*_instances}
    board = Dashboard(fl.sample.settings(data_dir=tmp_path))
    kinds = [type(widget) for name, widget in [*_instances.items()] if name not in former]
    assert sum(issubclass(kind, ipywidgets.Layout) for kind in kinds) < 100
    assert sum(issubclass(kind, ipywidgets.Style) for kind in kinds) < 15
    shown = [one.layout for one in walk(board) if not isinstance(one.layout, Shared)]
    assert len(shown) == len({*shown}) < 60  # those of panels and of what the page draws
    board.close()


def test_panels_work_after_all_widgets_are_closed(tmp_path) -> None:
    settings = fl.sample.settings(data_dir=tmp_path)
    former = ConnectionPanel(settings)
    closed = elements.layout()
    Widget.close_all()
    panel = ConnectionPanel(settings)
    assert elements.layout() is not closed
    saved = dependency_state([panel])
    for widget in walk(panel):
        for name in ("layout", "style"):
            if hasattr(widget, name):
                assert getattr(widget, name).model_id in saved
    elements.show(former.foot, False)  # a panel that is closed stays quiet
    panel.close()


def test_a_closed_panel_takes_no_layout_from_others(tmp_path) -> None:
    settings = fl.sample.settings(data_dir=tmp_path)
    first, second = JobsPanel(settings), JobsPanel(settings)
    first.close()
    assert all(one.layout.comm is not None for one in walk(second))
    second.close()


def test_threads_get_the_same_layout_once_the_page_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    start = threading.Barrier(8)
    opened = ipywidgets.Layout.open

    def slowly(self) -> None:
        threading.Event().wait(0.05)
        opened(self)

    def make() -> None:
        start.wait()
        one = elements.layout(width="12.5px")
        made.append((one, one.comm is not None))

    monkeypatch.setattr(ipywidgets.Layout, "open", slowly)
    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [(elements.layout(width="12.5px"), True)] * 8
