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

__all__ = ["is_temporary", "reason", "replacing", "sync", "write_text"]

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


def sync(path: Path) -> None:
    """Have a file's content on the disk itself."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Write a whole text file in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
