"""What is known of Squid logs beside their rows: counts, and what a reader of the figures should know."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

from frontierlab.rawlogs.lines import LineCounts
from frontierlab.rawlogs.names import bounded, in_words
from frontierlab.rawlogs.squid.answers import Answers

__all__ = ["SMALL_SHARE", "SquidFacts"]

SMALL_SHARE = 0.01
"""If a larger share of lines was set aside, that is the first thing that the logs say of themselves."""


@dataclass
class SquidFacts:
    """What was seen in Squid logs, beside their rows.

    Parameters
    ----------
    lines
        What became of their lines.
    others
        Numbers of lines that are no requests for Frontier, by what they are.
    results, unknown_results
        Numbers of rows by result tag: all, and those whose tag is not known.
    unreadable
        Numbers of rows whose URL cannot be decoded, by reason.
    unknown
        Numbers of rows by folder or tag that has a number and that the catalogue lacks.
    without_task
        Number of rows without a task.
    unsure
        Number of lines of an hour that came twice.
    problems
        Sentences about files that could not be read to their end.
    """

    lines: LineCounts = field(default_factory=LineCounts)
    others: Counter[str] = field(default_factory=Counter)
    results: Counter[str] = field(default_factory=Counter)
    unknown_results: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    without_task: int = 0
    unsure: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, answers: Answers, lines: LineCounts) -> None:
        """Count the answers of a block of lines."""
        self.lines += lines
        for name in ("others", "results", "unknown_results", "unreadable", "unknown"):
            getattr(self, name).update(getattr(answers, name))
        self.unknown = bounded(self.unknown)
        self.unreadable = bounded(self.unreadable)
        self.without_task += answers.without_task

    def as_record(self) -> dict[str, Any]:
        """Return the facts as a plain dict for JSON; the most frequent first."""
        record = {one.name: getattr(self, one.name) for one in fields(self)}
        counted = {name: dict(value.most_common()) for name, value in record.items() if isinstance(value, Counter)}
        return {**record, **counted, "lines": self.lines.as_record()}

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> SquidFacts:
        """Return the facts of a record that `as_record` made."""
        lines = record["lines"]
        counts = LineCounts(**lines | {"set_aside": Counter(lines["set_aside"])})
        counters = {name: Counter(value) for name, value in record.items() if isinstance(value, dict)}
        return cls(**record | counters | {"lines": counts})

    def notes(self) -> list[str]:
        """Return sentences that a reader of the figures should know; the most important first."""
        notes = [*filter(None, [self.lines.warning(SMALL_SHARE)]), *self.problems]
        if self.unsure:
            notes.append(
                f"{self.unsure:,} lines are of an hour that came twice, at the end of summer time: which pass they are "
                "of was told from their order."
            )
        if self.unknown_results:
            named = ", ".join(f"{tag} {count:,}" for tag, count in self.unknown_results.most_common(5))
            notes.append(f"Result tags that are not known, counted under their own names: {named}.")
        if self.unreadable:
            why = "; ".join(f"{reason} {count:,}" for reason, count in self.unreadable.most_common(3))
            notes.append(f"{self.unreadable.total():,} requests have a URL that cannot be decoded: {why}")
        if self.unknown:
            notes.append(
                "The catalogue lacks the names of folders or tags; these requests have their numbers: "
                f"{in_words(self.unknown)}."
            )
        return notes
