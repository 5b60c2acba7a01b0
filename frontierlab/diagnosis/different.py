"""Different queries: in which bin each was asked first, and which were repeated most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

import pandas as pd

from frontierlab.engines.logs import Logs

__all__ = ["Different", "Keep", "PART", "count_different"]

PART = 8_000_000
"""Queries of which DuckDB finds the different ones at once."""

Keep: TypeAlias = "Callable[[Logs, str, dict[str, int], str], AbstractContextManager[list[Logs]]]"
"""Keeps the result of a statement of logs with its parameters, in parts by a column."""
Ask: TypeAlias = "Callable[[Logs, str, dict[str, int]], pd.DataFrame]"


@dataclass(frozen=True)
class Different:
    """The counts of different queries.

    Parameters
    ----------
    fresh, first_misses
        Different queries (``fresh``) by the bin in which each was first asked for, of folders and tags (``folder``) and
        of Squids and sites (``asker``). These names are hashes.
    repeated
        The hashes of queries that one asker sent often.
    """

    fresh: pd.DataFrame
    first_misses: pd.DataFrame
    repeated: tuple[int, ...]


def count_different(logs: Logs, queries: int, least: int, keep: Keep, ask: Ask) -> Different:
    """Count the different queries of logs.

    DuckDB parts those of very many queries by their hash, and counts one part after the other: equal queries are in the
    same part.

    Parameters
    ----------
    logs
        The logs.
    queries
        Their number.
    least
        How often a query must be repeated to be told.
    keep
        Keeps the result of a statement, in parts by a column.
    ask
        Returns the result of a statement.
    """
    parts = 1 if logs.engine == "spark" else max(1, -(-queries // PART))
    often = {"least": least}
    if parts == 1:
        return _different([ask(logs, "FRESH", {})], [ask(logs, "FIRST_MISSES", often)])
    with keep(logs, "PARTED", {"parts": parts}, "part") as each:
        fresh = [ask(part, "FRESH_OF_PART", {}) for part in each]
        return _different(fresh, [ask(part, "FIRST_MISSES_OF_PART", often) for part in each])


def _different(fresh: Sequence[pd.DataFrame], misses: Sequence[pd.DataFrame]) -> Different:
    """Return what was counted of all parts together."""
    first_misses = pd.concat(misses, ignore_index=True)
    repeated = first_misses["query"].dropna().unique()
    return Different(
        _added(pd.concat(fresh, ignore_index=True), "folder"),
        _added(first_misses, "asker"),
        tuple(int(query) for query in repeated),
    )


def _added(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    return frame.groupby(["bin", name], sort=False)["fresh"].sum().reset_index()
