"""Drawings over time with one line per group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from frontierlab.filters.expressions import GROUPS
from frontierlab.filters.top import OTHER, unnamed
from frontierlab.plots.drawing import Drawing, nothing
from frontierlab.plots.heatmap import MOST, Form, heatmap, is_heatmap
from frontierlab.plots.stepped import Line, over_time
from frontierlab.plots.style import COLOURS, Scale, check_frame, task_labels, words_of

__all__ = ["NAMES", "Number", "group_of", "groups_over_time"]

Texts: TypeAlias = Callable[[pd.DataFrame, str], list[str]]
"""The hover texts of the rows of a frame; the other argument ends the names of columns: empty, or ``_before``."""

NAMES = {"squid": "Squid"}
"""The names of groups of queries in titles, where they differ from the words of ``by``."""

_DASHES = ("solid", "dashed", "dashdot")
_MOST = len(COLOURS) * len(_DASHES) - 1  # beside the line of others: no two lines look alike


class Number(NamedTuple):
    """The number that is drawn of each group.

    Parameters
    ----------
    column
        Its column.
    axis
        The label of its axis; ``{bin}`` is the width of a bin.
    unit
        Its unit in hover texts.
    texts
        Its hover texts; by default the number and the unit.
    lacking
        Why there is nothing to draw if all of its values are null.
    """

    column: str
    axis: str
    unit: str
    texts: Texts | None = None
    lacking: str = ""


def group_of(frame: pd.DataFrame, choices: Sequence[str]) -> str:
    """Return which of these groups (`frontierlab.filters.expressions.GROUPS`) a frame has; by default the first."""
    by_columns = sorted(choices, key=lambda choice: -len(GROUPS[choice]))
    return next((choice for choice in by_columns if GROUPS[choice].keys() <= set(frame.columns)), choices[0])


def groups_over_time(
    frame: pd.DataFrame,
    name: str,
    group: str,
    number: Number,
    *,
    title: str,
    selection: str | None,
    scale: Scale,
    form: Form,
    needed: Sequence[str] = (),
) -> Drawing:
    """Draw one line per group over time, or one row of coloured cells.

    At most 20 groups have a line, so that each has a colour and dashes of its own, and at most 60 a row; the words
    above the figure give the number of those that are not drawn.

    Parameters
    ----------
    frame
        The frame of a filter by time and group, with or without a comparison: each bin has all groups, in one order.
    name
        The name of the filter.
    group
        What a group is (`frontierlab.filters.expressions.GROUPS`).
    number
        The number that is drawn.
    title, selection
        The title, and the selection in words.
    scale
        The scale of numbers; see `frontierlab.plots.style.is_log`.
    form
        Lines or cells; see `frontierlab.plots.heatmap.Form`.
    needed
        Further columns that the texts need.

    Raises
    ------
    InvalidRequestError
        The frame is of another filter, or `scale` is invalid.
    """
    keys = [*GROUPS[group]]
    check_frame(frame, name, ["time", *keys, "part", "groups", number.column, *needed])
    words = words_of(frame, selection)
    drawn = frame.filter(items=[number.column, f"{number.column}_before"])
    if frame.empty or drawn.isna().to_numpy().all():
        return nothing(title, words, number.lacking if len(frame) else "")
    count = int((frame["time"] == frame["time"].iloc[0]).sum())
    cells = is_heatmap(form, count)
    wide, lines, more = _apart(frame, keys, number, MOST if cells else _MOST)
    if more:
        called = NAMES.get(group, group)
        words = f"{words}\n{more:,} smaller {called}{'s are' if more != 1 else ' is'} not drawn".strip()
    draw = heatmap if cells else over_time
    return draw(wide, lines, title=title, words=words, axis=number.axis, unit=number.unit, scale=scale)


def _apart(frame: pd.DataFrame, keys: Sequence[str], number: Number, most: int) -> tuple[pd.DataFrame, list[Line], int]:
    """Return a frame with columns for each group, the lines of these columns, and how many groups have none."""
    # every bin has all groups, in the same order
    count = int((frame["time"] == frame["time"].iloc[0]).sum())
    heads = frame.iloc[:count].reset_index(drop=True)
    alone = heads.index[heads["part"] != OTHER]
    places = heads.index.difference(alone[most:])
    labels = _labels(heads, keys)
    columns: dict[str, Any] = {"time": frame["time"].iloc[::count].array}
    lines = []
    for line, place in enumerate(places):
        colour, dash = COLOURS[line % len(COLOURS)], _DASHES[line // len(COLOURS) % len(_DASHES)]
        lines.append(Line(f"s{line}", labels[place], colour, dash))
        rows = frame.iloc[place::count]
        for suffix in ("", "_before"):
            if f"{number.column}{suffix}" in frame:
                columns[f"s{line}{suffix}"] = rows[f"{number.column}{suffix}"].array
                if number.texts is not None:
                    columns[f"s{line}{suffix}_text"] = number.texts(rows, suffix)
    wide = pd.DataFrame(columns)
    wide.attrs = frame.attrs
    return wide, lines, len(heads) - len(places)


def _labels(heads: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Return the names of groups in the legend."""
    if "taskname" in heads:
        heads, keys = heads.assign(taskid=task_labels(heads)), ["taskid"]
    varying = [*(key for key in keys[:-1] if heads[key].nunique() > 1), keys[-1]]
    labels: list[str] = []
    for row in heads.to_dict("records"):
        stand_in = unnamed(row["part"], row["groups"])
        # a query without a folder can have a schema
        names = [] if row["part"] == OTHER else [str(row[key]) for key in varying if not pd.isna(row[key])]
        labels.append(" · ".join([*names, *([stand_in] if stand_in else [])]))
    return labels
