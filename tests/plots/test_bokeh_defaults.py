"""Models with `tests.support.bokeh_defaults` are those that Bokeh makes without it."""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter

import pytest
from bokeh.core.has_props import HasProps
from bokeh.core.properties import value
from bokeh.core.property.descriptors import PropertyDescriptor, UnsetValueError
from bokeh.core.property.wrappers import PropertyValueContainer
from bokeh.document import Document
from bokeh.models import (
    Axis,
    Column,
    ColumnDataSource,
    Div,
    GlyphRenderer,
    Legend,
    LegendItem,
    LinearAxis,
    Scatter,
    Slider,
    Title,
    annotations,
    axes,
    formatters,
    glyphs,
    plots,
    tickers,
    tools,
)
from bokeh.plotting import figure
from bokeh.themes import Theme

from tests.support.bokeh_defaults import USUAL

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


def written() -> tuple[object, ...]:
    """Make models and return what is written of them, and which ones are found in them."""
    plot = figure(x_range=["a", "b"], tooltips=[("x", "@x")], toolbar_location="above")
    source = ColumnDataSource({"x": ["a", "b"], "y": [1.5, float("nan")]})
    plot.vbar("x", top="y", source=source, fill_color="#123456", line_alpha=0.0, legend_label="bars")
    plot.scatter("x", value("y"), size=3, source=source, marker="square", fill_color=None)
    plot.xaxis.major_label_overrides = {0: "zero"}
    plot.yaxis[0].ticker.tags.append("mine")
    plot.legend[0].margin = 0
    plot.legend[0].margin = 0
    plot.add_layout(Title(text="$$x$$", visible=False), "below")
    document = Document(theme=Theme(json={"attrs": {"Axis": {"axis_line_color": "red"}}}))
    found = [type(one).__name__ for one in plot.references()]
    alone = [plot.properties_with_values(include_defaults=False).keys(), sorted(plot.properties_with_values())]
    document.add_root(Column(plot, Div(text="<b>"), Slider(start=0, end=1, value=0.5)))
    text = json.dumps(document.to_json(deferred=False))
    numbers: dict[str, int] = {}
    text = re.sub(r'"(p\d+)"', lambda one: f'"#{numbers.setdefault(one[1], len(numbers))}"', text)
    document.clear()
    return text, json.dumps([str(names) for names in alone]), sorted(found)


def test_what_is_written_and_found_is_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = written(), written()  # the second knows what the first has found out
    with monkeypatch.context() as patch:
        for (owner, name), usual in USUAL.items():
            assert getattr(owner, name) is not usual
            patch.setattr(owner, name, usual)
        assert first == second == written()


def test_wrong_and_lacking_values_are_refused_each_time() -> None:
    title = Title(visible=True, level="overlay")
    for _ in range(2):
        with pytest.raises(ValueError, match="failed to validate Title"):
            title.visible = 1  # though it equals True
        with pytest.raises(ValueError, match="failed to validate Title"):
            title.level = "nowhere"
        with pytest.raises(ValueError, match="Screen sizes must be positive"):
            Scatter(size=-1)
        with pytest.raises(UnsetValueError, match="doesn't have a value set"):
            LegendItem(label="a", renderers=[GlyphRenderer()]).references()
        with pytest.raises(UnsetValueError, match="doesn't have a value set"):
            GlyphRenderer().properties_with_values(include_defaults=False)
    assert (title.visible, title.level) == (True, "overlay")
