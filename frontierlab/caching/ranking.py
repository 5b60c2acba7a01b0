"""What folders and tags lose to the database: which lose most, and how much in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from frontierlab.caching.counting import KEYS

__all__ = ["lost", "lost_in_words", "ranked", "size_in_words"]


def lost(frame: pd.DataFrame, unit: str = "dbtime") -> pd.Series[Any]:
    """Return the larger of wasted and repeated database time (``dbtime``, ms) or ``bytes`` of each row.

    Null if neither is known.
    """
    larger: pd.Series[Any] = frame[[f"wasted_{unit}", f"repeated_{unit}"]].astype("Float64").max(axis=1)
    return larger


def ranked(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows of ``efficiency()`` by what they lose, the most database time first, then the most bytes."""
    order = pd.DataFrame({"dbtime": lost(frame), "bytes": lost(frame, "bytes"), **{name: frame[name] for name in KEYS}})
    by = order.sort_values([*order], ascending=[False, False, *[True] * len(KEYS)])
    return frame.loc[by.index].reset_index(drop=True)


def lost_in_words(row: Mapping[Any, Any]) -> str:
    """Return what a row of ``efficiency()`` loses: wasted, and repeated."""
    return f"wasted: {_in_words(row, 'wasted')}; repeated: {_in_words(row, 'repeated')}"


def _in_words(row: Mapping[Any, Any], how: str) -> str:
    time, size = row[f"{how}_dbtime"], row[f"{how}_bytes"]
    if pd.isna(time) or pd.isna(size):
        return "not known"
    return f"{time / 1e3:,.0f} s of database time, {size_in_words(size, 0)}"


def size_in_words(count: float, decimals: int = 1) -> str:
    """Return bytes as MB (10^6 bytes) with these decimals, and as GB with one from 1 GB on."""
    return f"{count / 1e9:,.1f} GB" if count >= 999.95e6 else f"{count / 1e6:,.{decimals}f} MB"
