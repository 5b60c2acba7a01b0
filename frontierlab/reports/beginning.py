"""What a report begins with: the incidents of its queries, and the worst folders with what would help."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pandas as pd

from frontierlab.caching import worst
from frontierlab.caching.counting import KEYS
from frontierlab.caching.notes import notes_of
from frontierlab.caching.ranking import lost_in_words
from frontierlab.diagnosis import Diagnosis, diagnose
from frontierlab.diagnosis.figures import figures_of
from frontierlab.diagnosis.page import shown
from frontierlab.engines.logs import Logs
from frontierlab.errors import Cancelled, FrontierlabError
from frontierlab.filters.extracted import notes_of_extraction
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.settings.redaction import redact, secrets_of
from frontierlab.util.cancelling import at_most
from frontierlab.util.progress import ProgressCallback

__all__ = ["Beginning", "PARTS", "begin"]

PARTS = ("incidents", "worst folders")
"""The parts of a beginning, in the order in which they are made."""

_log = logging.getLogger(__name__)

_COUNT = 3
_LONGEST = 60.0  # seconds for the worst folders: COOLR may not answer

_Result = TypeVar("_Result")


@dataclass
class Beginning:
    """What a report begins with.

    Parameters
    ----------
    diagnosis
        The diagnosis; None if there is none.
    incidents
        Its incidents as the template ``incidents.html`` takes them, the most costly first.
    figures
        The timeline and the figure of each incident; none without incidents.
    folders
        The worst folders, each with ``name``, ``text``, ``cure`` and ``reasons``.
    notes
        Sentences on the incidents, and on the folders: what limits them, or why they are not known.
    """

    diagnosis: Diagnosis | None = None
    incidents: list[dict[str, Any]] = field(default_factory=list)
    figures: list[Any] = field(default_factory=list)
    folders: list[dict[str, str]] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=lambda: {part: [] for part in PARTS})


def begin(
    logs: Logs, selection: Selection, settings: Settings, tell: Callable[[str], object], incomplete: bool = False
) -> Beginning:
    """Find the incidents and the worst folders; what fails is a note, and costs the report nothing else.

    Parameters
    ----------
    logs, selection
        The queries.
    settings
        The settings.
    tell
        Called with a word now and then; stops the work by raising.
    incomplete
        Whether rows are missing, so that silence would be found where there is none.
    """
    found = Beginning()
    attempt = _Attempt(settings, tell, found.notes)
    known = {*logs.notes, *notes_of_extraction(logs, selection)}  # the report's own warnings say them
    known |= set() if logs.period is None else {*notes_of(logs.period, selection)}
    if incomplete:
        found.notes[PARTS[0]].append("Incidents were not looked for, because the dataset is incomplete.")
    else:
        found.diagnosis = attempt.of(
            PARTS[0], lambda told: diagnose(logs, selection=selection, settings=settings, progress=told)
        )
    if found.diagnosis is not None:
        found.notes[PARTS[0]] += found.diagnosis.order
        found.notes[PARTS[0]] += [text for text in found.diagnosis.notes if text not in known]
        found.incidents = [shown(one, number) for number, one in enumerate(found.diagnosis, 1)]
        found.figures = figures_of(found.diagnosis) if found.incidents else []
    frame = attempt.of(PARTS[1], lambda told: _worst(logs, selection, settings, told))
    if frame is not None:
        found.notes[PARTS[1]] += [text for text in frame.attrs["notes"] if text not in known]
        found.folders = [_folder(row) for row in frame.to_dict("records")]
    return found


class _Attempt:
    """Makes parts of which each may fail; an error of `tell` stops everything."""

    def __init__(self, settings: Settings, tell: Callable[[str], object], notes: dict[str, list[str]]) -> None:
        self._settings, self._tell, self._notes = settings, tell, notes
        self._stopped: BaseException | None = None

    def of(self, part: str, make: Callable[[ProgressCallback], _Result]) -> _Result | None:
        """Return a part; None if it failed: then a note has the reason."""
        self._told(part)
        try:
            return make(lambda record: self._told(record.message or part))
        except Exception as error:
            if isinstance(error, Cancelled) or error is self._stopped:
                raise
            if not isinstance(error, FrontierlabError):
                _log.exception("The %s of a report failed.", part)
            text = str(error) if isinstance(error, FrontierlabError) else f"{type(error).__name__}: {error}"
            self._notes[part].append(f"The {part} are not known: {redact(text, secrets_of(self._settings))}")
            return None

    def _told(self, word: str) -> None:
        try:
            self._tell(word)
        except BaseException as error:
            self._stopped = error
            raise


def _worst(logs: Logs, selection: Selection, settings: Settings, told: ProgressCallback) -> pd.DataFrame:
    with at_most(_LONGEST):
        return worst(logs, settings, _COUNT, selection=selection, allow_incomplete=True, progress=told)


def _folder(row: dict[Any, Any]) -> dict[str, str]:
    return {
        "name": " ".join(str(row[name]) for name in KEYS),
        "text": f"{row['cause']}; {lost_in_words(row)}",
        **{part: "" if pd.isna(row[part]) else str(row[part]) for part in ("cure", "reasons")},
    }
