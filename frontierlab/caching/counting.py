"""Count the queries of each folder and tag, and read the different queries in pieces.

A query **counts** if ``since >= 0`` and ``until >= since``. It **failed** if ``disconn``, ``rejected`` or
``procerror`` is true; otherwise it was **served**. A null flag is not true. If the log names no tag, the tag is
``unknown``. A folder and tag is identified by a hash of its four names, and a Squid or site by a hash of its name, so
that rows do not repeat these names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from frontierlab.engines.logs import DuckLogs, Logs
from frontierlab.engines.own_statements import ANSWERED, Answered, answered, ask, write
from frontierlab.schema import MISSING_IOV, UNKNOWN_TAG
from frontierlab.selection import Selection, as_selection
from frontierlab.util.cancelling import Cancellable, cancellable, check_cancelled

__all__ = [
    "Asker",
    "Background",
    "Counted",
    "KEYS",
    "MOST",
    "PIECE",
    "QUERY",
    "SUMS",
    "count_folders",
    "count_queries",
    "name_askers",
]

Result = TypeVar("Result")

KEYS = ("db", "schema", "nodefullpath", "tagname")
"""The columns that name a folder and tag."""

QUERY = ("sqlhash", "since", "until")
"""The columns that tell different queries of a folder and tag apart."""

SUMS = ("queries", "uncached", "bytes", "bodies", "dbtime", "timed")
"""Sums over equal queries: their number; the number of uncached ones; of these, the sum of ``fsize`` and the number
with an ``fsize``, the sum of ``dbtime`` and the number with a ``dbtime``."""

MOST = ("most_bytes", "most_dbtime")
"""Maxima over equal queries: the largest ``fsize`` and the largest ``dbtime`` of the uncached ones; 0 if unknown."""

PIECE = 1_000_000
"""About how many served queries are in this process's memory at once."""

_SLICE_MB = 256  # of DuckDB's memory, in which it counts a slice of PIECE queries that all differ
_SPARE = 1.3  # slices have about the same number of rows, because hashes divide them

# a site and a Squid of the same name have different hashes
_ASKER = """\
IF(squid IS NULL AND computingsite IS NULL, NULL, xxhash64(coalesce(squid, computingsite), squid IS NULL))"""

_ASKED = """\
WITH named AS (
  SELECT db, schema, nodefullpath, coalesce(tagname, :unknown) AS tagname, nodetime, taskid, sqlhash,
         squid IS NULL AND computingsite IS NULL AS nobody,
         {asker} AS asker,
         coalesce(iov_since, :missing) AS since, coalesce(iov_until, :missing) AS until, fsize, dbtime,
         coalesce(cached, false) AS cached,
         coalesce(disconn, false) OR coalesce(rejected, false) OR coalesce(procerror, false) AS failed
  FROM {{logs}}{condition}
), asked AS (
  SELECT *, xxhash64(db, schema, nodefullpath, tagname) AS folder_hash, since >= 0 AND until >= since AS counts
  FROM named
)
"""

_FOLDERS = """\
SELECT db, schema, nodefullpath, tagname, nodetime, xxhash64(db, schema, nodefullpath, tagname) AS folder_hash,
       count_if(counts AND NOT failed) AS queries,
       count_if(counts AND NOT failed AND cached) AS cached,
       count_if(counts AND NOT failed AND NOT cached) AS uncached,
       count_if(counts AND failed) AS failed,
       count_if((since < 0) != (until < 0)) AS half_given,
       count_if(until >= 0 AND until < since) AS backwards,
       coalesce(sum(fsize) FILTER (WHERE counts AND NOT failed AND NOT cached), 0) AS bytes_served,
       count_if(counts AND NOT failed AND NOT cached AND nobody) AS no_asker,
       min(since) FILTER (WHERE counts AND NOT failed) AS first,
       max(until) FILTER (WHERE counts AND NOT failed) AS last
FROM asked
GROUP BY db, schema, nodefullpath, tagname, nodetime"""

