"""Failed and rejected queries: rates that rise against those of the same task, folder, server or site."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from frontierlab.diagnosis.finding import Finding
from frontierlab.diagnosis.scan import Best, burst, of_counts, scan
from frontierlab.diagnosis.series import Clock, Floats, Series, quantile_of_some

__all__ = ["failures", "rejections"]

LEAST_FACTOR = 2.0
_LEAST_OF_LONG = 8.0  # of what fills more than half of the data
LEAST_GAIN = 30.0
LEAST_SHARE = 0.012
"""The least share of the day's failures, beyond what was expected."""

_PRIOR = 20.0  # queries with the rate of all, that a group's own rate is counted with
_PARTS = 12
_MOST_OF = 0.8  # a rate that is high for more than this share of a group's queries is its normal one
_FLOOR = 0.02  # failures that are always expected in a bin
_MOST = 12
_DISPERSION = 1.5
_NAMELESS = 0.5  # of the failed queries of a site or server name no task
_LEAST_OF_NAMELESS = 3.5  # times: tasks that fail more than others come and go there, and cannot be told apart
_HOLDS = 0.85
_FEWEST = 3.0
_BY = (("taskid",), ("db", "schema", "nodefullpath"), ("frontierserver",), ("computingsite",))


@dataclass
class _Groups:
    """The groups of some names: their queries, and which group each row of other frames belongs to.

    Arrays have a column for each bin of the baseline, if there is one, and then for each bin of the data.
    """

    names: tuple[str, ...]
    series: Series
    queries: Floats

    @classmethod
    def of(cls, frame: pd.DataFrame, names: tuple[str, ...], clock: Clock) -> _Groups:
        series = Series(frame, names, clock)
        usual, queries = series.usual("queries"), series["queries"]
        return cls(names, series, queries if usual is None else np.concatenate([usual, queries], axis=1))

    def spread(
        self, rows: pd.DataFrame, values: np.ndarray, clock: Clock, place: NDArray[np.int64] | None = None
    ) -> Floats:
        """Return the series of values of rows; `place` is their `place_of`, if it is known."""
        place = self.place_of(rows) if place is None else place
        at = clock.places(rows) + len(clock.before)
        given = place >= 0
        shape = self.queries.shape
        flat = place[given] * shape[1] + at[given]
        return np.asarray(np.bincount(flat, values[given], shape[0] * shape[1]), dtype=np.float64).reshape(shape)

    @cached_property
    def _named(self) -> pd.DataFrame:
        """The groups that lack no name, with their numbers."""
        return self.series.labels.dropna().reset_index(names="place")

    def place_of(self, rows: pd.DataFrame) -> NDArray[np.int64]:
        """Return the group of each row; -1 where a name is missing."""
        found = rows[list(self.names)].merge(self._named, on=list(self.names), how="left")["place"]
        return found.fillna(-1).to_numpy(dtype=np.int64)


def failures(cubes: dict[str, pd.DataFrame], clock: Clock) -> list[Finding]:
    """Return where queries lost their client, or ended in an error, more often than usual.

    Parameters
    ----------
    cubes
        The results of the statements: ``tasks``, ``folders``, ``servers`` and ``sites`` count the queries, ``failures``
        the failed ones with all these names, ``exposed`` all queries of the tasks that fail most.
    clock
        The bins.
    """
    others = [cubes[name] for name in ("folders", "servers", "sites")]
    failing = set(cubes["failures"]["taskid"].dropna())
    tasks = cubes["tasks"][cubes["tasks"]["taskid"].isin(failing)].reset_index(drop=True)
    every = [_Groups.of(frame, names, clock) for frame, names in zip((tasks, *others), _BY, strict=True)]
    failed, exposed = cubes["failures"], cubes["exposed"]
    if failed.empty:
        return []
    # groups are looked up once for both forms, which takes most of the time
    places = [one.place_of(failed) for one in every]
    exposed_places = [one.place_of(exposed) for one in every]
    found: list[Finding] = []
    for how in ("disconn", "procerror"):
        some = (failed[how] > 0).to_numpy(dtype=bool)
        if some.any():
            rows = failed[some].reset_index(drop=True)
            form = _OneForm(how, rows, [place[some] for place in places], exposed, exposed_places, every, clock)
            found += form.findings()
    return found


