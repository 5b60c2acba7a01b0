"""What the caches did beside what Frontier saw, and what they would have done if clients had asked on coarser grids."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from frontierlab.caching.grids import AS_ASKED, GRIDS, parse_grid, snap
from frontierlab.caching.payloads import ask_coolr, payloads_of
from frontierlab.coolr import Source, connect
from frontierlab.engines.engine_choice import Source as Frontier
from frontierlab.errors import InvalidRequestError
from frontierlab.filters.costs import cost_per_tag
from frontierlab.rawlogs.squid.filter import ask_squids, chosen, notes_of
from frontierlab.rawlogs.squid.hit_ratios import hit_ratio_per_tag
from frontierlab.rawlogs.squid.replay import FETCHED, FOREVER, REVALIDATED, Lifetime, lifetime_of, replay
from frontierlab.rawlogs.squid.stored import SquidLogs, SquidSource, as_squid_logs
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.util.times import from_milliseconds

__all__ = ["AS_LOGGED", "what_caches_did", "what_if_at_squids"]

AS_LOGGED = "as logged"
"""The name of the row with what the Squids really did."""

_TAG = ["db", "schema", "nodefullpath", "tagname"]
_REPLAYED = (
    *("squid", "grid", "requests", "answered_there", "revalidated", "fetched", "sent_on", "hit_percent", "wire_bytes"),
    *("sent_on_share", "wire_bytes_share"),
)
_SERVED = ("hit", "revalidated", "replaced", "stale", "refreshed", "forced", "miss")


def what_caches_did(
    logs: SquidSource, frontier: Frontier | None = None, selection: Selection | None = None, **where: Any
) -> pd.DataFrame:
    """Set what Squids answered beside what Frontier saw, for each folder and tag.

    Parameters
    ----------
    logs
        Squid logs, their name, or several of them.
    frontier
        A dataset of the same time, or what `frontierlab.open_logs` returned. By default Frontier's columns are null.
    selection, **where
        The requests: by time, folder, tag, task, site and Squid; time, folder, tag and site also select Frontier's
        queries. Without a time, these are from the first to the last answer of the Squid logs.

    Returns
    -------
    pandas.DataFrame
        A row is a tag of a folder, the one with the most requests at the Squids first.

        db, schema, nodefullpath, tagname : string; null where the request is no COOL query or the catalogue lacks it
        requests : Int64, queries at the Squids
        answered_there, revalidated, sent_on : Int64, as in `hit_ratio_over_time`
        hit_percent : Float64
        wire_bytes : Int64, bytes sent to the clients, headers included and mostly compressed
        frontier_queries : Int64, queries in Frontier's logs
        frontier_bytes : Int64, their answers before compression: not to be compared with ``wire_bytes``
        frontier_dbtime_ms : Int64, their database time

        Frontier's logs have the queries of all Squids, and those of reverse caches before the servers are in no log:
        ``sent_on`` and ``frontier_queries`` agree only where these are the only Squids. ``attrs["notes"]`` says so.

    Raises
    ------
    InvalidRequestError
        The selection uses fields that Squid logs have not.
    DatasetError, StatementError, Cancelled
        As filters raise them.
    """
    found, opened = chosen(selection, where), as_squid_logs(logs)
    squids = hit_ratio_per_tag(opened, found, top=None)
    numbers = ["requests", "answered_there", "revalidated", "sent_on", "hit_percent", "wire_bytes"]
    frame = squids[[*_TAG, *numbers]]
    names = {"queries": "frontier_queries", "bytes": "frontier_bytes", "dbtime_ms": "frontier_dbtime_ms"}
    if frontier is None:
        frame = frame.assign(**{name: pd.array([pd.NA] * len(frame), dtype="Int64") for name in names.values()})
    else:
        window = _window(opened, found).but(squid=None, taskid=None)
        theirs = cost_per_tag(frontier, window, top=None)[[*_TAG, *names]].rename(columns=names)
        frame = _joined(frame, theirs)
    frame.attrs = {"filter": "what_caches_did", "selection": found.in_words(), "notes": [*squids.attrs["notes"]]}
    if frontier is not None:
        frame.attrs["notes"] += [
            "Frontier's logs have queries of all Squids that send to its servers, and none that a cache before the "
            f"servers answered; the Squid logs are of {len({s for one in opened for s in one.squids}):,} Squids."
        ]
    return frame


def _window(logs: list[SquidLogs], selection: Selection) -> Selection:
    """Return a selection with the time of the Squid logs, where it gives none."""
    starts = [one.manifest.since for one in logs if one.manifest.since is not None]
    ends = [one.manifest.until for one in logs if one.manifest.until is not None]
    if not starts:
        return selection
    since = selection.since if selection.since is not None else from_milliseconds(min(starts))
    until = selection.until if selection.until is not None else from_milliseconds(max(ends) + 1)
    return selection.but(since=since, until=until)


def _joined(squids: pd.DataFrame, frontier: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of both by folder and tag; missing numbers are 0."""
    both = squids.merge(frontier, on=_TAG, how="outer")
    counts = [name for name in both.columns if name not in (*_TAG, "hit_percent")]
    both[counts] = both[counts].fillna(0).astype("Int64")
    keys = ["requests", "frontier_queries", *_TAG]
    return both.sort_values(keys, ascending=[False, False, *[True] * len(_TAG)], ignore_index=True)


