"""What a check is given, and how it says what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from frontierlab.checks.calls import Calls
from frontierlab.checks.findings import Finding, NotLooked
from frontierlab.checks.tallies import Counter, Key, Numbers, Tally, added
from frontierlab.checks.windows import Windows, covers
from frontierlab.settings import Settings
from frontierlab.storage.spans import Span

__all__ = ["Groups", "Look", "named"]

Groups = dict[Key, Numbers]
"""The numbers of each group."""


@dataclass(frozen=True)
class Look:
    """What a check is given.

    Parameters
    ----------
    check, severity
        The name of the check, and how bad its findings are.
    counter
        Counts queries.
    windows
        The windows of time.
    limits
        The settings, which have the thresholds.
    calls
        Writes the calls that show findings.
    """

    check: str
    severity: str
    counter: Counter
    windows: Windows
    limits: Settings
    calls: Calls

    @property
    def span(self) -> Span:
        """The time of all windows together."""
        return Span(self.windows.start, self.windows.stop)

    def an_hour(self, threshold: float) -> float:
        """Return what a threshold for an hour is for a window."""
        return threshold * self.windows.hours

    def by_window(self, tally: Tally) -> list[Groups]:
        """Count, and return the groups of each window."""
        pieces: list[dict[Key, list[Numbers]]] = [{} for _ in self.windows.all]
        for row in self.counter.count(tally):
            pieces[self.windows.number(row.piece)].setdefault(row.key, []).append(row.numbers)
        return [{key: added(tally, numbers) for key, numbers in groups.items()} for groups in pieces]

    def why_not(self, window: Span, numbers: Numbers, needs: Mapping[str, str] | None = None) -> str:
        """Return why a window cannot be looked at; empty if it can.

        Parameters
        ----------
        window
            The window, with the time before it that the check needs.
        numbers
            The numbers of all its queries.
        needs
            Name of a number that must not be 0 → what is missing if it is.
        """
        if not covers(self.counter.covered, window):
            known = [span.in_words() for span in self.counter.covered]
            more = f" and {len(known) - 3} more times" * (len(known) > 3)
            return f"the data do not cover all of what it needs; they are there {' and '.join(known[:3])}{more}"
        if not numbers["queries"]:
            return "there is no query in this time"
        return next((why for name, why in (needs or {}).items() if not numbers[name]), "")

    def unseen(self, window: Span, why: str) -> NotLooked:
        """Return that a window cannot be looked at."""
        return NotLooked(self.check, window, why)

    def finding(
        self, what: str, where: Mapping[str, Any], span: Span, value: float, threshold: float, unit: str, call: str
    ) -> Finding:
        """Return a finding."""
        return Finding(self.check, self.severity, what, where, span, value, threshold, unit, call)


def named(kind: str, value: Any) -> str:
    """Return a name for a sentence: that of a server, for example; without one, what the log does not name."""
    return f"{kind} {value}" if value is not None else f"queries without a {kind}"
