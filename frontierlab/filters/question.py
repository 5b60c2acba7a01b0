"""A question about the logs: its parametrised statement, and the frame of the result.

Values never enter the SQL text. They are named parameters; a list has one parameter per value.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from frontierlab.engines.logs import Logs
from frontierlab.errors import InvalidRequestError, StatementError
from frontierlab.filters.bins import MAX_ROWS, Bins
from frontierlab.filters.measures import Count, Measure
from frontierlab.filters.needs import Need, needs_of, needs_of_selection
from frontierlab.filters.summaries import summary_that_answers
from frontierlab.filters.top import check_top, group_labels, rank_groups, sum_by_rank
from frontierlab.selection import WORDS, Selection
from frontierlab.storage.summaries import TIMES

__all__ = ["NO_SHIFT", "Question", "Statement", "side_by_side"]

NO_SHIFT = timedelta(0)
"""The shift of a window whose times are not moved."""


def _unchanged(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


@dataclass(frozen=True)
class Statement:
    """A filter's Spark SQL statement.

    ``print`` shows the SQL with its parameters; ``spark.sql(statement.text, args=statement.args,
    logs=logs)`` runs it by hand.

    Parameters
    ----------
    name
        The filter's name.
    text
        The SQL, with ``{logs}`` for the logs.
    args
        The values of the named parameters.
    selection
        The queries that it counts.
    """

    name: str
    text: str
    args: Mapping[str, Any]
    selection: Selection

    def __str__(self) -> str:
        values = (v.isoformat(timespec="milliseconds") if isinstance(v, datetime) else v for v in self.args.values())
        return "\n".join([self.text, *(f"-- :{n} = {v!r}" for n, v in zip(self.args, values, strict=True))])


@dataclass(frozen=True)
class Question:
    """What a filter counts in the logs, independent of the selection.

    SQL that is more than a column name declares its needs (`frontierlab.filters.needs`). Without them, the question
    never uses summaries.

    Parameters
    ----------
    measures
        The measures, by column name.
    keys
        The SQL of the columns that name a group, by column name.
    values
        SQL of aggregates that cannot be added up, by column name; only with bins and without groups.
    within
        SQL of a subquery that is asked in place of the queries, such as one with a row for each different query;
        ``{queries}`` in it stands for the selected queries. Then all other SQL is about its columns.
    first
        A column to group by first, with counts as ``times``; measures and values then weight by ``times``.
    labels
        SQL of more columns that describe a group, by column name; of several values, the last in order.
    conditions, args
        SQL conditions on the queries, and the values of their parameters.
    bins
        The bins to count by, in addition to groups.
    top
        How many groups have their own row; None is all.
    rank
        The measures whose sum ranks groups; by default all.
    always
        Values of the only key that have a row even without queries.
    derive
        A function that adds derived columns, such as shares and means, to the result.
    counted
        Columns of the log that the index may lack: the measure that counts the queries with a value → the column.
    facts
        Facts for the plot, such as a threshold.
    """

    measures: Mapping[str, Measure]
    keys: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    within: str = ""
    first: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    args: Mapping[str, Any] = field(default_factory=dict)
    bins: Bins | None = None
    top: int | None = None
    rank: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    derive: Callable[[pd.DataFrame], pd.DataFrame] = _unchanged
    counted: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_top(self.top)

    def statement(self, name: str, selection: Selection, shift: timedelta = NO_SHIFT, times: str = "") -> Statement:
        """Return the statement for selected queries, with their times moved by `shift`.

        `times` is the column with the number of queries that a row stands for; by default a row is one query.
        """
        by = {} if self.bins is None else {self.bins.column: self.bins.expression(shift)}
        by |= self.keys
        where, args = selection.where(*self.conditions)
        args |= self.args if self.bins is None else {**self.args, **self.bins.args(shift)}
        source = f"{{logs}}{where}"
        if self.within:
            source = _subquery(self.within.replace("{queries}", source))
        if self.first:
            times = TIMES
            inner = _select({**by, self.first: self.first, times: Count().sql()}, len(by) + 1, source)
            by, source = dict(zip(by, by, strict=True)), _subquery(inner)
        counted = {column: measure.sql(times) for column, measure in self.measures.items()}
        text = _select({**by, **self.labels, **counted, **self.values}, len(by), source)
        text += "" if self.bins is None else self.bins.limit(selection)
        return Statement(name, text, args, selection)

    def needs(self, selection: Selection, shift: timedelta = NO_SHIFT) -> tuple[set[Need], set[Need]]:
        """Return the needs of the conditions on all counted queries, and the other needs of the question."""
        rest = needs_of([*self.keys.values(), *self.labels.values(), *filter(None, (self.first, self.within))])
        for measure in self.measures.values():
            rest |= measure.needs
        if self.bins is not None:
            rest |= self.bins.needs(shift)
        return needs_of_selection(selection) | needs_of(self.conditions), rest

    def put_to(
        self, logs: Logs, name: str, selection: Selection, shift: timedelta = NO_SHIFT
    ) -> tuple[Logs, Statement]:
        """Return the logs to ask and the statement; they are a summary if that gives the same result."""
        every, rest = self.needs(selection, shift)
        summary = None if self.values else summary_that_answers(logs, every, rest)  # values need every row
        if summary is not None:
            return summary, self.statement(name, selection, shift, TIMES)
        return logs, self.statement(name, selection, shift)

    def answer(self, raw: list[pd.DataFrame], selection: Selection) -> pd.DataFrame:
        """Build the filter's frame from the result of its statement, or from two results to compare."""
        if self.bins is not None and any(len(frame) > MAX_ROWS for frame in raw):
            raise self._too_many(f"more than {MAX_ROWS:,}")
        self._check_sums(raw)
        if self.always and any(len(frame) for frame in raw):
            (key,) = self.keys
            none: dict[str, Any] = dict.fromkeys(self.measures, 0) | dict.fromkeys(self._largest(), pd.NA)
            zeros = pd.DataFrame({key: self.always}).assign(**none).astype(raw[0].dtypes)
            raw = [pd.concat([frame, zeros], ignore_index=True) for frame in raw]
        places = self._places(raw)
        frames = [self._placed(frame, places) for frame in raw]
        index = self._rows(frames, places, selection)
        found = [self.derive(self._filled(frame, index)) for frame in frames]
        answer = found[0] if len(found) == 1 else side_by_side(*found)
        answer = answer.reset_index()
        if places is not None:
            answer = self._named(answer, places, raw)
        return answer if self.bins is None else self.bins.finish(answer)

    def notes(self, raw: Sequence[pd.DataFrame], selection: Selection) -> list[str]:
        """Return sentences about names and values that none of the counted queries has."""
        found = []
        for frame, which in zip(raw, ("the queries", "the queries before"), strict=False):
            lacking = [column for measure, column in self.counted.items() if not frame[measure].any()]
            key = [*self.keys][-1] if self.keys else ""
            if key and frame[key].isna().all() and getattr(selection, key, None) is None:
                lacking.append(key)
            if len(frame):
                found += [
                    f"The log gives no {WORDS.get(column, column)} for any of {which}: the index may lack it."
                    for column in lacking
                ]
        return found

    def _largest(self) -> list[str]:
        return [name for name, measure in self.measures.items() if measure.together == "max"]

    def _check_sums(self, raw: list[pd.DataFrame]) -> None:
        """Refuse numbers whose sum over groups or bins could have more than 64 bits: pandas gives a wrong one."""
        for name in self.measures.keys() - set(self._largest()):
            if any(np.abs(frame[name].to_numpy("float64", na_value=0)).sum() >= 2.0**63 for frame in raw):
                raise StatementError(
                    f"The sum of {name} has more than 64 bits. The log has impossible values: leave these queries out "
                    "with since and until, or with another field of the selection."
                )

    def _by(self) -> list[str]:
        return [] if self.bins is None else [self.bins.column]

    def _places(self, raw: list[pd.DataFrame]) -> pd.DataFrame | None:
        if not self.keys:
            return None
        rank = self.rank or [*self.measures]
        return rank_groups(pd.concat(raw), [*self.keys], rank, self.top, self._largest())

    def _placed(self, frame: pd.DataFrame, places: pd.DataFrame | None) -> pd.DataFrame:
        if places is not None:
            return sum_by_rank(frame, places, self._by(), [*self.measures], self._largest())
        return frame.set_index(self._by()) if self.bins is not None else frame

    def _rows(
        self, frames: list[pd.DataFrame], places: pd.DataFrame | None, selection: Selection
    ) -> pd.Index[Any] | None:
        """Return the index of the result; None to keep the rows as they are."""
        order = None if places is None else pd.Index(sorted(places["place"].unique()), name="place", dtype="int64")
        if self.bins is None:
            return order
        seen = [frame.index.get_level_values(0).to_series() for frame in frames]
        if not any(len(bins) for bins in seen):
            return frames[0].index
        bins = self.bins.all(seen, selection)
        if order is not None and len(bins) * len(order) > MAX_ROWS:
            raise self._too_many(f"{len(bins) * len(order):,} ({len(bins):,} bins of {len(order):,} groups)")
        return bins if order is None else pd.MultiIndex.from_product([bins, order])

    @staticmethod
    def _too_many(rows: str) -> InvalidRequestError:
        return InvalidRequestError(
            f"The answer has {rows} rows, and {MAX_ROWS:,} are allowed: choose a larger bin_seconds, since and until "
            "closer together, or fewer groups with top."
        )

    def _filled(self, frame: pd.DataFrame, index: pd.Index[Any] | None) -> pd.DataFrame:
        """Add the rows without queries."""
        if index is None:
            return frame
        frame = frame.reindex(index)
        sums = self.measures.keys() - set(self._largest())
        lacking = [name for name in sums if frame[name].hasnans]
        return frame.assign(**{name: frame[name].fillna(0) for name in lacking}) if lacking else frame

    def _named(self, answer: pd.DataFrame, places: pd.DataFrame, raw: list[pd.DataFrame]) -> pd.DataFrame:
        """Replace the places by the names of their groups."""
        names = group_labels(places, [*self.keys])
        for label in self.labels:
            known = pd.concat(raw).dropna(subset=[label, *self.keys])
            names = names.join(known.groupby([*self.keys])[label].max(), on=[*self.keys])
        rest = [column for column in answer.columns if column not in (*self._by(), "place")]
        rows = names.index.get_indexer(pd.Index(answer["place"]))
        of_rows = {name: names[name].array.take(rows) for name in (*self.keys, *self.labels, "part", "groups")}
        columns = [(name, answer[name].array) for name in (*self._by(), *rest)]
        by = len(self._by())
        return pd.DataFrame(dict([*columns[:by], *of_rows.items(), *columns[by:]]), index=answer.index)


def _select(columns: Mapping[str, str], by: int, source: str) -> str:
    """Return a SELECT statement that is grouped by its first `by` columns."""
    listed = ",\n       ".join(sql if sql == column else f"{sql} AS {column}" for column, sql in columns.items())
    grouped = ", ".join(str(number) for number in range(1, by + 1))
    return f"SELECT {listed}\nFROM {source}" + (f"\nGROUP BY {grouped}" if grouped else "")


def _subquery(text: str) -> str:
    return f"({textwrap.indent(text, ' ' * 6).lstrip()})"


def side_by_side(now: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Return each column with its value before and its change."""
    columns = {}
    for column in now.columns:
        columns[column] = now[column]
        columns[f"{column}_before"] = before[column]
        columns[f"{column}_change"] = now[column] - before[column]
    return pd.DataFrame(columns)
