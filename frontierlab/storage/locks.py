"""The locks of a dataset: for its writer, for the readers of its parts, and a fence around every change.

All lock files lie beside the dataset's folder:

- ``.NAME.lock`` is held while an extraction, an import, a rename or a deletion works on the dataset;
- ``.NAME.locks/00000`` is held while a part is read from the source, and ``00000.reader`` beside it names the reader;
- ``.NAME.fence`` is held for a moment, to check the manifest and then make one change.

A lock can be lost: a network folder drops it, or a process is stopped for hours. So a lock alone does not allow a
change. Taking a part, storing a part, writing the manifest, renaming and deleting are done within the fence, and only
if the manifest still belongs to the dataset that the work started on. That check is a fencing token (M. Kleppmann, "How
to do distributed locking", 2016, https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html).
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

_FENCE_SECONDS = 60.0  # every step within the fence takes far less


class Replaced(DatasetError):
    """A dataset was deleted, renamed or replaced while it was being written."""


def this_writer() -> str:
    """Describe the current process: its number, machine and the time."""
    return f"process {os.getpid()} on {socket.gethostname()} (since {format_time(datetime.now(UTC))})"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Hold the lock of a dataset. A missing folder is made, and removed at the end if it got no manifest.

    Raises
    ------
    DatasetError
        Another process or thread holds the lock, or the folder cannot be made.
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
            f"{path} cannot be written: {reason(error, path)}. The setting data_dir names another place."
        ) from error
    if lock is None:
        raise DatasetError(
            f"The dataset {path.name} is in use: {_last_writer(path)} is writing it. Wait until it ends, or stop it."
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
    """Hold the fence of a dataset, so that nobody else changes the dataset. Hold it only for moments.

    Parameters
    ----------
    path
        The dataset's folder.
    manifest
        The manifest that the caller works with. The dataset on the disk must still be the same one; None skips the
        check.

    Raises
    ------
    Replaced
        The dataset was deleted, renamed or replaced.
    DatasetError
        Another process holds the fence for a minute, or the folder of the datasets cannot be written.
    """
    lock = filelock.FileLock(path.with_name(f".{path.name}.fence"), thread_local=False)
    try:
        lock.acquire(timeout=_FENCE_SECONDS)
    except filelock.Timeout:
        raise DatasetError(
            f"The dataset {path.name} is blocked: another process has held {lock.lock_file} for {_FENCE_SECONDS:.0f} "
            "seconds. It is held for moments only, so that process is stopped or hangs. End that process."
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
    """Raise Replaced if the dataset was deleted, renamed or replaced."""
    with fenced(path, manifest):
        pass


def _require_same(path: Path, manifest: Manifest) -> None:
    there = (path / "manifest.json").exists()
    if not there or Manifest.read(path).fencing_token != manifest.fencing_token:
        raise Replaced(
            f"The dataset {path.name} was deleted, renamed or replaced while it was being written. The documents read "
            "since then are not stored. The dataset that has this name now was not changed."
        )


@contextmanager
def part_locked(path: Path, number: int, manifest: Manifest, *, take_over: bool = False) -> Iterator[ExitStack | None]:
    """Hold the lock of a part while the body runs.

    Parameters
    ----------
    path, manifest
        The dataset.
    number
        The number of the part.
    take_over
        Proceed although another reader holds the lock, because that reader has made no progress for long.

    Yields
    ------
    ExitStack or None
        Closing it releases the lock. None if another reader holds the lock and `take_over` is False.

    Raises
    ------
    Replaced
        The dataset was deleted, renamed or replaced.
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
    """Return the parts, among these, that nobody is reading."""
    with fenced(path):
        return [number for number in numbers if _is_free(_locks(path) / f"{number:05d}")]


def readers(path: Path) -> dict[int, str]:
    """Return who is reading each part of a dataset, by part number. Call it within the fence."""
    found = {}
    for file in sorted(_locks(path).glob("[0-9]*[0-9]")):
        if not _is_free(file):
            try:
                found[int(file.name)] = file.with_suffix(".reader").read_text(encoding="utf-8")
            except OSError:  # a reader that has just taken the lock
                found[int(file.name)] = "another process"
    return found


def refuse_readers(path: Path) -> None:
    """Raise DatasetError if a part of the dataset is being read. Call it within the fence."""
    if found := readers(path):
        number, who = next(iter(found.items()))
        others = f" ({len(found)} parts are being read)" if len(found) > 1 else ""
        raise DatasetError(
            f"The dataset {path.name} is in use: {who} reads part {number} of it{others}. Wait until it ends, or "
            "stop it."
        )


def remove_locks(path: Path) -> None:
    """Remove the lock files of the parts, unless one is held. Call it within the fence."""
    if not readers(path):
        shutil.rmtree(_locks(path), ignore_errors=True)


def _locks(path: Path) -> Path:
    return path.with_name(f".{path.name}.locks")


def _acquired(file: Path) -> filelock.BaseFileLock | None:
    """Acquire a lock without waiting; None if another process or thread holds it."""
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
