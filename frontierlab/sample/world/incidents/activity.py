"""How many queries the tasks of an unruly day send, and when."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from frontierlab.sample.world.incidents.tasks import BINS, EXTRA, Tasks, wobble

__all__ = ["Activity", "activity"]

BLOCK = 500  # tasks whose rates are in memory at the same time
LARGEST = 0.03  # of the normal rate: no task alone is a load


@dataclass(frozen=True)
class Activity:
    """How many normal queries each task sends in each bin: an entry for each with queries, ordered by bin.

    Its size depends on the number of tasks, not on that of queries.

    Parameters
    ----------
    task, at, count
        The task, the bin and the number of queries of each entry.
    """

    task: NDArray[np.int64]
    at: NDArray[np.int64]
    count: NDArray[np.int64]

    @cached_property
    def total(self) -> int:
        """The number of queries."""
        return int(self.count.sum())

    def before(self, bins: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of queries before each of these bins."""
        return self._numbers[np.searchsorted(self.at, bins)]

    def queries(self, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return task and bin of each query of the bins ``[first, last)``."""
        some = self._of(first, last)
        return np.repeat(self.task[some], self.count[some]), np.repeat(self.at[some], self.count[some])

    def numbered(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return task and bin of the queries with these numbers, counted from 0."""
        places = np.searchsorted(self._numbers, numbers, side="right") - 1
        return self.task[places], self.at[places]

    def busiest(self, first: int, last: int) -> NDArray[np.int64]:
        """Return the tasks of the bins ``[first, last)``, those with most queries first."""
        some = self._of(first, last)
        if not len(self.task[some]):
            return np.empty(0, dtype=np.int64)
        counts = np.bincount(self.task[some], self.count[some])
        return np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]

    def life(self, task: int) -> tuple[int, int]:
        """Return the bins of a task, as ``[first, last)``; both are 0 without queries."""
        at = self.at[self.task == task]
        return (int(at[0]), int(at[-1]) + 1) if len(at) else (0, 0)

    @cached_property
    def _numbers(self) -> NDArray[np.int64]:
        return np.append(0, np.cumsum(self.count))

    def _of(self, first: int, last: int) -> slice:
        return slice(*np.searchsorted(self.at, [first, last]).tolist())


def activity(tasks: Tasks, seed: int, days: int, queries: int) -> Activity:
    """Draw how many queries each task sends in each bin.

    Parameters
    ----------
    tasks, seed, days
        The world.
    queries
        The number of queries that is expected; the real number differs by chance.
    """
    rng = np.random.default_rng([seed, 22])
    bins = days * BINS
    shape = 1 + 0.2 * np.sin(2 * np.pi * (np.arange(bins) / BINS - rng.random()))
    shape *= np.exp(wobble(rng, bins, 1, 0.06)[:, 0])
    count = len(tasks) - EXTRA
    total = np.zeros(bins)
    for first in range(0, count, BLOCK):
        total += _rates(tasks, slice(first, min(first + BLOCK, count)), shape).sum(axis=0)
    scale = queries / total.sum()
    most = LARGEST * queries / bins
    found = []
    for first in range(0, count, BLOCK):
        rates = _rates(tasks, slice(first, min(first + BLOCK, count)), shape) * scale
        uneven = rng.gamma(3.0, 1 / 3.0, rates.shape).astype(np.float32)
        uneven *= np.where(rng.random(rates.shape, dtype=np.float32) < 0.01, 4.0, 1.0).astype(np.float32)
        counts = rng.poisson(np.minimum(rates * uneven, most))
        task, at = np.nonzero(counts)
        found.append(np.stack([task + first, at, counts[task, at]]))
    every = np.concatenate(found, axis=1)
    return Activity(*every[:, np.argsort(every[1], kind="stable")])


def _rates(tasks: Tasks, some: slice, shape: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return relative rates, shape (tasks, bins): a task starts within a quarter of an hour and fades out."""
    at = np.arange(len(shape))
    start, stop = tasks.start[some, None], tasks.stop[some, None]
    begun = np.clip((at + 1 - start) / 3, 0, 1)
    left = np.clip((stop - at) / np.maximum(0.25 * (stop - start), 1), 0, 1)
    hour = (at % BINS) / 12
    awake = np.clip(1.6 * np.sin(np.pi * np.clip((hour - 6) / 17, 0, 1)), 0, 1)
    by_day = np.where(tasks.kind[some, None] == 5, awake, 1.0)
    rates = np.where(at + 1 > start, begun * left, 0) * by_day * shape * tasks.weight[some, None]
    return rates.astype(np.float32)
