"""The expressions that several filters count with."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

__all__ = ["BYTES", "CACHED", "DB", "NODE", "NOT_CACHED", "PAYLOAD", "QUERIES", "SCHEMA", "add_percent"]

DB = {"db": "db"}
SCHEMA = {"db": "db", "schema": "schema"}
NODE = {**SCHEMA, "nodefullpath": "nodefullpath"}

QUERIES = {"queries": "count(*)"}
CACHED = {
    "cached": "count_if(cached)",
    "not_cached": "count_if(NOT cached)",
    "unknown": "count_if(cached IS NULL)",
}
PAYLOAD = {"payload": "count_if(since <> -1)", "non_payload": "count_if(since = -1 OR since IS NULL)"}
BYTES = {"bytes": "coalesce(sum(fsize), 0)"}
NOT_CACHED = "NOT cached"


def add_percent(frame: pd.DataFrame, of: Sequence[str], whole: pd.Series[int] | int) -> pd.DataFrame:
    """Add what each column is of the whole, in percent; null where the whole is nothing."""
    parts = {}
    for column in of:
        # an integer of 64 bits first becomes a fraction here: a share of 53 bits is exact enough
        fraction = frame[column].astype("Float64") / whole
        parts[f"{column}_percent"] = (100 * fraction).mask(fraction.isna() | (fraction.abs() == float("inf")))
    return frame.assign(**parts)
