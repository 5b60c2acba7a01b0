"""An independent implementation of all filters: DuckDB on the same rows, and plain Python."""

import math
from collections.abc import Callable
from typing import Any

import duckdb
import pyarrow as pa

from frontierlab.selection import Selection

KIND = """CASE WHEN coalesce(disconn, false) THEN 'disconn' WHEN coalesce(rejected, false) THEN 'rejected'
          WHEN coalesce(procerror, false) THEN 'procerror' ELSE 'first query' END"""
FAILED = "(coalesce(disconn, false) OR coalesce(rejected, false) OR coalesce(procerror, false))"
CACHED = {
    "cached": "sum(CASE WHEN cached THEN 1 ELSE 0 END)",
    "not_cached": "sum(CASE WHEN cached THEN 0 WHEN cached IS NULL THEN 0 ELSE 1 END)",
    "unknown": "sum(CASE WHEN cached IS NULL THEN 1 ELSE 0 END)",
}
QUERIES = {"queries": "count(*)"}
PAYLOAD = {
    "payload": "sum(CASE WHEN coalesce(since, -1) = -1 THEN 0 ELSE 1 END)",
    "non_payload": "sum(CASE WHEN coalesce(since, -1) = -1 THEN 1 ELSE 0 END)",
}
BYTES = {"bytes": "sum(coalesce(fsize, 0))"}
COSTS = {
    "queries": "count(*)",
    "bytes": "sum(CASE WHEN cached = false THEN coalesce(fsize, 0) ELSE 0 END)",
    "dbtime_ms": "sum(CASE WHEN cached = false THEN coalesce(dbtime, 0) ELSE 0 END)",
    "failures": f"sum(CASE WHEN {FAILED} THEN 1 ELSE 0 END)",
}
UNCACHED = "cached = false"
SCHEMA, NODE = ["db", "schema"], ["db", "schema", "nodefullpath"]
Rows = list[dict[str, Any]]

_connection = duckdb.connect()
_connection.execute("SET TimeZone = 'UTC'")


def ask(logs: pa.Table, selection: Selection, select: str, extra: str = "true", by: int = 0) -> list[tuple[Any, ...]]:
    """Return DuckDB's result."""
    conditions, values = [extra], []
    for name in (*NODE, "tagname", "taskid", "frontierserver", "computingsite", "squid"):
        if getattr(selection, name) is not None:
            conditions.append(" OR ".join(f'"{name}" IS NOT DISTINCT FROM ?' for _ in getattr(selection, name)))
            values += getattr(selection, name)
    for kind in [selection.kind] if selection.kind else []:
        conditions += [UNCACHED, " OR ".join(f"{KIND} = ?" for _ in kind)]
        values += kind
    for test, value in (
        ("time >= ?", selection.since),
        ("time < ?", selection.until),
        ("cached = ?", selection.cached),
        ("querytime >= ?", selection.min_querytime),
    ):
        if value is not None:
            conditions.append(test)
            values.append(value)
    where = " AND ".join(f"({condition})" for condition in conditions)
    group = f" GROUP BY {', '.join(map(str, range(1, by + 1)))}" if by else ""
    _connection.register("logs", logs)
    return _connection.execute(f"SELECT {select} FROM logs WHERE {where}{group}", values).fetchall()


def order(keys: tuple[Any, ...], size: int) -> tuple[Any, ...]:
    return keys[-1] is None, -size, *((key is None, "" if key is None else key) for key in keys)


def groups(
    logs: pa.Table,
    selection: Selection,
    keys: dict[str, str],
    measures: dict[str, str],
    *,
    extra: str = "true",
    top: int | None = None,
    rank: str | None = None,
) -> Rows:
    """Return the rows of a filter by groups, in order."""
    select = ", ".join([*(f'{sql} AS "{key}"' for key, sql in keys.items()), *measures.values()])
    counted = {row[: len(keys)]: row[len(keys) :] for row in ask(logs, selection, select, extra, len(keys))}

    def size(values: tuple[Any, ...]) -> int:
        return int(values[list(measures).index(rank)] if rank else sum(values))

    found: Rows = []
    rest: dict[str, list[tuple[Any, ...]]] = {"other": [], "missing": []}
    named = 0
    for group in sorted(counted, key=lambda group: order(group, size(counted[group]))):
        part = "missing" if group[-1] is None else "named" if top is None or named < top else "other"
        named += part == "named"
        if part == "named" or top is None:
            found.append(
                dict(zip(keys, group, strict=True)) | {"part": part, "groups": 1} | numbers(measures, [counted[group]])
            )
        else:
            rest[part].append(group)
    for part, all_ in rest.items():
        if all_:
            same = {
                k: g[0] if len(set(g)) == 1 and part != "other" else None
                for k, g in zip(keys, zip(*all_, strict=True), strict=True)
            }
            found.append(
                same | {"part": part, "groups": len(all_)} | numbers(measures, [counted[group] for group in all_])
            )
    return found


