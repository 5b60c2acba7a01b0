"""A cache of checked COOLR responses on disk, each with the time of its request.

The folder can be shared by machines, so there is no database in it: SQLite, and with it diskcache, needs file locks and
shared memory that network file systems do not give, and one damaged database file loses all responses. Nothing in the
folder is executed or unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from frontierlab.util.files import is_temporary, reason, replacing
from frontierlab.util.warned import warn

__all__ = ["AnswersNotKept", "Cache", "CachedResponse"]

_KEY = b"frontierlab.coolr"
_CHECKSUM = 16  # bytes at the begin of a file, over its rest
_LOOKED_AT = 100_000  # about how many files one removal pass looks at
_EVERY = 3_600.0  # seconds between two removal passes of all processes
_SHARE = 0.02  # of the room: after writing so much, a process starts a removal pass early
_PASS = ".removed"


class AnswersNotKept(UserWarning):
    """Responses of COOLR cannot be cached on disk. They are used, and requested again the next time."""


class CachedResponse(NamedTuple):
    """A cached response, and the time of its request (UTC)."""

    table: pa.Table
    asked: datetime


class _File(NamedTuple):
    path: Path
    written: float  # seconds since the epoch
    size: int


class Cache:
    """A folder of responses that passed all checks, one file each: a checksum, and an Arrow stream.

    It stores tables that were checked, not raw HTTP responses. Any number of threads, processes and machines can use
    the folder at once.

    Parameters
    ----------
    folder
        The folder; made when the first response is stored.
    hours
        Older files are removed.
    megabytes
        The room for all files, in 10^6 bytes. If they take more, the oldest are removed. Files are removed once an
        hour, and when this process has written 2 % of the room.
    """

    def __init__(self, folder: Path, hours: float, megabytes: float) -> None:
        self._folder = folder
        self._hours = hours
        self._room = megabytes * 1e6
        self._written = 0
        self._removing = threading.Lock()
        self._broken = False

    def get(self, url: str) -> CachedResponse | None:
        """Return the cached response of a URL; None if it is missing or its file is damaged."""
        try:
            data = memoryview(self._path(url).read_bytes())
            if data[:_CHECKSUM] != _checksum(data[_CHECKSUM:]):
                return None
            with pa.ipc.open_stream(data[_CHECKSUM:]) as stream:
                table = stream.read_all()
            about = json.loads((table.schema.metadata or {})[_KEY])
            if about["url"] != url:
                return None
            return CachedResponse(table.replace_schema_metadata(None), datetime.fromisoformat(about["asked"]))
        except (OSError, pa.ArrowException, KeyError, ValueError):
            return None  # the caller requests it again and replaces the file

    def put(self, url: str, table: pa.Table, asked: datetime) -> None:
        """Store a response in one step; if writing fails, warn once and continue."""
        path = self._path(url)
        about = json.dumps({"url": url, "asked": asked.astimezone(UTC).isoformat()})
        sink = pa.BufferOutputStream()
        named = table.replace_schema_metadata({_KEY: about})
        with pa.ipc.new_stream(sink, named.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
            stream.write_table(named)
        data = sink.getvalue().to_pybytes()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._remove_if_due()
            with replacing(path) as temporary:
                temporary.write_bytes(_checksum(data) + data)
            self._written += len(data)
        except OSError as error:
            if not self._broken:
                self._broken = True
                warn(
                    f"Answers of COOLR cannot be kept in {self._folder}: {reason(error, self._folder)}. They are used, "
                    "and requested again the next time.",
                    AnswersNotKept,
                    stacklevel=2,
                )

    def _remove_if_due(self) -> None:
        """Start a removal pass if none was started for an hour, or if this process has written much since its last."""
        if not self._removing.acquire(blocking=False):
            return
        try:
            mark = self._folder / _PASS
            if self._written < _SHARE * self._room:
                with suppress(FileNotFoundError):
                    if time.time() - mark.stat().st_mtime < _EVERY:
                        return
            self._written = 0
            mark.touch()
            self._remove()
        finally:
            self._removing.release()

    def _remove(self) -> None:
        """Remove old files, the oldest ones beyond the room, and leftovers of interrupted processes.

        Other processes may do so at the same time.
        """
        folders = [Path(entry) for entry in os.scandir(self._folder) if entry.is_dir()]
        random.shuffle(folders)  # so that every folder is checked in time, even if one pass cannot check all
        files: list[_File] = []
        seen = 0
        while seen < len(folders) and len(files) < _LOOKED_AT:
            files += _files(folders[seen])
            seen += 1
        room = self._room * seen / max(1, len(folders))  # responses are spread evenly over the folders
        expired = time.time() - 3_600 * self._hours
        for file in sorted(files, key=lambda file: file.written, reverse=True):
            if not is_temporary(file.path):  # another process may be writing it
                room -= file.size
            if file.written < expired or (room < 0 and not is_temporary(file.path)):
                with suppress(OSError):
                    file.path.unlink()

    def _path(self, url: str) -> Path:
        name = hashlib.blake2b(url.encode(), digest_size=16).hexdigest()
        return self._folder / name[:2] / f"{name}.arrow"


def _checksum(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECKSUM).digest()


def _files(folder: Path) -> list[_File]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # another process has removed it
                about = entry.stat()
                found.append(_File(Path(entry), about.st_mtime, about.st_size))
    return found
