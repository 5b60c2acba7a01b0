"""Ctrl-C and SIGTERM as exceptions: at points where nothing is half done, and never lost."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

__all__ = ["ended_by_sigterm", "interrupted_between"]

_AGAIN = 0.05  # seconds until a lost signal is sent again


@contextmanager
def interrupted_between() -> Iterator[Callable[[], None]]:
    """Give a function that raises KeyboardInterrupt if Ctrl-C came since the block began; elsewhere it raises nothing.

    A second Ctrl-C acts at once, as without this block. Only the main thread gets Ctrl-C: in others nothing changes.
    """
    asked = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def check() -> None:
        if asked.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield check
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            signal.signal(signal.SIGINT, before)
            before(number, frame)
        asked.set()

    signal.signal(signal.SIGINT, ask)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def ended_by_sigterm(error: type[BaseException]) -> Iterator[None]:
    """Raise an error if the process is asked to end, so that nothing half-done is left, as with Ctrl-C.

    Python loses an exception that is raised while it finalizes an object, and with it the signal. Such a SIGTERM or
    Ctrl-C is sent again. Only the main thread gets signals: in others nothing changes.

    Parameters
    ----------
    error
        The class of the error.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise error

    def send_again(lost: UnraisableHookArgs) -> None:
        if not issubclass(lost.exc_type, (error, KeyboardInterrupt)):
            show(lost)
            return
        number = signal.SIGTERM if issubclass(lost.exc_type, error) else signal.SIGINT
        later = threading.Timer(_AGAIN, os.kill, (os.getpid(), number))
        later.daemon = True
        later.start()
        stack.callback(later.cancel)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    show = sys.unraisablehook
    with ExitStack() as stack:
        stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, end))
        stack.callback(setattr, sys, "unraisablehook", show)
        sys.unraisablehook = send_again
        yield
