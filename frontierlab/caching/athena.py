"""The grid of IOVs that Athena, the software of the jobs, asks by.

A job asks for ``since = key - key % (width // 3)`` and ``until = since + width``, where the key is the IOV of its event
[1]_. Jobs with different events then ask alike, so that caches can answer. A job doubles the width up to three times.

References
----------
.. [1] Athena, IOVDbSvc, properties CacheRun, CacheTime and CacheAlign, https://gitlab.cern.ch/atlas/athena
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frontierlab.schema import OPEN_IOV

__all__ = ["SLICES", "covering", "is_off_grid", "own_grid"]

SLICES = 3
"""The parts of a width: an IOV begins at a multiple of a third of its width."""

_LUMIS = 2**32 - 1  # the lower half of an IOV: the lumiblock
_MOST_DOUBLINGS = 63


def is_off_grid(since: NDArray[np.int64], until: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which IOVs are on no grid: their start is no multiple of a third of their width.

    An IOV of whole runs is on a grid too, that of runs. An IOV that is narrower than 3 has no third; it is on the grid
    only if it starts at 0.

    Parameters
    ----------
    since, until
        IOVs, both ends included, from 0 to 2^63-1.
    """
    third = (until - since) // SLICES
    whole_runs = ((since & _LUMIS) == 0) & ((until & _LUMIS) == _LUMIS)
    off: NDArray[np.bool_] = np.where(third == 0, since != 0, since % np.maximum(third, 1) != 0) & ~whole_runs
    return off


def own_grid(since: NDArray[np.int64], until: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the IOVs that Athena would have asked for with the widths of these; see `covering`.

    IOVs on a grid, narrower than 3, or with an open end stay as they are.
    """
    width = until - since
    moved = is_off_grid(since, until) & (width >= SLICES) & (until < OPEN_IOV)
    first, last = since.copy(), until.copy()
    first[moved], last[moved] = covering(since[moved], until[moved], width[moved])
    return first, last


def covering(
    since: NDArray[np.int64], until: NDArray[np.int64], width: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the IOVs of Athena's grid that cover IOVs: of a width, or else of the first double of it that is enough.

    Parameters
    ----------
    since, until
        IOVs, both ends included, from 0 to 2^63-1.
    width
        The smallest width, at least 3, of each.
    """
    first, last, width = since.copy(), until.copy(), width.copy()
    left = np.arange(len(since))
    for _ in range(_MOST_DOUBLINGS):
        begin = since[left] - since[left] % (width[left] // SLICES)
        end = begin + np.minimum(width[left], OPEN_IOV - begin)
        enough = end >= until[left]
        done = left[enough]
        first[done], last[done] = begin[enough], end[enough]
        left = left[~enough]
        if not len(left):
            break
        width[left] += np.minimum(width[left], OPEN_IOV - width[left])
    return first, last
