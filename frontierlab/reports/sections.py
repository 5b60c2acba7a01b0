"""The sections of a report: a plot, its statement, and its numbers as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from frontierlab import plots
from frontierlab.engines.logs import Logs
from frontierlab.filters.changes import what_changed
from frontierlab.filters.question import Statement
from frontierlab.filters.top import unnamed
from frontierlab.plots.style import format_number
from frontierlab.selection import Selection

if TYPE_CHECKING:
    from bokeh.plotting import figure

__all__ = ["Section", "section", "section_of_changes"]

_MOST_ROWS = 50


@dataclass(frozen=True)
class Section:
    """A plot, its statement, and its numbers as a table; the first `names` columns of the table are text."""

    figure: figure
    statement: Statement
    caption: str = ""
    headings: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    names: int = 0
    open: bool = False


def section(name: str, frame: pd.DataFrame, statement: Statement) -> Section:
    """Return the plot called `name` of a filter's frame; frames of groups also as a table, largest change first."""
    drawn = getattr(plots, name)(frame)
    if "part" not in frame or frame.empty or "time" in frame:
        return Section(drawn, statement)
    changes = [column for column in frame.columns if column.endswith("_change")]
    if changes:
        frame = frame.iloc[frame[changes[0]].abs().argsort()[::-1]]
    names = [*frame.columns[: frame.columns.get_loc("part")]]
    unknown = [column for column in frame.columns if column.startswith("unknown")]
    known = frame.drop(columns=[] if frame[unknown].to_numpy(na_value=0).any() else unknown)
    headings = [column for column in known.columns if column not in ("part", "groups")]
    rows = [
        [*_names(row, names), *(format_number(row[column]) for column in headings[len(names) :])]
        for row in frame.head(_MOST_ROWS).to_dict("records")
    ]
    caption = "Differences" if changes else "Numbers"
    if len(frame) > _MOST_ROWS:
        caption += f" (the first {_MOST_ROWS} of {len(frame):,} rows)"
    return Section(
        drawn, statement, caption, [_heading(column) for column in headings], rows, len(names), open=bool(changes)
    )


def section_of_changes(then: tuple[Logs, Selection], now: tuple[Logs, Selection]) -> Section:
    """Return the plot of what changed between two selections of logs."""
    frame = what_changed(then, now)
    statement: Statement = what_changed.sql(then[1], now[1])  # type: ignore[attr-defined]
    return Section(plots.what_changed(frame), statement)


def _names(row: dict[Any, Any], names: list[str]) -> list[str]:
    texts = ["" if pd.isna(row[name]) else str(row[name]) for name in names]
    stand_in = unnamed(row["part"], row["groups"])
    if stand_in is not None:
        empty = next(place for place in reversed(range(len(texts))) if not texts[place])
        texts[empty] = stand_in
    return texts


def _heading(column: str) -> str:
    return column.replace("_", " ").replace("percent", "%")
