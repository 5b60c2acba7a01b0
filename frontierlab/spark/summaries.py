"""The summaries of opened logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["note_summary", "noted_summary"]

_SUMMARIES: WeakKeyDictionary[DataFrame, Callable[[str], DataFrame | None]] = WeakKeyDictionary()


def note_summary(logs: DataFrame, open_summary: Callable[[str], DataFrame | None]) -> None:
    """Register a function that opens a summary of `logs` by name; frames derived from `logs` have no summaries."""
    _SUMMARIES[logs] = open_summary


def noted_summary(logs: DataFrame) -> Callable[[str], DataFrame | None] | None:
    """Return the function that opens a summary of `logs` by the name of its shape; None without summaries."""
    return _SUMMARIES.get(logs)
