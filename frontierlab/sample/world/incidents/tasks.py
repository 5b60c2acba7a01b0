"""The tasks of an unruly day: who asks when, what, and from where.

Tasks start and stop at any time, before and after the data too. Each has a few folders, tags and sites. Its rate is
uneven, with bursts. Some tasks fail all the time; users work by day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frontierlab.sample.world.folders import DATABASES
from frontierlab.sample.world.incidents.places import Places

__all__ = ["BINS", "BIN_MS", "EXTRA", "KINDS", "Tasks", "wobble"]

BIN_MS = 300_000
"""Milliseconds of a bin."""


BINS = 288
"""Bins of five minutes in a day."""

KINDS = ("data", "simulation", "overlay", "run1", "monitoring", "user")
"""The kinds of tasks."""

SHARES = (0.28, 0.3, 0.1, 0.04, 0.06, 0.22)
FOLDERS, SITES = 10, 6

EXTRA = 64
"""Tasks without queries of their own, for incidents to use."""

PER_DAY = 4_000

_MIX = np.array(
    [  # CONDBR2, OFLP200, COMP200, MONP200
        (0.98, 0.0, 0.0, 0.02),
        (0.12, 0.88, 0.0, 0.0),
        (0.75, 0.25, 0.0, 0.0),
        (0.0, 0.05, 0.95, 0.0),
        (0.4, 0.0, 0.0, 0.6),
        (0.7, 0.3, 0.0, 0.0),
    ]
)
_NAMES = (
    "data{y}_13p6TeV.00{r}.physics_Main.recon.AOD.r15{n}",
    "mc23_13p6TeV.60{n}.PhPy8EG_A14_ttbar.recon.e8514_s4159_r15{n}",
    "mc23_13p6TeV.70{n}.Pythia8_jetjet_overlay.recon.e8514_s4162_r14{n}",
    "data12_8TeV.00{r}.physics_Egamma.reproc.r45{n}",
    "user.shifter.dqmonitoring.{r}.{n}",
    "user.analyst{y}.ntuple.{r}.v{n}",
)


@dataclass
class Tasks:
    """The tasks of a world: one entry per task in each array, ``names`` included.

    ``start`` and ``stop`` are in bins since the start of the data, and can be outside of it. ``folder``, ``tag`` and
    ``site`` have a row per task, with cumulative shares beside them.
    """

    names: list[str]
    kind: NDArray[np.int64]
    start: NDArray[np.float64]
    stop: NDArray[np.float64]
    weight: NDArray[np.float64]
    folder: NDArray[np.int64]
    folder_share: NDArray[np.float64]
    tag: NDArray[np.int64]
    site: NDArray[np.int64]
    site_share: NDArray[np.float64]
    caches: NDArray[np.float64]
    disconn: NDArray[np.float64]
    procerror: NDArray[np.float64]
    on_grid: NDArray[np.bool_]
    jobs: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.kind)

    @classmethod
    def drawn(cls, places: Places, seed: int, count: int, days: int) -> Tasks:
        """Draw tasks of some days; `EXTRA` more, without a time, are left for incidents to use."""
        rng = np.random.default_rng([seed, 21])
        n = count + EXTRA
        kind = rng.choice(len(KINDS), n, p=SHARES)
        start, stop = _times(rng, kind, days)
        weight = np.minimum(rng.lognormal(0, 1.3, n), 30) * np.where(kind == 5, 0.4, 1.0)
        folder, folder_share, tag = _folders(rng, places, kind)
        _spread(places, folder[count:], folder_share[count:])
        chance = places.site_weight / places.site_weight.sum()
        site = rng.choice(len(chance), (n, SITES), p=chance)
        procerror, disconn = rng.lognormal(-7.4, 0.9, n), rng.lognormal(-7.2, 0.9, n)
        for rate in (procerror, disconn):  # chronic: they fail whenever they run, all the data long
            bad = rng.choice(count, max(2, count // 400), replace=False)
            rate[bad] = rng.uniform(0.03, 0.35, len(bad))
            start[bad], stop[bad] = -10.0, days * BINS + 10.0
            weight[bad] = np.clip(weight[bad], 0.3, 3.0)
        return cls(
            names=[_NAMES[k].format(y=22 + i % 4, r=429_000 + 17 * i, n=100 + 7 * i) for i, k in enumerate(kind)],
            kind=kind,
            start=start,
            stop=stop,
            weight=weight,
            folder=folder,
            folder_share=folder_share,
            tag=tag,
            site=site,
            site_share=_cumulative(rng.exponential(1.0, (n, SITES)) ** 2),
            caches=np.clip(rng.normal(1.0, 0.12, n), 0.3, 1.15) * np.where(kind == 2, 0.7, 1.0),
            disconn=np.minimum(disconn, 0.4),
            procerror=np.minimum(procerror, 0.4),
            on_grid=~((kind == 5) & (rng.random(n) < 0.03)),
            jobs=rng.integers(5, 4_000, n),
        )


def _times(
    rng: np.random.Generator, kind: NDArray[np.int64], days: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return start and end of tasks, in bins; those of users begin by day."""
    n, user = len(kind), kind == 5
    start = rng.uniform(-BINS, days * BINS, n)
    by_day = np.floor(start / BINS) * BINS + 12 * rng.normal(12, 3.5, n)
    start = np.where(user, by_day, start)
    length = 12 * np.where(user, rng.lognormal(0.2, 0.9, n), rng.lognormal(1.7, 1.0, n))
    return start, start + np.clip(length, 2, 40 * 12)


def _folders(
    rng: np.random.Generator, places: Places, kind: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return the folders of each task, their cumulative shares, and its tag of each."""
    folder = np.empty((len(kind), FOLDERS), dtype=np.int64)
    for number in range(len(KINDS)):
        shares = np.zeros(len(places.folders))
        for db in range(len(DATABASES)):
            weight = np.where(places.db == db, places.weight, 0.0)
            if number == 2:
                weight = weight * np.where(places.asks == 0, 3.0, 1.0)
            shares += _MIX[number, db] * weight / weight.sum()
        of_kind = kind == number
        folder[of_kind] = rng.choice(len(shares), (int(of_kind.sum()), FOLDERS), p=shares)
    other = rng.integers(0, 3, folder.shape)
    tag = np.where(rng.random(folder.shape) < 0.8, 0, other) % places.tags[folder]
    return folder, _cumulative(rng.exponential(1.0, folder.shape)), tag


def _spread(places: Places, folder: NDArray[np.int64], share: NDArray[np.float64]) -> None:
    """Let tasks ask all of their folders alike, and hardly for single events: a load, and no flood of a folder."""
    weight = np.where(places.asks[folder] == 0, 0.01, 1.0)
    share[:] = _cumulative(weight)


def _cumulative(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.cumsum(shares, axis=1)
    return total / total[:, -1:]


def wobble(rng: np.random.Generator, bins: int, series: int, spread: float) -> NDArray[np.float64]:
    """Return slow random walks around 0, shape (bins, series), with this standard deviation."""
    keep = 0.95
    steps = rng.normal(0, spread * np.sqrt(1 - keep**2), (bins, series))
    walk = np.empty_like(steps)
    now = rng.normal(0, spread, series)
    for row, step in zip(walk, steps, strict=True):
        now = keep * now + step
        row[:] = now
    return walk
