"""Turn an incident in names and times into codes, askers and the times of its added queries."""

from __future__ import annotations

from typing import Any

import numpy as np

from frontierlab.sample.world.incidents.activity import Activity
from frontierlab.sample.world.incidents.draws import Scene
from frontierlab.sample.world.incidents.incident import ADDS, Incident, Planned, code_of
from frontierlab.sample.world.incidents.tasks import BIN_MS, EXTRA
from frontierlab.util.times import parse_time, to_milliseconds

__all__ = ["first_extra", "planned"]


def first_extra(scene: Scene) -> int:
    """Return the first of the tasks that have no queries of their own, and that an incident can use."""
    return len(scene.tasks) - EXTRA


def planned(scene: Scene, who: Activity, number: int, incident: Incident) -> Planned:
    """Plan an incident.

    Parameters
    ----------
    scene, who
        The world: its scene, and how many normal queries each task sends.
    number
        The number of the incident in the world.
    incident
        The incident.
    """
    since, until = (to_milliseconds(parse_time(time)) for time in (incident.since, incident.until))
    scope = {column: code_of(scene, column, value) for column, value in incident.scope.items()}
    rng = np.random.default_rng([scene.seed, 30, number])
    times, askers = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    if incident.kind in ADDS:
        # uneven, as tasks are: each tenth of the time has a share of its own
        shares = rng.gamma(12.0, 1 / 12.0, 10)
        count = rng.poisson(incident.queries)
        tenth = rng.choice(10, count, p=shares / shares.sum())
        times = np.sort(since + ((tenth + rng.random(count)) / 10 * (until - since)).astype(np.int64))
        times = times[(times >= scene.start) & (times < scene.start + scene.bins * BIN_MS)]
        askers = np.array([scope["taskid"]]) if "taskid" in scope else _askers(scene, who, incident, rng, since, until)
    return Planned(number, incident, since, until, scope, askers, times)


def _askers(scene: Scene, who: Activity, incident: Incident, rng: np.random.Generator, since: int, until: int) -> Any:
    """Return tasks that are busy in the time of an incident."""
    busiest = who.busiest((since - scene.start) // BIN_MS, (until - scene.start) // BIN_MS + 1)
    if not len(busiest):
        return np.array([first_extra(scene) + EXTRA - 1])
    return rng.permutation(busiest[: 12 * incident.askers])[: incident.askers]