def numbers(measures: dict[str, str], rows: list[tuple[Any, ...]]) -> dict[str, int]:
    return {name: sum(int(row[place]) for row in rows) for place, name in enumerate(measures)}


def percent(rows: Rows, columns: list[str], whole: Callable[[dict[str, Any]], int]) -> Rows:
    for row in rows:
        row |= {f"{c}_percent": 100 * row[c] / whole(row) if whole(row) else None for c in columns}
    return rows


def of_all(rows: Rows, columns: list[str]) -> Rows:
    for column in columns:
        total = sum(row[column] for row in rows)
        percent(rows, [column], lambda row, total=total: total)
    return rows


def bin_range(logs: pa.Table, selection: Selection, width: int, extra: str) -> list[int]:
    """Return the starts of all bins, in milliseconds."""
    ((first, last),) = ask(logs, selection, "epoch_ms(min(time)), epoch_ms(max(time))", extra)
    if first is None:
        return []
    if selection.since is not None:
        first = round(selection.since.timestamp() * 1000)
    if selection.until is not None:
        last = round(selection.until.timestamp() * 1000) - 1
    return list(range(first // width * width, last // width * width + 1, width))


def over_time(logs: pa.Table, selection: Selection, measures: dict[str, str], width: int, extra: str = "true") -> Rows:
    bin_ = f"(epoch_ms(time) // {width}) * {width}"
    counted = {r[0]: r[1:] for r in ask(logs, selection, ", ".join([bin_, *measures.values()]), extra, 1)}
    nothing = tuple(None if "quantile" in sql else 0 for sql in measures.values())
    return [
        {"time": start} | dict(zip(measures, counted.get(start, nothing), strict=True))
        for start in bin_range(logs, selection, width, extra)
    ]


def series(logs: pa.Table, selection: Selection, keys: list[str], threshold: int, width: int, top: int | None) -> Rows:
    extra = f"querytime >= {threshold}"
    heads = groups(logs, selection, {key: f'"{key}"' for key in keys}, QUERIES, extra=extra, top=top)
    bin_ = f"(epoch_ms(time) // {width}) * {width}"
    select = ", ".join([bin_, *(f'"{key}"' for key in keys), "count(*)"])
    counted = {tuple(row[:-1]): row[-1] for row in ask(logs, selection, select, extra, 1 + len(keys))}
    names = [tuple(head[key] for key in keys) for head in heads if head["part"] == "named"]
    rows = []
    for start in bin_range(logs, selection, width, extra):
        for head in heads:
            key = tuple(head[name] for name in keys)
            if head["part"] == "named" or (head["part"] == "missing" and top is None):
                count = counted.get((start, *key), 0)
            else:
                others = [k for k in counted if k[0] == start and k[1:] not in names]
                count = sum(counted[k] for k in others if (k[-1] is None) == (head["part"] == "missing"))
            rows.append({"time": start} | head | {"queries": count})
    return rows


def durations(logs: pa.Table, selection: Selection, value: str, width: int, overflow: int) -> Rows:
    counted: dict[tuple[Any, Any], list[int]] = {}
    for spent, *counts in ask(logs, selection, ", ".join([value, *CACHED.values()]), by=1):
        limits = (
            (None, None)
            if spent is None
            else (None, 0)
            if spent < 0
            else (overflow, None)
            if spent >= overflow
            else (math.floor(spent / width) * width, math.floor(spent / width) * width + width)
        )
        so_far = counted.setdefault(limits, [0, 0, 0])
        counted[limits] = [a + int(b) for a, b in zip(so_far, counts, strict=True)]
    if not counted:
        return []
    all_ = [(start, start + width) for start in range(0, overflow, width)] + [(overflow, None)]
    all_ = [(None, 0)] * ((None, 0) in counted) + all_ + [(None, None)] * ((None, None) in counted)
    return [
        {"from_ms": low, "to_ms": high} | dict(zip(CACHED, counted.get((low, high), [0, 0, 0]), strict=True))
        for low, high in all_
    ]


def plain(keys: list[str]) -> dict[str, str]:
    return {key: f'"{key}"' for key in keys}


def kinds(logs: pa.Table, selection: Selection) -> Rows:
    found = groups(logs, selection, {"kind": KIND}, QUERIES, extra=UNCACHED)
    there = {row["kind"] for row in found}
    names = ["disconn", "rejected", "procerror", "first query"]
    nothing = [
        {"kind": kind, "part": "named", "groups": 1, "queries": 0} for kind in sorted(names) if kind not in there
    ]
    return found + nothing if found else []


def costs(logs: pa.Table, selection: Selection, key: str, top: int | None, by: str) -> Rows:
    rows = of_all(groups(logs, selection, plain([key]), COSTS, top=top, rank=by), list(COSTS))
    if key != "taskid":
        return rows
    names = dict(ask(logs, selection, "taskid, max(taskname)", by=1))
    return [
        {"taskid": r["taskid"], "taskname": names.get(r["taskid"]) if r["part"] == "named" else None}
        | {k: v for k, v in r.items() if k != "taskid"}
        for r in rows
    ]


def shares(logs: pa.Table, selection: Selection, keys: list[str], top: int | None) -> Rows:
    rows = groups(logs, selection, plain(keys), CACHED, top=top)
    return percent(rows, list(CACHED), lambda row: sum(row[c] for c in CACHED))


def byte_shares(logs: pa.Table, selection: Selection, keys: list[str], top: int | None) -> Rows:
    return of_all(groups(logs, selection, plain(keys), BYTES, extra=UNCACHED, top=top), ["bytes"])


def kilobytes(logs: pa.Table, selection: Selection, width: int) -> Rows:
    return [row | {"kB": int(row["bytes"]) / 1000} for row in over_time(logs, selection, BYTES, width, UNCACHED)]


def percentiles(logs: pa.Table, selection: Selection, width: int) -> Rows:
    quantiles = {f"p{n}": f"quantile_cont(querytime::DOUBLE, {n / 100})" for n in (50, 95, 99)}
    return over_time(logs, selection, {"queries": "count(querytime)"} | quantiles, width)


ANSWERS: dict[str, Callable[..., Rows]] = {
    "queries_per_db": lambda p, s, top=None: groups(p, s, plain(["db"]), CACHED, top=top),
    "uncached_by_kind": kinds,
    "queries_per_schema": lambda p, s, top=None: groups(p, s, plain(SCHEMA), QUERIES, top=top),
    "cached_per_schema": lambda p, s, top=None: groups(p, s, plain(SCHEMA), CACHED, top=top),
    "payload_per_schema": lambda p, s, top=None: groups(p, s, plain(SCHEMA), PAYLOAD, top=top),
    "payload_per_node": lambda p, s, top=None: groups(p, s, plain(NODE), PAYLOAD, top=top),
    "queries_over_time": lambda p, s, bin_seconds=300: over_time(p, s, CACHED, round(1000 * bin_seconds)),
    "queries_by_querytime": lambda p, s, bin_ms=100, overflow_ms=10_000: durations(
        p, s, "querytime", bin_ms, overflow_ms
    ),
    "queries_by_dbtime": lambda p, s, bin_ms=100, overflow_ms=10_000: durations(p, s, "dbtime", bin_ms, overflow_ms),
    "bytes_over_time": lambda p, s, bin_seconds=300: kilobytes(p, s, round(1000 * bin_seconds)),
    "cached_share_per_schema": lambda p, s, top=None: shares(p, s, SCHEMA, top),
    "cached_share_per_node": lambda p, s, top=None: shares(p, s, NODE, top),
    "bytes_share_per_schema": lambda p, s, top=None: byte_shares(p, s, SCHEMA, top),
    "bytes_share_per_node": lambda p, s, top=None: byte_shares(p, s, NODE, top),
    "long_queries_per_schema": lambda p, s, threshold_ms=1000, bin_seconds=300, top=10: series(
        p, s, SCHEMA, threshold_ms, round(1000 * bin_seconds), top
    ),
    "long_queries_per_node": lambda p, s, threshold_ms=1000, bin_seconds=300, top=10: series(
        p, s, NODE, threshold_ms, round(1000 * bin_seconds), top
    ),
    "querytime_percentiles": lambda p, s, bin_seconds=300: percentiles(p, s, round(1000 * bin_seconds)),
    "cost_per_task": lambda p, s, top=20, by="queries": costs(p, s, "taskid", top, by),
    "cost_per_server": lambda p, s, top=20, by="queries": costs(p, s, "frontierserver", top, by),
    "cost_per_site": lambda p, s, top=20, by="queries": costs(p, s, "computingsite", top, by),
    "cost_per_squid": lambda p, s, top=20, by="queries": costs(p, s, "squid", top, by),
}
