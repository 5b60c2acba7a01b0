"""Draw the queries of an unruly day: given who asks when, what is asked and what comes of it.

Queries are a dictionary of arrays of the same length. Names are codes: ``task`` in `Tasks`, ``folder`` in
`Places.folders`, ``tag`` in the folder's tags, ``site``, ``squid`` and ``server`` in `Places.names`. Times are int64:
``time`` in ms since the epoch, ``dbtime`` and ``overhead`` in ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontierlab.sample.world.conditions import LUMIS, MINUTE
from frontierlab.sample.world.folders import DATABASES, runs
from frontierlab.sample.world.incidents.places import FAILURES, Places
from frontierlab.sample.world.incidents.tasks import BIN_MS, Tasks, wobble
from frontierlab.schema import MISSING_IOV, OPEN_IOV

__all__ = ["ALL_RUN", "HEADER", "Queries", "Scene", "draw", "failed", "settle"]

Queries = dict[str, NDArray[Any]]
"""The columns of some queries."""

ALL_RUN = 3 * 2**32
"""Width of the IOV of a query for a run: a multiple of three runs, so that it is on the grid."""

HEADER = 280
"""Bytes of an answer without rows."""

GRID = 10  # lumiblocks or minutes: a third of the smallest width that is asked for


@dataclass(frozen=True)
class Scene:
    """What all queries of a world depend on.

    ``database`` (bins, schemas) and ``server`` (bins, servers) are slow changes of latencies, as factors. ``start`` is
    the time of the first bin, in ms since the epoch.
    """

    seed: int
    start: int
    bins: int
    places: Places
    tasks: Tasks
    database: NDArray[np.float64]
    server: NDArray[np.float64]

    @classmethod
    def of(cls, seed: int, start: int, days: int, bins: int, tasks: int, world: int) -> Scene:
        """Make the scene of a seed, with the tempers of the seed ``world``."""
        places, rng = Places(world), np.random.default_rng([seed, 23])
        return cls(
            seed,
            start,
            bins,
            places,
            Tasks.drawn(places, seed, tasks, days),
            np.exp(wobble(rng, bins, len(places.names.schema), 0.08)),
            np.exp(wobble(rng, bins, len(places.names.frontierserver), 0.06)),
        )


def failed(queries: Queries) -> NDArray[np.bool_]:
    """Return which queries failed."""
    return np.asarray(np.logical_or.reduce([queries[name] for name in FAILURES]))


def draw(scene: Scene, rng: np.random.Generator, task: NDArray[Any], time: NDArray[np.int64], **given: Any) -> Queries:
    """Draw queries of these tasks at these times.

    Parameters
    ----------
    scene, rng
        The world, and the source of chance.
    task, time
        A task and a time for each query.
    given
        ``folder``, ``tag``, ``site``, ``squid`` or ``server`` of all queries, in place of those that the task would
        use; ``cached`` is the chance of being cached, ``payload`` whether all ask for a payload.
    """
    q: Queries = {"task": task.astype(np.int64), "time": time}
    _where(scene, rng, q, given)
    _what(scene, rng, q, given)
    _iov(scene, rng, q)
    _outcome(scene, rng, q, given.get("cached"))
    q["said"] = rng.integers(0, 2**63, len(task), dtype=np.int64)  # decides which fields the document lacks
    return q


def _where(scene: Scene, rng: np.random.Generator, q: Queries, given: dict[str, Any]) -> None:
    tasks, places, n = scene.tasks, scene.places, len(q["task"])
    slot = (rng.random(n)[:, None] > tasks.site_share[q["task"]]).sum(axis=1)
    site = tasks.site[q["task"], np.minimum(slot, tasks.site.shape[1] - 1)]
    if "site" in given:
        site = np.full(n, given["site"])
    which = rng.integers(0, 6, n) % places.squids[site]
    squid = places.first_squid[site] + which
    if "squid" in given:
        squid = np.full(n, given["squid"])
        site = places.site_of_squid[squid]
    # most Squids ask the servers of their region; others when these are busy
    region = np.where(rng.random(n) < 0.6, places.region[site], rng.integers(0, len(places.servers), n))
    server = places.first_server[region] + (rng.random(n) * places.servers[region]).astype(np.int64)
    if "server" in given:
        server = np.full(n, given["server"])
    q |= {"site": site, "squid": squid, "server": server}


def _what(scene: Scene, rng: np.random.Generator, q: Queries, given: dict[str, Any]) -> None:
    tasks, places, task, n = scene.tasks, scene.places, q["task"], len(q["task"])
    slot = np.minimum((rng.random(n)[:, None] > tasks.folder_share[task]).sum(axis=1), tasks.folder.shape[1] - 1)
    q["folder"], q["tag"] = tasks.folder[task, slot], tasks.tag[task, slot]
    if "folder" in given:
        q["folder"] = np.broadcast_to(np.asarray(given["folder"], dtype=np.int64), n).copy()
        q["tag"] = np.zeros(n, dtype=np.int64)
    if given.get("tag") is not None:
        q["tag"] = np.broadcast_to(np.asarray(given["tag"], dtype=np.int64), n).copy()
    # 0 asks for payloads, 1 for the folder's tags or channels, 2 for the nodes of a schema
    q["query"] = np.searchsorted([0.9, 0.97], rng.random(n), side="right")
    if given.get("payload"):
        q["query"][:] = 0
    text = np.select([q["query"] == 2, q["query"] == 1], [7, 6], q["tag"] + 3 * (rng.random(n) < 0.06))
    q["hash"] = places.hashes[q["folder"], text]


def _iov(scene: Scene, rng: np.random.Generator, q: Queries) -> None:
    """Add the IOV: of the job's event, of its run, or everything; those of events lie on Athena's grid."""
    places, tasks, folder, task = scene.places, scene.tasks, q["folder"], q["task"]
    n = len(task)
    q["job"] = (rng.random(n) * tasks.jobs[task]).astype(np.int64)
    mix = ((q["job"] + 7_919 * task).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(24)).astype(
        np.int64
    )
    choice = np.where(tasks.kind[task] == 2, mix >> 20, 5 * task + mix % 3)
    run, begin = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    for number, db in enumerate(DATABASES):
        of_db, known = places.db[folder] == number, runs(db)
        run[of_db] = known.number[choice[of_db] % len(known.number)]
        begin[of_db] = known.start[choice[of_db] % len(known.number)]
    time_base, asks = places.time_base[folder], places.asks[folder]
    unit = np.where(time_base, MINUTE, 1)
    lumi = (mix >> 8) % LUMIS
    third = GRID * places.width[folder] * (1 << (mix >> 5) % 3) * unit  # a job doubles its width now and then
    key = np.where(time_base, begin + lumi * MINUTE, run << 32 | lumi)
    since = np.where(tasks.on_grid[task], key - key % third, key + 1)
    width = 3 * third
    whole = np.where(time_base, 24 * 60 * MINUTE * 3, ALL_RUN)
    key = np.where(time_base, begin, run << 32)
    of_run = key - key % (whole // 3)
    q["since"] = np.select([asks == 0, asks == 1], [since, of_run], 0)
    q["until"] = np.select([asks == 0, asks == 1], [since + width, of_run + whole], OPEN_IOV)
    none = q["query"] > 0
    q["since"][none] = q["until"][none] = MISSING_IOV


def _outcome(scene: Scene, rng: np.random.Generator, q: Queries, chance: float | None) -> None:
    """Add flags, times and sizes."""
    places, tasks, folder, task = scene.places, scene.tasks, q["folder"], q["task"]
    n, at = len(task), (q["time"] - scene.start) // BIN_MS
    at = np.clip(at, 0, scene.bins - 1)
    for name, rate in (
        ("disconn", tasks.disconn[task] + places.site_disconn[q["site"]]),
        ("procerror", tasks.procerror[task]),
        ("rejected", 2e-4),
    ):
        q[name] = rng.random(n) < rate
    cached = np.where(q["query"] == 0, places.cached[folder] * tasks.caches[task], 0.5) if chance is None else chance
    q["cached"] = (rng.random(n) < cached) & ~failed(q)
    heavy = _heavy(rng, n, 0.006)
    dbtime = places.speed[folder] * np.exp(places.spread[folder] * rng.standard_normal(n)) * heavy
    q["dbtime"] = np.maximum(dbtime * scene.database[at, places.schema[folder]], 1).astype(np.int64)
    size = places.size[folder] * np.exp(0.25 * rng.standard_normal(n))
    size = np.where(q["query"] == 0, size, 300 + q["job"] % 4_000)
    overhead = (
        places.pace[q["server"]]
        * np.exp(0.7 * rng.standard_normal(n))
        * _heavy(rng, n, 0.004)
        * scene.server[at, q["server"]]
    )
    q["overhead"] = (overhead + np.where(q["cached"], 0, size / 4e5)).astype(np.int64)  # 400 MB/s
    q["fsize"] = size.astype(np.int64)
    q["fsize"][q["disconn"]] //= 3
    settle(q)


def _heavy(rng: np.random.Generator, n: int, share: float) -> NDArray[np.float64]:
    """Return factors of latencies: 1, but for this share a power law."""
    return np.where(rng.random(n) < share, np.minimum(4 * (1 + rng.pareto(1.1, n)), 400), 1.0)


def settle(q: Queries) -> None:
    """Make what failed, or was cached, look so: no body, and no time in the database without a database query."""
    q["cached"] &= ~failed(q)
    none = q["cached"] | q["rejected"]
    q["dbtime"][none] = 0
    q["fsize"][none | q["procerror"]] = 0
