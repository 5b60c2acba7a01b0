"""The questions that people ask of the logs: one function each, answered by one Spark SQL statement.

A filter is a pure function ``filter(logs, …) -> pandas.DataFrame``; ``filter.sql(…)`` is its
statement with the values of its parameters, which runs nothing. All take these keywords, to ask of
some of the queries only; a list means any of its values:

``since``, ``until``
    Queries of ``[since, until)``: ISO 8601 text, a date or a datetime. Without a zone it is UTC.
``db``, ``schema``, ``nodefullpath``
    Names of database instances, of schemas, of folders (by full path).
``taskid``
    Numbers of PanDA tasks.

A query of which the log does not say whether it was cached is counted as ``unknown``: in every
frame, cached + not_cached + unknown is the number of queries. A value that nothing matches (a
database that is not there) gives a frame without rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack

import numpy as np
import pandas as pd

from frontierlab.errors import InvalidRequestError
from frontierlab.statements import Statement, Where, Within, as_filter, in_words, where_clause
from frontierlab.times import to_milliseconds

__all__ = ["MAX_BINS", "cached_per_schema", "queries_over_time", "queries_per_db"]

MAX_BINS = 100_000
"""Time bins of an answer at most; a day of whole seconds fits."""

_CACHED = """count_if(cached) AS cached,
       count_if(NOT cached) AS not_cached,
       count_if(cached IS NULL) AS unknown"""


@as_filter
def queries_per_db(**where: Unpack[Where]) -> Statement:
    """Count the queries of each database, cached and not.

    Parameters
    ----------
    logs
        What `frontierlab.open_logs` opened.
    **where
        The keywords that all filters take; see `frontierlab.filters`.

    Returns
    -------
    pandas.DataFrame
        A row is a database instance, the one with the most queries first.

        db : string
        cached, not_cached, unknown : Int64, numbers of queries

    Raises
    ------
    InvalidRequestError
        A parameter makes no sense; Spark was not asked.
    """
    condition, args, selection = where_clause(**where)
    text = f"""\
SELECT db,
       {_CACHED}
FROM {{logs}}{condition}
GROUP BY db
ORDER BY count(*) DESC, db"""
    return Statement("queries_per_db", text, args, selection)


@as_filter
def cached_per_schema(*, db: str | Iterable[str], **where: Unpack[Within]) -> Statement:
    """Count the queries of each schema of a database, cached and not.

    Parameters
    ----------
    logs
        What `frontierlab.open_logs` opened.
    db
        The database instance; of several, each schema of each is a row.
    **where
        The keywords that all filters take; see `frontierlab.filters`.

    Returns
    -------
    pandas.DataFrame
        A row is a schema, the one with the most queries first.

        db : string
        schema : string, null for queries of which the log does not name it
        cached, not_cached, unknown : Int64, numbers of queries

    Raises
    ------
    InvalidRequestError
        A parameter makes no sense; Spark was not asked.
    """
    condition, args, selection = where_clause(db=db, **where)
    text = f"""\
SELECT db,
       schema,
       {_CACHED}
FROM {{logs}}{condition}
GROUP BY db, schema
ORDER BY count(*) DESC, db, schema"""
    return Statement("cached_per_schema", text, args, selection)


@as_filter
def queries_over_time(*, bin_seconds: float = 300, **where: Unpack[Where]) -> Statement:
    """Count the queries over time, cached and not.

    Parameters
    ----------
    logs
        What `frontierlab.open_logs` opened.
    bin_seconds
        Width of a time bin, in whole milliseconds. Bins are half open and aligned to the epoch.
    **where
        The keywords that all filters take; see `frontierlab.filters`.

    Returns
    -------
    pandas.DataFrame
        A row is a time bin, in order. Every bin from `since` to `until` is there, with zeros where no
        query came; without them, from the first to the last query. The first and the last bin can
        reach outside `since` and `until`, but only queries inside are counted.

        time : start of the bin, UTC
        cached, not_cached, unknown : Int64, numbers of queries

    Raises
    ------
    InvalidRequestError
        A parameter makes no sense; Spark was not asked. Or there are more than `MAX_BINS` bins.
    """
    width = _milliseconds(bin_seconds)
    condition, args, selection = where_clause(**where)
    first, last = args.get("since"), args.get("until")
    start = None if first is None else to_milliseconds(first)
    end = None if last is None else to_milliseconds(last)
    if start is not None and end is not None:
        _bins(start, end, width)
    text = f"""\
SELECT timestamp_millis(unix_millis(time) - pmod(unix_millis(time), :bin_ms)) AS time,
       {_CACHED}
FROM {{logs}}{condition}
GROUP BY 1
ORDER BY 1
LIMIT :most"""
    args = {**args, "bin_ms": width, "most": MAX_BINS + 1}
    return Statement(
        "queries_over_time", text, args, selection, width / 1000, lambda frame: _fill(frame, start, end, width)
    )


def _fill(frame: pd.DataFrame, start: int | None, end: int | None, width: int) -> pd.DataFrame:
    """Put in the bins in which no query came."""
    if frame.empty:
        return frame
    seen = frame["time"].astype("int64")  # of a time in milliseconds: milliseconds
    bins = _bins(int(seen.iloc[0]) if start is None else start, int(seen.iloc[-1]) + 1 if end is None else end, width)
    times = pd.DatetimeIndex(bins.view("datetime64[ms]"), name="time").tz_localize("UTC")
    return frame.set_index("time").reindex(times, fill_value=0).reset_index()


def _bins(start: int, end: int, width: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the starts of the bins that [start, end) meets, all in milliseconds from the epoch."""
    first = start - start % width
    count = -((first - end) // width)
    if count > MAX_BINS:
        raise InvalidRequestError(
            f"From {in_words(start)} to {in_words(end)} there are {count:,} bins of {width / 1000:g} s, more than "
            f"{MAX_BINS:,}: choose a larger bin_seconds, or since and until closer together."
        )
    return np.arange(first, end, width, dtype=np.int64)


def _milliseconds(seconds: float) -> int:
    try:
        width = round(seconds * 1000)
        good = width > 0 and abs(width - seconds * 1000) < 1e-6
    except (TypeError, ValueError, OverflowError):  # a text, nan, infinity
        good = False
    if not good:
        raise InvalidRequestError(
            f"bin_seconds={seconds!r}: give a number of seconds from 0.001, in whole milliseconds."
        )
    return width
