"""Results of statements that further statements read: files that DuckDB writes, or what Spark's executors keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from frontierlab.engines import duck
from frontierlab.engines.builtin import as_duckdb
from frontierlab.engines.logs import DuckLogs, Logs, SparkLogs
from frontierlab.engines.own_statements import Answered, answering
from frontierlab.engines.tables import Rows, Table
from frontierlab.spark.calls import in_spark
from frontierlab.spark.types import with_iov_names
from frontierlab.util.files import scratch_path

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["kept"]

_PREFIX = "frontierlab-kept-"


@contextmanager
def kept(
    logs: Logs, statement: str, args: Mapping[str, Any], *, description: str, part: str = ""
) -> Iterator[tuple[list[Logs], Answered]]:
    """Yield the result of one statement as logs that further statements can be put to, and what answered.

    DuckDB writes it to Parquet files in its folder for intermediate results, which are removed at the end; what a
    killed process has left there is removed by the next call. Spark keeps it on the disks of its executors,
    and removes it some time after it is no longer used.

    Parameters
    ----------
    logs
        The logs that the statement reads as ``{logs}``.
    statement, args, description
        As for `frontierlab.engines.own_statements.ask`.
    part
        A column by whose values DuckDB parts the result: there are logs for each value, without this column. By
        default, and with Spark, all rows are in the same logs.

    Raises
    ------
    StatementError, DatasetError, SparkError, Cancelled
        As for `frontierlab.engines.own_statements.ask`; nothing is left on the disk.
    """
    if isinstance(logs, DuckLogs):
        with scratch_path(logs.limits.folder, _PREFIX) as folder:
            folder.mkdir()
            with answering(logs) as told:
                duck.write(
                    {"logs": logs.selected},
                    as_duckdb(statement),
                    folder / ("parts" if part else "all.parquet"),
                    args,
                    description=description,
                    limits=logs.limits,
                    part=part,
                )
            parts = sorted((folder / "parts").iterdir()) if part else [folder]
            yield [_opened(logs, sorted(one.glob("*.parquet"))) for one in parts], told
        return
    frame = logs.to_spark()
    session = frame.sparkSession

    def keep() -> DataFrame:
        from pyspark import StorageLevel

        # not persist(): Spark does not find what it has kept of a statement with a WITH clause
        result = session.sql(statement, args=dict(args), logs=with_iov_names(frame))
        return result.localCheckpoint(storageLevel=StorageLevel.DISK_ONLY)

    with answering(logs) as told:
        held = in_spark(session, keep, description, description=description)
    yield [SparkLogs(held, logs.period, logs.settings)], told


def _opened(logs: DuckLogs, files: list[Path]) -> DuckLogs:
    rows = Rows(tuple(files), pq.read_schema(files[0]))
    return replace(logs, table=Table((rows,), {}), conditions=())
