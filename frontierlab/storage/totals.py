"""Add up and check the parts of a dataset, and mark the dataset as complete."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from frontierlab.errors import DatasetError
from frontierlab.storage.locks import fenced, readers, remove_locks, require_not_replaced
from frontierlab.storage.manifest import Manifest, Outcome
from frontierlab.storage.parts import part_folder, read_outcome, remove_leftovers, row_files
from frontierlab.storage.summaries import COMBINED, combine_summaries
from frontierlab.util.times import format_time

__all__ = ["mark_complete"]


def mark_complete(path: Path, manifest: Manifest) -> None:
    """Add up the parts of a dataset and mark the dataset as complete.

    Raises
    ------
    DatasetError
        The counts do not add up or differ from the files, or the dataset was deleted, renamed or replaced meanwhile.
        Nothing was changed.
    """
    require_not_replaced(path, manifest)
    numbers = [part.number for part in manifest.plan]
    total = _outcome_of_all(path, numbers)
    counts = total.counts
    if counts.read != counts.kept + counts.left_out + counts.malformed:
        raise DatasetError(f"The counts of {path.name} do not add up: {counts}. Please report this.")
    for name in Outcome.model_fields:
        setattr(manifest, name, getattr(total, name))
    expected = sum(part.expected for part in manifest.plan)
    if counts.read != expected and not manifest.request["index"]:
        raise DatasetError(
            f"The file had {expected:,} documents, but {counts.read:,} were read: it changed while it was read. "
            f"Delete the dataset {path.name}, and extract from a file that nobody writes to."
        )
    if counts.read != expected:
        told = f"The source had {expected:,} documents when the extraction was planned, and gave {counts.read:,}."
        (manifest.partial if counts.read < expected else manifest.notes).append(told)
    summary = path / f".{COMBINED}.{secrets.token_hex(6)}"
    try:
        combine_summaries(row_files(path, numbers), summary)
        with fenced(path, manifest):
            if Manifest.read(path).state == "complete":  # another process finished first
                return
            if summary.exists():
                summary.rename(path / COMBINED)
            manifest.state = "complete"
            manifest.finished = format_time(datetime.now(UTC))
            remove_leftovers(path, keep=readers(path))
            manifest.write(path)
            remove_locks(path)
    finally:
        summary.unlink(missing_ok=True)


def _outcome_of_all(dataset: Path, numbers: Iterable[int]) -> Outcome:
    """Add up the counts of all parts, and check them against the rows in their files.

    Raises
    ------
    DatasetError
        A part is missing or damaged, or the number of rows in its files differs from its counts.
    """
    outcomes = []
    for number in numbers:
        outcome, folder = read_outcome(dataset, number), part_folder(dataset, number)
        try:
            rows = sum(pq.read_metadata(file).num_rows for file in row_files(dataset, [number]))
        except (OSError, pa.ArrowException):
            rows = -1
        if outcome is None or outcome.counts.kept != rows:
            raise DatasetError(
                f"Part {number} of the dataset {dataset.name} is damaged: its files differ from its counts. Remove "
                f"{folder}; the same extract(…) call then reads the part again."
            )
        outcomes.append(outcome)
    return Outcome.total(outcomes)
