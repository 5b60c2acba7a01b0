"""A user's own Spark SQL statements over logs, as ``frontierlab.sql``."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pandas as pd

from frontierlab.errors import InvalidRequestError, SparkError
from frontierlab.schema import IOV_COLUMNS
from frontierlab.spark.calls import in_spark, said_by_spark
from frontierlab.spark.cancelling import check_cancelled
from frontierlab.spark.logs import open_logs
from frontierlab.spark.parameters import as_parameters, check_names
from frontierlab.spark.statements import to_pandas
from frontierlab.spark.types import with_iov_names
from frontierlab.storage.store import Dataset

if TYPE_CHECKING:
    from pyspark.errors import AnalysisException
    from pyspark.sql import DataFrame

__all__ = ["sql"]

VIEW = "logs"

_LOCK = threading.Lock()  # held while the view exists


def sql(logs: DataFrame | Dataset | str, statement: str, /, **parameters: Any) -> pd.DataFrame:
    """Run a user's own Spark SQL statement over logs.

    ::

        fl.sql(
            logs,
            "SELECT schema, count(*) AS queries FROM logs WHERE db = :db AND time >= :start GROUP BY schema",
            db="CONDBR2",
            start=datetime(2026, 10, 1, 12),
        )

    The time of a query is in the column ``time``. The IOV that it asks for is in ``iov_since`` and ``iov_until``
    (integers). There are no columns ``since`` and ``until``: in a `frontierlab.Selection`, these limit ``time``.

    Parameters
    ----------
    logs
        Logs that `frontierlab.open_logs` opened, a dataset, or the name of a dataset. The columns ``since`` and
        ``until`` of any other data frame are called ``iov_since`` and ``iov_until`` in the statement.
    statement
        One Spark SQL statement. In it, ``logs`` is a view of the logs with the columns that
        `frontierlab.open_logs` describes. The session's other views and tables can be used too. A user's own
        view called ``logs`` is hidden during the call and restored afterwards. Date and time functions use the
        time zone of the session, UTC by default.
    **parameters
        The values of the named parameters: ``:db`` is ``db=…``. Values never enter the SQL text, so quotes
        and semicolons are safe. A datetime, pandas or NumPy time without a zone is UTC; a date is a SQL
        date. A list, a NumPy array or a data frame column is a SQL array: write
        ``WHERE array_contains(:tasks, taskid)``, because ``IN`` takes no array.

    Returns
    -------
    pandas.DataFrame
        With the types of `frontierlab.spark.to_pandas`: integers are ``Int64``, times UTC in milliseconds.

    Raises
    ------
    InvalidRequestError
        The statement is invalid, names an unknown table or column, or has a parameter without a value; or a
        value is not used in the statement or has no Spark type. Nothing was run.
    SparkError
        Spark failed: a division by zero, a text that is not a number.
    DatasetError
        The dataset does not exist or is incomplete.
    Cancelled
        A `frontierlab.spark.cancellable` block around the call was cancelled.
    """
    if not isinstance(statement, str):
        raise InvalidRequestError(f"The statement is {statement!r}: give a text in Spark SQL.")
    check_names(statement, parameters)
    values = as_parameters(parameters)
    check_cancelled()
    frame = open_logs(logs) if isinstance(logs, str | Dataset) else logs
    answer = in_spark(frame.sparkSession, lambda: _analysed(frame, statement, values), "reading the statement")
    return to_pandas(answer, description=f"sql: {statement}")


def _analysed(logs: DataFrame, statement: str, values: Mapping[str, Any]) -> DataFrame:
    """Analyse the statement without running it; analysis errors become `InvalidRequestError`."""
    from pyspark.errors import AnalysisException, PySparkException

    try:
        logs = with_iov_names(logs)
        with _view(logs):
            return logs.sparkSession.sql(statement, args=dict(values))
    except AnalysisException as error:
        if error.getCondition() == "UNBOUND_SQL_PARAMETER":
            name = (error.getMessageParameters() or {}).get("name", "")
            given = ", ".join(sorted(values)) or "none"
            raise InvalidRequestError(
                f"The statement has :{name}, for which no value is given; give {name}=…. Given: {given}."
            ) from error
        columns = ", ".join(logs.columns)
        raise InvalidRequestError(
            f"Spark does not understand the statement: {said_by_spark(error)}{_iov_hint(error)} "
            f"The columns of {VIEW}: {columns}."
        ) from error
    except PySparkException as error:  # Spark evaluates constant statements during analysis
        raise SparkError(f"Spark failed at the statement: {said_by_spark(error)}") from error


def _iov_hint(error: AnalysisException) -> str:
    """Return a sentence on the names of the IOV columns if Spark does not find ``since`` or ``until``."""
    name = (error.getMessageParameters() or {}).get("objectName", "").split(".")[-1].strip("`").lower()
    if name not in IOV_COLUMNS:
        return ""
    return f" The column {IOV_COLUMNS[name]} has the IOV; the time of a query is in the column time."


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