class _OneForm:
    """The search for one form of failures."""

    def __init__(
        self,
        how: str,
        rows: pd.DataFrame,
        places: list[NDArray[np.int64]],
        exposed: pd.DataFrame,
        exposed_places: list[NDArray[np.int64]],
        every: list[_Groups],
        clock: Clock,
    ) -> None:
        self._how, self._rows, self._every, self._clock = how, rows, every, clock
        self._number = rows[how].to_numpy(dtype=float)
        self._at = clock.places(rows)
        self._places = places
        self._least = max(20.0, LEAST_SHARE * self._number[self._at >= 0].sum())
        tasks = every[0]
        rate = _normal(tasks.spread(rows, self._number, clock, self._places[0]), tasks.queries, clock, steady=False)
        known = set(exposed["taskid"].dropna().unique())
        self._of_known = rows["taskid"].isin(known).to_numpy(dtype=bool)
        # the failures that the tasks which always fail have in other groups, and the queries of all other tasks
        of_task = exposed_places[0]
        count = exposed["queries"].to_numpy(dtype=float)
        carried = np.where(of_task >= 0, rate[of_task], 0.0) * count
        placed = list(zip(every, exposed_places, strict=True))
        self._carried = [one.spread(exposed, carried, clock, place) for one, place in placed]
        self._nameless = [self._name_no_task(which) for which in range(len(every))]
        self._others = [(one.queries - one.spread(exposed, count, clock, place)).clip(0) for one, place in placed]

    def _name_no_task(self, which: int) -> NDArray[np.bool_]:
        """Return the groups of which most failed queries name no task, though others' do."""
        size, place = len(self._every[which].series), self._places[which]
        nameless = self._rows["taskid"].isna().to_numpy(dtype=bool)
        if which == 0 or nameless.all():
            return np.zeros(size, dtype=bool)
        given = place >= 0
        failed = np.bincount(place[given], self._number[given], size)
        without = np.bincount(place[given], self._number[given] * nameless[given], size)
        return np.asarray(without > _NAMELESS * failed)

    def findings(self) -> list[Finding]:
        found: list[Finding] = []
        while len(found) < _MOST:
            best: tuple[Best, float, float, int] | None = None
            for which, groups in enumerate(self._every):
                candidate = self._of_groups(which, groups)
                if candidate is not None and (best is None or candidate[0].gain > best[0].gain):
                    best = (*candidate, which)
            if best is None:
                break
            one, there, normal, which = best
            names, labels = self._every[which].names, self._every[which].series.labels
            scope = {name: labels[name].iloc[one.row] for name in names}
            found.append(
                Finding("failures", scope, one.start, one.stop, normal, there, "failed queries", one.gain, self._how)
            )
            explained = (self._places[which] == one.row) & (self._at >= max(0, one.start - 1))
            explained &= self._at < one.stop + 1
            self._number = np.where(explained, self._number * normal / there, self._number)
        return found

    def _of_groups(self, which: int, one: _Groups) -> tuple[Best, float, float] | None:
        clock, now = self._clock, slice(len(self._clock.before), None)
        place = self._places[which]
        seen = one.spread(self._rows, self._number, clock, place)
        if which == 0:
            expected = _normal(seen, one.queries, clock, steady=False)[:, None] * one.queries
        else:
            rest = one.spread(self._rows, np.where(self._of_known, 0.0, self._number), clock, place)
            others = self._others[which]
            expected = _normal(rest, others, clock)[:, None] * others + self._carried[which]
        nameless, best = self._nameless[which], None
        for some, factor in ((~nameless, LEAST_FACTOR), (nameless, _LEAST_OF_NAMELESS)):
            values = (seen[some][:, now], expected[some][:, now], one.queries[some][:, now])
            found = _rising(*values, self._least, clock, factor)
            if found is not None and (best is None or found[0].gain > best[0].gain):
                best = (replace(found[0], row=int(np.flatnonzero(some)[found[0].row])), *found[1:])
        return best


def _rising(
    seen: Floats,
    expected: Floats,
    queries: Floats,
    least: float,
    clock: Clock,
    factor: float = LEAST_FACTOR,
) -> tuple[Best, float, float] | None:
    """Return the clearest rise above what is expected, with the failures seen and expected."""
    large = np.flatnonzero(seen.sum(axis=1) >= least)
    if not len(large):
        return None
    seen, expected, queries = seen[large], expected[large] + _FLOOR, queries[large]
    # tasks with other rates come and go, so the number that fails varies more than by chance
    evidence = of_counts(seen, expected, _DISPERSION)
    one = scan(evidence, factor)
    if one is None or one.gain < LEAST_GAIN:
        return None
    one = burst(evidence, one)
    there = float(seen[one.row, one.start : one.stop].sum())
    normal = float(expected[one.row, one.start : one.stop].sum())
    asked = queries[one.row]
    most = asked.sum() * (1.0 if clock.before else _MOST_OF)
    if not clock.knows_direction(one.stop - one.start) and there < _LEAST_OF_LONG * normal:
        return None
    if there - normal < least or asked[one.start : one.stop].sum() > most:
        return None
    return Best(int(large[one.row]), one.start, one.stop, one.factor, one.gain), there, normal


def _normal(seen: Floats, queries: Floats, clock: Clock, quantile: float = 0.28, *, steady: bool = True) -> Floats:
    """Return the normal rate of each group: that of the baseline where that has its queries, else of the data."""
    before = len(clock.before)
    own = _rate(seen[:, before:], queries[:, before:], quantile, steady=steady)
    if not before:
        return own
    known = queries[:, :before].sum(axis=1) >= _PARTS * _PRIOR
    return np.where(known, _rate(seen[:, :before], queries[:, :before], clock.quantile(quantile), steady=steady), own)


def _rate(seen: Floats, queries: Floats, quantile: float, *, steady: bool) -> Floats:
    """Return the usual rate of each group: a low quantile of the rates of parts with the same number of queries.

    A task that always fails has that rate in all parts, however unevenly it asks; it is not `steady`: the parts of its
    queries and those of the time must both be low. Of others one of them is enough, since most of their queries can be
    in the time of an incident.
    """
    overall = seen.sum() / max(queries.sum(), 1.0)
    before = np.cumsum(queries, axis=1)
    part = np.minimum((before - queries / 2) * _PARTS / np.maximum(before[:, -1:], 1.0), _PARTS - 1).astype(np.int64)
    n, k = _by_part(part, queries), _by_part(part, seen)
    own = np.minimum(overall, k.sum(axis=1) / np.maximum(n.sum(axis=1), 1.0))
    prior = np.where(overall * n.mean(axis=1) < 1, overall, own)[:, None]
    of_asked = np.quantile((k + prior * _PRIOR) / (n + _PRIOR), quantile, axis=1)
    hours = np.arange(queries.shape[1]) * _PARTS // queries.shape[1]
    hour = np.broadcast_to(hours, queries.shape)
    n, k = _by_part(hour, queries), _by_part(hour, seen)
    some = n > 0.02 * n.sum(axis=1, keepdims=True)
    of_time = quantile_of_some((k + prior * _PRIOR) / (n + _PRIOR), some, quantile - 0.08)
    both = np.minimum(of_asked, of_time) if steady else np.maximum(of_asked, of_time)
    return np.asarray(np.where(some.any(axis=1), both, of_asked), dtype=np.float64)


def _by_part(part: NDArray[np.int64], values: Floats) -> Floats:
    """Return the sums of the values of each row by part."""
    rows = np.arange(len(part))[:, None]
    sums = np.bincount((rows * _PARTS + part).ravel(), values.ravel(), len(part) * _PARTS)
    return np.asarray(sums, dtype=np.float64).reshape(len(part), _PARTS)


def rejections(servers: pd.DataFrame, clock: Clock) -> list[Finding]:
    """Return where servers were too busy to answer: one server, or all of them."""
    groups = _Groups.of(servers, ("frontierserver",), clock)
    series, queries, before = groups.series, groups.queries, len(clock.before)
    seen = groups.spread(servers, servers["rejected"].to_numpy(dtype=float), clock)
    usable = series.labels["frontierserver"].notna().to_numpy()[:, None]
    least = max(20.0, LEAST_SHARE * seen[:, before:].sum())
    found: list[Finding] = []
    while len(found) < _MOST:
        single = _deviating(seen * usable, queries, clock, least)
        whole = _deviating(seen.sum(axis=0, keepdims=True), queries.sum(axis=0, keepdims=True), clock, least)
        if single is None and whole is None:
            break
        everywhere = whole is not None and (single is None or whole[0].gain > single[0].gain)
        if single is not None and whole is not None and everywhere:
            everywhere = _is_even(seen[:, before:], queries[:, before:], whole[0])
        best = whole if everywhere else single
        assert best is not None
        one, there, normal = best
        span = slice(before + max(0, one.start - 1), before + one.stop + 1)
        held = seen[:, before + one.start : before + one.stop].sum(axis=1)
        if everywhere and held.max() >= _HOLDS * held.sum():  # one server alone
            everywhere, row = False, int(held.argmax())
        else:
            row = one.row
        rows = slice(None) if everywhere else slice(row, row + 1)
        scope: dict[str, Any] = {} if everywhere else {"frontierserver": series.labels["frontierserver"][row]}
        found.append(Finding("rejections", scope, one.start, one.stop, normal, there, "rejected queries", one.gain))
        seen[rows, span] *= normal / there
    return found


def _is_even(seen: Floats, queries: Floats, one: Best) -> bool:
    """Return whether most servers have their part: of the rejected queries as much as of all, more or less."""
    held, asked = (values[:, one.start : one.stop].sum(axis=1) for values in (seen, queries))
    some = asked * held.sum() > _FEWEST * asked.sum()  # servers that should have a few of them
    part = held[some] > 0.3 * asked[some] * held.sum() / asked.sum()
    return bool(some.sum() < 2 or part.mean() > 0.6)


def _deviating(seen: Floats, queries: Floats, clock: Clock, least: float) -> tuple[Best, float, float] | None:
    """Return the clearest rise above the groups' own usual rates."""
    expected, now = _normal(seen, queries, clock, 0.25)[:, None] * queries, slice(len(clock.before), None)
    return _rising(seen[:, now], expected[:, now], queries[:, now], least, clock)
