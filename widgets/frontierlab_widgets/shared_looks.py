"""Layouts and styles that widgets share.

ipywidgets makes a layout and a style for each widget, and each is a message to the page, a model there, and a piece of
a saved notebook: two of three widgets of a dashboard were layouts and styles, nearly all of them equal to others. Here
equal ones are one. So none is changed in place: a widget gets another one (`show`, `change_layout`).
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from typing import Any

import ipywidgets
import traitlets

__all__ = ["Shared", "SharingMixin", "change_layout", "field_layout", "is_shown", "layout", "shared", "show"]

_LOCK = threading.RLock()  # panels are made in several threads
_MADE: dict[tuple[type, frozenset[tuple[str, str]]], Any] = {}


class Shared(ipywidgets.Widget):
    """The base of layouts and styles that are shared; their values stay as they were made."""

    _values: Mapping[str, str] | None = None  # None until it is made

    def __setattr__(self, name: str, value: Any) -> None:
        self._refuse(name)
        super().__setattr__(name, value)

    def set_trait(self, name: str, value: Any) -> None:
        """Refuse to change a value."""
        self._refuse(name)
        super().set_trait(name, value)

    def _refuse(self, name: str) -> None:
        if self._values is not None and name in self.keys:
            raise AttributeError(
                f"{name} would change for all widgets that share this {type(self).__name__}. Give the widget one of its"
                " own, such as widget.layout = ipywidgets.Layout(width='300px'). Panels call show() or change_layout()."
            )

    def values(self) -> dict[str, str]:
        """Return the values that it was made with."""
        return dict(self._values or {})


@functools.cache
def _sharable(kind: type) -> Any:
    return type(kind.__name__, (Shared, kind), {"__doc__": f"A `{kind.__name__}` that widgets share."})


def shared(kind: type, values: Mapping[str, str]) -> Any:
    """Return the one layout or style that has these values.

    Parameters
    ----------
    kind
        `ipywidgets.Layout`, or the class of a style.
    values
        Its values by name.
    """
    key = (kind, frozenset(values.items()))
    made = _MADE.get(key)
    if made is not None and made.comm is not None:
        return made
    with _LOCK:  # another thread gets it when the page has been told of it
        made = _MADE.get(key)
        if made is None or made.comm is None:  # a user may have closed all widgets
            made = _sharable(kind)(**values)
            made._values = dict(values)
            _MADE[key] = made
    return made


def layout(**values: str) -> Any:
    """Return the one `ipywidgets.Layout` that has these values."""
    return shared(ipywidgets.Layout, values)


def field_layout(width: str = "340px") -> Any:
    """Return the layout of a field of this width, which a narrower page makes smaller."""
    return layout(width=width, max_width="98%")


def change_layout(widget: ipywidgets.Widget, **values: str) -> None:
    """Change values of the layout of a widget, and of no other widget."""
    former = widget.layout
    if isinstance(former, Shared):
        widget.layout = layout(**{**former.values(), **values})
    else:  # its own
        for name, value in values.items():
            setattr(former, name, value)


def show(widget: ipywidgets.Widget, shown: object) -> None:
    """Show a widget in its place if `shown` is true, or hide it."""
    change_layout(widget, display="" if shown else "none")


def is_shown(widget: ipywidgets.Widget) -> bool:
    """Return whether a widget is shown in its place."""
    return bool(widget.layout.display != "none")


class SharingMixin(traitlets.HasTraits):
    """A widget whose layout and style are shared, unless it is given one of its own.

    Both can be given as mappings, as in ipywidgets.
    """

    def __init__(self, *args: Any, **traits: Any) -> None:
        for name in ("layout", "style"):
            if isinstance(traits.get(name), Mapping):
                traits[name] = self._shared(name, traits[name])
        super().__init__(*args, **traits)

    @traitlets.default("layout")
    def _shared_layout(self) -> Any:
        return layout()

    @traitlets.default("style")
    def _shared_style(self) -> Any:
        return self._shared("style", {})

    def _shared(self, name: str, values: Mapping[str, str]) -> Any:
        return shared(getattr(type(self), name).klass, values)