_QUERIES = """\
SELECT folder_hash, pmod(xxhash64(sqlhash, since, until), :slices) AS slice, sqlhash, since, until,
       asker, taskid,
       count(*) AS queries,
       count_if(NOT cached) AS uncached,
       coalesce(sum(fsize) FILTER (WHERE NOT cached), 0) AS bytes,
       count(fsize) FILTER (WHERE NOT cached) AS bodies,
       coalesce(sum(dbtime) FILTER (WHERE NOT cached), 0) AS dbtime,
       count(dbtime) FILTER (WHERE NOT cached) AS timed,
       coalesce(max(fsize) FILTER (WHERE NOT cached), 0) AS most_bytes,
       coalesce(max(dbtime) FILTER (WHERE NOT cached), 0) AS most_dbtime
FROM asked
WHERE counts AND NOT failed AND schema IS NOT NULL AND nodefullpath IS NOT NULL{some}
GROUP BY folder_hash, sqlhash, since, until, asker, taskid"""

_ASKERS = """\
SELECT DISTINCT coalesce(squid, computingsite) AS name, squid IS NULL AS is_site, {asker} AS asker
FROM (SELECT squid, computingsite FROM {{logs}}{condition} GROUP BY squid, computingsite)"""

# DuckDB's memory does not hold all different queries of a month, and its hash tables cannot all go to the disk
_SOME = """
  AND pmod(xxhash64(sqlhash, since, until), :slices) >= :first_slice
  AND pmod(xxhash64(sqlhash, since, until), :slices) < :next_slices"""


class Asker(NamedTuple):
    """Who sends queries: a Squid, or a site where the Squid is not known."""

    name: str
    is_site: bool

    def __str__(self) -> str:
        return f"site {self.name}" if self.is_site else self.name


class Counted:
    """The different queries of a dataset, in a folder of Parquet files written by `count_queries`.

    A row is a folder and tag (``folder_hash``), a query (`QUERY`), and the Squid (``asker``; the site if the Squid is
    not known) and task (``taskid``) that sent the query, with `SUMS` and `MOST`.

    Parameters
    ----------
    path
        The folder of files.
    slices
        The number of pieces into which the queries of a folder and tag are divided.
    answered
        What counted the queries.
    """

    def __init__(self, path: Path, slices: int, answered: Answered) -> None:
        self.answered = answered
        self._slices = slices
        files = sorted(path.glob("**/*.parquet"))
        self._rows = pyarrow.dataset.dataset(files) if files else None

    def read(self, hashes: Sequence[int]) -> pa.Table:
        """Return the queries of folders and tags, sorted by ``folder_hash``; `hashes` is sorted."""
        column = pc.field("folder_hash")
        condition = (column >= hashes[0]) & (column <= hashes[-1]) & column.isin(hashes)
        return self._table(condition).sort_by("folder_hash")

    def count(self) -> int:
        """Return the number of rows."""
        return 0 if self._rows is None else int(self._rows.count_rows())

    def pieces(self, folder_hash: int) -> Iterator[pa.Table]:
        """Yield the queries of one folder and tag in pieces; all rows of a query are in the same piece."""
        for number in range(self._slices):
            yield self._table((pc.field("folder_hash") == folder_hash) & (pc.field("slice") == number))

    def _table(self, condition: pc.Expression) -> pa.Table:
        columns = ["folder_hash", *QUERY, "asker", "taskid", *SUMS, *MOST]
        if self._rows is None:
            return pa.schema([(name, pa.int64()) for name in columns]).empty_table()
        return self._rows.to_table(columns=columns, filter=condition)


class Background:
    """Statements in background threads; they report progress, and are cancelled if the ``with`` block raises.

    After a cancellation, the block waits for the engine for 5 s at most.
    """

    def __init__(self) -> None:
        self._begun: list[Cancellable] = []
        self._pool = ThreadPoolExecutor(2, "counting")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            for one in self._begun:
                one.cancel()
        self._pool.shutdown(cancel_futures=True)

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        """Start the work in a background thread."""
        one = cancellable()
        self._begun.append(one)

        def cancellably() -> Result:
            with one:
                return work()

        return self._pool.submit(copy_context().run, cancellably)  # cancelling the caller cancels this work too

    @staticmethod
    def wait(begun: Future[Result], report: Callable[[], object]) -> Result:
        """Wait for the result; `report` is called a few times a second, and can stop the wait by raising."""
        while not wait([begun], timeout=0.25).done:
            check_cancelled()
            report()
        return begun.result()


