"""Statements over the logs, run by DuckDB on the Parquet files of datasets, with the results that Spark gives.

`as_duckdb` translates one of frontierlab's own Spark SQL statements. `frontierlab.engines.translate` translates a
user's statement; it loads sqlglot, so it is not imported here. `run` runs the translation on tables (`Table`).
"""

from frontierlab.engines.builtin import as_duckdb
from frontierlab.engines.duck import run, write
from frontierlab.engines.instance import Limits
from frontierlab.engines.tables import Table

__all__ = ["Limits", "Table", "as_duckdb", "run", "write"]
