"""Run frontierlab's own statements on the engine of their logs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import pandas as pd

from frontierlab.engines import duck
from frontierlab.engines.builtin import as_duckdb
from frontierlab.engines.instance import Limits
from frontierlab.engines.logs import DuckLogs, Logs, SparkLogs, unchanged
from frontierlab.engines.tables import Table
from frontierlab.spark.calls import in_spark
from frontierlab.spark.statements import run_on
from frontierlab.spark.types import with_iov_names

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["ANSWERED", "Answered", "answered", "answered_in_words", "answering", "ask", "unchanged", "write"]

ANSWERED = "answered"
"""The key of `Answered` in the ``attrs`` of a frame."""

_SPARK_ROW_GROUP = 16 << 20  # bytes that are read to find a few rows

Answered = TypedDict("Answered", {"engine": str, "from": str, "seconds": float})
Answered.__doc__ = """What answered.

``engine`` is ``duckdb`` or ``spark``. ``from`` is what was read: ``summary`` or ``queries``. ``seconds`` is how long it
took. If two statements differ, a text names both: ``summary and queries``.
"""


def ask(
    tables: Mapping[str, Logs], statement: str, args: Mapping[str, Any] | None = None, *, description: str
) -> pd.DataFrame:
    """Run one statement over logs and return its result.

    Parameters
    ----------
    tables
        The logs by the names that the statement has for them: ``logs`` for ``{logs}``. If one of them is Spark's, all
        are asked with Spark, in its session.
    statement
        One of frontierlab's own statements, in the part of Spark SQL that `frontierlab.engines.builtin` reads.
    args
        The values of its named parameters. A time must have a zone.
    description
        The name of the statement in error messages, and in Spark's web page and monitors.

    Returns
    -------
    pandas.DataFrame
        With the types of `frontierlab.util.frames.as_frame`. ``attrs["answered"]`` is `Answered`.

    Raises
    ------
    StatementError
        The statement failed.
    DatasetError
        A dataset was deleted, renamed or replaced since it was opened.
    SparkError
        Spark does not start, or its Java process has ended.
    Cancelled
        A `frontierlab.cancellable` block around the call was cancelled.
    """
    with answering(*tables.values()) as told:
        if (files := _in_files(tables)) is not None:
            ours, limits = files
            frame = duck.run_own(ours, as_duckdb(statement), args, description=description, limits=limits)
        else:
            frame = run_on(_in_spark(tables), statement, args, description=description)
    frame.attrs[ANSWERED] = told
    return frame


def write(
    tables: Mapping[str, Logs], statement: str, folder: Path, args: Mapping[str, Any], *, description: str
) -> Answered:
    """Run one statement and write its result as Parquet files, without holding it in memory; return what answered.

    Parameters
    ----------
    tables, statement, args, description
        As for `ask`.
    folder
        A folder that does not exist yet. With Spark, every executor must be able to write there.

    Raises
    ------
    StatementError, DatasetError, SparkError, Cancelled
        As for `ask`; the folder can then hold some files.
    """
    with answering(*tables.values()) as told:
        if (files := _in_files(tables)) is not None:
            ours, limits = files
            folder.mkdir()
            path = folder / "0.parquet"
            duck.write(ours, as_duckdb(statement), path, args, description=description, limits=limits)
        else:
            frames = _in_spark(tables)
            session = next(iter(frames.values())).sparkSession

            def save() -> None:
                named = {name: with_iov_names(frame) for name, frame in frames.items()}
                rows = session.sql(statement, args=dict(args), **named)
                rows.write.option("parquet.block.size", _SPARK_ROW_GROUP).parquet(str(folder))

            in_spark(session, save, description, description=description)
    return told


@contextmanager
def answering(*logs: Logs) -> Iterator[Answered]:
    """Yield what answers in the body; its seconds are known after it.

    Raises
    ------
    DatasetError
        A dataset was deleted, renamed or replaced since it was opened, or is during the body.
    """
    begun = time.perf_counter()
    engine = "spark" if any(one.engine == "spark" for one in logs) else "duckdb"
    source = "summary" if all(one.shape for one in logs) else "queries"
    told = Answered({"engine": engine, "from": source, "seconds": 0.0})
    with unchanged(*logs):
        yield told
    told["seconds"] = time.perf_counter() - begun


def answered(*each: Answered) -> Answered:
    """Return what answered several statements together; the seconds are added up."""
    return Answered(
        {
            "engine": " and ".join(dict.fromkeys(one["engine"] for one in each)),
            "from": " and ".join(dict.fromkeys(one["from"] for one in each)),
            "seconds": sum(one["seconds"] for one in each),
        }
    )


def answered_in_words(*each: Answered) -> str:
    """Return a sentence on what answered one or several statements."""
    if not each:
        return ""
    engine, source, seconds = answered(*each).values()
    names = str(engine).replace("duckdb", "DuckDB").replace("spark", "Spark")
    return f"{names} answered in {seconds:.2f} s, from {str(source).replace('summary', 'summaries')}."


def _in_files(tables: Mapping[str, Logs]) -> tuple[dict[str, Table], Limits] | None:
    """Return the tables of DuckDB and its limits; None if one of the logs is Spark's."""
    ours = {name: one for name, one in tables.items() if isinstance(one, DuckLogs)}
    if len(ours) < len(tables):
        return None
    *_, last = ours.values()
    return {name: one.selected for name, one in ours.items()}, last.limits


def _in_spark(tables: Mapping[str, Logs]) -> dict[str, DataFrame]:
    session = next(one.frame.sparkSession for one in tables.values() if isinstance(one, SparkLogs))
    return {name: one.to_spark(session) for name, one in tables.items()}
