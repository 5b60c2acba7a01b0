"""Widgets of a kind share a class, and nothing else; and what the tests keep of classes is what ipywidgets finds."""

from __future__ import annotations

import anywidget
import pytest
import traitlets
from frontierlab_widgets import Dashboard
from frontierlab_widgets.drawn_by_page import DrawnByPage
from frontierlab_widgets.table import Table
from ipywidgets import Widget
from ipywidgets.widgets.widget import _instances
from traitlets import HasTraits

import frontierlab as fl


class One(DrawnByPage):
    _esm = "export default {}"
    number = traitlets.Int(1).tag(sync=True)


class Another(One):
    _css = "p {}"


class Usual(anywidget.AnyWidget):
    _esm = "export default {}"
    number = traitlets.Int(1).tag(sync=True)


def test_widgets_of_a_kind_share_a_class_and_no_value() -> None:
    first, second, usual = One(number=2), One(), Usual(number=2)
    assert type(first) is type(second)
    assert type(Another()) is not type(first)
    assert (first.number, second.number) == (2, 1)
    first.set_trait("_esm", "changed")
    assert (first._esm, second._esm, One()._esm) == ("changed", "export default {}", "export default {}")
    heard: list[object] = []
    first.observe(heard.append, "_esm")
    second.set_trait("_esm", "other")
    assert heard == []
    state = {**second.get_state(), "number": 2, "_esm": usual._esm, "_anywidget_id": usual._anywidget_id}
    assert {*state} == {*usual.get_state()}
    assert {**state, "layout": usual.get_state()["layout"]} == usual.get_state()
    assert Another().get_state()["_css"] == "p {}"
    assert "_css" not in first.get_state()


def test_other_code_of_a_kind_makes_another_class(monkeypatch: pytest.MonkeyPatch) -> None:
    former = One()
    monkeypatch.setattr(One, "_esm", "export default {render() {}}")
    assert One()._esm == "export default {render() {}}"
    assert former._esm == "export default {}"


def test_what_the_tests_keep_of_traits_is_what_ipywidgets_finds(tmp_path) -> None:
    others = {*_instances}
    board = Dashboard(fl.sample.settings(data_dir=tmp_path), tab="Data")
    board.show_settings()
    mine = [widget for number, widget in [*_instances.items()] if number not in others]
    kinds = {type(widget): widget for widget in mine}
    assert len(kinds) > 25
    assert Table in {kind.__mro__[1] for kind in kinds}
    for widget in kinds.values():
        assert isinstance(widget, Widget)
        assert {*widget.keys} == {*widget.traits(sync=True)}
        for name in widget.traits():
            for key in ("to_json", "from_json", "sync", "nothing"):
                assert widget.trait_metadata(name, key, 7) == HasTraits.trait_metadata(widget, name, key, 7)
    with pytest.raises(traitlets.TraitError, match="does not have a trait named nothing"):
        board.trait_metadata("nothing", "sync")
    board.close()
