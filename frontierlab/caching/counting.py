"""Counting the queries of each folder and tag with Spark, and bringing the different ones here piece by piece.

A query **counts** when ``since >= 0`` and ``until >= since``. It **failed** when ``disconn``, ``rejected`` or
``procerror`` is true, and was **served** otherwise; a flag that is null is not true. A query whose tag the log does
not tell is of the tag ``unknown``. A folder and tag is known by its number, a hash of its four names, and a Squid by
the hash of its name, so that neither is copied into every row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from frontierlab import spark
from frontierlab.schema import MISSING_IOV
from frontierlab.selection import Selection
from frontierlab.spark.calls import in_spark

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = [
    "Background",
    "Counted",
    "NAMES",
    "PIECE",
    "QUERY",
    "SUMS",
    "UNKNOWN_TAG",
    "count_folders",
    "count_queries",
]

Result = TypeVar("Result")

NAMES = ("db", "schema", "nodefullpath", "tagname")
"""What a folder and tag is called."""

UNKNOWN_TAG = "unknown"
"""The ``tagname`` of queries whose tag is not known."""

QUERY = ("sqlhash", "since", "until")
"""Queries of a folder and tag are different where these are."""

SUMS = ("queries", "uncached", "bytes", "bodies", "dbtime", "timed")
"""What is known of equal queries: how many there were; of the uncached: how many, the sum of their ``fsize`` and how
many had one, the sum of their ``dbtime`` and how many had one."""

PIECE = 1_000_000
"""Served queries that are in this process's memory at a time, about."""

_ROW_GROUP = 16 << 20  # bytes; what is read to find a few rows

_ASKED = """\
WITH named AS (
  SELECT db, schema, nodefullpath, coalesce(tagname, :unknown) AS tagname, nodetime, taskid, squid, sqlhash,
         coalesce(since, :missing) AS since, coalesce(until, :missing) AS until, fsize, dbtime,
         coalesce(cached, false) AS cached,
         coalesce(disconn, false) OR coalesce(rejected, false) OR coalesce(procerror, false) AS failed
  FROM {{logs}}{condition}
), asked AS (
  SELECT *, xxhash64(db, schema, nodefullpath, tagname) AS folder, since >= 0 AND until >= since AS counts
  FROM named
)
"""

_FOLDERS = """\
SELECT db, schema, nodefullpath, tagname, nodetime, folder,
       count_if(counts AND NOT failed) AS queries,
       count_if(counts AND NOT failed AND cached) AS cached,
       count_if(counts AND NOT failed AND NOT cached) AS uncached,
       count_if(counts AND failed) AS failed,
       count_if((since < 0) != (until < 0)) AS half_given,
       count_if(until >= 0 AND until < since) AS backwards,
       coalesce(sum(fsize) FILTER (WHERE counts AND NOT failed AND NOT cached), 0) AS bytes_served,
       min(since) FILTER (WHERE counts AND NOT failed) AS first,
       max(until) FILTER (WHERE counts AND NOT failed) AS last
FROM asked
GROUP BY db, schema, nodefullpath, tagname, nodetime, folder"""

_QUERIES = """\
SELECT folder, pmod(xxhash64(sqlhash, since, until), :slices) AS slice, sqlhash, since, until,
       IF(squid IS NULL, NULL, xxhash64(squid)) AS squid, taskid,
       count(*) AS queries,
       count_if(NOT cached) AS uncached,
       coalesce(sum(fsize) FILTER (WHERE NOT cached), 0) AS bytes,
       count(fsize) FILTER (WHERE NOT cached) AS bodies,
       coalesce(sum(dbtime) FILTER (WHERE NOT cached), 0) AS dbtime,
       count(dbtime) FILTER (WHERE NOT cached) AS timed
FROM asked
WHERE counts AND NOT failed AND schema IS NOT NULL AND nodefullpath IS NOT NULL
GROUP BY folder, sqlhash, since, until, squid, taskid"""


class Counted:
    """The different queries of a dataset, in a folder of Parquet files; `count_queries` makes them.

    A row is a folder and tag (``folder``), a query (`QUERY`), the Squid (``squid``) and the task (``taskid``)
    that sent it, with `SUMS`.

    Parameters
    ----------
    path
        The folder.
    slices
        Into how many pieces the queries of a folder and tag can be divided.
    """

    def __init__(self, path: Path, slices: int) -> None:
        self._slices = slices
        files = sorted(path.glob("*.parquet"))
        self._rows = pyarrow.dataset.dataset(files) if files else None

    def read(self, folders: Sequence[int]) -> pa.Table:
        """Return the queries of some folders and tags, given in the order of their numbers; sorted by them."""
        number = pc.field("folder")
        condition = (number >= folders[0]) & (number <= folders[-1]) & number.isin(folders)
        return self._table(condition).sort_by("folder")

    def pieces(self, folder: int) -> Iterator[pa.Table]:
        """Yield the queries of one folder and tag in pieces; all rows of a query are in the same one."""
        for number in range(self._slices):
            yield self._table((pc.field("folder") == folder) & (pc.field("slice") == number))

    def _table(self, condition: pc.Expression) -> pa.Table:
        columns = ["folder", *QUERY, "squid", "taskid", *SUMS]
        if self._rows is None:
            return pa.schema([(name, pa.int64()) for name in columns]).empty_table()
        return self._rows.to_table(columns=columns, filter=condition)


