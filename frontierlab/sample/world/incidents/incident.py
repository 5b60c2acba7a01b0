"""An incident: what goes wrong, where, when and how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontierlab.errors import InvalidRequestError
from frontierlab.sample.world.incidents.draws import Queries, Scene
from frontierlab.util.times import parse_time, to_milliseconds

__all__ = [
    "ADDS",
    "DIMENSIONS",
    "HOW",
    "INCIDENT_KINDS",
    "Incident",
    "Planned",
    "code_of",
    "codes",
    "inside",
    "name_of",
]

DIMENSIONS = (
    "db",
    "schema",
    "nodefullpath",
    "tagname",
    "taskid",
    "frontierserver",
    "computingsite",
    "squid",
)
"""The columns that a scope can name; the task's name belongs to its id."""

HOW: dict[str, tuple[str, ...]] = {
    "iov_flood": ("",),
    "cache_bypass": ("one query", "all queries"),
    "slow_database": ("",),
    "slow_server": ("",),
    "rejections": ("",),
    "failures": ("disconn", "procerror"),
    "payload_growth": ("",),
    "load": ("",),
    "silence": ("",),
    "wrong_iov": ("unaligned", "nonsense", "empty"),
}
"""The kinds of incidents, with the forms of each."""

INCIDENT_KINDS = tuple(HOW)
"""The kinds of incidents."""

ADDS = ("iov_flood", "cache_bypass", "load", "wrong_iov")
"""The kinds that add queries; the others change or remove some."""

FIRST_TASK, TASK_STEP = 41_000_000, 137


@dataclass(frozen=True)
class Incident:
    """Something that goes wrong in a world.

    Parameters
    ----------
    kind
        One of `INCIDENT_KINDS`.
    since, until
        When, as ``[since, until)`` in whole minutes; UTC if no time zone is given.
    scope
        Values by column, such as ``{"frontierserver": "frontier1.cern.example"}``; empty for everything. A folder is
        named with its ``db`` and ``schema``. A task that is not of the world joins it.
    factor
        Database time, query time outside of the database, or bytes are multiplied by this; of rejections and failures
        it is the share of the queries that fail. Of kinds that add queries it is only told: ``queries`` counts.
    how
        The form of the kind, one of `HOW`; by default the first.
    queries
        Number of queries that are added, on average, by a kind of `ADDS`.
    askers
        How many tasks ask the added queries, unless the scope names one.
    harmless
        A busy thing that is no incident: it is not in the truth. ``cached`` is then the share that is cached.
    cached
        The chance that an added query is cached; by default as usual.

    Raises
    ------
    frontierlab.errors.InvalidRequestError
        A value is not valid.
    """

    kind: str
    since: Any
    until: Any
    scope: Mapping[str, Any] = field(default_factory=dict)
    factor: float = 3.0
    how: str = ""
    queries: int = 0
    askers: int = 12
    harmless: bool = False
    cached: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in HOW:
            raise InvalidRequestError(f"There is no incident {self.kind!r}: choose one of {', '.join(HOW)}.")
        object.__setattr__(self, "how", self.how or HOW[self.kind][0])
        if self.how not in HOW[self.kind]:
            raise InvalidRequestError(f"how={self.how!r}: choose one of {', '.join(HOW[self.kind])}.")
        if unknown := set(self.scope) - set(DIMENSIONS):
            raise InvalidRequestError(
                f"An incident has no scope {', '.join(sorted(unknown))}: choose of {', '.join(DIMENSIONS)}."
            )
        if self.kind in ADDS and self.queries <= 0:
            raise InvalidRequestError(f"An incident {self.kind} adds queries: give queries, their number.")
        if to_milliseconds(parse_time(self.until)) <= to_milliseconds(parse_time(self.since)):
            raise InvalidRequestError(f"until {self.until} is not after since {self.since}: give a later time.")


@dataclass(frozen=True)
class Planned:
    """An incident in codes of a world, with the tasks that ask its added queries and the sorted times of those."""

    number: int
    incident: Incident
    since: int
    until: int
    scope: dict[str, int]
    askers: NDArray[np.int64]
    times: NDArray[np.int64]


def code_of(scene: Scene, column: str, value: Any) -> int:
    """Return the code of a value of a column.

    Raises
    ------
    InvalidRequestError
        The world has no such value.
    """
    if column == "taskid":
        task = (int(value) - FIRST_TASK) // TASK_STEP
        if not 0 <= task < len(scene.tasks) or FIRST_TASK + TASK_STEP * task != int(value):
            raise InvalidRequestError(f"The world has no task {value}.")
        return task
    known = getattr(scene.places.names, column)
    if value not in known:
        raise InvalidRequestError(f"The world has no {column} {value!r}: choose of {', '.join(known[:5])}, …")
    return int(known.index(value))


def name_of(scene: Scene, column: str, code: int) -> Any:
    """Return the value of a column for a code."""
    return FIRST_TASK + TASK_STEP * code if column == "taskid" else getattr(scene.places.names, column)[code]


def codes(scene: Scene, q: Queries, column: str, rows: Any = slice(None)) -> NDArray[np.int64]:
    """Return the codes of a column for some rows; -1 where the query names none: no folder, or no tag."""
    places, folder = scene.places, q["folder"][rows]
    plain = {"taskid": "task", "frontierserver": "server", "computingsite": "site", "squid": "squid"}
    if column in plain:
        values = q[plain[column]][rows]
    elif column in ("db", "schema"):
        values = getattr(places, column)[folder]
    else:
        named = places.node[folder] if column == "nodefullpath" else places.tag[folder, q["tag"][rows]]
        values = np.where(q["query"][rows] < 2, named, -1)
    return np.asarray(values)


def inside(scene: Scene, q: Queries, scope: Mapping[str, int], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which of these rows are in a scope."""
    mask = np.ones(len(rows), dtype=bool)
    for column, code in scope.items():
        mask &= codes(scene, q, column, rows) == code
    return mask
