"""Find the smallest sets of values that explain why a measure deviates from what was expected.

The search compares all groups of all choices of dimensions by the likelihood that they have changed as a whole
(`frontierlab.diagnosis.deviations`), takes the best one, looks whether some of its parts explain it better, removes its
rows, and goes on until no group is significant among as many groups as were looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, log
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from frontierlab.diagnosis.deviations import Counts, Deviations, Relative
from frontierlab.diagnosis.lattice import Cuboid, Floats, Integers, Lattice
from frontierlab.errors import InvalidRequestError

__all__ = ["Noise", "localise"]

Measure: TypeAlias = "str | tuple[str, str]"
Noise = Literal["relative", "counts"]
"""How rows that have not changed differ from what was expected; see `localise`."""

_EACH = 2  # candidates of each cuboid that are looked at closely
_SURE = 3.0  # gain in log likelihood that a set needs beyond the price of the choice among all sets
_FEW = 20  # rows from which a spread can be taken
_FAR = 6.0  # spreads
_MOST_CELLS = 2**62


def localise(
    frame: pd.DataFrame,
    dimensions: Sequence[str],
    observed: Measure,
    expected: Measure,
    *,
    noise: Noise = "relative",
    dispersion: float = 1.0,
    least_share: float = 0.0,
    most: int = 20,
    depth: int | None = None,
) -> pd.DataFrame:
    """Find the smallest sets of values that explain why a measure deviates from what was expected.

    A set is named by a value of one or several dimensions, such as ``schema = A`` or ``schema = B, server = C``. The
    deviation has one direction, that of the total. Rows without an expected and an observed value are left out.

    Parameters
    ----------
    frame
        A row is a combination of values of all dimensions. Null is a value.
    dimensions
        The columns that name values.
    observed, expected
        The columns with the measure and with what was expected of it, not below 0. A mean or a rate is given as two
        columns ``(sum, count)``.
    noise
        ``relative``: a normal row differs from its expected value by a share that has the same spread in all rows.
        ``counts``: it differs as counts do, by the square root; not for a pair of columns.
    dispersion
        For ``counts``: the variance of a row divided by its expected value.
    least_share
        The smallest share of the whole deviation that a set must explain.
    most
        The largest number of sets.
    depth
        The largest number of dimensions that name a set; by default all.

    Returns
    -------
    pandas.DataFrame
        A row is a set; the one that explains most is first. No row if nothing deviates significantly.

        *dimensions* : the types of `frame`; null where the dimension does not belong to the name
        dimensions : string, the dimensions that name the set, separated by a blank
        rows : Int64, rows in the set that are not in a set found before
        observed, expected : Float64, their sums; for a pair, the quotients of the sums
        share : Float64, the share of the whole deviation that these rows explain; for a pair, of the deviation of the
            whole quotient. A set whose rows were removed before explains only the rest, so shares can be added
        gain : Float64, how much likelier the rows are with the change than without, as a natural logarithm

    Raises
    ------
    InvalidRequestError
        A column is missing, a value is negative or not finite, or an argument does not fit.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [(s, t, 100, 300 if s == "A" else 100) for s in "ABCD" for t in range(5)]
    >>> frame = pd.DataFrame(rows, columns=["schema", "task", "expected", "observed"])
    >>> localise(frame, ["schema", "task"], "observed", "expected")[["schema", "dimensions", "share"]]
      schema dimensions  share
    0      A     schema    1.0
    """
    names = list(dimensions)
    table = _Table.of(frame, names, observed, expected)
    model = _model(table, noise, dispersion, isinstance(observed, tuple))
    found = _Search(table, model, depth or len(names)).sets(most, least_share) if model is not None else []
    return _named(frame, names, table, found)


@dataclass(frozen=True)
class _Table:
    """The rows that have a value, as numbers."""

    rows: Integers  # places in the frame
    values: Integers  # a row is a dimension
    sizes: tuple[int, ...]
    observed: Floats
    expected: Floats
    share: Floats  # each row's part of the whole deviation
    parts: tuple[Floats, Floats, Floats, Floats] | None  # of a pair: both columns observed, both expected

    @classmethod
    def of(cls, frame: pd.DataFrame, names: list[str], observed: Measure, expected: Measure) -> _Table:
        if isinstance(observed, tuple) != isinstance(expected, tuple):
            raise InvalidRequestError("observed and expected must both be one column, or both be a pair (sum, count).")
        pair = (observed, "") if isinstance(observed, str) else observed
        other = (expected, "") if isinstance(expected, str) else expected
        columns = [name for name in (*names, *pair, *other) if name]
        missing = [name for name in columns if name not in frame]
        if missing or not names or len(set(names)) < len(names):
            raise InvalidRequestError(
                f"localise needs different dimensions and columns of the frame; missing: {missing or 'none'}. The "
                f"frame has: {', '.join(map(str, frame.columns))}."
            )
        numbers = [_numbers(frame, name) for name in (*pair, *other) if name]
        if len(numbers) == 2:
            seen, normal = numbers
            given = (seen + normal) > 0
            parts = None
            deviation = seen - normal
            share = deviation / deviation.sum() if deviation.sum() else np.zeros_like(deviation)
        else:
            a, b, c, d = numbers
            given = ((a + c) > 0) & (b > 0) & (d > 0)
            seen, normal = _divided(a, b), _divided(c, d)
            parts = (a[given], b[given], c[given], d[given])
            share = _share_of_quotient(*numbers)
        rows = np.flatnonzero(given)
        codes = [pd.factorize(frame[name], use_na_sentinel=False) for name in names]
        values = np.stack([code[rows].astype(np.int64) for code, _ in codes])
        sizes = tuple(max(1, len(distinct)) for _, distinct in codes)
        if np.prod([float(size) for size in sizes]) > _MOST_CELLS:
            raise InvalidRequestError("These dimensions have too many combinations of values: leave one out.")
        return cls(rows, values, sizes, seen[rows], normal[rows], share[rows], parts)


def _numbers(frame: pd.DataFrame, name: str) -> Floats:
    values = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    if not np.isfinite(values).all() or (values < 0).any():
        raise InvalidRequestError(f"{name} holds a value that is negative or not finite: give numbers from 0.")
    return np.asarray(values)


def _divided(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _share_of_quotient(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    """Return each row's part of the deviation of a/b from c/d, in first order (Adtributor, NSDI 2014, section 4.2)."""
    whole, under = c.sum(), d.sum()
    if under == 0:
        return np.zeros_like(a)
    part = ((a - c) * under - (b - d) * whole) / np.where(under + b - d > 0, under * (under + b - d), np.inf)
    return part / part.sum() if part.sum() else np.zeros_like(part)


