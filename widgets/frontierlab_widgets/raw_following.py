"""Raw logs that are followed: what grows under a name, what there is of it so far, and in which words."""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape

from frontierlab import Dataset, Settings
from frontierlab.errors import DatasetError
from frontierlab.rawlogs.kinds import LogKind
from frontierlab.rawlogs.squid.facts import SMALL_SHARE
from frontierlab.rawlogs.squid.stored import SquidLogs, squid_logs_path
from frontierlab.storage.dataset import dataset_path
from frontierlab.storage.losses import lines_lost
from frontierlab.util.times import from_milliseconds
from frontierlab_widgets.formatting import moment, notes, warning_box
from frontierlab_widgets.panel_words import in_panel_words
from frontierlab_widgets.raw_results import accounted, lines_of

__all__ = ["Parts", "about_following", "growing", "kind_of", "so_far", "told_so_far"]

_LOOK = 1.0  # seconds


def growing(name: str, settings: Settings | None, kind: LogKind | None = None) -> Dataset | SquidLogs | None:
    """Return what raw logs are followed into under a name, now or until following was stopped.

    Parameters
    ----------
    name
        The name; it is valid.
    settings
        None if there are none that are valid.
    kind
        What wrote the logs; None looks for both.

    Returns
    -------
    Dataset, SquidLogs or None
        None if there is no such thing, it is complete, or it cannot be opened.
    """
    if not name or settings is None:
        return None
    try:
        if kind != "squid" and (path := dataset_path(name, settings.data_dir)).is_dir():
            dataset = Dataset(path)
            if dataset.state == "incomplete" and dataset.manifest.source.get("following"):
                return dataset
        if kind != "servlet" and (path := squid_logs_path(name, settings.data_dir)).is_dir():
            logs = SquidLogs(path, settings)
            return None if logs.manifest.following is None else logs
    except DatasetError:
        pass  # the lists of datasets and of Squid logs say what is wrong with it
    return None


class Parts:
    """Hands over what is stored of logs that are followed, whenever a part was added.

    Parameters
    ----------
    name, settings, kind
        As for `growing`.
    hand_over
        Called with it.
    """

    def __init__(
        self, name: str, settings: Settings, kind: LogKind, hand_over: Callable[[Dataset | SquidLogs], object]
    ) -> None:
        self._given, self._hand_over = (name, settings, kind), hand_over
        self._known, self._looked = 0, 0.0

    def look(self) -> None:
        """Look whether a part was added, at most once a second."""
        if time.monotonic() - self._looked < _LOOK:
            return
        self._looked = time.monotonic()
        stored = growing(*self._given)
        parts = 0 if stored is None else _parts(stored)
        if stored is not None and parts > self._known:
            self._known = parts
            self._hand_over(stored)


def _parts(result: Dataset | SquidLogs) -> int:
    return len(result.manifest.plan if isinstance(result, Dataset) else result.manifest.parts or ())


def kind_of(result: Dataset | SquidLogs) -> LogKind:
    """Return what wrote the logs that became this."""
    return "servlet" if isinstance(result, Dataset) else "squid"


def so_far(result: Dataset | SquidLogs) -> str:
    """Say what is stored of logs that are followed, up to which request, with what became of each line."""
    if isinstance(result, Dataset):
        outcome = result.outcome()
        what, until = f"{outcome.counts.kept:,} queries", outcome.until
        if outcome.counts.left_out:
            what += f" ({outcome.counts.left_out:,} left out)"
    else:
        what, until = f"{result.manifest.rows:,} answers", result.manifest.until
    last = "" if until is None else f", the last of {moment(from_milliseconds(until))}"
    lines = accounted(lines_of(result)) if lines_of(result) else "Nothing is stored yet."
    return f"{result.name} has {what} so far{last}. {lines}"


def told_so_far(result: Dataset | SquidLogs, settings: Settings) -> str:
    """Return as HTML what is stored so far, what is lacking in it (a warning), and the other remarks (notes)."""
    lines = lines_of(result)
    most = settings.loss_warning_share if isinstance(result, Dataset) else SMALL_SHARE
    few = lines_lost(lines["lines"], lines["set_aside"], most) if lines else ""
    lost = [few] * bool(few) + (result.manifest.partial if isinstance(result, Dataset) else [])
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in lines.get("set_aside", {}).items())
    remarks = [f"Lines set aside: {reasons}."] if reasons and not few else []
    remarks += [text for text in result.manifest.notes if text not in lost]
    text = f'<div role="status"><b>{escape(so_far(result))}</b></div>'
    return f"{text}{warning_box(map(in_panel_words, lost))}{notes(remarks)}"


def about_following(result: Dataset | SquidLogs | None, settings: Settings | None, *, follow: bool) -> str:
    """Say what a click on the button does to logs that are followed; empty if that is not the question."""
    if result is not None:
        told = so_far(result)
        more = "Follow goes on where it was." if follow else "Complete reads what was added since, and ends it."
        where = "" if not isinstance(result, Dataset) else " The other tabs show it when it is complete."
        return f"{told} {more}{where}"
    if not follow:
        return ""
    ends = "It ends with this kernel; Follow goes on then."
    if settings is not None and settings.job_backend == "celery":
        hours = settings.job_time_limit / 3600
        ends = f"A worker does so for {hours:,.3g} h at most (job_time_limit); Follow goes on then."
    return f"New lines are read as they come, until Stop; about each minute a part is stored. {ends}"
