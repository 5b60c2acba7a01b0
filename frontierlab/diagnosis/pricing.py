"""What a deviation costs: the excess over what was expected, in each currency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from frontierlab.diagnosis.evidence import Evidence
from frontierlab.diagnosis.finding import Finding
from frontierlab.diagnosis.series import Clock, Floats, rate_of

__all__ = ["CURRENCIES", "LEAST_COST", "Price", "totals"]

CURRENCIES = ("queries", "dbtime", "overhead", "bytes", "failures")
"""What can be lost: queries, database time (ms), query time outside of the database (ms), bytes, failed queries."""

LEAST_COST = 0.012
"""Cheaper deviations are not told: shares of what a day has in all."""

_ADDS = ("iov_flood", "cache_bypass", "wrong_iov", "load")
_OF_KIND = {
    "slow_database": "dbtime",
    "slow_server": "overhead",
    "payload_growth": "bytes",
    "rejections": "failures",
    "failures": "failures",
    "silence": "queries",
}


@dataclass(frozen=True)
class Price:
    """The costs of one finding.

    Parameters
    ----------
    history
        What the queries of its scope cost, a row a bin: ``queries``, ``dbtime``, ``overhead``, ``bytes``, ``failures``.
    queries
        The queries in its scope and interval.
    excess
        The excess in each of `CURRENCIES`; missing queries are negative.
    shares
        The same as shares of what the data has in a day; never negative.
    currency
        The currency in which the share is largest.
    """

    history: pd.DataFrame
    queries: float
    excess: dict[str, float]
    shares: dict[str, float]
    currency: str

    @property
    def cost(self) -> float:
        """The largest share."""
        return self.shares[self.currency]

    def sums_of(self, finding: Finding) -> dict[str, tuple[float, float]]:
        """Return what there was in the scope and time, and how much of it was expected, by currency."""
        inside = self.history.iloc[finding.start : finding.stop]
        there = {name: float(inside[name].sum()) for name in CURRENCIES}
        return {name: (there[name], there[name] - self.excess[name]) for name in CURRENCIES}

    @classmethod
    def of(cls, finding: Finding, evidence: Evidence, per_day: dict[str, float]) -> Price:
        """Ask for the history of a scope, and return its price."""
        clock = evidence.clock
        frame = evidence.history(finding.scope)
        both = {name: clock.sums(frame, name) for name in CURRENCIES}
        sums = {name: now for name, (now, _) in both.items()}
        excess = _excess(finding, both, clock)
        shares = {name: abs(value) / max(per_day[name], 1.0) for name, value in excess.items()}
        currency = max(shares, key=lambda name: shares[name])
        times = pd.to_datetime(clock.start + clock.bin_ms * np.arange(clock.bins), unit="ms", utc=True)
        history = pd.DataFrame({"time": times, **sums})
        queries = float(sums["queries"][finding.start : finding.stop].sum())
        return cls(history, queries, excess, shares, currency)


def totals(folders: pd.DataFrame, clock: Clock) -> dict[str, float]:
    """Return what the queries of a day cost, by currency."""
    days = max(1.0, clock.bins * clock.bin_ms / 86_400_000)
    today = folders[folders["bin"] >= clock.start]
    return {name: float(today[name].sum()) / days for name in CURRENCIES}


def _excess(finding: Finding, both: dict[str, tuple[Floats, Floats | None]], clock: Clock) -> dict[str, float]:
    span = slice(finding.start, finding.stop)
    if finding.kind in _ADDS:
        found = {}
        for name in CURRENCIES:
            now, usual = both[name]
            rate = rate_of(now[None, :], None if usual is None else usual[None, :], clock, 0.4)[0]
            found[name] = max(0.0, float(now[span].sum() - rate * (finding.stop - finding.start)))
        return found
    none = dict.fromkeys(CURRENCIES, 0.0)
    currency = _OF_KIND[finding.kind]
    if finding.kind == "silence":
        return none | {"queries": finding.seen - finding.normal}
    if currency == "failures":
        return none | {"failures": finding.seen - finding.normal}
    ratio = _ratio(both[currency], both["queries"], finding, clock)
    factor = finding.factor if ratio is None else ratio
    return none | {currency: max(0.0, float(both[currency][0][span].sum()) * (1 - 1 / max(factor, 1.0)))}


def _ratio(
    of: tuple[Floats, Floats | None], by: tuple[Floats, Floats | None], finding: Finding, clock: Clock
) -> float | None:
    """Return the mean of an amount a query within an interval, as a multiple of its usual one; None if that is 0."""
    if finding.kind == "slow_database":
        return None  # a scope of several folders has other means when other folders are asked
    outside = np.ones(clock.bins, dtype=bool)
    outside[max(0, finding.start - 1) : finding.stop + 1] = False
    (amount, amount_before), (queries, queries_before) = of, by
    if amount_before is None or queries_before is None or not amount_before.sum():
        asked, usual = queries[outside].sum(), amount[outside].sum()
    else:
        asked, usual = queries_before.sum(), amount_before.sum()
    there = queries[finding.start : finding.stop].sum()
    if not asked or not usual or not there:
        return None
    return float(amount[finding.start : finding.stop].sum() / there / (usual / asked))
