"""Which summary of a dataset gives the same answer to a question as its rows."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from frontierlab.filters.needs import Need
from frontierlab.spark.summaries import noted_summary
from frontierlab.storage.summaries import LONG_MS, SHAPES, Shape

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["shape_answers", "summary_that_answers"]

_COARSE = ("time", "querytime", "since")  # columns of which a summary keeps little


def shape_answers(shape: Shape, every: AbstractSet[Need], rest: AbstractSet[Need]) -> bool:
    """Return whether a question gets the same answer from a summary as from the rows.

    Parameters
    ----------
    shape
        What the summary tells apart.
    every
        What the conditions that all counted queries meet need to know of a query.
    rest
        What else the question needs to know of a query.
    """
    if shape.long and not any(need.how == "at least" for need in every):
        return False
    return all(_keeps(shape, need) for need in every | rest)


def _keeps(shape: Shape, need: Need) -> bool:
    match need:
        case Need("time", "cut", value):
            return value % shape.bin_ms == 0
        case Need("querytime", "at least", value):
            return value == LONG_MS
        case Need("since", "given"):
            return "since" in shape.keys
        case Need("fsize", "sum"):
            return True
        case Need(column, "value"):
            return column in shape.keys and column not in _COARSE
    return False


def summary_that_answers(logs: DataFrame, every: AbstractSet[Need], rest: AbstractSet[Need]) -> DataFrame | None:
    """Return the summary that gives the same answer to a question as the logs; None where there is none.

    Parameters
    ----------
    logs
        Logs as `frontierlab.open_logs` opened them.
    every, rest
        What the question needs to know of a query, as for `shape_answers`. Its statement has to be written for rows
        that each stand for `TIMES` queries.
    """
    open_summary = noted_summary(logs)
    shape = next((shape for shape in SHAPES if shape_answers(shape, every, rest)), None)
    return None if open_summary is None or shape is None else open_summary(shape.name)
