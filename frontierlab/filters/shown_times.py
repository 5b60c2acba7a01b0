"""The times that plots over time show when a few queries are far from the others in time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pandas as pd

from frontierlab.engines.logs import Logs
from frontierlab.engines.own_statements import ask
from frontierlab.filters.compare import Before
from frontierlab.filters.expressions import QUERIES
from frontierlab.filters.needs import Expression, Need
from frontierlab.filters.question import Question
from frontierlab.selection import Selection

__all__ = ["ShownTimes", "shown_times"]

DAY_MS = 86_400_000
_DAY = "timestamp_millis(unix_millis(time) - pmod(unix_millis(time), :day_ms))"
_DAYS = Question(QUERIES, {"day": Expression(_DAY, Need("time", "cut", DAY_MS))}, args={"day_ms": DAY_MS})

_FILLED = 0.1  # the share of days with queries below which a period is mostly empty
_GAP = timedelta(days=31)  # a gap without queries that separates two periods
_NAMED = 3  # how many other periods the sentence names


@dataclass(frozen=True)
class ShownTimes:
    """The part of a selection that plots over time show.

    Parameters
    ----------
    selection
        The shown queries.
    outside
        A sentence about the other queries; empty if all are shown.
    """

    selection: Selection
    outside: str = ""

    def of(self, compare: Before | None, whole: Selection) -> Before | None:
        """Return the matching part of the comparison of the whole selection."""
        if compare is None or self.selection == whole:
            return compare
        moved = self.selection.shifted(-compare.shift)
        return replace(compare, selection=compare.selection.but(since=moved.since, until=moved.until))


def shown_times(logs: Logs, selection: Selection) -> ShownTimes:
    """Find the period with the most queries; the whole selection unless over 90 % of its days have no query.

    A gap of 31 days without queries separates two periods. One statement counts the queries of each day.

    Parameters
    ----------
    logs
        Logs from `frontierlab.open_logs`.
    selection
        The selected queries.

    Raises
    ------
    Cancelled, SparkError
        As a filter raises them.
    """
    asked, statement = _DAYS.put_to(logs, "queries per day", selection)
    days = ask({"logs": asked}, statement.text, statement.args, description=statement.name).sort_values("day")
    if days.empty or len(days) >= _FILLED * ((days["day"].iloc[-1] - days["day"].iloc[0]).days + 1):
        return ShownTimes(selection)
    number = (days["day"].diff() > _GAP).cumsum()
    found = days.groupby(number).agg(first=("day", "first"), last=("day", "last"), queries=("queries", "sum"))
    most = found.loc[found["queries"].idxmax()]
    since, until = most["first"].to_pydatetime(), most["last"].to_pydatetime() + timedelta(days=1)
    shown = selection.but(since=max(since, selection.since or since), until=min(until, selection.until or until))
    return ShownTimes(shown, _outside(found.drop(most.name), int(found["queries"].sum()), shown))


def _outside(others: pd.DataFrame, all_: int, shown: Selection) -> str:
    if others.empty:
        return ""
    largest = others.sort_values("queries", ascending=False, kind="stable")
    top = largest.head(_NAMED)
    named = [f"{n:,} {_when(*days)}" for n, *days in zip(top["queries"], top["first"], top["last"], strict=True)]
    rest = largest["queries"].iloc[_NAMED:]
    more = [f"{rest.sum():,} in {len(rest):,} other periods"] if len(rest) else []
    return (
        f"Plots over time show the queries {Selection(since=shown.since, until=shown.until).in_words()}. "
        f"{others['queries'].sum():,} of {all_:,} queries are far outside and not in them: {', '.join(named + more)} "
        "(UTC). Give a selection with since and until for a report of these."
    )


def _when(first: pd.Timestamp, last: pd.Timestamp) -> str:
    return f"on {first:%Y-%m-%d}" if first == last else f"from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
