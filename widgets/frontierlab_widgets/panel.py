"""What all panels have in common: state apart from view, work off the main thread, no error lost."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from types import MappingProxyType
from typing import Any, ClassVar

import ipywidgets as widgets
import traitlets

from frontierlab import Settings
from frontierlab.errors import FrontierlabError, InvalidRequestError
from frontierlab.progress import Progress
from frontierlab_widgets.fields import Field
from frontierlab_widgets.keeping import Kept
from frontierlab_widgets.lifeline import Lifeline
from frontierlab_widgets.ticking import Ticker
from frontierlab_widgets.words import error_box, progress_line, sentence
from frontierlab_widgets.work import Stopped, Work

__all__ = ["Panel", "Phase", "TURN", "row"]

_LOG = logging.getLogger("frontierlab_widgets")

TURN = threading.RLock()
"""Held while something happens to panels: work ends in its own threads, and what users do arrives in several."""

STOP_SECONDS = 15.0
"""Seconds for which a panel waits for work that was told to stop; then it can be used again."""


class Phase(StrEnum):
    """What a panel's work is about; its icons, bar and buttons follow.

    ``READY`` before the first, ``WORKING`` off the main thread, ``DONE``, ``STOPPED`` by the user, or ``FAILED``, with
    the reason in `Panel.error`. An error of what a user typed or clicked does not change it.
    """

    READY = "ready"
    WORKING = "working"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass
class _Button:
    """A button, and when it can be clicked."""

    widget: widgets.Button
    always: bool
    uses: Sequence[str]
    when: Callable[[], bool]


@dataclass
class _Bound:
    """How the value of a field becomes that of a trait, and back."""

    read: Callable[[Any], Any]
    show: Callable[[Any], Any]
    showing: bool = False


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
        What its work is about.
    error : str
        What went wrong, a sentence; empty where nothing did.
    message : str
        What it has to say, a sentence or two; empty where there is nothing.
    invalid : dict
        Why the value of a field is not valid, by the name of the field (that of its trait); the trait keeps its last
        valid value. Buttons that use such a field are disabled.
    progress : Progress or None
        How far its work is.
    dark : bool
        Whether the page's theme is dark.
    """

    title: ClassVar[str] = ""
    _inputs: Mapping[str, Field] = MappingProxyType({})  # both until there are any: traits are set before that
    _bound: Mapping[str, _Bound] = MappingProxyType({})

    settings = traitlets.Instance(Settings, allow_none=True)
    phase = traitlets.UseEnum(Phase, Phase.READY)
    error = traitlets.Unicode()
    message = traitlets.Unicode()
    invalid = traitlets.Dict()
    progress = traitlets.Instance(Progress, allow_none=True)
    dark = traitlets.Bool(False)

    def __init__(self, settings: Settings | None = None, **traits: Any) -> None:
        super().__init__()
        self.add_class("frontierlab-panel")
        self._work: Work | None = None
        self._buttons: list[_Button] = []
        self._tickers: list[Ticker] = []
        self._inputs, self._bound = {}, {}
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
        self.observe(lambda _: self.allow(), ["phase", "invalid"])
        self._draw()
        self.allow()
        for name, value in traits.items():
            if not self.has_trait(name):
                raise InvalidRequestError(
                    f"{type(self).__name__} has no trait {name}. It has: {', '.join(self.kept())}."
                )
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in self._bound:  # also where the trait had that value: its field may show another, which is not valid
            self._show_value(name)

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

    def add_field(self, name: str, widget: widgets.Widget) -> Field:
        """Return a widget as a field that `mark` can mark; put that into the view."""
        self._inputs = {**self._inputs, name: Field(widget)}
        return self._inputs[name]

    def mark(self, name: str, problem: str) -> None:
        """Say at a field why its value is not valid; an empty sentence takes the mark away."""
        with TURN:
            others = {one: text for one, text in self.invalid.items() if one != name}
            self.invalid = {**others, name: problem} if problem else others
            self._inputs[name].mark(problem)

    def require_valid(self, *names: str) -> None:
        """Refuse to go on with an invalid field.

        Raises
        ------
        InvalidRequestError
            The value of one of these fields (without names: of any) is not valid.
        """
        for name, problem in self.invalid.items():
            if name in names or not names:
                raise InvalidRequestError(f"Mend the field {self._inputs[name].label!r} first. {problem}")

    def bind(
        self,
        trait: str,
        widget: widgets.Widget,
        *,
        read: Callable[[Any], Any] = lambda value: value,
        show: Callable[[Any], Any] = lambda value: value,
    ) -> Field:
        """Let a trait and the value of a widget follow one another.

        Parameters
        ----------
        trait
            Of this panel.
        widget
            Something with a value.
        read, show
            From the widget's value to the trait's, and back. Where `read` refuses, the trait keeps its value, the
            field says why, and buttons that use it (see `click`) are disabled, until the field has a valid value or
            the trait is set.

        Returns
        -------
        Field
            For the view: the widget, with room for what is wrong with its value.
        """

        def to_trait(change: Any) -> None:
            with TURN, self.shown_errors():
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

    def _show_value(self, trait: str) -> None:
        """Show the value of a trait in its field, and whether it is valid."""
        bound, field, value = self._bound[trait], self._inputs[trait], getattr(self, trait)
        with TURN:
            bound.showing = True
            try:
                field.widget.value = bound.show(value)
                bound.read(field.widget.value)
            except FrontierlabError as error:  # code set it, or a state that was kept
                self.mark(trait, _problem(error, value))
            else:
                self.mark(trait, "")
            finally:
                bound.showing = False

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

    def tick(self, action: Callable[[], object], seconds: float) -> None:
        """Do something when a page begins to show the panel, and every so often for as long as it does."""

        def act() -> None:
            with self.shown_errors():
                action()

        self._tickers.append(Ticker(self._lifeline, act, seconds))

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
        """Show an error; one that nobody raised on purpose is logged in full too. What goes on goes on."""
        text = sentence(error)
        if "should not have" in text:
            _LOG.error("%s", text, exc_info=error)
        self.error = text

    def begin(
        self,
        run: Callable[[Work], Any],
        then: Callable[[Any], object] = lambda result: None,
        *,
        stage: str = "working",
        replaceable: bool = False,
    ) -> None:
        """Do some work in a thread.

        Parameters
        ----------
        run
            The work. It is called with a `Work`, whose ``report`` takes progress records.
        then
            Called with its result, in the same thread; not where the work failed or was stopped. It may begin
            other work.
        stage
            What is said until the first record.
        replaceable
            True: whatever is begun before its end takes its place, and its outcome is dropped; so figures are drawn
            of what was picked last. False: nothing else can be begun before its end, and only Stop ends it.

        Raises
        ------
        InvalidRequestError
            Work is going on that is not replaceable. Nothing was begun, and it goes on.
        """
        with TURN:
            self.require_idle()
            if (going := self._going_on()) is not None:
                going.stop()
            self._work = Work(run, functools.partial(self._finish, then), self._show, replaceable=replaceable)
            self.error, self.message = "", ""
            self.progress = Progress(stage, 0, None, 0.0, None)
            self.phase = Phase.WORKING
            self._work.start()

    def require_idle(self) -> None:
        """Refuse other work while work goes on that is not replaceable.

        Raises
        ------
        InvalidRequestError
            There is such work, and it goes on.
        """
        going = self._going_on()
        if going is not None and not going.replaceable:
            told = progress_line(self.progress) if self.progress is not None else "working"
            raise InvalidRequestError(
                f"This panel is at work ({told}). Wait for its end, or click Stop, before this is begun."
            )

    def stop(self) -> None:
        """Stop the work that is going on; work that has not ended within `STOP_SECONDS` is not waited for."""
        with TURN:
            work = self._going_on()
            if work is not None:
                self.progress = Progress("stopping", 0, None, 0.0, None)
                late = threading.Timer(STOP_SECONDS, self._give_up, [work])
                late.daemon = True
                late.start()
                work.stop()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the work is done, and what it leads to; return whether it is. For scripts and tests.

        Parameters
        ----------
        seconds
            At most; None waits for the end, however long that takes. Ctrl-C ends the waiting, not the work.
        """
        until = None if seconds is None else time.monotonic() + seconds
        while (work := self._work) is not None:
            if not work.join(None if until is None else max(0.0, until - time.monotonic())):
                return False
            if work is self._work:
                break
        return True

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

    def _going_on(self) -> Work | None:
        return None if self._work is None or self._work.ended else self._work

    def _show(self, work: Work, progress: Progress) -> None:
        with TURN:
            if work is self._work and not work.stopping.is_set():
                self.progress = progress

    def _finish(self, then: Callable[[Any], object], work: Work, result: Any, error: BaseException | None) -> None:
        with TURN:
            work.ended = True
            if work is not self._work:
                return  # something newer was begun meanwhile, or nobody waits for it any more
            self.progress = None
            if isinstance(error, Stopped) or (error is not None and work.stopping.is_set()):
                self.phase, self.message = Phase.STOPPED, self.message or self.stopped_message(error)
            elif error is not None:
                self.fail(error)
                self.phase = Phase.FAILED
            else:
                with self.shown_errors() as shown:
                    then(result)
                if work is self._work:
                    self.phase = Phase.FAILED if shown.error is not None else Phase.DONE

    def _give_up(self, work: Work) -> None:
        """Wait no more for work that was told to stop; what still comes of it is dropped."""
        with TURN:
            if work is not self._going_on():
                return
            last = "" if work.progress is None else f" (it was last at: {progress_line(work.progress)})"
            self._work, self.progress = None, None
            self.message = (
                f"The work was told to stop {STOP_SECONDS:g} s ago and has not ended yet{last}. The panel can be used "
                "again; what still comes of that work is not shown."
            )
            self.phase = Phase.STOPPED

    def stopped_message(self, error: BaseException | None) -> str:
        """Say what a stop leaves."""
        return "Stopped; nothing was changed."

    # the view follows

    def _draw(self, _: Any = None) -> None:
        self._going.layout.display = "" if self.phase is Phase.WORKING else "none"
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
    """Shows an error in the panel, and lets it go no further; remembers it."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self.error: Exception | None = None

    def __enter__(self) -> _ShownErrors:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if not isinstance(error, Exception):
            return False  # a keyboard interrupt is for the kernel
        self.error = error
        self._panel.fail(error)
        return True


def row(*parts: widgets.Widget) -> widgets.HBox:
    """Put widgets beside one another, in several lines where the page is narrow."""
    return widgets.HBox(list(parts), layout=_row_layout())


def _row_layout(**more: str) -> widgets.Layout:
    return widgets.Layout(flex_flow="row wrap", align_items="flex-start", grid_gap="4px 8px", **more)


def _problem(error: Exception, value: Any) -> str:
    """Say why a value is not valid; a trait's own refusal speaks of Python."""
    return sentence(error) if isinstance(error, FrontierlabError) else f"{value!r} is not valid here."


def _inside(box: widgets.Widget) -> Iterator[widgets.Widget]:
    """Go through the widgets of a box; a panel or box in it closes its own."""
    for child in box.children:
        if not isinstance(child, Panel) and hasattr(child, "children"):
            yield from _inside(child)
        yield child
