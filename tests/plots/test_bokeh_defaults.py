"""The defaults that `tests.support.bokeh_defaults` keeps are those that Bokeh works out for each model."""

from __future__ import annotations

import inspect

import pytest
from bokeh.core.has_props import HasProps
from bokeh.core.property.descriptors import PropertyDescriptor
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
    compared = 0
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
                if not descriptor.has_unstable_default(models[1]):
                    assert repr(first) == repr(second) == repr(right), (one, descriptor.name)
                    compared += 1
    assert compared > 2_000


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
