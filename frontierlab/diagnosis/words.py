"""What is told of an incident: a sentence, what to do, and whom to tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from frontierlab.diagnosis.finding import DIMENSIONS, Finding

__all__ = [
    "ADVICE",
    "NAMES_TASKS",
    "RANKING",
    "advice",
    "always",
    "cost_in_words",
    "in_a_sentence",
    "payloads_in_words",
    "scope_in_words",
    "sentence",
    "separate",
    "summary",
    "tell",
]

_EVENTS = {
    "iov_flood": "was asked for {seen} different IOVs not asked for before (normal: {normal})",
    "cache_bypass": "sent the same queries again and again without a cached answer: {seen} (normal: {normal})",
    "slow_database": "needed {factor} times the usual database time a query ({means})",
    "slow_server": "needed {factor} times the usual time a query outside of the database, for cached queries too "
    "({means})",
    "rejections": "rejected {seen} queries (normal: {normal})",
    "failures": "had {seen} failed queries of the kind {how} (normal: {normal})",
    "payload_growth": "had answers {factor} times as large as usual ({means})",
    "load": "brought {queries} queries; servers had {factor} times their usual number (not counting other incidents)",
    "silence": "said nothing: {missing} queries are missing",
    "wrong_iov": "was asked for {seen} IOVs that are {how} (normal: {normal})",
}

ADVICE = {
    "iov_flood": "Ask the task's owner for queries on a coarser IOV grid; frontierlab.caching.what_if says which one "
    "would help.",
    "cache_bypass": "Check the Squid's cache: its memory and disk, its rules, and whether jobs go around it.",
    "slow_database": "Look at the database: its load, plans and locks at that time.",
    "slow_server": "Look at the server: its threads, memory and network; take it out of the list if it stays slow.",
    "rejections": "Look at what keeps the server's threads busy: raise its limit, or slow the largest tasks down.",
    "failures": "Look at the error messages of these queries in the servlet's log.",
    "payload_growth": "Ask the folder's owner whether larger payloads were meant.",
    "load": "Ask the owner to start fewer jobs at once, or add servers for that time.",
    "silence": "Check whether the service was down, or only its log did not arrive.",
    "wrong_iov": "Ask the task's owner how IOVs are chosen: queries that are not on Athena's grid defeat the caches.",
}
"""What helps, by kind."""

_TELL = {
    "iov_flood": "{task}, and the experts of the folder",
    "cache_bypass": "{site}",
    "slow_database": "the database administrators",
    "slow_server": "{server}",
    "rejections": "{server}",
    "failures": "{server}",
    "payload_growth": "the experts of the folder",
    "load": "{task}, and those who run Frontier",
    "silence": "the administrators of the service, and of its logs",
    "wrong_iov": "{task}",
}
_HOW = {"unaligned": "not on Athena's grid", "nonsense": "nonsense", "empty": "without a payload"}
_FAILURE = {"taskid": "{task}", "computingsite": "{site}"}
_MEASURES = {
    "queries": "queries",
    "dbtime": "database time",
    "overhead": "query time outside of the database",
    "bytes": "bytes",
    "failures": "failed queries",
}
_OWN = {"iov_flood": "dbtime", "cache_bypass": "dbtime", "wrong_iov": "dbtime", "load": "queries"}
_OF_MEANS = ("slow_database", "slow_server", "payload_growth", "load")
_UNITS = {"dbtime": (1e3, " s", 0), "overhead": (1e3, " s", 0), "bytes": (1e6, " MB", 1)}
RANKING = (
    "The most costly is first: each by the largest of its shares of what there is in a day, be it of queries, database "
    "time, query time outside of the database, bytes or failed queries."
)
"""How incidents that cost different things are put in order."""

_ALWAYS = 3  # rows of what is bad all the time that are told in the text
_PLACES = {"computingsite": "site", "squid": "Squid"}
_SHORTEST_DAY, _LONGEST_DAY = pd.Timedelta(hours=23), pd.Timedelta(hours=25)
_FOLDER = ("db", "schema", "nodefullpath")
NAMES_TASKS = ("iov_flood", "load", "wrong_iov")
"""The kinds of which the owners of tasks are told."""

_OF_FOLDERS = ("iov_flood", "wrong_iov")
_ALL = "All queries together"
_EVERYTHING = {
    "iov_flood": "All folders together",
    "cache_bypass": "All sites together",
    "slow_database": "All databases",
    "slow_server": "All servers",
    "rejections": "All servers",
    "load": "All tasks together",
    "silence": "The whole index",
}


def scope_in_words(scope: Mapping[str, Any], taskname: str | None = None, kind: str = "") -> str:
    """Return the names of a scope; an empty one is everything, in the words of the kind."""
    parts = []
    folder = " ".join(str(scope[name]) for name in ("db", "schema", "nodefullpath", "tagname") if name in scope)
    if folder:
        parts.append(folder)
    for name, word in (("taskid", "task"), ("frontierserver", "server"), ("computingsite", "site"), ("squid", "Squid")):
        if name in scope:
            parts.append(f"{word} {scope[name]}" + (f" ({taskname})" if name == "taskid" and taskname else ""))
    return ", ".join(parts) or _EVERYTHING.get(kind, _ALL)


def sentence(
    finding: Finding,
    since: pd.Timestamp,
    until: pd.Timestamp,
    taskname: str | None,
    cost: str,
    queries: float,
    changed: Sequence[pd.Timestamp] = (),
) -> str:
    """Return what happened, as a sentence that ends with `cost`.

    `changed` are the change points of an incident of which it is not known which side is usual.
    """
    event = _EVENTS[finding.kind].format(
        seen=f"{finding.seen:,.0f}",
        normal=f"{finding.normal:,.0f}",
        factor=f"{min(finding.factor, 999):.1f}",
        how=_HOW.get(finding.how, finding.how),
        queries=f"{queries:,.0f}",
        missing=f"{finding.normal - finding.seen:,.0f}",
        means=_means(finding),
    )
    where, mostly = scope_in_words(finding.scope, taskname, finding.kind), ""
    if finding.kind in _OF_FOLDERS:  # their numbers are those of the folder, of which the tag and task hold most
        where = scope_in_words({name: finding.scope[name] for name in _FOLDER if name in finding.scope})
        most = [f"of the tag {finding.scope['tagname']}"] if "tagname" in finding.scope else []
        if "taskid" in finding.scope:
            most.append(f"by {scope_in_words({'taskid': finding.scope['taskid']}, taskname)}")
        mostly = f", mostly {' '.join(most)}" if most else ""
    end = f"{until:%H:%M}" if until.date() == since.date() else f"{until:%Y-%m-%d %H:%M}"
    when = f"{since:%Y-%m-%d %H:%M} to {end} UTC"
    points = " and ".join(f"{time:%Y-%m-%d %H:%M}" for time in changed)
    unsure = f" It fills more than half of the data: it changed at {points} UTC, but which side is usual is not known."
    return f"{when}: {where} {event}{mostly}. {cost}{unsure * bool(changed)}"


def _means(finding: Finding) -> str:
    """Return the two means that a factor is of, with digits that read alike if one redoes the division."""
    unit = finding.unit.partition(" ")[0]
    digits = 0 if finding.normal >= 100 else 1 if finding.normal >= 10 else 2
    seen, normal = (f"{value:,.{digits}f}" for value in (finding.seen, finding.normal))
    return f"geometric means: {seen} {unit}, normal {normal}"


def cost_in_words(
    kind: str,
    shares: Mapping[str, float],
    currency: str,
    length: pd.Timedelta,
    sums: Mapping[str, tuple[float, float]] | None = None,
    *,
    selected: bool = False,
) -> str:
    """Return what an incident cost: in the currency of its kind, and in the one where it cost most.

    Parameters
    ----------
    kind
        The kind of the incident.
    shares
        Its excess as a share of what the data has in a day, by currency.
    currency
        The currency where it cost most.
    length
        The time that the data covers. The shares are of all data if that is no longer than a day.
    sums
        What there was in its scope and time, and how much of it was expected, by currency. They are told of kinds with
        a factor, which is of something else: of means a query, or of servers.
    selected
        Whether the data are a selection of queries, so that the shares are of these.
    """
    own = _OWN.get(kind, currency)
    whose, its, end = "an average day's", "its", ""
    if length < _SHORTEST_DAY:
        whose, its, end = "all", "all", " in these data"
    elif length <= _LONGEST_DAY:
        whose = "the day's"
    if selected:
        end = " on an average day" if length > _LONGEST_DAY else end
        whose, its = "the selection's", "its"
    cost = f"{shares[own]:.1%} of {whose} {_MEASURES[own]}"
    if sums is not None and kind in _OF_MEANS:
        there, expected = (_amount(own, value) for value in sums[own])
        cost += f" (in all {there}, expected {expected})"
    if own != currency:
        cost += f", and {shares[currency]:.1%} of {its} {_MEASURES[currency]}"
    return f"It cost {cost}{end}."


def _amount(currency: str, value: float) -> str:
    unit, word, digits = _UNITS.get(currency, (1.0, "", 0))
    return f"{value / unit:,.{digits}f}{word}"


def separate(causes: Sequence[int | None]) -> str:
    """Return how many incidents there are, and which of them are separate events."""
    count = len(causes)
    if count < 2:
        return f"{count} incident{'s' * (count != 1)}"
    following: dict[int, list[str]] = {}
    for place, cause in enumerate(causes):
        if cause is not None:
            following.setdefault(cause, []).append(str(place + 1))
    if not following:
        return f"{count} incidents, all separate events,"
    events = count - sum(map(len, following.values()))
    likely = "; ".join(f"{_follow(places)} from {cause + 1}" for cause, places in sorted(following.items()))
    return f"{count} incidents of {'one event' if events == 1 else f'{events} separate events'} ({likely})"


def _follow(places: Sequence[str]) -> str:
    first = ", ".join(places[:-1])
    return f"{first} and {places[-1]} likely follow" if first else f"{places[-1]} likely follows"


def always(texts: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence on what is bad all the time, the first rows of it; none if nothing is."""
    if not texts:
        return ()
    more = f" And {len(texts) - _ALWAYS} more." if len(texts) > _ALWAYS else ""
    return (f"Bad all the time, and so no incident of this time: {' '.join(texts[:_ALWAYS])}{more}",)


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how many incidents there are, of which kinds and where, as a sentence."""
    named = []
    for row in rows:
        scope = {name: row[name] for name in DIMENSIONS if row[name] is not None}
        named.append(f"{row['kind']} ({in_a_sentence(scope_in_words(scope, kind=str(row['kind'])))})")
    if not named:
        return "Nothing unusual was found."
    return f"{len(named)} incident{'s' * (len(named) != 1)}: {', '.join(named)}."


def in_a_sentence(text: str) -> str:
    """Return a text as a part of a sentence; names keep their letters."""
    return text[0].lower() + text[1:] if text in {*_EVERYTHING.values(), _ALL} else text


def payloads_in_words(queries: int, payloads: int) -> str:
    """Return a sentence on the payloads of a flood."""
    return f"Its {queries:,} different queries with an answer had {payloads:,} different payloads."


def advice(finding: Finding, of_coolr: str = "") -> str:
    """Return what would help; with the payloads known, which IOV grid."""
    if of_coolr:
        return f"Ask the task's owner for queries on a coarser IOV grid. {of_coolr}"
    return ADVICE[finding.kind]


def tell(finding: Finding, tasks: Mapping[int, float]) -> str:
    """Return whom to tell; `tasks` are the largest tasks of an incident that names none, with their shares."""
    scope, text = finding.scope, _TELL[finding.kind]
    if finding.kind == "failures":
        text = next((who for name, who in _FAILURE.items() if name in scope), text)
    owners = "the owners of the tasks"
    if "taskid" in scope:
        owners = f"the owners of the task {scope['taskid']}"
    elif tasks:
        named = ", ".join(f"{task} ({share:.0%})" for task, share in tasks.items())
        owners = f"the owners of the largest task{'s' * (len(tasks) > 1)} by queries: {named}"
    of_site = next((f"{word} {scope[name]}" for name, word in _PLACES.items() if name in scope), "sites")
    of_server = f"server {scope['frontierserver']}" if "frontierserver" in scope else "servers"
    return text.format(
        task=owners, site=f"the administrators of the {of_site}", server=f"the administrators of the {of_server}"
    )
