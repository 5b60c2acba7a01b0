"""Drawings with one row per group: stacked bars, or dots on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from frontierlab.errors import InvalidRequestError
from frontierlab.filters.expressions import add_percent, add_percent_of_all
from frontierlab.filters.top import MISSING, NAMED, OTHER, unnamed
from frontierlab.plots.drawing import Axis, Drawing, Mark, nothing
from frontierlab.plots.style import (
    BEFORE,
    FLOOR,
    Scale,
    Series,
    check_frame,
    drawn,
    format_number,
    is_log,
    known,
    short,
    words_of,
)

__all__ = ["grouped", "limited", "rows_axis"]

_ROOM = 0.05  # beyond the farthest mark, as a part of the axis


def grouped(
    frame: pd.DataFrame,
    name: str,
    keys: Sequence[str],
    series: Sequence[Series],
    *,
    title: str,
    selection: str | None,
    axis: str,
    unit: str = "queries",
    share: Literal["row", "all", "none"] = "row",
    told: Sequence[tuple[str, str, str]] = (),
    percent: bool = False,
    stacked: bool = True,
    scale: Scale = "auto",
    top: int = 20,
) -> Drawing:
    """Draw one row per group, in the order of the frame.

    Parameters
    ----------
    frame
        The frame of a filter by group, with or without a comparison.
    name
        The name of the filter.
    keys
        The columns that name a group.
    series
        The series drawn in each row.
    title, selection, axis, unit
        The title, the selection in words, the axis label, and the unit in hover texts.
    share
        Whether a share is a fraction of its row or of all rows. ``none`` if the numbers do not add up, as percentiles:
        then groups beyond `top` are not drawn, and the words say how many.
    told
        Further columns for the hover texts, each with a name and a unit.
    percent
        Draw shares instead of numbers.
    stacked
        True if the series add up; False draws dots.
    scale
        The scale of numbers; see `frontierlab.plots.style.is_log`.
    top
        The largest number of named groups; the others are added up in one row. That row, and that of queries for which
        the log names no group, is told in words instead if it is longer than all others: it would set the scale.

    Raises
    ------
    InvalidRequestError
        The frame is of another filter, or `scale` or `top` is invalid.
    """
    check_frame(frame, name, [*keys, "part", *(one.column for one in series)])
    words, others = words_of(frame, selection), frame.attrs.get("before", "the other logs")
    if frame.empty:
        return nothing(title, words)
    frame = frame.copy(deep=False)
    frame.attrs = {}  # pandas copies them, all that is in them, with each column
    if share == "none":
        rows, more = _first(frame, keys, top)
        words = f"{words}\nnot drawn: {more:,} smaller group{'s' if more != 1 else ''}".strip() if more else words
    else:
        rows = limited(frame, keys, [*(one.column for one in series), *(column for column, *_ in told)], top)
    series = known(series, rows)
    shown = _shown(rows, series, share) if percent else rows
    columns = [one.column for one in series]
    sizes = shown[columns].sum(axis=1).to_frame() if stacked and share != "none" else shown[columns]
    log = not percent and is_log(sizes[rows["part"] == NAMED], scale)
    if not log and share != "none" and not (percent and share == "row"):
        outsized = _outsized(sizes.max(axis=1), rows["part"])
        if outsized.any():
            told_apart = _told_apart(rows, outsized, series, share, unit, stacked=stacked)
            words = f"{words}\n{told_apart}".strip()
            rows, shown = (one[~outsized].reset_index(drop=True) for one in (rows, shown))
    compared, bars = f"{columns[0]}_before" in rows, stacked and not log
    if compared:
        before = f"before ({'outline' if bars else 'hollow'}): {others}"
        words = f"{words}\n{before}".strip()
    data: dict[str, Any] = {"y": list(range(len(rows))), "name": rows["label"].tolist()}
    data |= _texts(rows, series, share, unit)
    data |= {name: drawn(shown[name], log, zero=np.nan) for name in columns}
    marks = _bars(data, series) if bars else _dots(data, series)
    legend: list[tuple[str, Sequence[int]]] = [(one.name, [place]) for place, one in enumerate(series)]
    if compared:
        called, then = _before(shown, series, bars=bars, percent=percent)
        legend.append((called, range(len(marks), len(marks) + len(then))))
        marks += then
    tips = [(one.name, f"@{one.column}_text") for one in series]
    total = [("together", "@total_text")] if len(series) > 1 and stacked else []
    for column, called, what in told:
        data[f"{column}_told"] = [format_number(number, what) for number in rows[column]]
        total.append((called, f"@{column}_told"))
    height, y = rows_axis(rows["label"])
    return Drawing(
        title,
        words,
        _axis(axis, marks, log=log),
        y._replace(grid=log or not stacked),
        height,
        marks=marks,
        legend=legend,
        hover=range(len(series)),
        tips=[("", "@name"), *tips, *total],
    )


def _outsized(sizes: pd.Series[Any], parts: pd.Series[Any]) -> pd.Series[Any]:
    """Return which rows are of several groups or of none, and longer than that of each group."""
    named = parts == NAMED
    return ~named & (sizes > sizes[named].max()) if named.any() else named


def _told_apart(
    rows: pd.DataFrame,
    which: pd.Series[Any],
    series: Sequence[Series],
    share: Literal["row", "all", "none"],
    unit: str,
    *,
    stacked: bool,
) -> str:
    """Return the numbers of rows that are not drawn, in words."""
    texts = pd.DataFrame(_texts(rows, series, share, unit))[which]
    told = []
    for label, row in zip(rows.loc[which, "label"], texts.to_dict("records"), strict=True):
        numbers = [f"{one.name} {row[f'{one.column}_text']}" for one in series]
        told.append(f"{label} {row['total_text'] if stacked and len(series) > 1 else ', '.join(numbers)}")
    return f"not drawn, as longer than all others: {'; '.join(told)}"


def _axis(label: str, marks: Sequence[Mark], *, log: bool) -> Axis:
    """Return the axis of numbers, to a little beyond the farthest mark."""
    ends = [mark.data[mark.look.get("x") or mark.look["right"]] for mark in marks]
    highest = float(np.nanmax([0.0, *np.concatenate(ends)]))
    if log:
        label = f"{label} (logarithmic, zeros left out)"
        return Axis(label, FLOOR, 2 * max(highest, 1), kind="log", few=True)
    return Axis(label, 0, (1 + _ROOM) * highest or 1, form="0,0[.]0", few=True)


def limited(frame: pd.DataFrame, keys: Sequence[str], columns: Sequence[str], top: int) -> pd.DataFrame:
    """Return the first `top` named rows, one row for other groups, and one for missing groups, with labels."""
    _check(top)
    columns = [*columns, *(f"{name}_before" for name in columns if f"{name}_before" in frame)]
    named, missing = frame[frame["part"] == NAMED], frame[frame["part"] == MISSING]
    rest = pd.concat([named.iloc[top:], frame[frame["part"] == OTHER]])
    found = [named.iloc[:top][columns].assign(label=_labels(named, keys, top), part=NAMED)]
    for rows, part in ((rest, OTHER), (missing, MISSING)):
        if len(rows):
            groups = rows["groups"].sum(skipna=False)
            label = unnamed(part, None if pd.isna(groups) else int(groups))
            # sum each column separately: a sum over mixed columns would convert int64 to float64
            sums = {name: pd.Series([rows[name].sum()]).astype(rows[name].dtype) for name in columns}
            found.append(pd.DataFrame(sums).assign(label=label, part=part))
    return pd.concat(found, ignore_index=True)


def _first(frame: pd.DataFrame, keys: Sequence[str], top: int) -> tuple[pd.DataFrame, int]:
    """Return the first `top` named rows and all that have no name, with labels; and the number of the other rows."""
    _check(top)
    named, others = frame[frame["part"] == NAMED], frame[frame["part"] != NAMED]
    labels = [unnamed(part, groups) for part, groups in zip(others["part"], others["groups"], strict=True)]
    found = [
        named.iloc[:top].assign(label=_labels(named, keys, top)),
        others.assign(label=pd.array(labels, dtype="string")),
    ]
    return pd.concat([rows for rows in found if len(rows)], ignore_index=True), max(0, len(named) - top)


def _check(top: int) -> None:
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise InvalidRequestError(f"top={top!r}: give a whole number of rows, 1 or more.")


def _labels(named: pd.DataFrame, keys: Sequence[str], top: int) -> list[str]:
    """Return the names of the first `top` groups, without what all have in common."""
    varying = [*(key for key in keys[:-1] if named[key].nunique(dropna=False) > 1), keys[-1]]
    texts = [named[key].iloc[:top].astype("string").fillna("").tolist() for key in varying]
    return [" · ".join(parts) for parts in zip(*texts, strict=True)]


def _shown(rows: pd.DataFrame, series: Sequence[Series], share: str) -> pd.DataFrame:
    """Return the shares in percent to draw instead of numbers."""
    found: dict[str, Any] = {}
    for suffix in ("", "_before"):
        columns = [f"{one.column}{suffix}" for one in series if f"{one.column}{suffix}" in rows]
        part = rows[columns]
        shares = add_percent(part, columns, part.sum(axis=1)) if share == "row" else add_percent_of_all(part, columns)
        found |= {name: shares[f"{name}_percent"] for name in columns}
    return pd.DataFrame(found)


def _texts(rows: pd.DataFrame, series: Sequence[Series], share: str, unit: str) -> dict[str, Any]:
    totals = rows[[one.column for one in series]].sum(axis=1)
    texts = {"total_text": [format_number(total, unit) for total in totals]}
    for one in series:
        whole = totals if share == "row" else [rows[one.column].sum() if share == "all" else 0] * len(rows)
        found = [
            f"{format_number(n, unit)} ({n / all_:.1%})" if all_ else format_number(n, unit)
            for n, all_ in zip(rows[one.column], whole, strict=True)
        ]
        if f"{one.column}_before" in rows:
            before = rows[f"{one.column}_before"]
            found = [f"{text}; before {format_number(n, unit)}" for text, n in zip(found, before, strict=True)]
        texts[f"{one.column}_text"] = found
    return texts


def _bars(data: dict[str, Any], series: Sequence[Series]) -> list[Mark]:
    """Return the bars, one after the other; their ends are added to the data."""
    marks, end = [], np.zeros(len(data["y"]))
    for one in series:
        left, right = f"{one.column}_from", f"{one.column}_to"
        data[left], data[right] = end, (end := end + data[one.column])
        look = {"y": "y", "left": left, "right": right, "height": 0.7, "color": one.colour, "muted_alpha": 0.1}
        marks.append(Mark("hbar", data, look))
    return marks


def _dots(data: dict[str, Any], series: Sequence[Series]) -> list[Mark]:
    look = {"y": "y", "size": 10, "muted_alpha": 0.1}
    return [
        Mark("scatter", data, {"x": one.column, "marker": one.marker, "color": one.colour, **look}) for one in series
    ]


def _before(shown: pd.DataFrame, series: Sequence[Series], *, bars: bool, percent: bool) -> tuple[str, list[Mark]]:
    """Return values before as hollow dots, or as an outline of the bar (of its first part if all bars are 100 %)."""
    data: dict[str, Any] = {"y": list(range(len(shown)))}
    if not bars:
        look = {"y": "y", "size": 14, "fill_color": None, "muted_alpha": 0.1}
        data |= {one.column: drawn(shown[f"{one.column}_before"], log=True, zero=np.nan) for one in series}
        marks = [{"x": one.column, "marker": one.marker, "line_color": one.colour, **look} for one in series]
        return "before", [Mark("scatter", data, mark) for mark in marks]
    parts = series[:1] if percent else series
    sums = shown[[f"{one.column}_before" for one in parts]].sum(axis=1)
    data["right"] = sums.to_numpy(dtype="float64", na_value=np.nan)
    look = {"y": "y", "left": 0, "right": "right", "height": 0.86, "fill_alpha": 0, "line_color": BEFORE}
    called = f"{parts[0].name} before" if percent and len(series) > 1 else "before"
    return called, [Mark("hbar", data, {**look, "line_width": 2}, {"line_alpha": 0.1})]


def rows_axis(labels: pd.Series[Any]) -> tuple[int, Axis]:
    """Return the height of a figure with labelled rows, and their axis, the first row at the top.

    Null is a row without a label.
    """
    names = {place: str(label) for place, label in enumerate(labels) if not pd.isna(label)}
    lines = max(short(name).count("\n") + 1 for name in names.values())
    height = 160 + (12 + 14 * lines) * len(labels)
    return height, Axis("", len(labels) - 0.4, -0.6, ticks=list(names), names=names)
