"""What the top of a report says about its datasets: period, source, counts, and why its figures are too small."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frontierlab.plots.style import format_number
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.storage.losses import losses
from frontierlab.storage.manifest import Outcome
from frontierlab.storage.periods import Period, several
from frontierlab.storage.portions import Portion
from frontierlab.storage.spans import Span
from frontierlab.util.times import in_words, parse_time, to_milliseconds

__all__ = ["facts", "period_of", "warnings"]


def period_of(outcome: Outcome) -> str:
    """Return the period of a dataset's queries in words; empty text if it has none."""
    if outcome.since is None or outcome.until is None:
        return ""
    first, last = (in_words(milliseconds // 1000 * 1000) for milliseconds in (outcome.since, outcome.until))
    return f"queries from {first.removesuffix(' UTC')} to {last}"


def warnings(period: Period, settings: Settings, counted: int | None) -> list[str]:
    """Return sentences on everything that makes the figures too small or mixes them.

    Parameters
    ----------
    period
        The datasets of the report.
    settings
        See `frontierlab.storage.losses.losses`.
    counted
        The number of queries that the plots count; None if they do not count all.
    """
    found = [*period.notes]
    for dataset in period.datasets:
        if dataset.state == "complete":
            found += [loss.text for loss in losses(dataset, settings)]
        else:
            found += dataset.manifest.partial
    incomplete = [one.name for one in period.datasets if one.state != "complete"]
    single = len(period.datasets) == 1
    if incomplete:
        which = f"{'This dataset' if single else several(incomplete)} {'is' if len(incomplete) == 1 else 'are'}"
        found.append(
            f"{which} incomplete: an extraction stopped before the end, or is "
            "still running. Every number below is too small. The same extract(…) call continues it."
        )
    found += _restrictions(period)
    kept = period.counts.kept
    if counted is not None and period.is_whole and counted != kept:
        says, whose = (
            ("the dataset says that it has", "its") if single else ("the datasets say that they have", "their")
        )
        found.append(
            f"The plots count {format_number(counted)} queries, but {says} {format_number(kept)}: {whose} files were "
            "changed, or are being written."
        )
    return found


def _restrictions(period: Period) -> list[str]:
    """Return sentences on restrictions that all datasets have; the notes of the period tell those of some."""
    extracted = {Selection.of_request(one.manifest.request) for one in period.datasets}
    selection = extracted.pop() if len(extracted) == 1 else Selection()
    found = []
    if selection != Selection():
        found.append(
            f"Only queries with {selection.in_words()} were extracted: every total and share is one of these queries, "
            "not of all that reached the servers."
        )
    if selection.cached is not None or selection.kind:
        found.append("Whether queries were cached was part of the request: shares of cached queries say nothing here.")
    return found


def _source(asked: Mapping[str, Any]) -> str:
    """Return the source of a dataset: the names or patterns of indices, or the name of a file."""
    index = asked.get("index")
    if index:
        return index if isinstance(index, str) else ", ".join(index)
    return Path(asked.get("source", "")).name


def facts(period: Period) -> dict[str, Any]:
    """Return the facts about the datasets for the top of the page."""
    datasets, outcome = period.datasets, period.outcome()
    counts: list[tuple[str, Any]] = [
        ("documents read", outcome.counts.read),
        (f"kept: queries in {'this dataset' if len(datasets) == 1 else 'these datasets'}", outcome.counts.kept),
        ("left out", outcome.counts.left_out),
        *((f"\u2003{reason}", count) for reason, count in outcome.left_out.items()),
        ("malformed: could not be read", outcome.counts.malformed),
        *((f"\u2003{reason}", count) for reason, count in outcome.malformed.items()),
    ]
    days = sorted(in_words(parse_time(one.manifest.created).replace(microsecond=0)) for one in datasets)
    return {
        "name": period.name,
        "state": period.state,
        "asked": _asked(period),
        "period": period_of(outcome) or "no queries",
        "source": ", ".join(dict.fromkeys(_source(one.manifest.request) for one in datasets)),
        "created": " to ".join(dict.fromkeys((days[0], days[-1]))),
        "notes": [*dict.fromkeys(note for one in datasets for note in one.manifest.notes)],
        "counts": [(label, format_number(count)) for label, count in counts],
        "datasets": [_row(portion) for portion in period.portions] if len(datasets) > 1 or not period.is_whole else [],
    }


def _asked(period: Period) -> str:
    if len(period.datasets) == 1 and period.is_whole:
        asked = period.datasets[0].manifest.request
        return f"from {asked.get('since') or 'the first document'} until {asked.get('until') or 'the last'}, UTC"
    if period.since is None or period.until is None:
        return "no time"
    return Span(to_milliseconds(period.since), to_milliseconds(period.until)).in_words()


def _row(portion: Portion) -> tuple[str, str, str]:
    """Return name, number of rows and the time that counts of a dataset."""
    counted = "all" if portion.spans is None else ", ".join(span.in_words() for span in portion.spans) or "nothing"
    return portion.dataset.name, format_number(portion.dataset.counts.kept), counted
