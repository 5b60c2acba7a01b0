"""Running statements in Spark: said what they are, ended when no longer wanted, brought to pandas.

Spark works in a thread of its own while the caller waits, so that the caller can end it: by
`Cancellable.cancel` from another thread, or by Ctrl-C. Either way no job of it is left in Spark.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Mapping
from concurrent.futures import Future, wait
from contextvars import ContextVar, Token
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
import pyarrow as pa

from frontierlab.errors import Cancelled, SparkError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Cancellable", "cancellable", "check_cancelled", "run", "said_by_spark", "to_pandas"]

_LOOK = 0.05  # seconds between two looks whether the work is still wanted


class Cancellable:
    """Work with Spark that another thread can end; see `cancellable`."""

    def __init__(self) -> None:
        self._wish = threading.Event()
        self._entered: list[Token[tuple[Cancellable, ...]]] = []

    def __enter__(self) -> Self:
        self._entered.append(_CURRENT.set((*_CURRENT.get(), self)))
        return self

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._entered.pop())

    def cancel(self) -> None:
        """End the work, from any thread. It returns at once; what is cancelled stays so."""
        self._wish.set()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._wish.is_set()


_CURRENT: ContextVar[tuple[Cancellable, ...]] = ContextVar("frontierlab_cancellable", default=())


def cancellable() -> Cancellable:
    """Return what lets another thread end the filters that this thread runs.

    ::

        running = frontierlab.spark.cancellable()
        threading.Timer(60, running.cancel).start()  # or the click on a button
        with running:
            frame = frontierlab.filters.queries_per_db(logs)

    A filter that runs in the ``with`` block when `Cancellable.cancel` is called, or that begins there
    afterwards, raises `frontierlab.errors.Cancelled`, within about a tenth of a second, when its jobs in
    Spark have ended. So do `frontierlab.sql`, `run` and `to_pandas`. Blocks can be nested: the outer one
    ends the work of the inner one. A block is of its own thread (of its `contextvars.Context`, that is).
    """
    return Cancellable()


def check_cancelled() -> None:
    """Raise where this thread's work is no longer wanted; for long work between two statements.

    Raises
    ------
    Cancelled
        A `cancellable` block around it was cancelled.
    """
    if any(one.cancelled for one in _CURRENT.get()):
        raise Cancelled("The work was cancelled, and Spark has ended it. Nothing was changed; ask again to have it.")


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
    Cancelled
        A `cancellable` block around it was cancelled.
    SparkError
        Spark failed at it.
    """
    check_cancelled()
    answer = logs.sparkSession.sql(sql, args=dict(args or {}), logs=logs)
    return to_pandas(answer, description=description or sql)


def to_pandas(answer: DataFrame, *, description: str | None = None) -> pd.DataFrame:
    """Run a Spark DataFrame and return it with types that keep every value.

    Integers are ``Int64``, flags ``boolean``, texts ``string`` and fractions ``Float64``, all of
    which can be null; times are UTC in whole milliseconds, whatever the zone of the session.
    (Spark's own ``toPandas`` gives times without a zone, and makes fractions of integers that can be null.)

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
        Spark failed at it: a division by zero, a file that is gone, too little memory.
    """
    table = _collect(answer, description)
    instant = pa.timestamp("ms", tz="UTC")
    schema = pa.schema(
        [
            field.with_type(instant) if pa.types.is_timestamp(field.type) and field.type.tz else field
            for field in table.schema
        ]
    )
    frame: pd.DataFrame = table.cast(schema, safe=False).to_pandas(types_mapper=_pandas_type)
    return frame


def _collect(answer: DataFrame, description: str | None) -> pa.Table:
    """Let Spark work in another thread, and end its jobs where the wait for them ends early."""
    from py4j.protocol import Py4JError  # type: ignore[import-untyped]
    from pyspark import InheritableThread
    from pyspark.errors import PySparkException

    check_cancelled()
    context, tag = answer.sparkSession.sparkContext, f"frontierlab-{secrets.token_hex(8)}"
    work: Future[pa.Table] = Future()

    def collect() -> None:
        try:
            context.addJobTag(tag)  # of this thread, as is the description
            if description is not None:
                context.setLocalProperty("spark.job.description", description)
            work.set_result(answer.toArrow())
        except BaseException as error:
            work.set_exception(error)

    # it has the caller's job group, scheduler pool and tags
    InheritableThread(collect, session=answer.sparkSession, name=tag, daemon=True).start()
    try:
        while not wait([work], timeout=_LOOK).done:
            check_cancelled()
    except BaseException:  # Ctrl-C too
        while not wait([work], timeout=_LOOK).done:
            context.cancelJobsWithTag(tag)  # again and again: between two jobs of a statement there is none to end
        raise
    check_cancelled()
    try:
        return work.result()
    except (PySparkException, Py4JError) as error:
        what = shorten(description or "a statement", 80, placeholder=" …")
        raise SparkError(f"Spark failed at {what}: {said_by_spark(error)}") from error


def said_by_spark(error: Exception) -> str:
    """Return what an error of Spark says, without its codes, the plan and Java's stack."""
    lines = [line.strip(": \t") for line in str(error).splitlines()]
    told = [line for line in lines if line and not re.match(r"An error occurred|at |.*thrown in awaitResult", line)]
    line = told[0].removeprefix("Caused by: ") if told else type(error).__name__
    place = re.search(r"line \d+,? pos \d+", line)
    line = re.sub(r"^(\w+\.)+\w+: ", "", line)  # the class of Java's
    line = re.sub(r"\s*SQLSTATE: \w+.*$", "", re.sub(r"^\[[\w.]+\] ", "", line)).rstrip(".")
    return f"{line} ({place[0]})." if place else f"{line}."


def _pandas_type(type_: pa.DataType) -> Any:
    if pa.types.is_integer(type_):
        return pd.Int64Dtype()
    if pa.types.is_floating(type_):
        return pd.Float64Dtype()
    if pa.types.is_boolean(type_):
        return pd.BooleanDtype()
    return pd.StringDtype() if pa.types.is_string(type_) or pa.types.is_large_string(type_) else None
