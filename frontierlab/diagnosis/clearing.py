"""What an incident does not lie in: the other servers, sites, schemas and folders, each tested for being as usual.

A neighbour is as usual if its rate in the time of the incident is within a factor of its own rate in the rest of the
data, or in the baseline, or if the difference can be chance. Names that an incident leaves open are tested for the
evenness of its excess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from frontierlab.diagnosis.evidence import Evidence
from frontierlab.diagnosis.finding import Finding, overlap
from frontierlab.diagnosis.latencies import SCALE, WANDER
from frontierlab.diagnosis.pricing import CURRENCIES, Price
from frontierlab.diagnosis.series import Clock, Floats, Series

__all__ = ["cleared", "totals_explained"]

_FOLDER = ("db", "schema", "nodefullpath")
_WORDS = {"frontierserver": "servers", "computingsite": "sites", "schema": "schemas", "nodefullpath": "folders"}
_CUBES = {"frontierserver": "servers", "computingsite": "sites", "schema": "folders", "nodefullpath": "folders"}
_NAMES = {"schema": _FOLDER[:2], "nodefullpath": _FOLDER}
_FACTOR = 1.5  # a neighbour that differs by less is as usual
_CHANCE = 4.0  # standard deviations
_DISPERSION = 3.0  # of counts: tasks come and go
_FEWEST = 20.0  # queries of a neighbour that say something
_NAMED = 3
_UNEVEN = 2.5  # times its part of the queries
_MUCH = 0.3  # of an excess
_PART = 0.3  # of an abnormal figure of all queries
_ABNORMAL = 1.1  # times the usual


@dataclass(frozen=True)
class _Measure:
    """A rate: what is counted, by what, and whether the counted are hundredths of logarithms."""

    amount: tuple[str, ...]
    by: str
    logs: bool = False


_MEASURES = {
    "slow_database": _Measure(("log_dbtime",), "timed", logs=True),
    "slow_server": _Measure(("log_overhead",), "timed", logs=True),
    "payload_growth": _Measure(("log_bytes",), "bodies", logs=True),
    "rejections": _Measure(("rejected",), "queries"),
    "failures": _Measure(("disconn", "procerror"), "queries"),
    "wrong_iov": _Measure(("unaligned", "nonsense"), "queries"),
}
_COUNT = _Measure(("queries",), "")


def cleared(finding: Finding, findings: Sequence[Finding], price: Price, evidence: Evidence) -> tuple[str, ...]:
    """Return sentences on what was as usual in the time of an incident, and on what was not."""
    told = []
    for name in _WORDS:
        widest = "nodefullpath" in finding.scope and name == "schema"
        if name in finding.scope and not widest:
            told += _neighbours(finding, findings, name, evidence)
    if "frontierserver" not in finding.scope and finding.kind != "silence":
        told += _evenness(finding, price, evidence)
    return tuple(told)


def _neighbours(finding: Finding, findings: Sequence[Finding], name: str, evidence: Evidence) -> list[str]:
    """Return a sentence on the other values of a name that an incident has in its scope."""
    frame, clock = evidence.cubes[_CUBES[name]], evidence.clock
    measure = _MEASURES.get(finding.kind, _COUNT)
    if not {*measure.amount} <= {*frame}:
        measure = _COUNT
    names = _NAMES.get(name, (name,))
    if name == "nodefullpath":  # the other folders of the schema
        frame = frame[_is(frame, {key: finding.scope[key] for key in _FOLDER[:2] if key in finding.scope})]
    frame = frame[frame[name].notna()]
    series = Series(frame.reset_index(drop=True), names, clock)
    own = np.zeros(len(series), dtype=bool)
    blamed = [one for one in findings if overlap(one, finding) > 0 and name in one.scope]
    for one in (finding, *blamed):
        if one is finding or one.kind == finding.kind:
            own[series.rows_of({key: value for key, value in one.scope.items() if key in names})] = True
    times, odd, enough = _against_usual(series, measure, finding, clock)
    others = np.flatnonzero(~own & enough)
    if not len(others):
        return []
    one_alone = len(others) == 1
    word = f"other {_WORDS[name].removesuffix('s') if one_alone else _WORDS[name]}"
    word += " of the schema" * (name == "nodefullpath")
    odd_ones = [row for row in others if odd[row]]
    low, high = times[others].min(), times[others].max()
    count = f"{len(others)} {word}" + " with enough queries" * bool((~own).sum() > len(others))
    if not odd_ones:
        span = f"{low:.2g}" if one_alone else f"{low:.2g} to {high:.2g}"
        return [f"The {count} {'was' if one_alone else 'were'} as usual in that time: {span} times the normal."]
    odd_ones.sort(key=lambda row: -abs(float(np.log(max(float(times[row]), 1e-3)))))
    named = ", ".join(f"{series.labels[name][row]} ({times[row]:.2g} times)" for row in odd_ones[:_NAMED])
    more = f" and {len(odd_ones) - _NAMED} more" * (len(odd_ones) > _NAMED)
    number = "1 was" if len(odd_ones) == 1 else f"{len(odd_ones)} were"
    return [f"Of the {count}, {number} not as usual in that time: {named}{more}."]


def _is(frame: pd.DataFrame, scope: Mapping[str, Any]) -> np.ndarray:
    mask = np.ones(len(frame), dtype=bool)
    for name, value in scope.items():
        mask &= (frame[name] == value).fillna(False).to_numpy(dtype=bool)
    return mask


def _against_usual(
    series: Series, measure: _Measure, finding: Finding, clock: Clock
) -> tuple[Floats, np.ndarray, np.ndarray]:
    """Return how many times its usual rate each group has, whether that is odd, and whether it can be said."""
    span, outside = np.zeros(clock.bins, dtype=bool), np.ones(clock.bins, dtype=bool)
    span[finding.start : finding.stop] = True
    outside[max(0, finding.start - 1) : finding.stop + 1] = False

    def parts(names: tuple[str, ...]) -> tuple[Floats, Floats]:
        now = np.sum([series[one] for one in names], axis=0)
        if clock.before:
            before = np.sum([series.reference(one) for one in names], axis=0)
            return now[:, span].sum(axis=1), before.sum(axis=1)
        return now[:, span].sum(axis=1), now[:, outside].sum(axis=1)

    amount, usual_amount = parts(measure.amount)
    if measure.by:
        by, usual_by = parts((measure.by,))
    else:
        bins = len(clock.before) or int(outside.sum())
        by, usual_by = np.full(len(series), float(span.sum())), np.full(len(series), float(bins))
    enough = (np.minimum(by, usual_by) >= _FEWEST) if measure.by else (usual_amount / np.maximum(usual_by, 1) * by > 20)
    safe, usual_safe = np.maximum(by, 1), np.maximum(usual_by, 1)
    if measure.logs:
        rise = (amount / safe - usual_amount / usual_safe) / SCALE
        spread = np.sqrt(1.0 / safe + 1.0 / usual_safe + WANDER**2)
        return np.exp(rise), (np.abs(rise) > np.log(_FACTOR)) & (np.abs(rise) > _CHANCE * spread), enough
    expected = usual_amount / usual_safe * by
    times = (amount + 1) / (expected + 1)
    far = np.abs(amount - expected) > _CHANCE * np.sqrt(_DISPERSION * (expected + 1))
    up = times > _FACTOR
    down = (times < 0.3) & (measure is _COUNT)
    return times, (up | down) & far, enough


def _evenness(finding: Finding, price: Price, evidence: Evidence) -> list[str]:
    """Return a sentence on how what an incident costs is spread over the servers."""
    frame = evidence.inside(finding.scope, finding.start, finding.stop, "frontierserver")
    sums = frame.groupby("frontierserver")[[*CURRENCIES]].sum().astype(float)
    amount = sums[price.currency]
    if len(sums) < 2 or amount.sum() < _FEWEST:
        return []
    share = amount / amount.sum()
    if finding.kind in ("slow_database", "payload_growth"):  # of its own queries: more of them are no longer ones
        part = sums["queries"] / sums["queries"].sum()
    else:
        names = evidence.server_names
        part = pd.Series(evidence.server_shares[: len(names)], names).reindex(sums.index)
    uneven = share[(share > _MUCH) & (share > _UNEVEN * part)]
    if len(uneven):
        named = ", ".join(f"{name} has {value:.0%}" for name, value in uneven.items())
        return [f"It is not even over the {len(sums)} servers: {named}."]
    return [f"It is even over the {len(sums)} servers: none has much more of it than of the queries."]


def totals_explained(finding: Finding, price: Price, total: pd.DataFrame, clock: Clock) -> list[str]:
    """Return sentences on the abnormal figures of all queries that an incident explains.

    A figure is abnormal if it is a tenth above the median of the other bins; the incident explains it if its excess is
    at least 30 % of that.
    """
    words = {
        "queries": "Queries",
        "dbtime": "Database time",
        "overhead": "Query time outside of the database",
        "bytes": "Bytes",
        "failures": "Failed queries",
    }
    span = slice(finding.start, finding.stop)
    outside = np.ones(clock.bins, dtype=bool)
    outside[span] = False
    told = []
    for name, word in words.items():
        values = total[name].to_numpy(dtype=float)
        usual = float(np.median(values[outside])) * (finding.stop - finding.start) if outside.any() else 0.0
        rise = values[span].sum() - usual
        if usual > 0 and values[span].sum() > _ABNORMAL * usual and price.excess[name] > _PART * rise:
            share = min(price.excess[name] / rise, 1.0)
            told.append(
                f"{word} of all together: {values[span].sum() / usual:.1f} times the usual in that time; {share:.0%} "
                "of the rise is this incident."
            )
    return told
