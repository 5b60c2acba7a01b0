"""Writes rows of Squid logs as Parquet parts."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from frontierlab.rawlogs.squid.columns import SQUID_SCHEMA
from frontierlab.util.files import sync

__all__ = ["PartWriter"]

_PART_ROWS = 4_000_000
_GROUP_ROWS = 122_880  # rows; DuckDB's own default
_PLAIN = {"cache_key", "line", "end_time", "time", "wire_bytes", "duration_ms", "pandaid", "since", "until"}
_SOUGHT = ["time", "squid", "computingsite", "taskid"]  # columns by whose ends whole groups of rows are passed over


class PartWriter:
    """Writes rows as Parquet parts; use as a context manager: files are flushed to the disk at the end.

    Parameters
    ----------
    folder
        The folder of the parts.
    first
        The number of the first part. A file of this name, which no manifest has, is replaced.
    """

    def __init__(self, folder: Path, first: int = 0) -> None:
        self._folder, self._number, self._rows, self._waiting = folder, first, 0, 0
        self.names: list[str] = []
        self._tables: list[pa.Table] = []
        self._writer: pq.ParquetWriter | None = None
        self.since: int | None = None
        self.until: int | None = None
        self.rows = 0

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:
            with suppress(OSError, pa.ArrowException):  # keep the first error: a full disk, say, fails here again
                self._close()
            return
        self._write()
        self._close()

    def write(self, rows: pa.Table) -> None:
        """Write rows; small tables are gathered."""
        if not rows.num_rows:
            return
        times = pc.min_max(rows["time"].cast(pa.int64())).as_py()
        self.since = times["min"] if self.since is None else min(self.since, times["min"])
        self.until = times["max"] if self.until is None else max(self.until, times["max"])
        self.rows += rows.num_rows
        self._tables.append(rows)
        self._waiting += rows.num_rows
        if self._waiting >= _GROUP_ROWS:
            self._write()

    def _write(self) -> None:
        if not self._tables:
            return
        rows = pa.concat_tables(self._tables).unify_dictionaries()
        self._tables, self._waiting = [], 0
        if self._writer is None:
            self._path = self._folder / f"{self._number:05d}.parquet"
            self.names.append(self._path.name)
            names = [name for name in SQUID_SCHEMA.names if name not in _PLAIN]
            options = {"compression": "zstd", "use_dictionary": names, "write_statistics": _SOUGHT}
            self._writer = pq.ParquetWriter(self._path, SQUID_SCHEMA, **options)
        self._writer.write_table(rows, row_group_size=_GROUP_ROWS)
        self._rows += rows.num_rows
        if self._rows >= _PART_ROWS:
            self._close()

    def _close(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()
            sync(self._path)
            self._number, self._rows = self._number + 1, 0
