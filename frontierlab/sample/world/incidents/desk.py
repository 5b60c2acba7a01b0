"""What incidents are drawn from: the world, and what is normal in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontierlab.sample.world.incidents.activity import Activity
from frontierlab.sample.world.incidents.draws import Queries, Scene
from frontierlab.sample.world.incidents.incident import code_of, codes, inside, name_of
from frontierlab.sample.world.incidents.planning import first_extra
from frontierlab.sample.world.incidents.rows import Lacks
from frontierlab.sample.world.incidents.tasks import BIN_MS, BINS

__all__ = ["Desk", "MINUTE"]

MINUTE = 60_000
"""Milliseconds of a minute."""

SHORTEST, LONGEST = 25, 15 * 60  # minutes of an incident


@dataclass
class Desk:
    """What is needed to draw an incident.

    Parameters
    ----------
    scene, who
        The world: its scene, and how many normal queries each task sends.
    pilot, costs
        Some of its normal queries, and what they cost, by currency.
    scale
        How many normal queries one of ``pilot`` stands for.
    lacks
        Columns that the index lacks.
    rng
        The source of chance.
    used
        How many tasks without queries of their own were given away.
    """

    scene: Scene
    who: Activity
    pilot: Queries
    costs: NDArray[np.float64]
    scale: float
    lacks: Lacks
    rng: np.random.Generator
    used: int = 0

    @property
    def stop(self) -> int:
        """The end of the data, in ms since the epoch."""
        return self.scene.start + self.scene.bins * BIN_MS

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

    def is_named(self, taskid: Any) -> bool:
        """Whether nearly all queries of a task name it: none of its larger sites hides tasks."""
        of_task = self.pilot["task"] == code_of(self.scene, "taskid", taskid)
        return bool(self.scene.places.anonymous[self.pilot["site"][of_task]].mean() < 0.05)

    def new_task(self) -> Any:
        """Return a task that has no queries yet."""
        self.used += 1
        return name_of(self.scene, "taskid", first_extra(self.scene) + self.used - 1)

    def between(self, low: float, high: float) -> float:
        """Return a number between two others, uniform in its logarithm."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def period(self, longest: int = LONGEST) -> tuple[int, int]:
        """Return start and end, in whole minutes; one in twelve is not over when the data ends."""
        start, stop = self.scene.start, self.stop
        length = round(self.between(SHORTEST, longest)) * MINUTE
        since = start + int(self.rng.integers(0, max(1, (stop - start - length) // MINUTE))) * MINUTE
        if self.rng.random() < 0.08:
            since = max(start, stop - length)
        return since, min(stop, since + length)

    def life(self, task: int) -> tuple[int, int]:
        """Return start and end of the queries of a task, in whole bins."""
        first, last = self.who.life(task)
        return self.scene.start + first * BIN_MS, self.scene.start + last * BIN_MS
