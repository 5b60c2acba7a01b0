"""Draw incidents: of all kinds, each in a scope and a time in which it costs something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontierlab.sample.world.incidents.draws import Queries, Scene
from frontierlab.sample.world.incidents.incident import HOW, INCIDENT_KINDS, Incident, code_of, codes, inside, name_of
from frontierlab.sample.world.incidents.ledger import CURRENCIES, amounts
from frontierlab.sample.world.incidents.planning import first_extra
from frontierlab.sample.world.incidents.rows import Lacks
from frontierlab.sample.world.incidents.tasks import BIN_MS, BINS
from frontierlab.util.times import format_time, from_milliseconds

__all__ = ["chosen"]

MINUTE = 60_000
SHORTEST, LONGEST = 25, 15 * 60
"""Minutes of an incident."""

CHEAPEST = 0.012
"""Share of a day that an incident should cost, by what is expected of it; cheaper ones are drawn again."""

TRIES = 60


@dataclass
class Desk:
    """What is needed to draw an incident: the world, and some of its normal queries with what they cost."""

    scene: Scene
    pilot: Queries
    costs: NDArray[np.float64]
    scale: float
    lacks: Lacks
    rng: np.random.Generator
    used: int = 0

    @property
    def day(self) -> NDArray[np.float64]:
        """What a day costs, by currency."""
        return np.asarray(self.costs.sum(axis=1) * self.scale * BINS / self.scene.bins)

    def normal(self, scope: dict[str, Any], since: int, until: int) -> NDArray[np.float64]:
        """Return what is normal in a scope and time, by currency."""
        time = self.pilot["time"]
        rows = np.flatnonzero((time >= since) & (time < until))
        coded = {column: code_of(self.scene, column, value) for column, value in scope.items()}
        return np.asarray(self.costs[:, rows[inside(self.scene, self.pilot, coded, rows)]].sum(axis=1) * self.scale)

    def weighted(self, column: str, power: float = 0.7) -> Any:
        """Return a value of a column: one with many queries is more likely."""
        codes_of = codes(self.scene, self.pilot, column, np.arange(len(self.pilot["time"])))
        values, counts = np.unique(codes_of[codes_of >= 0], return_counts=True)
        weight = counts.astype(float) ** power
        return name_of(self.scene, column, int(self.rng.choice(values, p=weight / weight.sum())))

    def folder(self, *, tag: bool) -> dict[str, Any]:
        """Return the scope of a folder, with or without a tag: one that has queries."""
        places, q = self.scene.places, self.pilot
        usable = np.flatnonzero(q["query"] == 0)
        row = int(self.rng.choice(usable))
        number = int(q["folder"][row])
        folder, names = places.folders[number], places.names
        scope = {"db": folder.db, "schema": folder.schema, "nodefullpath": folder.node}
        return scope | ({"tagname": names.tagname[places.tag[number, q["tag"][row]]]} if tag else {})

    def new_task(self) -> Any:
        """Return a task that has no queries yet."""
        self.used += 1
        return name_of(self.scene, "taskid", first_extra(self.scene) + self.used - 1)

    def between(self, low: float, high: float) -> float:
        """Return a number between two others, uniform in its logarithm."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))


def chosen(
    scene: Scene, who: tuple[Any, Any], pilot: Queries, count: int, lacks: Lacks, *, harmless: bool = False
) -> list[Incident]:
    """Draw incidents of a world.

    Parameters
    ----------
    scene, who
        The world: its scene, and the task and bin of each normal query.
    pilot
        Some normal queries.
    count
        How many.
    lacks
        Columns that the index lacks: no incident has them in its scope.
    harmless
        Draw busy things that are no incidents.
    """
    rng = np.random.default_rng([scene.seed, 31 + harmless])
    desk = Desk(scene, pilot, amounts(pilot), len(who[0]) / len(pilot["time"]), lacks, rng)
    if harmless:
        desk.used = 40
        return [HARMLESS[int(rng.integers(len(HARMLESS)))](desk) for _ in range(count)]
    found: list[Incident] = []
    kinds: list[str] = []
    while len(found) < count:
        if not kinds:
            kinds = list(rng.permutation(INCIDENT_KINDS))
        kind = kinds.pop()
        if rng.random() < 0.15 and found:
            kind = found[-1].kind  # of the same kind at once
        for _ in range(TRIES):
            one = _drawn(desk, kind)
            if one is not None and not any(_clash(one, other) for other in found):
                found.append(one)
                break
    return found


