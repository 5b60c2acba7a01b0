"""The common base of widgets that the page draws with code of ours."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from frontierlab_widgets.shared_looks import Shared

__all__ = ["DrawnByPage"]


class DrawnByPage(anywidget.AnyWidget):
    """A widget whose class is made once.

    anywidget adds the same traits to each widget when it is made, and traitlets makes a class for that: a quarter of
    the time that a dashboard takes to open. Here the first widget of a kind makes the class for all of them.

    It has a layout of its own, which can be changed: the page does not follow when an anywidget gets another layout.
    """

    @traitlets.validate("layout")
    def _own_layout(self, proposal: Any) -> Any:
        if isinstance(proposal["value"], Shared):
            raise traitlets.TraitError(f"{type(self).__name__} needs a layout of its own: ipywidgets.Layout(…).")
        return proposal["value"]

    def add_traits(self, **traits: Any) -> None:
        """Add traits, by the class of an earlier widget if that has got the same ones."""
        kind = type(self)
        values = {name: trait.default_value for name, trait in traits.items()}
        former, made = vars(kind).get("_made", ({}, None))
        if made is None or former != values:
            super().add_traits(**traits)
            kind._made = (values, type(self))
            return
        self.__class__ = made
        for name in traits:
            getattr(made, name).instance_init(self)
