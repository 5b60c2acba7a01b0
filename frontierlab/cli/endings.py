"""How a command ends: exit codes, the end by a signal, and what is said of errors and warnings."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import click

from frontierlab.cli.output import WARNED, note
from frontierlab.cli.words import in_words_of_options
from frontierlab.errors import FrontierlabError

__all__ = [
    "CANNOT",
    "CLOSED",
    "FINDINGS",
    "INTERRUPTED",
    "NOTHING",
    "TERMINATED",
    "Terminated",
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
