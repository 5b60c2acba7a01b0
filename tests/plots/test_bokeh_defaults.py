"""The defaults that `tests.support.bokeh_defaults` keeps are those that Bokeh works out for each model."""

from __future__ import annotations

import inspect
from collections import Counter

import pytest
from bokeh.core.has_props import HasProps
from bokeh.core.property.descriptors import PropertyDescriptor
from bokeh.core.property.wrappers import PropertyValueContainer
from bokeh.document import Document
from bokeh.models import Axis, Legend, LinearAxis, Title, annotations, axes, formatters, glyphs, plots, tickers, tools
from bokeh.plotting import figure
from bokeh.themes import Theme

MODELS = {
    one
    for module in (annotations, axes, formatters, glyphs, plots, tickers, tools)
    for _, one in inspect.getmembers(module, inspect.isclass)
    if issubclass(one, HasProps) and one.__module__.startswith("bokeh.models")
}


@pytest.mark.filterwarnings("ignore::bokeh.util.warnings.BokehDeprecationWarning")
def test_kept_defaults_are_those_of_bokeh() -> None:
    compared: Counter[str] = Counter()
    for one in MODELS:
        try:
            models = [one(), one()]  # the second reads what the first has left
        except (NotImplementedError, ValueError, RuntimeError):  # abstract
            continue
        for descriptor in one.descriptors():
            if type(descriptor) is PropertyDescriptor and descriptor.name not in models[1]._property_values:
                first, second = (descriptor._get_default(model) for model in models)
                right = descriptor.instance_default(models[1])
                assert type(first) is type(second) is type(right)
                overridden = descriptor.is_unstable(one.__overridden_defaults__.get(descriptor.name))
                unstable = descriptor.property._may_have_unstable_default() or overridden
                assert descriptor.has_unstable_default(models[1]) is unstable
                contained = isinstance(right, PropertyValueContainer)
                if not unstable or contained:
                    assert repr(first) == repr(second) == repr(right), (one, descriptor.name)
                    compared["contained" if contained else "equal"] += 1
                if contained:
                    owners = [[*value._owners] for value in (first, second)]
                    assert owners == [[(model, descriptor)] for model in models]
    assert compared["equal"] > 2_000
    assert compared["contained"] > 1_000


def test_a_container_is_of_one_model_which_hears_of_its_changes() -> None:
    LinearAxis()  # the default of the class is known from now on
    first, second = LinearAxis(), LinearAxis()
    heard: list[str] = []
    first.on_change("major_label_overrides", lambda attr, old, new: heard.append(attr))
    assert "major_label_overrides" not in first.properties_with_values(include_defaults=False)
    first.major_label_overrides[1] = "one"
    first.tags.append("mine")
    assert heard == ["major_label_overrides"]
    assert (second.major_label_overrides, LinearAxis().major_label_overrides, second.tags) == ({}, {}, [])
    told = first.properties_with_values(include_defaults=False)
    assert (told["major_label_overrides"], told["tags"]) == ({1: "one"}, ["mine"])


def test_a_theme_and_what_is_set_are_seen_though_defaults_are_kept() -> None:
    plot = figure()
    (axis,) = plot.xaxis
    colours = [LinearAxis().axis_line_color, axis.axis_line_color]
    assert colours == ["black", "black"]
    document = Document(theme=Theme(json={"attrs": {"Axis": {"axis_line_color": "red"}}}))
    document.add_root(plot)
    assert axis.axis_line_color == "red"
    assert LinearAxis().axis_line_color == "black"
    assert isinstance(axis, Axis)
    document.remove_root(plot)
    axis.axis_line_color = "blue"
    assert (axis.axis_line_color, Legend().visible, Title(visible=False).visible) == ("blue", True, False)
