"""What a dashboard counts of the chosen queries, off the main thread."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pandas as pd

import frontierlab as fl
from frontierlab import filters
from frontierlab.errors import FrontierlabError
from frontierlab.filters import contents
from frontierlab.plots.style import task_labels
from frontierlab.util.times import from_milliseconds, in_words
from frontierlab_widgets.chosen_datasets import opened
from frontierlab_widgets.formatting import amounts
from frontierlab_widgets.work import Work

__all__ = ["BY", "MEASURES", "Counted", "Latest", "bars_of", "cost_by", "count_choices", "count_view"]

MEASURES = {
    "queries": "queries",
    "database time": "dbtime_ms",
    "bytes": "bytes",
    "query time": "querytime_ms",
    "failures": "failures",
}
"""What bars can measure, by label."""

BY = {
    "folder": ("cost_per_node", ("db", "schema", "nodefullpath")),
    "schema": ("cost_per_schema", ("db", "schema")),
    "tag": ("cost_per_tag", ("db", "schema", "nodefullpath", "tagname")),
    "task": ("cost_per_task", ("taskid",)),
    "site": ("cost_per_site", ("computingsite",)),
    "server": ("cost_per_server", ("frontierserver",)),
    "Squid": ("cost_per_squid", ("squid",)),
}
"""What bars can be of: the filter, and the columns that name a bar."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Counted(NamedTuple):
    """The number of chosen queries.

    Parameters
    ----------
    queries, cached, known
        Chosen queries, how many of them were cached, and of how many the log says whether they were.
    total
        All queries of the dataset or period.
    since, until
        The times of its first and last query, UTC; None without queries.
    """

    queries: int
    cached: int
    known: int
    total: int
    since: datetime | None
    until: datetime | None

    def times_in_words(self) -> str:
        """Write the time of all queries, to the minutes around it; empty without queries."""
        if self.since is None or self.until is None:
            return ""
        minute = timedelta(minutes=1)
        ends = (self.since - (self.since - _EPOCH) % minute, self.until + (_EPOCH - self.until) % minute)
        since, until = (in_words(end).removesuffix(" UTC") for end in ends)
        return f"{since} to {until} UTC"

    def in_words(self) -> str:
        """Write the count as a line."""
        share = f", {100 * self.cached / self.known:.0f} % cached" if self.known else ""
        of = f" of {self.total:,}" if self.queries != self.total else ""
        return f"{self.queries:,}{of} queries{share}"


class Latest:
    """Work that a later piece of the same kind replaces; results of replaced work are dropped.

    Parameters
    ----------
    fail
        Called with the error of work that was not replaced.
    """

    def __init__(self, fail: Callable[[BaseException], object]) -> None:
        self._fail = fail
        self._work: Work | None = None

    def begin(self, run: Callable[[], Any], then: Callable[[Any], object]) -> None:
        """Run a function in a thread, then call another one with its result in that thread."""
        self.stop()

        def cancellable(work: Work) -> Any:
            running = fl.cancellable()
            work.when_stopped(running.cancel)
            with running:
                return run()

        def end(work: Work, result: Any, error: BaseException | None) -> None:
            if work is not self._work or work.stopping.is_set():
                return
            if error is None:
                then(result)
            else:
                self._fail(error)

        self._work = Work(cancellable, end, lambda *_: None)
        self._work.start()

    def stop(self) -> None:
        """Drop what is going on."""
        if self._work is not None:
            self._work.stop()

    def wait(self, seconds: float) -> bool:
        """Wait for the end, and return whether it has ended. For scripts and tests."""
        return self._work is None or self._work.join(seconds)


def count_view(name: str, settings: Any, selection: fl.Selection) -> Counted:
    """Count the selected queries of a dataset or period, with the filter `cached_share_per_schema`."""
    dataset = opened(name, settings)
    logs = fl.open_logs(dataset, settings=settings, allow_incomplete=True)

    def count(which: fl.Selection) -> pd.Series[int]:
        sums: pd.Series[int] = filters.cached_share_per_schema(logs, which)[["cached", "not_cached", "unknown"]].sum()
        return sums

    total = count(fl.Selection())
    chosen = total if selection == fl.Selection() else count(selection)
    outcome = dataset.outcome()
    ends = [None if end is None else from_milliseconds(end) for end in (outcome.since, outcome.until)]
    known = int(chosen["cached"] + chosen["not_cached"])
    return Counted(int(chosen.sum()), int(chosen["cached"]), known, int(total.sum()), *ends)


