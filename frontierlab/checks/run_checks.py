"""`frontierlab.checks.run`: run checks on an index or on datasets."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from typing import Any

from frontierlab.catalogue import Catalogue
from frontierlab.checks.calls import Calls
from frontierlab.checks.conditions import SQL_FIELD
from frontierlab.checks.findings import Finding, Findings, NotLooked, findings_frame, not_looked_frame
from frontierlab.checks.look import Look
from frontierlab.checks.on_index import IndexCounter
from frontierlab.checks.on_logs import LogsCounter
from frontierlab.checks.rules import RULES, named_checks
from frontierlab.checks.tallies import Counter, NotCounted
from frontierlab.checks.windows import DAY, HOUR, Every, Windows, windows_of
from frontierlab.elastic.client import Index
from frontierlab.elastic.connection import ElasticOptions
from frontierlab.elastic.errors import PointInTimeLost
from frontierlab.engines.engine_choice import Source, as_logs
from frontierlab.errors import InvalidRequestError
from frontierlab.extraction.request import make_request
from frontierlab.settings import Settings
from frontierlab.storage.spans import Span
from frontierlab.util.cancelling import check_cancelled
from frontierlab.util.literals import literal
from frontierlab.util.times import from_milliseconds, to_milliseconds

__all__ = ["run"]

_SECONDS = 300.0  # the longest time for one search and its answer
_TRIES = 2  # how often a run begins, if the server forgets its point in time
_WEEK = 7 * DAY


def run(
    source: Source | Settings,
    since: str | date | datetime | None = None,
    until: str | date | datetime | None = None,
    *,
    every: Every = None,
    checks: str | Sequence[str] | None = None,
    settings: Settings | None = None,
) -> Findings:
    """Look at what operators look at every hour, in one window of time or in each of many.

    On an index, Elasticsearch counts, and nothing is extracted; the findings are those of an extraction of the same
    time. On logs, each check is one statement or two. A check that cannot look (a field is missing, the data do not
    cover the time, there is no week before) says so in `Findings.not_looked`; it never counts as nothing found.

    =================== ==============================================================================================
    failed_per_server   failed queries (rejected, disconn or procerror) of a server: ``check_failed_per_server`` or more
    failed_per_task     failed queries of a task, among all tasks: more than ``check_failed_per_task``
    threads             simultaneous threads of a server (``initthreads``): more than ``check_threads``
    silent_servers      no query for ``check_silent_hours``, but one within ``check_silent_spoke_hours``
    bad_sql             SQL with the text ``check_bad_sql`` within ``check_bad_sql_hours``, per task
    long_queries        more than ``check_long_percent`` over ``check_long_seconds``, in bins of minutes
    unaligned_iovs      IOVs that do not begin at a multiple of a third of their width (Athena's grid), per folder
    hit_ratio           the share of cached queries of a server fell against the same time a week before
    =================== ==============================================================================================

    Sites that are silent, slow databases and larger answers are not looked at: `frontierlab.diagnose` finds them.

    Thresholds are settings. Those for an hour are scaled to the length of a window: 100 an hour are 50 in half an hour.
    Silence and bad SQL are looked at from the end of each window back, also before its beginning.

    Parameters
    ----------
    source
        Logs from `frontierlab.open_logs`, a dataset, the name of one, a list of these, a period, or a Spark DataFrame;
        or settings, whose ``es_index`` is then looked at. Of a selection, or of datasets that were extracted with one,
        only counts are looked at: shares and silence need all queries.
    since, until
        The time ``[since, until)``; UTC if there is no zone. Without `until`, it ends with the last whole hour of the
        datasets, or of the clock for an index. Without `since`, it is one window; of an hour without `every`.
    every
        The length of a window: ``"1h"``, ``"30min"``, ``"1d"``, ``"hour"``, ``"day"`` or a timedelta of whole minutes.
        The time must be a multiple of it. By default there is one window.
    checks
        The names of the checks to run; by default all.
    settings
        The thresholds, and where datasets are; by default `source` if it is settings, those of the logs, or
        ``Settings()``.

    Returns
    -------
    Findings
        The findings, and what could not be looked at. ``len()`` is the number of findings.

    Raises
    ------
    InvalidRequestError, ConfigurationError
        An argument or setting is not valid.
    DatasetError, StatementError, SparkError
        A dataset is incomplete, was thinned to its summaries or replaced, or a statement failed.
    ElasticsearchError, CatalogueError
        The server cannot be reached or refuses, an answer was not whole, or the catalogue's file is not one.
    Cancelled
        A `frontierlab.cancellable` block around the call was cancelled.

    Examples
    --------
    >>> import frontierlab as fl
    >>> fl.checks.run("nightly-2026-10-01", since="2026-10-01", until="2026-10-02", every="1h")  # doctest: +SKIP
    """
    names = named_checks(checks)
    if isinstance(source, Settings):
        return _of_index(source, settings or source, (since, until, every), names)
    logs = as_logs(source, settings=settings)
    counter = LogsCounter(logs)
    end = max((span.stop for span in counter.covered), default=None)
    if end is None and (until is None):
        raise InvalidRequestError("The logs cover no time: give since and until.")
    windows = windows_of(since, until, every, end or 0)
    limits = settings or logs.settings or Settings()
    code = literal(source) if isinstance(source, str) or _are_names(source) else "logs"
    found = _checked(names, counter, windows, limits, Calls(code))
    what = "the logs" if logs.period is None else logs.period.name
    return _findings(found, names, [*counter.notes, *counter.partial], windows, what)


def _are_names(source: object) -> bool:
    return isinstance(source, list | tuple) and all(isinstance(one, str) for one in source)


def _of_index(settings: Settings, limits: Settings, when: tuple[Any, Any, Every], names: tuple[str, ...]) -> Findings:
    """Run checks on the index of settings, again from the start if the server lost its point in time."""
    now = to_milliseconds(_now())
    windows = windows_of(*when, now)
    request = make_request(
        settings,
        since=from_milliseconds(windows.start),
        until=from_milliseconds(windows.stop),
        extra_fields={SQL_FIELD: "name"},
    )
    path = settings.catalogue_path
    catalogue = Catalogue.read(path) if path.exists() else None
    spans = _spans(windows, limits, names)
    with closing(Index(ElasticOptions.of(settings), threading.Event(), check_cancelled, _SECONDS)) as index:
        for attempt in range(1, _TRIES + 1):
            counter = IndexCounter(index, request, catalogue, now)
            try:
                with counter.frozen(spans):
                    found = _checked(names, counter, windows, limits, Calls(""))
                break
            except PointInTimeLost:
                if attempt == _TRIES:
                    raise
    return _findings(found, names, counter.notes, windows, f"{index.name} of {index.url}")


def _now() -> datetime:
    return datetime.now(UTC)


def _spans(windows: Windows, limits: Settings, names: Sequence[str]) -> list[Span]:
    """Return the times whose documents are counted."""
    back = max(HOUR * hours for hours in (limits.check_silent_spoke_hours, limits.check_bad_sql_hours))
    whole = Span(min(windows.start, windows.start + windows.length - round(back)), windows.stop)
    week_before = Span(windows.start - _WEEK, windows.stop - _WEEK)
    return [*([week_before] if "hit_ratio" in names else []), whole]


def _checked(
    names: Sequence[str], counter: Counter, windows: Windows, limits: Settings, calls: Calls
) -> list[Finding | NotLooked]:
    found: list[Finding | NotLooked] = []
    for name in names:
        severity, rule = RULES[name]
        look = Look(name, severity, counter, windows, limits, calls)
        try:
            told = [*rule(look)]
        except NotCounted as error:
            told = [look.unseen(look.span, str(error))]
        if counter.partial and not any(one.span == look.span for one in told if isinstance(one, NotLooked)):
            told.append(look.unseen(look.span, f"there may be more. {' '.join(counter.partial)}"))
        found += told
    return found


def _findings(
    found: Sequence[Finding | NotLooked], names: tuple[str, ...], notes: Sequence[str], windows: Windows, source: str
) -> Findings:
    return Findings(
        frame=findings_frame([one for one in found if isinstance(one, Finding)], names),
        not_looked=not_looked_frame([one for one in found if isinstance(one, NotLooked)], names),
        notes=tuple(dict.fromkeys(notes)),
        checks=names,
        source=source,
        since=from_milliseconds(windows.start),
        until=from_milliseconds(windows.stop),
        every=windows.length / 1000,
    )
