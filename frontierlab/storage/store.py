"""The datasets of the data folder: list, open, rename, delete."""

from __future__ import annotations

import pandas as pd

from frontierlab.errors import DatasetError
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset, dataset_path
from frontierlab.storage.housekeeping import delete, rename
from frontierlab.storage.manifest import NotBegun

__all__ = ["Dataset", "delete_dataset", "list_datasets", "open_dataset", "rename_dataset"]


def open_dataset(name: str, settings: Settings | None = None) -> Dataset:
    """Open a dataset by its name.

    Raises
    ------
    InvalidRequestError
        The name is not valid.
    DatasetError
        The dataset does not exist, is being planned, or is damaged.
    """
    settings = settings or Settings()
    path = dataset_path(name, settings.data_dir)
    if not path.is_dir():
        names = ", ".join(list_datasets(settings)["name"]) or "none yet"
        raise DatasetError(f"There is no dataset {name!r} in {path.parent}. Valid: {names}.")
    return Dataset(path)


def delete_dataset(name: str, settings: Settings | None = None) -> None:
    """Delete a dataset and all its files for good, also a damaged one.

    Raises
    ------
    InvalidRequestError
        The name is not valid.
    DatasetError
        The dataset does not exist, is being written, or has a part that is being read. Nothing was removed.
    """
    delete(dataset_path(name, (settings or Settings()).data_dir))


def rename_dataset(name: str, new_name: str, settings: Settings | None = None) -> Dataset:
    """Rename a dataset. Jobs and stored caching figures of the dataset keep the old name.

    Returns
    -------
    Dataset
        The dataset under its new name.

    Raises
    ------
    InvalidRequestError
        One of the names is not valid.
    DatasetError
        The dataset does not exist, is damaged, is being written or has a part that is being read, or the new name is
        taken. Nothing was changed.
    """
    settings = settings or Settings()
    dataset, target = open_dataset(name, settings), dataset_path(new_name, settings.data_dir)
    rename(dataset.path, target)
    return Dataset(target)


def list_datasets(settings: Settings | None = None) -> pd.DataFrame:
    """List the datasets of the data folder.

    Returns
    -------
    pandas.DataFrame
        One row per dataset, ordered by name: ``name``, ``state`` (complete, incomplete, damaged), ``rows``,
        ``since`` and ``until`` (times of the first and last row, UTC), ``size`` (bytes), ``created``
        (UTC), ``problem`` (why it cannot be opened; empty otherwise). A dataset that is being planned
        is incomplete, without rows and size.
    """
    folder = (settings or Settings()).data_dir / "datasets"
    records = []
    for path in sorted(folder.glob("[!.]*")):
        record: dict[str, object] = {"name": path.name, "state": "damaged", "problem": ""}
        try:
            dataset = Dataset(path)
        except NotBegun as error:
            record |= {"state": "incomplete", "problem": str(error)}
        except DatasetError as error:
            if not path.exists():  # deleted meanwhile
                continue
            record["problem"] = str(error)
        else:
            outcome = dataset.outcome()
            record |= {"state": dataset.state, "rows": outcome.counts.kept, "size": dataset.size()}
            record |= {"since": outcome.since, "until": outcome.until, "created": dataset.manifest.created}
        records.append(record)
    columns = ["name", "state", "rows", "since", "until", "size", "created", "problem"]
    frame = pd.DataFrame(records, columns=columns).astype({"rows": "Int64", "size": "Int64"})
    for name in ("since", "until"):
        frame[name] = pd.to_datetime(frame[name].astype("Int64"), unit="ms", utc=True)
    frame["created"] = pd.to_datetime(frame["created"], utc=True, format="ISO8601")
    return frame
