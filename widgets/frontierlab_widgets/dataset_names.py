"""The names, counts and requests of datasets in panels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from frontierlab import Settings
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.extraction.request import recorded_request
from frontierlab.selection import Selection
from frontierlab.storage import store as datasets
from frontierlab.storage.dataset import Dataset, dataset_path
from frontierlab.storage.manifest import Counts

__all__ = ["counted", "is_complete", "plain_name", "request_again", "require_free"]


def plain_name(text: str) -> str:
    """Check the text in a name field; it may be empty.

    Raises
    ------
    InvalidRequestError
        The text is not a valid name; the message says what is valid.
    """
    name = text.strip()
    if name:
        dataset_path(name, Path())
    return name


def is_complete(name: str, settings: Settings) -> bool:
    """Return whether a complete dataset with this name exists.

    Raises
    ------
    InvalidRequestError
        The name is not valid.
    """
    try:
        return (
            dataset_path(name, settings.data_dir).is_dir() and datasets.open_dataset(name, settings).state == "complete"
        )
    except DatasetError:  # a damaged dataset: writing to it gives the reason
        return False


def require_free(name: str, settings: Settings, field: str) -> None:
    """Raise if a complete dataset has this name. An incomplete one is allowed: the same request continues it.

    Parameters
    ----------
    name, settings
        Name of the new dataset, and the settings.
    field
        Label of the name field in the panel.

    Raises
    ------
    InvalidRequestError
        The name is taken or not valid.
    """
    try:
        taken = is_complete(name, settings)
    except InvalidRequestError as error:
        raise InvalidRequestError(f"{error} Type a name for the dataset into the field {field}.") from None
    if taken:
        raise InvalidRequestError(
            f"There is a complete dataset {name} already. Type another name into the field {field}, or delete that "
            "dataset in the datasets panel."
        )


def counted(counts: Counts) -> str:
    """Write what became of the documents that were read."""
    kept = f"{counts.kept:,} kept + {counts.left_out:,} left out + {counts.malformed:,} malformed"
    return f"{counts.read:,} rows read = {kept}"


def request_again(dataset: Dataset) -> dict[str, Any]:
    """Return the arguments of the extraction that made an incomplete dataset, to resume it.

    Raises
    ------
    DatasetError
        The dataset was not extracted, or by another version.
    """
    asked = recorded_request(dataset.manifest)
    return {
        "since": asked.since,
        "until": None if asked.until_is_now else asked.until,
        "cached": asked.cached,
        "taskid": asked.taskid,
        "selection": Selection.from_json(asked.selection) if asked.selection else None,
        "source": None if asked.index else asked.source,
        **({"extra_fields": asked.extra_fields} if asked.extra_fields else {}),
        **({} if asked.complete else {"complete": False}),
    }
