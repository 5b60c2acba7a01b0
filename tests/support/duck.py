"""Run statements on tables of DuckDB, without files and pandas: each takes a millisecond."""

from __future__ import annotations

import functools
from typing import Any

import duckdb
import pyarrow as pa

from frontierlab.engines import Limits, as_duckdb
from frontierlab.engines.instance import connection
from frontierlab.filters.question import Statement
from frontierlab.schema import IOV_COLUMNS


@functools.cache
def _connection() -> duckdb.DuckDBPyConnection:
    return connection(Limits())


def create(name: str, rows: pa.Table) -> None:
    """Make a table of log rows."""
    rows = rows.rename_columns([IOV_COLUMNS.get(column, column) for column in rows.column_names])
    _connection().register("rows", rows)
    _connection().execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM rows")


def fetch(statement: Statement, **tables: str) -> list[tuple[Any, ...]]:
    """Return the rows of a statement as Python values; `tables` maps names in the statement to names of tables."""
    text = as_duckdb(statement.text)
    for name, table in tables.items():
        text = text.replace(f'"{name}"', f'"{table}"')
    return _connection().execute(text, dict(statement.args)).fetchall()
