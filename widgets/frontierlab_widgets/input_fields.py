"""The fields of a panel: each follows a trait, and shows below itself why its value is not valid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Any

import traitlets
from ipywidgets import Dropdown, Widget

from frontierlab.errors import FrontierlabError, InvalidRequestError
from frontierlab_widgets import elements
from frontierlab_widgets.formatting import sentence
from frontierlab_widgets.shown_errors import PANEL_LOCK, ErrorMixin

__all__ = ["FieldsMixin", "InputField"]

_INVALID = "frontierlab-invalid"


class InputField(elements.VBox):
    """A widget with a value, and a line below that says why the value is not valid.

    Parameters
    ----------
    widget
        The input widget.
    """

    def __init__(self, widget: Widget) -> None:
        self.widget = widget
        self._told = elements.HTML(layout=elements.layout(display="none"))
        super().__init__([widget, self._told])
        self.add_class("frontierlab-field")

    @property
    def label(self) -> str:
        """The label on the page."""
        return str(getattr(self.widget, "description", ""))

    def mark(self, sentence: str) -> None:
        """Show why the value is not valid; an empty sentence removes the mark."""
        self._told.value = f'<span role="alert">{escape(sentence)}</span>' if sentence else ""
        elements.show(self._told, sentence)
        if sentence:
            self.add_class(_INVALID)
        else:
            self.remove_class(_INVALID)


@dataclass
class _Bound:
    """The conversions between the value of a field and that of a trait."""

    read: Callable[[Any], Any]
    show: Callable[[Any], Any]
    showing: bool = False


class FieldsMixin(ErrorMixin):
    """A panel's fields, whose values follow traits.

    Attributes
    ----------
    invalid : dict
        Why the value of a field is not valid, by the name of the field (that of its trait); the trait keeps its last
        valid value. Buttons that use such a field are disabled.
    """

    _inputs: Mapping[str, InputField] = MappingProxyType({})
    _bound: Mapping[str, _Bound] = MappingProxyType({})
    _offering = False

    invalid = traitlets.Dict()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in self._bound:  # also if the trait did not change: its field may show another, invalid value
            self._show_value(name)

    def add_field(self, name: str, widget: Widget) -> InputField:
        """Return a field for a widget; add the field to the view."""
        self._inputs = {**self._inputs, name: InputField(widget)}
        return self._inputs[name]

    def mark(self, name: str, problem: str) -> None:
        """Show at a field why its value is not valid; an empty sentence removes the mark."""
        with PANEL_LOCK:
            others = {one: text for one, text in self.invalid.items() if one != name}
            self.invalid = {**others, name: problem} if problem else others
            self._inputs[name].mark(problem)

    def require_valid(self, *names: str) -> None:
        """Raise if a field is invalid.

        Raises
        ------
        InvalidRequestError
            The value of one of these fields (without names: of any field) is not valid.
        """
        for name, problem in self.invalid.items():
            if name in names or not names:
                raise InvalidRequestError(f"Correct the field {self._inputs[name].label!r} first. {problem}")

    def bind(
        self,
        trait: str,
        widget: Widget,
        *,
        read: Callable[[Any], Any] = lambda value: value,
        show: Callable[[Any], Any] = lambda value: value,
    ) -> InputField:
        """Synchronise a trait and the value of a widget.

        Parameters
        ----------
        trait
            Trait of this panel.
        widget
            A widget with a value.
        read, show
            Conversions from the widget's value to the trait's, and back. If `read` raises, the trait keeps its value,
            the field shows why, and buttons that use the field (see `click`) are disabled, until the field has a valid
            value or the trait is set.

        Returns
        -------
        Field
            The field for the view: the widget, with room for a message.
        """

        def to_trait(change: Any) -> None:
            with PANEL_LOCK, self.shown_errors():
                if self._bound[trait].showing:
                    return
                self.error = ""
                try:
                    setattr(self, trait, read(change["new"]))
                except (FrontierlabError, traitlets.TraitError) as error:
                    self.mark(trait, _problem(error, change["new"]))

        field = self.add_field(trait, widget)
        self._bound = {**self._bound, trait: _Bound(read, show)}
        self._show_value(trait)
        widget.observe(to_trait, "value")
        return field

    def choose(self, trait: str, widget: Dropdown) -> None:
        """Let a trait follow a dropdown; `offer` lets the dropdown follow the trait."""

        def chosen(change: Any) -> None:
            with PANEL_LOCK:
                if not self._offering:
                    self.guarded(lambda: setattr(self, trait, change["new"]))

        widget.observe(chosen, "value")

    def offer(self, widget: Dropdown, options: Sequence[tuple[str, Any]], value: Any) -> None:
        """Set the options of a dropdown and choose `value`, which is added if the options lack it."""
        known = [one for _, one in options]
        with PANEL_LOCK:
            self._offering = True
            try:
                widget.options = [*options, *([] if value in known else [(str(value), value)])]
                widget.value = value
            finally:
                self._offering = False

    def check_field(self, trait: str) -> None:
        """Look again whether the value of a trait is valid, because that depends on more than the value."""
        self._show_value(trait)

    def _show_value(self, trait: str) -> None:
        """Show the value of a trait in its field, and whether it is valid."""
        bound, field, value = self._bound[trait], self._inputs[trait], getattr(self, trait)
        with PANEL_LOCK:
            bound.showing = True
            try:
                field.widget.value = bound.show(value)
                bound.read(field.widget.value)
            except FrontierlabError as error:  # set by code or by a restored state
                self.mark(trait, _problem(error, value))
            else:
                self.mark(trait, "")
            finally:
                bound.showing = False


def _problem(error: Exception, value: Any) -> str:
    """Say why a value is not valid; the error of a trait itself is about Python types."""
    return sentence(error) if isinstance(error, FrontierlabError) else f"{value!r} is not valid here."
