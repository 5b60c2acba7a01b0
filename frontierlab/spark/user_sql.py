"""Ad hoc questions: a user's own Spark SQL over logs, as ``frontierlab.sql``."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pandas as pd

from frontierlab.errors import InvalidRequestError, SparkError
from frontierlab.spark.calls import in_spark, said_by_spark
from frontierlab.spark.cancelling import check_cancelled
from frontierlab.spark.logs import open_logs
from frontierlab.spark.parameters import as_parameters, check_names
from frontierlab.spark.statements import to_pandas
from frontierlab.storage.store import Dataset

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["sql"]

VIEW = "logs"

_LOCK = threading.Lock()  # held while the view is there


def sql(logs: DataFrame | Dataset | str, statement: str, /, **parameters: Any) -> pd.DataFrame:
    """Ask a question of one's own in Spark SQL.

    ::

        fl.sql(
            logs,
            "SELECT schema, count(*) AS queries FROM logs WHERE db = :db AND time >= :since GROUP BY schema",
            db="CONDBR2",
            since=datetime(2026, 10, 1, 12),
        )

    Parameters
    ----------
    logs
        What `frontierlab.open_logs` opened, or what it takes: a dataset, or the name of one.
    statement
        One statement of Spark SQL, in which ``logs`` is a view of the logs with the columns of
        `frontierlab.schema`. Other views and tables of the session are there too; a view of the user's own
        that is called ``logs`` is hidden meanwhile, and left as it was. Functions of date and time work in
        the zone of the session, UTC here.
    **parameters
        The values of its named parameters: ``:db`` is ``db=…``. They are values, whatever quotes or
        semicolons are in them, and never part of the text. A datetime, a pandas or a NumPy time without a
        zone is UTC; a date is a SQL date. A list, a NumPy array or a column of a frame is a SQL array: ask
        ``WHERE array_contains(:tasks, taskid)``, as ``IN`` takes no array.

    Returns
    -------
    pandas.DataFrame
        As `frontierlab.spark.to_pandas` makes it: integers are ``Int64``, times UTC in milliseconds.

    Raises
    ------
    InvalidRequestError
        The statement is none, names what is not there, or has a parameter without a value; or there is a
        value that is not in the statement, or that Spark has no type for. Nothing was asked.
    SparkError
        Spark failed at it: a division by zero, a text that is no number.
    DatasetError
        There is no such dataset, or it is incomplete.
    Cancelled
        A `frontierlab.spark.cancellable` block around it was cancelled.
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
    """Let Spark read the statement: it says here what is wrong with it, and begins no work."""
    from pyspark.errors import AnalysisException, PySparkException

    try:
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
            f"Spark does not understand the statement: {said_by_spark(error)} The columns of {VIEW}: {columns}."
        ) from error
    except PySparkException as error:  # a statement without rows to read fails as it is read
        raise SparkError(f"Spark failed at the statement: {said_by_spark(error)}") from error


@contextmanager
def _view(logs: DataFrame) -> Iterator[None]:
    """Show logs as a view, and put back what the user calls so."""
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
