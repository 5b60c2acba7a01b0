"""Logs, and the engines that answer questions to them: DuckDB on the Parquet files of datasets, or Spark.

`open_logs` opens `Logs`, and `ask` puts one of frontierlab's own Spark SQL statements to them. DuckDB gets a
translation: `as_duckdb` translates frontierlab's own statements, `frontierlab.engines.translate` those of users; it
loads sqlglot, so it is not imported here. `run` runs a translation on tables (`Table`).
"""

from frontierlab.engines.builtin import as_duckdb
from frontierlab.engines.engine_choice import as_logs, open_logs
from frontierlab.engines.instance import Limits
from frontierlab.engines.logs import Logs
from frontierlab.engines.own_statements import answered, ask, write
from frontierlab.engines.tables import Table

__all__ = ["Limits", "Logs", "Table", "answered", "as_duckdb", "as_logs", "ask", "open_logs", "write"]
