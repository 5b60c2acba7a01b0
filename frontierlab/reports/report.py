"""A report of a dataset as one standalone HTML page: facts, plots, and the SQL of each plot."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from frontierlab import filters, plots
from frontierlab.filters.changes import what_changed
from frontierlab.filters.compare import Before, Compare, before
from frontierlab.filters.periods import Period, period_of_most
from frontierlab.filters.question import Filter, Statement
from frontierlab.filters.top import unnamed
from frontierlab.plots.style import format_number
from frontierlab.reports.html import target_of, write_page
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.spark import open_logs
from frontierlab.storage.losses import losses
from frontierlab.storage.manifest import Outcome
from frontierlab.storage.store import Dataset, open_dataset
from frontierlab.util.progress import ProgressCallback, ProgressMeter, reporting
from frontierlab.util.times import in_words, parse_time, to_milliseconds

if TYPE_CHECKING:
    from bokeh.plotting import figure
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["CHAPTERS", "report"]

CHAPTERS = {
    "Databases and schemas": (
        "queries_per_db",
        "uncached_by_kind",
        "queries_per_schema",
        "cached_per_schema",
        "cached_share_per_schema",
        "payload_per_schema",
        "bytes_share_per_schema",
    ),
    "Over time": (
        "queries_over_time",
        "bytes_over_time",
        "long_queries_per_schema",
        "long_queries_per_node",
        "querytime_percentiles",
    ),
    "How long queries took": ("queries_by_querytime", "queries_by_dbtime"),
    "Folders": ("cached_share_per_node", "payload_per_node", "bytes_share_per_node"),
    "Who asked": ("cost_per_task", "cost_per_server", "cost_per_site", "cost_per_squid"),
}
"""The filters of a report, by chapter and in order."""

_BIN_SECONDS = (300, 3_600, 86_400)
_MOST_BINS = 10_000
_MOST_ROWS = 50


@dataclass(frozen=True)
class _Section:
    """A plot, its statement, and its numbers as a table; the first `names` columns of the table are text."""

    figure: figure
    statement: Statement
    caption: str = ""
    heads: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    names: int = 0
    open: bool = False


def report(
    dataset: Dataset | str,
    selection: Selection | None = None,
    *,
    path: str | os.PathLike[str] | None = None,
    compare: Compare | None = None,
    settings: Settings | None = None,
    session: SparkSession | None = None,
    progress: bool | ProgressCallback = False,
) -> Path:
    """Write a report of a dataset: one HTML page that can be read offline.

    The top of the page shows the period (UTC), the selection, the counts, and everything that makes the
    figures too small: an incomplete dataset, documents that the source did not give, a cut by
    ``limit_queries``, malformed documents, an extraction of some queries only. The plots of all filters
    follow (`CHAPTERS`), each with its numbers and its SQL. Time bins are 300 s, or an hour or a day for long
    periods. If a few queries are far from the others in time, plots over time show the period with the
    most queries, and a sentence gives the number and the dates of the others.

    Parameters
    ----------
    dataset
        A dataset, complete or not, or the name of one in the data folder of `settings`.
    selection
        The queries to report; by default all.
    path
        The file to write; by default ``report.html`` in the dataset's folder. An existing report is
        replaced in one step; on failure it is unchanged.
    compare
        What to compare with (see `frontierlab.filters`). The plots then show both, the tables show the
        differences, largest first, and a last plot shows what changed most.
    settings
        By default ``Settings()``.
    session
        The Spark session to use; by default `frontierlab.spark.session` of `settings`.
    progress
        True shows a bar. A function is called with a `Progress` before each plot, and can stop the
        report by raising.

    Returns
    -------
    Path
        The written file.

    Raises
    ------
    DatasetError
        The dataset does not exist.
    InvalidRequestError
        `path` is a folder, or `compare` is invalid.
    SparkError
        Spark does not start, or a statement failed.
    """
    if isinstance(dataset, str):
        dataset = open_dataset(dataset, settings)
    target = target_of(dataset.path / "report.html" if path is None else path, "report.html")
    logs = open_logs(dataset, session=session, settings=settings, allow_incomplete=True)
    selection = selection or Selection()
    other = None if compare is None else before(logs, selection, compare)
    outcome = dataset.outcome()
    period = _period_shown(logs, selection, outcome)
    chapters, counted = _chapters(logs, selection, other, outcome, period, progress)
    if other is not None:
        chapters["What changed"] = [_changes((other.logs, other.selection), (logs, selection))]
    return write_page(
        target,
        "report.html",
        plots.link([section.figure for sections in chapters.values() for section in sections]),
        chapters=[*chapters.items()],
        warnings=[
            *_warnings(
                dataset, settings or Settings(), outcome, counted if selection == Selection() else outcome.counts.kept
            ),
            *([period.outside] if period.outside else []),
        ],
        selected=f"{_number(counted)} queries: {selection.in_words() or 'all'}",
        before=None if other is None else other.in_words(),
        **_facts(dataset, outcome),
    )


def _chapters(
    logs: DataFrame,
    selection: Selection,
    compare: Before | None,
    outcome: Outcome,
    period: Period,
    progress: bool | ProgressCallback,
) -> tuple[dict[str, list[_Section]], int]:
    """Run all filters; return their sections, and the number of counted queries."""
    whole = _period(outcome)
    timed = period.selection, period.of(compare, selection), {"bin_seconds": _bin_seconds(outcome, period.selection)}
    meter = ProgressMeter("report", sum(map(len, CHAPTERS.values())))
    found: dict[str, list[_Section]] = {}
    counted = 0
    with reporting(progress, "plots") as tell:
        for title, names in CHAPTERS.items():
            found[title] = []
            for name in names:
                tell(meter.progress(name))
                asked: Filter = getattr(filters, name)
                part, other, keywords = timed if title == "Over time" else (selection, compare, {})
                frame = asked(logs, part, compare=other, **keywords)
                if part == Selection():
                    frame.attrs["selection"] = whole
                if name == "queries_per_db":
                    counted = int(frame[["cached", "not_cached", "unknown"]].to_numpy().sum())
                found[title].append(_section(name, frame, asked.sql(part, **keywords)))
                meter.add(1)
        tell(meter.progress())
    return found, counted


def _section(name: str, frame: pd.DataFrame, statement: Statement) -> _Section:
    drawn = getattr(plots, name)(frame)
    if "part" not in frame or frame.empty or "time" in frame:
        return _Section(drawn, statement)
    changes = [column for column in frame.columns if column.endswith("_change")]
    if changes:
        frame = frame.iloc[frame[changes[0]].abs().argsort()[::-1]]
    names = [*frame.columns[: frame.columns.get_loc("part")]]
    unknown = [column for column in frame.columns if column.startswith("unknown")]
    known = frame.drop(columns=[] if frame[unknown].to_numpy(na_value=0).any() else unknown)
    heads = [column for column in known.columns if column not in ("part", "groups")]
    rows = [
        [*_names(row, names), *(format_number(row[column]) for column in heads[len(names) :])]
        for row in frame.head(_MOST_ROWS).to_dict("records")
    ]
    caption = "Differences" if changes else "Numbers"
    if len(frame) > _MOST_ROWS:
        caption += f" (the first {_MOST_ROWS} of {len(frame):,} rows)"
    return _Section(drawn, statement, caption, [_head(h) for h in heads], rows, len(names), open=bool(changes))


def _changes(then: tuple[DataFrame, Selection], now: tuple[DataFrame, Selection]) -> _Section:
    frame = what_changed(then, now)
    statement: Statement = what_changed.sql(then[1], now[1])  # type: ignore[attr-defined]
    return _Section(plots.what_changed(frame), statement)


def _names(row: dict[Any, Any], names: list[str]) -> list[str]:
    texts = ["" if pd.isna(row[name]) else str(row[name]) for name in names]
    stand_in = unnamed(row["part"], row["groups"])
    if stand_in is not None:
        empty = next(place for place in reversed(range(len(texts))) if not texts[place])
        texts[empty] = stand_in
    return texts


def _head(column: str) -> str:
    return column.replace("_", " ").replace("percent", "%")


def _period_shown(logs: DataFrame, selection: Selection, outcome: Outcome) -> Period:
    """Return the period that plots over time show: all, or the one with most queries if all is long and sparse."""
    return Period(selection) if _bin_seconds(outcome, selection) == _BIN_SECONDS[0] else period_of_most(logs, selection)


def _bin_seconds(outcome: Outcome, selection: Selection) -> int:
    if outcome.since is None or outcome.until is None:
        return _BIN_SECONDS[0]
    first = outcome.since if selection.since is None else to_milliseconds(selection.since)
    last = outcome.until if selection.until is None else to_milliseconds(selection.until)
    seconds = (last - first) / 1000
    return next((width for width in _BIN_SECONDS if seconds / width < _MOST_BINS), _BIN_SECONDS[-1])


def _period(outcome: Outcome) -> str:
    if outcome.since is None or outcome.until is None:
        return ""
    first, last = (in_words(milliseconds // 1000 * 1000) for milliseconds in (outcome.since, outcome.until))
    return f"queries from {first.removesuffix(' UTC')} to {last}"


def _warnings(dataset: Dataset, settings: Settings, outcome: Outcome, counted: int) -> list[str]:
    """Return sentences on everything that makes the figures too small."""
    manifest = dataset.manifest
    request, found = manifest.request, []
    if manifest.state == "complete":
        found += [loss.text for loss in losses(dataset, settings)]
    else:
        found += manifest.partial
        found.append(
            "This dataset is incomplete: its extraction stopped before the end, or is still running. Every number "
            "below is too small. The same extract(…) call continues it."
        )
    if request.get("cached") is not None:
        kind = "cached" if request["cached"] else "not cached"
        found.append(f"Only queries that were {kind} were extracted: shares of cached queries say nothing here.")
    if request.get("taskid") is not None:
        found.append(f"Only queries of task {request['taskid']} were extracted.")
    if counted != outcome.counts.kept:
        found.append(
            f"The plots count {_number(counted)} queries, but the dataset says that it has "
            f"{_number(outcome.counts.kept)}: its files were changed, or it is being written."
        )
    return found


def _source(asked: Mapping[str, Any]) -> str:
    """Return the source of a dataset: the names or patterns of indices, or the name of a file."""
    index = asked.get("index")
    if index:
        return index if isinstance(index, str) else ", ".join(index)
    return Path(asked.get("source", "")).name


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _facts(dataset: Dataset, outcome: Outcome) -> dict[str, Any]:
    """Return the facts about the dataset for the top of the page."""
    manifest = dataset.manifest
    asked = manifest.request
    counts: list[tuple[str, Any]] = [
        ("documents read", outcome.counts.read),
        ("kept: queries in this dataset", outcome.counts.kept),
        ("left out", outcome.counts.left_out),
        *((f"\u2003{reason}", count) for reason, count in outcome.left_out.items()),
        ("malformed: could not be read", outcome.counts.malformed),
        *((f"\u2003{reason}", count) for reason, count in outcome.malformed.items()),
    ]
    return {
        "name": dataset.name,
        "state": dataset.state,
        "asked": f"from {asked.get('since') or 'the first document'} until {asked.get('until') or 'the last'}, UTC",
        "period": _period(outcome) or "no queries",
        "source": _source(asked),
        "created": in_words(parse_time(manifest.created).replace(microsecond=0)),
        "notes": manifest.notes,
        "counts": [(label, _number(count)) for label, count in counts],
    }
