"""The columns that a question needs, and how precisely it needs them.

A summary (`frontierlab.storage.summaries`) holds less detail than the log. These needs decide whether the summary
gives the same result. SQL without declared needs always runs on the log itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

from frontierlab.selection import QUERY_KINDS, Selection
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
        ``value``: the exact value, to group by or to compare. ``sum``: added up. ``at least``: compared with
        one threshold, `value`. ``given``: only whether it is given; -1 and null mean that it is not.
        ``cut``: only to a multiple of `value` (milliseconds).
    value
        See `how`.
    """

    column: str
    how: Literal["value", "sum", "at least", "given", "cut"] = "value"
    value: int = 0


class Expression(str):
    """SQL text with its declared needs."""

    needs: frozenset[Need]

    def __new__(cls, sql: str, *needs: Need) -> Self:
        """Make an expression from the SQL and its needs."""
        made = super().__new__(cls, sql)
        made.needs = frozenset(needs)
        return made

    @classmethod
    def of(cls, sql: str, *columns: str) -> Self:
        """Return SQL that needs the exact values of columns."""
        return cls(sql, *map(Need, columns))


def needs_of(parts: Iterable[str]) -> set[Need]:
    """Return the needs of SQL texts; a text without declared needs is taken as a column name."""
    found: set[Need] = set()
    for sql in parts:
        found |= sql.needs if isinstance(sql, Expression) else {Need(sql)}
    return found


def needs_of_selection(selection: Selection) -> set[Need]:
    """Return the needs of a selection's conditions."""
    given = {name: value for name, value in vars(selection).items() if value is not None}
    found: set[Need] = set()
    for name, value in given.items():
        if name in ("since", "until"):
            found.add(Need("time", "cut", to_milliseconds(value)))
        elif name == "min_querytime":
            found.add(Need("querytime", "at least", value))
        elif name == "kind":
            found |= set(map(Need, ("cached", *QUERY_KINDS[:-1])))
        else:
            found.add(Need(name))
    return found