def count_folders(logs: Logs, paths: Sequence[str] = (), selection: Selection | None = None) -> pd.DataFrame:
    """Count the queries of each folder and tag.

    Parameters
    ----------
    logs
        Logs from `frontierlab.open_logs`.
    paths
        Full paths of folders; by default all.
    selection
        The queries to count; by default all.

    Returns
    -------
    pandas.DataFrame
        A row is a folder and tag in the logs; its schema or path can be null.

        db, schema, nodefullpath, tagname, nodetime : string
        folder_hash : Int64, the hash of the folder and tag
        queries, cached, uncached : Int64, served queries that count
        failed : Int64, queries that count and failed
        half_given, backwards : Int64, queries with only one of since and until, and with until < since
        bytes_served : Int64, sum of the sizes of uncached responses
        no_asker : Int64, uncached queries with neither a Squid nor a site
        first, last : Int64, the range of IOVs of the served queries; null without such queries
    """
    condition, args = _condition(paths, selection)
    statement = _ASKED.format(condition=condition, asker=_ASKER) + _FOLDERS
    frame = ask({"logs": logs}, statement, args, description="caching: folders")
    frame = frame.sort_values("nodetime")  # the engine returns groups in any order
    how = dict.fromkeys(frame.columns[6:-2], "sum") | {"nodetime": "first", "first": "min", "last": "max"}
    merged: pd.DataFrame = frame.groupby([*KEYS, "folder_hash"], dropna=False, sort=True).agg(how).reset_index()
    merged = merged[frame.columns]
    merged.attrs[ANSWERED] = frame.attrs[ANSWERED]
    return merged


def count_queries(
    logs: Logs, target: Path, slices: int, paths: Sequence[str] = (), selection: Selection | None = None
) -> Counted:
    """Count the served queries of each folder, tag, IOV, SQL text, Squid (or else site) and task.

    The engine writes its result to files; not all of it is in this process's memory at once.

    Parameters
    ----------
    logs
        Logs from `frontierlab.open_logs`.
    target
        A folder that does not exist yet. With Spark, every executor must be able to write there.
    slices
        The number of pieces into which the queries of a folder and tag are divided; 1 if all fit into memory.
    paths
        Full paths of folders; by default all.
    selection
        The queries to count; by default all.

    Raises
    ------
    Cancelled, StatementError, SparkError
        As in `frontierlab.engines.ask`; `target` can then hold some files.
    """
    condition, args = _condition(paths, selection)
    asked, args = _ASKED.format(condition=condition, asker=_ASKER), {**args, "slices": slices}
    if slices == 1:
        by = write({"logs": logs}, asked + _QUERIES.format(some=""), target, args, description="caching: queries")
        return Counted(target, slices, by)
    most = PIECE * logs.limits.memory_mb // _SLICE_MB if isinstance(logs, DuckLogs) else slices * PIECE
    statement = f"{asked}{_QUERIES.format(some=_SOME)}\nSORT BY folder_hash, slice"  # the rows of a piece are together
    target.mkdir()
    each: list[Answered] = []
    first, rows_of_slice = 0, PIECE  # until the first slices are counted, all their queries could differ
    while first < slices:
        stop = min(slices, first + max(1, most // rows_of_slice))
        by = write(
            {"logs": logs},
            statement,
            target / f"{first:06d}",
            {**args, "first_slice": first, "next_slices": stop},
            description=f"caching: queries, slices {first + 1} to {stop} of {slices}",
        )
        each.append(by)
        first = stop
        rows_of_slice = min(PIECE, max(1, int(_SPARE * Counted(target, slices, by).count() / stop)))
    return Counted(target, slices, answered(*each))


def name_askers(logs: Logs, paths: Sequence[str] = (), selection: Selection | None = None) -> dict[int, Asker]:
    """Return the Squids, and the sites whose Squid is not known, by the hashes of `count_queries`."""
    condition, args = _condition(paths, selection)
    args = {name: value for name, value in args.items() if name not in ("unknown", "missing")}
    statement = _ASKERS.format(condition=condition, asker=_ASKER)
    frame = ask({"logs": logs}, statement, args, description="caching: Squids and sites").dropna(subset=["name"])
    rows = frame[["asker", "name", "is_site"]].itertuples(index=False, name=None)
    return {int(asker): Asker(str(name), bool(is_site)) for asker, name, is_site in rows}


def _condition(paths: Sequence[str], selection: Selection | None) -> tuple[str, Mapping[str, Any]]:
    names = {f"path_{number}": path for number, path in enumerate(paths)}
    of_paths = [f"nodefullpath IN ({', '.join(f':{name}' for name in names)})"] if names else []
    condition, args = as_selection(selection).where(*of_paths)
    return condition, {"unknown": UNKNOWN_TAG, "missing": MISSING_IOV, **names, **args}
