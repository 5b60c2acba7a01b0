"""f/r, fetches by requests, as WLCG's monitor of Squids counts it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from frontierlab.rawlogs.squid.filter import ask_squids, chosen, left_out_note, notes_of
from frontierlab.rawlogs.squid.hit_ratios import LEFT_OUT, REQUEST
from frontierlab.rawlogs.squid.stored import SquidSource, as_squid_logs
from frontierlab.selection import Selection

__all__ = ["FEW_REQUESTS", "LIMITS", "fetch_ratio"]

FEW_REQUESTS = 500
"""Mean requests in half an hour below which the monitor shows 0."""

LIMITS = (0.25, 0.5, 0.75)
"""Where the monitor changes the colour."""

_BIN_MS = 30 * 60_000
_WEEK_MS = 7 * 86_400_000
_MONDAY_MS = 4 * 86_400_000  # 1970-01-05 was a Monday


def fetch_ratio(logs: SquidSource, selection: Selection | None = None, **where: Any) -> pd.DataFrame:
    """Return f/r of each Squid and week: the mean of its half hours, as WLCG's monitor shows it.

    The monitor asks Squids by SNMP, which counts all requests; here they are those for Frontier. That it takes the mean
    of fetches by the mean of requests, and not the mean of the quotients, is believed and not known.

    Parameters
    ----------
    logs
        Squid logs, their name, or several of them.
    selection, **where
        The requests: by time, folder, tag, task, site and Squid.

    Returns
    -------
    pandas.DataFrame
        A row is a Squid in a week, in the order of weeks, sites and Squids.

        week : datetime64[ms, UTC], its Monday
        computingsite, squid : string
        half_hours : Int64, from the Squid's first to its last request of the week
        requests, fetches : Int64, in the week; a fetch is a request, or a question about a copy, that was sent on
        fetches_per_request : Float64, 0 if there are fewer than `FEW_REQUESTS` requests in a mean half hour
        of_site : Float64, the largest of the site's Squids in the week: what the monitor shows for a site; the Squid's
            own where its site is not known
        step : Int64, the number of `LIMITS` that ``of_site`` reaches, 0 to 3

    Raises
    ------
    InvalidRequestError, DatasetError, StatementError, Cancelled
        As filters raise them.
    """
    found, opened = chosen(selection, where), as_squid_logs(logs)
    condition, args = found.where()
    left_out = ", ".join(f"count_if(result_class = '{class_}') AS {name}" for name, class_ in LEFT_OUT.items())
    text = (
        "SELECT computingsite, squid, unix_millis(time) - pmod(unix_millis(time), :bin_ms) AS bin, "
        f"count_if({REQUEST}) AS requests, count_if(sent_on AND {REQUEST}) AS fetches, {left_out} "
        f"FROM {{logs}}{condition} GROUP BY 1, 2, 3"
    )
    bins = ask_squids(opened, text, {**args, "bin_ms": _BIN_MS}, description="fetch_ratio")
    note = left_out_note({name: int(bins[name].sum()) for name in LEFT_OUT})
    bins = bins[bins["requests"] > 0]
    bins["week"] = bins["bin"] - (bins["bin"] - _MONDAY_MS) % _WEEK_MS
    keys = ["week", "computingsite", "squid"]
    grouped = bins.groupby(keys, dropna=False, sort=True)
    frame = grouped[["requests", "fetches"]].sum()
    frame["half_hours"] = (grouped["bin"].max() - grouped["bin"].min()) // _BIN_MS + 1
    frame = frame.reset_index()
    ratio = (frame["fetches"] / frame["requests"]).astype("Float64")
    frame["fetches_per_request"] = ratio.mask(frame["requests"] < FEW_REQUESTS * frame["half_hours"], 0.0)
    largest = frame.groupby(["week", "computingsite"])["fetches_per_request"].transform("max")
    frame["of_site"] = largest.astype("Float64").mask(frame["computingsite"].isna(), frame["fetches_per_request"])
    frame["step"] = sum(((frame["of_site"] >= limit).astype("Int64") for limit in LIMITS), pd.Series(0, frame.index))
    frame["week"] = pd.Series(frame["week"].to_numpy("int64").view("datetime64[ms]")).dt.tz_localize("UTC")
    types = {"requests": "Int64", "fetches": "Int64", "half_hours": "Int64", "step": "Int64"}
    order = [*keys, "half_hours", "requests", "fetches", "fetches_per_request", "of_site", "step"]
    frame = frame.astype(types)[order]
    frame.attrs = {"filter": "fetch_ratio", "selection": found.in_words(), "notes": notes_of(opened) + note}
    return frame
