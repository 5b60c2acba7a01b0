"""A cache of checked COOLR responses on disk, each with the time of its request."""

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
_LOOKED_AT = 10_000  # the most files that one removal pass checks
_EVERY = 3_600.0  # seconds between two removal passes of all processes
_PASS = ".removed"


class AnswersNotKept(UserWarning):
    """Responses of COOLR cannot be cached on disk. They are used, and requested again the next time."""


class Kept(NamedTuple):
    """A cached response, and the time of its request (UTC)."""

    table: pa.Table
    asked: datetime


class Cache:
    """A folder of responses that passed all checks, one Parquet file each.

    It stores tables that were checked, not raw HTTP responses.

    Parameters
    ----------
    folder
        The folder; made when the first response is stored.
    hours
        Older files are removed from time to time, a bounded number in each pass.
    """

    def __init__(self, folder: Path, hours: float) -> None:
        self._folder = folder
        self._hours = hours
        self._broken = False

    def get(self, url: str) -> Kept | None:
        """Return the cached response of a URL; None if it is missing or its file is damaged."""
        try:
            with pq.ParquetFile(self._path(url)) as file:
                about = json.loads((file.schema_arrow.metadata or {})[_KEY])
                if about["url"] != url:
                    return None
                return Kept(file.read().replace_schema_metadata(None), datetime.fromisoformat(about["asked"]))
        except (OSError, pa.ArrowException, KeyError, ValueError):
            return None  # the caller requests it again and replaces the file

    def put(self, url: str, table: pa.Table, asked: datetime) -> None:
        """Store a response in one step; if writing fails, warn once and continue."""
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
        """Remove old files and leftovers of interrupted processes; other processes may do so at the same time."""
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
        random.shuffle(folders)  # so that every folder is checked in time, even if one pass cannot check all
        for folder in folders:
            with os.scandir(folder) as entries:
                yield from entries

    def _path(self, url: str) -> Path:
        name = hashlib.blake2b(url.encode(), digest_size=16).hexdigest()
        return self._folder / name[:2] / f"{name}.parquet"
