"""Run statements in Spark and convert their results to pandas without losing values."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from frontierlab.errors import SparkError
from frontierlab.spark.calls import in_spark
from frontierlab.spark.types import with_iov_names
from frontierlab.util.frames import as_frame

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["run", "run_on", "to_pandas"]

_CONFIRM_SECONDS = 60  # for Java to confirm that the whole result was read
_REASON_SECONDS = 5  # for Java to report why a result could not be read


class _NotServedError(SparkError):
    """The result did not arrive through the socket that Spark opened for it."""


def run(
    logs: DataFrame, sql: str, args: Mapping[str, Any] | None = None, *, description: str | None = None
) -> pd.DataFrame:
    """Run one Spark SQL statement over logs and return its result.

    Parameters
    ----------
    logs
        The Spark DataFrame that replaces ``{logs}`` in the statement. Its columns ``since`` and ``until`` are
        ``iov_since`` and ``iov_until`` there.
    sql
        The statement: ``SELECT count(*) AS queries FROM {logs} WHERE db = :db``.
    args
        The values of the statement's named parameters (``:db``). A time must have a zone.
    description
        The name of the jobs in Spark's web page and monitors; by default the statement.

    Returns
    -------
    pandas.DataFrame
        With the types of `to_pandas`.

    Raises
    ------
    Cancelled, SparkError
        As `to_pandas` does.
    """
    return run_on({"logs": logs}, sql, args, description=description)


def run_on(
    tables: Mapping[str, DataFrame], sql: str, args: Mapping[str, Any] | None = None, *, description: str | None = None
) -> pd.DataFrame:
    """Run one Spark SQL statement over several tables of one session, as `run` does over ``{logs}``."""
    session = next(iter(tables.values())).sparkSession

    def ask() -> DataFrame:
        named = {name: with_iov_names(table) for name, table in tables.items()}
        return session.sql(sql, args=dict(args or {}), **named)

    return as_frame(_collect(session, ask, description or sql))


def to_pandas(answer: DataFrame, *, description: str | None = None) -> pd.DataFrame:
    """Run a Spark DataFrame and return its rows in pandas types that keep every value.

    Integers are ``Int64``, flags ``boolean``, texts ``string`` and fractions ``Float64``; all can be null.
    Times are UTC in whole milliseconds, whatever the time zone of the session.
    (Spark's ``toPandas`` returns times without a zone, and integers with nulls as floats.)

    The statement has no time limit. Ctrl-C returns within 5 s, as described in `cancellable`.

    Parameters
    ----------
    answer
        The Spark DataFrame.
    description
        The name of the jobs in Spark's web page and monitors; by default the one set in this thread.

    Raises
    ------
    Cancelled
        A `cancellable` block around the call was cancelled.
    StatementError
        The statement failed (division by zero, missing file, too little memory).
    SparkError
        Spark's Java process has ended (raised within seconds) or been silent for 120 s; or the result did not arrive,
        twice, because another program connected first to the port that Spark opened (raised within 45 s). Sessions
        that `frontierlab.spark.session` starts with a local master use a Unix socket, where this cannot happen.
    """
    return as_frame(_collect(answer.sparkSession, lambda: answer, description))


def _collect(session: SparkSession, ask: Callable[[], DataFrame], description: str | None) -> pa.Table:
    def work() -> pa.Table:
        answer = ask()
        try:
            return _arrow(answer)
        except _NotServedError:  # a statement changes nothing, so it can run again
            return _arrow(answer)

    return in_spark(session, work, description or "a statement", description=description)


def _arrow(answer: DataFrame) -> pa.Table:
    """Return a result as an Arrow table, like ``answer.toArrow()`` but with a bounded wait."""
    from pyspark.sql.classic.dataframe import DataFrame

    return DataFrame(_JavaFrame(answer._jdf), answer.sparkSession).toArrow()


class _JavaFrame:
    """The Java object of a Spark DataFrame, with a bounded wait for its result."""

    def __init__(self, java: Any) -> None:
        self._java = java

    def __getattr__(self, name: str) -> Any:
        return getattr(self._java, name)

    def collectAsArrowToPython(self) -> tuple[Any, Any, _Server]:
        """Make Java open a socket; return the socket's address and secret, and the server."""
        address, secret, server = self._java.collectAsArrowToPython()
        return address, secret, _Server(server)


class _Server:
    """The Java thread that serves one result.

    The thread serves the first program that connects. If that is another program, or memory runs out, the thread
    dies silently, and a call that asks Java for its result would wait forever.
    """

    def __init__(self, java: Any) -> None:
        self._java = java

    def getResult(self) -> None:
        """Raise the error that Java reports; pyspark calls this after reading the result or failing to read it."""
        from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
        from pyspark import SparkContext

        unread = sys.exception()
        seconds = _CONFIRM_SECONDS if unread is None else _REASON_SECONDS
        duration = getattr(SparkContext._jvm, "scala.concurrent.duration.Duration").create(seconds, "s")
        try:
            self._java.getResult(duration)
        except Py4JJavaError as error:
            if "TimeoutException" not in error.java_exception.getClass().getName():
                raise
            raise _NotServedError(
                "Spark's answer did not come through: another program was served at the port that Spark opened for "
                "it, or Java ran out of memory (what it wrote to the standard error output may say more). Ask again; "
                "or let frontierlab.spark.session() start the session, which uses a Unix socket in place of a port."
            ) from unread
