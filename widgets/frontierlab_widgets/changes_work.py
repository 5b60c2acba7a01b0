"""What changed, for the Overview: against the comparison of the header, or from when on the queries were unusual."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import frontierlab as fl
from frontierlab import filters
from frontierlab.diagnosis.evidence import BIN_MS, MOST_BINS
from frontierlab.diagnosis.scan import of_counts, scan
from frontierlab.errors import InvalidRequestError
from frontierlab.filters.changes import changes_from
from frontierlab.filters.changes_statement import CHANGE_KEYS
from frontierlab.util.times import from_milliseconds, to_milliseconds
from frontierlab_widgets.chosen_datasets import Source
from frontierlab_widgets.explore_work import lacks_window, other_logs

__all__ = ["Burst", "burst_of", "changes_in_words", "changes_of", "over_time"]

_KEYS = ("db", "schema", "nodefullpath", "tagname", "taskid", "taskname", "frontierserver", "computingsite", "squid")
_TOLD = {"task": 2, "folder": 2, "site": 1, "server": 1, "squid": 1}
"""How many changes of each kind are told; a schema or tag repeats what its folders tell."""

_LEAST_FACTOR = 1.5
_LEAST_GAIN = 20.0  # how much likelier the queries are with a burst than without: e ** 20
_LEAST_TIME = pd.Timedelta(minutes=1)  # of the two halves together
_LEAST_BINS = 3  # before or after a burst, to compare it with


class Burst(NamedTuple):
    """The time ``[since, until)`` with far more queries than usual; ``begins`` if there is a time before it to compare,
    ``ends`` if there is one after it."""

    since: datetime
    until: datetime
    begins: bool
    ends: bool


def over_time(logs: Any, selection: fl.Selection, dataset: Source) -> pd.DataFrame:
    """Return the number of queries over time, from the filter `queries_over_time`: ``time`` and ``queries``.

    The bins are those of a diagnosis.
    """
    outcome, width = dataset.outcome(), BIN_MS
    if outcome.since is not None and outcome.until is not None:
        since, until = _ends(dataset, selection)
        width *= max(1, -(-(to_milliseconds(until) - to_milliseconds(since)) // (BIN_MS * MOST_BINS)))
    frame = filters.queries_over_time(logs, selection, bin_seconds=width / 1000)
    return frame[["time"]].assign(queries=frame[["cached", "not_cached", "unknown"]].sum(axis=1))


def burst_of(counted: pd.DataFrame) -> Burst | None:
    """Return the time with the most unusual number of queries; None if there is none, or it is most of the time.

    Parameters
    ----------
    counted
        ``time`` and ``queries``: a row is a bin, the earliest first; all bins have one width.
    """
    seen = counted["queries"].to_numpy(dtype=float)
    if len(seen) < 2 * _LEAST_BINS:
        return None
    normal = max(1.0, float(np.median(seen)))
    below = seen[seen <= normal]
    spread = max(1.0, float(np.mean((below - normal) ** 2)) / normal)  # a burst is not part of what is usual
    best = scan(of_counts(seen[None, :], np.full((1, len(seen)), normal), spread), _LEAST_FACTOR)
    if best is None or best.gain < _LEAST_GAIN or 2 * (best.stop - best.start) > len(seen):
        return None
    times = pd.DatetimeIndex(counted["time"])
    until = times[best.stop] if best.stop < len(times) else times[-1] + (times[1] - times[0])
    return Burst(
        times[best.start].to_pydatetime(),
        until.to_pydatetime(),
        best.start >= _LEAST_BINS,
        len(seen) - best.stop >= _LEAST_BINS,
    )


def changes_of(
    dataset: Source,
    logs: Any,
    settings: Any,
    selection: fl.Selection,
    compare: str,
    counted: pd.DataFrame | None = None,
) -> tuple[str, pd.DataFrame]:
    """Return what changed, and in words between which times.

    It is the comparison of the header. Without one, it is what went up when the queries became far more than usual; if
    they never did, the second half of the time against the first. `counted` is what `over_time` returned, if it was
    counted before.

    Returns
    -------
    tuple of str and pandas.DataFrame
        The words, and the significant rows of `frontierlab.what_changed` of the kinds that are told, without the
        measures that are not. The column ``then`` says what became of the row after that time, such as "back to normal
        since 11:00"; it is empty if there is no time after it. Empty words and no rows if there is too little time to
        compare.

    Raises
    ------
    InvalidRequestError
        The comparison needs a window and none is chosen; there are no queries; or the chosen time has none.
    """
    if lacks := lacks_window(compare, selection):
        raise InvalidRequestError(lacks)
    if compare.startswith("dataset:"):
        other = fl.open_logs(other_logs(compare, settings), settings=settings, allow_incomplete=True)
        untimed = selection.but(since=None, until=None)
        return f"against {compare.removeprefix('dataset:')}", _changed((other, untimed), (logs, selection))
    since, until = _ends(dataset, selection)
    if compare:
        step = {"previous": until - since, "-1d": pd.Timedelta(days=1), "-7d": pd.Timedelta(days=7)}[compare]
        now = selection.but(since=since, until=until)
        words = {"previous": "against the time before", "-1d": "against a day earlier", "-7d": "against a week earlier"}
        return words[compare], _changed((logs, now.shifted(-step)), (logs, now))
    burst = burst_of(over_time(logs, selection, dataset) if counted is None else counted)
    if burst is not None and (burst.begins or burst.ends):
        return _of_burst(logs, selection, (since, until), burst)
    middle = since + (until - since) / 2
    middle = middle.replace(minute=0, second=0, microsecond=0) if until - since > pd.Timedelta(hours=4) else middle
    if until - since < _LEAST_TIME:
        return "", pd.DataFrame(columns=["what", "rate", "rate_before"])
    before, after = selection.but(since=since, until=middle), selection.but(since=middle, until=until)
    return f"since {middle:%Y-%m-%d %H:%M} UTC, against the time before", _changed((logs, before), (logs, after))


def _of_burst(
    logs: Any, selection: fl.Selection, ends: tuple[datetime, datetime], burst: Burst
) -> tuple[str, pd.DataFrame]:
    """Return what went up when a burst began, and what became of it; without a time before, against that after."""
    since, until = max(burst.since, ends[0]), min(burst.until, ends[1])
    during, after = selection.but(since=since, until=until), selection.but(since=until, until=ends[1])
    if not burst.begins:
        return f"until {until:%Y-%m-%d %H:%M} UTC, against the time after", _changed((logs, after), (logs, during))
    before = selection.but(since=ends[0], until=since)
    words = f"from {since:%Y-%m-%d %H:%M} UTC on, against the time before"
    if not burst.ends:
        return words, _changed((logs, before), (logs, during))
    found, late = _compared((logs, before), (logs, during), (logs, after))
    if len(found):
        ours = found.merge(late[["what", *_KEYS, "rate", "verdict"]], "left", ["what", *_KEYS], suffixes=("", "_late"))
        found["then"] = [_then(one, until) for one in ours.to_dict("records")]
    return words, found


def _then(record: dict[Any, Any], until: datetime) -> str:
    """Say what became of a change after it."""
    rate = 0.0 if pd.isna(record["rate_late"]) else record["rate_late"]
    if pd.notna(record["verdict_late"]) and record["verdict_late"] in ("more", "new"):
        return f"still {rate:,.0f} after {until:%H:%M}"
    if record["verdict"] in ("more", "new"):
        return f"back to normal since {until:%H:%M}"
    return f"{rate:,.0f} since {until:%H:%M}"


def changes_in_words(frame: pd.DataFrame) -> list[str]:
    """Return the changes that matter most as sentences: what went up first, then what went down."""
    ups = frame["rate"].fillna(0) >= frame["rate_before"].fillna(0)
    picked = [
        rows.head(_TOLD[kind])
        for side in (frame[ups], frame[~ups])
        for kind in _TOLD
        if len(rows := side[side["what"] == kind])
    ]
    return [_change(record) for part in picked for record in part.to_dict("records")]


def _change(record: dict[Any, Any]) -> str:
    name = " ".join(str(record[key]) for key in _KEYS if pd.notna(record[key]))
    now, before = (0.0 if pd.isna(record[side]) else record[side] for side in ("rate", "rate_before"))
    way = "up" if now >= before else "down"
    then = f", {record['then']}" if record.get("then") else ""
    kind = {"squid": "Squid"}.get(record["what"], record["what"])
    return f"{kind} {name}: {way} from {before:,.0f} to {now:,.0f} queries an hour{then}"


def _ends(dataset: Source, selection: fl.Selection) -> tuple[datetime, datetime]:
    outcome = dataset.outcome()
    if outcome.since is None or outcome.until is None:
        raise InvalidRequestError("There are no queries to compare.")
    since = selection.since or from_milliseconds(outcome.since)
    until = selection.until or from_milliseconds(outcome.until + 1)
    if since >= until:
        raise InvalidRequestError("The chosen time is outside of that of the dataset.")
    return since, until


def _changed(before: Any, now: Any) -> pd.DataFrame:
    (found,) = _compared(before, now)
    return found


def _compared(before: Any, now: Any, *later: Any) -> list[pd.DataFrame]:
    """Return the significant changes of the queries, and all rows of later times; what is not told is not counted."""
    kinds = [kind for kind in CHANGE_KEYS if kind in _TOLD]
    found, *more = changes_from(before, now, *later, rank_by="queries", top=5, what=kinds, counted=["queries"])
    significant = found["significant"].fillna(False).astype(bool)
    return [found[significant].assign(then="").reset_index(drop=True), *more]
