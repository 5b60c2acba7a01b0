"""What of a question's window the logs cover: where they do not reach, a count of 0 says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

from frontierlab.engines.logs import Logs
from frontierlab.engines.own_statements import ask
from frontierlab.errors import InvalidRequestError
from frontierlab.filters.extracted import NotExtracted, lacks_all, notes_of_extraction
from frontierlab.selection import Selection
from frontierlab.storage.overlaps import QUIET_MS
from frontierlab.storage.periods import several
from frontierlab.storage.spans import Span, minus
from frontierlab.util.times import in_words, to_milliseconds
from frontierlab.util.warned import warn

__all__ = ["CoveredWindow", "compared_windows", "covered_window", "notes_of_window"]

_TOLD = 3  # spans that a sentence names
_ENDS = "SELECT min(time) AS first, max(time) AS last FROM {logs}"


@dataclass(frozen=True)
class CoveredWindow:
    """The window of a question, and how much of it the logs cover.

    Parameters
    ----------
    logs
        The logs in words, to begin a sentence.
    asked
        Start and end of the time that the selection asks for, each None if it sets no limit; UTC.
    window
        The window; where no limit is set, it is that of the logs. None if the logs cover no time in it.
    missing
        The times of the window that the logs do not cover.
    there
        All times that the logs cover, in order.
    """

    logs: str
    asked: tuple[datetime | None, datetime | None]
    window: Span | None
    missing: tuple[Span, ...]
    there: tuple[Span, ...]

    @property
    def covered(self) -> tuple[Span, ...]:
        """The times of the window that the logs cover, in order."""
        return () if self.window is None else _without((self.window,), self.missing)

    @property
    def milliseconds(self) -> int:
        """How long the logs cover the window."""
        return sum(span.stop - span.start for span in self.covered)

    def in_words(self) -> str:
        """Return a sentence on what is missing; empty if nothing is, or if no time was asked for."""
        if self.asked == (None, None) or (self.covered and not self.missing):
            return ""
        if not self.covered or self.window is None:
            bounds = zip(("from", "to"), self.asked, strict=True)
            asked = " ".join(f"{word} {in_words(time)}" for word, time in bounds if time is not None)
            return f"{self.logs} nothing of the time {asked}. Covered: {_listed(self.there) or 'no time'}."
        share = 100 * self.milliseconds / (self.window.stop - self.window.start)
        shown = min(max(round(share, 1), 0.1), 99.9)
        return f"{self.logs} {shown:g} % of the time {self.window.in_words()}. Not covered: {_listed(self.missing)}."


def covered_window(logs: Logs, selection: Selection) -> CoveredWindow:
    """Return the window of a selection of logs, and how much of it they cover.

    The time that a dataset covers is that of its request; see `frontierlab.storage.spans.span_of`. A Spark DataFrame
    of the caller has no request: it covers the time from its first to its last query, and one statement asks for these.

    Raises
    ------
    StatementError, SparkError, Cancelled
        As a filter raises them.
    """
    limits = (logs.times, (selection.since, selection.until))
    since = max((start for start, _ in limits if start is not None), default=None)
    until = min((stop for _, stop in limits if stop is not None), default=None)
    there = _reach(logs)
    start = to_milliseconds(since) if since else there[0].start if there else None
    stop = to_milliseconds(until) if until else there[-1].stop if there else None
    window = None if start is None or stop is None or start >= stop else Span(start, stop)
    missing = () if window is None else _missing(logs, window, there)
    if logs.period is None:
        name = "The Spark DataFrame covers"
    else:
        names = [dataset.name for dataset in logs.datasets]
        name = f"{several(names)} cover{'s' if len(names) == 1 else ''}"
    return CoveredWindow(name, (since, until), window, missing, there)


def notes_of_window(logs: Logs, selection: Selection, *, asking: bool = True, stacklevel: int = 3) -> list[str]:
    """Return sentences about the time of a selection that the logs do not cover.

    If they cover none of it, this also warns of it (`frontierlab.filters.extracted.NotExtracted`).

    Parameters
    ----------
    logs, selection
        The logs and the selection of a question.
    asking
        Whether a Spark DataFrame of the caller may be asked for its times.
    stacklevel
        As for `warnings.warn`, seen from the caller.
    """
    if (selection.since, selection.until, *logs.times) == (None,) * 4 or not (asking or logs.datasets):
        return []
    found = covered_window(logs, selection)
    note = found.in_words()
    if note and not found.covered:
        warn(note, NotExtracted, stacklevel=stacklevel)
    return [note] if note else []


def compared_windows(*sides: tuple[Logs, Selection]) -> tuple[list[CoveredWindow], list[str]]:
    """Return the windows of selections that are compared, and notes on what they lack.

    Raises
    ------
    InvalidRequestError
        The logs of a side cover nothing of its window, or were extracted without all of its queries: a comparison
        with it would call everything changed.
    StatementError, SparkError, Cancelled
        As a filter raises them.
    """
    windows: list[CoveredWindow] = []
    notes: list[str] = []
    for logs, selection in sides:
        found = covered_window(logs, selection)
        note = found.in_words()
        if not found.covered:
            raise InvalidRequestError(
                f"{note or f'{found.logs} no time.'} Nothing can be compared with that: choose since, until and what "
                "to compare with so that both windows are within the time of the data."
            )
        extracted = notes_of_extraction(logs, selection, warn=False)
        if lacks_all(logs, selection):
            raise InvalidRequestError(
                f"{' '.join(extracted)} Nothing can be compared with that: select queries that both sides have."
            )
        windows.append(found)
        notes += [*extracted, *([note] if note else [])]
    return windows, [*dict.fromkeys(notes)]


def _reach(logs: Logs) -> tuple[Span, ...]:
    """Return all times that logs cover, in order."""
    if logs.period is not None:
        since, until = logs.period.since, logs.period.until
        if since is None or until is None:
            return ()
        whole = Span(to_milliseconds(since), to_milliseconds(until))
        return _without((whole,), logs.period.missing(whole))
    ends = ask({"logs": logs}, _ENDS, description="first and last query").iloc[0]
    if ends.isna().any():
        return ()
    first, last = (to_milliseconds(ends[name].to_pydatetime()) for name in ("first", "last"))
    return (Span(first, last + 1),)


def _missing(logs: Logs, window: Span, there: Iterable[Span]) -> tuple[Span, ...]:
    """Return the times of a window that logs do not cover."""
    if logs.period is not None:
        return logs.period.missing(window)
    left = _without((window,), there)
    return tuple(gap for gap in left if gap.stop - gap.start >= QUIET_MS or not there)


def _without(spans: tuple[Span, ...], gaps: Iterable[Span]) -> tuple[Span, ...]:
    """Return the time of spans that is in no gap."""
    return reduce(minus, gaps, spans)


def _listed(spans: Sequence[Span]) -> str:
    more = len(spans) - _TOLD
    told = [span.in_words() for span in spans[:_TOLD]]
    return " and ".join([*told, *([f"{more:,} more times"] if more > 0 else [])])
