"""Writing a file so that a reader meets the old one or the new one, never half of one."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

__all__ = ["is_temporary", "reason", "replacing", "scratch_folder", "sync", "write_text"]

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}")


@contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """Give a temporary path in the same folder; what is written there takes the place of `path` at the end.

    It has the rights of `mode`, less those that the process gives no file.

    Where the body raises, the temporary file is removed and `path` is left as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    temporary.touch(mode, exist_ok=False)
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def is_temporary(path: Path) -> bool:
    """Whether a file is one of `replacing`: where nobody writes now, a process that was killed has left it."""
    return _TEMPORARY.fullmatch(path.name) is not None


def reason(error: OSError, path: Path) -> str:
    """Say why a file or folder below `path` cannot be written, in words that name the disk and what helps."""
    if error.errno == errno.ENOSPC:
        place = next(folder for folder in (path, *path.parents) if folder.exists())
        free = shutil.disk_usage(place).free
        return f"the disk of {place} is full ({free / 1e6:,.1f} MB are free): make room there"
    if error.errno == errno.EDQUOT:
        return f"the disk quota of this user for {path} is used up: make room there"
    named = f" ({error.filename})" if error.filename is not None and str(error.filename) != str(path) else ""
    return f"{error.strerror or error}{named}"


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Give an empty folder that is removed at the end; those that killed processes have left are removed before.

    A lock beside the folder says that it is in use, and ends with its process.
    """
    for name in {path.name.removesuffix(".lock") for path in parent.glob(f"{prefix}*")}:
        with _holding(parent / f"{name}.lock") as mine:
            if mine:
                shutil.rmtree(parent / name, ignore_errors=True)
    folder = parent / f"{prefix}{secrets.token_hex(6)}"
    with _holding(folder.with_name(f"{folder.name}.lock")):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _holding(file: Path) -> Iterator[bool]:
    """Hold a lock that belongs to one folder, and remove its file at the end; give False where another holds it."""
    lock = filelock.FileLock(file, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        file.unlink(missing_ok=True)
        lock.release()


def sync(path: Path) -> None:
    """Have a file's content on the disk itself."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Write a whole text file in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
