"""Count the queries of logs for checks: one statement for each tally, in DuckDB or Spark."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import pandas as pd
import pyarrow as pa

from frontierlab.checks.conditions import SQL_FIELD
from frontierlab.checks.tallies import Row, Tally
from frontierlab.checks.windows import MINUTE
from frontierlab.engines.logs import Logs
from frontierlab.engines.own_statements import ask
from frontierlab.filters.extracted import notes_of_extraction
from frontierlab.selection import Selection
from frontierlab.storage.portions import Portion
from frontierlab.storage.spans import Span, merged, span_of
from frontierlab.util.times import from_milliseconds

__all__ = ["LogsCounter"]

_ENDS = "SELECT unix_millis(min(time)) AS start, unix_millis(max(time)) AS stop FROM {logs}"


class LogsCounter:
    """Counts the queries of logs.

    Parameters
    ----------
    logs
        The logs.

    Attributes
    ----------
    partial
        Sentences on why only some of the queries are there.
    notes
        Sentences about overlaps and gaps of datasets.
    """

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self.partial = notes_of_extraction(logs, Selection())
        if logs.part:
            self.partial.append("Only some of the queries were given.")
        self.notes = [*logs.notes]

    @cached_property
    def covered(self) -> list[Span]:
        """The time of which all queries are there; for a Spark DataFrame, from its first to its last query."""
        if self._logs.period is not None:
            return merged(span for portion in self._logs.period.portions for span in _covered(portion))
        ends = ask({"logs": self._logs}, _ENDS, description="the time of the logs").iloc[0]
        return [] if pd.isna(ends["start"]) else [_in_minutes(Span(int(ends["start"]), int(ends["stop"]) + 1))]

    def has_sql(self) -> str:
        """Return why the text of the SQL cannot be looked at; empty if it can."""
        if SQL_FIELD not in self._logs.columns:
            return f"the datasets have no text of the SQL: extract them with the extra field {SQL_FIELD}"
        if self._logs.period is not None:
            type_ = self._logs.period.schema.field(SQL_FIELD).type
            if not (pa.types.is_string(type_) or pa.types.is_dictionary(type_)):
                return f"the column {SQL_FIELD} is {type_}, not text"
        return ""

    def count(self, tally: Tally) -> list[Row]:
        """Return the numbers of all groups, by one statement."""
        span, width = tally.span, tally.width
        window = Selection(since=from_milliseconds(span.start), until=from_milliseconds(span.stop))
        where, args = window.where(*([] if tally.only is None else [tally.only.sql]))
        columns = ["count(*) AS queries"]
        columns += [f"count_if({one.sql}) AS {name}" for name, one in tally.counted.items()]
        for name, column in tally.largest.items():
            columns.append(f"max({'unix_millis(time)' if column == 'time' else column}) AS {name}")
        when = "unix_millis(time)"
        keys = [f"{when} - pmod({when} - :first_ms, :width_ms) AS piece", *tally.keys]
        grouped = ", ".join(str(number) for number in range(1, len(keys) + 1))
        text = f"SELECT {', '.join([*keys, *columns])}\nFROM {{logs}}{where}\nGROUP BY {grouped}"
        args |= {"first_ms": span.start, "width_ms": width}
        for condition in tally.conditions:
            args |= condition.args
        return _rows(ask({"logs": self._logs}, text, args, description=tally.name), tally)


def _rows(frame: pd.DataFrame, tally: Tally) -> list[Row]:
    plain: dict[str, list[Any]] = {
        name: [None if pd.isna(value) else value for value in frame[name]] for name in frame.columns
    }
    numbers = ["queries", *tally.counted, *tally.largest]
    return [
        Row(
            int(plain["piece"][place]),
            tuple(plain[name][place] for name in tally.keys),
            {name: int(value) for name in numbers if (value := plain[name][place]) is not None},
        )
        for place in range(len(frame))
    ]


def _covered(portion: Portion) -> Iterable[Span]:
    """Return the time that a dataset covers, of what counts of it; nothing if it is incomplete.

    A bound that nobody asked for is that of the first or last query. The minute of that query counts as covered.
    """
    dataset, span = portion.dataset, span_of(portion.dataset)
    if span is None or dataset.state != "complete":
        return
    outcome, request = dataset.outcome(), dataset.manifest.request
    wide = _in_minutes(span)
    start = wide.start if request.get("since") is None else span.start
    last = outcome.until is not None and span.stop == outcome.until + 1 and dataset.manifest.limit is None
    whole = Span(start, wide.stop if request.get("until") is None and last else span.stop)
    for one in (whole,) if portion.spans is None else portion.spans:
        if common := whole.common(one):
            yield common


def _in_minutes(span: Span) -> Span:
    """Return a span widened to whole minutes."""
    return Span(span.start - span.start % MINUTE, -(-span.stop // MINUTE) * MINUTE)
