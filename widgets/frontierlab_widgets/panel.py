"""What all panels have in common: state apart from view, work off the main thread, no error lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, ClassVar

import ipywidgets as widgets
import traitlets

from frontierlab import Settings
from frontierlab.errors import InvalidRequestError
from frontierlab_widgets.errors import TURN
from frontierlab_widgets.fields import Fields
from frontierlab_widgets.formatting import error_box, progress_line
from frontierlab_widgets.kernel_status import Lifeline
from frontierlab_widgets.phases import Phase, Working
from frontierlab_widgets.stateful import Kept
from frontierlab_widgets.timer import Ticker

__all__ = ["Panel", "Phase", "TURN", "row"]


@dataclass
class _Button:
    """A button, and when it can be clicked."""

    widget: widgets.Button
    always: bool
    uses: Sequence[str]
    when: Callable[[], bool]


class Panel(Fields, Working, Kept, widgets.VBox):
    """The base of all panels.

    Its traits are its interface: set one and the view follows, use the view and the trait follows.

    Parameters
    ----------
    settings
        By default ``Settings()``. What is wrong with that is shown in the panel.
    **traits
        Traits of the panel.

    Attributes
    ----------
    settings : Settings or None
        None where they cannot be made; then the panel says why.
    dark : bool
        Whether the page's theme is dark.
    phase, message, progress
        Of its work; see `Working`.
    error
        See `Failing`.
    invalid
        See `Fields`.
    """

    title: ClassVar[str] = ""

    settings = traitlets.Instance(Settings, allow_none=True)
    dark = traitlets.Bool(False)

    def __init__(self, settings: Settings | None = None, **traits: Any) -> None:
        super().__init__()
        self.add_class("frontierlab-panel")
        self._buttons: list[_Button] = []
        self._tickers: list[Ticker] = []
        self._lifeline = Lifeline()
        self._bar = widgets.FloatProgress(min=0, max=1, layout=widgets.Layout(width="220px"))
        self._line = widgets.Label()
        self._stop = widgets.Button(description="Stop", icon="stop", tooltip="Stop what is going on")
        self._going = widgets.HBox([self._bar, self._line, self._stop], layout=_row_layout(display="none"))
        self._message = widgets.HTML()
        self._error = widgets.HTML()
        self.foot = widgets.VBox([self._going, self._message, self._error])
        traitlets.dlink((self._lifeline, "dark"), (self, "dark"))
        self.click(self._stop, self.stop)
        with self.shown_errors():
            self.settings = settings if settings is not None else Settings()
        parts = self.build()
        head = [self._lifeline, widgets.HTML(f"<h3>{escape(self.title)}</h3>")]
        self.children = [*head, *parts, *([] if self.foot in parts else [self.foot])]
        self.observe(self._draw, ["phase", "error", "message", "progress"])
        self.observe(lambda _: self.allow(), ["phase", "invalid"])
        self._draw()
        self.allow()
        for name, value in traits.items():
            if not self.has_trait(name):
                raise InvalidRequestError(
                    f"{type(self).__name__} has no trait {name}. It has: {', '.join(self.kept())}."
                )
            setattr(self, name, value)

    # what a panel of its own says

    def build(self) -> list[widgets.Widget]:
        """Make the view, and return its parts from top to bottom; ``foot`` (progress, message, error) is the last."""
        return []

    def code(self) -> str:
        """Return what the panel does, as calls of the library."""
        return ""

    # what it is told

    def click(
        self,
        button: widgets.Button,
        action: Callable[[], object],
        *,
        always: bool = True,
        uses: Sequence[str] = (),
        when: Callable[[], bool] | None = None,
    ) -> None:
        """Do something when a button is clicked.

        Parameters
        ----------
        button
            It is disabled while it cannot be clicked.
        action
            Its error is shown in the panel.
        always
            False: not while the panel works.
        uses
            Names of the fields whose values the action takes: not while one of them is invalid.
        when
            Not while this returns False; call `allow` where that may have changed.
        """

        def act() -> None:
            if uses:  # without names, any field counts
                self.require_valid(*uses)
            action()

        button.on_click(lambda _: self.guarded(act))
        if not always or uses or when is not None:  # others are left to who made them
            self._buttons.append(_Button(button, always, uses, when or (lambda: True)))

    def allow(self) -> None:
        """Let the buttons be clicked that can be, and no others."""
        working = self.phase is Phase.WORKING
        for one in self._buttons:
            off = (working and not one.always) or not self.invalid.keys().isdisjoint(one.uses) or not one.when()
            if one.widget.disabled is not off:
                one.widget.disabled = off

    def on(self, action: Callable[[], object], *traits: str) -> None:
        """Do something whenever one of some traits of this panel has changed."""
        self.observe(lambda _: self.guarded(action), list(traits))

    def tick(self, action: Callable[[], object], seconds: float) -> None:
        """Do something when a page begins to show the panel, and every so often for as long as it does."""

        def act() -> None:
            with self.shown_errors():
                action()

        self._tickers.append(Ticker(self._lifeline, act, seconds))

    def close(self) -> None:
        """Close the panel and its widgets. A job goes on, and the jobs panel shows it; other work is stopped."""
        for ticker in self._tickers:
            ticker.stop()
        work = self._going_on()
        if work is not None and work.replaceable:
            work.stop()
        for widget in _inside(self):
            widget.close()
        super().close()

    # the view follows

    def _draw(self, _: Any = None) -> None:
        self._going.layout.display = "" if self.phase is Phase.WORKING else "none"
        if self.progress is not None:
            self._line.value = progress_line(self.progress)
            total = self.progress.total
            self._bar.value = min(1.0, self.progress.done / total) if total else 0.0
            (self._bar.remove_class if total else self._bar.add_class)("frontierlab-unknown")
        quiet = f'<div role="status">{escape(self.message)}</div>' if self.message else ""
        if self._message.value != quiet:
            self._message.value = quiet
        if self._error.value != error_box(self.error):
            self._error.value = error_box(self.error)


def row(*parts: widgets.Widget) -> widgets.HBox:
    """Put widgets beside one another, in several lines where the page is narrow."""
    return widgets.HBox(list(parts), layout=_row_layout())


def _row_layout(**more: str) -> widgets.Layout:
    return widgets.Layout(flex_flow="row wrap", align_items="flex-start", grid_gap="4px 8px", **more)


def _inside(box: widgets.Widget) -> Iterator[widgets.Widget]:
    """Go through the widgets of a box; a panel or box in it closes its own."""
    for child in box.children:
        if not isinstance(child, Panel) and hasattr(child, "children"):
            yield from _inside(child)
        yield child
