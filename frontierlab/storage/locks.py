"""The locks of a dataset: who writes it, who reads its parts, and the fence around every step that changes it.

All lock files lie beside the dataset's folder:

- ``.NAME.lock`` is held while an extraction, an import, a rename or a deletion works on the dataset;
- ``.NAME.locks/00000`` is held while a part is read, and ``00000.reader`` beside it says by whom;
- ``.NAME.fence`` is held for a moment, around a look at the manifest and the step that follows from it.

A lock can be lost: a network folder drops it, or a process is stopped for hours. So no lock alone lets anyone change a
dataset. Whoever takes a part, stores a part, writes the manifest, renames or deletes does it within the fence, and only
if the manifest is still that of the dataset which the work is for.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import filelock

from frontierlab.errors import DatasetError
from frontierlab.storage.manifest import Manifest
from frontierlab.util.files import reason
from frontierlab.util.times import format_time

__all__ = [
    "Replaced",
    "fenced",
    "free_parts",
    "part_locked",
    "readers",
    "refuse_readers",
    "remove_locks",
    "require_not_replaced",
    "this_writer",
    "writing",
]

_FENCE_SECONDS = 60.0  # far more than any step within the fence takes


class Replaced(DatasetError):
    """A dataset was deleted, renamed or replaced while it was being written."""


def this_writer() -> str:
    """Say who writes: process, machine, time."""
    return f"process {os.getpid()} on {socket.gethostname()} (since {format_time(datetime.now(UTC))})"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Hold the lock of a dataset's folder, which is made where it is missing, and removed if nothing was begun.

    Raises
    ------
    DatasetError
        Another process or thread holds it, or the folder cannot be made.
    """
    lock = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _acquired(path.with_name(f".{path.name}.lock"))
        if lock is not None:
            made = not path.exists()
            path.mkdir(exist_ok=True)
    except OSError as error:
        if lock is not None:
            lock.release()
        raise DatasetError(
            f"{path} cannot be written: {reason(error, path)}. Another place is named by data_dir in the settings."
        ) from error
    if lock is None:
        raise DatasetError(
            f"The dataset {path.name} is in use: {_last_writer(path)} is writing it. Wait for its end, or stop it."
        )
    try:
        yield
    finally:
        if made and path.is_dir() and not (path / "manifest.json").exists():
            shutil.rmtree(path, ignore_errors=True)
        lock.release()


def _last_writer(path: Path) -> str:
    try:
        return Manifest.read(path).writer or "another process"
    except DatasetError:
        return "another process"


@contextmanager
def fenced(path: Path, manifest: Manifest | None = None) -> Iterator[None]:
    """Hold the fence of a dataset; nobody else changes the dataset meanwhile. Only for moments.

    Parameters
    ----------
    path
        The dataset's folder.
    manifest
        What the caller works on: the dataset has to be the same one still. None does not look.

    Raises
    ------
    Replaced
        There is another dataset of that name by now, or none.
    DatasetError
        Another process keeps the fence for a minute, or the folder of the datasets cannot be written.
    """
    lock = filelock.FileLock(path.with_name(f".{path.name}.fence"), thread_local=False)
    try:
        lock.acquire(timeout=_FENCE_SECONDS)
    except filelock.Timeout:
        raise DatasetError(
            f"The dataset {path.name} is blocked: another process has held {lock.lock_file} for {_FENCE_SECONDS:.0f} "
            "seconds. A step within it takes moments, so that process has been stopped or hangs: end it."
        ) from None
    except OSError as error:
        raise DatasetError(f"The dataset {path.name} cannot be changed: {reason(error, path)}.") from error
    try:
        if manifest is not None:
            _require_same(path, manifest)
        yield
    finally:
        lock.release()


def require_not_replaced(path: Path, manifest: Manifest) -> None:
    """Raise Replaced where there is another dataset of that name by now, or none."""
    with fenced(path, manifest):
        pass


def _require_same(path: Path, manifest: Manifest) -> None:
    there = (path / "manifest.json").exists()
    if not there or Manifest.read(path).fencing_token != manifest.fencing_token:
        raise Replaced(
            f"The dataset {path.name} was deleted, renamed or replaced while it was being written. What was read for "
            "it since is not stored, and what has that name now was left as it is."
        )


@contextmanager
def part_locked(path: Path, number: int, manifest: Manifest, *, take_over: bool = False) -> Iterator[ExitStack | None]:
    """Hold the lock of a part while the body runs.

    Parameters
    ----------
    path, manifest
        The dataset.
    number
        Of the part.
    take_over
        Read the part even where another holds its lock, because that one has not moved for long.

    Yields
    ------
    ExitStack or None
        What lets go of the lock when it is closed; None where another holds the lock.

    Raises
    ------
    Replaced
        The dataset is not the same one any more.
    """
    with ExitStack() as held:
        with fenced(path, manifest):
            file = _locks(path) / f"{number:05d}"
            file.parent.mkdir(exist_ok=True)
            lock = _acquired(file)
            if lock is not None:
                held.callback(lock.release)
                file.with_suffix(".reader").write_text(this_writer(), encoding="utf-8")
        yield held if lock is not None or take_over else None


def free_parts(path: Path, numbers: Iterable[int]) -> list[int]:
    """Return which of these parts nobody reads now."""
    with fenced(path):
        return [number for number in numbers if _is_free(_locks(path) / f"{number:05d}")]


def readers(path: Path) -> dict[int, str]:
    """Return who reads which part of a dataset now. Only within the fence."""
    found = {}
    for file in sorted(_locks(path).glob("[0-9]*[0-9]")):
        if not _is_free(file):
            try:
                found[int(file.name)] = file.with_suffix(".reader").read_text(encoding="utf-8")
            except OSError:  # it has taken the lock this moment
                found[int(file.name)] = "another process"
    return found


def refuse_readers(path: Path) -> None:
    """Raise DatasetError where somebody reads a part of a dataset. Only within the fence."""
    if found := readers(path):
        number, who = next(iter(found.items()))
        others = f" ({len(found)} parts are being read)" if len(found) > 1 else ""
        raise DatasetError(
            f"The dataset {path.name} is in use: {who} reads part {number} of it{others}. Wait for its end, or stop it."
        )


def remove_locks(path: Path) -> None:
    """Remove the locks of the parts, unless somebody holds one. Only within the fence."""
    if not readers(path):
        shutil.rmtree(_locks(path), ignore_errors=True)


def _locks(path: Path) -> Path:
    return path.with_name(f".{path.name}.locks")


def _acquired(file: Path) -> filelock.BaseFileLock | None:
    """Acquire a lock; None where another process or thread holds it."""
    lock = filelock.FileLock(file, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        return None
    return lock


def _is_free(file: Path) -> bool:
    if not file.exists():
        return True
    if (lock := _acquired(file)) is None:
        return False
    lock.release()
    return True
