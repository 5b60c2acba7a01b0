"""The choice of a summary that gives the same result for a question as the rows of the dataset."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from frontierlab.engines.logs import Logs
from frontierlab.filters.needs import Need
from frontierlab.schema import IOV_COLUMNS
from frontierlab.storage.summaries import LONG_MS, SHAPES, Shape

__all__ = ["shape_answers", "summary_that_answers"]

_COARSE = ("time", "querytime", "iov_since")  # columns that summaries keep only coarsely


def shape_answers(shape: Shape, every: AbstractSet[Need], rest: AbstractSet[Need]) -> bool:
    """Return whether a question has the same result on a summary as on the rows.

    Parameters
    ----------
    shape
        The shape of the summary.
    every
        The needs of the conditions on all counted queries.
    rest
        The other needs of the question.
    """
    if shape.long and not any(need.how == "at least" for need in every):
        return False
    return all(_keeps(shape, need) for need in every | rest)


def _keeps(shape: Shape, need: Need) -> bool:
    kept = [IOV_COLUMNS.get(name, name) for name in shape.keys]
    match need:
        case Need("time", "cut", value):
            return value % shape.bin_ms == 0
        case Need("querytime", "at least", value):
            return value == LONG_MS
        case Need("iov_since", "given"):
            return "iov_since" in kept
        case Need("fsize", "sum"):
            return True
        case Need(column, "value"):
            return column in kept and column not in _COARSE
    return False


def summary_that_answers(logs: Logs, every: AbstractSet[Need], rest: AbstractSet[Need]) -> Logs | None:
    """Return the summary that gives the same result for a question as the logs; None if no summary does.

    Parameters
    ----------
    logs
        The logs.
    every, rest
        The needs of the question, as for `shape_answers`. A statement on the summary must count each row `TIMES`
        times.
    """
    shape = next((shape for shape in SHAPES if shape_answers(shape, every, rest)), None)
    return None if shape is None else logs.summary(shape.name)
