"""Create, delete and rename the folder of a dataset, and remove leftovers of deletions."""

from __future__ import annotations

import re
import secrets
import shutil
from contextlib import ExitStack
from pathlib import Path

from frontierlab.catalogue import Catalogue
from frontierlab.errors import DatasetError
from frontierlab.storage.locks import Replaced, fenced, refuse_readers, remove_locks, writing
from frontierlab.storage.manifest import CATALOGUE, Manifest, strange_files
from frontierlab.util.files import reason

__all__ = ["begin", "delete", "discard", "remove_deleted", "rename", "require_new"]

_DELETED = re.compile(r"\.deleted-.+-([0-9a-f]{12}|\d+)")  # early versions ended the name in a process number


def begin(path: Path, manifest: Manifest, catalogue: Catalogue | None = None) -> None:
    """Write the first manifest of a dataset, and the catalogue that completes its rows. The caller holds its lock.

    Raises
    ------
    Replaced
        Another process created a dataset with the same name meanwhile. That dataset was not changed.
    """
    with fenced(path):
        if (path / "manifest.json").exists():
            raise Replaced(
                f"Another process began a dataset {path.name} while this one was being planned. That dataset was not "
                "changed. Choose another name, or wait until that extraction ends."
            )
        if catalogue is not None:
            catalogue.write(path / CATALOGUE)
        manifest.write(path)
    remove_deleted(path.parent)


def delete(path: Path) -> None:
    """Delete a dataset: rename its folder out of sight, then remove its files and leftovers of earlier deletions.

    Raises
    ------
    DatasetError
        The dataset does not exist, is being written, has a part that is being read, or cannot be moved. Nothing was
        removed.
    """
    if not path.is_dir():
        raise DatasetError(f"There is no dataset {path.name} in {path.parent}.")
    with writing(path), fenced(path):
        refuse_readers(path)
        _put_away(path)
        remove_locks(path)
    remove_deleted(path.parent)


def discard(path: Path, manifest: Manifest) -> None:
    """Remove an unfinished dataset, unless another one has replaced it. The caller holds its lock."""
    with fenced(path, manifest):
        _put_away(path)
        remove_locks(path)
    remove_deleted(path.parent)


def _put_away(path: Path) -> None:
    try:
        path.rename(path.with_name(f".deleted-{path.name}-{secrets.token_hex(6)}"))
    except OSError as error:
        raise DatasetError(
            f"The dataset {path.name} cannot be deleted and was not changed: {reason(error, path.parent)}."
        ) from error


def remove_deleted(folder: Path) -> None:
    """Remove the files of deleted datasets, including leftovers of deletions that failed or were killed.

    Several processes can call this at the same time. A file that cannot be removed now, such as an open file on a
    network folder, is left to the next deletion.
    """
    for doomed in folder.glob(".deleted-*"):
        if _DELETED.fullmatch(doomed.name):
            shutil.rmtree(doomed, ignore_errors=True)


def rename(path: Path, target: Path) -> None:
    """Rename a dataset: its folder, and the name in its manifest.

    Raises
    ------
    DatasetError
        One of the two datasets is being written or read in parts, or the new name is taken. Nothing was changed.
    """
    taken = DatasetError(f"The dataset {target.name} exists already. Choose another name, or delete it first.")
    if (target / "manifest.json").exists():
        raise taken
    with ExitStack() as stack:
        for one in (path, target):
            stack.enter_context(writing(one))
        for one in sorted((path, target)):  # in a fixed order, so that two renames cannot deadlock
            stack.enter_context(fenced(one))
        if (target / "manifest.json").exists():  # created since the first check
            raise taken
        require_new(target)
        for one in (path, target):
            refuse_readers(one)
        manifest = Manifest.read(path)
        renamed = manifest.model_copy(update={"name": target.name})
        try:
            renamed.write(path)
            try:
                path.rename(target)  # replaces the empty folder that `writing` made
            except OSError:
                manifest.write(path)
                raise
        except OSError as error:
            raise DatasetError(
                f"The dataset {path.name} cannot be renamed and was not changed: {reason(error, path)}."
            ) from error
        remove_locks(path)


def require_new(path: Path) -> None:
    """Raise DatasetError if a folder without manifest holds files of something else."""
    if strange := strange_files(path):
        raise DatasetError(
            f"{path} exists and is not a dataset: it has no manifest.json, but {', '.join(strange[:5])}. "
            "Choose another name, or move that folder away."
        )
