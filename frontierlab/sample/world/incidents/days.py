"""Days of logs with incidents, made part by part, and the truth about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from frontierlab.errors import InvalidRequestError
from frontierlab.sample.world.incidents.activity import Activity, activity
from frontierlab.sample.world.incidents.choice import chosen
from frontierlab.sample.world.incidents.desk import Desk
from frontierlab.sample.world.incidents.draws import Queries, Scene, draw
from frontierlab.sample.world.incidents.effects import added, change
from frontierlab.sample.world.incidents.harmless import harmless
from frontierlab.sample.world.incidents.incident import ADDS, Incident, Planned, inside
from frontierlab.sample.world.incidents.ledger import Ledger, amounts
from frontierlab.sample.world.incidents.planning import planned
from frontierlab.sample.world.incidents.rows import Lacks, table
from frontierlab.sample.world.incidents.tasks import BIN_MS, BINS, PER_DAY
from frontierlab.util.times import parse_time, to_milliseconds

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CHUNK", "Days"]

CHUNK = 250_000
"""Normal queries of a part; one part at a time is in memory."""

FEWEST = 100
USUAL_THREADS = 25
FIRST_HARMLESS = 1_000  # the number of the first harmless thing: the same whatever else happens


@dataclass
class Days:
    """Days with incidents, made part by part.

    Parameters
    ----------
    scene
        What all queries depend on.
    queries
        Expected number of normal queries of a day.
    who
        How many normal queries each task sends, and when.
    incidents, harmless
        What happens.
    lacks
        Columns that the index lacks.
    """

    scene: Scene
    queries: int
    who: Activity
    incidents: list[Planned]
    harmless: list[Planned]
    lacks: Lacks
    usual: float

    def __post_init__(self) -> None:
        self._ledgers = [Ledger(self.scene, one) for one in self.incidents]
        self._totals = np.zeros(5)

    @property
    def stop(self) -> int:
        """The end of the data, in ms since the epoch."""
        return self.scene.start + self.scene.bins * BIN_MS

    @classmethod
    def drawn(
        cls,
        seed: int,
        queries: int,
        days: int,
        since: str | date | datetime,
        *,
        incidents: int | Sequence[Incident] | None,
        quiet: bool,
        world: int | None = None,
    ) -> Days:
        """Draw a world; see `make_day`."""
        if queries < FEWEST or days < 1:
            raise InvalidRequestError(
                f"queries is {queries} and days is {days}: give at least {FEWEST} queries a day, and a day or more."
            )
        if quiet and incidents:
            raise InvalidRequestError("A quiet day has no incidents: leave out incidents, or quiet.")
        rng = np.random.default_rng([seed, 24])
        a, b, c, usual, busy = rng.random(5)
        lacks = Lacks(squid=a < 0.15, computingsite=b < 0.1, initthreads=c < 0.1)
        tasks = int(min(PER_DAY, max(200, queries // 20))) * days
        scene = Scene.of(
            seed, to_milliseconds(parse_time(since)), days, days * BINS, tasks, seed if world is None else world
        )
        who = activity(scene.tasks, seed, days, queries * days)
        how_many = 0 if quiet else 3 + int(usual * 5) if incidents is None else incidents
        pilot = _pilot(scene, who)
        desks = [
            Desk(scene, who, pilot, amounts(pilot), who.total / len(pilot["time"]), lacks, np.random.default_rng(key))
            for key in ([seed, 31], [seed, 32])
        ]
        given = chosen(desks[0], how_many) if isinstance(how_many, int) else list(how_many)
        calm = harmless(desks[1], 4 if quiet else int(busy * 3))
        usual_time = float(np.minimum(pilot["dbtime"] + pilot["overhead"], 2_000).mean())
        load = who.total * usual_time / (days * BINS * len(scene.places.names.frontierserver))
        bad = [planned(scene, who, number, one) for number, one in enumerate(given)]
        good = [planned(scene, who, FIRST_HARMLESS + number, one) for number, one in enumerate(calm)]
        return cls(scene, queries, who, bad, good, lacks, load)

    def parts(self) -> Iterator[tuple[int, int, pa.Table]]:
        """Yield the rows of one span of time after the other, each with its start and end in ms since the epoch."""
        ends = self.who.before(np.arange(self.scene.bins + 1))
        first = 0
        while first < self.scene.bins:
            last = int(np.searchsorted(ends, ends[first] + CHUNK, side="right")) - 1
            last = min(max(last, first + 1), self.scene.bins)
            since, until = self.scene.start + first * BIN_MS, self.scene.start + last * BIN_MS
            yield since, until, self._part(first, last, since, until)
            first = last

    def _part(self, number: int, last: int, since: int, until: int) -> pa.Table:
        scene = self.scene
        rng = np.random.default_rng([scene.seed, 25, number])
        task, at = self.who.queries(number, last)
        time = scene.start + at * BIN_MS + rng.integers(0, BIN_MS, len(at))
        q, normal = self._with_added(draw(scene, rng, task, time), number, since, until)
        for name in ("gone", "pressed"):
            q[name] = np.zeros(len(q["time"]), dtype=bool)
        for ledger in self._ledgers:
            ledger.note_normal(q, normal)
        self._change(q, number)
        _threads(self, q, number, since, until)
        self._totals += amounts(q, ~q["gone"]).sum(axis=1)
        order = np.argsort(q["time"], kind="stable")
        order = order[~q["gone"][order]]
        return table(scene, {name: values[order] for name, values in q.items()}, self.lacks)

    def _with_added(self, q: Queries, number: int, since: int, until: int) -> tuple[Queries, int]:
        """Return normal queries followed by those that incidents add, and the number of those that are normal."""
        pieces, normal = [q], len(q["time"])
        for one in [*self.harmless, *self.incidents]:
            first, last = np.searchsorted(one.times, [since, until])
            if first == last:
                continue
            rng = np.random.default_rng([self.scene.seed, 26, one.number, number])
            piece = added(self.scene, one, rng, one.times[first:last])
            pieces.append(piece)
            if one.incident.harmless:
                normal += len(piece["time"])
                continue
            costs = amounts(piece)
            rows = np.arange(len(piece["time"]))
            self._ledgers[one.number].note(piece, rows, np.zeros_like(costs), costs)
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in q}, normal

    def _change(self, q: Queries, number: int) -> None:
        """Let incidents change queries, and then others fall silent."""
        changing = [ledger for ledger in self._ledgers if ledger.planned.incident.kind not in ADDS]
        for ledger in sorted(changing, key=lambda one: one.planned.incident.kind == "silence"):
            one, time = ledger.planned, q["time"]
            rows = np.flatnonzero((time >= one.since) & (time < one.until))
            rows = rows[inside(self.scene, q, one.scope, rows)]
            if not len(rows):
                continue
            before = amounts(q, rows)
            touched = change(self.scene, one, np.random.default_rng([self.scene.seed, 27, one.number, number]), q, rows)
            places = np.searchsorted(rows, touched)  # both are sorted
            after = amounts(q, touched) * ~q["gone"][touched]
            ledger.note(q, touched, before[:, places], after)

    def truth(self) -> pd.DataFrame:
        """Return the truth of the parts that were made; see `make_day`."""
        days = self.scene.bins / BINS
        rows = [ledger.row(self._totals / days) for ledger in self._ledgers]
        frame = pd.DataFrame(rows, columns=None if rows else TRUTH)
        frame["taskid"] = frame["taskid"].astype("Int64")
        if not rows:
            for name in ("since", "until"):
                frame[name] = pd.to_datetime(frame[name], utc=True)
        frame = frame.sort_values("cost", ascending=False, kind="stable", ignore_index=True)
        frame.attrs["harmless"] = [repr(one.incident) for one in self.harmless]
        return frame


TRUTH = (
    *("since", "until", "kind", "db", "schema", "nodefullpath", "tagname", "taskid", "frontierserver"),
    *("computingsite", "squid", "taskname", "how", "factor", "queries", "excess_queries", "excess_dbtime_ms"),
    *("excess_overhead_ms", "excess_bytes", "failures", "cost", "currency", "strength", "accepted"),
)


def _pilot(scene: Scene, who: Activity) -> Queries:
    """Return some normal queries: from them follows what an incident would cost."""
    rng = np.random.default_rng([scene.seed, 28])
    task, at = who.numbered(np.sort(rng.integers(0, who.total, min(60_000, who.total))))
    return draw(scene, rng, task, scene.start + at * BIN_MS + rng.integers(0, BIN_MS, len(at)))


def _threads(world: Days, q: Queries, number: int, since: int, until: int) -> None:
    """Add the simultaneous threads of each server: as many as its queries of five minutes keep busy."""
    servers = len(world.scene.places.names.frontierserver)
    bins = (until - since) // BIN_MS
    place = (q["time"] - since) // BIN_MS * servers + q["server"]
    busy = np.where(q["gone"], 0, np.minimum(q["dbtime"] + q["overhead"], 2_000))
    load = np.bincount(place, busy, bins * servers) / world.usual
    rng = np.random.default_rng([world.scene.seed, 29, number])
    threads = (4 + USUAL_THREADS * load[place] ** 0.8) * np.exp(0.3 * rng.standard_normal(len(place)))
    threads += np.where(q["pressed"], rng.integers(300, 500, len(place)), 0)
    q["threads"] = np.clip(threads, 1, 900).astype(np.int64)
