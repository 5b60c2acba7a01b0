"""What a dataset cannot tell because of the selection that it was extracted with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from frontierlab.engines.logs import Logs
from frontierlab.selection import LISTED, Selection
from frontierlab.storage.periods import several
from frontierlab.util import warned

__all__ = ["NotExtracted", "lacks_all", "notes_of_extraction", "part_extracted"]


class NotExtracted(UserWarning):
    """A question is about queries that no dataset has: its extraction left them out, or did not reach their time."""


def part_extracted(selection: Selection, extracted: Selection) -> Literal["all", "some", "none"]:
    """Return how much of a selection an extraction with another selection can have.

    Parameters
    ----------
    selection
        The queries in question.
    extracted
        The conditions that the dataset was extracted with; times are not compared.
    """
    parts = [_of_list(getattr(selection, name), getattr(extracted, name)) for name in (*LISTED, "kind")]
    cached, had = (False if one.kind else one.cached for one in (selection, extracted))
    parts.append(_of_list(None if cached is None else [cached], None if had is None else [had]))
    if extracted.min_querytime is not None:
        least = selection.min_querytime  # without one, queries whose time is missing count too
        parts.append("all" if least is not None and least >= extracted.min_querytime else "some")
    return "none" if "none" in parts else "some" if "some" in parts else "all"


def _of_list(asked: Sequence[object] | None, had: Sequence[object] | None) -> Literal["all", "some", "none"]:
    if had is None:
        return "all"
    if asked is None:
        return "some"
    return "none" if set(asked).isdisjoint(had) else "all" if set(asked) <= set(had) else "some"


def lacks_all(logs: Logs, selection: Selection) -> bool:
    """Return whether no dataset of the logs can have a query of the selection, because of how they were extracted."""
    parts = [part_extracted(selection, Selection.of_request(one.manifest.request)) for one in logs.datasets]
    return bool(parts) and set(parts) == {"none"}


def notes_of_extraction(logs: Logs, selection: Selection, *, warn: bool = True, stacklevel: int = 3) -> list[str]:
    """Return sentences about selected queries that the logs lack because of how they were extracted.

    Parameters
    ----------
    logs
        The logs of a question.
    selection
        The queries that it counts.
    warn
        If no dataset can have a query of the selection, also warn of it (`NotExtracted`).
    stacklevel
        As for `warnings.warn`, seen from the caller.
    """
    lacking: dict[tuple[str, str], list[str]] = {}
    for dataset in logs.datasets:
        extracted = Selection.of_request(dataset.manifest.request)
        part = part_extracted(selection, extracted)
        if part != "all":
            lacking.setdefault((part, extracted.in_words()), []).append(dataset.name)
    notes = []
    for (found, words), names in lacking.items():
        lacks = "none of this selection is there" if found == "none" else "other queries of this selection are missing"
        notes.append(f"{several(names)} {'has' if len(names) == 1 else 'have'} only queries with {words}: {lacks}.")
    if warn and notes and lacks_all(logs, selection):
        warned.warn(" ".join(notes), NotExtracted, stacklevel=stacklevel)
    return notes
