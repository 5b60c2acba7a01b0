"""The work of a panel off the main thread, and its phases."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import traitlets

from frontierlab.errors import Cancelled, InterruptedExtraction, InvalidRequestError, JobCancelled
from frontierlab.util.progress import Progress
from frontierlab_widgets.formatting import progress_line
from frontierlab_widgets.shown_errors import PANEL_LOCK, ErrorMixin
from frontierlab_widgets.work import Work, WorkStopped

__all__ = ["Phase", "REST_SECONDS", "STOP_SECONDS", "WorkMixin"]

_STOPS = (WorkStopped, Cancelled, JobCancelled, InterruptedExtraction)  # errors that a stop causes

STOP_SECONDS = 15.0
"""Seconds to wait for stopped work; after that the panel can be used again."""

REST_SECONDS = 0.5
"""Seconds without newer work after which a panel is at rest."""


class Phase(StrEnum):
    """The phase of a panel's work; icons, bar and buttons follow it.

    ``READY`` before the first work, ``WORKING`` off the main thread, ``DONE``, ``STOPPED`` by the user, or ``FAILED``
    with the reason in `Panel.error`. An input error does not change the phase.
    """

    READY = "ready"
    WORKING = "working"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class WorkMixin(ErrorMixin):
    """Does one piece of work at a time.

    Attributes
    ----------
    phase : Phase
        The phase of the work.
    message : str
        A message about the work, a sentence or two; empty if there is none.
    progress : Progress or None
        The progress of the work.
    """

    _work: Work | None = None

    phase = traitlets.UseEnum(Phase, Phase.READY)
    message = traitlets.Unicode()
    progress = traitlets.Instance(Progress, allow_none=True)

    def begin(
        self,
        run: Callable[[Work], Any],
        then: Callable[[Any], object] = lambda result: None,
        *,
        each: Callable[[Any], object] = lambda part: None,
        at_rest: Callable[[], object] | None = None,
        stage: str = "working",
        replaceable: bool = False,
    ) -> None:
        """Start work in a thread.

        Parameters
        ----------
        run
            The work. It is called with a `Work`, whose ``report`` takes progress records.
        then
            Called with the result, in the same thread; not if the work failed or was stopped. It may start other work.
        each
            Called in the same thread with each part that the work hands over; not once newer work has replaced it.
        at_rest
            Called in the same thread `REST_SECONDS` after the end, however the work ended; not if newer work has begun
            by then. It is for what takes long and is not shown: a user who chooses quickly need not wait for it.
        stage
            Message until the first progress record.
        replaceable
            True: newer work replaces it, and its result is dropped, so that figures show the last choice. False: no
            other work can start before it ends, and only Stop ends it.

        Raises
        ------
        InvalidRequestError
            Other work is running and not replaceable. Nothing was started; that work continues.
        """
        with PANEL_LOCK:
            self.require_idle()
            if (going := self._going_on()) is not None:
                going.stop()
            take = functools.partial(self._take_part, each)
            self._work = Work(
                run, functools.partial(self._end, then, at_rest), self._show, take=take, replaceable=replaceable
            )
            self.error, self.message = "", ""
            self.progress = Progress(stage, 0, None, 0.0, None)
            self.phase = Phase.WORKING
            self._work.start()

    def require_idle(self) -> None:
        """Raise if work is running that is not replaceable.

        Raises
        ------
        InvalidRequestError
            Such work is running; it continues.
        """
        going = self._going_on()
        if going is not None and not going.replaceable:
            told = progress_line(self.progress) if self.progress is not None else "working"
            raise InvalidRequestError(
                f"This panel is at work ({told}). Wait for its end, or click Stop, before you start this."
            )

    def stop(self) -> None:
        """Stop the running work; it is abandoned if it has not ended within `STOP_SECONDS`."""
        with PANEL_LOCK:
            work = self._going_on()
            if work is not None:
                self.progress = Progress("stopping", 0, None, 0.0, None)
                late = threading.Timer(STOP_SECONDS, self._give_up, [work])
                late.daemon = True
                late.start()
                work.stop()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the work and the work that follows it; return whether all is done. For scripts and tests.

        Parameters
        ----------
        seconds
            Longest wait; None waits without a limit. Ctrl-C ends the wait, not the work.
        """
        until = None if seconds is None else time.monotonic() + seconds
        while (work := self._work) is not None:
            if not work.join(None if until is None else max(0.0, until - time.monotonic())):
                return False
            if work is self._work:
                break
        return True

    def stopped_message(self, error: BaseException | None) -> str:
        """Say what remains after a stop."""
        return "Stopped; nothing was changed."

    def _going_on(self) -> Work | None:
        return None if self._work is None or self._work.ended else self._work

    def _show(self, work: Work, progress: Progress) -> None:
        with PANEL_LOCK:
            if work is self._work and not work.stopping.is_set():
                self.progress = progress

    def _take_part(self, each: Callable[[Any], object], work: Work, part: Any) -> None:
        with PANEL_LOCK:
            if work is self._work and not work.stopping.is_set():
                with self.shown_errors():
                    each(part)

    def _end(
        self,
        then: Callable[[Any], object],
        at_rest: Callable[[], object] | None,
        work: Work,
        result: Any,
        error: BaseException | None,
    ) -> None:
        self._finish(then, work, result, error)
        if at_rest is not None:
            work.pause(REST_SECONDS)
            with PANEL_LOCK, self.shown_errors():
                if work is self._work:
                    at_rest()

    def _finish(self, then: Callable[[Any], object], work: Work, result: Any, error: BaseException | None) -> None:
        with PANEL_LOCK:
            work.ended = True
            if work is not self._work:
                return  # newer work has started, or this work was abandoned
            self.progress = None
            if isinstance(error, WorkStopped) or (error is not None and work.stopping.is_set()):
                if not isinstance(error, _STOPS):  # such as a job that could not be cancelled
                    self.fail(error)
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
        """Abandon work that was stopped; its result is dropped."""
        with PANEL_LOCK:
            if work is not self._going_on():
                return
            last = "" if work.progress is None else f" (its last progress: {progress_line(work.progress)})"
            self._work, self.progress = None, None
            self.message = (
                f"The work was told to stop {STOP_SECONDS:g} s ago and has not ended yet{last}. The panel can be used "
                "again; results of that work are not shown."
            )
            self.phase = Phase.STOPPED
