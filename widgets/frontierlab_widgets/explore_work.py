"""The plots of a dataset, and the filters behind them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import wait
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

import frontierlab as fl
from frontierlab import filters
from frontierlab.catalogue import Catalogue
from frontierlab.engines.engine_choice import engine_of
from frontierlab.errors import Cancelled, FrontierlabError
from frontierlab.filters import contents
from frontierlab.filters.compare import Before, before
from frontierlab.reports.chapters import ALL_FILTERS
from frontierlab.util.progress import Progress, ProgressMeter
from frontierlab.util.times import from_milliseconds
from frontierlab_widgets.chosen_datasets import Source, file_stem, incomplete, opened, opening, window_of
from frontierlab_widgets.formatting import sentence
from frontierlab_widgets.origin import Origin
from frontierlab_widgets.work import Work, WorkStopped

__all__ = [
    "ALL",
    "COMPARE",
    "OTHER",
    "Part",
    "TABS",
    "compared",
    "keywords_of",
    "lacks_window",
    "notes_of",
    "origin_of",
    "other_logs",
    "run_filters",
    "title_of",
    "write_report",
]

ALL = "All on one page"
"""The tab with all plots."""

TABS = {**ALL_FILTERS, ALL: tuple(name for names in ALL_FILTERS.values() for name in names)}
"""The plots of each tab."""

COMPARE = {
    "nothing": "",
    "the window before": "previous",
    "a day earlier": "-1d",
    "a week earlier": "-7d",
}
"""The choices of what to compare with, by label."""

OTHER = "dataset:"
"""Prefix of the name of another dataset to compare with, or of several as a period."""

_WORDS = {
    "db": "database",
    "dbtime": "database time",
    "node": "folder",
    "querytime": "query time",
    "squid": "Squid",
}
_BINS = (60, 300, 3_600, 86_400)
_MOST_BINS = 3_000
_SOON = 1.0  # seconds to wait for Spark before the panel says that Spark starts


class Part(NamedTuple):
    """The result of one filter.

    Parameters
    ----------
    name
        The name of the plot.
    frame
        The result.
    origin
        The origin of all plots of this choice.
    not_compared
        Why they are not compared with what was chosen; empty if they are, or if nothing was chosen.
    """

    name: str
    frame: pd.DataFrame
    origin: Origin
    not_compared: str = ""


def title_of(name: str) -> str:
    """Return the name of a plot as words."""
    return " ".join(_WORDS.get(word, word) for word in name.split("_"))


def other_logs(compare: str, settings: Any) -> Any:
    """Return the filters' argument for what is compared with."""
    if compare.startswith(OTHER):
        return opened(compare.removeprefix(OTHER), settings)
    return compare or None


def compared(compare: str) -> dict[str, str]:
    """Return the keyword argument for what is compared with, as code."""
    if not compare.startswith(OTHER):
        return {"compare": compare} if compare else {}
    return {"compare": opening(compare.removeprefix(OTHER))}


def lacks_window(compare: str, selection: fl.Selection) -> str:
    """Say which window a comparison lacks; empty if it needs none, or has one."""
    if not compare or compare.startswith(OTHER) or None not in (selection.since, selection.until):
        return ""
    what = next((label for label, value in COMPARE.items() if value == compare), compare)
    return f"To compare with {what}, choose a window: fill in since and until, or select a range in a plot over time."


def keywords_of(name: str, frame: pd.DataFrame | None) -> dict[str, Any]:
    """Return a filter's arguments beside the selection."""
    width = None if frame is None else frame.attrs.get("bin_seconds")
    return {"bin_seconds": width} if name in ALL_FILTERS["Over time"] and width else {}


def notes_of(frames: Iterable[pd.DataFrame]) -> list[str]:
    """Return the notes of results on what they lack, each once."""
    return [*dict.fromkeys(note for frame in frames for note in frame.attrs.get("notes", ()))]


