"""The earlier window, or the other logs, to compare a result with."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias, cast

from frontierlab.engines.engine_choice import Source, beside, is_source
from frontierlab.engines.logs import Logs
from frontierlab.errors import InvalidRequestError
from frontierlab.filters.covered import compared_windows
from frontierlab.selection import Selection
from frontierlab.util.times import in_words, parse_time

__all__ = ["Before", "Compare", "before"]

When: TypeAlias = "str | date | datetime"
Compare: TypeAlias = "When | Source | tuple[Source, When] | Before"
"""What `before` accepts: a time, other logs, both, or a `Before`. A text is a time; in a pair it can name a dataset."""

_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_BACK = re.compile(rf"-(\d{{1,6}})({'|'.join(_UNITS)})")


@dataclass(frozen=True)
class Before:
    """The logs and selection to compare a result with.

    Parameters
    ----------
    logs
        The logs.
    selection
        The selection of these logs.
    shift
        Added to times of this window to align them with the window of the result.
    notes
        Sentences on what the logs lack of both windows.
    """

    logs: Logs
    selection: Selection
    shift: timedelta
    notes: tuple[str, ...] = ()

    def in_words(self) -> str:
        """Describe the window or the logs, for a legend."""
        since, until = self.selection.since, self.selection.until
        if self.shift and since is not None and until is not None:
            return f"{in_words(since).removesuffix(' UTC')} to {in_words(until)}"
        return "the other logs"


def before(logs: Logs, selection: Selection, compare: Compare) -> Before:
    """Return the logs and the selection to compare with.

    Parameters
    ----------
    logs
        The logs of the result.
    selection
        The selection of the result.
    compare
        ``"previous"``: the window of the same length that ends where this one begins. ``"-7d"``:
        the same window, that much earlier (s, min, h, d or w). A time (UTC if it has no zone): the
        window that starts then. Other logs, a dataset or a list of them: the same selection of them. A pair
        (other logs or a dataset's name, when): that window of them. A `Before` is returned unchanged. Datasets are
        asked with the engine of `logs`.

    Raises
    ------
    InvalidRequestError
        `compare` is none of these, or it needs a window and the selection has no `since` and `until`; or the logs
        cover nothing of one of the windows.
    StatementError, SparkError, Cancelled
        As `frontierlab.filters.covered.covered_window` raises them.
    """
    if isinstance(compare, Before):
        return compare
    found = _other(logs, selection, compare)
    _, notes = compared_windows((logs, selection), (found.logs, found.selection))
    return replace(found, notes=tuple(notes))


def _other(logs: Logs, selection: Selection, compare: When | Source | tuple[Source, When]) -> Before:
    if isinstance(compare, tuple) and len(compare) == 2:
        other, when = cast("tuple[Source, When]", compare)
        return Before(_logs(logs, other), *_window(selection, when))
    if isinstance(compare, str | date):
        return Before(logs, *_window(selection, compare))
    return Before(_logs(logs, compare), selection, timedelta(0))


def _logs(logs: Logs, other: Any) -> Logs:
    if not is_source(other):
        raise InvalidRequestError(
            f'compare={other!r}: give "previous", how much earlier ("-7d"), when the other window begins '
            "(2026-10-01), other logs or a dataset, or a pair (other logs, when)."
        )
    return beside(logs, other)


def _window(selection: Selection, when: When) -> tuple[Selection, timedelta]:
    back = _BACK.fullmatch(when) if isinstance(when, str) else None
    begin = None if when == "previous" or back is not None else _begin(when)
    if selection.since is None or selection.until is None:
        raise InvalidRequestError(
            f"compare={when!r} needs a window to compare: give since=… and until=… (what is compared is as long)."
        )
    if back is not None:
        shift = timedelta(**{_UNITS[back[2]]: int(back[1])})
    else:
        shift = selection.until - selection.since if begin is None else selection.since - begin
    if not shift:
        raise InvalidRequestError(f"compare={when!r} is the window itself.")
    return selection.shifted(-shift), shift


def _begin(when: When) -> datetime:
    """Return when the other window begins."""
    try:
        return parse_time(when)
    except InvalidRequestError as error:
        raise InvalidRequestError(
            f'compare={when!r}: give "previous", how much earlier ("-7d"; units {", ".join(_UNITS)}), or when '
            "the other window begins (2026-10-01). To compare with a dataset, give what frontierlab.open_logs(name) "
            "returns."
        ) from error
