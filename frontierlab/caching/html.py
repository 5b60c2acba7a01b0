"""An HTML page for one detector group: its folders, their costs, the causes, and what would help."""

from __future__ import annotations

import os
from collections.abc import Sequence
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
from frontierlab.pages.html import target_of, write_page

__all__ = ["page"]


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
        its folder and tag.
    """
    require_columns(frame, WASTE_COLUMNS, "efficiency()")
    target = target_of(path, "pixel.html")
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
        sections=[(e, what is not None, [] if what is None else _table(what)) for e, what in sections],
        advice={e.folder: what.attrs.get("advice", "") for e, what in sections if what is not None},
    )


def _summary(frame: pd.DataFrame) -> str:
    total = frame[["queries", "bytes_served", "wasted_bytes", "wasted_dbtime"]].sum()
    return (
        f"{len(frame):,} folders and tags, {_number(total['queries'])} queries, {_mb(total['bytes_served'])} MB "
        f"served. Fetched more often than an ideal cache would: {_mb(total['wasted_bytes'])} MB and "
        f"{_seconds(total['wasted_dbtime'])} s of database time."
    )


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


def _number(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:,.0f}"


def _mb(value: Any) -> str:
    return "" if pd.isna(value) else f"{value / 1e6:,.1f}"


def _seconds(value: Any) -> str:
    return "" if pd.isna(value) else f"{value / 1e3:,.1f}"
