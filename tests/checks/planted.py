"""Logs without a fault, and faults to plant in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from frontierlab import Dataset, Settings
from frontierlab.util.times import format_time, from_milliseconds
from tests.support.logs import START, make_dataset

Rows = list[dict[str, Any]]

MINUTE, HOUR = 60_000, 3_600_000
WEEK = 168 * HOUR
SINCE, UNTIL = START + 3 * HOUR, START + 4 * HOUR
"""The hour that is looked at; there are three hours before it, and the same hour of the week before."""

SERVERS = ("one.example", "two.example")
FOLDER = {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_PIXEL", "nodefullpath": "/PIXEL/PixCalib", "node_id": 3}
BAD = "OPT_PARAM('OPTIMIZER_ADAPTIVE_FEATURES','FALSE')"


def query(time: int, **fields: Any) -> dict[str, Any]:
    """Return a query without any fault; the log does not say whether it was cached."""
    usual = {
        **FOLDER,
        "time": time,
        "taskid": 7,
        "frontierserver": SERVERS[0],
        "since": 300,
        "until": 600,
        "cached": None,
        "disconn": False,
        "rejected": False,
        "procerror": False,
        "querytime": 20,
        "initthreads": 30,
        "sqlquery": "SELECT /*+ QB_NAME(MAIN) */ 1",
    }
    return usual | fields


def several(number: int, start: int = SINCE, stop: int = UNTIL, **fields: Any) -> Rows:
    """Return queries that are spread evenly over a time."""
    return [query(start + (stop - start) * i // number, **fields) for i in range(number)]


def healthy() -> Rows:
    """Return four hours of queries, and one of the week before: 240 an hour, half of them cached."""
    found = []
    for start in (SINCE - WEEK, *(START + hour * HOUR for hour in range(4))):
        for server in SERVERS:
            for cached in (True, False):
                found += several(60, start, start + HOUR, frontierserver=server, cached=cached)
    return found


def dataset(folder: Path, rows: Rows, since: int = START - WEEK, until: int = UNTIL, **manifest: Any) -> Dataset:
    """Write a dataset that covers a time."""
    times = {"since": format_time(from_milliseconds(since)), "until": format_time(from_milliseconds(until))}
    request = times | manifest.pop("request", {})
    return make_dataset(folder, rows, extra={"sqlquery": "name"}, request=request, **manifest)


def few(**changes: Any) -> Settings:
    """Return settings with thresholds of today, but for so few queries."""
    return Settings(**{"check_hit_queries": 50, **changes})


Fault = tuple[Callable[[Rows], Rows], Sequence[tuple[str, dict[str, Any], float]]]


def add(*rows: Rows) -> Callable[[Rows], Rows]:
    return lambda logs: [*logs, *(row for some in rows for row in some)]


def change(test: Callable[[dict[str, Any]], bool], **fields: Any) -> Callable[[Rows], Rows]:
    return lambda logs: [row | fields if test(row) else row for row in logs]


def inside(row: dict[str, Any]) -> bool:
    """Whether a query is in the hour that is looked at."""
    return bool(SINCE <= row["time"] < UNTIL)


ONE = {"frontierserver": SERVERS[0]}
OTHER = FOLDER | {"nodefullpath": "/PIXEL/Other", "node_id": 4}
PLACE = {name: OTHER[name] for name in ("db", "schema", "nodefullpath")}
OF_ALL = {"taskid": None}

FAULTS: dict[str, Fault] = {
    "failed at a server, of three kinds": (
        add(
            several(40, disconn=True, taskid=1),
            several(30, rejected=True, taskid=2),
            several(30, procerror=True, disconn=True, cached=None, taskid=3),
        ),
        [("failed_per_server", ONE, 100)],
    ),
    "failed where no server is named": (
        add(
            several(60, rejected=True, taskid=1, frontierserver=None),
            several(40, disconn=True, taskid=2, frontierserver=None),
        ),
        [("failed_per_server", {"frontierserver": None}, 100)],
    ),
    "failed of a task, at two servers": (
        add(several(51, rejected=True, taskid=9), several(50, disconn=True, taskid=9, frontierserver=SERVERS[1])),
        [("failed_per_task", {"taskid": 9}, 101)],
    ),
    "threads": (add([query(UNTIL - 1, initthreads=401)]), [("threads", ONE, 401)]),
    "bad SQL of a task and of none, three hours before": (
        add(
            [query(UNTIL - 3 * HOUR, sqlquery=f"SELECT /*+ {BAD} */ 1", taskid=8)] * 2,
            [query(UNTIL - 1, sqlquery=f"SELECT /*+NO_INDEX {BAD}*/ 2", taskid=None)],
        ),
        [("bad_sql", {"taskid": 8}, 2), ("bad_sql", OF_ALL, 1)],
    ),
    "long queries in two adjacent bins and one more": (
        add(
            several(3, SINCE + 6 * MINUTE, SINCE + 9 * MINUTE, querytime=10_001),
            several(8, SINCE + 9 * MINUTE, SINCE + 12 * MINUTE, querytime=60_000),
            several(8, SINCE + 15 * MINUTE, SINCE + 18 * MINUTE, querytime=60_000),
            several(60, SINCE, SINCE + 18 * MINUTE),
        ),
        [("long_queries", {}, 0), ("long_queries", {}, 0)],
    ),
    "a silent server": (
        lambda logs: [row for row in logs if row["frontierserver"] != SERVERS[1] or row["time"] < SINCE],
        [("silent_servers", {"frontierserver": SERVERS[1]}, 1 + 1 / 60)],
    ),
    "IOVs on no grid": (
        add(several(89, **OTHER), several(11, **OTHER | {"since": 301, "until": 601})),
        [("unaligned_iovs", PLACE, 11)],
    ),
    "fewer cached answers": (
        change(
            lambda row: inside(row) and row["frontierserver"] == SERVERS[0] and row["time"] % (5 * MINUTE) == 0,
            cached=False,
        ),
        [("hit_ratio", ONE, 10)],
    ),
}
"""Name of a fault → how it is planted, and the findings that tell it: check, where, value (0: see the test)."""

NEARLY: dict[str, tuple[str, Callable[[Rows], Rows]]] = {
    "99 failed at a server": (
        "failed_per_server",
        add(several(50, disconn=True, taskid=1), several(49, rejected=True, taskid=2)),
    ),
    "50 failed of a task at each of two servers": (
        "failed_per_task",
        add(several(50, rejected=True, taskid=9), several(50, disconn=True, taskid=9, frontierserver=SERVERS[1])),
    ),
    "100 failed that name no task, at two servers": (
        "failed_per_task",
        add(
            several(99, rejected=True, taskid=None), several(99, rejected=True, taskid=None, frontierserver=SERVERS[1])
        ),
    ),
    "failed at the edges of the hour": (
        "failed_per_server",
        add(
            [query(SINCE - 1, rejected=True, taskid=i) for i in range(100)],
            [query(UNTIL, rejected=True, taskid=i) for i in range(100)],
            [query(UNTIL - 1, rejected=True, taskid=i) for i in range(99)],
        ),
    ),
    "400 threads, and more in other hours": (
        "threads",
        add([query(SINCE, initthreads=400), query(SINCE - 1, initthreads=900), query(UNTIL, initthreads=900)]),
    ),
    "bad SQL before, after and nearly": (
        "bad_sql",
        add(
            [query(UNTIL - 3 * HOUR - 1, sqlquery=BAD), query(UNTIL, sqlquery=BAD), query(SINCE, sqlquery=BAD.lower())],
            [query(SINCE, sqlquery=BAD.replace("','", "', '")), query(SINCE, sqlquery=None)],
        ),
    ),
    "long queries: a tenth of a bin, ten seconds, or too few": (
        "long_queries",
        add(
            several(18, SINCE, SINCE + 3 * MINUTE),
            several(3, SINCE, SINCE + 3 * MINUTE, querytime=10_001),
            several(30, SINCE + 3 * MINUTE, SINCE + 6 * MINUTE, querytime=10_000),
            several(7, SINCE + 6 * MINUTE, SINCE + 9 * MINUTE, querytime=99_000),
            several(30, SINCE + 9 * MINUTE, SINCE + 12 * MINUTE, querytime=None),
        ),
    ),
    "a server that spoke at the last moment, and one that is gone for longer": (
        "silent_servers",
        lambda logs: [
            *(row for row in logs if row["frontierserver"] != SERVERS[1] or row["time"] <= SINCE),
            *several(3, UNTIL - 3 * HOUR - 3, UNTIL - 3 * HOUR, frontierserver="gone.example"),
            *several(60, SINCE - WEEK, UNTIL - WEEK, frontierserver=SERVERS[1], cached=False),
        ],
    ),
    "IOVs on no grid: a tenth, or too few, or no IOV": (
        "unaligned_iovs",
        add(
            several(90, **OTHER),
            several(10, **OTHER | {"since": 301, "until": 601}),
            several(99, **OTHER | {"nodefullpath": "/few", "since": 301, "until": 601}),
            several(500, **OTHER | {"since": -1, "until": -1}),
            several(100, **OTHER | {"since": 5, "until": 4}),
            several(100, **OTHER | {"since": 0, "until": 2**63 - 1}),
            several(100, **OTHER | {"since": 0, "until": 0}),
        ),
    ),
    "cached answers fell by less, or at few queries": (
        "hit_ratio",
        change(
            lambda row: (
                inside(row)
                and row["frontierserver"] == SERVERS[0]
                and row["time"] % (5 * MINUTE) == 0
                and row["time"] > SINCE
            ),
            cached=False,
        ),
    ),
}
"""What is nearly a fault: the check that does not find it, and how it is planted."""
