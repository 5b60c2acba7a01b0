"""Making a dataset in one go: it is complete afterwards, or its files are gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from frontierlab.errors import DatasetError
from frontierlab.storage.housekeeping import begin, discard, require_new
from frontierlab.storage.locks import writing
from frontierlab.storage.manifest import Manifest
from frontierlab.storage.totals import mark_complete
from frontierlab.util.files import reason

__all__ = ["creating"]


@contextmanager
def creating(target: Path, manifest_of: Callable[[Path], Manifest]) -> Iterator[Manifest]:
    """Begin a new dataset, whose parts the ``with`` block writes, and mark it complete at the end of the block.

    Parameters
    ----------
    target
        The folder of the dataset.
    manifest_of
        Makes its manifest, while nobody else can write there.

    Raises
    ------
    DatasetError
        There is a dataset already, another process writes it, or the disk does not take it. After an error in the
        block, whatever it is, the files of the dataset are removed.
    """
    with writing(target):
        if (target / "manifest.json").exists():
            raise DatasetError(f"The dataset {target.name} exists already. Choose another name, or delete it first.")
        require_new(target)
        manifest = manifest_of(target)
        try:
            begin(target, manifest)
            yield manifest
            mark_complete(target, manifest)
        except BaseException as error:
            if (target / "manifest.json").exists():
                discard(target, manifest)
            if isinstance(error, OSError):
                raise DatasetError(
                    f"{target} cannot be written: {reason(error, target)}. Its files were removed. When the cause is "
                    "gone, repeat the call."
                ) from error
            raise