def _model(table: _Table, noise: str, dispersion: float, quotient: bool) -> Deviations | None:
    if noise not in ("relative", "counts") or (noise == "counts" and quotient) or not dispersion > 0:
        raise InvalidRequestError(
            f"noise={noise!r}, dispersion={dispersion!r}: noise is relative, or counts for measures of one column; "
            "dispersion is above 0."
        )
    if not len(table.rows):
        return None
    if table.parts is None:
        upwards = table.observed.sum() > table.expected.sum()
    else:
        a, b, c, d = (part.sum() for part in table.parts)
        upwards = a * d > c * b
    if noise == "counts":
        return Counts(table.observed, table.expected, bool(upwards), dispersion)
    deviation = 2 * (table.observed - table.expected) / (table.observed + table.expected)
    deviation = deviation if upwards else -deviation
    return Relative(deviation, *_noise_of(deviation))


def _noise_of(deviation: Floats) -> tuple[float, float]:
    """Return the spread of normal rows and the share far outside, from the side to which no cause moves rows."""
    other = -deviation[deviation < 0]
    if len(other) < _FEW:
        return float(1.4826 * np.median(np.abs(deviation - np.median(deviation)))), 0.0
    spread = float(np.quantile(other, 0.6827))
    return spread, float((other > _FAR * spread).mean())


@dataclass(frozen=True)
class _Set:
    axes: tuple[int, ...]
    values: tuple[int, ...]
    gain: float
    rows: Integers  # places in the table


