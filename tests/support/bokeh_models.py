"""Models of Bokeh are made, searched and written with fewer steps in the tests, to the same result.

For each model, Bokeh goes through all properties of its class: when it is made, when models are looked for in it, and
when it is written. Here a model goes through those that can matter: what was set, and what each model has for itself.
An equal plain value is checked once for a property.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bokeh.model.util
from bokeh.core.has_props import HasProps
from bokeh.core.property.bases import Property, Undefined, validation_on
from bokeh.core.property.dataspec import DataSpec
from bokeh.core.property.descriptors import PropertyDescriptor
from bokeh.core.property.singletons import Intrinsic
from bokeh.core.property.vectorization import Field, Value
from bokeh.core.property.wrappers import PropertyValueContainer
from bokeh.document import document
from bokeh.model import Model
from bokeh.settings import settings

PLAIN = frozenset({type(None), bool, int, str})
"""The types of values of which an equal one is the same: not those of 0.0 and -0.0."""

LONGEST = 64
"""The characters of the longest text that is remembered."""

SCALAR = frozenset({*PLAIN, float})

CHANGED = (
    (Property, "prepare_value"),
    (DataSpec, "to_serializable"),
    (HasProps, "__init__"),
    (HasProps, "query_properties_with_values"),
    (bokeh.model.util, "visit_immediate_value_references"),
    (document, "is_DataModel"),
)
"""What has fewer steps."""

Descriptor = PropertyDescriptor[Any]
Patch = Callable[[object, str, object], None]
Key = tuple[type[HasProps], str]


def use_fewer_steps(
    set_attribute: Patch, kept: dict[Key, Any], empty: dict[Key, type[Any]], themed: Callable[[HasProps], Any]
) -> None:
    """Let Bokeh go through what matters of a model; defaults of classes that are known are `kept` or `empty`."""
    _check_equal_values_once(set_attribute)
    _write_what_is_set(set_attribute, themed)
    _make_without_empty_containers(set_attribute, empty)
    _look_for_models_in_what_is_set(set_attribute, kept, empty, themed)
    data_models: dict[type[HasProps], bool] = {}
    is_data_model = document.is_DataModel

    def known_data_model(kind: type[HasProps]) -> bool:
        if kind not in data_models:
            data_models[kind] = is_data_model(kind)
        return data_models[kind]

    set_attribute(document, "is_DataModel", known_data_model)
    for setting in (settings.simple_ids, settings.serialize_include_defaults):  # asked for each model
        set_attribute(setting, "_user_value", setting())


def _check_equal_values_once(set_attribute: Patch) -> None:
    prepared: dict[tuple[int, type[Any], Any], tuple[Property[Any], Any]] = {}
    prepare = Property.prepare_value

    def prepare_value(self: Property[Any], owner: Any, name: str, value: Any, *, hint: Any = None) -> Any:
        kind = type(value)
        if kind not in PLAIN or hint is not None or (kind is str and len(value) > LONGEST) or not validation_on():
            return prepare(self, owner, name, value, hint=hint)
        key = (id(self), kind, value)
        if key in prepared:
            return prepared[key][1]
        found = prepare(self, owner, name, value)
        if type(found) in PLAIN and not self.assertions:
            prepared[key] = self, found  # the property stays, and so does its id
        return found

    set_attribute(Property, "prepare_value", prepare_value)
    written: dict[tuple[int, type[Any], Any], tuple[Property[Any], type[Any] | None]] = {}
    write = DataSpec.to_serializable

    def to_serializable(self: DataSpec, obj: HasProps, name: str, value: Any) -> Any:
        kind = type(value)
        if kind not in PLAIN:
            return write(self, obj, name, value)
        key = (id(self), kind, value)
        if key not in written:
            found = write(self, obj, name, value)
            if type(found) not in (Value, Field) or found != type(found)(value):
                return found
            written[key] = self, type(found)
        return written[key][1](value)

    set_attribute(DataSpec, "to_serializable", to_serializable)


def _make_without_empty_containers(set_attribute: Patch, empty: dict[Key, type[Any]]) -> None:
    own: dict[type[HasProps], list[Descriptor]] = {}

    def make(self: HasProps, **properties: Any) -> None:
        super(HasProps, self).__init__()
        self._property_values = {}
        self._unstable_default_values = {}
        self._unstable_themed_values = {}
        for name, value in properties.items():
            if value is not Undefined and value is not Intrinsic:
                setattr(self, name, value)
        kind = type(self)
        if kind not in own:
            own[kind] = [one for one in kind.descriptors() if one.has_unstable_default(self)]
        for one in own[kind]:
            if one.name not in properties and (kind, one.name) not in empty:  # an empty one is made when it is read
                one._get(self)
        self._initialized = True

    set_attribute(HasProps, "__init__", make)


def _write_what_is_set(set_attribute: Patch, themed: Callable[[HasProps], Any]) -> None:
    lacking: dict[type[HasProps], set[str]] = {}
    look_up = HasProps.query_properties_with_values

    def has_no_default(one: Descriptor, model: HasProps) -> bool:
        return not one.has_unstable_default(model) and one.class_default(type(model)) is Undefined

    def query_properties_with_values(
        self: HasProps,
        query: Callable[[Descriptor], bool],
        *,
        include_defaults: bool = True,
        include_undefined: bool = False,
    ) -> dict[str, Any]:
        if include_defaults or themed(self) is not None:
            return look_up(self, query, include_defaults=include_defaults, include_undefined=include_undefined)
        kind = type(self)
        if kind not in lacking:
            lacking[kind] = {one.name for one in kind.descriptors() if has_no_default(one, self)}
        values, own = self._property_values, self._unstable_default_values
        if not lacking[kind] <= values.keys():  # this is an error, or told as undefined
            return look_up(self, query, include_defaults=include_defaults, include_undefined=include_undefined)
        result: dict[str, Any] = {}
        for one in kind.descriptors():
            name = one.name
            if (name in values or name in own) and query(one):
                value = one.get_value(self)
                if name in values or not isinstance(value, PropertyValueContainer):
                    result[name] = value
        return result

    set_attribute(HasProps, "query_properties_with_values", query_properties_with_values)


def _look_for_models_in_what_is_set(
    set_attribute: Patch, kept: dict[Key, Any], empty: dict[Key, type[Any]], themed: Callable[[HasProps], Any]
) -> None:
    visit_value = bokeh.model.util.visit_value_and_its_immediate_references

    def visit(value: Any, visitor: Callable[[Model], None]) -> None:
        if not isinstance(value, HasProps) or themed(value) is not None:
            look_up(value, visitor)
            return
        kind, values, own = type(value), value._property_values, value._unstable_default_values
        for name in kind.properties_with_refs():
            if name in values:
                child = values[name]
            elif name in own:
                child = own[name]
            elif (kind, name) in empty or kept.get((kind, name), Undefined) is not Undefined:
                continue
            else:
                child = getattr(value, name)
            if type(child) not in SCALAR:
                visit_value(child, visitor)

    look_up = bokeh.model.util.visit_immediate_value_references
    set_attribute(bokeh.model.util, "visit_immediate_value_references", visit)
