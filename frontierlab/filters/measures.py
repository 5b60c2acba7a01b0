"""The measures of filters in SQL (numbers of queries, sums and largest values), and the columns that they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from frontierlab.filters.needs import Need, needs_of

__all__ = ["Count", "Largest", "Measure", "Sum"]


Together: TypeAlias = Literal["sum", "max"]
"""How the values of several groups give the value of all: a sum is 0 without queries, a largest value is null."""


@dataclass(frozen=True)
class Count:
    """The number of queries.

    Parameters
    ----------
    where
        SQL condition on the queries; by default all are counted.
    """

    where: str = ""
    together: ClassVar[Together] = "sum"

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
    together: ClassVar[Together] = "sum"

    @property
    def needs(self) -> set[Need]:
        """The columns that are needed for the sum."""
        return {Need(self.column, "sum")} | needs_of([self.where] if self.where else [])

    def sql(self, times: str = "") -> str:
        """Return the SQL; a row that stands for several queries already holds their sum, so `times` is not used."""
        return _sum(self.column, self.where)


@dataclass(frozen=True)
class Largest:
    """The largest value of a column; null if no query has one.

    Parameters
    ----------
    column
        The column.
    where
        SQL condition on the queries; by default all count.
    """

    column: str
    where: str = ""
    together: ClassVar[Together] = "max"

    @property
    def needs(self) -> set[Need]:
        """The columns that are needed to find the largest value."""
        return {Need(self.column)} | needs_of([self.where] if self.where else [])

    def sql(self, times: str = "") -> str:
        """Return the SQL; it does not matter how many queries a row stands for, so `times` is not used."""
        return f"max({self.column}){_filter(self.where)}"


Measure: TypeAlias = Count | Sum | Largest
"""A quantity that a filter computes for each group or bin.

A mean or a share is derived from such quantities, after groups were added up (`Question.derive`).
"""


def _sum(column: str, where: str) -> str:
    return f"coalesce(sum({column}){_filter(where)}, 0)"


def _filter(where: str) -> str:
    return f" FILTER (WHERE {where})" if where else ""