def _period(desk: Desk, longest: int = LONGEST) -> tuple[int, int]:
    """Return start and end, in whole minutes; one in twelve is not over when the data ends."""
    start, stop = desk.scene.start, desk.scene.start + desk.scene.bins * BIN_MS
    length = round(desk.between(SHORTEST, longest)) * MINUTE
    since = start + int(desk.rng.integers(0, max(1, (stop - start - length) // MINUTE))) * MINUTE
    if desk.rng.random() < 0.08:
        since = max(start, stop - length)
    return since, min(stop, since + length)


def _clash(one: Incident, other: Incident) -> bool:
    """Whether two incidents could not be told apart by anybody: one lies within the other."""
    near = one.since < other.until and other.since < one.until
    ours, theirs = dict(one.scope), dict(other.scope)
    within = ours.items() <= theirs.items() or theirs.items() <= ours.items()
    if "silence" in (one.kind, other.kind):
        return near and (within or len(ours.keys() & theirs.keys()) == 0)
    # a load of everything hides within any other
    return near and within and (one.kind == other.kind or {one.kind, other.kind} == {"load", "iov_flood"})


def _drawn(desk: Desk, kind: str) -> Incident | None:
    """Draw one incident; None if it would cost too little, or the world has no place for it."""
    how = str(desk.rng.choice(HOW[kind]))
    since, until = _period(desk, 4 * 60 if kind in ("load", "silence") else LONGEST)
    scope = SCOPES[kind](desk)
    if scope is None:
        return None
    normal, day = desk.normal(_asked_of(scope, kind), since, until), desk.day
    factor, queries = desk.between(1.5, 12), 0
    if kind in ("rejections", "failures"):
        factor = desk.between(0.05, 0.6)
        if factor * normal[0] < 60:
            return None
    elif kind == "silence":
        factor = 0.0
        if normal[0] < CHEAPEST * day[0] or normal[0] < 60:
            return None
    elif kind in ("slow_database", "slow_server", "payload_growth"):
        currency = CURRENCIES.index({"slow_database": "dbtime_ms", "slow_server": "overhead_ms"}.get(kind, "bytes"))
        if (factor - 1) * normal[currency] < CHEAPEST * day[currency]:
            return None
    elif kind == "load":
        whole = desk.normal({n: v for n, v in scope.items() if n == "frontierserver"}, since, until)[0]
        factor = desk.between(1.5, 4)
        queries = int((factor - 1) * whole)
        if not CHEAPEST * day[0] < queries < 0.4 * day[0]:
            return None
    else:
        queries = int(desk.between(CHEAPEST, 0.12) * day[0])
        factor = 1 + queries / max(normal[0], 1.0)
        if queries < 60 or (kind != "cache_bypass" and factor > 12 and desk.rng.random() < 0.9) or factor < 1.5:
            return None
    askers = int(desk.rng.integers(5, 40)) if kind != "load" else 300
    start, stop = (format_time(from_milliseconds(time)) for time in (since, until))
    return Incident(kind, start, stop, scope=scope, factor=round(factor, 3), how=how, queries=queries, askers=askers)


def _asked_of(scope: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the scope without the task, for kinds whose tasks are new."""
    return scope if kind == "failures" else {name: value for name, value in scope.items() if name != "taskid"}


def _flood(desk: Desk) -> dict[str, Any]:
    scope = desk.folder(tag=desk.rng.random() < 0.85)
    return scope | ({"taskid": desk.new_task()} if desk.rng.random() < 0.35 else {})


def _bypass(desk: Desk) -> dict[str, Any] | None:
    by = "squid" if desk.rng.random() < 0.6 else "computingsite"
    if desk.lacks.squid:
        by = "computingsite"
    return None if getattr(desk.lacks, by) else {by: desk.weighted(by, 0.5)} | desk.folder(tag=True)


def _database(desk: Desk) -> dict[str, Any]:
    which = desk.rng.random()
    folder = desk.folder(tag=False)
    if which < 0.45:
        return {name: folder[name] for name in ("db", "schema")}
    if which < 0.65:  # in both instances, if the schema is in several
        places = desk.scene.places
        of_schema = places.schema == places.names.schema.index(folder["schema"])
        several = len(np.unique(places.db[of_schema])) > 1
        return {name: folder[name] for name in (("schema",) if several else ("db", "schema"))}
    return {"db": desk.weighted("db")} if which < 0.8 else folder


def _failures(desk: Desk) -> dict[str, Any] | None:
    which = desk.rng.random()
    if which < 0.35:
        return {"taskid": desk.weighted("taskid", 1.0)}
    if which < 0.6:
        return desk.folder(tag=False)
    if which < 0.8 or desk.lacks.computingsite:
        return {"frontierserver": desk.weighted("frontierserver")}
    return {"computingsite": desk.weighted("computingsite")}


def _load(desk: Desk) -> dict[str, Any]:
    which = desk.rng.random()
    if which < 0.4:
        return {"taskid": desk.new_task()}
    return {"frontierserver": desk.weighted("frontierserver")} if which < 0.75 else {}


def _silence(desk: Desk) -> dict[str, Any] | None:
    which = desk.rng.random()
    if which < 0.45 and not desk.lacks.computingsite:
        return {"computingsite": desk.weighted("computingsite", 1.0)}
    return {"frontierserver": desk.weighted("frontierserver")} if which < 0.85 else {}


SCOPES: dict[str, Callable[[Desk], dict[str, Any] | None]] = {
    "iov_flood": _flood,
    "cache_bypass": _bypass,
    "slow_database": _database,
    "slow_server": lambda desk: {"frontierserver": desk.weighted("frontierserver")},
    "rejections": lambda desk: {"frontierserver": desk.weighted("frontierserver")} if desk.rng.random() < 0.75 else {},
    "failures": _failures,
    "payload_growth": lambda desk: desk.folder(tag=desk.rng.random() < 0.7),
    "load": _load,
    "silence": _silence,
    "wrong_iov": _flood,
}


def _busy(desk: Desk, since: int, until: int, share: float, **more: Any) -> Incident:
    start, stop = (format_time(from_milliseconds(time)) for time in (since, until))
    return Incident("load", start, stop, queries=max(1, int(share * desk.day[0])), harmless=True, **more)


def _new_task(desk: Desk) -> Incident:
    """A large new task that caches well."""
    since, _ = _period(desk, 60)
    until = min(since + 9 * 60 * MINUTE, desk.scene.start + desk.scene.bins * BIN_MS)
    share = float(desk.rng.uniform(0.04, 0.12)) * (until - since) / (9 * 60 * MINUTE)
    return _busy(desk, since, until, share, scope={"taskid": desk.new_task()}, cached=0.95)


def _shift(desk: Desk) -> Incident:
    """Many people begin to work at the same time."""
    since = desk.scene.start + int(desk.rng.choice([6, 8, 14])) * 60 * MINUTE
    return _busy(desk, since, since + 3 * 60 * MINUTE, 0.015, askers=80)


def _popular(desk: Desk) -> Incident:
    """Many queries for a folder that caches well."""
    since, until = _period(desk, 60)
    scope = desk.folder(tag=False)
    share = min(0.02, 2.5 * desk.normal(scope, since, until)[0] / desk.day[0] + 1e-3)
    return _busy(desk, since, until, share, scope=scope, askers=40, cached=0.94)


HARMLESS: tuple[Callable[[Desk], Incident], ...] = (_new_task, _shift, _popular)
