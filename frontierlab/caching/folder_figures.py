"""The figures of folders and tags, computed from their different queries and their payloads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.caching.answer_sets import Answers, Bounds, Integers, find_answers, overlapping, regions
from frontierlab.caching.athena import is_off_grid
from frontierlab.caching.counting import MOST, QUERY, SUMS, Asker

__all__ = ["figures", "figures_of_folder", "worst_tasks"]

_NAMED = 3  # tasks, and Squids, in a row
_REGION = ["folder_hash", "region"]
_ASKER = ["folder_hash", "asker"]
_SUMMED = ("different", "costly", "off_grid", *SUMS)
_REPEATED = ("repeated_queries", "repeated_dbtime", "repeated_bytes")
_COLUMNS = (*_REGION, "asker", "taskid", "since", "until", *_SUMMED, *_REPEATED)
_NO_ROWS = pa.schema([(name, pa.int64()) for name in _COLUMNS]).empty_table()


def figures(
    pieces: Iterable[pa.Table], payloads: Mapping[int, pa.Table | None], askers: Mapping[int, Asker] | None = None
) -> dict[int, dict[str, Any]]:
    """Return the figures of folders and tags, by their hashes; see `frontierlab.caching.efficiency`.

    Beside these, ``empty_dbtime`` and ``empty_bytes`` are the database time (ms) and the bytes of uncached queries with
    an empty answer.

    Parameters
    ----------
    pieces
        Their different queries from `frontierlab.caching.counting.Counted`, sorted by ``folder_hash``. One
        piece is in memory at once; all rows of a query are in the same piece.
    payloads
        The payload rows by hash; None if unknown: figures that need payloads are then left out.
    askers
        The Squids and sites, from `frontierlab.caching.counting.name_askers`; needed if the pieces have any.
    """
    askers = askers or {}
    squids_only = pa.array([hash_ for hash_, asker in askers.items() if not asker.is_site], pa.int64())
    bounds = {folder_hash: Bounds(rows) for folder_hash, rows in payloads.items() if rows is not None}
    by_region, by_squid, by_task, by_asker = [], [], [], []
    for piece in pieces:
        piece = piece.append_column("region", pa.array(_find_regions(piece, bounds)))
        once = _once_an_asker(piece)
        by_asker.append(_count_repeats(once))
        by_region.append(_count_different(_add_up_equal(once, _REGION), _REGION))
        by_squid.append(_count_different(once.filter(pc.is_in(once["asker"], squids_only)), [*_REGION, "asker"]))
        of_task = ["folder_hash", "taskid"]
        by_task.append(_count_different(_add_up_equal(piece, of_task), of_task))
    queries = _split_by_folder(_add_up(by_region, _REGION), "region")
    squids = _split_by_folder(_add_up(by_squid, [*_REGION, "asker"]), "region")
    tasks = _split_by_folder(_add_up(by_task, ["folder_hash", "taskid"]), "taskid")
    repeats = _split_by_folder(_sum_repeats(pa.concat_tables(by_asker) if by_asker else _NO_ROWS), "asker")
    found: dict[int, dict[str, Any]] = {}
    for folder_hash, rows in payloads.items():
        mine = queries.get(folder_hash, _NO_ROWS)
        found[folder_hash] = {
            "different_queries": _sum(mine, "different"),
            "off_grid_queries": _sum(mine, "off_grid"),
            "dbtime": _sum(mine, "dbtime"),
            "worst_tasks": worst_tasks(tasks.get(folder_hash, _NO_ROWS)),
            **_figures_of_repeats(repeats.get(folder_hash, _NO_ROWS), askers),
        }
        if rows is not None:
            answers = find_answers(mine["since"].to_numpy(), mine["until"].to_numpy(), bounds[folder_hash])
            found[folder_hash] |= _figures_of_answers(mine, squids.get(folder_hash, _NO_ROWS), answers)
            found[folder_hash]["overlapping_rows"] = overlapping(rows)
    return found


def figures_of_folder(queries: pd.DataFrame, payloads: pa.Table, askers: pd.DataFrame, failed: int) -> dict[str, Any]:
    """Return the figures of one folder and tag, with which `frontierlab.caching.causes.cause_of` finds its cause.

    Parameters
    ----------
    queries, askers
        The frames of `frontierlab.caching.queries.different_queries` and `askers_of`.
    payloads
        Its payload rows.
    failed
        The number of its queries that failed.
    """
    names = {"bodies": "sized", **{name: name for name in (*QUERY, "queries", "uncached", "bytes", "dbtime", "timed")}}
    columns = {name: pa.array(queries[old].fillna(0) if name in SUMS else queries[old]) for name, old in names.items()}
    zeros, nulls = pa.array(np.zeros(len(queries), np.int64)), pa.nulls(len(queries), pa.int64())
    more = {"folder_hash": zeros, **dict.fromkeys(MOST, zeros), **dict.fromkeys(("asker", "taskid"), nulls)}
    row = figures([pa.table({**columns, **more})], {0: payloads})[0]
    known = askers["repeated_queries"].notna()
    some = known.any() or askers.empty
    repeats = {name: int(askers.loc[known, name].sum()) if some else None for name in _REPEATED}
    counts = {"queries": int(queries["queries"].sum()), "uncached": int(queries["uncached"].sum()), "failed": failed}
    return {**row, **counts, **repeats, "bytes_served": int(columns["bytes"].to_numpy().sum()), "problem": ""}


def worst_tasks(tasks: pa.Table) -> str:
    """Name the tasks with the most different queries."""
    rows = sorted(tasks.to_pylist(), key=lambda row: (-row["different"], -row["dbtime"], row["taskid"] or 0))[:_NAMED]
    names = ("no task" if row["taskid"] is None else str(row["taskid"]) for row in rows)
    costs = (f"{row['different']} different queries, {row['dbtime']} ms" for row in rows)
    return "; ".join(f"{name} ({cost})" for name, cost in zip(names, costs, strict=True))


def _figures_of_repeats(repeats: pa.Table, askers: Mapping[int, Asker]) -> dict[str, Any]:
    """Return the figures of repeats by Squid or site; they are not known if no uncached query names one."""
    uncached = [row for row in repeats.to_pylist() if row["uncached"]]
    rows = [row for row in uncached if row["asker"] is not None]
    if uncached and not rows:
        return {**dict.fromkeys(_REPEATED), "repeated_by": ""}
    found = []
    for row in rows:
        if row["repeated_queries"]:
            text = f"{askers[row['asker']]} ({row['repeated_queries']} repeats, {row['repeated_dbtime']} ms)"
            found.append((-row["repeated_dbtime"], -row["repeated_queries"], text))
    texts = [text for *_, text in sorted(found)[:_NAMED]]
    sums = {name: sum(row[name] for row in rows) for name in _REPEATED}
    return {**sums, "repeated_by": "; ".join(texts)}


def _figures_of_answers(queries: pa.Table, squids: pa.Table, got: Answers) -> dict[str, Any]:
    """Return the figures that need answers; `queries` are added up by region, `squids` by region and Squid."""
    iovs, contents = (int(codes.max(initial=-1)) + 1 for codes in (got.by_iov, got.by_content))
    empty = queries.filter(pa.array(got.by_iov < 0))
    totals, by_content = _sums_of_groups(queries, got.by_iov), _sums_of_groups(queries, got.by_content)
    answer = got.by_iov[np.searchsorted(queries["region"].to_numpy(), squids["region"].to_numpy())]
    squid = pd.factorize(squids["asker"].to_numpy())[0]
    by_squid = _sums_of_groups(squids, np.where(answer < 0, -1, answer * (squid.max(initial=0) + 1) + squid))
    different, bodies = totals["different"].sum(), totals["bodies"].sum()
    return {
        "different_payloads_iov": iovs,
        "different_payloads_content": contents,
        "empty_queries": _sum(empty, "queries"),
        "different_empty_queries": _sum(empty, "different"),
        "empty_bytes": _sum(empty, "bytes"),
        "empty_dbtime": _sum(empty, "dbtime"),
        "wasted_bytes": _wasted(totals, "different", "bytes", "bodies"),
        "wasted_dbtime": _wasted(totals, "costly", "dbtime", "timed"),
        "wasted_bytes_content": _wasted(by_content, "different", "bytes", "bodies"),
        "wasted_dbtime_content": _wasted(by_content, "costly", "dbtime", "timed"),
        "wasted_bytes_squid": _wasted(by_squid, "different", "bytes", "bodies"),
        "wasted_dbtime_squid": _wasted(by_squid, "costly", "dbtime", "timed"),
        "mean_payload_size": float(totals["bytes"].sum() / bodies) if bodies else None,
        "efficiency_iov": iovs / int(different) if different else None,
        "efficiency_content": contents / int(different) if different else None,
    }


def _sums_of_groups(rows: pa.Table, group: Integers) -> dict[str, Integers]:
    """Add up rows by group; rows of group -1 are left out."""
    given = group >= 0
    numbers, names = pd.factorize(group[given])
    sums = {}
    for name in _SUMMED:
        sums[name] = np.zeros(len(names), np.int64)
        np.add.at(sums[name], numbers, rows[name].to_numpy()[given])
    return sums


def _find_regions(piece: pa.Table, bounds: Mapping[int, Bounds]) -> Integers:
    since, until = piece["since"].to_numpy(), piece["until"].to_numpy()
    region = np.zeros(len(since), np.int64)
    for folder_hash, part in _slices_of_equal(piece["folder_hash"].to_numpy()):
        if folder_hash in bounds:
            region[part] = regions(since[part], until[part], bounds[folder_hash])
    return region


def _split_by_folder(rows: pa.Table, then: str) -> dict[int, pa.Table]:
    rows = rows.sort_by([("folder_hash", "ascending"), (then, "ascending")]).combine_chunks()
    return {hash_: rows[part.start : part.stop] for hash_, part in _slices_of_equal(rows["folder_hash"].to_numpy())}


def _slices_of_equal(values: Integers) -> Iterator[tuple[int, slice]]:
    """Yield each value of a sorted array with the slice of its positions."""
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True)[: len(values)]) + 1
    for start, stop in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=False):
        yield int(values[start]), slice(start, stop)


def _once_an_asker(piece: pa.Table) -> pa.Table:
    """Return a row for each query of a Squid or site, with `SUMS` and `MOST` over its tasks."""
    each = [*((name, "sum") for name in SUMS), *((name, "max") for name in (*MOST, "region"))]
    once = piece.group_by([*_ASKER, *QUERY]).aggregate(each)  # the region follows from the query
    return once.rename_columns([name.removesuffix("_sum").removesuffix("_max") for name in once.column_names])


def _add_up_equal(rows: pa.Table, by: list[str]) -> pa.Table:
    """Return a row for each query of a group, with `SUMS`."""
    once = rows.group_by([*by, *QUERY]).aggregate([(name, "sum") for name in SUMS])
    return once.rename_columns([name.removesuffix("_sum") for name in once.column_names])


def _count_repeats(once: pa.Table) -> pa.Table:
    """Return the repeats of each Squid or site: what came uncached beyond the dearest of each query."""
    repeats = pc.max_element_wise(pc.subtract(once["uncached"], 1), 0)
    costs = [pc.subtract(once[name], once[f"most_{name}"]) for name in ("dbtime", "bytes")]
    for name, values in zip(_REPEATED, (repeats, *costs), strict=True):
        once = once.append_column(name, values)
    return _sum_repeats(once)


def _sum_repeats(rows: pa.Table) -> pa.Table:
    summed = rows.group_by(_ASKER).aggregate([(name, "sum") for name in ("uncached", *_REPEATED)])
    return summed.rename_columns([name.removesuffix("_sum") for name in summed.column_names])


def _count_different(once: pa.Table, by: list[str]) -> pa.Table:
    """Count different queries (``different``), those ever uncached (``costly``) and ``off_grid``; add up `SUMS`."""
    once = once.append_column("different", pa.repeat(1, once.num_rows))
    off_grid = is_off_grid(once["since"].to_numpy(), once["until"].to_numpy())
    once = once.append_column("off_grid", pa.array(off_grid.astype(np.int64)))
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
