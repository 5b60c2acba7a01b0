"""Writing a file so that a reader meets the old one or the new one, never half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing", "sync", "write_text"]


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


def sync(path: Path) -> None:
    """Have a file's content on the disk itself."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Write a whole text file in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
