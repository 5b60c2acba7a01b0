"""A user's own Spark SQL statements over logs, as ``frontierlab.sql``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from frontierlab.engines import duck
from frontierlab.engines.engine_choice import Source, as_logs
from frontierlab.engines.logs import DuckLogs
from frontierlab.engines.own_statements import ANSWERED, answering
from frontierlab.errors import InvalidRequestError
from frontierlab.spark.parameters import as_parameters, check_names, check_values
from frontierlab.spark.user_sql import VIEW, iov_hint, run_user_sql
from frontierlab.util.cancelling import check_cancelled

__all__ = ["sql"]

_IF_VALID = ' If it is valid in Spark SQL, open the logs with engine="spark".'
_MISSING = re.compile(r'column (?:named )?"?(\w+(?:\.\w+)*)"?', re.IGNORECASE)


def sql(logs: Source, statement: str, /, **parameters: Any) -> pd.DataFrame:
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
        Logs that `frontierlab.open_logs` opened; a dataset, the name of one, or a list of these; or a Spark DataFrame,
        whose columns ``since`` and ``until`` are called ``iov_since`` and ``iov_until`` in the statement.
    statement
        One Spark SQL statement. In it, ``logs`` is a view of the logs with the columns of `frontierlab.engines.Logs`.

        DuckDB runs a translation with the same result: a SELECT statement with those functions, operators and clauses
        for which both agree. Anything else is an error that names it. Logs opened with ``engine="spark"`` have all of
        Spark SQL, and the session's other views and tables can be used too; a user's own view called ``logs`` is hidden
        during the call and restored afterwards. Date and time functions use UTC (with Spark, the time zone of the
        session, UTC by default).
    **parameters
        The values of the named parameters: ``:db`` is ``db=…``. Values never enter the SQL text, so quotes
        and semicolons are safe. A datetime, pandas or NumPy time without a zone is UTC; a date is a SQL
        date. A list, a NumPy array or a data frame column is a SQL array: write
        ``WHERE array_contains(:tasks, taskid)``, because ``IN`` takes no array.

    Returns
    -------
    pandas.DataFrame
        With the types of `frontierlab.spark.to_pandas`: integers are ``Int64``, times UTC in milliseconds.
        ``attrs["answered"]`` says what answered: engine and seconds.

    Raises
    ------
    InvalidRequestError
        The statement is invalid, names an unknown table or column, or has a parameter without a value; a value is not
        used in the statement or has no SQL type; or DuckDB does not have a part of the statement. Nothing was run.
    StatementError
        The statement failed: a division by zero, a text that is not a number.
    DatasetError
        A dataset does not exist or is incomplete, or was deleted, renamed or replaced since it was opened.
    Cancelled
        A `frontierlab.cancellable` block around the call was cancelled.
    """
    if not isinstance(statement, str):
        raise InvalidRequestError(f"The statement is {statement!r}: give a text in Spark SQL.")
    check_names(statement, parameters)
    values = as_parameters(parameters)
    check_cancelled()
    opened = as_logs(logs)
    with answering(opened) as told:
        if isinstance(opened, DuckLogs):
            frame = _in_duckdb(opened, statement, values)
        else:
            frame = run_user_sql(opened.to_spark(), statement, values)
    frame.attrs[ANSWERED] = told
    return frame


def _in_duckdb(logs: DuckLogs, statement: str, values: Mapping[str, Any]) -> pd.DataFrame:
    from frontierlab.engines.translate import translate  # imports sqlglot

    translated = translate(statement, (VIEW,))
    check_values(statement, values)
    plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}
    try:
        return duck.run({VIEW: logs.selected}, translated, plain, description=f"sql: {statement}", limits=logs.limits)
    except InvalidRequestError as error:
        missing = _MISSING.search(str(error))
        hint = iov_hint(missing[1]) if missing else _IF_VALID
        raise InvalidRequestError(str(error).replace(" Columns of", f"{hint} Columns of")) from error
