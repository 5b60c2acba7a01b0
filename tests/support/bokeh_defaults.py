"""Defaults of Bokeh's models are worked out once in the tests, and in the kernels that they start.

Bokeh copies, checks and transforms the default of a property each time that it is read, and it reads all properties of
a model several times: a third of the processor time of a report. A default that is the same in all models of a class is
kept here; of one that is an empty container, each model gets one of its own. What tests and the package set is checked
as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bokeh.core.has_props import HasProps
from bokeh.core.property.bases import Undefined
from bokeh.core.property.descriptors import PropertyDescriptor
from bokeh.core.property.wrappers import PropertyValueDict, PropertyValueList, PropertyValueSet

IMMUTABLE = (type(None), bool, int, float, str, type(Undefined))
"""The types of defaults that all models of a class can share."""

CONTAINERS = (PropertyValueDict, PropertyValueList, PropertyValueSet)
"""The types of defaults that each model has for itself, and that are the same where they are empty."""


STARTUP = """
from tests.support.bokeh_defaults import keep_defaults
keep_defaults(setattr)
del keep_defaults
"""


def keep_defaults_in_kernels(folder: Path) -> None:
    """Let kernels with this `IPYTHONDIR` do so; their `PYTHONPATH` needs the root of the project."""
    startup = folder / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "bokeh_defaults.py").write_text(STARTUP)


def keep_defaults(set_attribute: Callable[[object, str, object], None]) -> None:
    """Let Bokeh work out an immutable or empty default once for each class."""
    kept: dict[tuple[type[HasProps], str], Any] = {}
    empty: dict[tuple[type[HasProps], str], type[Any]] = {}
    unstable: dict[tuple[type[HasProps], str], bool] = {}
    work_out, look_up = PropertyDescriptor._get_default, PropertyDescriptor.has_unstable_default

    def has_unstable_default(self: PropertyDescriptor[Any], obj: HasProps) -> bool:
        key = (type(obj), self.name)
        if key not in unstable:
            unstable[key] = look_up(self, obj)
        return unstable[key]

    def get_default(self: PropertyDescriptor[Any], obj: HasProps) -> Any:
        name = self.name
        own = obj._unstable_default_values
        if themed_values(obj) is not None:
            return work_out(self, obj)
        if name in own:
            return own[name]
        key = (type(obj), name)
        if key in kept:
            return kept[key]
        if key in empty:
            container = empty[key]()
            container._register_owner(obj, self)
            own[name] = container
            return container
        value = work_out(self, obj)
        if not has_unstable_default(self, obj):
            if type(value) in IMMUTABLE:
                kept[key] = value
        elif type(value) in CONTAINERS and not value:
            empty[key] = type(value)
        return value

    set_attribute(PropertyDescriptor, "_get_default", get_default)
    set_attribute(PropertyDescriptor, "has_unstable_default", has_unstable_default)
    set_attribute(HasProps, "themed_values", themed_values)


def themed_values(model: HasProps) -> dict[str, Any] | None:
    """Return what a theme sets, as Bokeh does, but without an exception for each model that has none."""
    return vars(model).get("__themed_values__")
