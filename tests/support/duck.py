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
        """Return the result of a statement."""
        return ask(text, dict(args or {}), **{name: one.rows for name, one in logs.items()})


class Logs:
    """Replaces a Spark DataFrame with a table."""

    def __init__(self, rows: pa.Table) -> None:
        self.rows = rows.rename_columns([IOV_COLUMNS.get(name, name) for name in rows.column_names])
        self.sparkSession = Session()

    def where(self, _: str) -> Logs:
        """Return the same rows, which have no summary."""
        return Logs(self.rows)


def run(logs: Logs, sql: str, args: Mapping[str, Any] | None = None, *, description: str | None = None) -> pd.DataFrame:
    """Run a statement as `frontierlab.spark.run` does."""
    return as_frame(logs.sparkSession.sql(sql, args, logs=logs))


def ask(sql: str, args: dict[str, Any], **tables: pa.Table) -> pa.Table:
    """Return DuckDB's result of a Spark SQL statement, with Spark's types."""
    text = re.sub(r"(?<![:\w]):(\w+)", r"$\1", sql)
    text = text.replace("count_if(", "how_many(")  # DuckDB's own count_if is null if all conditions are
    text = re.sub(r"array\(([\d.D, ]+)\)", lambda found: f"[{found[1].replace('D', '')}]", text)
    for name, rows in tables.items():
        _connection.register(name, rows)
        text = text.replace(f"{{{name}}}", f'"{name}"')
    answer = _connection.sql(text, params=args).to_arrow_table()
    return answer.cast(
        pa.schema([pa.field(f.name, pa.int64()) if pa.types.is_decimal(f.type) else f for f in answer.schema])
    )


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
