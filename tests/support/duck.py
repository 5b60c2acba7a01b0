"""Run the filters' own statements in DuckDB: each takes milliseconds, so hundreds of random examples are possible.

Functions that Spark SQL names differently are macros here. A few examples per filter show that Spark gives the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import duckdb
import pandas as pd
import pyarrow as pa

from frontierlab import spark
from frontierlab.filters import changes
from frontierlab.filters.question import Statement
from frontierlab.schema import IOV_COLUMNS
from frontierlab.spark.statements import as_frame
from frontierlab.spark.summaries import note_summary

MACROS = """
SET TimeZone = 'UTC';
CREATE MACRO unix_millis(time) AS epoch_ms(time);
CREATE MACRO timestamp_millis(ms) AS epoch_ms(ms)::TIMESTAMPTZ;
CREATE MACRO how_many(condition) AS count(*) FILTER (WHERE condition);
CREATE MACRO pmod(a, b) AS ((a % b) + b) % b;
CREATE MACRO percentile(x, shares, times) AS
    list_aggregate(flatten(list([x::DOUBLE FOR _ IN range(times)])), 'quantile_cont', shares);
"""


class Session:
    """Replaces a Spark session with DuckDB."""

    def sql(self, text: str, args: Mapping[str, Any] | None = None, **logs: Logs) -> pa.Table:
        """Return the result of a statement, with Spark's types."""
        answer = _connection.sql(translated(text, logs), params=dict(args or {})).to_arrow_table()
        return answer.cast(
            pa.schema([pa.field(f.name, pa.int64()) if pa.types.is_decimal(f.type) else f for f in answer.schema])
        )


class Logs:
    """Replaces a Spark DataFrame with an Arrow table; with a name, with a table of DuckDB, which is faster."""

    def __init__(self, rows: pa.Table, name: str = "") -> None:
        self.rows = rows.rename_columns([IOV_COLUMNS.get(column, column) for column in rows.column_names])
        self.name = name
        self.sparkSession = Session()
        if name:
            _connection.register("rows", self.rows)
            _connection.execute(f"CREATE OR REPLACE TABLE {name} AS FROM rows")

    def where(self, _: str) -> Logs:
        """Return the same rows, which have no summary."""
        return Logs(self.rows)


def run(logs: Logs, sql: str, args: Mapping[str, Any] | None = None, *, description: str | None = None) -> pd.DataFrame:
    """Run a statement as `frontierlab.spark.run` does."""
    return as_frame(logs.sparkSession.sql(sql, args, logs=logs))


def fetch(statement: Statement, **logs: Logs) -> list[tuple[Any, ...]]:
    """Return the rows of a statement as Python's values, without pandas."""
    return _connection.execute(translated(statement.text, logs), dict(statement.args)).fetchall()


def translated(sql: str, logs: Mapping[str, Logs]) -> str:
    """Return a Spark SQL statement as DuckDB's."""
    text = re.sub(r"(?<![:\w]):(\w+)", r"$\1", sql)
    text = text.replace("count_if(", "how_many(")  # DuckDB's own count_if is null if all conditions are
    text = re.sub(r"array\(([\d.D, ]+)\)", lambda found: f"[{found[1].replace('D', '')}]", text)
    for role, one in logs.items():
        if not one.name:
            _connection.register(role, one.rows)
        text = text.replace(f"{{{role}}}", f'"{one.name or role}"')
    return text


def with_summary(rows: pa.Table, summary: pa.Table) -> Logs:
    """Return logs with a summary."""
    logs = Logs(rows)
    note_summary(logs, lambda name: Logs(summary.filter(pa.compute.field("summary") == name)))  # type: ignore[arg-type]
    return logs


@contextmanager
def in_duckdb() -> Iterator[None]:
    """Make filters use DuckDB."""
    with (
        mock.patch.object(spark, "run", run),
        mock.patch.object(spark, "to_pandas", lambda answer, **_: as_frame(answer)),
        mock.patch.object(changes, "in_spark", lambda session, work, what: work()),
    ):
        yield


_connection = duckdb.connect()
_connection.execute(MACROS)
