"""Write files atomically: a reader sees the old file or the new one, never half of one."""

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

__all__ = ["is_temporary", "reason", "replacing", "scratch_folder", "scratch_path", "sync", "write_text"]

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}")


@contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """Yield a temporary path in the same folder; the file written there replaces `path` at the end.

    The file has the permissions `mode`, reduced by the umask of the process.

    If the body raises, the temporary file is removed and `path` is not changed.
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
    """Whether a file is a temporary file of `replacing`. If nobody is writing, a killed process has left it."""
    return _TEMPORARY.fullmatch(path.name) is not None


def reason(error: OSError, path: Path) -> str:
    """Say why a file or folder below `path` cannot be written; a full disk is named, with what to do."""
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
    """Yield an empty folder that is removed at the end; first remove such folders of killed processes."""
    with scratch_path(parent, prefix) as folder:
        folder.mkdir()
        yield folder


@contextmanager
def scratch_path(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield the path of a folder that the caller can make; it is removed at the end.

    First such folders of killed processes are removed.

    A lock file beside the folder is held while the folder is in use; it is released when the process ends.
    """
    for name in {path.name.removesuffix(".lock") for path in parent.glob(f"{prefix}*")}:
        with _holding(parent / f"{name}.lock") as mine:
            if mine:
                shutil.rmtree(parent / name, ignore_errors=True)
    folder = parent / f"{prefix}{secrets.token_hex(6)}"
    with _holding(folder.with_name(f"{folder.name}.lock")):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _holding(file: Path) -> Iterator[bool]:
    """Hold the lock of a folder and remove the lock file at the end; yield False if it is another's.

    It is another's if another process holds it, or if another user made it.
    """
    lock = filelock.FileLock(file, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except (filelock.Timeout, PermissionError):
        yield False
        return
    try:
        yield True
    finally:
        file.unlink(missing_ok=True)
        lock.release()


def sync(path: Path) -> None:
    """Flush a file's content to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
