"""What the Overview asks, the answer first and the rest after it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import ExitStack
from contextvars import copy_context
from datetime import datetime
from functools import partial
from html import escape
from typing import Any, NamedTuple

import pandas as pd

import frontierlab as fl
from frontierlab import filters
from frontierlab.caching.causes import Worth
from frontierlab.caching.computing import Computed, compute
from frontierlab.caching.queries import FolderTag
from frontierlab.coolr import Cancelled as CoolrCancelled
from frontierlab.diagnosis.evidence import BIN_MS, MOST_BINS
from frontierlab.diagnosis.result import Diagnosis
from frontierlab.errors import Cancelled, FrontierlabError, InvalidRequestError, StatementError
from frontierlab.util.progress import Progress, ProgressMeter
from frontierlab.util.times import from_milliseconds, to_milliseconds
from frontierlab_widgets.caching_work import KEYS
from frontierlab_widgets.chosen_datasets import Source, incomplete, opened
from frontierlab_widgets.explore_work import lacks_window, other_logs
from frontierlab_widgets.explore_work import origin_of as origin_of_plots
from frontierlab_widgets.formatting import amount, number
from frontierlab_widgets.origin import Origin
from frontierlab_widgets.work import Work, WorkStopped

__all__ = ["STEPS", "Step", "WORST", "changes_of", "look_over", "origin_of", "over_time", "tiles", "totals"]

WORST = 3
"""How many of the worst folders the Overview shows."""

_FIRST = ("numbers", "timeline")
_LANES = (("incidents",), ("folders", "advice", "changes"))  # side by side: a statement alone leaves a processor idle

STEPS = (*_FIRST, *(step for lane in _LANES for step in lane))
"""The steps: what is asked, and what is waited for."""

_WAITING = {
    "numbers": "counting queries",
    "timeline": "counting queries over time",
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


def origin_of(dataset: Source, selection: fl.Selection, settings: Any, compare: str) -> Origin:
    """Return the origin of an Overview: that of plots, and the source of payloads."""
    return origin_of_plots(dataset, selection, settings, compare, ("data_dir", "coolr_host", "coolr_archive"))


def look_over(
    name: str,
    settings: Any,
    selection: fl.Selection,
    compare: str,
    work: Work,
) -> dict[str, Any]:
    """Ask everything that the Overview shows of a dataset or period; each step is handed over when it is there.

    The steps that take long are asked side by side. One whose statement fails meanwhile is asked once more at the end,
    when it has the memory for itself.
    """
    running = fl.cancellable()
    work.when_stopped(running.cancel)
    dataset = opened(name, settings)
    with running, ExitStack() as stack:
        logs = fl.open_logs(dataset, settings=settings, allow_incomplete=True)
        folders = _Folders(dataset, settings, selection, stack)
        ask: dict[str, Callable[[], Any]] = {
            "numbers": lambda: totals(logs, selection),
            "timeline": lambda: over_time(logs, selection, dataset),
            "folders": folders.figures,
            "incidents": partial(_incidents, logs, settings, selection, work),
            "advice": folders.advice,
            "changes": lambda: changes_of(dataset, logs, settings, selection, compare),
        }
        steps = _Steps(ask, origin_of(dataset, selection, settings, compare), work)
        steps.do(_FIRST)
        lanes = [_begun(partial(copy_context().run, steps.do, lane)) for lane in _LANES]
        if any(lane.exception() is not None for lane in wait(lanes, return_when=FIRST_EXCEPTION).done):
            running.cancel()  # the other lane
        wait(lanes)
        for lane in lanes:
            lane.result()
        steps.again()
    return {"origin": steps.origin, "notes": incomplete(dataset)}


def _begun(call: Callable[[], None]) -> Future[None]:
    """Call a function in a thread for whose end the process does not wait."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            call()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    threading.Thread(target=run, name="overview", daemon=True).start()
    return done


class _Steps:
    """Does steps, and hands their results over."""

    def __init__(self, ask: Mapping[str, Callable[[], Any]], origin: Origin, work: Work) -> None:
        self.origin = origin
        self._ask, self._work = ask, work
        self._meter = ProgressMeter("looking", len(ask))
        self._failed: list[str] = []

    def do(self, names: tuple[str, ...]) -> None:
        """Do steps one after the other."""
        for name in names:
            self._work.report(self._meter.progress(_WAITING[name]))
            step = self._done(name)
            if isinstance(step.error, StatementError) and name not in _FIRST:
                self._failed.append(name)  # it can have had too little memory beside the others
            else:
                self._work.hand_over(step)
            self._meter.add(1)

    def again(self) -> None:
        """Do those once more whose statement failed."""
        for name in sorted(self._failed, key=STEPS.index):
            self._work.report(self._meter.progress(_WAITING[name]))
            self._work.hand_over(self._done(name))

    def _done(self, name: str) -> Step:
        result, error = None, None
        try:
            result = self._ask[name]()
        except (Cancelled, CoolrCancelled):
            raise WorkStopped from None
        except FrontierlabError as failed:
            error = failed
        return Step(name, result, error, self.origin)


class _Folders:
    """The caching figures of all folders, and the advice on the worst of them from the same counts."""

    def __init__(self, dataset: Source, settings: Any, selection: fl.Selection, stack: ExitStack) -> None:
        self._dataset, self._settings, self._selection, self._stack = dataset, settings, selection, stack
        self._computed: Computed | None = None

    def figures(self) -> pd.DataFrame:
        self._computed = self._stack.enter_context(
            compute(
                self._dataset,
                self._settings,
                selection=self._selection,
                worth=Worth(),
                allow_incomplete=self._dataset.state != "complete",
                progress=False,
            )
        )
        return self._computed.frame

    def advice(self) -> list[str]:
        """Return the advice for each of the worst folders; what cannot be tried says why."""
        computed = self._computed
        if computed is None:  # the figures failed
            return []
        told = []
        for record in computed.frame.head(WORST).to_dict("records"):
            try:
                told.append(computed.advice(FolderTag(*(str(record[key]) for key in KEYS))))
            except InvalidRequestError as error:
                told.append(str(error))
        return told


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


def totals(logs: Any, selection: fl.Selection) -> dict[str, int]:
    """Return the sums of the filters `cost_per_schema` and `cached_share_per_schema`."""
    costs = filters.cost_per_schema(logs, selection, top=None)
    shares = filters.cached_share_per_schema(logs, selection)
    columns = ("queries", "bytes", "dbtime_ms", "failures")
    return {
        **{column: int(costs[column].sum()) for column in columns},
        **{column: int(shares[column].sum()) for column in ("cached", "not_cached")},
    }


def tiles(numbers: Mapping[str, int], figures: pd.DataFrame | None, *, failed: bool = False) -> str:
    """Return the numbers as tiles, in HTML, with their exact values.

    Without figures of folders, the tile of what is wasted says that they are being worked out, or have `failed`.
    """
    known = numbers["cached"] + numbers["not_cached"]
    cached = f"{100 * numbers['cached'] / known:.1f} %" if known else "unknown"
    wasted, folders = ("unknown", "see the folders below") if failed else ("…", "is being worked out")
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