def what_if_at_squids(
    logs: SquidSource,
    settings: Settings | None = None,
    *,
    db: str,
    schema: str,
    nodefullpath: str,
    tagname: str,
    grids: Sequence[str] | None = None,
    lifetime: timedelta | None = None,
    selection: Selection | None = None,
    coolr: Source | None = None,
    per_squid: bool = False,
) -> pd.DataFrame:
    """Replay the requests of a folder and tag at their Squids, as if clients had asked on coarser grids of IOVs.

    Frontier's logs lack what Squids answered, so `frontierlab.caching.what_if` assumes one cache that keeps everything
    for ever. Here the real sequence of requests is given to a model of each Squid: a copy is fresh for a lifetime after
    it was fetched or revalidated; the next request after that revalidates it; the cache never runs full. Requests of
    clients that insisted on a new copy are fetched in any case. If the first request of a query was a hit in the log,
    the copy was there before the log began.

    Parameters
    ----------
    logs
        Squid logs, their name, or several of them.
    settings
        By default ``Settings()``; needed for payloads from COOLR.
    db, schema, nodefullpath, tagname
        The folder and its tag.
    grids
        The grids to try, as in `frontierlab.caching.what_if`. By default those for the folder's IOV base; ``payload``
        only if `coolr` is given, or is named here.
    lifetime
        How long answers are fresh. By default the lifetime that the log itself shows.
    selection
        The requests to replay, such as those of one site; by default all.
    coolr
        Where the payloads for the grid ``payload`` come from; by default COOLR of `settings`.
    per_squid
        True returns rows for each Squid, with the column ``squid`` before the others. ``advice`` is about all of them.

    Returns
    -------
    pandas.DataFrame
        A row is a grid, after the rows ``as logged`` (what the Squids really did) and ``as asked`` (the model, without
        a grid: the difference of these two rows is the error of the model).

        grid : string
        requests : Int64, served requests with an IOV
        answered_there, revalidated, fetched, sent_on : Int64; ``sent_on`` is the sum of the two before
        hit_percent : Float64, % of the requests
        wire_bytes : Int64, bytes of the fetched answers on the wire. On a grid, each is the largest logged answer that
            it replaces: an answer to a wider IOV can be larger, so this is a lower limit
        sent_on_share, wire_bytes_share : Float64, fraction of ``as asked``; null if that is zero

        ``attrs``: ``advice`` (a sentence), ``lifetime_seconds`` (None if no copy expired), ``lifetime_observed`` and
        ``lifetime_contradicting`` (`frontierlab.rawlogs.squid.replay.Lifetime`), ``not_served`` (requests left out:
        they failed, were cut off or refused), and ``notes``.

    Raises
    ------
    InvalidRequestError
        A grid is invalid or does not fit the folder's IOV base, the base is not known, the lifetime is not positive, or
        the selection uses fields that Squid logs have not.
    CoolrError
        COOLR does not give the payloads.
    DatasetError, StatementError, Cancelled
        As filters raise them.
    """
    for grid in grids or ():
        parse_grid(grid)
    if lifetime is not None and lifetime <= timedelta(0):
        raise InvalidRequestError(f"lifetime={lifetime!r}: give more than no time, or None for what the log shows.")
    folder = {"db": db, "schema": schema, "nodefullpath": nodefullpath, "tagname": tagname}
    found, opened = chosen(selection, folder), as_squid_logs(logs, settings)
    requests, left_out, base = _requests(opened, found)
    base = base or _base_of(grids)
    tried = [grid for grid in GRIDS[base] if grid != "payload" or coolr is not None] if grids is None else [*grids]
    for grid in tried:
        parse_grid(grid, base)
    payloads = _payloads(requests, tried, folder, base, settings, coolr)
    shown = lifetime_of(requests)
    if lifetime is not None:
        shown = shown._replace(milliseconds=lifetime // timedelta(milliseconds=1))
    each = _each_squid(requests, [AS_ASKED, *dict.fromkeys(tried)], payloads, shown)
    frame = _shares(each.drop(columns="squid").groupby("grid", sort=False).sum().reset_index())
    advice = _advice(frame, f"{nodefullpath} ({tagname})")
    if per_squid and len(each):
        frame = pd.concat([_shares(rows) for _, rows in each.groupby("squid", sort=True)], ignore_index=True)
    frame.attrs = {
        "filter": "what_if_at_squids",
        "selection": found.in_words(),
        "advice": advice,
        "lifetime_seconds": None if shown.milliseconds >= FOREVER else shown.milliseconds / 1000,
        "lifetime_observed": shown.observed,
        "lifetime_contradicting": shown.contradicting,
        "not_served": left_out,
        "notes": notes_of(opened),
    }
    return frame


def _requests(logs: list[SquidLogs], selection: Selection) -> tuple[pd.DataFrame, int, str | None]:
    """Return the served requests with an IOV, the number of those that were not served, and the IOV base."""
    where, args = selection.where("iov_since >= 0 AND iov_until >= iov_since")
    columns = (
        "squid, unix_millis(time) AS ms, sqlhash, cache_key, iov_since, iov_until, result_class, status, ending, "
        "sent_on, wire_bytes, nodetime"
    )
    text = f"SELECT {columns} FROM {{logs}}{where} ORDER BY squid, end_time, file, line"
    rows = ask_squids(logs, text, args, description="what_if_at_squids")
    served = rows["result_class"].isin(_SERVED) & rows["status"].isin((200, 304)) & rows["ending"].isna()
    bases = rows["nodetime"].dropna().unique()
    return rows[served].reset_index(drop=True), int((~served).sum()), str(bases[0]) if len(bases) else None


def _base_of(grids: Sequence[str] | None) -> str:
    if grids is None:
        raise InvalidRequestError(
            "The IOV base of the folder is not known, or no request for it is in these logs: give the grids to try."
        )
    return "time" if any(parse_grid(grid)[0] == "minute" for grid in grids) else "run-lumi"


def _payloads(
    requests: pd.DataFrame,
    grids: Sequence[str],
    folder: dict[str, str],
    base: str,
    settings: Settings | None,
    coolr: Source | None,
) -> pa.Table:
    """Return the payloads that the grid ``payload`` needs; an empty table without that grid."""
    if "payload" not in grids or requests.empty:
        return pa.table({"since": pa.array([], pa.int64()), "until": pa.array([], pa.int64())})
    since, until = int(requests["iov_since"].min()), int(requests["iov_until"].max())
    stop = threading.Event()
    with connect(settings or Settings(), cancelled=stop) if coolr is None else nullcontext(coolr) as source:
        return ask_coolr(lambda: payloads_of(source, folder, since, until, base), stop)


def _each_squid(requests: pd.DataFrame, grids: Sequence[str], payloads: pa.Table, lifetime: Lifetime) -> pd.DataFrame:
    """Return what each Squid did and would have done: a row is a Squid and a grid."""
    squids, names = pd.factorize(requests["squid"], sort=True)
    since, until = (requests[name].to_numpy(np.int64) for name in ("iov_since", "iov_until"))
    ms, wire = requests["ms"].to_numpy(np.int64), requests["wire_bytes"].to_numpy(np.int64)
    class_ = requests["result_class"]
    forced, held = (class_ == "forced").to_numpy(), (class_ == "hit").to_numpy()
    sent_on = requests["sent_on"].to_numpy(dtype=bool)
    again = (class_ == "revalidated").to_numpy() & sent_on
    tables = [_counted(AS_LOGGED, squids, names, sent_on & ~again, again, wire)]
    for grid in grids:
        first, last = snap(grid, since, until, payloads)
        cell = pd.DataFrame({"squid": squids, "shape": requests["sqlhash"], "first": first, "last": last})
        keys = cell.groupby([*cell.columns], sort=False, dropna=False).ngroup().to_numpy()
        does = replay(np.asarray(keys, np.int64), ms, lifetime.milliseconds, forced, held)
        largest = requests["wire_bytes"].groupby(keys).transform("max").to_numpy(np.int64)
        sizes = wire if grid == AS_ASKED else largest
        tables.append(_counted(grid, squids, names, does == FETCHED, does == REVALIDATED, sizes))
    return pd.concat(tables, ignore_index=True)


def _counted(grid: str, squids: Any, names: Any, fetched: Any, revalidated: Any, sizes: Any) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "requests": 1,
            "answered_there": ~(fetched | revalidated),
            "revalidated": revalidated,
            "fetched": fetched,
            "sent_on": fetched | revalidated,
            "wire_bytes": np.where(fetched, sizes, 0),
        }
    ).astype("int64")
    sums = rows.groupby(np.asarray(squids)).sum().reindex(range(len(names)), fill_value=0)
    sums["squid"] = pd.Series(list(names), index=sums.index, dtype="string")
    sums["grid"] = pd.Series(grid, index=sums.index, dtype="string")
    return sums.reset_index(drop=True)


