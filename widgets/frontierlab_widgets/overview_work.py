"""What the Overview asks, the answer first and the rest after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from html import escape
from typing import Any, NamedTuple

import pandas as pd

import frontierlab as fl
from frontierlab import filters
from frontierlab.coolr import Cancelled as CoolrCancelled
from frontierlab.diagnosis.result import Diagnosis
from frontierlab.errors import Cancelled, FrontierlabError, InvalidRequestError
from frontierlab.util.progress import Progress, ProgressMeter
from frontierlab.util.times import from_milliseconds
from frontierlab_widgets.caching_work import KEYS
from frontierlab_widgets.chosen_datasets import Source, incomplete, opened
from frontierlab_widgets.explore_work import lacks_window, origin_of, other_logs
from frontierlab_widgets.formatting import amount, number
from frontierlab_widgets.origin import Origin
from frontierlab_widgets.work import Work, WorkStopped

__all__ = ["STEPS", "Step", "WORST", "changes_of", "look_over", "tiles", "totals"]

WORST = 3
"""How many of the worst folders the Overview shows."""

STEPS = ("numbers", "folders", "incidents", "advice", "changes")
"""The steps in their order: what is asked, and what is waited for."""

_WAITING = {
    "numbers": "counting queries",
    "folders": "finding the folders that waste most",
    "incidents": "looking for incidents",
    "advice": "trying what would help these folders",
    "changes": "comparing with the time before",
}


class Step(NamedTuple):
    """The result of one step; an error if it failed, and the steps after it go on."""

    name: str
    result: Any
    error: FrontierlabError | None
    origin: Origin


def look_over(
    name: str,
    settings: Any,
    selection: fl.Selection,
    compare: str,
    work: Work,
) -> dict[str, Any]:
    """Ask everything that the Overview shows of a dataset or period; each step is handed over when it is there."""
    running = fl.cancellable()
    work.when_stopped(running.cancel)
    dataset = opened(name, settings)
    meter = ProgressMeter("looking", len(STEPS))
    found: dict[str, Any] = {}
    with running:
        logs = fl.open_logs(dataset, settings=settings, allow_incomplete=True)
        origin = origin_of(dataset, selection, settings, compare)
        ask: dict[str, Callable[[], Any]] = {
            "numbers": lambda: totals(logs, selection),
            "folders": partial(_folders, dataset, settings, selection),
            "incidents": partial(_incidents, logs, settings, selection, work),
            "advice": lambda: _advice(found.get("folders"), dataset, settings, selection),
            "changes": lambda: changes_of(dataset, logs, settings, selection, compare),
        }
        for step in STEPS:
            work.report(meter.progress(_WAITING[step]))
            result, error = None, None
            try:
                result = ask[step]()
            except (Cancelled, CoolrCancelled):
                raise WorkStopped from None
            except FrontierlabError as failed:
                error = failed
            found[step] = result
            work.hand_over(Step(step, result, error, origin))
            meter.add(1)
    return {"origin": origin, "notes": incomplete(dataset)}


def totals(logs: Any, selection: fl.Selection) -> dict[str, int]:
    """Return the sums of the filters `cost_per_schema` and `cached_share_per_schema`."""
    costs = filters.cost_per_schema(logs, selection, top=None)
    shares = filters.cached_share_per_schema(logs, selection)
    columns = ("queries", "bytes", "dbtime_ms", "failures")
    return {
        **{column: int(costs[column].sum()) for column in columns},
        **{column: int(shares[column].sum()) for column in ("cached", "not_cached")},
    }


def tiles(numbers: Mapping[str, int], figures: pd.DataFrame | None) -> str:
    """Return the numbers as tiles, in HTML; the exact values are their titles."""
    known = numbers["cached"] + numbers["not_cached"]
    cached = f"{100 * numbers['cached'] / known:.1f} %" if known else "unknown"
    wasted, folders = "…", "is being worked out"
    if figures is not None:
        wasted = amount(figures["wasted_dbtime"].sum(), "dbtime_ms")
        folders = f"{number(len(figures))} folders and tags"
    shown = (
        ("queries", amount(numbers["queries"]), f"{numbers['queries']:,}"),
        ("cached", cached, f"{numbers['cached']:,} of {known:,}"),
        ("database time", amount(numbers["dbtime_ms"], "dbtime_ms"), f"{numbers['dbtime_ms']:,} ms"),
        ("response bytes", amount(numbers["bytes"], "bytes"), f"{numbers['bytes']:,} B"),
        ("failed queries", amount(numbers["failures"], "failures"), f"{numbers['failures']:,}"),
        ("wasted database time", wasted, folders),
    )
    made = "".join(
        f'<div class="frontierlab-tile"><b>{escape(value)}</b><span>{escape(name)}</span>'
        f"<small>{escape(exact)}</small></div>"
        for name, value, exact in shown
    )
    return f'<div class="frontierlab-tiles" role="group" aria-label="Numbers">{made}</div>'


def changes_of(
    dataset: Source, logs: Any, settings: Any, selection: fl.Selection, compare: str
) -> tuple[str, pd.DataFrame]:
    """Return what changed, and in words between which times.

    It is the comparison of the header; without one, the second half of the time against the first.
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
    middle = since + (until - since) / 2
    middle = middle.replace(minute=0, second=0, microsecond=0) if until - since > pd.Timedelta(hours=4) else middle
    before, after = selection.but(since=since, until=middle), selection.but(since=middle, until=until)
    return f"since {middle:%Y-%m-%d %H:%M} UTC, against the time before", _changed((logs, before), (logs, after))


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
    found: pd.DataFrame = fl.what_changed(before, now, top=5)
    return found[found["significant"].fillna(False).astype(bool)]


def _folders(dataset: Source, settings: Any, selection: fl.Selection) -> pd.DataFrame:
    return fl.caching.efficiency(
        dataset, settings, selection=selection, allow_incomplete=dataset.state != "complete", progress=False
    )


def _advice(figures: pd.DataFrame | None, dataset: Source, settings: Any, selection: fl.Selection) -> list[str]:
    """Return the advice for each of the worst folders; what cannot be tried says why."""
    told = []
    for record in () if figures is None else figures.head(WORST).to_dict("records"):
        which: dict[str, Any] = {key: record[key] for key in KEYS}
        try:
            found = fl.caching.what_if(
                dataset, settings, **which, selection=selection, allow_incomplete=dataset.state != "complete"
            )
            told.append(str(found.attrs["advice"]))
        except InvalidRequestError as error:
            told.append(str(error))
    return told


def _incidents(logs: Any, settings: Any, selection: fl.Selection, work: Work) -> Diagnosis:
    def report(progress: Progress) -> None:
        work.report(
            Progress(
                f"{_WAITING['incidents']}: {progress.message or progress.stage}",
                progress.done,
                progress.total,
                progress.rate,
                progress.remaining,
            )
        )

    return fl.diagnose(logs, selection=selection, settings=settings, progress=report)
