"""What is bad all the time, and so no incident of this day: tasks that always fail, slow servers, wrong IOVs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from frontierlab.diagnosis.latencies import SCALE
from frontierlab.diagnosis.series import HOUR_MS, Clock

__all__ = ["CHRONIC", "chronic"]

CHRONIC = {
    "kind": "string",
    **dict.fromkeys(("db", "schema", "nodefullpath", "tagname"), "string"),
    "taskid": "Int64",
    "frontierserver": "string",
    "queries": "Int64",
    "failures": "Int64",
    "rate": "Float64",
    "text": "string",
}
"""The columns of `Diagnosis.chronic`, with their types."""

_FOLDER = ["db", "schema", "nodefullpath", "tagname"]
_FEWEST = 30  # failures of a task
_TIMES = 4  # the rate of all other tasks
_MOST_HOURS = 0.6  # of those with queries, or with most of them: in so many it is bad
_SLOWER = 2.0  # times the other servers
_SHARE = 0.01  # of all queries: a folder with fewer wrong IOVs is not told
_WRONG = 0.5  # of a folder's queries


def chronic(cubes: dict[str, pd.DataFrame], clock: Clock) -> pd.DataFrame:
    """Return what is bad in most hours of the data; a row is a task, a server, or a folder and tag."""
    today = {name: cubes[name][cubes[name]["bin"] >= clock.start] for name in ("tasks", "servers", "folders")}
    rows = [*_failing(today["tasks"]), *_slow(today["servers"]), *_wrong(today["folders"])]
    return pd.DataFrame(rows, columns=[*CHRONIC]).astype(CHRONIC)


def _failing(tasks: pd.DataFrame) -> list[dict[str, Any]]:
    frame = tasks.assign(failures=tasks["disconn"] + tasks["procerror"])
    sums = frame.groupby("taskid")[["queries", "failures"]].sum()
    # a task that fails much raises the rate of all, so it is compared with the others
    others = sums.sum() - sums
    usual = others["failures"] / others["queries"].clip(lower=1)
    often = _often(frame, ["taskid"], frame["failures"] > 0).reindex(sums.index)
    rate = sums["failures"] / sums["queries"]
    found = sums[(sums["failures"] >= _FEWEST) & (rate > _TIMES * usual) & (often > _MOST_HOURS)]
    return [
        {
            "kind": "failures",
            "taskid": task,
            "queries": row["queries"],
            "failures": row["failures"],
            "rate": row["failures"] / row["queries"],
            "text": f"Task {task} fails all the time: {row['failures']:,} of {row['queries']:,} queries.",
        }
        for task, row in found.sort_values("failures", ascending=False).iterrows()
    ]


def _slow(servers: pd.DataFrame) -> list[dict[str, Any]]:
    """Return servers whose queries take much longer outside of the database than those of the others, in most hours."""
    named = servers[servers["frontierserver"].notna() & (servers["timed"] > 0)]
    hourly = named.assign(hour=named["bin"] // HOUR_MS).groupby(["frontierserver", "hour"])[["timed", "log_overhead"]]
    means = (hourly.sum()["log_overhead"] / SCALE / hourly.sum()["timed"]).astype(float).unstack("hour")
    if len(means) < 3:
        return []
    times: Any = np.exp(means.sub(means.median()))
    often = (times > _SLOWER).sum(axis=1) / times.notna().sum(axis=1)
    queries = named.groupby("frontierserver")["queries"].sum()
    return [
        {
            "kind": "slow_server",
            "frontierserver": name,
            "queries": queries[name],
            "rate": (factor := float(times.loc[name].median())),
            "text": f"Server {name} needs {factor:.1f} times the time outside of the database that the others do, in "
            "most hours.",
        }
        for name in often[often > _MOST_HOURS].index
    ]


def _wrong(folders: pd.DataFrame) -> list[dict[str, Any]]:
    """Return folders and tags that most queries ask for IOVs off Athena's grid, or nonsense, in most hours."""
    named = folders[folders["nodefullpath"].notna()]
    frame = named.assign(wrong=named["unaligned"] + named["nonsense"])
    of_tags = frame.groupby(_FOLDER, dropna=False)
    sums = of_tags[["queries", "uncached", "wrong"]].sum().reset_index()
    sums["folder"] = sums.groupby(_FOLDER[:3], dropna=False).ngroup()
    frame["folder"] = sums["folder"].to_numpy()[of_tags.ngroup().to_numpy()]
    sums = sums[(sums["wrong"] >= _SHARE * folders["queries"].sum()) & (sums["wrong"] >= _WRONG * sums["uncached"])]
    sums = sums[sums[_FOLDER[:3]].notna().all(axis=1)]
    if sums.empty:
        return []
    parts = frame[frame["folder"].isin(sums["folder"])]
    often = _often(parts, ["folder"], parts["wrong"] > 0)
    bins = parts.groupby("folder")["bin"].nunique()
    rows = []
    for row in sums.sort_values("wrong", ascending=False).to_dict("records"):
        if often[row["folder"]] > _MOST_HOURS and bins[row["folder"]] > 1:
            scope = {name: row[name] for name in _FOLDER if not pd.isna(row[name])}
            rows.append(
                {
                    "kind": "wrong_iov",
                    **scope,
                    "queries": row["queries"],
                    "rate": row["wrong"] / row["queries"],
                    "text": f"{' '.join(map(str, scope.values()))} is asked for IOVs that are not on Athena's grid, or "
                    f"nonsense, all the time: {row['wrong']:,} of {row['queries']:,} queries.",
                }
            )
    return rows


def _often(frame: pd.DataFrame, names: list[str], bad: pd.Series[Any]) -> pd.Series[Any]:
    """Return in which share of the hours with queries something is bad, for each group, or of the queries if more."""
    hours = frame.assign(hour=frame["bin"] // HOUR_MS, bad=bad)
    each = hours.groupby([*names, "hour"]).agg({"queries": "sum", "bad": "any"})
    each["theirs"] = each["queries"].where(each["bad"], 0)
    whole = each.groupby(names)
    sums: Any = whole[["queries", "theirs"]].sum()
    found: pd.Series[Any] = np.maximum(whole["bad"].mean(), sums["theirs"] / sums["queries"].clip(lower=1))
    return found
