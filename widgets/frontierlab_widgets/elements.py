"""The widgets of ipywidgets that panels are made of; they share their layouts and styles."""

from __future__ import annotations

import ipywidgets

from frontierlab_widgets.shared_looks import SharingMixin, change_layout, field_layout, is_shown, layout, show

__all__ = [
    "Box",
    "Button",
    "Checkbox",
    "Dropdown",
    "FloatProgress",
    "GridBox",
    "HBox",
    "HTML",
    "Label",
    "Password",
    "SelectMultiple",
    "Text",
    "VBox",
    "change_layout",
    "field_layout",
    "is_shown",
    "layout",
    "show",
]


class Box(SharingMixin, ipywidgets.Box):
    """Widgets side by side."""


class HBox(SharingMixin, ipywidgets.HBox):
    """Widgets in a row."""


class VBox(SharingMixin, ipywidgets.VBox):
    """Widgets one below the other."""


class GridBox(SharingMixin, ipywidgets.GridBox):
    """Widgets in a grid."""


class HTML(SharingMixin, ipywidgets.HTML):
    """Text with markup."""


class Label(SharingMixin, ipywidgets.Label):
    """A line of text."""


class Button(SharingMixin, ipywidgets.Button):
    """A button."""


class Checkbox(SharingMixin, ipywidgets.Checkbox):
    """A box to tick."""


class Dropdown(SharingMixin, ipywidgets.Dropdown):
    """A choice of one option."""


class SelectMultiple(SharingMixin, ipywidgets.SelectMultiple):
    """A choice of several options."""


class Text(SharingMixin, ipywidgets.Text):
    """A field for a line of text."""


class Password(SharingMixin, ipywidgets.Password):
    """A field for a secret."""


class FloatProgress(SharingMixin, ipywidgets.FloatProgress):
    """A bar that shows how far work has got."""
