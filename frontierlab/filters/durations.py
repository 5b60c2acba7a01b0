"""Numbers of queries by the time that they took (plots 8 and 9)."""

from __future__ import annotations

from frontierlab.filters.bins import ValueBins
from frontierlab.filters.expressions import CACHED
from frontierlab.filters.question import Question, as_filter

__all__ = ["queries_by_dbtime", "queries_by_querytime"]


@as_filter
def queries_by_querytime(*, bin_ms: int = 100, overflow_ms: int = 10_000) -> Question:
    """Count the queries by the whole time that they took, cached and not.

    Parameters
    ----------
    bin_ms
        Width of a bin, in milliseconds.
    overflow_ms
        Where the last bin begins, which holds the long tail: a multiple of `bin_ms`.

    Returns
    -------
    pandas.DataFrame
        A row is a bin ``[from_ms, to_ms)``, in order. Without ``to_ms`` it is the long tail, without
        ``from_ms`` what lies below zero, without both the queries without a time (each of the last
        two is there only where it holds a query).

        from_ms, to_ms : Int64, milliseconds
        cached, not_cached, unknown : Int64, numbers of queries

        See `frontierlab.filters` for further parameters and errors.
    """
    return Question(CACHED, bins=ValueBins("querytime", bin_ms, overflow_ms))


@as_filter
def queries_by_dbtime(*, bin_ms: int = 100, overflow_ms: int = 10_000) -> Question:
    """Count the queries by the time that they took in the database, cached and not.

    Parameters
    ----------
    bin_ms
        Width of a bin, in milliseconds.
    overflow_ms
        Where the last bin begins, which holds the long tail: a multiple of `bin_ms`.

    Returns
    -------
    pandas.DataFrame
        A row is a bin ``[from_ms, to_ms)``, in order. Without ``to_ms`` it is the long tail, without
        ``from_ms`` what lies below zero, without both the queries without a time (each of the last
        two is there only where it holds a query).

        from_ms, to_ms : Int64, milliseconds
        cached, not_cached, unknown : Int64, numbers of queries

        See `frontierlab.filters` for further parameters and errors.
    """
    return Question(CACHED, bins=ValueBins("dbtime", bin_ms, overflow_ms))
