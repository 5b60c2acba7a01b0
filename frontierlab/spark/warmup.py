"""A first statement for a new session, so that Java loads and compiles its classes before the first filter."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from frontierlab.schema import arrow_schema
from frontierlab.spark.statements import run
from frontierlab.spark.types import spark_schema

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["warm_up"]

_STATEMENT = """\
SELECT timestamp_millis(unix_millis(time) - pmod(unix_millis(time), :bin_ms)) AS time, schema,
       count_if(cached) AS cached, sum(fsize) AS bytes
FROM {logs}
WHERE db = :db AND time >= :since
GROUP BY 1, 2"""


def warm_up(session: SparkSession) -> None:
    """Run a typical filter statement on a Parquet file of one row: scan, group, Arrow, pandas."""
    moment = datetime(2000, 1, 1, tzinfo=UTC)
    row = {"time": moment, "db": "db", "schema": "schema", "cached": True, "fsize": 1}
    schema = arrow_schema()
    with TemporaryDirectory(prefix="frontierlab-") as folder:
        file = Path(folder) / "one.parquet"
        pq.write_table(pa.Table.from_pylist([row], schema=schema), file, compression="zstd")
        logs = session.read.schema(spark_schema(schema)).parquet(str(file))
        run(logs, _STATEMENT, {"db": "db", "since": moment, "bin_ms": 1}, description="frontierlab: warming up")
