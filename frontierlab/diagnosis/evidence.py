"""What is read of a dataset for a diagnosis: the results of the statements, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from frontierlab.diagnosis import statements
from frontierlab.diagnosis.baselines import Baseline, Piece, baseline_of
from frontierlab.diagnosis.finding import Finding
from frontierlab.diagnosis.series import Clock, Floats, Series
from frontierlab.engines.asking import ANSWERED, Answered, answered, ask
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

Ints: TypeAlias = NDArray[np.int64]

_PLAIN = ("folders", "servers", "sites", "tasks", "failures", "fresh", "misses", "first_misses")

_FIRST = ("fresh", "first_misses")
_PART = 8_000_000  # queries of which the different ones are counted at once

CUBES = (*_PLAIN, "exposed", "repeats")
"""The results that a search reads, by name."""

_FOLDER = ["db", "schema", "nodefullpath", "tagname"]
_HOLDING = {"folders": _FOLDER, "servers": ["frontierserver"], "sites": ["computingsite"], "tasks": ["taskid"]}
_LEAST_REPEATS = 0.002  # of all queries
_MOST_KEYS = 400
_MOST_TASKS = 60
_MOST_NAMED, _LEAST_NAMED = 3, 0.1  # tasks that are told of an incident that names none


class Evidence:
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
        self._logs, self.selection = logs, selection
        self._by: list[Answered] = []
        told("period")
        period = self._ask("PERIOD", {})
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
        self._pieces: list[tuple[Piece, Ints]] = []
        if baseline is not None:
            told("baseline")
            whole = baseline_of(logs, selection, baseline, Span(start, stop), settings)
            self.notes = whole.notes
            self._pieces = [(piece, _bins_within(piece.spans, start, width)) for piece in whole.pieces]
        before = [int(bin_) for _, bins in self._pieces for bin_ in bins]
        self.clock = Clock(start, width, max(1, -(-(stop - start) // width)), tuple(before))
        self.cubes: dict[str, pd.DataFrame] = {}
        for name in _PLAIN:
            told(name)
            self.cubes[name] = self._first(name) if name in _FIRST else self._count(name.upper(), self._args)
        if baseline is not None and (self.cubes["folders"]["bin"] >= start).all():
            raise InvalidRequestError(
                f"The baseline has no queries{_of(selection)} before the diagnosed time: it says nothing of what is "
                "normal. Give datasets of an earlier time."
            )
        told("exposed")
        self.cubes["exposed"] = self._exposed()
        told("repeats")
        self.cubes["repeats"] = self._repeats()

    @property
    def answered(self) -> Answered:
        """What answered the statements."""
        return answered(*self._by)

    def _ask(
        self,
        name: str,
        args: Mapping[str, Any],
        selection: Selection | None = None,
        logs: Logs | None = None,
        **parts: str,
    ) -> pd.DataFrame:
        where, values = (selection or self.selection).where()
        statement = getattr(statements, name).format(where=where.replace("\n", "\n  "), **parts)
        tables = {"logs": logs or self._logs}
        frame = ask(tables, statement, {**args, **values}, description=f"diagnosis: {name.lower()}")
        self._by.append(frame.attrs[ANSWERED])
        return frame

    def _count(
        self, name: str, args: Mapping[str, Any], scope: Mapping[str, Any] | None = None, **parts: str
    ) -> pd.DataFrame:
        """Count by bin, in a baseline too: its whole bins come one after the other before the data."""
        scope = scope or {}
        frames = [self._ask(name, args, self.narrowed(scope), self._logs, **parts)]
        first = self.clock.start - self.clock.bin_ms * len(self.clock.before)
        for piece, bins in self._pieces:
            selection = piece.selection.but(**{column: _plain(value) for column, value in scope.items()})
            frame = self._ask(name, args, selection, piece.logs, **parts)
            place = pd.Series(np.arange(len(bins)), index=bins).reindex(frame["bin"])
            known = place.notna().to_numpy()
            moved = first + self.clock.bin_ms * place[known].to_numpy(dtype=np.int64)
            frames.append(frame[known].assign(bin=moved).astype({"bin": frame["bin"].dtype}))
            first += self.clock.bin_ms * len(bins)
        return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)

    def _first(self, name: str) -> pd.DataFrame:
        """Count different queries where each was asked first: a part of them at a time, of very many."""
        frames = [self._count(name.upper(), {**self._args, **args}, part=part) for part, args in self._parts()]
        if len(frames) == 1:
            return frames[0]
        columns = [column for column in frames[0] if column != "fresh"]
        whole = pd.concat(frames, ignore_index=True)
        return whole.groupby(columns, dropna=False, sort=False)["fresh"].sum().reset_index()

    def _parts(self) -> list[tuple[str, dict[str, int]]]:
        """Return the condition of each part of the different queries, and its parameters; one part is all of them."""
        count = -(-self.queries // _PART)
        named = [{"parts": count, "part": part} for part in range(count)]
        return [("", {})] if count == 1 else [(statements.PART, args) for args in named]

    def _exposed(self) -> pd.DataFrame:
        """Return all queries of the tasks of which most queries failed: their failures follow them everywhere."""
        tasks = self.cubes["tasks"]
        failed = (
            tasks.assign(failed=tasks["disconn"] + tasks["procerror"]).groupby("taskid")[["failed", "queries"]].sum()
        )
        odd = failed["failed"] - 2 * failed["queries"] * (failed["failed"].sum() / max(failed["queries"].sum(), 1))
        most = odd[odd > 5].nlargest(_MOST_TASKS).index
        values = {f"task_{place}": int(task) for place, task in enumerate(most)} or {"task_0": -1}
        return self._count("EXPOSED", {**self._args, **values}, tasks=", ".join(f":{name}" for name in values))

    def _repeats(self) -> pd.DataFrame:
        """Return the queries by bin that one Squid of one site sent often without a cached answer."""
        least = max(30, int(_LEAST_REPEATS * self.queries))
        args = {**self._args, "least": least}
        frames = [self._ask("REPEATED", {**args, **more}, part=part) for part, more in self._parts()]
        keys = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
        columns = ["bin", *_FOLDER, "computingsite", "squid", "queries"]
        if keys.empty:
            return keys.assign(bin=pd.Series(dtype="Int64"))[columns]
        keys = keys.nlargest(_MOST_KEYS, "queries")
        values: dict[str, Any] = {}
        for name, column in (("hash", "sqlhash"), ("begin", "since")):
            values |= {f"{name}_{place}": int(value) for place, value in enumerate(keys[column].dropna().unique())}
        lists = {
            f"{name}s": ", ".join(f":{one}" for one in values if one.startswith(f"{name}_"))
            for name in ("hash", "begin")
        }
        frame = self._count("REPEATS", {**self._args, **values}, hashes=lists["hashs"], begins=lists["begins"])
        key = [*_FOLDER, "computingsite", "squid", "sqlhash", "since", "until"]
        return frame.merge(keys[key], on=key)[columns]

    def task_name(self, task: int) -> str | None:
        """Return the name of a task; None if the logs do not give it."""
        found = self._ask("TASKNAME", {}, self.narrowed({"taskid": task}))["taskname"].iloc[0]
        return None if pd.isna(found) else str(found)

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

        It is read from a cube that has these names, or else asked for.
        """
        for name, columns in _HOLDING.items():
            if {*scope} <= {*columns}:
                cube = self.cubes[name]
                mask = np.ones(len(cube), dtype=bool)
                for column, value in scope.items():
                    mask &= (cube[column] == value).fillna(False).to_numpy(dtype=bool)
                return cube[mask]
        return self._count("HISTORY", self._args, scope, by="frontierserver")

    def inside(self, scope: Mapping[str, Any], start: int, stop: int, by: str) -> pd.DataFrame:
        """Return what the queries of a scope cost in the bins ``[start, stop)``, a row a bin and a value of `by`."""
        limits = self.clock.time(max(0, start)).to_pydatetime(), self.clock.time(stop).to_pydatetime()
        chosen = self.selection
        since = limits[0] if chosen.since is None else max(limits[0], chosen.since)
        until = limits[1] if chosen.until is None else min(limits[1], chosen.until)
        return self._ask("HISTORY", self._args, self.narrowed(scope, since=since, until=until), by=by)

    def narrowed(self, scope: Mapping[str, Any], **conditions: Any) -> Selection:
        """Return the selection of a scope."""
        return self.selection.but(**{name: _plain(value) for name, value in scope.items()}, **conditions)

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


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _of(selection: Selection) -> str:
    words = selection.in_words()
    return f" of the selection ({words})" if words else ""
