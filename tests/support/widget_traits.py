"""What is the same in all widgets of a class is worked out once in the tests.

ipywidgets looks through all traits of each new widget for those that a page has, and for how a value is told each time
that it tells one: a third of the processor time of a panel.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import pytest
from ipywidgets import Widget
from traitlets import HasTraits


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

    patch.setattr(Widget.__dict__["_default_keys"], "func", default_keys)
    patch.setattr(Widget, "trait_metadata", trait_metadata, raising=False)
