"""A user's own Spark SQL statement over a Spark DataFrame; see `frontierlab.sql`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pandas as pd

from frontierlab.errors import InvalidRequestError, StatementError
from frontierlab.schema import IOV_COLUMNS
from frontierlab.spark.calls import in_spark, said_by_spark
from frontierlab.spark.parameters import no_value
from frontierlab.spark.statements import to_pandas
from frontierlab.spark.types import with_iov_names

if TYPE_CHECKING:
    from pyspark.errors import AnalysisException
    from pyspark.sql import DataFrame

__all__ = ["VIEW", "iov_hint", "run_user_sql"]

VIEW = "logs"
"""The name of the logs in a user's statement."""

_LOCK = threading.Lock()  # held while the view exists


def run_user_sql(logs: DataFrame, statement: str, values: Mapping[str, Any]) -> pd.DataFrame:
    """Run a statement, in which ``logs`` and all views and tables of the session can be used.

    Raises
    ------
    InvalidRequestError
        Spark does not understand the statement. Nothing was run.
    StatementError, SparkError, Cancelled
        As in `frontierlab.spark.to_pandas`.
    """
    answer = in_spark(logs.sparkSession, lambda: _analysed(logs, statement, values), "reading the statement")
    return to_pandas(answer, description=f"sql: {statement}")


def iov_hint(column: str) -> str:
    """Return a sentence on the names of the IOV columns if a column that is not there is ``since`` or ``until``."""
    new = IOV_COLUMNS.get(column.split(".")[-1].strip('`"').lower())
    return "" if new is None else f" The column {new} has the IOV; the time of a query is in the column time."


def _analysed(logs: DataFrame, statement: str, values: Mapping[str, Any]) -> DataFrame:
    """Analyse the statement without running it; analysis errors become `InvalidRequestError`."""
    from pyspark.errors import AnalysisException, PySparkException

    try:
        logs = with_iov_names(logs)
        with _view(logs):
            return logs.sparkSession.sql(statement, args=dict(values))
    except AnalysisException as error:
        if error.getCondition() == "UNBOUND_SQL_PARAMETER":
            raise no_value((error.getMessageParameters() or {}).get("name", ""), values) from error
        columns = ", ".join(logs.columns)
        raise InvalidRequestError(
            f"Spark does not understand the statement: {said_by_spark(error)}{iov_hint(_object_of(error))} "
            f"The columns of {VIEW}: {columns}."
        ) from error
    except PySparkException as error:  # Spark evaluates constant statements during analysis
        raise StatementError(f"Spark failed at the statement: {said_by_spark(error)}") from error


def _object_of(error: AnalysisException) -> str:
    """Return the name that Spark does not find."""
    return (error.getMessageParameters() or {}).get("objectName", "")


@contextmanager
def _view(logs: DataFrame) -> Iterator[None]:
    """Make logs a temporary view, and restore the user's view of the same name afterwards."""
    spark = logs.sparkSession
    with _LOCK:
        there = spark.catalog.tableExists(VIEW) and spark.catalog.getTable(VIEW).isTemporary
        before = spark.table(VIEW) if there else None
        logs.createOrReplaceTempView(VIEW)
        try:
            yield
        finally:
            if before is None:
                spark.catalog.dropTempView(VIEW)
            else:
                before.createOrReplaceTempView(VIEW)
