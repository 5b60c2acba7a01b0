"""What is read of a dataset for a diagnosis: the results of the statements, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from frontierlab.diagnosis.baselines import Baseline, baseline_of
from frontierlab.diagnosis.different import Different, count_different
from frontierlab.diagnosis.reading import Ints
from frontierlab.diagnosis.scopes import Scopes
from frontierlab.diagnosis.series import Clock
from frontierlab.engines.kept_results import kept
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

CUBES = ("folders", "servers", "tasks", "misses", "sites", "failures", "exposed", "fresh", "first_misses", "repeats")
"""The results that a search reads, by name."""

_FOLDER = ["db", "schema", "nodefullpath", "tagname"]
_ASKER = ["computingsite", "squid"]
_SUMS = ["queries", "dbtime", "overhead", "bytes", "failures", "disconn", "procerror"]
_TALLIED = {
    "servers": ["bin", "frontierserver", *_SUMS, "rejected", "threads", "timed", "log_overhead", "log_overhead_2"],
    "tasks": ["bin", "taskid", *_SUMS],
    "misses": ["bin", *_ASKER, "asker", *_SUMS, "uncached"],
}
_LEAST_REPEATS = 0.002  # of all queries
_MOST_KEYS = 400
_MOST_TASKS = 60


class Evidence(Scopes):
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
        told("folders")
        self.cubes["folders"] = self.count("FOLDERS", self._args)
        if baseline is not None and (self.cubes["folders"]["bin"] >= start).all():
            raise InvalidRequestError(
                f"The baseline has no queries{_of(selection)} before the diagnosed time: it says nothing of what is "
                "normal. Give datasets of an earlier time."
            )
        for name in _TALLIED:
            told(name)
        tallies = self.count("TALLIES", self._args)
        for name, columns in _TALLIED.items():
            rows = (tallies["what"] == name).to_numpy(dtype=bool)
            self.cubes[name] = tallies.loc[rows, columns].reset_index(drop=True)
        told("sites")
        self.cubes["sites"] = self._sites()
        told("failures")
        failed, exposed = self._failed()
        self.cubes["failures"] = failed
        told("exposed")
        self.cubes["exposed"] = exposed
        told("fresh")
        least = max(30, int(_LEAST_REPEATS * self.queries))
        different = self._different(least)
        told("first_misses")
        for name in ("fresh", "first_misses"):
            self.cubes[name] = self._named(getattr(different, name))
        told("repeats")
        self.cubes["repeats"] = self._repeats(different.repeated, least)
        for name, column in (("folders", "folder"), ("misses", "asker")):
            del self.cubes[name][column]

    def _different(self, least: int) -> Different:
        """Return the different queries: where each was first asked for, in the data and in each piece of a baseline."""
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
            statement, values = self.statement_of(name, selection)
            given = {**self._args, **args, **values}
            with kept(source, statement, given, description=f"diagnosis: {name.lower()}", part=part) as (each, by):
                yield each
            self._by.append(by)

        def asked(source: Logs, name: str, args: dict[str, int]) -> pd.DataFrame:
            if source is logs:
                return self.ask(name, {**self._args, **args}, selection, source)
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

    def _failed(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the failed queries, and all queries of the tasks of which most queries failed.

        The failures of these tasks follow them everywhere.
        """
        tasks = self.cubes["tasks"]
        failed = (
            tasks.assign(failed=tasks["disconn"] + tasks["procerror"]).groupby("taskid")[["failed", "queries"]].sum()
        )
        odd = failed["failed"] - 2 * failed["queries"] * (failed["failed"].sum() / max(failed["queries"].sum(), 1))
        most = [int(task) for task in odd[odd > 5].nlargest(_MOST_TASKS).index]
        values = {f"task_{place}": task for place, task in enumerate(most)}
        named = ", ".join(f":{name}" for name in values) or "NULL"
        frame = self.count("FAILED", {**self._args, **values}, tasks=named)
        exposed = frame["taskid"].isin(most).to_numpy(dtype=bool)
        some = (frame["disconn"] + frame["procerror"] > 0).to_numpy(dtype=bool)
        return (
            frame[some].drop(columns="queries").reset_index(drop=True),
            frame[exposed].drop(columns=["disconn", "procerror"]).reset_index(drop=True),
        )

    def _repeats(self, repeated: Sequence[int], least: int) -> pd.DataFrame:
        """Return the queries by bin that one Squid of one site sent often to one folder without a cached answer."""
        columns = ["bin", *_FOLDER, *_ASKER, "queries"]
        if not repeated:
            texts = {name: pd.Series(dtype="string") for name in columns[1:-1]}
            return pd.DataFrame({"bin": pd.Series(dtype="Int64"), **texts, "queries": pd.Series(dtype="Int64")})
        values = {f"query_{place}": query for place, query in enumerate(repeated)}
        named = ", ".join(f":{name}" for name in values)
        frame = self.count("REPEATS", {**self._args, **values}, queries=named)
        key = ["folder", "asker", "query"]
        sent = frame[frame["bin"] >= self.clock.start].groupby(key)["queries"].sum()
        most = sent[sent >= least].nlargest(_MOST_KEYS).reset_index()
        return frame.merge(most[key], on=key)[columns]

    def task_names(self, tasks: Iterable[int]) -> dict[int, str]:
        """Return the names of tasks, of several the last in the alphabet; one that the logs do not name is left out."""
        wanted = tuple(sorted({int(task) for task in tasks}))
        if not wanted:
            return {}
        found = self.ask("TASKNAMES", {}, self.narrowed({"taskid": wanted})).dropna().sort_values("taskname")
        return {int(task): str(name) for task, name in zip(found["taskid"], found["taskname"], strict=True)}


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
