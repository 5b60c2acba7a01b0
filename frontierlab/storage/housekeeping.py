"""The folder of a dataset: begun, deleted, renamed; and what deletions have left is removed."""

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
    """Write the first manifest of a dataset whose lock the caller holds, and the catalogue that completes its rows.

    Raises
    ------
    Replaced
        Another process has begun a dataset of that name meanwhile; it was left as it is.
    """
    with fenced(path):
        if (path / "manifest.json").exists():
            raise Replaced(
                f"Another process has begun a dataset {path.name} while this one was being planned; it was left as it "
                "is. Choose another name, or wait for its end."
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
        There is none, or somebody writes it or reads a part of it; nothing was removed. Or its files cannot be removed.
    """
    if not path.is_dir():
        raise DatasetError(f"There is no dataset {path.name} in {path.parent}.")
    with writing(path), fenced(path):
        refuse_readers(path)
        _put_away(path)
        remove_locks(path)
    remove_deleted(path.parent)


def discard(path: Path, manifest: Manifest) -> None:
    """Remove what was begun of a dataset, unless another has its name by now. The caller holds its lock."""
    with fenced(path, manifest):
        _put_away(path)
        remove_locks(path)
    remove_deleted(path.parent)


def _put_away(path: Path) -> None:
    try:
        path.rename(path.with_name(f".deleted-{path.name}-{secrets.token_hex(6)}"))
    except OSError as error:
        raise DatasetError(
            f"The dataset {path.name} cannot be deleted, and is as it was: {reason(error, path.parent)}."
        ) from error


def remove_deleted(folder: Path) -> None:
    """Remove the files of deleted datasets, also what an earlier deletion could not remove or left when it was killed.

    Several processes can do this at a time. What cannot be removed now, such as a file that is open on a network
    folder, is left to the next deletion.
    """
    for doomed in folder.glob(".deleted-*"):
        if _DELETED.fullmatch(doomed.name):
            shutil.rmtree(doomed, ignore_errors=True)


def rename(path: Path, target: Path) -> None:
    """Give a dataset's folder another name, which its manifest then says too.

    Raises
    ------
    DatasetError
        Somebody writes one of the two or reads a part of it, or the new name is taken; nothing was changed.
    """
    taken = DatasetError(f"There is a dataset {target.name} already. Choose another name, or delete it first.")
    if (target / "manifest.json").exists():
        raise taken
    with ExitStack() as stack:
        for one in (path, target):
            stack.enter_context(writing(one))
        for one in sorted((path, target)):  # in one order, so that no two renamings wait for each other
            stack.enter_context(fenced(one))
        if (target / "manifest.json").exists():  # since a moment ago
            raise taken
        require_new(target)
        for one in (path, target):
            refuse_readers(one)
        manifest = Manifest.read(path)
        renamed = manifest.model_copy(update={"name": target.name})
        try:
            renamed.write(path)
            try:
                path.rename(target)  # over the empty folder that holds the name
            except OSError:
                manifest.write(path)
                raise
        except OSError as error:
            raise DatasetError(
                f"The dataset {path.name} cannot be renamed, and is as it was: {reason(error, path)}."
            ) from error
        remove_locks(path)


def require_new(path: Path) -> None:
    """Raise DatasetError where a folder holds something that is not known to be a dataset."""
    if strange := strange_files(path):
        raise DatasetError(
            f"{path} is there and is not a dataset: it has no manifest.json, but {', '.join(strange[:5])}. "
            "Choose another name, or move it away."
        )
