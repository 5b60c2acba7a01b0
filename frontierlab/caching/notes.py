"""Notes on a dataset for the reader of its figures: why they are partial."""

from __future__ import annotations

from frontierlab.selection import Selection
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.periods import Period

__all__ = ["note_of_part", "notes_of"]


def notes_of(period: Period, selection: Selection | None = None) -> list[str]:
    """Return sentences on why figures of datasets and a selection are partial; empty if they are not."""
    notes = [*period.notes, *(note for dataset in period.datasets for note in _notes_of_dataset(dataset))]
    if selection is not None and selection != Selection():
        notes.append(note_of_part(period.name, selection))
    return notes


def _notes_of_dataset(dataset: Dataset) -> list[str]:
    manifest = dataset.manifest
    notes = []
    if manifest.state != "complete":
        notes.append(f"The dataset {dataset.name} is incomplete: the figures cover only its complete parts.")
    if manifest.limit is not None:
        limit, cut = manifest.limit.get("limit_queries"), manifest.limit.get("cut_at")
        notes.append(f"limit_queries={limit} cut the dataset at {cut}: the figures cover only earlier queries.")
    extracted = Selection.of_request(manifest.request)
    if extracted != Selection():
        notes.append(f"The dataset was extracted with {extracted.in_words()}: the figures cover only such queries.")
    places = dict.fromkeys(("db", "schema", "nodefullpath", "tagname"))
    if extracted.but(**places) != Selection():
        notes.append("Other queries of the same folders are not in it: efficiency and waste are those of a part.")
    return notes


def note_of_part(name: str, selection: Selection) -> str:
    """Return the note on figures of a selection of the dataset or the period of this name."""
    return f"The figures cover a part of the queries of {name}: {selection.in_words()}."
