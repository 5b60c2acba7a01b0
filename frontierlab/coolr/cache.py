"""Answers kept on disk, each with the time at which it was asked for."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from frontierlab.errors import CoolrError
from frontierlab.files import replacing

__all__ = ["Cache", "Kept"]

_KEY = b"frontierlab.coolr"


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
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

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
        """Keep an answer, in one step.

        Raises
        ------
        CoolrError
            It cannot be written.
        """
        path = self._path(url)
        about = json.dumps({"url": url, "asked": asked.astimezone(UTC).isoformat()})
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                pq.write_table(table.replace_schema_metadata({_KEY: about}), temporary, compression="zstd")
        except OSError as error:
            raise CoolrError(f"The answer of {url} cannot be kept at {path}: {error}.") from error

    def _path(self, url: str) -> Path:
        name = hashlib.blake2b(url.encode(), digest_size=16).hexdigest()
        return self._folder / name[:2] / f"{name}.parquet"
