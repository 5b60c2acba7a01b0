"""Thin a dataset: remove its rows, and keep its manifest, its summaries, and what was made of it.

A thinned dataset takes about a thousandth of the room. The manifest says that the rows are gone, in one step: before
that step the dataset has all its rows, after it the dataset has none that count. Files that a killed process leaves are
removed by the next call.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from frontierlab.errors import DatasetError
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.housekeeping import remove_deleted
from frontierlab.storage.locks import fenced, refuse_readers, remove_locks, writing
from frontierlab.storage.manifest import CATALOGUE, Manifest
from frontierlab.storage.summaries import COMBINED, SHAPES, TIMES, combine_summaries, summary_file
from frontierlab.util.files import reason
from frontierlab.util.times import format_time

__all__ = ["thin"]


def thin(dataset: Dataset) -> Dataset:
    """Remove the rows and the malformed documents of a dataset; return the thinned dataset.

    The manifest with its counts, the summaries, the report and every other file in the dataset's folder stay. So
    filters that a summary answers give the same answer as before, and all others raise `Thinned`. Thinning a thinned
    dataset removes what a killed process left.

    Raises
    ------
    DatasetError
        The dataset is incomplete, damaged or in use; its summaries are missing, damaged or do not count all of its
        rows; it was deleted, renamed or replaced since it was opened; or its folder cannot be written. The dataset was
        not changed.
    """
    path = dataset.path
    if not path.is_dir():
        raise DatasetError(f"There is no dataset {path.name} in {path.parent}.")
    try:
        with writing(path):
            if not dataset.is_thinned:
                dataset.require_complete()
                _combine(dataset)
            with fenced(path, dataset.manifest):
                refuse_readers(path)
                manifest = Manifest.read(path)
                if manifest.thinned is None:
                    manifest.thinned = format_time(datetime.now(UTC))
                    manifest.write(path)
                _remove_rows(path)
                remove_locks(path)
    except OSError as error:
        raise DatasetError(
            f"The dataset {path.name} cannot be thinned: {reason(error, path)}. The same call does it later."
        ) from error
    remove_deleted(path.parent)
    return Dataset(path)


def _combine(dataset: Dataset) -> None:
    """Write the summaries of all rows into the one file that stays; raise if they do not count all rows.

    `Dataset.files` compares the rows with the counts, so a damaged dataset is not thinned.
    """
    path, files, kept = dataset.path, dataset.files(), dataset.counts.kept
    if not files or _count_all(path / COMBINED, kept):
        return
    if not all(file.exists() for file in map(summary_file, files)):
        raise DatasetError(
            f"The dataset {path.name} has no summaries, so without its rows no question could be answered. It was not "
            "thinned. Delete it, or keep it."
        )
    temporary = path / f".{COMBINED}.{secrets.token_hex(6)}"
    try:
        with suppress(pa.ArrowException, KeyError):  # a file is damaged: what it gives is looked at below
            combine_summaries(files, temporary, few=0)
        if not _count_all(temporary, kept):
            raise DatasetError(
                f"The summaries of the dataset {path.name} are damaged, or too large to be added up: they do not count "
                f"its {kept:,} rows. It was not thinned. Delete it, or keep it."
            )
        temporary.replace(path / COMBINED)
    finally:
        temporary.unlink(missing_ok=True)


def _count_all(summaries: Path, rows: int) -> bool:
    """Return whether a file of summaries can be read and counts this many rows."""
    try:
        found = pq.read_table(summaries, columns=["summary", TIMES])
    except (OSError, pa.ArrowException):
        return False
    counted = {
        shape.name: pc.sum(found.filter(pc.field("summary") == shape.name)[TIMES]).as_py()
        for shape in SHAPES
        if not shape.long
    }
    return set(counted.values()) == {rows}


def _remove_rows(path: Path) -> None:
    """Move the rows to where deleted datasets are removed from; remove the catalogue, which only reading them needs."""
    if (path / "parts").exists():
        (path / "parts").rename(path.with_name(f".deleted-{path.name}-{secrets.token_hex(6)}"))
    (path / CATALOGUE).unlink(missing_ok=True)
