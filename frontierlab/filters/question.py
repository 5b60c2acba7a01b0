"""A question about the logs: its parametrised statement, and the frame of the result.

Values never enter the SQL text. They are named parameters; a list has one parameter per value.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from frontierlab.engines.logs import Logs
from frontierlab.errors import InvalidRequestError, StatementError
from frontierlab.filters.bins import MAX_ROWS, Bins
from frontierlab.filters.measures import Count, Measure
from frontierlab.filters.needs import Need, needs_of, needs_of_selection
from frontierlab.filters.summaries import summary_that_answers
from frontierlab.filters.top import Ranking, add_up, check_top, label_places, rank_groups
from frontierlab.selection import WORDS, Selection
from frontierlab.storage.summaries import TIMES

__all__ = ["NO_SHIFT", "Question", "Statement", "side_by_side", "too_large"]

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
        ranking = self._ranked(raw) if self.keys else None
        labels = None if ranking is None else self._labels(ranking, raw)
        groups = 1 if labels is None else len(labels)
        bins = None if self.bins is None else self._all_bins(raw, groups, selection)
        found = [self.derive(frame) for frame in self._added_up(raw, ranking, labels, bins)]
        answer = found[0] if len(found) == 1 else side_by_side(*found)
        columns: dict[str, Any] = {} if bins is None else {str(bins.name): bins.repeat(groups)}
        if labels is not None:
            rows = np.arange(len(answer)) % groups
            columns |= {str(name): labels[name].array.take(rows) for name in labels}
        answer = pd.DataFrame({**columns, **{str(name): answer[name].array for name in answer}}, index=answer.index)
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
        """Refuse numbers whose sum over groups or bins could have more than 64 bits: NumPy gives a wrong one."""
        for name in self.measures.keys() - set(self._largest()):
            if any(np.abs(frame[name].to_numpy("float64", na_value=0)).sum() >= 2.0**63 for frame in raw):
                raise too_large(name)

    def _ranked(self, raw: list[pd.DataFrame]) -> Ranking:
        """Rank the groups of all results together."""
        sizes = [(_column(raw, name), self.measures[name].together) for name in self.rank or self.measures]
        return rank_groups({key: _column(raw, key) for key in self.keys}, sizes, self.top)

    def _all_bins(self, raw: list[pd.DataFrame], groups: int, selection: Selection) -> pd.Index[Any]:
        """Return the bins of the result: all if there is any query."""
        assert self.bins is not None
        seen = [frame[self.bins.column] for frame in raw]
        given = any(len(column) for column in seen)
        bins: pd.Index[Any] = self.bins.all(seen, selection) if given else pd.Index(seen[0])
        if self.keys and len(bins) * groups > MAX_ROWS:
            raise self._too_many(f"{len(bins) * groups:,} ({len(bins):,} bins of {groups:,} groups)")
        return bins

    def _added_up(
        self,
        raw: list[pd.DataFrame],
        ranking: Ranking | None,
        labels: pd.DataFrame | None,
        bins: pd.Index[Any] | None,
    ) -> Iterator[pd.DataFrame]:
        """Yield the measures of each result: a row for each place, or for each place of each bin."""
        groups, begin = 1 if labels is None else len(labels), 0
        count = groups if bins is None else groups * len(bins)
        for frame in raw:
            rows = np.zeros(len(frame), dtype="int64")
            if ranking is not None and labels is not None:
                rows = np.searchsorted(labels.index, ranking.of_rows[begin : begin + len(frame)])
                begin += len(frame)
            inside: Any = slice(None)
            if bins is not None:
                every, number = _as_numbers(bins.array), _as_numbers(frame[bins.name].array)
                rows, inside = rows + np.searchsorted(every, number) * groups, np.isin(number, every)
            rows = rows[inside]
            columns = {
                name: add_up(frame[name].array[inside], rows, count, measure.together)
                for name, measure in self.measures.items()
            }
            for name in self.values:
                columns[name] = np.full(count, None, dtype=object)
                columns[name][rows] = frame[name].to_numpy()[inside]
            yield pd.DataFrame(columns, index=range(count))

    @staticmethod
    def _too_many(rows: str) -> InvalidRequestError:
        return InvalidRequestError(
            f"The answer has {rows} rows, and {MAX_ROWS:,} are allowed: choose a larger bin_seconds, since and until "
            "closer together, or fewer groups with top."
        )

    def _labels(self, ranking: Ranking, raw: list[pd.DataFrame]) -> pd.DataFrame:
        """Return the names of the places: keys, labels, part and number of groups."""
        names = label_places(ranking)
        for place, label in enumerate(self.labels, len(self.keys)):
            known = pd.concat(raw).dropna(subset=[label, *self.keys])
            names = names.join(known.groupby([*self.keys])[label].max(), on=[*self.keys])
            names.insert(place, label, names.pop(label))
        return names


def too_large(name: str) -> StatementError:
    """Return the error for a column whose sum has more than 64 bits."""
    return StatementError(
        f"The sum of {name} has more than 64 bits. The log has impossible values: leave these queries out with since "
        "and until, or with another field of the selection."
    )


def _column(raw: list[pd.DataFrame], name: str) -> Any:
    """Return a column of all results, one after the other."""
    return raw[0][name].array if len(raw) == 1 else pd.concat([frame[name] for frame in raw]).array


def _as_numbers(bins: Any) -> NDArray[np.int64]:
    """Return an array of bins as numbers in the same order; null is the largest."""
    if isinstance(bins, pd.arrays.DatetimeArray):
        return np.asarray(bins.as_unit("ms").astype("int64"))
    return np.asarray(bins.to_numpy("int64", na_value=np.iinfo("int64").max))


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
        columns[column] = now[column].array
        columns[f"{column}_before"] = before[column].array
        columns[f"{column}_change"] = now[column].array - before[column].array
    return pd.DataFrame(columns, index=now.index)
