"""A report of a dataset as one standalone HTML page: what happened, facts, plots, and the SQL of each plot."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from frontierlab import filters, plots
from frontierlab.engines.engine_choice import logs_of_datasets
from frontierlab.engines.logs import Logs
from frontierlab.errors import InvalidRequestError, Thinned
from frontierlab.filters.compare import Before, Compare, before
from frontierlab.filters.covered import notes_of_window
from frontierlab.filters.filter import Filter
from frontierlab.filters.shown_times import ShownTimes, shown_times
from frontierlab.pages.html import write_page
from frontierlab.pages.target import target_of
from frontierlab.reports.beginning import PARTS, Beginning, begin
from frontierlab.reports.chapters import CHAPTERS
from frontierlab.reports.facts import facts, period_of, warnings
from frontierlab.reports.sections import Section, section, section_of_changes
from frontierlab.selection import Selection, as_selection
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.manifest import Outcome
from frontierlab.storage.periods import Period, several
from frontierlab.storage.store import Datasets
from frontierlab.util.progress import ProgressCallback, ProgressMeter, reporting
from frontierlab.util.times import to_milliseconds

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["report"]

_BIN_SECONDS = (300, 3_600, 86_400)
_MOST_BINS = 10_000


def report(
    dataset: Logs | Datasets,
    selection: Selection | None = None,
    *,
    path: str | os.PathLike[str] | None = None,
    compare: Compare | None = None,
    findings: bool = True,
    settings: Settings | None = None,
    session: SparkSession | None = None,
    progress: bool | ProgressCallback = False,
) -> Path:
    """Write a report of a dataset or a period: one HTML page that can be read offline.

    The page begins with the incidents of `frontierlab.diagnose` and the three folders of `frontierlab.caching.worst`,
    unless `findings` is False. If one of them fails, or COOLR does not answer for a minute, a sentence says so, and the
    report has the rest.

    Below them the page shows the time (UTC), the selection, the counts, and everything that makes the
    figures too small: an incomplete dataset, documents that the source did not give, a cut by
    ``limit_queries``, malformed documents, an extraction of some queries only, a time that no dataset covers. If a
    dataset was thinned, the plots that need its rows are left out, and a sentence names them. The plots of all filters
    follow, by chapter (`frontierlab.reports.chapters`), each with its numbers and its SQL. Time bins are 300 s, or an
    hour or a day for long periods. If a few queries are far from the others in time, plots over
    time show the period with the most queries, and a sentence gives the number and the dates of the others.

    Parameters
    ----------
    dataset
        A dataset, complete or not; the name of one in the data folder of `settings`; a list of these; a period
        (`frontierlab.datasets.period`); or what `frontierlab.open_logs` returned.
    selection
        The queries to report; by default all.
    path
        The file to write, which ends in ``.html``; by default ``report.html`` in the dataset's folder, and for a period
        a file in the folder ``reports`` of ``data_dir`` that is named like the period. An existing report is replaced
        in one step; on failure it is unchanged.
    compare
        What to compare with (see `frontierlab.filters`). The plots then show both, the tables show the
        differences, largest first, and a last plot shows what changed most. Incidents and folders are those of the
        selection alone.
    findings
        Whether the page begins with incidents and the worst folders.
    settings
        By default ``Settings()``.
    session
        The Spark session to use. If one is given, Spark answers; otherwise ``engine`` of `settings` says what answers.
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
        The dataset does not exist, was deleted, renamed or replaced meanwhile, or was thinned and `path` is not given:
        the report in its folder, which was made of its rows, is kept.
    InvalidRequestError
        `path` is a folder or does not end in ``.html``, `selection` or `compare` is invalid, or `selection` has no
        query. Nothing was written.
    StatementError, SparkError
        A statement failed, or Spark does not start.
    """
    settings = settings or Settings()
    logs, datasets = logs_of_datasets(dataset, session=session, settings=settings, allow_incomplete=True)
    target = target_of(_place(datasets, settings) if path is None else path, "report.html")
    selection = as_selection(selection)
    other = None if compare is None else before(logs, selection, compare)
    outcome = datasets.outcome()
    shown = _shown(logs, selection, outcome)
    meter = ProgressMeter("report", sum(map(len, CHAPTERS.values())) + len(PARTS) * findings)
    with reporting(progress, "parts") as report_to:

        def tell(word: str, done: int = 0) -> None:
            meter.add(done)
            report_to(meter.progress(word))

        beginning = Beginning()
        if findings:
            incomplete = any(one.state != "complete" for one in datasets.datasets)
            beginning = begin(logs, shown.selection, settings, tell, incomplete)
            tell("plots", len(PARTS))
        chapters, counted, left_out = _chapters(logs, selection, other, outcome, shown, tell)
    if not counted and "queries_per_db" not in left_out and other is None and selection != Selection():
        raise InvalidRequestError(f"There are no queries of the selection ({selection.in_words()}): nothing to report.")
    if other is not None:
        try:
            chapters["What changed"] = [section_of_changes((other.logs, other.selection), (logs, selection))]
        except Thinned:
            left_out.append("what_changed")
    return write_page(
        target,
        "report.html",
        plots.link([*beginning.figures, *(section.figure for sections in chapters.values() for section in sections)]),
        beginning=beginning if findings else None,
        chapters=[*chapters.items()],
        warnings=[
            *warnings(datasets, settings, counted if selection == Selection() else None),
            *(notes_of_window(logs, selection) if other is None else other.notes),
            *([shown.outside] if shown.outside else []),
            *_left_out(left_out, [*datasets.datasets, *(() if other is None else other.logs.datasets)]),
        ],
        selected=f"{counted:,} queries: {selection.in_words() or 'all'}",
        before=None if other is None else other.in_words(),
        **facts(datasets),
    )


def _place(datasets: Period, settings: Settings) -> Path:
    """Return where the report of a dataset or of a period is written by default; raise Thinned to keep a better one."""
    if len(datasets.datasets) == 1 and datasets.is_whole:
        datasets.datasets[0].require_rows()
        return datasets.datasets[0].path / "report.html"
    return settings.data_dir / "reports" / f"{datasets.file_stem}.html"


def _left_out(names: Sequence[str], datasets: Iterable[Dataset]) -> list[str]:
    thinned = [*dict.fromkeys(one.name for one in datasets if one.is_thinned)]
    if not names:
        return []
    have = "has no rows any more: it was" if len(thinned) == 1 else "have no rows any more: they were"
    return [f"{several(thinned)} {have} thinned to summaries. Plots that need rows are left out: {', '.join(names)}."]


def _chapters(
    logs: Logs,
    selection: Selection,
    compare: Before | None,
    outcome: Outcome,
    shown: ShownTimes,
    tell: Callable[[str, int], object],
) -> tuple[dict[str, list[Section]], int, list[str]]:
    """Run all filters; return their sections, the number of counted queries, and the filters that need removed rows."""
    whole = period_of(outcome)
    timed = shown.selection, shown.of(compare, selection), {"bin_seconds": _bin_seconds(outcome, shown.selection)}
    found: dict[str, list[Section]] = {}
    counted, left_out = 0, []
    for title, names in CHAPTERS.items():
        found[title] = []
        for name in names:
            tell(name, 0)
            asked: Filter = getattr(filters, name)
            part, other, keywords = timed if title == "Over time" else (selection, compare, {})
            try:
                frame = asked(logs, part, compare=other, **keywords)
            except Thinned:
                left_out.append(name)
            else:
                if part == Selection():
                    frame.attrs["selection"] = whole
                if name == "queries_per_db":
                    counted = int(frame[["cached", "not_cached", "unknown"]].to_numpy().sum())
                found[title].append(section(name, frame, asked.sql(part, **keywords)))
            tell(name, 1)
    return found, counted, left_out


def _shown(logs: Logs, selection: Selection, outcome: Outcome) -> ShownTimes:
    """Return the times that plots over time show: all, or those with most queries if all is long and sparse."""
    short = _bin_seconds(outcome, selection) == _BIN_SECONDS[0]
    return ShownTimes(selection) if short else shown_times(logs, selection)


def _bin_seconds(outcome: Outcome, selection: Selection) -> int:
    if outcome.since is None or outcome.until is None:
        return _BIN_SECONDS[0]
    first = outcome.since if selection.since is None else to_milliseconds(selection.since)
    last = outcome.until if selection.until is None else to_milliseconds(selection.until)
    seconds = (last - first) / 1000
    return next((width for width in _BIN_SECONDS if seconds / width < _MOST_BINS), _BIN_SECONDS[-1])
