"""What a question needs to know of each query: which columns, and how exactly.

From this follows whether a summary (`frontierlab.storage.summaries`), which knows less of a query than the log, gives
the same answer. SQL that does not say what it needs is asked of the log itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

from frontierlab.selection import KINDS, Selection
from frontierlab.util.times import to_milliseconds

__all__ = ["Expression", "Need", "needs_of", "needs_of_selection"]


@dataclass(frozen=True)
class Need:
    """How a column of the log is used.

    Parameters
    ----------
    column
        The column.
    how
        ``value``: as it is, to group by or to compare with anything. ``sum``: added up. ``at least``: compared with
        one threshold, `value`. ``given``: whether there is one, of a column in which -1 and null mean that there is
        none. ``cut``: cut into pieces at multiples of `value` (milliseconds).
    value
        See `how`.
    """

    column: str
    how: Literal["value", "sum", "at least", "given", "cut"] = "value"
    value: int = 0


class Expression(str):
    """SQL that says what it needs."""

    needs: frozenset[Need]

    def __new__(cls, sql: str, *needs: Need) -> Self:
        """Take the SQL and what it needs."""
        made = super().__new__(cls, sql)
        made.needs = frozenset(needs)
        return made

    @classmethod
    def of(cls, sql: str, *columns: str) -> Self:
        """Return SQL that uses columns as they are."""
        return cls(sql, *map(Need, columns))


def needs_of(parts: Iterable[str]) -> set[Need]:
    """Return what pieces of SQL need; a text that does not say it is taken for the name of a column."""
    found: set[Need] = set()
    for sql in parts:
        found |= sql.needs if isinstance(sql, Expression) else {Need(sql)}
    return found


def needs_of_selection(selection: Selection) -> set[Need]:
    """Return what the conditions of a selection need."""
    given = {name: value for name, value in vars(selection).items() if value is not None}
    found: set[Need] = set()
    for name, value in given.items():
        if name in ("since", "until"):
            found.add(Need("time", "cut", to_milliseconds(value)))
        elif name == "min_querytime":
            found.add(Need("querytime", "at least", value))
        elif name == "kind":
            found |= set(map(Need, ("cached", *KINDS[:-1])))
        else:
            found.add(Need(name))
    return found
