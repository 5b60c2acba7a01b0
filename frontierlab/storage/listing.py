"""What the datasets of a data folder say of themselves, as plain values."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TypedDict

from frontierlab.errors import DatasetError
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.manifest import NotBegun
from frontierlab.util.times import from_milliseconds, parse_time

__all__ = ["DatasetRecord", "dataset_names", "dataset_records"]


class DatasetRecord(TypedDict):
    """A dataset, also a damaged one; `frontierlab.datasets.list_datasets` describes the values."""

    name: str
    state: str
    rows: int | None
    since: datetime | None
    until: datetime | None
    size: int | None
    created: datetime | None
    problem: str


def dataset_names(data_dir: Path) -> list[str]:
    """Return the names of the datasets of a data folder, in order, without opening them."""
    return sorted(path.name for path in (data_dir / "datasets").glob("[!.]*"))


def dataset_records(data_dir: Path) -> list[DatasetRecord]:
    """Return a record for each dataset of a data folder, in the order of names."""
    found = (_record(data_dir / "datasets" / name) for name in dataset_names(data_dir))
    return [record for record in found if record is not None]


def _record(path: Path) -> DatasetRecord | None:
    """Return the record of a dataset; None if it has been deleted meanwhile."""
    record = DatasetRecord(
        name=path.name, state="damaged", rows=None, since=None, until=None, size=None, created=None, problem=""
    )
    try:
        dataset = Dataset(path)
    except NotBegun as error:
        return {**record, "state": "incomplete", "problem": str(error)}
    except DatasetError as error:
        return {**record, "problem": str(error)} if path.exists() else None
    outcome = dataset.outcome()
    return {
        **record,
        "state": "thinned" if dataset.is_thinned else dataset.state,
        "rows": outcome.counts.kept,
        "since": None if outcome.since is None else from_milliseconds(outcome.since),
        "until": None if outcome.until is None else from_milliseconds(outcome.until),
        "size": dataset.size(),
        "created": parse_time(dataset.manifest.created),
    }
