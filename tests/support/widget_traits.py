"""What is the same in all widgets of a class is worked out once in the tests.

ipywidgets looks through all traits of each new widget for those that a page has, and for how a value is told each time
that it tells one: a third of the processor time of a panel. It also reads each value by way of its trait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from ipywidgets import Widget
from traitlets import HasTraits

USUAL_STATE = Widget.get_state
"""What ipywidgets tells of a widget without `keep_traits`."""


def keep_traits(patch: pytest.MonkeyPatch) -> None:
    """Let ipywidgets look for the traits of a class once. A widget that gets further traits gets a class of its own."""
    synced: WeakKeyDictionary[type[HasTraits], list[str]] = WeakKeyDictionary()
    told: WeakKeyDictionary[type[HasTraits], dict[str, dict[str, Any]]] = WeakKeyDictionary()
    look_up = HasTraits.trait_metadata

    def default_keys(self: Widget) -> list[str]:
        kind = type(self)
        if kind not in synced:
            synced[kind] = [*self.traits(sync=True)]
        return [*synced[kind]]

    def trait_metadata(self: Widget, traitname: str, key: str, default: Any = None) -> Any:
        known = told.setdefault(type(self), {})
        if traitname not in known:
            value = look_up(self, traitname, key, default)  # refuses what is no trait
            if hasattr(self, f"_{traitname}_metadata"):
                return value
            known[traitname] = getattr(type(self), traitname).metadata
        return known[traitname].get(key, default)

    told_by: WeakKeyDictionary[type[HasTraits], dict[str, Callable[[Any, Widget], Any] | None]] = WeakKeyDictionary()
    as_it_is = Widget._trait_to_json

    def get_state(self: Widget, key: str | Iterable[str] | None = None, drop_defaults: bool = False) -> dict[str, Any]:
        if drop_defaults or not (key is None or isinstance(key, str)):
            return USUAL_STATE(self, key, drop_defaults)
        known, values, state = told_by.setdefault(type(self), {}), self._trait_values, {}
        for name in self.keys if key is None else (key,):
            if name not in known:
                to_json = trait_metadata(self, name, "to_json", as_it_is)
                known[name] = None if to_json is as_it_is else to_json
            value = values[name] if name in values else getattr(self, name)
            state[name] = value if known[name] is None else known[name](value, self)
        return state

    patch.setattr(Widget, "get_state", get_state)
    patch.setattr(Widget.__dict__["_default_keys"], "func", default_keys)
    patch.setattr(Widget, "trait_metadata", trait_metadata, raising=False)
