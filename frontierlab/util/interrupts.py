"""Ctrl-C at points where nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interrupted_between"]


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
