"""Comparison of two results of caching efficiency: what improved and what got worse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from frontierlab.caching.counting import KEYS
from frontierlab.caching.frames import require_columns
from frontierlab.caching.scopes import notes_of_scopes
from frontierlab.errors import InvalidRequestError

if TYPE_CHECKING:
    from bokeh.plotting import figure

__all__ = ["compare", "compare_figure"]

_COMPARED = (
    *("queries", "different_queries", "different_payloads_iov", "bytes_served", "wasted_bytes", "wasted_dbtime"),
    "efficiency_iov",
)
_NEWER = ("repeated_queries", "repeated_bytes", "repeated_dbtime")  # a stored result can lack them
_UNITS = {
    "repeated_dbtime": (1e-3, "s", "{:,.1f}"),
    "repeated_bytes": (1e-6, "MB", "{:,.1f}"),
    "wasted_dbtime": (1e-3, "s", "{:,.1f}"),
    "wasted_bytes": (1e-6, "MB", "{:,.1f}"),
    "bytes_served": (1e-6, "MB", "{:,.1f}"),
    "efficiency_iov": (1.0, "", "{:.3f}"),
}


def compare(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Compare two results, for example before and after a fix: frames of `read` or of ``efficiency()``.

    Returns
    -------
    pandas.DataFrame
        A row is a folder and tag of either result, sorted by the absolute change of wasted database time:
        ``db``, ``schema``, ``nodefullpath``, ``tagname``; ``state`` (both, appeared or vanished); and for each
        figure, in the units of ``efficiency()``, ``…_before``, ``…_after``, ``…_change`` (after - before) and
        ``…_ratio`` (after / before), null if one of them is missing. ``attrs["notes"]`` names folders that
        vanished or appeared, periods of different length, windows of time, and the part that both results are of.

    Raises
    ------
    InvalidRequestError
        A frame lacks a column, or holds a folder and tag twice (choose one dataset and period of the history); or the
        results are of different parts of the queries, for example one of a task and one of all.
    """
    for name, frame in (("before", before), ("after", after)):
        require_columns(frame, (*KEYS, *_COMPARED), "efficiency() or read()", name=name)
        twice = frame[frame.duplicated(list(KEYS))]
        if len(twice):
            raise InvalidRequestError(
                f"{name} holds {twice['nodefullpath'].iloc[0]} ({twice['tagname'].iloc[0]}) more than once: choose one "
                "dataset and period of the history."
            )
    notes = notes_of_scopes(before, after)
    columns, compared = [*KEYS, *_COMPARED, *_NEWER], [*_COMPARED, *_NEWER]
    before, after = (
        frame.reindex(columns=[*frame.columns.union(pd.Index(_NEWER), sort=False)]) for frame in (before, after)
    )
    frame = before[columns].merge(
        after[columns], on=list(KEYS), how="outer", suffixes=("_before", "_after"), indicator="state"
    )
    states = {"both": "both", "left_only": "vanished", "right_only": "appeared"}
    result = frame[list(KEYS)].assign(state=frame["state"].astype("string").map(states))
    for name in compared:
        old, new = frame[f"{name}_before"], frame[f"{name}_after"]
        if name in _NEWER:
            old, new = old.astype("Int64"), new.astype("Int64")
        result[f"{name}_before"], result[f"{name}_after"] = old, new
        result[f"{name}_change"] = new - old
        result[f"{name}_ratio"] = (new.astype("Float64") / old.astype("Float64").replace(0, pd.NA)).astype("Float64")
    result = _most_changed(result, "wasted_dbtime")
    result.attrs = {"notes": [*_note_folders(result), *notes, *_note_lengths(before, after)]}
    return result


def _most_changed(frame: pd.DataFrame, figure_of: str) -> pd.DataFrame:
    """Sort by the absolute change of a figure, then by the figure, largest first."""
    values = frame[[f"{figure_of}_before", f"{figure_of}_after"]].astype("Float64").fillna(0)
    order = pd.DataFrame({"change": (values.iloc[:, 1] - values.iloc[:, 0]).abs(), "size": values.max(axis=1)})
    return frame.loc[order.sort_values(["change", "size"], ascending=False).index].reset_index(drop=True)


def _note_folders(result: pd.DataFrame) -> list[str]:
    """Return sentences that name the folders and tags of only one result."""
    notes = []
    for state in ("vanished", "appeared"):
        rows = result[result["state"] == state]
        names = [f"{path} ({tag})" for path, tag in zip(rows["nodefullpath"], rows["tagname"], strict=True)]
        if names:
            more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
            notes.append(f"{state.capitalize()}: {', '.join(names[:5])}{more}.")
    return notes


def _note_lengths(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    """Return a sentence if the periods of two results of the history differ in length by more than 1 %."""
    if any("period_since" not in frame or frame.empty for frame in (before, after)):
        return []
    lengths = [(f["period_until"].max() - f["period_since"].min()).total_seconds() / 3600 for f in (before, after)]
    if any(pd.isna(length) for length in lengths) or abs(lengths[0] - lengths[1]) <= 0.01 * max(lengths):
        return []
    return [
        f"The periods have different lengths, {lengths[0]:,.1f} h and {lengths[1]:,.1f} h; this alone changes totals."
    ]


def compare_figure(frame: pd.DataFrame, *, figure_of: str = "wasted_dbtime", top: int = 20) -> figure:
    """Draw a figure before and after; one row per folder and tag, the largest change at the top.

    Parameters
    ----------
    frame
        The frame that `compare` returned.
    figure_of
        ``wasted_dbtime``, ``wasted_bytes``, ``bytes_served``, ``queries``, ``different_queries``,
        ``different_payloads_iov``, ``efficiency_iov``, ``repeated_dbtime``, ``repeated_bytes`` or ``repeated_queries``.
    top
        The largest number of rows.

    Raises
    ------
    InvalidRequestError
        The frame lacks a column of `compare`, or `figure_of` is unknown.
    """
    from frontierlab.caching.charts import bars, row_names  # imports Bokeh

    if figure_of not in (*_COMPARED, *_NEWER):
        valid = ", ".join((*_COMPARED, *_NEWER))
        raise InvalidRequestError(f"figure_of={figure_of!r} cannot be compared: choose one of {valid}.")
    require_columns(frame, [f"{figure_of}_before"], "compare()")
    shown = _most_changed(frame, figure_of).head(top)
    scale, unit, form = _UNITS.get(figure_of, (1.0, "", "{:,.0f}"))
    marks = {"vanished": " (vanished)", "appeared": " (appeared)"}
    names = row_names(shown) + shown["state"].map(marks).fillna("")
    series = {name: (shown[f"{figure_of}_{name}"] * scale).tolist() for name in ("before", "after")}
    texts = {
        name: ["none" if pd.isna(v) else f"{form.format(v)} {unit}" for v in values] for name, values in series.items()
    }
    words = [*frame.attrs.get("notes", ()), f"{len(frame) - len(shown):,} smaller changes are not shown."]
    title = f"{figure_of.replace('_', ' ').replace('dbtime', 'database time')}, before and after"
    return bars(
        title.capitalize(),
        "\n".join(words if len(frame) > len(shown) else words[:-1]),
        names.tolist(),
        series,
        texts,
        ", ".join(filter(None, (figure_of.replace("_", " ").replace("dbtime", "database time"), unit))),
        "Neither result has a folder to compare.",
    )
