"""What COOLR says of a flood of different IOVs: whether few payloads answer them, and which IOV grid would help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from frontierlab.caching.answer_sets import find_answers
from frontierlab.caching.causes import Worth
from frontierlab.caching.grids import what_if_opened
from frontierlab.caching.open_folder import open_folder
from frontierlab.caching.queries import FolderTag
from frontierlab.coolr import Source
from frontierlab.diagnosis.evidence import Evidence
from frontierlab.diagnosis.finding import Finding
from frontierlab.diagnosis.words import scope_in_words
from frontierlab.engines.logs import Logs
from frontierlab.errors import Cancelled, FrontierlabError
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.util.cancelling import at_most

__all__ = ["FEW", "Payloads", "Told", "ask_for_floods", "not_a_flood"]

FEW = 0.5
"""The most different payloads of a flood, as a share of its different queries."""

_MOST = 5  # floods
_LONGEST = 30.0  # seconds for all floods
_FOLDER = ("db", "schema", "nodefullpath")


@dataclass(frozen=True)
class Payloads:
    """The different queries of a flood that have an answer, their different payloads, and what would help."""

    folder: FolderTag
    queries: int
    payloads: int
    advice: str

    @property
    def are_few(self) -> bool:
        """Whether the queries are many for their payloads."""
        return self.payloads < FEW * max(self.queries, 1)


@dataclass(frozen=True)
class Told:
    """What COOLR told: of findings, by their place, and sentences on what it did not tell."""

    of: dict[int, Payloads]
    notes: list[str]


def ask_for_floods(
    findings: Sequence[Finding], evidence: Evidence, logs: Logs, settings: Settings, coolr: Source | None
) -> Told:
    """Ask COOLR for the payloads of the most costly floods, in their folders and times alone.

    Nothing is asked if neither `coolr` nor the settings name a COOLR. An answer that does not come is a note.

    Raises
    ------
    Cancelled
        A `frontierlab.cancellable` block around the call was cancelled.
    """
    told = Told({}, [])
    named = coolr is not None or settings.coolr_host is not None or settings.coolr_archive is not None
    floods = [(place, one) for place, one in enumerate(findings) if one.kind == "iov_flood"]
    if not named or logs.period is None:
        return told
    for place, flood in floods[:_MOST]:
        folder = _folder(flood, evidence)
        if folder is None:
            continue
        try:
            with at_most(_LONGEST):
                told.of[place] = _payloads(folder, _selection(flood, evidence), logs, settings, coolr)
        except Cancelled:
            raise
        except (FrontierlabError, OSError) as error:
            told.notes.append(f"COOLR does not say how many payloads {folder} has: {error}")
            break  # the others would wait as long
    return told


def _payloads(
    folder: FolderTag, selection: Selection, logs: Logs, settings: Settings, coolr: Source | None
) -> Payloads:
    given: Any = {"selection": selection, "coolr": coolr, "allow_incomplete": True, "session": None}
    with open_folder(logs, settings, folder, **given) as opened:
        since, until = (opened.queries[name].to_numpy(dtype=np.int64) for name in ("since", "until"))
        if not len(since):
            return Payloads(folder, 0, 0, "")
        answers = find_answers(since, until, opened.payloads(int(since.min()), int(until.max()))).by_iov
        advice = what_if_opened(opened, None, selection, Worth()).attrs["advice"]
    asked = answers[answers >= 0]
    return Payloads(folder, len(asked), len(np.unique(asked)), advice)


def _folder(flood: Finding, evidence: Evidence) -> FolderTag | None:
    """Return the folder and tag of a flood: the tag that was asked most in that time, if the scope names none."""
    if not set(_FOLDER) <= flood.scope.keys():
        return None
    frame, clock = evidence.cubes["folders"], evidence.clock
    at = (frame["bin"].to_numpy(dtype=np.int64) - clock.start) // clock.bin_ms
    inside = (at >= flood.start) & (at < flood.stop)
    for name in (*_FOLDER, "tagname"):
        if name in flood.scope:
            inside &= (frame[name] == flood.scope[name]).fillna(False).to_numpy(dtype=bool)
    tags = frame[inside].dropna(subset=["tagname"]).groupby("tagname")["queries"].sum()
    if tags.empty:
        return None
    db, schema, path = (str(flood.scope[name]) for name in _FOLDER)
    return FolderTag(db, schema, path, str(tags.idxmax()))


def _selection(flood: Finding, evidence: Evidence) -> Selection:
    ends = (evidence.clock.time(at).to_pydatetime() for at in (flood.start, flood.stop))
    return evidence.narrowed(flood.scope, **dict(zip(("since", "until"), ends, strict=True)))


def not_a_flood(flood: Finding, payloads: Payloads) -> str:
    """Return a sentence on a flood whose payloads differ as its queries do."""
    asked = f"{scope_in_words(flood.scope)} was asked for {flood.seen:,.0f} different IOVs"
    queries = f"{payloads.queries:,} different queries of {payloads.folder.tagname}"
    return f"{asked}, but by COOLR {queries} had {payloads.payloads:,} different payloads: that is no flood."
