"""The search for all kinds of incidents, in an order in which what is explained is not told again.

It does not use `frontierlab.diagnosis.localise`. That names the sets of values that explain one deviation, given what
was expected and seen: the time must be known. Here time and scope are found together, by the likeliest interval of each
series (`scan`), since an incident of half an hour in one folder is nothing in the sums of a day. The scopes are few (a
server, a folder, a schema, …) and known for each kind, and rules of the field choose between them: two children before
a parent, mix is no cause, a failure rate belongs to its task. `localise` is for deviations of other tables, such as two
days' queries by folder, site and task.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from frontierlab.diagnosis.evidence import Evidence
from frontierlab.diagnosis.failing import failures, rejections
from frontierlab.diagnosis.finding import Finding, overlap
from frontierlab.diagnosis.floods import floods, wrong_iovs
from frontierlab.diagnosis.latencies import LATENCIES, slower
from frontierlab.diagnosis.repeats import all_bypassed, bypasses
from frontierlab.diagnosis.series import Floats, rate_of
from frontierlab.diagnosis.volumes import loads, silences

__all__ = ["Searched", "search"]

_FOLDER = ("db", "schema", "nodefullpath")
_MOST_OF = 0.5  # of the repeated queries
_OWN_RATE = 0.04  # of added queries fail: more is another incident
_OF_MIX = 2.0  # the largest factor that other queries than usual explain
_MANY = 0.35  # of all queries
_HOLDS = 0.7  # of the excess, from which one task is named


@dataclass(frozen=True)
class Searched:
    """What a search found.

    Parameters
    ----------
    findings
        What deviates, in no order.
    explained
        Deviations that are a part of others, each with the other one.
    series
        The number of series that were searched, by kind.
    """

    findings: list[Finding]
    explained: list[tuple[Finding, Finding]]
    series: dict[str, int]


def search(evidence: Evidence, told: Callable[[str], object] = lambda word: None) -> Searched:
    """Search for all kinds of incidents."""
    cubes, clock = evidence.cubes, evidence.clock
    told("floods")
    wrong = wrong_iovs(cubes["folders"], clock)
    repeated = bypasses(cubes["repeats"], evidence.queries, clock)
    explained_by = [(one, cause) for one in repeated if (cause := _wrong_ones(one, wrong)) is not None]
    repeated = [one for one in repeated if _wrong_ones(one, wrong) is None]
    flooded = floods(cubes["fresh"], cubes["folders"], clock, wrong)
    everywhere = all_bypassed(cubes["misses"], cubes["first_misses"], evidence.queries, clock, repeated)
    causes = [_asked_by(one, [*wrong, *flooded], evidence) for one in everywhere]
    explained_by += [(one, cause) for one, cause in zip(everywhere, causes, strict=True) if cause is not None]
    repeated += [one for one, cause in zip(everywhere, causes, strict=True) if cause is None]
    added = [*wrong, *repeated, *flooded]
    told("load")
    if added:
        limits = {"start": min(one.start for one in added) - 1, "stop": max(one.stop for one in added) + 1}
        evidence.prepare([one.scope for one in added], "frontierserver", "taskid", **limits)
    explained = np.zeros((cubes["servers"]["frontierserver"].nunique(dropna=False), clock.bins))
    for one in added:
        explained += _excess(one, evidence)
    pressed = loads(evidence, explained)
    explained_by += [(one, load) for one in added if (load := _is_part_of(one, pressed)) is not None]
    part = [one for one, _ in explained_by]
    added = [one for one in added if one not in part]
    added = [_with_task(one, evidence) if one.kind != "cache_bypass" else one for one in added]
    told("silence")
    silent = silences(cubes["servers"], cubes["sites"], clock, explained, repeated)
    told("latencies")
    slow = []
    for latency in LATENCIES:
        of_servers = latency.names == ("frontierserver",)
        slow += slower(latency, cubes["servers" if of_servers else "folders"], clock, () if of_servers else wrong)
    mixed = [(one, cause) for one in slow if (cause := _mixed_by(one, added, evidence)) is not None]
    explained_by += mixed
    slow = [one for one in slow if one not in [part for part, _ in mixed]]
    told("failures")
    failed = failures(cubes, clock)
    explained_by += [(one, cause) for one in failed if (cause := _brought_by(one, added)) is not None]
    failed = [one for one in failed if _brought_by(one, added) is None]
    found = [*added, *pressed, *silent, *slow, *failed, *rejections(cubes["servers"], clock)]
    return Searched(found, explained_by, _series(evidence))


def _series(evidence: Evidence) -> dict[str, int]:
    """Return how many series each kind is searched in."""
    cubes = evidence.cubes

    def count(cube: str, *names: str) -> int:
        return len(cubes[cube][list(names)].drop_duplicates())

    folders, tags = count("folders", *_FOLDER), count("folders", *_FOLDER, "tagname")
    servers, sites, tasks = (
        count("servers", "frontierserver"),
        count("sites", "computingsite"),
        count("tasks", "taskid"),
    )
    return {
        "iov_flood": tags,
        "cache_bypass": count("repeats", *_FOLDER, "tagname", "computingsite", "squid"),
        "slow_database": folders,
        "slow_server": servers,
        "rejections": servers + 1,
        "failures": tasks + folders + servers + sites,
        "payload_growth": tags,
        "load": servers + 1,
        "silence": servers + sites + 1,
        "wrong_iov": 3 * tags,
    }


def _excess(one: Finding, evidence: Evidence) -> Floats:
    """Return the queries of a scope beyond its level, within the interval of a finding, by server and bin."""
    clock, start, stop = evidence.clock, max(0, one.start - 1), min(one.stop + 1, evidence.clock.bins)
    if "computingsite" in one.scope or "squid" in one.scope:
        rate = one.normal / (one.stop - one.start)
    else:
        now, usual = clock.sums(evidence.history(one.scope), "queries")
        rate = rate_of(now[None, :], None if usual is None else usual[None, :], clock, 0.4)[0]
    extra = evidence.by_server(one.scope, start, stop)
    extra[:, start:stop] -= rate * evidence.server_shares[:, None]
    return extra.clip(0)


def _is_part_of(one: Finding, pressed: list[Finding]) -> Finding | None:
    """Return the load that the rise of a folder is a small part of, and that lasts as long."""
    for load in pressed:
        both = min(one.stop, load.stop) - max(one.start, load.start)
        union = max(one.stop, load.stop) - min(one.start, load.start)
        if both > 0.6 * union and one.kind != "wrong_iov" and one.seen - one.normal < 0.3 * (load.seen - load.normal):
            return load
    return None


def _wrong_ones(one: Finding, wrong: list[Finding]) -> Finding | None:
    """Return the wrong IOVs of the same folder that are as many: some of them are asked for again and again."""
    for cause in wrong:
        both = min(one.stop, cause.stop) - max(one.start, cause.start)
        asked = (cause.seen - cause.normal) * max(both, 0) / (cause.stop - cause.start)
        same = cause.scope["nodefullpath"] == one.scope.get("nodefullpath")
        if same and overlap(one, cause) >= 0.5 and asked >= _MOST_OF * (one.seen - one.normal):
            return cause
    return None


def _asked_by(one: Finding, others: list[Finding], evidence: Evidence) -> Finding | None:
    """Return the incident of a folder whose queries are most of the repeated ones of a site or Squid."""
    name = "computingsite" if "computingsite" in one.scope else "squid"
    for other in others:
        start, stop = max(one.start, other.start), min(one.stop, other.stop)
        if start >= stop:
            continue
        frame = evidence.inside({**other.scope, name: one.scope[name]}, start, stop, "frontierserver")
        asked = float(frame["uncached"].sum())
        if asked >= _MOST_OF * (one.seen - one.normal):
            return other
    return None


def _mixed_by(one: Finding, added: list[Finding], evidence: Evidence) -> Finding | None:
    """Return the incident whose queries are so many that all servers seem slower, by larger answers."""
    if one.kind != "slow_server" or one.scope or one.factor > _OF_MIX:
        return None
    asked = evidence.clock.sums(evidence.cubes["servers"], "queries")[0][one.start : one.stop].sum()
    for cause in added:
        both = min(one.stop, cause.stop) - max(one.start, cause.start)
        share = (cause.seen - cause.normal) * max(both, 0) / (cause.stop - cause.start) / max(asked, 1.0)
        if share > _MANY and overlap(one, cause) >= 0.5:
            return cause
    return None


def _brought_by(one: Finding, added: list[Finding]) -> Finding | None:
    """Return the incident whose queries are those that failed: they fail as often as queries of their tasks do."""
    for cause in added:
        shared = [
            name for name in ("nodefullpath", "computingsite") if one.scope.get(name) == cause.scope.get(name, "")
        ]
        if shared and overlap(one, cause) >= 0.5 and one.seen < _OWN_RATE * (cause.seen - cause.normal):
            return cause
    return None


def _with_task(one: Finding, evidence: Evidence) -> Finding:
    """Return a finding with the task that holds its excess, if one does."""
    frame = evidence.inside(one.scope, one.start, one.stop, "taskid")
    excess = one.seen - one.normal
    there = frame.groupby("taskid")["uncached"].sum()
    if there.empty:
        return one
    anonymous = float(frame[frame["taskid"].isna()]["uncached"].sum())
    task: Any = there.idxmax()
    return (
        replace(one, scope={**one.scope, "taskid": int(task)}) if there[task] >= _HOLDS * (excess - anonymous) else one
    )
