"""What filters count: numbers of queries, and sums over them, in SQL; and what that needs to know of a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from frontierlab.filters.needs import Need, needs_of

__all__ = ["Count", "Measure", "Sum"]


@dataclass(frozen=True)
class Count:
    """The number of queries.

    Parameters
    ----------
    where
        Of those for which this holds, in SQL; by default all.
    """

    where: str = ""

    @property
    def needs(self) -> set[Need]:
        """What must be known of a query to count it."""
        return needs_of([self.where] if self.where else [])

    def sql(self, times: str = "") -> str:
        """Return it in SQL; `times` is the column that says how many queries a row stands for, by default one."""
        if times:
            return _sum(times, self.where)
        return f"count_if({self.where})" if self.where else "count(*)"


@dataclass(frozen=True)
class Sum:
    """The sum of a column over queries; nothing adds up to 0.

    Parameters
    ----------
    column
        What is added up.
    where
        Of the queries for which this holds, in SQL; by default all.
    """

    column: str
    where: str = ""

    @property
    def needs(self) -> set[Need]:
        """What must be known of a query to add it up."""
        return {Need(self.column, "sum")} | needs_of([self.where] if self.where else [])

    def sql(self, times: str = "") -> str:
        """Return it in SQL; a row that stands for several queries holds their sum, so that `times` is not needed."""
        return _sum(self.column, self.where)


Measure: TypeAlias = Count | Sum
"""What a filter counts."""


def _sum(column: str, where: str) -> str:
    return f"coalesce(sum({column}){f' FILTER (WHERE {where})' if where else ''}, 0)"
