"""An HTML page for one detector group: its folders, their costs, the causes, and what would help."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from bokeh.models import Column
from bokeh.plotting import figure

from frontierlab.caching.charts import WASTE_COLUMNS, waste_figure, what_if_figure
from frontierlab.caching.explanation import Explanation
from frontierlab.caching.explanation_chart import explain_figure
from frontierlab.caching.frames import require_columns
from frontierlab.caching.queries import FolderTag
from frontierlab.errors import InvalidRequestError
from frontierlab.pages.html import write_page
from frontierlab.pages.target import target_of

__all__ = ["page"]

_ASKERS = 5  # Squids and sites that a page shows for a folder


def page(
    frame: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    explanations: Sequence[Explanation] = (),
    what_ifs: Sequence[pd.DataFrame] = (),
    title: str = "Caching of conditions folders",
) -> Path:
    """Write a page for a detector group: one HTML file that can be read offline.

    The page shows the group's folders and their costs. For each explained folder it shows the queries and payload
    intervals, the tasks, and what would help. MB are 10^6 bytes, s are seconds of database time.

    Parameters
    ----------
    frame
        The group's rows of the frame that `frontierlab.caching.efficiency` returned.
    path
        The file to write, which ends in ``.html``. An existing page is replaced in one step; on failure it is
        unchanged.
    explanations
        Results of `frontierlab.caching.explain` for folders and tags of the frame, in display order.
    what_ifs
        Results of `frontierlab.caching.what_if` for the same folders and tags, in any order.
    title
        The page's title.

    Returns
    -------
    Path
        The written file.

    Raises
    ------
    InvalidRequestError
        The frame lacks a column, `path` is a folder or does not end in ``.html``, or a what-if has no explanation of
        its folder and tag; or frame, explanations and what-ifs are of different datasets or selections.
    """
    require_columns(frame, WASTE_COLUMNS, "efficiency()")
    target = target_of(path, "pixel.html")
    _require_one_origin(frame, explanations, what_ifs)
    helps: dict[FolderTag, pd.DataFrame] = {what.attrs["folder"]: what for what in what_ifs}
    alone = [str(folder) for folder in helps if folder not in {e.folder for e in explanations}]
    if alone:
        raise InvalidRequestError(f"There is a what-if of {alone[0]}, but no explanation: add its explain().")
    sections = [(e, helps.get(e.folder)) for e in explanations]
    drawn: list[figure | Column] = [waste_figure(frame)]
    for explanation, what in sections:
        drawn += [explain_figure(explanation), *([] if what is None else [what_if_figure(what, words="")])]
    return write_page(
        target,
        "caching.html",
        drawn,
        title=title,
        notes=frame.attrs.get("notes", ()),
        summary=_summary(frame),
        rows=[_row(record) for record in frame.to_dict("records")],
        problems=_problems(frame),
        sections=[(e, what is not None, [] if what is None else _table(what), _askers(e)) for e, what in sections],
        cures={e.folder: _cure(what) for e, what in sections if what is not None},
    )


def _require_one_origin(
    frame: pd.DataFrame, explanations: Sequence[Explanation], what_ifs: Sequence[pd.DataFrame]
) -> None:
    """Check that all figures of a page are of the same queries, as far as they say which."""
    others: list[Mapping[Any, Any]] = [*(one.origin for one in explanations), *(one.attrs for one in what_ifs)]
    for of in others:
        for name, origin in (("dataset", "the dataset"), ("selection", "the selection")):
            ours, theirs = frame.attrs.get(name), of.get(name)
            if None not in (ours, theirs) and ours != theirs:
                raise InvalidRequestError(
                    f"The frame is of {origin} {ours}, but an explanation or what-if is of {theirs}: compute all with "
                    "the same dataset and selection."
                )


def _cure(what: pd.DataFrame) -> dict[str, str]:
    """Return ``cure`` and ``reasons`` of a what-if; one from before there were these has its advice alone."""
    attrs = what.attrs
    return {"cure": attrs.get("cure", ""), "reasons": attrs.get("reasons", attrs.get("advice", ""))}


def _summary(frame: pd.DataFrame) -> str:
    total = frame[["queries", "bytes_served", "wasted_bytes", "wasted_dbtime"]].sum()
    return (
        f"{len(frame):,} folders and tags, {_number(total['queries'])} queries, {_mb(total['bytes_served'])} MB "
        f"served. Fetched more often than an ideal cache would: {_mb(total['wasted_bytes'])} MB and "
        f"{_seconds(total['wasted_dbtime'])} s of database time.{_repeats(frame)}"
    )


def _repeats(frame: pd.DataFrame) -> str:
    """Return a sentence on repeated queries; empty if the figures have none, as those of older versions."""
    if "repeated_dbtime" not in frame or frame["repeated_dbtime"].isna().all():
        return ""
    size, time = frame["repeated_bytes"].sum(), frame["repeated_dbtime"].sum()
    return f" The same query again from a Squid or site, not cached: {_mb(size)} MB and {_seconds(time)} s."


def _row(record: dict[Any, Any]) -> list[str]:
    share = record["efficiency_iov"]
    return [
        f"{record['nodefullpath']}\n{record['db']} {record['schema']}",
        str(record["tagname"]),
        str(record.get("cause", "")),
        *(_number(record[name]) for name in ("queries", "different_queries", "different_payloads_iov")),
        "" if pd.isna(share) else f"{share:.1%}",
        _mb(record["bytes_served"]),
        _mb(record["wasted_bytes"]),
        _seconds(record["wasted_dbtime"]),
        _mb(record.get("repeated_bytes", pd.NA)),
        _seconds(record.get("repeated_dbtime", pd.NA)),
    ]


def _problems(frame: pd.DataFrame) -> list[str]:
    if "problem" not in frame:
        return []
    rows = frame[frame["problem"].fillna("") != ""]
    places = zip(rows["nodefullpath"], rows["tagname"], rows["problem"], strict=True)
    return [f"{path} ({tag}): {problem}" for path, tag, problem in places]


def _table(what: pd.DataFrame) -> list[list[str]]:
    return [
        [row["grid"], _number(row["requests"]), _mb(row["bytes"]), _seconds(row["dbtime"]), _number(row["estimated"])]
        for row in what.to_dict("records")
    ]


def _askers(explanation: Explanation) -> list[list[str]]:
    """Return the Squids and sites that asked again, most database time first."""
    frame = explanation.askers
    if frame.empty:
        return []
    worst = frame[frame["repeated_queries"].fillna(0) > 0].head(_ASKERS)
    return [
        [
            row["computingsite"] if pd.isna(row["squid"]) else row["squid"],
            *(_number(row[name]) for name in ("uncached", "repeated_queries", "most_repeated")),
            _mb(row["repeated_bytes"]),
            _seconds(row["repeated_dbtime"]),
        ]
        for row in worst.to_dict("records")
    ]


def _number(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:,.0f}"


def _mb(value: Any) -> str:
    return "" if pd.isna(value) else f"{value / 1e6:,.1f}"


def _seconds(value: Any) -> str:
    return "" if pd.isna(value) else f"{value / 1e3:,.1f}"
