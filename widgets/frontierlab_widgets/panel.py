"""What all panels have in common: state apart from view, work off the main thread, no error lost."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Sequence
from enum import StrEnum
from html import escape
from typing import Any, ClassVar

import ipywidgets as widgets
import traitlets

from frontierlab import Settings
from frontierlab.errors import InvalidRequestError
from frontierlab.progress import Progress
from frontierlab_widgets.keeping import Kept
from frontierlab_widgets.lifeline import Lifeline
from frontierlab_widgets.words import error_box, progress_line, sentence
from frontierlab_widgets.work import Stopped, Work

__all__ = ["Panel", "Phase", "TURN", "row"]

_LOG = logging.getLogger("frontierlab_widgets")

TURN = threading.RLock()
"""Held while something happens to panels: work ends in its own threads, and what users do arrives in several."""


class Phase(StrEnum):
    """What a panel is about; its icons, bar and buttons follow.

    ``READY`` for a click, ``WORKING`` off the main thread, ``DONE``, ``STOPPED`` by the user, or ``FAILED``, with the
    reason in `Panel.error`.
    """

    READY = "ready"
    WORKING = "working"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class Panel(Kept, widgets.VBox):
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
    phase : Phase
        What it is about.
    error : str
        What went wrong, a sentence; empty where nothing did.
    message : str
        What it has to say, a sentence or two; empty where there is nothing.
    progress : Progress or None
        How far its work is.
    dark : bool
        Whether the page's theme is dark.
    """

    title: ClassVar[str] = ""

    settings = traitlets.Instance(Settings, allow_none=True)
    phase = traitlets.UseEnum(Phase, Phase.READY)
    error = traitlets.Unicode()
    message = traitlets.Unicode()
    progress = traitlets.Instance(Progress, allow_none=True)
    dark = traitlets.Bool(False)

    def __init__(self, settings: Settings | None = None, **traits: Any) -> None:
        super().__init__()
        self.add_class("frontierlab-panel")
        self._work: Work | None = None
        self._actions: list[widgets.Widget] = []
        self._offering = False
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
        self._draw()
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

    def click(self, button: widgets.Button, action: Callable[[], object], *, always: bool = True) -> None:
        """Do something when a button is clicked; without `always` not while the panel works."""
        button.on_click(lambda _: self.guarded(action))
        if not always:
            self._actions.append(button)

    def bind(
        self,
        trait: str,
        widget: widgets.Widget,
        *,
        read: Callable[[Any], Any] = lambda value: value,
        show: Callable[[Any], Any] = lambda value: value,
    ) -> None:
        """Let a trait and the value of a widget follow one another.

        Parameters
        ----------
        trait
            Of this panel.
        widget
            Something with a value.
        read, show
            From the widget's value to the trait's, and back. Where `read` refuses, the trait stays and the panel
            shows why.
        """

        def to_trait(change: Any) -> None:
            with TURN, self.shown_errors():
                setattr(self, trait, read(change["new"]))
                self.error = ""

        def to_view(change: Any) -> None:
            with TURN, self.shown_errors():
                if show(change["new"]) != widget.value:
                    widget.value = show(change["new"])

        widget.value = show(getattr(self, trait))
        widget.observe(to_trait, "value")
        self.observe(to_view, trait)

    def choose(self, trait: str, widget: widgets.Dropdown) -> None:
        """Let a trait follow a choice; `offer` lets the choice follow the trait."""

        def chosen(change: Any) -> None:
            with TURN:
                if not self._offering:
                    self.guarded(lambda: setattr(self, trait, change["new"]))

        widget.observe(chosen, "value")

    def offer(self, widget: widgets.Dropdown, options: Sequence[tuple[str, Any]], value: Any) -> None:
        """Offer what there is to choose from, with `value` chosen, which is offered too where it is not there."""
        known = [one for _, one in options]
        with TURN:
            self._offering = True
            try:
                widget.options = [*options, *([] if value in known else [(str(value), value)])]
                widget.value = value
            finally:
                self._offering = False

    def on(self, action: Callable[[], object], *traits: str) -> None:
        """Do something whenever one of some traits of this panel has changed."""
        self.observe(lambda _: self.guarded(action), list(traits))

    # work and errors

    def guarded(self, action: Callable[[], object]) -> None:
        """Do something that a user wants; an error is shown in the panel, whatever it is."""
        with TURN, self.shown_errors():
            self.error = ""
            action()

    def shown_errors(self) -> _ShownErrors:
        """Return a context in which errors are shown in the panel."""
        return _ShownErrors(self)

    def fail(self, error: BaseException) -> None:
        """Show an error; one that nobody raised on purpose is logged in full too."""
        text = sentence(error)
        if "should not have" in text:
            _LOG.error("%s", text, exc_info=error)
        self.error = text
        self.phase = Phase.FAILED

    def begin(
        self,
        run: Callable[[Work], Any],
        then: Callable[[Any], object] = lambda result: None,
        *,
        stage: str = "working",
    ) -> None:
        """Do some work in a thread; what was going on before is stopped, and its outcome dropped.

        Parameters
        ----------
        run
            The work. It is called with a `Work`, whose ``report`` takes progress records.
        then
            Called with its result, in the same thread.
        stage
            What is said until the first record.
        """
        with TURN:
            if self._work is not None:
                self._work.stop()
            self._work = Work(run, functools.partial(self._finish, then), self._show)
            self.error, self.message = "", ""
            self.progress = Progress(stage, 0, None, 0.0, None)
            self.phase = Phase.WORKING
            self._work.start()

    def stop(self) -> None:
        """Stop the work that is going on."""
        with TURN:
            if self._work is not None and self.phase is Phase.WORKING:
                self._work.stop()
                self.progress = Progress("stopping", 0, None, 0.0, None)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the work is done, and what it leads to; return whether it is. For scripts and tests."""
        while (work := self._work) is not None:
            if not work.join(seconds):
                return False
            if work is self._work:
                break
        return True

    def _show(self, work: Work, progress: Progress) -> None:
        with TURN:
            if work is self._work:
                self.progress = progress

    def _finish(self, then: Callable[[Any], object], work: Work, result: Any, error: BaseException | None) -> None:
        with TURN:
            if work is not self._work:
                return  # something newer was begun meanwhile
            self.progress = None
            if isinstance(error, Stopped) or (error is not None and work.stopping.is_set()):
                self.phase, self.message = Phase.STOPPED, self.message or self.stopped_message(error)
            elif error is not None:
                self.fail(error)
            else:
                with self.shown_errors():
                    then(result)
                if work is self._work and not self.error:
                    self.phase = Phase.DONE

    def stopped_message(self, error: BaseException | None) -> str:
        """Say what a stop leaves."""
        return "Stopped; nothing was changed."

    # the view follows

    def _draw(self, _: Any = None) -> None:
        working = self.phase is Phase.WORKING
        self._going.layout.display = "" if working else "none"
        for action in self._actions:
            action.disabled = working
        if self.progress is not None:
            self._line.value = progress_line(self.progress)
            self._bar.bar_style = "info" if not self.progress.total else ""
            done = self.progress.done / self.progress.total if self.progress.total else 1
            self._bar.value = min(1.0, done)
        quiet = f'<div role="status">{escape(self.message)}</div>' if self.message else ""
        if self._message.value != quiet:
            self._message.value = quiet
        if self._error.value != error_box(self.error):
            self._error.value = error_box(self.error)


class _ShownErrors:
    """Shows an error in the panel, and lets it go no further."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if not isinstance(error, Exception):
            return False  # a keyboard interrupt is for the kernel
        self._panel.fail(error)
        return True


def row(*parts: widgets.Widget) -> widgets.HBox:
    """Put widgets beside one another, in several lines where the page is narrow."""
    return widgets.HBox(list(parts), layout=_row_layout())


def _row_layout(**more: str) -> widgets.Layout:
    return widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="4px 8px", **more)