def _shares(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of grids with their shares of the row ``as asked``."""
    rows = rows.reset_index(drop=True)
    counts = [name for name in rows.columns if name not in ("squid", "grid")]
    rows = rows.astype(dict.fromkeys(counts, "Int64") | {"grid": "string"})
    rows["hit_percent"] = 100 * rows["answered_there"] / rows["requests"].mask(rows["requests"] == 0)
    asked = rows[rows["grid"] == AS_ASKED]
    for name in ("sent_on", "wire_bytes"):
        base = asked[name].iloc[0] if len(asked) else 0
        rows[f"{name}_share"] = (rows[name] / (base if base else pd.NA)).astype("Float64")
    order = [name for name in _REPLAYED if name in rows]
    return rows.astype({"hit_percent": "Float64"})[order]


def _advice(frame: pd.DataFrame, place: str) -> str:
    if frame.empty or not frame["requests"].iloc[0]:
        return f"{place}: no served request with an IOV is in these logs, so that there is no advice."
    asked = frame[frame["grid"] == AS_ASKED].iloc[0]
    tried = frame[~frame["grid"].isin((AS_LOGGED, AS_ASKED))]
    if tried.empty:
        return f"{place}: {asked['sent_on']:,} of {asked['requests']:,} requests are sent on; no grid was tried."
    best = tried.sort_values("sent_on", kind="stable").iloc[0]
    numbers = (
        f"{best['sent_on']:,} instead of {asked['sent_on']:,} of {asked['requests']:,} requests would be sent on by "
        "the Squids"
    )
    if not asked["sent_on"] or best["sent_on"] >= 0.9 * asked["sent_on"]:
        return f"{place}: no tried grid would help the Squids much; with the best one, {best['grid']}, {numbers}."
    return f"{place}: asking by cells of {best['grid']}, {numbers}."
