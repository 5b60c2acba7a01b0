"""The datasets of the data folder: list, open, rename, delete; several of them as a period."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.settings import Settings
from frontierlab.settings.data_folder import ELSEWHERE
from frontierlab.storage.dataset import Dataset, dataset_path
from frontierlab.storage.housekeeping import delete, rename
from frontierlab.storage.listing import dataset_names, dataset_records
from frontierlab.storage.overlaps import Overlaps
from frontierlab.storage.periods import Period, Time

__all__ = [
    "Dataset",
    "Datasets",
    "Period",
    "as_period",
    "delete_dataset",
    "list_datasets",
    "open_dataset",
    "period",
    "rename_dataset",
]

Datasets: TypeAlias = Dataset | str | Period | Iterable[Dataset | str]
"""A dataset, its name, several of them, or a period."""

_WILD = frozenset("*?[")


def open_dataset(name: str, settings: Settings | None = None) -> Dataset:
    """Open a dataset by its name.

    Raises
    ------
    InvalidRequestError
        The name is not valid.
    DatasetError
        The dataset does not exist, is being planned, or is damaged.
    """
    return Dataset(_existing(name, settings or Settings()))


def _existing(name: str, settings: Settings) -> Path:
    path = dataset_path(name, settings.data_dir)
    if not path.is_dir():
        valid = _valid(dataset_names(settings.data_dir))
        raise DatasetError(f"There is no dataset {name!r} in {path.parent}. Valid: {valid} {ELSEWHERE}")
    return path


def period(
    names: Dataset | str | Iterable[Dataset | str],
    since: Time = None,
    until: Time = None,
    settings: Settings | None = None,
    *,
    overlaps: Overlaps = None,
) -> Period:
    """Read several datasets, such as the days of a month, as one.

    Every function that takes a dataset takes the period.

    Parameters
    ----------
    names
        A name, a pattern such as ``nightly-*``, a dataset, or a list of these.
    since, until
        Only queries whose time is in ``[since, until)`` count, and datasets that cover no such time are left out. A
        time without a zone is UTC. By default all.
    settings
        By default ``Settings()``.
    overlaps
        What to do where two datasets cover the same time; see `Period`. By default no query counts twice, and it is an
        error if that cannot be known.

    Returns
    -------
    Period
        The datasets in order of time. Its ``notes`` and ``repr`` name the overlaps and the gaps.

    Raises
    ------
    InvalidRequestError
        A name is not valid, or `until` is not after `since`.
    DatasetError
        There is no such dataset, or none of that time; a dataset is damaged; or two datasets cover the same time, and
        it is not known whether they hold the same queries.

    Examples
    --------
    >>> month = fl.datasets.period("nightly-*", "2026-10-01", "2026-11-01")  # doctest: +SKIP
    """
    if isinstance(since, Settings):
        raise InvalidRequestError("since is a frontierlab.Settings: give it by name, as period(…, settings=settings).")
    settings = settings or Settings()
    asked = [names] if isinstance(names, str | Dataset) else list(names)
    found: list[Dataset] = []
    for one in asked:
        if isinstance(one, str) and _WILD & set(one):
            found += [Dataset(path) for path in _matching(one, settings)]
        else:
            found.append(one if isinstance(one, Dataset) else open_dataset(one, settings))
    return Period(found, since=since, until=until, overlaps=overlaps)


def as_period(datasets: Datasets, settings: Settings | None = None) -> Period:
    """Return what a function was given as a period; a single dataset is a period of one.

    Raises
    ------
    InvalidRequestError, DatasetError
        As `period` does.
    """
    if isinstance(datasets, Period):
        return datasets
    return Period([datasets]) if isinstance(datasets, Dataset) else period(datasets, settings=settings)


def _matching(pattern: str, settings: Settings) -> list[Path]:
    folder = settings.data_dir / "datasets"
    names = dataset_names(settings.data_dir)
    found = [folder / name for name in names if fnmatchcase(name, pattern)]
    if not found:
        raise DatasetError(f"No dataset in {folder} is named {pattern}. There are: {_valid(names)} {ELSEWHERE}")
    return found


def _valid(names: Sequence[str]) -> str:
    """Return the names that there are, as the end of a sentence."""
    return f"{', '.join(names)}." if names else "none yet. extract(…) makes one."


def delete_dataset(name: str, settings: Settings | None = None) -> None:
    """Delete a dataset and all its files for good, also a damaged one.

    Raises
    ------
    InvalidRequestError
        The name is not valid.
    DatasetError
        The dataset does not exist, is being written, or has a part that is being read. Nothing was removed.
    """
    delete(_existing(name, settings or Settings()))


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
        One row per dataset, ordered by name: ``name``, ``state`` (complete, incomplete, damaged, or thinned: complete,
        but its rows were removed, and the filters that summaries answer still answer), ``rows``,
        ``since`` and ``until`` (times of the first and last row, UTC), ``size`` (bytes), ``created``
        (UTC), ``problem`` (why it cannot be opened; empty otherwise). A dataset that is being planned
        is incomplete, without rows and size.
    """
    columns = ["name", "state", "rows", "since", "until", "size", "created", "problem"]
    frame = pd.DataFrame(dataset_records((settings or Settings()).data_dir), columns=columns)
    frame = frame.astype({"rows": "Int64", "size": "Int64"})
    for name in ("since", "until", "created"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame
