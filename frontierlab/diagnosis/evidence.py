"""What is read of a dataset for a diagnosis: the results of the statements, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from frontierlab.diagnosis.baselines import Baseline, baseline_of
from frontierlab.diagnosis.different import Different, count_different
from frontierlab.diagnosis.finding import Finding
from frontierlab.diagnosis.held import AT_ONCE, Held, between, members
from frontierlab.diagnosis.reading import Ints, Reading, plain
from frontierlab.diagnosis.series import Clock, Floats, Series
from frontierlab.engines.keeping import kept
from frontierlab.engines.logs import Logs
from frontierlab.errors import InvalidRequestError
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.storage.spans import Span, span_of

__all__ = ["BIN_MS", "CUBES", "Evidence", "MOST_BINS"]

BIN_MS = 300_000
"""The width of a bin in ms; a multiple of it if the data would have more than `MOST_BINS` bins."""

MOST_BINS = 576
"""The largest number of bins: two days of five minutes."""

_PLAIN = ("folders", "servers", "misses", "tasks", "failures")

CUBES = (*_PLAIN, "sites", "exposed", "fresh", "first_misses", "repeats")
"""The results that a search reads, by name."""

_FOLDER = ["db", "schema", "nodefullpath", "tagname"]
_ASKER = ["computingsite", "squid"]
_HOLDING = {"folders": _FOLDER, "servers": ["frontierserver"], "sites": ["computingsite"], "tasks": ["taskid"]}
_LEAST_REPEATS = 0.002  # of all queries
_MOST_KEYS = 400
_MOST_TASKS = 60
_MOST_NAMED, _LEAST_NAMED = 3, 0.1  # tasks that are told of an incident that names none


class Evidence(Reading):
    """The counts of some logs that a diagnosis reads.

    Parameters
    ----------
    logs
        The logs.
    selection
        The queries that are diagnosed.
    told
        Called with a word before each statement.
    baseline
        What the normal is taken from, if not from the logs themselves. The cubes have its rows too, in bins before
        those of the logs.
    settings
        The settings that name the data folder, for a baseline.

    Raises
    ------
    InvalidRequestError
        The selection has no queries, or the baseline has none of them or is not valid.
    """

    def __init__(
        self,
        logs: Logs,
        selection: Selection,
        told: Callable[[str], object] = lambda word: None,
        baseline: Baseline | None = None,
        settings: Settings | None = None,
    ) -> None:
        super().__init__(logs, selection)
        told("period")
        period = self.ask("PERIOD", {})
        self.queries = int(period["queries"].iloc[0])
        if not self.queries:
            raise InvalidRequestError(f"There are no queries{_of(selection)}: nothing can be diagnosed.")
        since, until = _limits(logs, selection, period)
        start, stop = (pd.Timestamp(when).value // 1_000_000 for when in (since, until))
        width = BIN_MS * max(1, -(-(stop - start) // (BIN_MS * MOST_BINS)))
        start -= start % width
        self.until = pd.Timestamp(until).ceil("min")
        self._args = {"start": start, "bin_ms": width}
        self.notes: tuple[str, ...] = ()
        self.pieces = []
        if baseline is not None:
            told("baseline")
            whole = baseline_of(logs, selection, baseline, Span(start, stop), settings)
            self.notes = whole.notes
            self.pieces = [(piece, _bins_within(piece.spans, start, width)) for piece in whole.pieces]
        before = [int(bin_) for _, bins in self.pieces for bin_ in bins]
        self.clock = Clock(start, width, max(1, -(-(stop - start) // width)), tuple(before))
        self.cubes: dict[str, pd.DataFrame] = {}
        for name in _PLAIN:
            told(name)
            self.cubes[name] = self.count(name.upper(), self._args)
        if baseline is not None and (self.cubes["folders"]["bin"] >= start).all():
            raise InvalidRequestError(
                f"The baseline has no queries{_of(selection)} before the diagnosed time: it says nothing of what is "
                "normal. Give datasets of an earlier time."
            )
        self._held: list[Held] = []
        told("sites")
        self.cubes["sites"] = self._sites()
        told("exposed")
        self.cubes["exposed"] = self._exposed()
        told("fresh")
        different = self._different()
        for name in ("fresh", "first_misses"):
            told(name)
            self.cubes[name] = self._named(getattr(different, name))
        told("repeats")
        self.cubes["repeats"] = self._repeats(different.repeated)
        for name, column in (("folders", "folder"), ("misses", "asker")):
            del self.cubes[name][column]

    def _different(self) -> Different:
        """Return the different queries: where each was first asked for, in the data and in each piece of a baseline."""
        least = max(30, int(_LEAST_REPEATS * self.queries))
        found = self._different_of(self._logs, self.selection, self.queries, least)
        frames = {name: [getattr(found, name)] for name in ("fresh", "first_misses")}
        for piece, bins, first in self.earlier():
            queries = int(self.ask("PERIOD", {}, piece.selection, piece.logs)["queries"].iloc[0])
            earlier = self._different_of(piece.logs, piece.selection, queries, least)
            for name, each in frames.items():
                each.append(self.moved(getattr(earlier, name), bins, first))
        return Different(
            **{name: pd.concat(each, ignore_index=True) for name, each in frames.items()}, repeated=found.repeated
        )

    def _different_of(self, logs: Logs, selection: Selection, queries: int, least: int) -> Different:
        @contextmanager
        def keep(source: Logs, name: str, args: dict[str, int], part: str) -> Iterator[list[Logs]]:
            ours = source is logs
            statement, values = self.statement_of(name, selection if ours else Selection())
            given = {**self._args, **args, **values} if ours else args
            with kept(source, statement, given, description=f"diagnosis: {name.lower()}", part=part) as (each, by):
                yield each
            self._by.append(by)

        def asked(source: Logs, name: str, args: dict[str, int]) -> pd.DataFrame:
            return self.ask(name, args, Selection(), source)

        return count_different(logs, queries, least, keep, asked)

    def _named(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return counts with the names of their folders or askers in place of the hashes."""
        cube, key, names = ("folders", "folder", _FOLDER) if "folder" in frame else ("misses", "asker", _ASKER)
        known = self.cubes[cube][[key, *names]].drop_duplicates(key)
        return frame.merge(known, on=key)[["bin", *names, "fresh"]]

    def _sites(self) -> pd.DataFrame:
        """Return the queries of each site: those of its Squids."""
        frame = self.cubes["misses"].drop(columns=["squid", "asker", "uncached"])
        return frame.groupby(["bin", "computingsite"], dropna=False).sum().reset_index()

    def _exposed(self) -> pd.DataFrame:
        """Return all queries of the tasks of which most queries failed: their failures follow them everywhere."""
        tasks = self.cubes["tasks"]
        failed = (
            tasks.assign(failed=tasks["disconn"] + tasks["procerror"]).groupby("taskid")[["failed", "queries"]].sum()
        )
        odd = failed["failed"] - 2 * failed["queries"] * (failed["failed"].sum() / max(failed["queries"].sum(), 1))
        most = odd[odd > 5].nlargest(_MOST_TASKS).index
        if not len(most):
            none = self.cubes["failures"].head(0).drop(columns=["disconn", "procerror"])
            return none.assign(queries=pd.Series(dtype="Int64"))
        values = {f"task_{place}": int(task) for place, task in enumerate(most)}
        return self.count("EXPOSED", {**self._args, **values}, tasks=", ".join(f":{name}" for name in values))

    def _repeats(self, repeated: pd.DataFrame) -> pd.DataFrame:
        """Return the queries by bin that one Squid of one site sent often without a cached answer."""
        columns = ["bin", *_FOLDER, *_ASKER, "queries"]
        keys = repeated.nlargest(_MOST_KEYS, "queries")
        if keys.empty:
            texts = {name: pd.Series(dtype="string") for name in columns[1:-1]}
            return pd.DataFrame({"bin": pd.Series(dtype="Int64"), **texts, "queries": pd.Series(dtype="Int64")})
        values = {f"query_{place}": int(value) for place, value in enumerate(keys["query"].unique())}
        named = ", ".join(f":{name}" for name in values)
        frame = self.count("REPEATS", {**self._args, **values}, queries=named)
        key = ["folder", "asker", "query"]
        return frame.merge(keys[key], on=key)[columns]

    def task_names(self, tasks: Iterable[int]) -> dict[int, str]:
        """Return the names of tasks, of several the last in the alphabet; one that the logs do not name is left out."""
        wanted = tuple(sorted({int(task) for task in tasks}))
        if not wanted:
            return {}
        found = self.ask("TASKNAMES", {}, self.narrowed({"taskid": wanted})).dropna().sort_values("taskname")
        return {int(task): str(name) for task, name in zip(found["taskid"], found["taskname"], strict=True)}

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

    @property
    def server_shares(self) -> Floats:
        """The share of all queries that each server has, in the order of the servers' names."""
        queries = self._servers["queries"].sum(axis=1)
        return np.asarray(queries / max(queries.sum(), 1.0))


def _bins_within(spans: Sequence[Span], start: int, width: int) -> Ints:
    """Return the starts of the bins that lie within spans with all their width."""
    found = []
    for span in spans:
        first, last = start - (start - span.start) // width * width, start + (span.stop - start) // width * width
        found.append(np.arange(first, last, width, dtype=np.int64))
    return np.concatenate(found)


def _limits(logs: Logs, selection: Selection, period: pd.DataFrame) -> tuple[Any, Any]:
    """Return when the data begins and ends: as it was extracted, because silence at the ends has no queries."""
    first, last = period["first"].iloc[0], period["last"].iloc[0] + pd.Timedelta(milliseconds=1)
    spans = [span for dataset in logs.datasets if (span := span_of(dataset)) is not None]
    whole = logs.period
    since = selection.since or (whole and whole.since) or (spans and _utc(min(span.start for span in spans))) or first
    until = selection.until or (whole and whole.until) or (spans and _utc(max(span.stop for span in spans))) or last
    return min(pd.Timestamp(since), first), max(pd.Timestamp(until), last)


def _utc(milliseconds: int) -> pd.Timestamp:
    return pd.Timestamp(milliseconds, unit="ms", tz="UTC")


def _of(selection: Selection) -> str:
    words = selection.in_words()
    return f" of the selection ({words})" if words else ""
