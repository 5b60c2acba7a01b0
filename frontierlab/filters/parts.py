"""The expressions that several filters count with."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from frontierlab.measures import Count, Sum

__all__ = [
    "BYTES",
    "CACHED",
    "DB",
    "NODE",
    "NOT_CACHED",
    "PAYLOAD",
    "QUERIES",
    "SCHEMA",
    "add_percent",
    "add_percent_of_all",
]

DB = {"db": "db"}
"""What names a database."""

SCHEMA = {"db": "db", "schema": "schema"}
"""What names a schema."""

NODE = {**SCHEMA, "nodefullpath": "nodefullpath"}
"""What names a folder."""

QUERIES = {"queries": Count()}
"""Numbers of queries."""

CACHED = {
    "cached": Count("cached"),
    "not_cached": Count("NOT cached"),
    "unknown": Count("cached IS NULL"),
}
"""Numbers of queries that were cached, that were not, and of which the log does not say."""

PAYLOAD = {"payload": Count("since <> -1"), "non_payload": Count("since = -1 OR since IS NULL")}
"""Numbers of queries that give the start of an IOV, and that do not."""

BYTES = {"bytes": Sum("fsize")}
"""Sizes of answers added up."""

NOT_CACHED = "NOT cached"
"""The condition that a query was not cached."""


def add_percent(frame: pd.DataFrame, of: Sequence[str], whole: pd.Series[int]) -> pd.DataFrame:
    """Add what each column is of the row's whole, in percent; null where the whole is nothing."""
    whole = whole.mask(whole == 0)
    # an integer of 64 bits becomes a fraction here: a share of 53 bits is exact enough
    return frame.assign(**{f"{column}_percent": 100 * (frame[column] / whole).astype("Float64") for column in of})


def add_percent_of_all(frame: pd.DataFrame, of: Sequence[str]) -> pd.DataFrame:
    """Add what each column's value is of all rows' together, in percent; null where that is nothing."""
    for column in of:
        frame = add_percent(frame, [column], pd.Series(frame[column].sum(), index=frame.index, dtype="Int64"))
    return frame
