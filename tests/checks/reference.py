"""An independent implementation of all checks: plain Python over rows, one window and one row at a time."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from frontierlab import Settings
from tests.checks.planted import HOUR, MINUTE, WEEK, Rows

Row = dict[str, Any]
Told = tuple[str, tuple[tuple[str, Any], ...], int, int, float, float]
"""Check, where, since, until, value, threshold."""

FOLDER = ("db", "schema", "nodefullpath")


def findings(rows: Rows, since: int, until: int, every: int, limits: Settings) -> list[Told]:
    """Return all findings in no order."""
    return [one for start in range(since, until, every) for one in _window(rows, start, start + every, limits)]


def _window(rows: Rows, start: int, stop: int, limits: Settings) -> Iterator[Told]:
    inside = [row for row in rows if start <= row["time"] < stop]
    hours = (stop - start) / HOUR
    failed = [row for row in inside if row["disconn"] or row["rejected"] or row["procerror"]]
    for server in {row["frontierserver"] for row in inside}:
        own = [row for row in inside if row["frontierserver"] == server]
        number = sum(row["frontierserver"] == server for row in failed)
        if number >= limits.check_failed_per_server * hours:
            yield told("failed_per_server", start, stop, number, limits.check_failed_per_server * hours, server=server)
        threads = max([row["initthreads"] for row in own if row["initthreads"] is not None], default=0)
        if threads > limits.check_threads:
            yield told("threads", start, stop, threads, limits.check_threads, server=server)
    for task in {row["taskid"] for row in failed} - {None}:
        number = sum(row["taskid"] == task for row in failed)
        if number > limits.check_failed_per_task * hours:
            yield told("failed_per_task", start, stop, number, limits.check_failed_per_task * hours, taskid=task)
    yield from _silent(rows, stop, limits)
    yield from _bad(rows, start, stop, limits)
    yield from _long(inside, start, stop, limits)
    yield from _unaligned(inside, start, stop, limits)
    yield from _hits(rows, inside, start, stop, limits)


def told(check: str, start: int, stop: int, value: float, limit: float, server: Any = "", **where: Any) -> Told:
    named = {**({} if server == "" else {"frontierserver": server}), **where}
    kept = tuple((name, value) for name, value in named.items() if value is not None)
    return check, kept, start, stop, round(value, 9), round(limit, 9)


def _silent(rows: Rows, stop: int, limits: Settings) -> Iterator[Told]:
    silent, spoke = limits.check_silent_hours * HOUR, limits.check_silent_spoke_hours * HOUR
    for server in {row["frontierserver"] for row in rows} - {None}:
        times = [row["time"] for row in rows if row["frontierserver"] == server and stop - spoke <= row["time"] < stop]
        if times and max(times) < stop - silent:
            hours = (stop - max(times)) / HOUR
            yield told("silent_servers", max(times), stop, hours, limits.check_silent_hours, server=server)


def _bad(rows: Rows, start: int, stop: int, limits: Settings) -> Iterator[Told]:
    begin = min(start, stop - limits.check_bad_sql_hours * HOUR)
    bad = [
        row["taskid"]
        for row in rows
        if begin <= row["time"] < stop and row["sqlquery"] is not None and limits.check_bad_sql in row["sqlquery"]
    ]
    for task in set(bad):
        yield told("bad_sql", begin, stop, bad.count(task), 0, taskid=task)


def _long(inside: Rows, start: int, stop: int, limits: Settings) -> Iterator[Told]:
    width = limits.check_long_bin_minutes * MINUTE
    last: Told | None = None
    for begin in range(start, stop, width):
        end = min(begin + width, stop)
        times = [row["querytime"] for row in inside if begin <= row["time"] < end and row["querytime"] is not None]
        long = sum(time > 1000 * limits.check_long_seconds for time in times)
        share = 100 * long / len(times) if len(times) >= limits.check_long_queries else 0
        if share > limits.check_long_percent:
            first, largest = (begin, share) if last is None else (last[2], max(share, last[4]))
            last = told("long_queries", first, end, largest, limits.check_long_percent)
        elif last is not None:
            yield last
            last = None
    if last is not None:
        yield last


def _unaligned(inside: Rows, start: int, stop: int, limits: Settings) -> Iterator[Told]:
    asking = [row for row in inside if row["since"] is not None and row["until"] is not None]
    asking = [row for row in asking if row["since"] >= 0 and row["until"] >= row["since"]]
    for folder in {tuple(row[name] for name in FOLDER) for row in asking}:
        own = [row for row in asking if tuple(row[name] for name in FOLDER) == folder]
        if len(own) >= limits.check_unaligned_queries * (stop - start) / HOUR:
            share = 100 * sum(not _on_grid(row) for row in own) / len(own)
            if share > limits.check_unaligned_percent:
                where = dict(zip(FOLDER, folder, strict=True))
                yield told("unaligned_iovs", start, stop, share, limits.check_unaligned_percent, **where)


def _on_grid(row: Row) -> bool:
    third = (row["until"] - row["since"]) // 3
    return bool(row["since"] == 0 if third == 0 else row["since"] % third == 0)


def _hits(rows: Rows, inside: Rows, start: int, stop: int, limits: Settings) -> Iterator[Told]:
    earlier = [row for row in rows if start - WEEK <= row["time"] < stop - WEEK]
    for server in {row["frontierserver"] for row in inside}:
        sides = []
        for some in (earlier, inside):
            known = [row["cached"] for row in some if row["frontierserver"] == server and row["cached"] is not None]
            sides.append((sum(known), len(known)))
        least = limits.check_hit_queries * (stop - start) / HOUR
        if min(known for _, known in sides) >= max(least, 1):
            fall = Fraction(100 * sides[0][0], sides[0][1]) - Fraction(100 * sides[1][0], sides[1][1])
            if fall >= limits.check_hit_fall:
                yield told("hit_ratio", start, stop, float(fall), limits.check_hit_fall, server=server)
