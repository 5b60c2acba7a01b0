"""The summaries that belong to opened logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["note_summary", "noted_summary"]

_SUMMARIES: WeakKeyDictionary[DataFrame, Callable[[str], DataFrame]] = WeakKeyDictionary()


def note_summary(logs: DataFrame, open_summary: Callable[[str], DataFrame]) -> None:
    """Note how the summary of logs that has this name is opened; what a user makes of logs has none."""
    _SUMMARIES[logs] = open_summary


def noted_summary(logs: DataFrame) -> Callable[[str], DataFrame] | None:
    """Return what opens the summaries of logs by the name of their shape; None where there are none."""
    return _SUMMARIES.get(logs)
