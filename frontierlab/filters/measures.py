"""The measures of filters in SQL (numbers of queries and sums over them), and the columns that they need."""

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
        SQL condition on the queries; by default all are counted.
    """

    where: str = ""

    @property
    def needs(self) -> set[Need]:
        """The columns that are needed to count a query."""
        return needs_of([self.where] if self.where else [])

    def sql(self, times: str = "") -> str:
        """Return the SQL; `times` is the column with the number of queries that a row stands for, by default one."""
        if times:
            return _sum(times, self.where)
        return f"count_if({self.where})" if self.where else "count(*)"


@dataclass(frozen=True)
class Sum:
    """The sum of a column over queries; 0 without queries.

    Parameters
    ----------
    column
        The column to add up.
    where
        SQL condition on the queries; by default all are added up.
    """

    column: str
    where: str = ""

    @property
    def needs(self) -> set[Need]:
        """The columns that are needed for the sum."""
        return {Need(self.column, "sum")} | needs_of([self.where] if self.where else [])

    def sql(self, times: str = "") -> str:
        """Return the SQL; a row that stands for several queries already holds their sum, so `times` is not used."""
        return _sum(self.column, self.where)


Measure: TypeAlias = Count | Sum
"""A quantity that a filter computes for each group or bin."""


def _sum(column: str, where: str) -> str:
    return f"coalesce(sum({column}){f' FILTER (WHERE {where})' if where else ''}, 0)"
