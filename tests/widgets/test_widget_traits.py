"""With `tests.support.widget_traits`, widgets tell what they tell without it."""

from __future__ import annotations

from typing import Any

import ipywidgets
import pytest
import traitlets
from frontierlab_widgets import Dashboard
from ipywidgets.widgets.widget import _instances
from traitlets import TraitError

import frontierlab as fl
from tests.support.widget_traits import USUAL_STATE


def test_all_widgets_of_a_dashboard_tell_what_they_told(tmp_path) -> None:
    assert ipywidgets.Widget.get_state is not USUAL_STATE
    former = {*_instances}
    board = Dashboard(fl.sample.settings(data_dir=tmp_path))
    for name in board.panels:
        board.panels[name].wait(60)
    made: list[Any] = [one for name, one in [*_instances.items()] if name not in former]
    assert len({type(one) for one in made}) > 20
    for one in made:
        assert one.get_state() == USUAL_STATE(one)
        assert one.get_state(drop_defaults=True) == USUAL_STATE(one, drop_defaults=True)
        for key in one.keys:
            assert one.get_state(key) == USUAL_STATE(one, key)
        assert one.get_state(["layout"] * ("layout" in one.keys)) == USUAL_STATE(
            one, ["layout"] * ("layout" in one.keys)
        )
    board.close()


def test_traits_of_a_class_and_of_one_widget_are_told_and_others_refused() -> None:
    class Own(ipywidgets.IntText):
        twice = traitlets.Int(2).tag(sync=True, to_json=lambda value, widget: 2 * value)

    one, other = Own(value=7), Own()
    assert (one.get_state()["twice"], one.get_state("value")) == (4, {"value": 7})
    one.add_traits(more=traitlets.Int(5).tag(sync=True))
    one.twice = 3
    for widget in (one, other):
        assert widget.get_state() == USUAL_STATE(widget)
    assert (one.get_state()["more"], "more" in other.get_state()) == (5, False)
    for get in (one.get_state, lambda name: USUAL_STATE(one, name)):
        with pytest.raises(TraitError, match="does not have a trait named nothing"):
            get("nothing")
