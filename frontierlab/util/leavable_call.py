"""Calls in another thread that the caller can leave: for libraries whose own waits have no bound."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

from frontierlab.errors import FrontierlabError

__all__ = ["LeavableCall", "Overdue"]

T = TypeVar("T")


class Overdue(FrontierlabError, TimeoutError):
    """A call has not ended within its time."""


class LeavableCall(Generic[T]):
    """A call that another thread makes while its caller waits. The caller can stop waiting at any time.

    Parameters
    ----------
    call
        The function; called once, by `run`.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._outcome: Future[T] = Future()

    def start(self, name: str) -> None:
        """Make the call in a new thread of this name. The thread does not keep the process alive."""
        threading.Thread(target=self.run, name=name, daemon=True).start()

    def run(self) -> None:
        """Make the call in this thread, and keep its result or error."""
        try:
            self._outcome.set_result(self._call())
        except BaseException as error:
            self._outcome.set_exception(error)

    def wait(
        self,
        look: Callable[[], object],
        leave: Callable[[BaseException], object],
        *,
        every: float,
        seconds: float = math.inf,
    ) -> None:
        """Wait until the call has ended.

        Parameters
        ----------
        look
            Called in this thread every few moments; ends the wait by raising.
        leave
            Called with the error if the wait ends early, also by Ctrl-C. It tells the other thread to stop; the error
            is raised afterwards.
        every
            Seconds between two calls of `look`.
        seconds
            The longest wait.

        Raises
        ------
        Overdue
            The call has not ended within `seconds`.
        """
        ends = time.monotonic() + seconds
        try:
            while not self.has_ended(every):
                look()
                if time.monotonic() > ends:
                    raise Overdue(f"the call has not ended within {seconds:g} s")
        except BaseException as error:
            leave(error)
            raise

    def has_ended(self, patience: float = 0.0) -> bool:
        """Return whether the call has ended, after waiting for its end for `patience` seconds."""
        return bool(wait([self._outcome], timeout=patience).done)

    def result(self) -> T:
        """Return the result of the call, or raise its error."""
        return self._outcome.result()
