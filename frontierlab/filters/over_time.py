"""Queries, bytes and long queries over time (plots 7, 10, 15, 16)."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from frontierlab.errors import InvalidRequestError
from frontierlab.filters.bins import TimeBins
from frontierlab.filters.expressions import BYTES, CACHED, NODE, NOT_CACHED, QUERIES, SCHEMA
from frontierlab.filters.filter import as_filter
from frontierlab.filters.needs import Expression, Need
from frontierlab.filters.question import Question

__all__ = [
    "bytes_over_time",
    "long_queries_per_node",
    "long_queries_per_schema",
    "queries_over_time",
]


@as_filter
def queries_over_time(*, bin_seconds: float = 300) -> Question:
    """Count the queries over time, cached and not.

    Parameters
    ----------
    bin_seconds
        Width of a time bin in seconds, a multiple of 0.001.

    Returns
    -------
    pandas.DataFrame
        A row is a time bin, in order. Every bin from ``since`` to ``until`` has a row, with zeros if it has
        no query. Without ``since`` and ``until``, bins go from the first to the last query. The first and the
        last bin can extend beyond ``since`` and ``until``, but only queries inside are counted.

        time : start of the bin, UTC
        cached, not_cached, unknown : Int64, numbers of queries

        See `frontierlab.filters` for further parameters and errors; at most `MAX_BINS` bins are allowed.
    """
    return Question(CACHED, bins=TimeBins(bin_seconds), facts={"bin_seconds": bin_seconds})


@as_filter
def bytes_over_time(*, bin_seconds: float = 300) -> Question:
    """Add up the response sizes over time, of queries that were not cached.

    Parameters
    ----------
    bin_seconds
        Width of a time bin in seconds, a multiple of 0.001.

    Returns
    -------
    pandas.DataFrame
        A row is a time bin, in order; empty bins have rows, as in `queries_over_time`.

        time : start of the bin, UTC
        bytes : Int64, the sum of ``fsize``
        kB : Float64, the same in kB (1,000 bytes)

        See `frontierlab.filters` for further parameters and errors; at most `MAX_BINS` bins are allowed.
    """

    def in_kilobytes(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(kB=frame["bytes"].astype("Float64") / 1000)

    return Question(
        BYTES,
        conditions=(NOT_CACHED,),
        bins=TimeBins(bin_seconds),
        derive=in_kilobytes,
        facts={"bin_seconds": bin_seconds},
    )


@as_filter
def long_queries_per_schema(*, threshold_ms: int = 1000, bin_seconds: float = 300, top: int | None = 10) -> Question:
    """Count the long queries over time, one series per schema; ``db`` selects one database.

    Parameters
    ----------
    threshold_ms
        A query is long if its ``querytime`` is at least this many milliseconds.
    bin_seconds
        Width of a time bin in seconds, a multiple of 0.001.
    top
        How many schemas have their own series (those with the most long queries); None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a time bin of a series. Every series has every bin, as in `queries_over_time`.
        In each bin, the largest series of the whole period comes first.

        time : start of the bin, UTC
        db, schema : string
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        queries : Int64, number of long queries
    """
    return _long(SCHEMA, threshold_ms, bin_seconds, top)


@as_filter
def long_queries_per_node(*, threshold_ms: int = 1000, bin_seconds: float = 300, top: int | None = 10) -> Question:
    """Count the long queries over time, one series per folder; ``schema`` selects one schema.

    Parameters
    ----------
    threshold_ms
        A query is long if its ``querytime`` is at least this many milliseconds.
    bin_seconds
        Width of a time bin in seconds, a multiple of 0.001.
    top
        How many folders have their own series (those with the most long queries); None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a time bin of a series. Every series has every bin, as in `queries_over_time`.
        In each bin, the largest series of the whole period comes first.

        time : start of the bin, UTC
        db, schema, nodefullpath : string
        part, groups : string, Int64; see `frontierlab.filters`, also for further parameters and errors
        queries : Int64, number of long queries
    """
    return _long(NODE, threshold_ms, bin_seconds, top)


def _long(keys: Mapping[str, str], threshold_ms: int, bin_seconds: float, top: int | None) -> Question:
    if isinstance(threshold_ms, bool) or not isinstance(threshold_ms, int) or not 0 <= threshold_ms < 2**63:
        raise InvalidRequestError(f"threshold_ms={threshold_ms!r}: give a whole number of milliseconds, 0 or more.")
    return Question(
        QUERIES,
        keys,
        conditions=(Expression("querytime >= :threshold_ms", Need("querytime", "at least", threshold_ms)),),
        args={"threshold_ms": threshold_ms},
        bins=TimeBins(bin_seconds),
        top=top,
        facts={"bin_seconds": bin_seconds, "threshold_ms": threshold_ms},
    )
