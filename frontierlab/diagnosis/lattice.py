"""Sums over every group of values: one table for each choice of dimensions (a cuboid of the data cube)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cuboid", "Floats", "Integers", "Lattice"]

Floats = NDArray[np.float64]
"""An array of numbers."""

Integers = NDArray[np.int64]
"""An array of codes or places."""

_DENSE = 4  # a table has a cell for every combination of values if these are at most so many for each row


@dataclass
class Cuboid:
    """The groups of some dimensions, with the sums over the rows of each.

    Parameters
    ----------
    axes
        The numbers of the dimensions.
    sizes
        The number of values of each of these dimensions.
    keys
        The code of each group, in ascending order; None if there is a group for every combination of values.
    sums
        A row is a measure, a column is a group.
    """

    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    keys: Integers | None
    sums: Floats

    def codes(self, values: Integers) -> Integers:
        """Return the code of each row; a row of `values` holds the values of one of all dimensions."""
        code = np.zeros(values.shape[1], dtype=np.int64)
        for axis, size in zip(self.axes, self.sizes, strict=True):
            code *= size
            code += values[axis]
        return code

    def places(self, values: Integers) -> Integers:
        """Return the column of each row's group in `sums`."""
        codes = self.codes(values)
        return codes if self.keys is None else np.searchsorted(self.keys, codes)

    def values_of(self, place: int) -> tuple[int, ...]:
        """Return the values of a group."""
        code = int(place if self.keys is None else self.keys[place])
        found = []
        for size in reversed(self.sizes):
            code, value = divmod(code, size)
            found.append(value)
        return tuple(reversed(found))

    def remove(self, values: Integers, measures: Floats) -> None:
        """Take rows out of the sums."""
        self.sums -= _summed(self.places(values), measures, self.sums.shape[1])


class Lattice:
    """The cuboids of a table.

    Parameters
    ----------
    values
        A row is a dimension, a column is a row of the table: the number of its value.
    sizes
        The number of values of each dimension.
    measures
        A row is a measure, a column is a row of the table.
    depth
        The largest number of dimensions of a cuboid.
    """

    def __init__(self, values: Integers, sizes: Sequence[int], measures: Floats, depth: int) -> None:
        self.cuboids: list[Cuboid] = []
        known: dict[frozenset[int], tuple[Integers, Floats]] = {}
        dimensions = range(len(sizes))
        whole = frozenset(dimensions)
        for layer in range(len(sizes), 0, -1):
            for axes in combinations(dimensions, layer):
                above = [known[one] for one in known if one > frozenset(axes)]
                rows, sums = min(above, key=lambda one: one[1].shape[1], default=(values, measures))
                cuboid, rows = self._build(axes, sizes, rows, sums)
                if frozenset(axes) != whole or rows.shape[1] < values.shape[1]:
                    known[frozenset(axes)] = rows, cuboid.sums
                if layer <= depth:
                    self.cuboids.append(cuboid)
        self.cuboids.reverse()  # few dimensions first

    @staticmethod
    def _build(
        axes: tuple[int, ...], sizes: Sequence[int], values: Integers, measures: Floats
    ) -> tuple[Cuboid, Integers]:
        """Return a cuboid, and the values of its groups as the rows of a table for further cuboids."""
        own = tuple(sizes[axis] for axis in axes)
        cuboid = Cuboid(axes, own, None, np.empty((len(measures), 0)))
        cells = 1
        for size in own:
            cells *= size
        codes = cuboid.codes(values)
        if cells <= _DENSE * values.shape[1] + 1_000:
            keys = np.arange(cells)
        else:
            keys, codes = np.unique(codes, return_inverse=True)
            cuboid.keys = keys
        cuboid.sums = _summed(codes, measures, len(keys))
        rows = np.zeros((len(sizes), len(keys)), dtype=np.int64)
        left = keys
        for axis, size in zip(reversed(axes), reversed(own), strict=True):
            left, rows[axis] = np.divmod(left, size)
        return cuboid, rows


def _summed(places: Integers, measures: Floats, groups: int) -> Floats:
    return np.stack([np.bincount(places, weights=measure, minlength=groups) for measure in measures])
