"""The datasets of the data folder: list, open, rename, delete, import."""

from frontierlab.extraction.import_parquet import import_parquet
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.store import delete_dataset, list_datasets, open_dataset, rename_dataset

__all__ = ["Dataset", "delete_dataset", "import_parquet", "list_datasets", "open_dataset", "rename_dataset"]
