"""The figures of folders and tags, computed from their different queries and their payloads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from frontierlab import spark
from frontierlab.caching.answer_sets import Integers, answers, cells, overlapping
from frontierlab.caching.counting import QUERY, SUMS
from frontierlab.coolr import Source
from frontierlab.coolr.protocol import side_by_side
from frontierlab.coolr.responses import in_order
from frontierlab.errors import CoolrError

__all__ = ["ask_coolr", "figures", "payloads_of", "worst_tasks"]

_TASKS = 3  # named in a row
_CELL = ["folder_hash", "cell"]
_ADDED = ("different", "costly", *SUMS)
_NONE = pa.schema([(name, pa.int64()) for name in (*_CELL, "squid", "taskid", "since", "until", *_ADDED)]).empty_table()

Result = TypeVar("Result")


def ask_coolr(work: Callable[[], Result], stop: threading.Event) -> Result:
    """Run a function that calls COOLR in its own thread, so that the caller can be cancelled meanwhile.

    Parameters
    ----------
    work
        The function.
    stop
        Set on cancellation, so that running calls end.

    Raises
    ------
    Cancelled
        A `frontierlab.spark.cancellable` block around the call was cancelled.
    """
    [(_, got)] = side_by_side(lambda _: work(), [None], spark.check_cancelled, stop)
    if isinstance(got, CoolrError):
        raise got
    return got


def payloads_of(
    source: Source, folder: Mapping[str, Any], since: int, until: int, nodetime: str | None = None
) -> pa.Table:
    """Return all payloads that determine the answers of queries of a folder and tag, with one or two calls of COOLR.

    For each channel, COOL's SQL starts at the latest row that begins before the query. If a row begins before
    the range and reaches into it, a later row can have ended before the range. A second call asks for such rows.
    The two responses must agree where they meet.

    Parameters
    ----------
    source
        COOLR.
    folder
        ``db``, ``schema``, ``nodefullpath``, ``tagname``.
    since, until
        The range of the queries' IOVs, both ends included.
    nodetime
        The folder's IOV base, if known.

    Raises
    ------
    CoolrError
        COOLR does not answer, or its responses contradict each other.
    """
    names = (folder["db"], folder["schema"], folder["nodefullpath"], folder["tagname"])
    rows = source.payloads(*names, since, until, nodetime)
    reaching = rows.filter(pc.less(rows["since"], since))
    if not reaching.num_rows or not since:
        return rows
    first = max(0, pc.min(reaching["since"]).as_py())
    older = source.payloads(*names, first, since - 1, nodetime)
    if not older.filter(pc.greater(older["until"], since)).equals(reaching):
        raise CoolrError(
            f"COOLR, payloads of {' '.join(names)}: asked for [{first}, {since - 1}] and for [{since}, {until}], it "
            "gives answers that do not agree."
        )
    return in_order(pa.concat_tables([older, rows]))


def figures(pieces: Iterable[pa.Table], payloads: Mapping[int, pa.Table | None]) -> dict[int, dict[str, Any]]:
    """Return the figures of folders and tags, by their hashes; see `frontierlab.caching.efficiency`.

    Parameters
    ----------
    pieces
        Their different queries from `frontierlab.caching.counting.Counted`, sorted by ``folder_hash``. One
        piece is in memory at once; all rows of a query are in the same piece.
    payloads
        The payload rows by hash; None if unknown: figures that need payloads are then left out.
    """
    by_cell, by_squid, by_task = [], [], []
    for piece in pieces:
        piece = piece.append_column("cell", pa.array(_cells(piece, payloads)))
        by_cell.append(_different(piece, _CELL))
        by_squid.append(_different(piece.filter(piece["squid"].is_valid()), [*_CELL, "squid"]))
        by_task.append(_different(piece, ["folder_hash", "taskid"]))
    queries = _by_folder(_added(by_cell, _CELL), "cell")
    squids = _by_folder(_added(by_squid, [*_CELL, "squid"]), "cell")
    tasks = _by_folder(_added(by_task, ["folder_hash", "taskid"]), "taskid")
    found: dict[int, dict[str, Any]] = {}
    for folder_hash, rows in payloads.items():
        mine = queries.get(folder_hash, _NONE)
        found[folder_hash] = {
            "different_queries": _sum(mine, "different"),
            "worst_tasks": worst_tasks(tasks.get(folder_hash, _NONE)),
        }
        if rows is not None:
            found[folder_hash] |= _of_answers(mine, squids.get(folder_hash, _NONE), rows)
    return found


def worst_tasks(tasks: pa.Table) -> str:
    """Name the tasks with the most different queries."""
    rows = sorted(tasks.to_pylist(), key=lambda row: (-row["different"], -row["dbtime"], row["taskid"] or 0))
    names = ("no task" if row["taskid"] is None else str(row["taskid"]) for row in rows)
    told = (f"{row['different']} different queries, {row['dbtime']} ms" for row in rows)
    return "; ".join(f"{name} ({what})" for name, what in [*zip(names, told, strict=True)][:_TASKS])


def _of_answers(queries: pa.Table, squids: pa.Table, payloads: pa.Table) -> dict[str, Any]:
    """Return the figures that need answers; `queries` are added up by cell, `squids` by cell and Squid."""
    got = answers(queries["since"].to_numpy(), queries["until"].to_numpy(), payloads)
    iovs, contents = (int(codes.max(initial=-1)) + 1 for codes in (got.by_iov, got.by_content))
    empty = queries.filter(pa.array(got.by_iov < 0))
    totals = _of_group(queries, got.by_iov)
    answer = got.by_iov[np.searchsorted(queries["cell"].to_numpy(), squids["cell"].to_numpy())]
    squid = pd.factorize(squids["squid"].to_numpy())[0]
    by_squid = _of_group(squids, np.where(answer < 0, -1, answer * (squid.max(initial=0) + 1) + squid))
    different, bodies = totals["different"].sum(), totals["bodies"].sum()
    return {
        "different_payloads_iov": iovs,
        "different_payloads_content": contents,
        "empty_queries": _sum(empty, "queries"),
        "different_empty_queries": _sum(empty, "different"),
        "wasted_bytes": _wasted(totals, "different", "bytes", "bodies"),
        "wasted_dbtime": _wasted(totals, "costly", "dbtime", "timed"),
        "wasted_bytes_squid": _wasted(by_squid, "different", "bytes", "bodies"),
        "wasted_dbtime_squid": _wasted(by_squid, "costly", "dbtime", "timed"),
        "mean_payload_size": float(totals["bytes"].sum() / bodies) if bodies else None,
        "efficiency_iov": iovs / int(different) if different else None,
        "efficiency_content": contents / int(different) if different else None,
        "overlapping_rows": overlapping(payloads),
    }


def _of_group(rows: pa.Table, group: Integers) -> dict[str, Integers]:
    """Add up rows by group; rows of group -1 are left out."""
    numbers, names = pd.factorize(group[group >= 0])
    sums = {}
    for name in _ADDED:
        sums[name] = np.zeros(len(names), np.int64)
        np.add.at(sums[name], numbers, rows[name].to_numpy()[group >= 0])
    return sums


def _cells(piece: pa.Table, payloads: Mapping[int, pa.Table | None]) -> Integers:
    since, until = piece["since"].to_numpy(), piece["until"].to_numpy()
    cell = np.zeros(len(since), np.int64)
    for folder_hash, part in _runs(piece["folder_hash"].to_numpy()):
        rows = payloads[folder_hash]
        if rows is not None:
            cell[part] = cells(since[part], until[part], rows)
    return cell


def _by_folder(rows: pa.Table, then: str) -> dict[int, pa.Table]:
    rows = rows.sort_by([("folder_hash", "ascending"), (then, "ascending")]).combine_chunks()
    return {hash_: rows[part.start : part.stop] for hash_, part in _runs(rows["folder_hash"].to_numpy())}


def _runs(values: Integers) -> Iterator[tuple[int, slice]]:
    """Yield each value of a sorted array with the slice of its positions."""
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True)[: len(values)]) + 1
    for start, stop in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=False):
        yield int(values[start]), slice(start, stop)


def _different(rows: pa.Table, by: list[str]) -> pa.Table:
    """Count different queries (``different``) and those that were ever uncached (``costly``), and add up `SUMS`."""
    once = rows.group_by([*by, *QUERY]).aggregate([(name, "sum") for name in SUMS])
    once = once.rename_columns([name.removesuffix("_sum") for name in once.column_names])
    once = once.append_column("different", pa.repeat(1, once.num_rows))
    return _added([once.append_column("costly", pc.cast(pc.greater(once["uncached"], 0), pa.int64()))], by)


def _added(tables: list[pa.Table], by: list[str]) -> pa.Table:
    """Add up rows; ``since`` and ``until`` are the minima, which still lie in the same cell."""
    rows = pa.concat_tables(tables) if tables else _NONE
    added = rows.group_by(by).aggregate([("since", "min"), ("until", "min"), *((name, "sum") for name in _ADDED)])
    return added.rename_columns([name.removesuffix("_sum").removesuffix("_min") for name in added.column_names])


def _wasted(sums: Mapping[str, Integers], count: str, cost: str, measured: str) -> float:
    """Return the sum of (count - 1) times the mean cost over groups with a measured cost."""
    known = sums[measured] > 0
    return float(((sums[count][known] - 1) * (sums[cost][known] / sums[measured][known])).sum())


def _sum(rows: pa.Table, name: str) -> int:
    return int(rows[name].to_numpy().sum())