def run_filters(
    name: str,
    settings: Any,
    selection: fl.Selection,
    compare: str,
    names: Sequence[str],
    known: dict[str, Any] | None,
    work: Work,
) -> dict[str, Any]:
    """Open the dataset or period and run the filters; a failed filter gives a message beside the other results.

    Each result is handed over as a `Part` as soon as it is there. If the comparison is impossible, the filters are run
    without it, and ``not_compared`` says why.

    The result has its ``origin``. Contents of the dataset that are already ``known`` are used again if they are of the
    same dataset; None is for contents that nobody needs.
    """
    running = fl.cancellable()
    work.when_stopped(running.cancel)
    dataset = opened(name, settings)
    if engine_of(dataset, settings) == "spark" and not wait([fl.spark.start(settings)], _SOON).done:
        work.report(Progress("starting Spark", 0, None, 0.0, None, "once in a notebook, up to a minute"))
    logs = fl.open_logs(dataset, settings=settings, allow_incomplete=True)
    work.report(Progress("asking", 0, len(names), 0.0, None))
    meter = ProgressMeter("asking", len(names))
    frames, errors = {}, []
    with running:
        other, not_compared = _to_compare(logs, selection, compare, settings)
        origin = origin_of(dataset, selection, settings, compare)
        width = {"bin_seconds": _bin_seconds(dataset, selection)}
        for one in names:
            work.report(meter.progress(title_of(one)))
            try:
                keywords = width if one in ALL_FILTERS["Over time"] else {}
                frames[one] = getattr(filters, one)(logs, selection, compare=other, **keywords)
                work.hand_over(Part(one, frames[one], origin, not_compared))
            except Cancelled:
                raise WorkStopped from None
            except FrontierlabError as error:
                if str(error) not in errors:
                    errors.append(str(error))
            meter.add(1)
        if known is not None and known.get("of") != (dataset.name, dataset.identity):
            work.report(Progress("counting what can be chosen", 0, None, 0.0, None))
            known = _contents(logs, settings)
            known["of"] = (dataset.name, dataset.identity)
    found = {"frames": frames, "errors": errors, "contents": known, "notes": incomplete(dataset), "origin": origin}
    return {**found, "not_compared": not_compared}


def _to_compare(logs: Any, selection: fl.Selection, compare: str, settings: Any) -> tuple[Before | None, str]:
    """Return what a selection is compared with; or None and, if something was chosen, why it cannot be.

    All filters take it, so that what the logs cover is looked up once.
    """
    if not compare:
        return None, ""
    if problem := lacks_window(compare, selection):
        return None, problem
    try:
        return before(logs, selection, other_logs(compare, settings)), ""
    except Cancelled:
        raise WorkStopped from None
    except FrontierlabError as error:
        return None, sentence(error)


def write_report(
    name: str,
    settings: Any,
    selection: fl.Selection,
    compare: str,
    give: Callable[[Path, str], object],
    work: Work,
) -> None:
    """Write a report of all plots of a dataset or period, and give it to the browser."""
    dataset = opened(name, settings)
    running = fl.cancellable()
    work.when_stopped(running.cancel)
    with running, tempfile.TemporaryDirectory() as folder:
        path = fl.report(
            dataset,
            selection,
            path=Path(folder) / f"{file_stem(dataset)}.html",
            compare=other_logs(compare, settings),
            settings=settings,
            progress=work.report,
        )
        give(path, path.name)


def _contents(logs: Any, settings: Any) -> dict[str, Any]:
    """Return the folders and tasks of a dataset, with those folders that only the catalogue has."""
    catalogue = Catalogue.read(settings.catalogue_path) if settings.catalogue_path.exists() else None
    try:
        return {"folders": contents.folders(logs, catalogue), "tasks": contents.tasks(logs)}
    except Cancelled:
        raise WorkStopped from None


def origin_of(
    dataset: Source, selection: fl.Selection, settings: Any, compare: str, names: tuple[str, ...] = ("data_dir",)
) -> Origin:
    """Return the origin of plots, with that of the dataset that they are compared with.

    `names` are the settings that they depend on. A dataset to compare with that cannot be opened has no identity.
    """
    compared: tuple[str, ...] = (compare,)
    if compare.startswith(OTHER):
        with suppress(FrontierlabError):
            compared = compare, other_logs(compare, settings).identity
    source = dataset.name, dataset.identity, window_of(dataset)
    return Origin.of(source, selection, settings, names, compared)


def _bin_seconds(dataset: Source, selection: fl.Selection) -> int:
    """Return a width for bins that gives a few thousand bins at most."""
    outcome = dataset.outcome()
    ends = [
        moment if moment is not None else None if found is None else from_milliseconds(found)
        for moment, found in ((selection.since, outcome.since), (selection.until, outcome.until))
    ]
    if None in ends:
        return _BINS[1]
    seconds = (ends[1] - ends[0]) / timedelta(seconds=1)  # type: ignore[operator]
    return next(
        (width for width in _BINS if seconds / width <= _MOST_BINS and (width > 60 or seconds < 7_200)), _BINS[-1]
    )
