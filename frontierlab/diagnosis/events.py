"""Which incidents belong together: one event is told as several rows, such as a load, slow servers and rejections.

A row is taken for the consequence of another if the kinds fit (queries that are added make databases and servers slow,
busy servers reject queries, and rejected or slow ones fail), if the times are nearly the same and it does not begin
first, if the scopes do not exclude each other, and if the other one is large enough in that time. It is not proved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from frontierlab.diagnosis.finding import Finding, within
from frontierlab.diagnosis.pricing import Price
from frontierlab.diagnosis.words import in_a_sentence, scope_in_words

__all__ = ["causes_of", "consequences", "events_of"]

_ADDING = ("iov_flood", "cache_bypass", "wrong_iov")
_STEPS = {
    "load": 0,
    **dict.fromkeys(_ADDING, 1),
    "slow_database": 2,
    "slow_server": 3,
    "rejections": 4,
    "failures": 5,
}
_SAME_TIME = 0.5  # the least intersection of the times over their union
_PART = 0.8  # the same of queries that are perhaps of the load's task
_EARLIER = 2  # bins by which a consequence can seem to begin first
_LARGE = 0.1  # of what all queries cost in that time
_SERVERS = ("slow_server", "rejections")


def causes_of(priced: Sequence[tuple[Finding, Price]], whole: pd.DataFrame) -> list[int | None]:
    """Return for each incident the place of the one that it is most likely a consequence of; None if there is none.

    Parameters
    ----------
    priced
        The incidents with their prices.
    whole
        What all queries cost in each bin.
    """
    found: list[int | None] = []
    for effect, _ in priced:
        fitting = [
            place
            for place, (cause, price) in enumerate(priced)
            if _fits(cause, effect) and _is_large(cause, price, whole)
        ]
        # the first in the chain explains the others too
        best = min(
            fitting, key=lambda one: (_STEPS[priced[one][0].kind], -_same_time(priced[one][0], effect)), default=None
        )
        found.append(best)
    return found


def events_of(causes: Sequence[int | None]) -> list[int]:
    """Return the number of the event of each incident, from 1 in the order of the incidents."""
    roots = []
    for place in range(len(causes)):
        while (cause := causes[place]) is not None:  # kinds are in one order, so there is no circle
            place = cause
        roots.append(place)
    numbers = {root: number for number, root in enumerate(dict.fromkeys(roots), 1)}
    return [numbers[root] for root in roots]


def consequences(findings: Sequence[Finding], causes: Sequence[int | None]) -> list[dict[str, Any]]:
    """Return the incidents that are consequences as rows of `Diagnosis.explained`."""
    told = []
    for place, (one, cause) in enumerate(zip(findings, causes, strict=True)):
        if cause is not None:
            scope = in_a_sentence(scope_in_words(one.scope, kind=one.kind))
            text = f"Incident {place + 1}, {one.kind} ({scope}): likely a consequence of the {findings[cause].kind}"
            told.append({"incident": cause, "kind": one.kind, "text": text})
    return told


def _fits(cause: Finding, effect: Finding) -> bool:
    """Return whether an incident can be the consequence of another."""
    if cause.kind not in _STEPS or effect.kind not in _STEPS or _STEPS[cause.kind] >= _STEPS[effect.kind]:
        return False
    if effect.start < cause.start - _EARLIER or _same_time(cause, effect) < _SAME_TIME:
        return False
    if (
        effect.kind in _ADDING
    ):  # what one task asks for is part of its load; without a task, what begins and ends with it
        tasks = [one.scope.get("taskid") for one in (cause, effect)]
        return tasks[0] == tasks[1] if None not in tasks else _same_time(cause, effect) >= _PART
    return _touches(cause, effect)


def _touches(cause: Finding, effect: Finding) -> bool:
    """Return whether the scope of an incident lies where the other one has consequences."""
    if cause.kind in ("load", *_SERVERS) and "frontierserver" in cause.scope:
        return within(effect.scope, {"frontierserver": cause.scope["frontierserver"]})
    if effect.kind in _SERVERS:
        return True  # servers answer the queries of all folders, tasks and sites
    names: Mapping[str, object] = {name: cause.scope[name] for name in cause.scope if name in effect.scope}
    return within(effect.scope, names)


def _is_large(cause: Finding, price: Price, whole: pd.DataFrame) -> bool:
    """Return whether an incident is a large part of what all queries cost in its time."""
    currency = "queries" if cause.kind in ("load", *_ADDING) else price.currency
    everything = float(whole[currency].iloc[cause.start : cause.stop].sum())
    return abs(price.excess[currency]) >= _LARGE * max(everything, 1.0)


def _same_time(one: Finding, other: Finding) -> float:
    both = min(one.stop, other.stop) - max(one.start, other.start)
    return max(both, 0) / (max(one.stop, other.stop) - min(one.start, other.start))
