"""Draw incidents: of all kinds, each in a scope and a time in which it costs something."""

from __future__ import annotations

from typing import Any

from frontierlab.sample.world.incidents.desk import MINUTE, Desk
from frontierlab.sample.world.incidents.incident import ADDS, HOW, INCIDENT_KINDS, Incident, code_of
from frontierlab.sample.world.incidents.ledger import CURRENCIES
from frontierlab.sample.world.incidents.scopes import SCOPES
from frontierlab.util.times import format_time, from_milliseconds, parse_time, to_milliseconds

__all__ = ["chosen"]

CHEAPEST = 0.012
"""Share of a day that an incident should cost, by what is expected of it; cheaper ones are drawn again."""

FEWEST = 60
"""Queries that an incident should touch."""

TRIES = 60

MEASURED = {"slow_database": "dbtime_ms", "slow_server": "overhead_ms", "payload_growth": "bytes"}


def chosen(desk: Desk, count: int) -> list[Incident]:
    """Draw this many incidents; fewer where the world is too small for them."""
    found: list[Incident] = []
    kinds: list[str] = []
    for _ in range(12 * count):
        if len(found) == count:
            break
        if not kinds:
            kinds = list(desk.rng.permutation(INCIDENT_KINDS))
        kind, beside = kinds.pop(), None
        if desk.rng.random() < 0.15 and found:  # of the same kind at once
            beside = found[-1]
            kind = beside.kind
        for _ in range(TRIES):
            one = _drawn(desk, kind, beside)
            if one is not None and not any(_clash(one, other) for other in found):
                found.append(one)
                break
    return found


def _clash(one: Incident, other: Incident) -> bool:
    """Whether nobody could tell two incidents apart: one lies within the other, or in a time without queries."""
    near = one.since < other.until and other.since < one.until
    ours, theirs = dict(one.scope), dict(other.scope)
    within = ours.items() <= theirs.items() or theirs.items() <= ours.items()
    if "silence" in (one.kind, other.kind):
        return near and (within or not ours.keys() & theirs.keys())
    alike = {one.kind, other.kind}
    return near and within and (len(alike) == 1 or alike <= set(ADDS) or alike <= {"failures", "rejections"})


def _times(desk: Desk, kind: str, scope: dict[str, Any], beside: Incident | None) -> tuple[int, int]:
    """Return start and end of an incident, in ms since the epoch."""
    if kind == "failures" and "taskid" in scope:
        return _of_task(desk, code_of(desk.scene, "taskid", scope["taskid"]))
    longest = 15 * 60
    if kind in ("load", "silence"):
        longest = 12 * 60 if scope and "taskid" not in scope else 150 if kind == "silence" else 4 * 60
    since, until = desk.period(longest)
    if beside is not None:
        start, stop = (to_milliseconds(parse_time(time)) for time in (beside.since, beside.until))
        moved = start + round((stop - start) * desk.rng.uniform(-0.3, 0.6) / MINUTE) * MINUTE
        if moved >= desk.scene.start and moved + until - since <= desk.stop:
            return moved, moved + until - since
    return since, until


def _of_task(desk: Desk, task: int) -> tuple[int, int]:
    """Return a time in the life of a task: all of it, or a part."""
    start, stop = desk.life(task)
    if desk.rng.random() < 0.4 and stop - start < 0.5 * (desk.stop - desk.scene.start):
        return start, stop
    length = int((stop - start) * desk.rng.uniform(0.2, 0.5)) // MINUTE * MINUTE
    return (since := start + int((stop - start - length) * desk.rng.random()) // MINUTE * MINUTE), since + length


def _drawn(desk: Desk, kind: str, beside: Incident | None) -> Incident | None:
    """Draw one incident; None if it would cost too little, or the world has no place for it."""
    how = str(desk.rng.choice(HOW[kind]))
    scope = SCOPES[kind](desk, how)
    if scope is None:
        return None
    since, until = _times(desk, kind, scope, beside)
    if until - since < 25 * MINUTE:
        return None
    size = _added(desk, kind, scope, since, until) if kind in ADDS else _changed(desk, kind, scope, since, until)
    if size is None:
        return None
    factor, queries = size
    askers = 300 if kind == "load" else int(desk.rng.integers(5, 40))
    start, stop = (format_time(from_milliseconds(time)) for time in (since, until))
    return Incident(kind, start, stop, scope=scope, factor=round(factor, 3), how=how, queries=queries, askers=askers)


def _changed(desk: Desk, kind: str, scope: dict[str, Any], since: int, until: int) -> tuple[float, int] | None:
    """Return the factor of an incident that changes or removes queries, and that it adds none; None if too cheap."""
    normal, day = desk.normal(scope, since, until), desk.day
    if kind in ("rejections", "failures"):
        factor = desk.between(0.05, 0.6)
        return None if factor * normal[0] < FEWEST else (factor, 0)
    if kind == "silence":
        return None if normal[0] < max(CHEAPEST * day[0], FEWEST) else (0.0, 0)
    factor = desk.between(1.5, 12)
    currency = CURRENCIES.index(MEASURED[kind])
    few = normal[0] < 2 * FEWEST and desk.rng.random() < 0.8
    return None if few or (factor - 1) * normal[currency] < CHEAPEST * day[currency] else (factor, 0)


def _added(desk: Desk, kind: str, scope: dict[str, Any], since: int, until: int) -> tuple[float, int] | None:
    """Return how many times the normal queries there are, and how many are added; None if it is out of bounds."""
    whose = ("frontierserver",) if kind == "load" else tuple(name for name in scope if name != "taskid")
    normal, day = desk.normal({name: scope[name] for name in whose if name in scope}, since, until)[0], desk.day[0]
    if kind == "load":
        factor = desk.between(1.5, 4)
        queries = int((factor - 1) * normal)
        return (factor, queries) if CHEAPEST * day < queries < 0.4 * day else None
    queries = int(desk.between(CHEAPEST, 0.12) * day)
    factor = 1 + queries / max(normal, 1.0)
    # the same query from one Squid has no normal; other floods are seldom larger than twelve times the normal
    large = kind != "cache_bypass" and factor > 12 and desk.rng.random() < 0.95
    return None if queries < FEWEST or large or factor < 1.5 else (factor, queries)
