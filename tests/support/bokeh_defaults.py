"""Defaults of Bokeh's models are worked out once in the tests.

Bokeh copies, checks and transforms the default of a property each time that it is read, and it reads all properties of
a model several times: a third of the processor time of a report. A default that is the same in all models of a class is
kept here. What tests and the package set is checked as ever.
"""

from __future__ import annotations

from typing import Any

import pytest
from bokeh.core.has_props import HasProps
from bokeh.core.property.bases import Undefined
from bokeh.core.property.descriptors import PropertyDescriptor

IMMUTABLE = (type(None), bool, int, float, str, type(Undefined))
"""The types of defaults that all models of a class can share."""


def keep_defaults(patch: pytest.MonkeyPatch) -> None:
    """Let Bokeh work out an immutable default once for each class."""
    kept: dict[tuple[type[HasProps], str], Any] = {}
    work_out = PropertyDescriptor._get_default

    def get_default(self: PropertyDescriptor[Any], obj: HasProps) -> Any:
        key = (type(obj), self.name)
        if key in kept and themed_values(obj) is None:
            return kept[key]
        value = work_out(self, obj)
        if type(value) in IMMUTABLE and themed_values(obj) is None and not self.has_unstable_default(obj):
            kept[key] = value
        return value

    patch.setattr(PropertyDescriptor, "_get_default", get_default)
    patch.setattr(HasProps, "themed_values", themed_values)


def themed_values(model: HasProps) -> dict[str, Any] | None:
    """Return what a theme sets, as Bokeh does, but without an exception for each model that has none."""
    return vars(model).get("__themed_values__")
