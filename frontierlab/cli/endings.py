"""How a command ends: exit codes, the end by a signal, and what is said of errors and warnings."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import click

from frontierlab.cli.output import WARNED, note
from frontierlab.cli.words import in_words_of_options
from frontierlab.errors import FrontierlabError

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

__all__ = [
    "CANNOT",
    "CLOSED",
    "FINDINGS",
    "INTERRUPTED",
    "NOTHING",
    "TERMINATED",
    "Terminated",
    "ending_by_signals",
    "explained",
    "telling_warnings",
]

NOTHING = 0
"""Exit code: done, and nothing found that a person should see."""

FINDINGS = 1
"""Exit code: something found that a person should see."""

CANNOT = 2
"""Exit code: it could not be done, or looked at."""

INTERRUPTED = 130
"""Exit code: ended by Ctrl-C. This and the next two are 128 and the number of the signal, as shells have it."""

CLOSED = 141
"""Exit code: the reader of the standard output has closed it."""

TERMINATED = 143
"""Exit code: ended by SIGTERM."""


class Terminated(BaseException):
    """The process was asked to end by SIGTERM."""


_AGAIN = 0.05  # seconds until a lost signal is sent again


@contextmanager
def ending_by_signals() -> Iterator[None]:
    """Raise `Terminated` if the process is asked to end, so that nothing half-done is left, as with Ctrl-C.

    Python loses an exception that is raised while it finalizes an object, and with it the signal. Such a signal, of
    either kind, is sent again.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    def send_again(lost: UnraisableHookArgs) -> None:
        if not issubclass(lost.exc_type, (Terminated, KeyboardInterrupt)):
            show(lost)
            return
        number = signal.SIGTERM if issubclass(lost.exc_type, Terminated) else signal.SIGINT
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


@contextmanager
def telling_warnings(ctx: click.Context) -> Iterator[None]:
    """Tell warnings as sentences on the standard error, in the words of the running command."""

    def tell(message: Warning | str, *_: object, **__: object) -> None:
        ctx.meta.setdefault(WARNED, set()).add(str(message))
        note(in_words_of_options(str(message), ctx), "Warning: ")

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = tell
        yield


def explained(error: Exception, ctx: click.Context) -> str:
    """Return what is said of an error, in the words of the running command."""
    if isinstance(error, FrontierlabError):
        return " ".join(in_words_of_options(text, ctx) for text in (str(error), *getattr(error, "__notes__", ())))
    missing = error.name if isinstance(error, ModuleNotFoundError) and error.name else "frontierlab"
    package = missing.partition(".")[0]
    if package != "frontierlab":
        return f'{package} is not installed: pip install "frontierlab[all]"'
    return f"this is a fault of frontierlab ({type(error).__name__}: {error}). With --debug it shows where."
