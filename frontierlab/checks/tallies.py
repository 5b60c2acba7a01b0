"""What checks count: numbers of queries by time and by names, from logs or from an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from frontierlab.checks.conditions import Condition
from frontierlab.errors import FrontierlabError
from frontierlab.storage.spans import Span

__all__ = ["Counter", "Key", "NotCounted", "Numbers", "Row", "Tally", "added"]

Key: TypeAlias = tuple[Any, ...]
"""The values of the columns that name a group; None where the log names none."""

Numbers: TypeAlias = dict[str, int]
"""The numbers of a group: ``queries``, and those of the tally. A largest value that no query has is not in it."""


class NotCounted(FrontierlabError):
    """The server refuses to count, or there are too many groups; the message says why."""


@dataclass(frozen=True)
class Tally:
    """What is counted.

    Parameters
    ----------
    name
        For error messages.
    span
        The time of the queries.
    width
        The width of a piece of time in milliseconds; pieces begin with the span.
    keys
        The columns that name a group.
    counted
        Name of a number → the condition on the queries that are counted.
    largest
        Name of a number → the column whose largest value it is.
    only
        The condition on all queries.
    """

    name: str
    span: Span
    width: int
    keys: tuple[str, ...] = ()
    counted: Mapping[str, Condition] = field(default_factory=dict)
    largest: Mapping[str, str] = field(default_factory=dict)
    only: Condition | None = None

    @property
    def conditions(self) -> list[Condition]:
        """All conditions."""
        return [*self.counted.values(), *([] if self.only is None else [self.only])]


@dataclass(frozen=True)
class Row:
    """The numbers of a group in a piece of time.

    Parameters
    ----------
    piece
        Where the piece begins, in UTC milliseconds.
    key
        The group.
    numbers
        Its numbers.
    """

    piece: int
    key: Key
    numbers: Numbers


def added(tally: Tally, numbers: Sequence[Numbers]) -> Numbers:
    """Return the numbers of several groups or pieces together."""
    found = {name: sum(one[name] for one in numbers) for name in ("queries", *tally.counted)}
    for name in tally.largest:
        if values := [one[name] for one in numbers if name in one]:
            found[name] = max(values)
    return found


class Counter(Protocol):
    """Counts queries: those of logs, or the documents of an index.

    Attributes
    ----------
    partial
        Sentences on why only some of the queries are there; empty if all are.
    notes
        Other sentences on how the numbers were found.
    """

    partial: list[str]
    notes: list[str]

    @property
    def covered(self) -> list[Span]:
        """The time of which all queries are there."""

    def has_sql(self) -> str:
        """Return why the text of the SQL cannot be looked at; empty if it can."""

    def count(self, tally: Tally) -> list[Row]:
        """Return the numbers of all groups that have a query, in any order.

        Raises
        ------
        NotCounted
            It cannot be counted; other tallies may.
        """
