"""The figures of folders and tags, computed from their different queries and their payloads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.caching.answer_sets import Integers, find_answers, overlapping, regions
from frontierlab.caching.counting import QUERY, SUMS

__all__ = ["figures", "worst_tasks"]

_TASKS = 3  # named in a row
_REGION = ["folder_hash", "region"]
_SUMMED = ("different", "costly", *SUMS)
_COLUMNS = (*_REGION, "squid", "taskid", "since", "until", *_SUMMED)
_NO_ROWS = pa.schema([(name, pa.int64()) for name in _COLUMNS]).empty_table()


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
    by_region, by_squid, by_task = [], [], []
    for piece in pieces:
        piece = piece.append_column("region", pa.array(_find_regions(piece, payloads)))
        by_region.append(_count_different(piece, _REGION))
        by_squid.append(_count_different(piece.filter(piece["squid"].is_valid()), [*_REGION, "squid"]))
        by_task.append(_count_different(piece, ["folder_hash", "taskid"]))
    queries = _split_by_folder(_add_up(by_region, _REGION), "region")
    squids = _split_by_folder(_add_up(by_squid, [*_REGION, "squid"]), "region")
    tasks = _split_by_folder(_add_up(by_task, ["folder_hash", "taskid"]), "taskid")
    found: dict[int, dict[str, Any]] = {}
    for folder_hash, rows in payloads.items():
        mine = queries.get(folder_hash, _NO_ROWS)
        found[folder_hash] = {
            "different_queries": _sum(mine, "different"),
            "worst_tasks": worst_tasks(tasks.get(folder_hash, _NO_ROWS)),
        }
        if rows is not None:
            found[folder_hash] |= _figures_of_answers(mine, squids.get(folder_hash, _NO_ROWS), rows)
    return found


def worst_tasks(tasks: pa.Table) -> str:
    """Name the tasks with the most different queries."""
    rows = sorted(tasks.to_pylist(), key=lambda row: (-row["different"], -row["dbtime"], row["taskid"] or 0))
    names = ("no task" if row["taskid"] is None else str(row["taskid"]) for row in rows)
    costs = (f"{row['different']} different queries, {row['dbtime']} ms" for row in rows)
    return "; ".join(f"{name} ({cost})" for name, cost in [*zip(names, costs, strict=True)][:_TASKS])


def _figures_of_answers(queries: pa.Table, squids: pa.Table, payloads: pa.Table) -> dict[str, Any]:
    """Return the figures that need answers; `queries` are added up by region, `squids` by region and Squid."""
    got = find_answers(queries["since"].to_numpy(), queries["until"].to_numpy(), payloads)
    iovs, contents = (int(codes.max(initial=-1)) + 1 for codes in (got.by_iov, got.by_content))
    empty = queries.filter(pa.array(got.by_iov < 0))
    totals = _sums_of_groups(queries, got.by_iov)
    answer = got.by_iov[np.searchsorted(queries["region"].to_numpy(), squids["region"].to_numpy())]
    squid = pd.factorize(squids["squid"].to_numpy())[0]
    by_squid = _sums_of_groups(squids, np.where(answer < 0, -1, answer * (squid.max(initial=0) + 1) + squid))
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


def _sums_of_groups(rows: pa.Table, group: Integers) -> dict[str, Integers]:
    """Add up rows by group; rows of group -1 are left out."""
    numbers, names = pd.factorize(group[group >= 0])
    sums = {}
    for name in _SUMMED:
        sums[name] = np.zeros(len(names), np.int64)
        np.add.at(sums[name], numbers, rows[name].to_numpy()[group >= 0])
    return sums


def _find_regions(piece: pa.Table, payloads: Mapping[int, pa.Table | None]) -> Integers:
    since, until = piece["since"].to_numpy(), piece["until"].to_numpy()
    region = np.zeros(len(since), np.int64)
    for folder_hash, part in _slices_of_equal(piece["folder_hash"].to_numpy()):
        rows = payloads[folder_hash]
        if rows is not None:
            region[part] = regions(since[part], until[part], rows)
    return region


def _split_by_folder(rows: pa.Table, then: str) -> dict[int, pa.Table]:
    rows = rows.sort_by([("folder_hash", "ascending"), (then, "ascending")]).combine_chunks()
    return {hash_: rows[part.start : part.stop] for hash_, part in _slices_of_equal(rows["folder_hash"].to_numpy())}


def _slices_of_equal(values: Integers) -> Iterator[tuple[int, slice]]:
    """Yield each value of a sorted array with the slice of its positions."""
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True)[: len(values)]) + 1
    for start, stop in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=False):
        yield int(values[start]), slice(start, stop)


def _count_different(rows: pa.Table, by: list[str]) -> pa.Table:
    """Count different queries (``different``) and those that were ever uncached (``costly``), and add up `SUMS`."""
    once = rows.group_by([*by, *QUERY]).aggregate([(name, "sum") for name in SUMS])
    once = once.rename_columns([name.removesuffix("_sum") for name in once.column_names])
    once = once.append_column("different", pa.repeat(1, once.num_rows))
    return _add_up([once.append_column("costly", pc.cast(pc.greater(once["uncached"], 0), pa.int64()))], by)


def _add_up(tables: list[pa.Table], by: list[str]) -> pa.Table:
    """Add up rows; ``since`` and ``until`` are the minima, which lie in the same region."""
    rows = pa.concat_tables(tables) if tables else _NO_ROWS
    summed = rows.group_by(by).aggregate([("since", "min"), ("until", "min"), *((name, "sum") for name in _SUMMED)])
    return summed.rename_columns([name.removesuffix("_sum").removesuffix("_min") for name in summed.column_names])


def _wasted(sums: Mapping[str, Integers], count: str, cost: str, measured: str) -> float:
    """Return the sum of (count - 1) times the mean cost over groups with a measured cost."""
    known = sums[measured] > 0
    # fsum: the engine returns groups in any order, which must not change the last digits
    return math.fsum((sums[count][known] - 1) * (sums[cost][known] / sums[measured][known]))


def _sum(rows: pa.Table, name: str) -> int:
    return int(rows[name].to_numpy().sum())
