"""Warnings of the library: for the caller, or collected by what runs its functions for somebody else, such as a job."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["collected_warnings", "warn"]

_COLLECTED: ContextVar[list[str] | None] = ContextVar("frontierlab_warnings", default=None)


def warn(text: str, category: type[Warning], *, stacklevel: int = 2) -> None:
    """Warn as `warnings.warn`; within `collected_warnings` the text is put into its list, and nothing can be raised."""
    collected = _COLLECTED.get()
    if collected is None:
        warnings.warn(text, category, stacklevel=stacklevel + 1)
    else:
        collected.append(text)


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collect the warnings of this thread in a list, so that ``-W error`` does not fail what has succeeded."""
    collected: list[str] = []
    token = _COLLECTED.set(collected)
    try:
        yield collected
    finally:
        _COLLECTED.reset(token)
