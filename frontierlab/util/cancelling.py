"""Cancellation of questions to logs from another thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Self

from frontierlab.errors import Cancelled
from frontierlab.util.leavable_call import Overdue

__all__ = ["Cancellable", "at_most", "cancellable", "check_cancelled"]


class Cancellable:
    """A block of work that another thread can cancel; see `cancellable`."""

    def __init__(self) -> None:
        self._wish = threading.Event()
        self._entered: list[Token[tuple[Cancellable, ...]]] = []

    def __enter__(self) -> Self:
        self._entered.append(_CURRENT.set((*_CURRENT.get(), self)))
        return self

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._entered.pop())

    def cancel(self) -> None:
        """Cancel the work, from any thread. This returns at once. A cancellation cannot be undone."""
        self._wish.set()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._wish.is_set()


_CURRENT: ContextVar[tuple[Cancellable, ...]] = ContextVar("frontierlab_cancellable", default=())


def cancellable() -> Cancellable:
    """Return a context manager that lets another thread cancel the filters of this thread.

    ::

        running = frontierlab.cancellable()
        threading.Timer(60, running.cancel).start()  # or a click on a button
        with running:
            frame = frontierlab.filters.queries_per_db(logs)

    After `Cancellable.cancel`, a filter in the ``with`` block raises `frontierlab.errors.Cancelled`. So do filters that
    start in the block later, and all other functions that put a question to logs. The exception comes when DuckDB or
    Spark has stopped, mostly within 0.1 s, and after 5 s at the latest. If it still works then, a background thread
    keeps telling it to stop. A task of Spark sees that only when it passes on a row: a join without a condition of
    equality can load its processor for long after the exception. Blocks can be nested: the outer block also cancels the
    work of the inner block. A block belongs to one thread (to its `contextvars.Context`).
    """
    return Cancellable()


def check_cancelled() -> None:
    """Raise if this thread's work was cancelled; for long work between two statements.

    Raises
    ------
    Cancelled
        A `cancellable` block around the call was cancelled.
    """
    if any(one.cancelled for one in _CURRENT.get()):
        raise Cancelled("The work was cancelled. Nothing was changed; ask again to have it.")


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Cancel the work of the block after some seconds, as `cancellable` does.

    Raises
    ------
    Overdue
        The work was cancelled because its time was over.
    Cancelled
        A `cancellable` block around this one was cancelled.
    """
    running = cancellable()
    timer = threading.Timer(seconds, running.cancel)
    timer.daemon = True
    timer.start()
    try:
        with running:
            yield
    except Cancelled:
        check_cancelled()
        if not running.cancelled:
            raise
        raise Overdue(f"It took longer than {seconds:g} s, and was stopped.") from None
    finally:
        timer.cancel()
