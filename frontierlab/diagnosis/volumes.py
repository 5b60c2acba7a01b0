"""Load and silence: numbers of queries of everything, of a server, of a task, of a site."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from frontierlab.diagnosis.evidence import Evidence
from frontierlab.diagnosis.finding import Finding
from frontierlab.diagnosis.scan import Best, of_counts, scan
from frontierlab.diagnosis.series import Clock, Floats, Series, level, rate_of, shapes_of

__all__ = ["loads", "silences"]

LEAST_FACTOR = 1.4
LEAST_GAIN = 40.0
LEAST_SHARE = 0.008
"""The least share of the day's queries that are too many or missing."""

LEAST_OF_SERVER = 1.55
"""The least factor of one server: its queries vary more than those of all."""

HOLDS = 0.6
"""The share of the excess from which one task is named: requests through some proxies name no task."""

_AROUND = 36  # bins on both sides of a gap that say how much is usual there
_SILENT = 0.05  # of what is expected
_MOST = 8
_DAYS_DIFFER = 2.0  # the least factor against a baseline: the tasks of a day make it differ from others as a whole


def loads(evidence: Evidence, explained: Floats) -> list[Finding]:
    """Return where all servers, or one of them, had many more queries than usual.

    Parameters
    ----------
    evidence
        The results of the statements.
    explained
        The queries of each bin that are explained already, by server in the order of the names.
    """
    clock = evidence.clock
    servers, tasks, folders = (evidence.cubes[name] for name in ("servers", "tasks", "folders"))
    of_servers = Series(servers, ("frontierserver",), clock)
    usable = of_servers.labels["frontierserver"].notna().to_numpy()
    seen, usual = (of_servers["queries"] - explained).clip(0), of_servers.usual("queries")
    least = LEAST_SHARE * seen.sum()
    today = tasks[tasks["bin"] >= clock.start]
    large = today.groupby("taskid")["queries"].sum() >= HOLDS * least  # of the many, few can hold an excess
    tasks = tasks[tasks["taskid"].isin(large.index[large])].reset_index(drop=True)
    of_tasks, of_folders = Series(tasks, ("taskid",), clock), Series(folders, ("db", "schema", "nodefullpath"), clock)
    found: list[Finding] = []
    differ = _DAYS_DIFFER if clock.before else LEAST_FACTOR
    for _ in range(_MOST):
        shape, before = shapes_of(seen, usual, clock)
        expected = _usual_of_servers(seen, usual, shape, before, clock, 0.4) + 0.05
        single = _rising(seen * usable[:, None], expected, least, max(LEAST_OF_SERVER, differ))
        whole = _rising(seen.sum(axis=0, keepdims=True), expected.sum(axis=0, keepdims=True), least, differ)
        one, everywhere = single, False
        if whole is not None and (single is None or _is_even(seen, expected, usable, whole)):
            one, everywhere = whole, True
        if one is None:
            break
        rows = np.arange(len(seen)) if everywhere else np.array([one.row])
        span = slice(one.start, one.stop)
        there, normal = float(seen[rows, span].sum()), float(expected[rows, span].sum())
        scope: dict[str, Any] = {} if everywhere else {"frontierserver": of_servers.labels["frontierserver"][one.row]}
        task = _holder(of_tasks, one, there - normal, rows, evidence)
        around = slice(max(0, one.start - 1), min(one.stop + 1, clock.bins))
        if task is not None:  # its queries are an incident on all servers together
            scope, rows = task, np.arange(len(seen))
            of_tasks["queries"][of_tasks.rows_of(task), around] = 0.0  # it explains nothing more in that time
            there = float(seen[:, span].sum())
            normal = float(expected[:, span].sum())
            seen = (seen - evidence.by_server(scope, around.start, around.stop)).clip(0)
            if there < differ * normal:
                continue  # a task begins: no server has much more to do than usual, all together
        else:
            seen[np.ix_(rows, np.arange(clock.bins)[around])] = expected[np.ix_(rows, np.arange(clock.bins)[around])]
        if task is None and _holder(of_folders, one, there - normal, rows, evidence, 0.5):
            continue  # a folder's queries rose, not everybody's
        found.append(Finding("load", scope, one.start, one.stop, normal, there, "queries", one.gain))
    return found


def _rising(seen: Floats, expected: Floats, least: float, factor: float) -> Best | None:
    residual = (seen - expected) / np.sqrt(expected)
    spread = (1.4826 * np.median(np.abs(residual - np.median(residual, axis=1, keepdims=True)), axis=1)) ** 2
    one = scan(of_counts(seen, expected, spread.clip(1.0)), factor)
    if one is None or one.gain < LEAST_GAIN:
        return None
    span = slice(one.start, one.stop)
    return one if seen[one.row, span].sum() - expected[one.row, span].sum() >= least else None


def _is_even(seen: Floats, expected: Floats, usable: np.ndarray, one: Best) -> bool:
    """Return whether most servers have a rise of their own."""
    span = slice(one.start, one.stop)
    rise = seen[usable, span].sum(axis=1) / expected[usable, span].sum(axis=1)
    return bool((rise > 1 + 0.4 * (one.factor - 1)).mean() > 0.6)


