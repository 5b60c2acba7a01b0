"""Figures of query numbers by duration (plots 8 and 9)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from frontierlab.plots.drawing import Axis, Drawing, nothing
from frontierlab.plots.making import as_plot
from frontierlab.plots.stepped import Line, stepped
from frontierlab.plots.style import CACHED_SERIES, VALUES, Scale, check_frame, format_number, known, words_of

__all__ = ["queries_by_dbtime", "queries_by_querytime"]

_TAIL = 4  # width of the drawn long tail, in bins


@as_plot
def queries_by_querytime(frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto") -> Drawing:
    """Draw the queries by their total duration (``querytime``), cached and not.

    See `frontierlab.plots` for the parameters.
    """
    return _durations(frame, "querytime", "Queries by query time", selection, scale)


@as_plot
def queries_by_dbtime(frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto") -> Drawing:
    """Draw the queries by their time in the database (``dbtime``), cached and not.

    See `frontierlab.plots` for the parameters.
    """
    return _durations(frame, "dbtime", "Queries by database time", selection, scale)


def _durations(frame: pd.DataFrame, value: str, title: str, selection: str | None, scale: Scale) -> Drawing:
    columns = [one.column for one in CACHED_SERIES]
    check_frame(frame, f"queries_by_{value}", ["from_ms", "to_ms", *columns])
    words = words_of(frame, selection)
    if frame.empty:
        return nothing(title, words)
    bins = frame[frame["from_ms"].notna()].reset_index(drop=True)
    beside = frame[frame["from_ms"].isna()]
    for to, what in zip(beside["to_ms"], beside[columns].sum(axis=1), strict=True):
        reason = f"without a {VALUES[value]}" if pd.isna(to) else f"with a {VALUES[value]} below zero"
        words = f"{words}\n{format_number(what, 'queries')} {reason}: not drawn".strip()
    left = bins["from_ms"].to_numpy(dtype="float64")
    width = float(bins["to_ms"].iloc[0]) - left[0]
    right = bins["to_ms"].to_numpy(dtype="float64", na_value=left[-1] + _TAIL * width)
    texts = {
        "from": [format_number(ms) for ms in bins["from_ms"]],
        "to": ["longer, ms" if pd.isna(ms) else f"{ms:,} ms" for ms in bins["to_ms"]],
    }
    lines = [Line(one.column, one.name, one.colour) for one in known(CACHED_SERIES, frame)]
    label = f"{VALUES[value]} (ms), bins of {width:g} ms; shaded: {format_number(int(left[-1]))} ms or more"
    ticks = np.linspace(0, left[-1], 6).tolist()
    return stepped(
        bins,
        lines,
        left,
        right,
        texts,
        title=title,
        words=words,
        unit="queries",
        scale=scale,
        x=Axis(label, 0, right[-1], form="0,0[.]0", ticks=ticks),
        axis="queries",
        band=(left[-1], right[-1]),
    )