def count_choices(name: str, settings: Any) -> dict[str, pd.DataFrame]:
    """Count the queries of each value that a filter can be added for, the most first.

    Columns of which the dataset has no rows any more, because it was thinned, are left out.
    """
    logs = fl.open_logs(opened(name, settings), settings=settings, allow_incomplete=True)
    found: dict[str, pd.DataFrame] = {}
    folders = contents.folders(logs)
    for column in ("db", "schema", "nodefullpath"):
        found[column] = _by_value(folders, column)
    for column, of in _OTHERS.items():
        try:
            frame = of(logs)
        except FrontierlabError:  # the other columns can be chosen
            continue
        found[column] = _by_value(frame, column)
    return found


_OTHERS: dict[str, Callable[[Any], pd.DataFrame]] = {
    "tagname": lambda logs: filters.cost_per_tag(logs, top=None),
    "taskid": contents.tasks,
    "computingsite": lambda logs: filters.cost_per_site(logs, top=None),
    "frontierserver": lambda logs: filters.cost_per_server(logs, top=None),
    "squid": lambda logs: filters.cost_per_squid(logs, top=None),
}


def _by_value(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    named = frame[frame[column].notna()]
    if "part" in named:
        named = named[named["part"] == "named"]
    sums = named.groupby(column)["queries"].sum().sort_values(ascending=False, kind="stable")
    counted = sums.reset_index().rename(columns={column: "value"})
    if column == "taskid":
        names = named.set_index("taskid")["taskname"]
        labels = [f"{task} {'' if pd.isna(names[task]) else names[task]}".strip() for task in counted["value"]]
    else:
        labels = counted["value"].astype("string").tolist()
    return counted.assign(label=labels)


def cost_by(name: str, settings: Any, selection: fl.Selection, by: str) -> pd.DataFrame:
    """Return the costs of each folder, schema, … of the selected queries, none left out."""
    logs = fl.open_logs(opened(name, settings), settings=settings, allow_incomplete=True)
    costs: pd.DataFrame = getattr(filters, BY[by][0])(logs, selection, top=None)
    return costs


def bars_of(frame: pd.DataFrame, by: str, measure: str, top: int) -> list[dict[str, Any]]:
    """Return the largest bars, and the others together and queries that name none; they add up to all.

    The ``share`` of these last two is None: a bar of several would be longer than all, and would set the scale.
    """
    column = MEASURES[measure]
    _, keys = BY[by]
    named = frame[frame["part"] == "named"].sort_values(column, ascending=False, kind="stable")
    rest, missing = named.iloc[top:], frame[frame["part"] == "missing"]
    shown = named.head(top)
    total = int(frame[column].sum())
    labels = task_labels(shown) if by == "task" else shown[keys[-1]].astype("string")
    rows = [
        (str(place), str(label), " ".join(str(record[key]) for key in keys[:-1]), int(record[column]))
        for place, label, record in zip(shown.index, labels, shown.to_dict("records"), strict=True)
    ]
    if len(rest):
        rows.append(("", f"({len(rest):,} other{'s' * (len(rest) != 1)})", "", int(rest[column].sum())))
    if len(missing):
        rows.append(("", f"(no {by} named)", "", int(missing[column].sum())))
    longest = max((value for place, *_, value in rows if place), default=0)
    texts = amounts([value for *_, value in rows], column)
    return [
        {
            "id": place,
            "name": label,
            "above": above,
            "text": f"{text}, {100 * value / total:.1f} %" if total else text,
            "share": (value / longest if longest else 0.0) if place else None,
        }
        for (place, label, above, value), text in zip(rows, texts, strict=True)
    ]
