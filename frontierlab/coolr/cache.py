"""Answers kept on disk, each with the time at which it was asked for."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from frontierlab.util.files import replacing

__all__ = ["AnswersNotKept", "Cache", "Kept"]

_KEY = b"frontierlab.coolr"
_LOOKED_AT = 10_000  # files in one pass of removing old ones
_EVERY = 3_600.0  # seconds between two passes, of all processes together
_PASS = ".removed"


class AnswersNotKept(UserWarning):
    """Answers of COOLR cannot be kept on disk. They count, and are asked for again the next time."""


class Kept(NamedTuple):
    """An answer that was kept, and when it was asked for (UTC)."""

    table: pa.Table
    asked: datetime


class Cache:
    """A folder of answers that passed every check, a Parquet file each.

    A store of raw responses would not do: what is kept here was checked first.

    Parameters
    ----------
    folder
        Made when the first answer is kept.
    hours
        Files that are older than this are removed now and then, a bounded number at a time.
    """

    def __init__(self, folder: Path, hours: float) -> None:
        self._folder = folder
        self._hours = hours
        self._broken = False

    def get(self, url: str) -> Kept | None:
        """Return the answer of a URL; None where there is none, or its file is damaged."""
        try:
            with pq.ParquetFile(self._path(url)) as file:
                about = json.loads((file.schema_arrow.metadata or {})[_KEY])
                if about["url"] != url:
                    return None
                return Kept(file.read().replace_schema_metadata(None), datetime.fromisoformat(about["asked"]))
        except (OSError, pa.ArrowException, KeyError, ValueError):
            return None  # asked for again, and then replaced

    def put(self, url: str, table: pa.Table, asked: datetime) -> None:
        """Keep an answer, in one step; where the disk does not take it, warn once and go on without."""
        path = self._path(url)
        about = json.dumps({"url": url, "asked": asked.astimezone(UTC).isoformat()})
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._remove_old()
            with replacing(path) as temporary:
                pq.write_table(table.replace_schema_metadata({_KEY: about}), temporary, compression="zstd")
        except OSError as error:
            if not self._broken:
                self._broken = True
                warnings.warn(
                    f"Answers of COOLR cannot be kept in {self._folder}: {error.strerror or error}. They are used, and "
                    "asked for again the next time.",
                    AnswersNotKept,
                    stacklevel=2,
                )

    def _remove_old(self) -> None:
        """Remove old files, also what interrupted processes left; another process may do the same."""
        mark = self._folder / _PASS
        now = time.time()
        with suppress(FileNotFoundError):
            if now - mark.stat().st_mtime < _EVERY:
                return
        mark.touch()
        for count, file in enumerate(self._files()):
            if count >= _LOOKED_AT:
                break
            with suppress(OSError):
                if now - file.stat().st_mtime > 3_600 * self._hours:
                    Path(file).unlink()

    def _files(self) -> Iterator[os.DirEntry[str]]:
        folders = [entry.path for entry in os.scandir(self._folder) if entry.is_dir()]
        random.shuffle(folders)  # where there are more than a pass looks at, each has its turn
        for folder in folders:
            with os.scandir(folder) as entries:
                yield from entries

    def _path(self, url: str) -> Path:
        name = hashlib.blake2b(url.encode(), digest_size=16).hexdigest()
        return self._folder / name[:2] / f"{name}.parquet"
