"""Figures of failures, threads, sizes of answers and cached shares over time."""

from __future__ import annotations

from typing import get_args

import pandas as pd

from frontierlab.filters.expressions import FAILURES
from frontierlab.filters.groups_over_time import AnswersBy, CachedBy, FailuresBy
from frontierlab.plots.drawing import Drawing, nothing
from frontierlab.plots.heatmap import Form
from frontierlab.plots.making import as_plot
from frontierlab.plots.series import NAMES, Number, group_of, groups_over_time
from frontierlab.plots.stepped import Line, over_time
from frontierlab.plots.style import COLOURS, Scale, check_frame, format_number, words_of

__all__ = [
    "bytes_per_answer_over_time",
    "cached_share_over_time",
    "failures_over_time",
    "threads_over_time",
]

_KINDS = (
    Line("rejected", "rejected", COLOURS[0]),
    Line("disconn", "client went away (disconn)", COLOURS[1]),
    Line("procerror", "processing error (procerror)", COLOURS[2]),
)


@as_plot
def failures_over_time(
    frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto", form: Form = "lines"
) -> Drawing:
    """Draw the failed queries over time: one line per kind, or one line per server, task, site, Squid or folder.

    See `frontierlab.plots` for the parameters.
    """
    name, title, axis = "failures_over_time", "Failed queries over time", "failed queries in {bin}"
    needed = ["time", "queries", *FAILURES, "failures", "failures_percent"]
    check_frame(frame, name, needed)
    if "part" in frame:
        group = group_of(frame, [choice for choice in get_args(FailuresBy) if choice != "kind"])
        number = Number("failures", axis, "queries", lambda rows, suffix: _of_queries(rows, "failures", suffix))
        title = f"{title}, by {NAMES.get(group, group)}"
        return groups_over_time(frame, name, group, number, title=title, selection=selection, scale=scale, form=form)
    words = words_of(frame, selection)
    if frame.empty:
        return nothing(title, words)
    texts = {
        f"{kind}{suffix}_text": _of_queries(frame, kind, suffix)
        for kind in FAILURES
        for suffix in ("", "_before")
        if f"{kind}{suffix}" in frame
    }
    told = frame.assign(**texts)
    told.attrs = frame.attrs
    return over_time(told, _KINDS, title=title, words=words, axis=axis, unit="queries", scale=scale)


@as_plot
def threads_over_time(
    frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto", form: Form = "lines"
) -> Drawing:
    """Draw the most simultaneous threads over time, one line per server; hover texts give the mean.

    See `frontierlab.plots` for the parameters.
    """

    def texts(rows: pd.DataFrame, suffix: str) -> list[str]:
        pairs = zip(rows[f"largest{suffix}"], rows[f"mean{suffix}"], strict=True)
        return [
            "none" if pd.isna(most) else f"{format_number(most, 'threads')} (mean {mean:,.1f})" for most, mean in pairs
        ]

    lacking = "The log gives no number of threads (initthreads) for these queries."
    number = Number("largest", "threads, the most in {bin}", "threads", texts, lacking)
    title = "Simultaneous threads of each server"
    return groups_over_time(
        frame,
        "threads_over_time",
        "server",
        number,
        title=title,
        selection=selection,
        scale=scale,
        form=form,
        needed=["with_initthreads", "mean"],
    )


@as_plot
def bytes_per_answer_over_time(
    frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto", form: Form = "lines"
) -> Drawing:
    """Draw the mean size of the answers over time, one line per tag of a folder, or per folder.

    See `frontierlab.plots` for the parameters.
    """

    def texts(rows: pd.DataFrame, suffix: str) -> list[str]:
        pairs = zip(rows[f"bytes_per_answer{suffix}"], rows[f"answers{suffix}"], strict=True)
        return ["none" if pd.isna(mean) else f"{mean:,.0f} bytes ({answers:,} answers)" for mean, answers in pairs]

    lacking = "None of these queries got an answer with a body."
    number = Number("bytes_per_answer", "bytes per answer in {bin}", "bytes", texts, lacking)
    group = group_of(frame, get_args(AnswersBy))
    title = f"Mean size of the answers of each {'folder and tag' if group == 'tag' else group}"
    return groups_over_time(
        frame,
        "bytes_per_answer_over_time",
        group,
        number,
        title=title,
        selection=selection,
        scale=scale,
        form=form,
        needed=["answers", "bytes"],
    )


@as_plot
def cached_share_over_time(frame: pd.DataFrame, *, selection: str | None = None, form: Form = "lines") -> Drawing:
    """Draw the share of cached queries over time, one line per site, Squid or server.

    See `frontierlab.plots` for the parameters.
    """
    number = Number(
        "cached_percent",
        "% cached of the queries in {bin}",
        "%",
        lambda rows, suffix: _of_queries(rows, "cached", suffix),
    )
    group = group_of(frame, get_args(CachedBy))
    title = f"Cached part of each {NAMES.get(group, group)}'s queries over time"
    return groups_over_time(
        frame,
        "cached_share_over_time",
        group,
        number,
        title=title,
        selection=selection,
        scale="linear",
        form=form,
        needed=["queries", "cached"],
    )


def _of_queries(rows: pd.DataFrame, column: str, suffix: str) -> list[str]:
    """Return how many of all queries these are, as texts."""
    pairs = zip(rows[f"{column}{suffix}"], rows[f"queries{suffix}"], strict=True)
    return [f"{part:,} of {whole:,} queries ({part / whole:.1%})" if whole else "no queries" for part, whole in pairs]
