"""The base of all panels: state apart from view, work off the main thread, no lost errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, ClassVar

import traitlets
from ipywidgets import Button, Layout, VBox, Widget

from frontierlab import Settings
from frontierlab.errors import InvalidRequestError
from frontierlab_widgets import elements
from frontierlab_widgets.formatting import error_box, progress_line
from frontierlab_widgets.input_fields import FieldsMixin
from frontierlab_widgets.kernel_status import KernelStatus
from frontierlab_widgets.settings_mixin import SettingsMixin
from frontierlab_widgets.shown_errors import PANEL_LOCK
from frontierlab_widgets.stateful import StatefulMixin
from frontierlab_widgets.timer import PeriodicTimer
from frontierlab_widgets.work_mixin import Phase, WorkMixin

__all__ = ["PANEL_LOCK", "Panel", "Phase", "row"]


@dataclass
class _Button:
    """A button, and the conditions that enable it."""

    widget: Button
    always: bool
    uses: Sequence[str]
    when: Callable[[], bool]


class Panel(FieldsMixin, WorkMixin, SettingsMixin, StatefulMixin, VBox):
    """The base of all panels.

    Its traits are its interface: the view follows a trait, and the trait follows the view.

    Parameters
    ----------
    settings
        By default ``Settings()``. If that cannot be read, the panel says why.
    problem
        Why there are no settings, if that is known already; then ``Settings()`` is not read.
    **traits
        Initial values of traits.

    Attributes
    ----------
    dark : bool
        Whether the page's theme is dark.
    settings, configuration_problem
        See `SettingsMixin`.
    phase, message, progress
        See `WorkMixin`.
    error
        See `ErrorMixin`.
    invalid
        See `FieldsMixin`.
    """

    title: ClassVar[str] = ""

    dark = traitlets.Bool(False)

    def __init__(self, settings: Settings | None = None, *, problem: str = "", **traits: Any) -> None:
        super().__init__()
        self.add_class("frontierlab-panel")
        self._buttons: list[_Button] = []
        self._timers: list[PeriodicTimer] = []
        self._kernel_status = KernelStatus()
        self._bar = elements.FloatProgress(min=0, max=1, layout=elements.layout(width="220px"))
        self._line = elements.Label(layout=elements.layout(flex="0 1 auto", min_width="0"))
        self._stop = elements.Button(description="Stop", icon="stop", tooltip="Stop the current work")
        in_one_row = _row_layout(flex_flow="row nowrap", visibility="hidden")  # on a narrow page it would take three
        self._going = elements.HBox([self._bar, self._line, self._stop], layout=in_one_row)  # a long line is cut
        self._message = elements.HTML()
        self._link = elements.Button(layout=elements.layout(display="none"))
        self._linked: Callable[[], object] = lambda: None
        self._error = elements.HTML()
        told = row(self._message, self._link, self._going, align_items="center")
        self.foot = elements.VBox([told, self._error])
        traitlets.dlink((self._kernel_status, "dark"), (self, "dark"))
        self.click(self._stop, self.stop)
        self.click(self._link, lambda: self._linked())
        self.read_settings(settings, problem)
        self._problem_note = elements.HTML()
        parts = self.build()
        head = [self._kernel_status, elements.HTML(f"<h3>{escape(self.title)}</h3>"), self._problem_note]
        self.children = [*head, *parts, *([] if self.foot in parts else [self.foot])]
        self.observe(self._draw, ["phase", "error", "message", "progress", "configuration_problem"])
        self.observe(self._show_configuration_problem, "configuration_problem")
        self._show_configuration_problem()
        self.observe(lambda _: self.allow(), ["phase", "invalid"])
        self._draw()
        self.allow()
        for name in traits:
            if not self.has_trait(name):
                raise InvalidRequestError(
                    f"{type(self).__name__} has no trait {name}. It has: {', '.join(self.saved_traits())}."
                )
        with self.hold_trait_notifications():  # nothing follows one of them before all are set
            for name, value in traits.items():
                setattr(self, name, value)

    # to be defined by each panel

    def build(self) -> list[Widget]:
        """Build the view, and return its parts from top to bottom; ``foot`` (progress, message, error) is the last."""
        return []

    def code(self) -> str:
        """Return the work of the panel as calls of the library."""
        return ""

    # for panels to call

    def click(
        self,
        button: Button,
        action: Callable[[], object],
        *,
        always: bool = True,
        uses: Sequence[str] = (),
        when: Callable[[], bool] | None = None,
    ) -> None:
        """Call an action when a button is clicked.

        Parameters
        ----------
        button
            It is disabled while its action is not allowed.
        action
            Its errors are shown in the panel.
        always
            False disables the button while the panel works.
        uses
            Names of fields that the action uses; an invalid one disables the button.
        when
            The button is disabled while this returns False; call `allow` after a change.
        """

        def act() -> None:
            if uses:  # without names, any field counts
                self.require_valid(*uses)
            action()

        button.on_click(lambda _: self.guarded(act))
        if not always or uses or when is not None:  # the others are managed by their owners
            self._buttons.append(_Button(button, always, uses, when or (lambda: True)))

    def allow(self) -> None:
        """Enable the buttons whose actions are allowed, and disable the others."""
        working = self.phase is Phase.WORKING
        for one in self._buttons:
            off = (working and not one.always) or not self.invalid.keys().isdisjoint(one.uses) or not one.when()
            if one.widget.disabled is not off:
                one.widget.disabled = off

    def say(self, message: str, link: str = "", action: Callable[[], object] = lambda: None) -> None:
        """Show a message, with a button that leads to what it is about: the user is told, not moved.

        Parameters
        ----------
        message
            A sentence or two.
        link
            Text of the button; empty for none. The button disappears with the message.
        action
            What a click on it does; its errors are shown in the panel.
        """
        with PANEL_LOCK:
            self.message = message
            self._linked = action
            self._link.description = link
            elements.show(self._link, link and message)

    def on(self, action: Callable[[], object], *traits: str) -> None:
        """Call an action whenever one of these traits changes; its errors are shown, and earlier ones stay."""

        def act(_: Any) -> None:
            with PANEL_LOCK, self.shown_errors():
                action()

        self.observe(act, list(traits))

    def tick(self, action: Callable[[], object], seconds: float) -> None:
        """Call an action when a page starts to show the panel, and repeatedly while it does."""

        def act() -> None:
            with self.shown_errors():
                action()

        self._timers.append(PeriodicTimer(self._kernel_status, act, seconds))

    def share_style(self) -> None:
        """Leave the style to the panel around this one, before either is shown."""
        self._kernel_status.set_trait("_css", "")

    def close(self) -> None:
        """Close the panel and its widgets. A job continues, and the jobs panel shows it; other work is stopped."""
        for timer in self._timers:
            timer.stop()
        work = self._going_on()
        if work is not None and work.replaceable:
            work.stop()
        for widget in _inside(self):
            widget.close()
        super().close()

    # updates of the view

    def _show_configuration_problem(self, _: Any = None) -> None:
        self._problem_note.value = error_box(self.configuration_problem)
        elements.show(self._problem_note, self.configuration_problem)

    def _draw(self, _: Any = None) -> None:
        # its room is kept: what is below does not move while the user clicks on it
        elements.change_layout(self._going, visibility="visible" if self.phase is Phase.WORKING else "hidden")
        if self.progress is not None:
            self._line.value = progress_line(self.progress)
            total = self.progress.total
            self._bar.value = min(1.0, self.progress.done / total) if total else 0.0
            (self._bar.remove_class if total else self._bar.add_class)("frontierlab-unknown")
        quiet = f'<div role="status">{escape(self.message)}</div>' if self.message else ""
        if self._message.value != quiet:
            self._message.value = quiet
            elements.show(self._link, False)  # it led to what the former message was about
        error = error_box("" if self.error == self.configuration_problem else self.error)  # the note above says it
        if self._error.value != error:
            self._error.value = error


def row(*parts: Widget, align_items: str = "flex-start") -> elements.HBox:
    """Put widgets in a row that wraps on a narrow page."""
    return elements.HBox(list(parts), layout=_row_layout(align_items=align_items))


def _row_layout(**more: str) -> Layout:
    usual = {"flex_flow": "row wrap", "align_items": "flex-start", "grid_gap": "4px 8px"}
    return elements.layout(**{**usual, **more})


def _inside(box: Widget) -> Iterator[Widget]:
    """Yield the widgets of a box; nested panels and closable boxes close their own."""
    for child in box.children:
        if not isinstance(child, Panel) and hasattr(child, "children"):
            yield from _inside(child)
        yield child
