"""What the Overview asks, the answer first and the rest after it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import ExitStack
from contextvars import copy_context
from functools import partial
from html import escape
from typing import Any, NamedTuple

import pandas as pd

import frontierlab as fl
from frontierlab import filters
from frontierlab.caching.advice import Advice
from frontierlab.caching.causes import Worth
from frontierlab.caching.computing import Computed, compute
from frontierlab.caching.queries import FolderTag
from frontierlab.coolr import Cancelled as CoolrCancelled
from frontierlab.diagnosis.result import Diagnosis
from frontierlab.errors import Cancelled, FrontierlabError, InvalidRequestError, StatementError
from frontierlab.util.progress import Progress, ProgressMeter
from frontierlab_widgets.caching_work import KEYS
from frontierlab_widgets.changes_work import changes_of, over_time
from frontierlab_widgets.chosen_datasets import Source, opened, with_payloads
from frontierlab_widgets.explore_work import origin_of as origin_of_plots
from frontierlab_widgets.formatting import amount, duration, plural
from frontierlab_widgets.origin import Origin
from frontierlab_widgets.work import Work, WorkStopped

__all__ = ["STEPS", "Step", "WORST", "changes_of", "look_over", "origin_of", "over_time", "tiles", "totals", "waiting"]

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
_SECONDS = {"incidents": (2.0, 2.0), "folders": (2.0, 2.0), "changes": (4.0, 3.0)}  # and for each million of queries
_WAITED_FOR = {"incidents": "Looking for incidents", "folders": "Finding them", "changes": "Comparing times"}


class Step(NamedTuple):
    """The result of one step; an error if it failed, and the steps after it go on."""

    name: str
    result: Any
    error: FrontierlabError | None
    origin: Origin


def waiting(name: str, queries: int | None) -> str:
    """Say what is waited for at the place of a step, and roughly how long if the number of queries is known."""
    if queries is None:
        return f"{_WAITED_FOR[name]} …"
    first, more = _SECONDS[name]
    seconds = first + more * queries / 1e6
    step = 5 if seconds < 60 else 60
    about = "a few seconds" if seconds < 8 else f"about {duration(step * round(seconds / step))}"
    return f"{_WAITED_FOR[name]} in {plural(queries, 'query', 'queries')}: {about} …"


def origin_of(dataset: Source, selection: fl.Selection, settings: Any, compare: str) -> Origin:
    """Return the origin of an Overview: that of plots, and the source of payloads."""
    return origin_of_plots(dataset, selection, settings, compare, ("data_dir", "coolr_host", "coolr_archive"))


def look_over(
    name: str,
    settings: Any,
    selection: fl.Selection,
    compare: str,
    work: Work,
) -> Origin:
    """Ask everything that the Overview shows of a dataset or period; each step is handed over when it is there.

    The steps that take long are asked side by side. One whose statement fails meanwhile is asked once more at the end,
    when it has the memory for itself. The result is what all of it is of.
    """
    running = fl.cancellable()
    work.when_stopped(running.cancel)
    dataset = opened(name, settings)
    with running, ExitStack() as stack:
        logs = fl.open_logs(dataset, settings=settings, allow_incomplete=True)
        known = with_payloads(dataset, settings)
        folders = _Folders(dataset, known, selection, stack)
        counted: list[pd.DataFrame] = []

        def timeline() -> pd.DataFrame:
            counted[:] = [over_time(logs, selection, dataset)]
            return counted[0]

        ask: dict[str, Callable[[], Any]] = {
            "numbers": lambda: totals(logs, selection),
            "timeline": timeline,
            "folders": folders.figures,
            "incidents": partial(_incidents, logs, known, selection, work),
            "advice": folders.advice,
            "changes": lambda: changes_of(dataset, logs, settings, selection, compare, *counted),
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
    return steps.origin


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

    def advice(self) -> list[Advice]:
        """Return the advice for each of the worst folders; what cannot be tried says why, and has no cure."""
        computed = self._computed
        if computed is None:  # the figures failed
            return []
        told = []
        for record in computed.frame.head(WORST).to_dict("records"):
            try:
                told.append(computed.advice(FolderTag(*(str(record[key]) for key in KEYS))))
            except InvalidRequestError as error:
                told.append(Advice("", "", str(error)))
        return told


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
    failures = f"{numbers['failures']:,} of {numbers['queries']:,}"
    wasted, folders = ("unknown", "see the folders below") if failed else ("…", "is being worked out")
    if figures is not None:
        wasted = amount(figures["wasted_dbtime"].sum(), "dbtime_ms")
        folders = plural(len(figures), "folder and tag", "folders and tags")
    shown = (
        ("queries", amount(numbers["queries"]), f"{numbers['queries']:,}"),
        ("cached", cached, f"{numbers['cached']:,} of {known:,}"),
        ("database time", amount(numbers["dbtime_ms"], "dbtime_ms"), f"{numbers['dbtime_ms']:,} ms"),
        ("response bytes", amount(numbers["bytes"], "bytes"), f"{numbers['bytes']:,} B"),
        ("failed queries", amount(numbers["failures"], "failures"), failures),
        ("wasted database time", wasted, folders),
    )
    made = "".join(
        f'<div class="frontierlab-tile"><b>{escape(value)}</b><span>{escape(name)}</span>'
        f"<small>{escape(exact)}</small></div>"
        for name, value, exact in shown
    )
    return f'<div class="frontierlab-tiles" role="group" aria-label="Numbers">{made}</div>'


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