class _Search:
    """The search for sets; rows that were explained are removed."""

    def __init__(self, table: _Table, model: Deviations, depth: int) -> None:
        self._table, self._model = table, model
        self._lattice = Lattice(table.values, table.sizes, model.measures, depth)
        self._left = np.arange(len(table.rows))

    def sets(self, most: int, least_share: float) -> list[_Set]:
        found: list[_Set] = []
        while len(found) < most and len(self._left):
            best = self._best()
            if best is None:
                break
            while (part := self._part_of(best)) is not None:
                best = part
            self._remove(best.rows)
            if self._table.share[best.rows].sum() >= least_share:
                found.append(best)
        return found

    def _price(self, cuboid: Cuboid) -> float:
        """Return the gain that the best of so many sets without a change could have."""
        dimensions = len(self._table.sizes)
        groups = cuboid.sums.shape[1] if cuboid.keys is not None else min(cuboid.sums.shape[1], len(self._table.rows))
        return _SURE + log(max(groups, 1)) + log(comb(dimensions, len(cuboid.axes))) + log(dimensions)

    def _best(self) -> _Set | None:
        """Return the set with the largest gain beyond its price."""
        candidates: list[tuple[float, Cuboid, int]] = []
        for cuboid in self._lattice.cuboids:
            gains = self._model.gain(cuboid.sums) - self._price(cuboid)
            places = np.argpartition(gains, -_EACH)[-_EACH:] if len(gains) > _EACH else np.arange(len(gains))
            candidates += [(float(gains[place]), cuboid, int(place)) for place in places if gains[place] > 0]
        best: _Set | None = None
        for rough, cuboid, place in sorted(candidates, key=lambda one: -one[0]):
            if best is not None and rough < 0.3 * best.gain:
                break
            one = self._measured(cuboid, place)
            if one is not None and (best is None or one.gain > best.gain):
                best = one
        return best

    def _measured(self, cuboid: Cuboid, place: int) -> _Set | None:
        values = cuboid.values_of(place)
        rows = self._rows_of(cuboid.axes, values, self._left)
        if not len(rows):
            return None
        gain = self._model.gain_of(self._model.measures[:, rows]) - self._price(cuboid)
        return _Set(cuboid.axes, values, gain, rows) if gain > 0 else None

    def _rows_of(self, axes: tuple[int, ...], values: tuple[int, ...], rows: Integers) -> Integers:
        for axis, value in zip(axes, values, strict=True):
            rows = rows[self._table.values[axis][rows] == value]
        return rows

    def _part_of(self, whole: _Set) -> _Set | None:
        """Return the best part of a set, if some parts that have changed explain it better than the whole does."""
        measures = self._model.measures[:, whole.rows]
        evidence = self._model.evidence(measures)
        values = self._table.values[:, whole.rows]
        target = evidence.sum() - self._price_of(whole.axes)
        best: tuple[float, Cuboid, int] | None = None
        better = False
        for cuboid in self._lattice.cuboids:
            if not set(cuboid.axes) > set(whole.axes):
                continue
            codes, places = np.unique(cuboid.codes(values), return_inverse=True)
            gains = np.bincount(places, weights=evidence) - self._price(cuboid)
            better = better or float(gains[gains > 0].sum()) > target
            largest = int(np.argmax(gains))
            # Of all cuboids: the one whose parts explain most can cut through sets that others name as a whole.
            if best is None or gains[largest] > best[0]:
                code = codes[largest]
                place = int(code if cuboid.keys is None else np.searchsorted(cuboid.keys, code))
                best = float(gains[largest]), cuboid, place
        return self._measured(best[1], best[2]) if better and best is not None else None

    def _price_of(self, axes: tuple[int, ...]) -> float:
        return next(self._price(cuboid) for cuboid in self._lattice.cuboids if cuboid.axes == axes)

    def _remove(self, rows: Integers) -> None:
        values, measures = self._table.values[:, rows], self._model.measures[:, rows]
        for cuboid in self._lattice.cuboids:
            cuboid.remove(values, measures)
        self._left = np.setdiff1d(self._left, rows, assume_unique=True)


def _named(frame: pd.DataFrame, names: list[str], table: _Table, found: list[_Set]) -> pd.DataFrame:
    """Return the frame of the sets, the one that explains most first."""
    found = sorted(found, key=lambda one: -float(table.share[one.rows].sum()))
    columns: dict[str, object] = {}
    for axis, name in enumerate(names):
        places = [int(table.rows[one.rows[0]]) if axis in one.axes else -1 for one in found]
        taken = frame[name].reset_index(drop=True)
        columns[name] = taken.reindex(places).reset_index(drop=True) if found else taken.iloc[:0]
    columns["dimensions"] = pd.array([" ".join(names[axis] for axis in one.axes) for one in found], dtype="string")
    columns["rows"] = pd.array([len(one.rows) for one in found], dtype="Int64")
    if table.parts is None:
        seen = [float(table.observed[one.rows].sum()) for one in found]
        normal = [float(table.expected[one.rows].sum()) for one in found]
    else:
        a, b, c, d = table.parts
        seen = [float(a[one.rows].sum() / b[one.rows].sum()) for one in found]
        normal = [float(c[one.rows].sum() / d[one.rows].sum()) for one in found]
    columns["observed"] = pd.array(seen, dtype="Float64")
    columns["expected"] = pd.array(normal, dtype="Float64")
    columns["share"] = pd.array([float(table.share[one.rows].sum()) for one in found], dtype="Float64")
    columns["gain"] = pd.array([one.gain for one in found], dtype="Float64")
    return pd.DataFrame(columns)
