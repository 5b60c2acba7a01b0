"""What the top of a report says about its dataset: period, source, counts, and why its figures are too small."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frontierlab.plots.style import format_number
from frontierlab.settings import Settings
from frontierlab.storage.losses import losses
from frontierlab.storage.manifest import Outcome
from frontierlab.storage.store import Dataset
from frontierlab.util.times import in_words, parse_time

__all__ = ["facts", "period_of", "warnings"]


def period_of(outcome: Outcome) -> str:
    """Return the period of a dataset's queries in words; empty text if it has none."""
    if outcome.since is None or outcome.until is None:
        return ""
    first, last = (in_words(milliseconds // 1000 * 1000) for milliseconds in (outcome.since, outcome.until))
    return f"queries from {first.removesuffix(' UTC')} to {last}"


def warnings(dataset: Dataset, settings: Settings, outcome: Outcome, counted: int) -> list[str]:
    """Return sentences on everything that makes the figures too small."""
    manifest = dataset.manifest
    request, found = manifest.request, []
    if manifest.state == "complete":
        found += [loss.text for loss in losses(dataset, settings)]
    else:
        found += manifest.partial
        found.append(
            "This dataset is incomplete: its extraction stopped before the end, or is still running. Every number "
            "below is too small. The same extract(…) call continues it."
        )
    if request.get("cached") is not None:
        kind = "cached" if request["cached"] else "not cached"
        found.append(f"Only queries that were {kind} were extracted: shares of cached queries say nothing here.")
    if request.get("taskid") is not None:
        found.append(f"Only queries of task {request['taskid']} were extracted.")
    if counted != outcome.counts.kept:
        found.append(
            f"The plots count {format_number(counted)} queries, but the dataset says that it has "
            f"{format_number(outcome.counts.kept)}: its files were changed, or it is being written."
        )
    return found


def _source(asked: Mapping[str, Any]) -> str:
    """Return the source of a dataset: the names or patterns of indices, or the name of a file."""
    index = asked.get("index")
    if index:
        return index if isinstance(index, str) else ", ".join(index)
    return Path(asked.get("source", "")).name


def facts(dataset: Dataset, outcome: Outcome) -> dict[str, Any]:
    """Return the facts about the dataset for the top of the page."""
    manifest = dataset.manifest
    asked = manifest.request
    counts: list[tuple[str, Any]] = [
        ("documents read", outcome.counts.read),
        ("kept: queries in this dataset", outcome.counts.kept),
        ("left out", outcome.counts.left_out),
        *((f"\u2003{reason}", count) for reason, count in outcome.left_out.items()),
        ("malformed: could not be read", outcome.counts.malformed),
        *((f"\u2003{reason}", count) for reason, count in outcome.malformed.items()),
    ]
    return {
        "name": dataset.name,
        "state": dataset.state,
        "asked": f"from {asked.get('since') or 'the first document'} until {asked.get('until') or 'the last'}, UTC",
        "period": period_of(outcome) or "no queries",
        "source": _source(asked),
        "created": in_words(parse_time(manifest.created).replace(microsecond=0)),
        "notes": manifest.notes,
        "counts": [(label, format_number(count)) for label, count in counts],
    }