class Background:
    """Work of Spark in threads of its own: it can be waited for with progress, and ends where the caller ends early.

    The caller then waits for its end as long as anyone who cancels work of Spark: 5 s at most.
    """

    def __init__(self) -> None:
        self._begun: list[spark.Cancellable] = []
        self._pool = ThreadPoolExecutor(2, "counting")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            for one in self._begun:
                one.cancel()
        self._pool.shutdown(cancel_futures=True)

    def begin(self, work: Callable[[], Result]) -> Future[Result]:
        """Let Spark begin."""
        one = spark.cancellable()
        self._begun.append(one)

        def cancellably() -> Result:
            with one:
                return work()

        return self._pool.submit(copy_context().run, cancellably)  # what cancels the caller cancels it too

    @staticmethod
    def end(begun: Future[Result], report: Callable[[], object]) -> Result:
        """Wait for the result; `report` is called a few times a second meanwhile, and ends it by raising."""
        while not wait([begun], timeout=0.25).done:
            spark.check_cancelled()
            report()
        return begun.result()


def count_folders(logs: DataFrame, paths: Sequence[str] = (), selection: Selection | None = None) -> pd.DataFrame:
    """Count the queries of each folder and tag.

    Parameters
    ----------
    logs
        What `frontierlab.open_logs` opened.
    paths
        Full paths of folders; all by default.
    selection
        Only queries of it are counted; all by default.

    Returns
    -------
    pandas.DataFrame
        A row is a folder and tag that the logs name; those whose schema or path is not given are there too,
        with nulls.

        db, schema, nodefullpath, tagname, nodetime : string
        folder : Int64, the number of the folder and tag
        queries, cached, uncached : Int64, served queries that count
        failed : Int64, queries that count and failed
        half_given, backwards : Int64, queries with one of since and until alone, and with until < since
        bytes_served : Int64, sum of the sizes of the uncached
        first, last : Int64, the IOVs that the served queries span; null without any
    """
    condition, args = _condition(paths, selection)
    frame = spark.run(logs, _ASKED.format(condition=condition) + _FOLDERS, args, description="caching: folders")
    how = dict.fromkeys(frame.columns[6:-2], "sum") | {"nodetime": "first", "first": "min", "last": "max"}
    merged: pd.DataFrame = frame.groupby([*NAMES, "folder"], dropna=False, sort=True).agg(how).reset_index()
    return merged[frame.columns]


def count_queries(
    logs: DataFrame, target: Path, slices: int, paths: Sequence[str] = (), selection: Selection | None = None
) -> Counted:
    """Count the served queries of each folder, tag, IOV, SQL text, Squid and task.

    What Spark finds goes to files, not through this process's memory.

    Parameters
    ----------
    logs
        What `frontierlab.open_logs` opened.
    target
        A folder that is not there yet, where every executor of Spark can write.
    slices
        Into how many pieces the queries of a folder and tag can be divided; 1 where all fit into memory.
    paths
        Full paths of folders; all by default.
    selection
        Only queries of it are counted; all by default.

    Raises
    ------
    Cancelled, SparkError
        As `frontierlab.spark.to_pandas` does; `target` can then hold some of the files.
    """
    condition, args = _condition(paths, selection)
    in_order = "\nSORT BY folder, slice" if slices > 1 else ""  # so that a part of them is found at one place
    statement = _ASKED.format(condition=condition) + _QUERIES + in_order
    session = logs.sparkSession

    def write() -> None:
        answer = session.sql(statement, args={**args, "slices": slices}, logs=logs)
        answer.write.option("parquet.block.size", _ROW_GROUP).parquet(str(target))

    in_spark(session, write, "caching: queries", description="caching: queries")
    return Counted(target, slices)


def _condition(paths: Sequence[str], selection: Selection | None) -> tuple[str, Mapping[str, Any]]:
    names = {f"path_{number}": path for number, path in enumerate(paths)}
    of_paths = [f"nodefullpath IN ({', '.join(f':{name}' for name in names)})"] if names else []
    condition, args = (selection or Selection()).where(*of_paths)
    return condition, {"unknown": UNKNOWN_TAG, "missing": MISSING_IOV, **names, **args}
