"""Running statements in Spark and bringing their answers to pandas, so that every value is kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from frontierlab.errors import SparkError
from frontierlab.spark.calls import in_spark

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["as_frame", "run", "to_pandas"]

_CONFIRM_SECONDS = 60  # for Java to say that what was read is the whole answer
_REASON_SECONDS = 5  # for Java to say why an answer could not be read


class _NotServedError(SparkError):
    """The answer did not come through the socket that Spark opened for it."""


def run(
    logs: DataFrame, sql: str, args: Mapping[str, Any] | None = None, *, description: str | None = None
) -> pd.DataFrame:
    """Run one Spark SQL statement over logs and return its answer.

    Parameters
    ----------
    logs
        What ``{logs}`` in the statement stands for.
    sql
        The statement: ``SELECT count(*) AS queries FROM {logs} WHERE db = :db``.
    args
        The values of its named parameters (``:db``). A time must have a zone.
    description
        What Spark's own pages and monitors call the jobs; by default the statement.

    Returns
    -------
    pandas.DataFrame
        As `to_pandas` makes it.

    Raises
    ------
    Cancelled, SparkError
        As `to_pandas` does.
    """
    session = logs.sparkSession
    description = description or sql
    return as_frame(_collect(session, lambda: session.sql(sql, args=dict(args or {}), logs=logs), description))


def to_pandas(answer: DataFrame, *, description: str | None = None) -> pd.DataFrame:
    """Run a Spark DataFrame and return it with types that keep every value.

    Integers are ``Int64``, flags ``boolean``, texts ``string`` and fractions ``Float64``, all of
    which can be null; times are UTC in whole milliseconds, whatever the zone of the session.
    (Spark's own ``toPandas`` gives times without a zone, and makes fractions of integers that can be null.)

    How long Spark works is not limited. Ctrl-C returns as `cancellable` says: within 5 s, whatever Spark does.

    Parameters
    ----------
    answer
        The Spark DataFrame.
    description
        What Spark's own pages and monitors call the jobs; by default what this thread has set.

    Raises
    ------
    Cancelled
        A `cancellable` block around it was cancelled.
    SparkError
        Spark failed at it: a division by zero, a file that is gone, too little memory. Its Java process has ended
        (raised within seconds) or has been silent for 120 s. Or its answer did not come through, twice: another
        program was served in Python's place at the port that Spark opened (raised within 45 s). Sessions that
        `frontierlab.spark.session` starts on this machine use a Unix socket, which no other program knows of.
    """
    return as_frame(_collect(answer.sparkSession, lambda: answer, description))


def _collect(session: SparkSession, ask: Callable[[], DataFrame], description: str | None) -> pa.Table:
    def work() -> pa.Table:
        answer = ask()
        try:
            return _arrow(answer)
        except _NotServedError:  # a statement changes nothing: it can be asked again
            return _arrow(answer)

    return in_spark(session, work, description or "a statement", description=description)


def _arrow(answer: DataFrame) -> pa.Table:
    """Return an answer as an Arrow table: as ``answer.toArrow()``, which can wait for ever."""
    from pyspark.sql.classic.dataframe import DataFrame

    return DataFrame(_JavaFrame(answer._jdf), answer.sparkSession).toArrow()


class _JavaFrame:
    """Java's side of a Spark DataFrame, whose answer is not waited for without end."""

    def __init__(self, java: Any) -> None:
        self._java = java

    def __getattr__(self, name: str) -> Any:
        return getattr(self._java, name)

    def collectAsArrowToPython(self) -> tuple[Any, Any, _Server]:
        """Let Java open a socket, and return how to connect to it, and its server."""
        address, secret, server = self._java.collectAsArrowToPython()
        return address, secret, _Server(server)


class _Server:
    """The thread of Java that serves one answer.

    It serves the first that connects. Where that is another program, or memory runs out, the thread dies without
    a word, and who asks Java for its result waits for ever.
    """

    def __init__(self, java: Any) -> None:
        self._java = java

    def getResult(self) -> None:
        """Raise what Java failed at; pyspark calls it when it has read the answer, or could not."""
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


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Return an Arrow table as `to_pandas` returns an answer."""
    instant = pa.timestamp("ms", tz="UTC")
    schema = pa.schema(
        [
            field.with_type(instant) if pa.types.is_timestamp(field.type) and field.type.tz else field
            for field in table.schema
        ]
    )
    frame: pd.DataFrame = table.cast(schema, safe=False).to_pandas(types_mapper=_pandas_type)
    return frame


def _pandas_type(type_: pa.DataType) -> Any:
    if pa.types.is_integer(type_):
        return pd.Int64Dtype()
    if pa.types.is_floating(type_):
        return pd.Float64Dtype()
    if pa.types.is_boolean(type_):
        return pd.BooleanDtype()
    return pd.StringDtype() if pa.types.is_string(type_) or pa.types.is_large_string(type_) else None
