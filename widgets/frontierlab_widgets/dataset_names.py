"""Check the names of datasets in panels."""

from __future__ import annotations

from pathlib import Path

from frontierlab import Settings
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.storage import store as datasets
from frontierlab.storage.dataset import dataset_path

__all__ = ["is_complete", "plain_name", "require_free"]


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
