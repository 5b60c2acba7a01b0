"""What the queries of a scope cost, by time: from what was read already, or else asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from frontierlab.diagnosis.finding import Finding
from frontierlab.diagnosis.held import AT_ONCE, Held, between, members
from frontierlab.diagnosis.reading import Reading, plain
from frontierlab.diagnosis.series import Floats, Series
from frontierlab.engines.logs import Logs
from frontierlab.selection import Selection

__all__ = ["Scopes"]

_HOLDING = {
    "folders": ["db", "schema", "nodefullpath", "tagname"],
    "servers": ["frontierserver"],
    "sites": ["computingsite"],
    "tasks": ["taskid"],
}
_MOST_NAMED, _LEAST_NAMED = 3, 0.1  # tasks that are told of an incident that names none


class Scopes(Reading):
    """The counts of scopes of some logs.

    A scope is asked for once; several can be asked for together (`prepare`).

    Parameters
    ----------
    logs
        The logs.
    selection
        The queries that are asked about.
    """

    cubes: dict[str, pd.DataFrame]
    """What was counted by time and some names of all queries; see `frontierlab.diagnosis.evidence.CUBES`."""

    def __init__(self, logs: Logs, selection: Selection) -> None:
        super().__init__(logs, selection)
        self.cubes = {}
        self._args: dict[str, int] = {}  # of the bins, for statements
        self._held: list[Held] = []

    def prepare(
        self,
        scopes: Iterable[Mapping[str, Any]],
        *by: str,
        start: int | None = None,
        stop: int | None = None,
    ) -> None:
        """Count several scopes at once, so that `history` and `inside` need not ask for each.

        Parameters
        ----------
        scopes
            The scopes.
        *by
            Names that the counts are parted by: ``frontierserver``, ``taskid``.
        start, stop
            The bins ``[start, stop)``; by default all, and those of the baseline.
        """
        wanted: list[Mapping[str, Any]] = []
        for scope in scopes:
            if scope and scope not in wanted:
                wanted.append(scope)
        limits = None if start is None or stop is None else (max(0, start), stop)
        for first in range(0, len(wanted), AT_ONCE):
            some = [{name: plain(value) for name, value in one.items()} for one in wanted[first : first + AT_ONCE]]
            number, values = members(some)
            given = {**self._args, **values}
            named = ", ".join(by)
            edges: tuple[int | None, int | None] = (None, None)
            if limits is None:
                frame = self.count("MEMBERS", given, members=number, by=named)
            else:
                frame = self.ask("MEMBERS", given, self._between(*limits), members=number, by=named)
                edges = self._edges(*limits)
            bits = frame["members"].to_numpy(dtype=np.int64)
            for place, scope in enumerate(some):
                self._held.append(Held(scope, *edges, by, frame[(bits >> place) & 1 == 1]))

    def largest_tasks(self, finding: Finding) -> dict[int, float]:
        """Return the tasks that sent most queries of a finding, at most `_MOST_NAMED`, with their shares of these.

        Small tasks are left out, of less than a tenth.
        """
        frame = self.inside(finding.scope, finding.start, finding.stop, "taskid")
        counts = frame.groupby("taskid")["queries"].sum()
        shares = (counts / max(float(frame["queries"].sum()), 1.0)).nlargest(_MOST_NAMED)
        tasks = shares[shares >= _LEAST_NAMED]
        return dict(zip((int(task) for task in tasks.index.tolist()), tasks.tolist(), strict=True))

    def history(self, scope: Mapping[str, Any]) -> pd.DataFrame:
        """Return what the queries of a scope cost, a row a bin and some other names; the baseline's too.

        It is read from a cube that has these names, or from what was counted already, or else asked for.
        """
        for name, columns in _HOLDING.items():
            if {*scope} <= {*columns}:
                return self._of_cube(name, scope)
        for held in self._held:
            if held.scope == scope and held.start is None:
                return held.frame
        return self.count("HISTORY", self._args, scope, by="frontierserver")

    def inside(self, scope: Mapping[str, Any], start: int, stop: int, by: str) -> pd.DataFrame:
        """Return what the queries of a scope cost in the bins ``[start, stop)``, a row a bin and a value of `by`.

        It is read from what was counted already, or else asked for, with a bin more on both sides, and kept.
        """
        start = max(0, start)
        edges = self._edges(start, stop)
        if by == "frontierserver" and {*scope} <= {by}:
            return between(self._of_cube("servers", scope), *edges)
        for held in self._held:
            if (found := held.part(scope, *edges, by)) is not None:
                return found
        wider = max(0, start - 1), stop + 1
        selection = self._between(*wider).but(**{name: plain(value) for name, value in scope.items()})
        frame = self.ask("HISTORY", self._args, selection, by=by)
        self._held.append(Held(scope, *self._edges(*wider), (by,), frame))
        return self.inside(scope, start, stop, by)

    def _of_cube(self, name: str, scope: Mapping[str, Any]) -> pd.DataFrame:
        cube = self.cubes[name]
        mask = np.ones(len(cube), dtype=bool)
        for column, value in scope.items():
            mask &= (cube[column] == value).fillna(False).to_numpy(dtype=bool)
        return cube[mask]

    def _edges(self, start: int, stop: int) -> tuple[int, int]:
        return self.clock.start + self.clock.bin_ms * start, self.clock.start + self.clock.bin_ms * stop

    def _between(self, start: int, stop: int) -> Selection:
        """Return the diagnosed queries in the bins ``[start, stop)``."""
        since, until = (self.clock.time(at).to_pydatetime() for at in (max(0, start), stop))
        chosen = self.selection
        return chosen.but(
            since=since if chosen.since is None else max(since, chosen.since),
            until=until if chosen.until is None else min(until, chosen.until),
        )

    def by_server(self, scope: Mapping[str, Any], start: int, stop: int) -> Floats:
        """Return the queries of a scope by server, in the order of the servers' names, and bin; 0 in other bins."""
        frame = self.inside(scope, start, stop, "frontierserver")
        names = self._servers.labels["frontierserver"]
        place = frame["frontierserver"].map({name: row for row, name in enumerate(names)})
        known = place.notna().to_numpy()
        flat = place[known].to_numpy(dtype=np.int64) * self.clock.bins + self.clock.places(frame)[known]
        values = frame["queries"].to_numpy(dtype=np.float64)[known]
        sums = np.bincount(flat, values, len(names) * self.clock.bins)
        return np.asarray(sums, dtype=np.float64).reshape(len(names), -1)

    @cached_property
    def _servers(self) -> Series:
        return Series(self.cubes["servers"], ("frontierserver",), self.clock)

    @cached_property
    def server_names(self) -> pd.Series[Any]:
        """The names of the servers, in order; queries without one come after them."""
        return self._servers.labels["frontierserver"].dropna()

    @property
    def server_shares(self) -> Floats:
        """The share of all queries that each server has, in the order of the servers' names."""
        queries = self._servers["queries"].sum(axis=1)
        return np.asarray(queries / max(queries.sum(), 1.0))
