"""A folder of what was found over time: one file a dataset and period, written in one step by one process at a time."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import filelock
import pyarrow as pa

from frontierlab.errors import DatasetError
from frontierlab.util.files import replacing

__all__ = ["history_file", "read_history_files", "replacing_history_file"]

_LONGEST_WAIT = 60.0  # seconds to wait for another process that stores
_LONGEST = 150  # letters of the datasets' names in the name of a file

_Content = TypeVar("_Content")


def history_file(folder: Path, dataset: str, since: int | None, until: int | None) -> Path:
    """Return the file of a dataset, or of a period of several, and a time in ms; each has one of its own."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", dataset)
    if name != dataset:
        name = f"{name[:_LONGEST]}-{hashlib.blake2b(dataset.encode(), digest_size=6).hexdigest()}"
    period = hashlib.blake2b(f"{since} {until}".encode(), digest_size=6).hexdigest()
    return folder / f"{name}-{period}.parquet"


@contextmanager
def replacing_history_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces the file at the end; on failure the file is unchanged.

    Raises
    ------
    DatasetError
        The file cannot be read or written, or another process has been writing in the folder for a minute.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path.parent / ".lock", timeout=_LONGEST_WAIT), replacing(path) as temporary:
            yield temporary
    except filelock.Timeout:
        raise DatasetError(
            f"The history in {path.parent} has been written by another process for {_LONGEST_WAIT:g} seconds. Nothing "
            "was stored; the same call stores it later."
        ) from None
    except (OSError, ValueError) as error:  # Arrow errors are ValueErrors
        raise DatasetError(f"The history {path} cannot be read or written, and is left as it was: {error}.") from error


def read_history_files(folder: Path, read: Callable[[Path], _Content]) -> tuple[list[_Content], list[tuple[str, str]]]:
    """Return the contents of all files, and a reason and the path of each that cannot be read."""
    found: list[_Content] = []
    unreadable = []
    for path in sorted(folder.glob("*.parquet")):
        try:
            found.append(read(path))
        except FileNotFoundError:  # removed meanwhile
            continue
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            unreadable.append((f"{path.name}: {error}", str(path)))
    return found, unreadable
