"""Names of datasets, as panels take and refuse them."""

from __future__ import annotations

from pathlib import Path

from frontierlab import Settings
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.storage import store as datasets
from frontierlab.storage.dataset import dataset_path

__all__ = ["is_complete", "plain_name", "require_free"]


def plain_name(text: str) -> str:
    """Read what is typed into the field of a name; it may be empty.

    Raises
    ------
    InvalidRequestError
        It is no name of a dataset; the message says what is one.
    """
    name = text.strip()
    if name:
        dataset_path(name, Settings.model_construct(data_dir=Path()))
    return name


def is_complete(name: str, settings: Settings) -> bool:
    """Return whether there is a complete dataset of that name.

    Raises
    ------
    InvalidRequestError
        It is no name of a dataset.
    """
    try:
        return dataset_path(name, settings).is_dir() and datasets.open_dataset(name, settings).state == "complete"
    except DatasetError:  # a damaged one: who writes it says why
        return False


def require_free(name: str, settings: Settings, field: str) -> None:
    """Refuse the name of a dataset that is complete; the same request goes on with one that is not.

    Parameters
    ----------
    name, settings
        Of the dataset that is to be made.
    field
        What the panel calls the field of the name.

    Raises
    ------
    InvalidRequestError
        The name is taken, or no name.
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
