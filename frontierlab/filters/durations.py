"""Numbers of queries by their duration (plots 8 and 9)."""

from __future__ import annotations

from frontierlab.filters.bins import ValueBins
from frontierlab.filters.expressions import CACHED
from frontierlab.filters.filter import as_filter
from frontierlab.filters.question import Question

__all__ = ["queries_by_dbtime", "queries_by_querytime"]


@as_filter
def queries_by_querytime(*, bin_ms: int = 100, overflow_ms: int = 10_000) -> Question:
    """Count the queries by their total duration (``querytime``), cached and not.

    Parameters
    ----------
    bin_ms
        Width of a bin, in milliseconds.
    overflow_ms
        Start of the last bin, which holds the long tail: a multiple of `bin_ms`.

    Returns
    -------
    pandas.DataFrame
        A row is a bin ``[from_ms, to_ms)``, in order. If ``to_ms`` is null, the bin is the long tail. If
        ``from_ms`` is null, it holds values below zero. If both are null, it holds queries without a
        value. The last two bins have a row only if they hold a query.

        from_ms, to_ms : Int64, milliseconds
        cached, not_cached, unknown : Int64, numbers of queries

        See `frontierlab.filters` for further parameters and errors.
    """
    return Question(CACHED, bins=ValueBins("querytime", bin_ms, overflow_ms))


@as_filter
def queries_by_dbtime(*, bin_ms: int = 100, overflow_ms: int = 10_000) -> Question:
    """Count the queries by their time in the database (``dbtime``), cached and not.

    Parameters
    ----------
    bin_ms
        Width of a bin, in milliseconds.
    overflow_ms
        Start of the last bin, which holds the long tail: a multiple of `bin_ms`.

    Returns
    -------
    pandas.DataFrame
        A row is a bin ``[from_ms, to_ms)``, in order. If ``to_ms`` is null, the bin is the long tail. If
        ``from_ms`` is null, it holds values below zero. If both are null, it holds queries without a
        value. The last two bins have a row only if they hold a query.

        from_ms, to_ms : Int64, milliseconds
        cached, not_cached, unknown : Int64, numbers of queries

        See `frontierlab.filters` for further parameters and errors.
    """
    return Question(CACHED, bins=ValueBins("dbtime", bin_ms, overflow_ms))
