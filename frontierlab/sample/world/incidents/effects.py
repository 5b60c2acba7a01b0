"""What incidents do to queries: some are added, others are changed or removed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontierlab.sample.world.conditions import MINUTE
from frontierlab.sample.world.incidents.draws import ALL_RUN, HEADER, Queries, Scene, draw, settle
from frontierlab.sample.world.incidents.incident import Planned
from frontierlab.sample.world.incidents.places import MOST_TAGS
from frontierlab.schema import OPEN_IOV

__all__ = ["added", "change"]

KEYS = 8  # folders that a Squid asks for again and again


def added(scene: Scene, planned: Planned, rng: np.random.Generator, times: NDArray[np.int64]) -> Queries:
    """Return the queries that an incident adds at these times."""
    incident, n = planned.incident, len(times)
    task = planned.askers[rng.integers(0, len(planned.askers), n)]
    given: dict[str, Any] = {"cached": incident.cached}
    for column, name in (("frontierserver", "server"), ("computingsite", "site"), ("squid", "squid")):
        if column in planned.scope:
            given[name] = planned.scope[column]
    if "nodefullpath" in planned.scope:
        given |= _folders(scene, planned, rng, n)
    elif incident.kind == "cache_bypass":
        given |= _few_folders(scene, planned, rng, n)
    if incident.kind in ("iov_flood", "wrong_iov"):
        given |= {"cached": 0.02, "payload": True}
    elif incident.kind == "cache_bypass":
        given |= {"cached": 0.0, "payload": True}
    q = draw(scene, rng, task, times, **given)
    if incident.kind == "iov_flood":
        _many_iovs(scene, rng, q)
    elif incident.kind == "cache_bypass":
        _repeated(scene, planned, q)
    elif incident.kind == "wrong_iov":
        _wrong(scene, planned, rng, q)
    return q


def _folders(scene: Scene, planned: Planned, rng: np.random.Generator, n: int) -> dict[str, Any]:
    """Return the folder and tag of added queries: in each instance that the scope allows, each tag that it allows."""
    places, scope = scene.places, planned.scope
    fits = places.node == scope["nodefullpath"]
    for column, of in (("db", places.db), ("schema", places.schema)):
        if column in scope:
            fits = fits & (of == scope[column])
    folder = rng.choice(np.flatnonzero(fits), n)
    if "tagname" not in scope:
        return {"folder": folder, "tag": rng.integers(0, MOST_TAGS, n) % places.tags[folder]}
    which = places.tag[folder] == scope["tagname"]
    return {"folder": folder, "tag": which.argmax(axis=1)}


def _few_folders(scene: Scene, planned: Planned, rng: np.random.Generator, n: int) -> dict[str, Any]:
    """Return the folders whose queries a Squid that keeps nothing repeats: a few that its jobs use all the time."""
    used = np.unique(scene.tasks.folder[planned.askers])
    kept = used[scene.places.asks[used] > 0]
    few = np.random.default_rng([scene.seed, 33, planned.number]).permutation(kept if len(kept) else used)[:KEYS]
    return {"folder": rng.choice(few, n), "tag": 0}


def _many_iovs(scene: Scene, rng: np.random.Generator, q: Queries) -> None:
    """Give each query an IOV of its own on the grid, within a few runs: many queries, few payloads."""
    unit = np.where(scene.places.time_base[q["folder"]], MINUTE, 1)
    third = 10 * unit
    steps = rng.integers(0, 40_000, len(unit))
    base = q["since"] - q["since"] % third
    q["since"] = np.where(q["since"] > 0, base, 440_000 << 32) + steps * third
    q["since"] -= q["since"] % third
    q["until"] = q["since"] + 3 * third


def _repeated(scene: Scene, planned: Planned, q: Queries) -> None:
    """Ask the same again and again: one query, or a few of each folder."""
    places = scene.places
    if planned.incident.how == "one query":
        for name in ("folder", "tag"):
            q[name][:] = q[name][0]
        key = (planned.number + 11 * scene.seed) % 300  # the same in all parts of the data
    else:
        key = (places.hashes[q["folder"], 0] + q["site"]) % 12  # a few keys, which all jobs of the site share
    time_base, everything = places.time_base[q["folder"]], places.asks[q["folder"]] == 2
    whole = np.where(time_base, 24 * 60 * MINUTE * 3, ALL_RUN)
    since = np.where(time_base, (1_690_000_000 + 86_400 * key) * 10**9, (430_000 + key) << 32)
    q["since"] = np.where(everything, 0, since - since % (whole // 3))
    q["until"] = np.where(everything, OPEN_IOV, q["since"] + whole)
    q["hash"] = places.hashes[q["folder"], q["tag"]]


def _wrong(scene: Scene, planned: Planned, rng: np.random.Generator, q: Queries) -> None:
    """Ask for an IOV off the grid, for nonsense, or for one that has no payload."""
    n, how = len(q["task"]), planned.incident.how
    since = np.where(q["since"] > 0, q["since"], 440_000 << 32) + 30 * rng.integers(0, 40_000, n)  # hardly any twice
    if how == "unaligned":
        q["since"] = since + rng.integers(1, 9, n)
        q["until"] = q["since"] + rng.integers(2, 40, n) * 7 + 1
    elif how == "nonsense":
        backwards = rng.random(n) < 0.6
        q["since"], q["until"] = np.where(backwards, since + 1_000, 2**62 + since % 977), since
    else:
        q["since"] = np.where(scene.places.time_base[q["folder"]], 30 * MINUTE, 30)
        q["since"] += 30 * rng.integers(0, 4_000, n)
        q["until"] = q["since"] + 30
        body = (q["fsize"] > 0) & ~q["disconn"]
        q["fsize"][body] = HEADER


def change(
    scene: Scene, planned: Planned, rng: np.random.Generator, q: Queries, rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Change queries in the scope and time of an incident, and return which ones; removed ones get the mark ``gone``.

    Parameters
    ----------
    scene, planned
        The world and the incident.
    rng
        The source of chance.
    q
        The queries, which are changed in place.
    rows
        Indices of those in the scope and the time of the incident.
    """
    incident = planned.incident
    n = len(rows)
    if incident.kind in ("slow_database", "slow_server", "payload_growth"):
        name = {"slow_database": "dbtime", "slow_server": "overhead", "payload_growth": "fsize"}[incident.kind]
        spread = 0.35 if incident.kind == "slow_database" else 0.15
        factor = incident.factor * np.exp(spread * rng.standard_normal(n) - spread**2 / 2)
        rows, factor = rows[q[name][rows] > 0], factor[q[name][rows] > 0]
        q[name][rows] = np.ceil(q[name][rows] * np.maximum(factor, 1.0)).astype(np.int64)
        return rows
    if incident.kind == "silence":
        rows = rows[~q["gone"][rows]]
        q["gone"][rows] = True
        return rows
    flag = incident.how if incident.kind == "failures" else "rejected"
    if flag == "rejected":
        q["pressed"][rows] = True  # the servlet had too many threads, for those that it answered too
    chosen = rows[(rng.random(n) < incident.factor) & ~q["rejected"][rows]]
    q[flag][chosen] = True
    part: Queries = {
        name: q[name][chosen] for name in ("cached", "dbtime", "fsize", "disconn", "procerror", "rejected")
    }
    if flag == "disconn":
        part["fsize"] //= 3
    settle(part)
    for name, values in part.items():
        q[name][chosen] = values
    return chosen
