"""Advice on a folder and tag: what would help against its cause, whom to tell, and what that would save."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from frontierlab.caching import causes
from frontierlab.caching.athena import SLICES
from frontierlab.caching.causes import Worth, gains_of
from frontierlab.caching.queries import FolderTag
from frontierlab.caching.ranking import size_in_words

__all__ = ["Advice", "Facts", "advice_of"]

_MUCH = 1.8  # of 2, the sum of two shares: a grid that leaves more does not help much
_LUMIS = 2**32
_SECOND = 10**9


class Facts(NamedTuple):
    """What is known of a folder and tag.

    Parameters
    ----------
    row
        Its figures, as `frontierlab.caching.causes.cause_of` takes them, with ``cause``.
    queries
        The frame of `frontierlab.caching.queries.different_queries`.
    askers
        The frame of `frontierlab.caching.queries.askers_of`.
    base
        The folder's IOV base, run-lumi or time.
    worth
        What a saving must reach.
    """

    row: Mapping[str, Any]
    queries: pd.DataFrame
    askers: pd.DataFrame
    base: str
    worth: Worth


class Advice(NamedTuple):
    """Advice on a folder and tag; as text it is one line.

    Parameters
    ----------
    place
        The folder and tag.
    cure
        What to do and whom to tell: one short sentence.
    reasons
        What the cause is, what would help, and what would be left or saved: sentences.
    """

    place: str
    cure: str
    reasons: str

    def __str__(self) -> str:
        return f"{self.place}: {self.cure} {self.reasons}".rstrip()


def advice_of(grids: pd.DataFrame, folder: FolderTag, facts: Facts) -> Advice:
    """Return advice: what to do and whom to tell, and the reasons.

    Parameters
    ----------
    grids
        The frame of `frontierlab.caching.grids.estimate`.
    folder
        The folder and tag.
    facts
        What is known of it.
    """
    place = f"{folder.nodefullpath} ({folder.tagname})"
    if not grids["requests"].iloc[0]:
        return Advice(place, "No served query has an IOV, so that there is no advice.", "")
    return Advice(place, *_ADVICE[str(facts.row["cause"])](facts, _Grids.of(grids)))


class _Grids(NamedTuple):
    """The grids that were tried, the one that leaves least, and whether it helps much."""

    tried: pd.DataFrame
    asked: Any
    best: Any
    helps: bool

    @classmethod
    def of(cls, grids: pd.DataFrame) -> _Grids:
        asked, tried = grids.iloc[0], grids.iloc[1:]
        # the remaining shares of database time and bytes have equal weight
        left = (tried["dbtime_share"] + tried["bytes_share"]).fillna(2 * tried["requests_share"]).to_numpy(float)
        if not len(left):
            return cls(tried, asked, None, helps=False)
        fixed = np.flatnonzero(tried["grid"] != "payload")
        number = int(left.argmin())
        if len(fixed) and left[fixed].min() <= max(1.0, 1.5 * left[number]):  # of 2; needs no payloads
            number = int(fixed[left[fixed].argmin()])
        return cls(tried, asked, tried.iloc[number], helps=bool(left[number] < _MUCH))


def _repeated(facts: Facts, grids: _Grids) -> tuple[str, str]:
    row, worst = facts.row, facts.askers.iloc[0]
    if pd.notna(worst["squid"]):
        who, tell = f"the Squid {worst['squid']}", f"the administrators of the Squid {worst['squid']}: it does"
    else:
        who = f"the site {worst['computingsite']}"
        tell = f"the administrators of {who}: its Squid does"
    return (
        f"Tell {tell} not keep these answers.",
        f"{row['repeated_queries']:,} of {row['uncached']:,} uncached queries came again from the same Squid or site. "
        f"If these kept the answers, at least {_cost(row, 'repeated')} would be saved. Most by {who}: "
        f"{worst['repeated_queries']:,} repeats, one query {worst['most_repeated']:,} times, "
        f"{_seconds(worst['repeated_dbtime'])}. Ask the site whether its Squid stores answers of this size, and "
        "whether jobs go around it. A coarser grid is no cure for this.",
    )


def _many(facts: Facts, grids: _Grids) -> tuple[str, str]:
    asked = facts.row["different_queries"] - facts.row["different_empty_queries"]
    return (
        _ask_by(grids),
        f"{asked:,} different queries got {facts.row['different_payloads_iov']:,} different payloads; jobs ask by "
        f"intervals of mostly {_usual_width(facts)}. {_of_grids(grids)}",
    )


def _no_grid(facts: Facts, grids: _Grids) -> tuple[str, str]:
    off, every = facts.row["off_grid_queries"], facts.row["different_queries"]
    points = int((facts.queries["until"] - facts.queries["since"] < SLICES).sum())
    how = f"begin at no multiple of a third of their width{f', and {points:,} ask for a point' if points else ''}"
    if points == off:
        how = "ask for a point of time or a lumiblock, not for an interval"
    own = grids.tried[grids.tried["grid"] == "athena"]
    left = ""
    if len(own) and points < off:
        left = f" On Athena's grid with the same widths, {own['requests'].iloc[0]:,} would be left."
    return (
        _ask_by(grids),
        f"{off:,} of {every:,} different queries {how}. Athena asks by a grid, so that jobs ask alike (IOVDbSvc with "
        f"CacheAlign 3).{left} {_of_grids(grids)}",
    )


def _contents(facts: Facts, grids: _Grids) -> tuple[str, str]:
    row = facts.row
    gain = next(gain for gain in gains_of(row) if gain.cause == causes.CONTENTS)
    return (
        "Tell the experts of the folder: write an IOV only when the content changes.",
        f"{row['different_payloads_iov']:,} different payloads have only {row['different_payloads_content']:,} "
        f"different contents. Were an IOV written only when the content changes, and asked for alike, "
        f"{_cost(row, '', gain.dbtime, gain.size)} more would be saved than by a cache of payloads. The detector's "
        f"conditions experts can change that. {_of_grids(grids)}",
    )


def _empty(facts: Facts, grids: _Grids) -> tuple[str, str]:
    row = facts.row
    return (
        "Ask the owners of its tasks whether tag and IOVs are the right ones.",
        f"{row['empty_queries']:,} of {row['queries']:,} queries ask where the tag has no payload; they cost "
        f"{_cost(row, 'empty')}.",
    )


def _failed(facts: Facts, grids: _Grids) -> tuple[str, str]:
    failed, served = facts.row["failed"], facts.row["queries"]
    return (
        "Ask those who run the servers why its queries fail, before changing how jobs ask.",
        f"{failed:,} queries failed and {served:,} were served.",
    )


def _below(facts: Facts, grids: _Grids) -> tuple[str, str]:
    gains, row = gains_of(facts.row), facts.row
    least = f"{facts.worth.seconds:,g} s of database time or {facts.worth.size / 1e6:,g} MB"
    cure = f"It is below the threshold at which a cause is named: {least}."
    if not gains:
        size = size_in_words(row["bytes_served"])
        return cure, f"Its queries cost {_seconds(row['dbtime'])} of database time and {size}."
    lost = _cost(row, "", gains[0].dbtime, gains[0].size)
    return cure, f"It is cached badly, but small: {lost} are lost by {gains[0].cause}."


def _fine(facts: Facts, grids: _Grids) -> tuple[str, str]:
    return "Nothing to do: it is cached well, or costs little.", _of_grids(grids)


_ADVICE: dict[str, Callable[[Facts, _Grids], tuple[str, str]]] = {
    causes.REPEATED: _repeated,
    causes.MANY: _many,
    causes.SOME: _many,
    causes.NO_GRID: _no_grid,
    causes.CONTENTS: _contents,
    causes.EMPTY: _empty,
    causes.FAILED: _failed,
    causes.BELOW: _below,
    causes.FINE: _fine,
}


def _ask_by(grids: _Grids) -> str:
    """Return what to tell the owners of tasks: the grid that leaves least."""
    if grids.best is None or not grids.helps:
        return "Show this to the experts of the folder: no grid that was tried would help much."
    how = str(grids.best["grid"])
    if how == "payload":
        how = "for the payload's own intervals"
    elif how.startswith("athena"):
        wide = how.removeprefix("athena").strip()
        how = f"on Athena's grid{f', {wide} wide' if wide else ''}"
    else:
        how = f"by cells of {how}"
    left = f"{grids.best['requests']:,} of {grids.asked['requests']:,} different requests"
    return f"Tell the owners of its tasks: ask {how}, which leaves {left}."


def _of_grids(grids: _Grids) -> str:
    """Return a sentence on the grid that leaves least."""
    asked, best = grids.asked, grids.best
    if best is None:
        return "No grid was tried."
    numbers = (
        f"would leave {best['requests']:,} of {asked['requests']:,} different requests, "
        f"{_percent(best['dbtime_share'])} of the database time and {_percent(best['bytes_share'])} of the bytes "
        "(assumed: one cache for all sites, each different request fetched once; answers estimated from their rows: "
        f"{best['estimated']:,})"
    )
    if best["grid"] == "payload":
        return f"Asking for the payload's own interval, which the client would have to know, {numbers}."
    if not grids.helps:
        return f"No tried grid would help much; the best one, {best['grid']}, {numbers}."
    if str(best["grid"]).startswith("athena"):
        wide = str(best["grid"]).removeprefix("athena").strip()
        return f"Asking on Athena's grid{f', {wide} wide,' if wide else ' with the same widths'} {numbers}."
    return f"Asking by cells of {best['grid']} {numbers}."


def _usual_width(facts: Facts) -> str:
    """Return the most frequent width of the IOVs that are asked for."""
    width = int((facts.queries["until"] - facts.queries["since"]).mode().iloc[0])
    if facts.base == "time":
        return f"{width / _SECOND:,g} s"
    if width >= _LUMIS - 1:
        return f"{-(-width // _LUMIS):,} runs"
    return f"{width:,} lumiblocks"


def _cost(row: Mapping[str, Any], kind: str, dbtime: float | None = None, size: float | None = None) -> str:
    """Return a cost in seconds and bytes, with its share of the cost of the row."""
    dbtime = float(row[f"{kind}_dbtime"] if dbtime is None else dbtime)
    size = float(row[f"{kind}_bytes"] if size is None else size)
    return (
        f"{_seconds(dbtime)} of database time ({_share(dbtime, row['dbtime'])}) and {size_in_words(size)} "
        f"({_share(size, row['bytes_served'])})"
    )


def _seconds(milliseconds: Any) -> str:
    return f"{milliseconds / 1e3:,.1f} s"


def _share(part: float, whole: Any) -> str:
    return _percent(part / whole if whole else pd.NA)


def _percent(share: Any) -> str:
    return "an unknown part" if pd.isna(share) else f"{share:.1%}"