def _holder(
    series: Series, one: Best, excess: float, rows: np.ndarray, evidence: Evidence, share: float = HOLDS
) -> dict[str, Any] | None:
    """Return the scope of the group that holds this share of an excess, on these servers too."""
    if not len(series):
        return None
    clock, seen, length = evidence.clock, series["queries"], one.stop - one.start
    rate = rate_of(seen, series.usual("queries"), clock, 0.4)
    extra = seen[:, one.start : one.stop].sum(axis=1) - rate * length
    extra = np.where(series.labels.notna().all(axis=1), extra, -np.inf)
    row = int(np.argmax(extra))
    if extra[row] < share * excess:
        return None
    scope: dict[str, Any] = {str(name): value for name, value in series.labels.iloc[row].items()}
    there = evidence.by_server(scope, one.start, one.stop)[rows].sum()
    normal = rate[row] * length * evidence.server_shares[rows].sum()
    return scope if there - normal >= share * excess else None


def silences(
    servers: pd.DataFrame, sites: pd.DataFrame, clock: Clock, explained: Floats, bypassed: Sequence[Finding]
) -> list[Finding]:
    """Return where everything, a server or a site said nothing when it should.

    Parameters
    ----------
    servers, sites
        The results of the statements.
    clock
        The bins.
    explained
        The queries of each bin that are explained already, by server in the order of the names.
    bypassed
        Sites that sent more than usual: that they stop is no silence.
    """
    of_servers = Series(servers, ("frontierserver",), clock)
    unexplained, before = (of_servers["queries"] - explained).clip(0), of_servers.usual("queries")
    shape, shape_before = shapes_of(unexplained, before, clock)
    total = unexplained.sum(axis=0, keepdims=True)
    total_before = None if before is None else before.sum(axis=0, keepdims=True)
    least = LEAST_SHARE * total.sum()
    found: list[Finding] = []
    usual = _usual_of_servers(total, total_before, shape, shape_before, clock)
    there = of_servers["queries"].sum(axis=0)
    for start, stop, normal, seen in _gaps(there, total[0], usual[0], least):
        found.append(Finding("silence", {}, start, stop, normal, seen, "queries", normal))
    for frame, name in ((servers, "frontierserver"), (sites, "computingsite")):
        if frame[name][frame["bin"] >= clock.start].isna().all():
            continue  # the logs lack this column, unlike those of the baseline
        series = Series(frame, (name,), clock)
        queries = series["queries"].copy()
        if name == "computingsite":
            _take(bypassed, queries, series)
        expect = _usual if name == "computingsite" else _usual_of_servers  # a site asks while a task is there
        usual = expect(queries, series.usual("queries"), shape, shape_before, clock)
        some = np.maximum(queries.sum(axis=1), usual.sum(axis=1) if clock.before else 0.0) > least
        for row in np.flatnonzero(series.labels[name].notna() & some):
            for start, stop, normal, seen in _gaps(series["queries"][row], queries[row], usual[row], least):
                one = Finding("silence", {name: series.labels[name][row]}, start, stop, normal, seen, "queries", normal)
                if not any(other.start < one.stop and one.start < other.stop and not other.scope for other in found):
                    found.append(one)
    return found


def _take(bypassed: Sequence[Finding], queries: Floats, series: Series) -> None:
    """Take from sites the queries that they sent again and again."""
    for one in bypassed:
        if "computingsite" in one.scope:
            rows, span = series.rows_of({"computingsite": one.scope["computingsite"]}), slice(one.start, one.stop)
            extra = (one.seen - one.normal) / (one.stop - one.start)
            queries[rows, span] = (queries[rows, span] - extra).clip(0)


def _usual(
    now: Floats, usual: Floats | None, shape: Floats, before: Floats, clock: Clock, quantile: float = 0.5
) -> Floats:
    """Return what is expected of each series: its usual rate, with the shape of the day."""
    values = now if usual is None else usual
    rate = level(values, np.broadcast_to(before[None, :], values.shape), clock, quantile)
    return np.asarray(rate[:, None] * shape[None, :])


def _usual_of_servers(
    now: Floats, usual: Floats | None, shape: Floats, before: Floats, clock: Clock, quantile: float = 0.5
) -> Floats:
    """Return what is expected of servers while they speak: one that is silent for most of a day was not meant to be."""
    values = now if usual is None else usual
    speaking = values > _SILENT * np.quantile(values, 0.8, axis=1, keepdims=True)
    rate = level(values * speaking, before[None, :] * speaking, clock, quantile)
    return np.asarray(rate[:, None] * shape[None, :])


def _gaps(there: Floats, queries: Floats, usual: Floats, least: float) -> list[tuple[int, int, float, float]]:
    """Return the intervals with nearly no queries: start, stop, the number expected and seen.

    `queries` are those that nothing explains. Whoever sends what is explained is not silent, so all that is `there`
    must be nearly nothing.
    """
    silent = there <= _SILENT * usual
    edges = np.flatnonzero(np.diff(np.concatenate([[0], silent.astype(int), [0]])))
    found = []
    enough = max(least, 30)
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        normal = float(usual[start:stop].sum())
        if normal < enough:
            continue  # most are: what is usual around them would only lower what is expected
        around = np.concatenate([queries[max(0, start - _AROUND) : start], queries[stop : stop + _AROUND]])
        if len(around):
            normal = min(normal, float(np.quantile(around, 0.4)) * (stop - start))
        if normal >= enough:
            found.append((int(start), int(stop), normal, float(there[start:stop].sum())))
    return found
