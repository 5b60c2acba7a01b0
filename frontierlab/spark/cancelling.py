"""Work with Spark that another thread can end."""

from __future__ import annotations

import threading
from contextvars import ContextVar, Token
from typing import Self

from frontierlab.errors import Cancelled

__all__ = ["Cancellable", "cancellable", "check_cancelled"]


class Cancellable:
    """Work with Spark that another thread can end; see `cancellable`."""

    def __init__(self) -> None:
        self._wish = threading.Event()
        self._entered: list[Token[tuple[Cancellable, ...]]] = []

    def __enter__(self) -> Self:
        self._entered.append(_CURRENT.set((*_CURRENT.get(), self)))
        return self

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._entered.pop())

    def cancel(self) -> None:
        """End the work, from any thread. It returns at once; what is cancelled stays so."""
        self._wish.set()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._wish.is_set()


_CURRENT: ContextVar[tuple[Cancellable, ...]] = ContextVar("frontierlab_cancellable", default=())


def cancellable() -> Cancellable:
    """Return what lets another thread end the filters that this thread runs.

    ::

        running = frontierlab.spark.cancellable()
        threading.Timer(60, running.cancel).start()  # or the click on a button
        with running:
            frame = frontierlab.filters.queries_per_db(logs)

    A filter that runs in the ``with`` block when `Cancellable.cancel` is called, or that begins there
    afterwards, raises `frontierlab.errors.Cancelled`: mostly within a tenth of a second, when its jobs in
    Spark have ended; after 5 s at the latest, when Spark has not ended them by then. Spark is then still told
    to, from a thread of its own. So do `frontierlab.sql`, `run`, `to_pandas` and `open_logs`. Blocks can be
    nested: the outer one ends the work of the inner one. A block belongs to its own thread (to its
    `contextvars.Context`).
    """
    return Cancellable()


def check_cancelled() -> None:
    """Raise where this thread's work is no longer wanted; for long work between two statements.

    Raises
    ------
    Cancelled
        A `cancellable` block around it was cancelled.
    """
    if any(one.cancelled for one in _CURRENT.get()):
        raise Cancelled("The work was cancelled. Nothing was changed; ask again to have it.")
