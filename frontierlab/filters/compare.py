"""The earlier window, or the other logs, to compare a result with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from frontierlab.errors import InvalidRequestError
from frontierlab.selection import Selection
from frontierlab.storage.dataset import Dataset
from frontierlab.util.times import in_words, parse_time

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Before", "Compare", "before"]

When: TypeAlias = "str | date | datetime"
Compare: TypeAlias = "When | DataFrame | Dataset | tuple[DataFrame | Dataset, When] | Before"
"""What `before` accepts: a time, other logs, both, or a `Before`."""

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
    """

    logs: DataFrame
    selection: Selection
    shift: timedelta

    def in_words(self) -> str:
        """Describe the window or the logs, for a legend."""
        since, until = self.selection.since, self.selection.until
        if self.shift and since is not None and until is not None:
            return f"{in_words(since).removesuffix(' UTC')} to {in_words(until)}"
        return "the other logs"


def before(logs: DataFrame, selection: Selection, compare: Compare) -> Before:
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
        window that starts then. Other logs or a dataset: the same selection of them. A pair
        (other logs, when): that window of them. A `Before` is returned unchanged.

    Raises
    ------
    InvalidRequestError
        `compare` is none of these, or it needs a window and the selection has no `since` and `until`.
    """
    if isinstance(compare, Before):
        return compare
    if isinstance(compare, tuple) and len(compare) == 2:
        other, when = compare
        return Before(_logs(logs, other), *_window(selection, when))
    if isinstance(compare, str | date):
        return Before(logs, *_window(selection, compare))
    return Before(_logs(logs, compare), selection, timedelta(0))


def _logs(logs: DataFrame, other: Any) -> DataFrame:
    if isinstance(other, Dataset):
        from frontierlab.spark import open_logs

        return open_logs(other, session=logs.sparkSession)
    if not hasattr(other, "sparkSession"):
        raise InvalidRequestError(
            f'compare={other!r}: give "previous", how much earlier ("-7d"), when the other window begins '
            "(2026-10-01), other logs or a dataset, or a pair (other logs, when)."
        )
    found: DataFrame = other
    return found


def _window(selection: Selection, when: When) -> tuple[Selection, timedelta]:
    if selection.since is None or selection.until is None:
        raise InvalidRequestError(
            f"compare={when!r} needs a window to compare: give since and until (what is compared is as long)."
        )
    shift = _shift(selection, when)
    return selection.shifted(-shift), shift


def _shift(selection: Selection, when: When) -> timedelta:
    if when == "previous":
        length: timedelta = selection.until - selection.since
        return length
    back = _BACK.fullmatch(when) if isinstance(when, str) else None
    if back is not None:
        shift = timedelta(**{_UNITS[back[2]]: int(back[1])})
    else:
        try:
            shift = selection.since - parse_time(when)
        except InvalidRequestError as error:
            raise InvalidRequestError(
                f'compare={when!r}: give "previous", how much earlier ("-7d"; units {", ".join(_UNITS)}), or when '
                "the other window begins (2026-10-01)."
            ) from error
    if not shift:
        raise InvalidRequestError(f"compare={when!r} is the window itself.")
    return shift
