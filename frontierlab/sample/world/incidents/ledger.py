"""The truth of incidents: what each one cost, counted while it happens."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from frontierlab.sample.world.incidents.draws import Queries, Scene, failed
from frontierlab.sample.world.incidents.incident import ADDS, DIMENSIONS, Planned, codes, inside, name_of

__all__ = ["CURRENCIES", "Ledger", "amounts"]

CURRENCIES = ("queries", "dbtime_ms", "overhead_ms", "bytes", "failures")
"""What an incident can cost."""

MEASURE = {
    "slow_database": "dbtime_ms",
    "slow_server": "overhead_ms",
    "payload_growth": "bytes",
    "rejections": "failures",
    "failures": "failures",
}
"""The currency in which the strength of a kind is measured; queries for all others."""

WOBBLE = {"queries": 0.08, "dbtime_ms": 0.08, "overhead_ms": 0.06, "bytes": 0.05, "failures": 0.0}
"""Relative standard deviation of the normal amount in an interval, in addition to the chance of single queries."""

GROUPS = (("db", "schema", "nodefullpath", "tagname"), ("computingsite", "squid"))
"""Columns of which one can follow from the others."""

HOLDS, SAME = 0.85, 1.03


def amounts(q: Queries, rows: Any = slice(None)) -> NDArray[np.float64]:
    """Return what queries cost, shape (currencies, rows)."""
    values = (np.ones(len(q["task"][rows])), q["dbtime"][rows], q["overhead"][rows], q["fsize"][rows])
    return np.stack([*values, failed({n: q[n][rows] for n in ("disconn", "procerror", "rejected")})]).astype(float)


class Ledger:
    """Adds up what one incident costs.

    Parameters
    ----------
    scene, planned
        The world and the incident.
    """

    def __init__(self, scene: Scene, planned: Planned) -> None:
        self._scene, self.planned = scene, planned
        self.excess = np.zeros(len(CURRENCIES))
        self.touched = 0
        self._normal = np.zeros(len(CURRENCIES))
        self._squares = np.zeros(len(CURRENCIES))
        self._shared = {name: np.zeros(2, dtype=np.int64) for name in planned.scope}
        sizes = {name: len(getattr(scene.places.names, name)) for name in DIMENSIONS if name != "taskid"}
        sizes["taskid"] = len(scene.tasks)
        self._by = {name: np.zeros(sizes[name] + 1) for name in DIMENSIONS}

    @property
    def measure(self) -> int:
        """The index of the currency in which the strength is measured."""
        return CURRENCIES.index(MEASURE.get(self.planned.incident.kind, "queries"))

    def note_normal(self, q: Queries, normal: int) -> None:
        """Note what is normal: the first ``normal`` queries, before any is changed."""
        rows = np.arange(normal)
        masks = {name: inside(self._scene, q, {name: code}, rows) for name, code in self.planned.scope.items()}
        for group in GROUPS:
            of_group = {name: mask for name, mask in masks.items() if name in group}
            for name, mask in of_group.items():
                others = [other for other_name, other in of_group.items() if other_name != name]
                without = np.logical_and.reduce([np.ones(normal, dtype=bool), *others])
                self._shared[name] += [int(without.sum()), int((without & mask).sum())]
        time = q["time"][:normal]
        asked = [m for name, m in masks.items() if name != "taskid" or self.planned.incident.kind not in ADDS]
        usual = np.logical_and.reduce([time >= self.planned.since, time < self.planned.until, *asked])
        values = amounts(q, rows[usual])
        self._normal += values.sum(axis=1)
        self._squares += (values**2).sum(axis=1)

    def note(
        self, q: Queries, rows: NDArray[np.int64], before: NDArray[np.float64], after: NDArray[np.float64]
    ) -> None:
        """Note a change of these queries: what they cost before and after it, shape (currencies, rows)."""
        change = after - before
        self.excess += change.sum(axis=1)
        self.touched += len(rows)
        for name in DIMENSIONS:
            places = codes(self._scene, q, name, rows)
            size = len(self._by[name])
            self._by[name] += np.bincount(places + 1, change[self.measure], size)[:size] if len(rows) else 0

    def strength(self) -> float:
        """Return by how many standard deviations the incident exceeds what was expected."""
        k = self.measure
        spread = self._squares[k] + (WOBBLE[CURRENCIES[k]] * self._normal[k]) ** 2
        return float(abs(self.excess[k]) / np.sqrt(max(spread, 1.0)))

    def accepted(self) -> list[dict[str, Any]]:
        """Return the scopes that name this incident; the first one is the incident's own.

        The tag, the database, the schema of a folder, and the site or the Squid may be left out where that adds hardly
        any normal query; a value that holds at least 85 % of the excess may be named.
        """
        scope = dict(self.planned.scope)
        optional: dict[str, int] = {}
        for name in ("tagname", "db", "schema", "computingsite", "squid"):
            if name in scope and self._may_leave(name):
                optional[name] = scope.pop(name)
        total = self._by["db"].sum()
        for name, held in self._by.items():
            best = int(np.abs(held[1:]).argmax())
            if name not in scope and total and held[best + 1] / total >= HOLDS:
                optional[name] = best
        found = []
        for count in range(len(optional) + 1):
            for some in itertools.combinations(optional, count):
                whole = scope | {name: optional[name] for name in some}
                if self._names_enough(whole):
                    found.append({name: name_of(self._scene, name, code) for name, code in whole.items()})
        own = {name: name_of(self._scene, name, code) for name, code in self.planned.scope.items()}
        return [own, *(one for one in found if one != own)]

    def _may_leave(self, name: str) -> bool:
        """Return whether hardly any normal query is in the scope without this column, and not with it."""
        without, with_it = self._shared[name]
        needs = {"schema": "nodefullpath", "computingsite": "squid", "squid": "computingsite"}.get(name, name)
        return needs in self.planned.scope and bool(without <= SAME * with_it)

    def _names_enough(self, scope: dict[str, int]) -> bool:
        if "tagname" in scope and "nodefullpath" not in scope:
            return False
        own = self.planned.scope
        return not ({"computingsite", "squid"} & set(own) and not {"computingsite", "squid"} & set(scope))

    def row(self, totals: NDArray[np.float64]) -> dict[str, Any]:
        """Return the row of the truth; ``totals`` is what all queries of a day cost, by currency."""
        planned, scene = self.planned, self._scene
        shares = np.abs(self.excess) / np.maximum(totals, 1.0)
        if planned.incident.kind == "silence":
            shares[1:] = 0  # it costs the queries that are missing
        names: dict[str, Any] = {
            n: name_of(scene, n, planned.scope[n]) if n in planned.scope else None for n in DIMENSIONS
        }
        taskname = scene.tasks.names[planned.scope["taskid"]] if "taskid" in planned.scope else None
        return {
            "since": pd.Timestamp(planned.since, unit="ms", tz="UTC"),
            "until": pd.Timestamp(planned.until, unit="ms", tz="UTC"),
            "kind": planned.incident.kind,
            **names,
            "taskname": taskname,
            "how": planned.incident.how,
            "factor": planned.incident.factor,
            "queries": self.touched,
            "excess_queries": round(self.excess[0]),
            "excess_dbtime_ms": round(self.excess[1]),
            "excess_overhead_ms": round(self.excess[2]),
            "excess_bytes": round(self.excess[3]),
            "failures": round(self.excess[4]),
            "cost": float(shares.max()),
            "currency": CURRENCIES[int(shares.argmax())],
            "strength": self.strength(),
            "accepted": self.accepted(),
        }
