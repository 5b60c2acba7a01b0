"""The datasets of the data folder: list, open, rename, delete, import; several of them as a period."""

from frontierlab.extraction.import_parquet import import_parquet
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.periods import Period
from frontierlab.storage.store import delete_dataset, list_datasets, open_dataset, period, rename_dataset

__all__ = [
    "Dataset",
    "Period",
    "delete_dataset",
    "import_parquet",
    "list_datasets",
    "open_dataset",
    "period",
    "rename_dataset",
]
