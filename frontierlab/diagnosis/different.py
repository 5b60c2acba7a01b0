"""Different queries: in which bin each was asked first, and which were repeated most."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

import pandas as pd

from frontierlab.engines.logs import Logs

__all__ = ["Different", "Keep", "PART", "count_different"]

PART = 8_000_000
"""Queries of which DuckDB finds the different ones at once."""

Keep: TypeAlias = "Callable[[Logs, str, dict[str, int], str], AbstractContextManager[list[Logs]]]"
"""Keeps the result of a statement of logs with its parameters, in parts by a column if one is named."""
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
        A row is a query that one asker sent often: ``folder``, ``asker``, ``query``, ``queries``.
    """

    fresh: pd.DataFrame
    first_misses: pd.DataFrame
    repeated: pd.DataFrame


def count_different(logs: Logs, queries: int, least: int, keep: Keep, ask: Ask) -> Different:
    """Count the different queries of logs.

    All rows are read once. DuckDB parts those of very many queries by their hash, and counts one part after the other:
    equal queries are in the same part.

    Parameters
    ----------
    logs
        The logs.
    queries
        Their number.
    least
        How often a query must be repeated to be told.
    keep
        Keeps the result of a statement, in parts by a column if one is named.
    ask
        Returns the result of a statement.
    """
    parts = 1 if logs.engine == "spark" else max(1, -(-queries // PART))
    if parts == 1:
        with keep(logs, "DIFFERENT", {}, "") as (whole,):
            return _counted(whole, least, ask)
    found = []
    with keep(logs, "PARTED", {"parts": parts}, "part") as each:
        for part in each:
            with keep(part, "DIFFERENT_OF_PART", {}, "") as (whole,):
                found.append(_counted(whole, least, ask))
    return Different(
        _added(one.fresh for one in found),
        _added(one.first_misses for one in found),
        pd.concat([one.repeated for one in found], ignore_index=True),
    )


def _counted(different: Logs, least: int, ask: Ask) -> Different:
    return Different(
        ask(different, "FRESH", {}), ask(different, "FIRST_MISSES", {}), ask(different, "REPEATED", {"least": least})
    )


def _added(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    whole = pd.concat(list(frames), ignore_index=True)
    names = [name for name in whole if name != "fresh"]
    return whole.groupby(names, sort=False)["fresh"].sum().reset_index()
