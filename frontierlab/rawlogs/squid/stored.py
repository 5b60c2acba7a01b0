"""Squid logs on the disk: a folder of Parquet parts with a manifest."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.rawlogs.squid.columns import SQUID_SCHEMA
from frontierlab.rawlogs.squid.facts import SMALL_SHARE
from frontierlab.rawlogs.squid.manifest import MALFORMED, MANIFEST, PARTS, SquidManifest
from frontierlab.settings import Settings
from frontierlab.settings.data_folder import ELSEWHERE
from frontierlab.storage.dataset import dataset_path
from frontierlab.storage.locks import writing
from frontierlab.util.times import format_time, from_milliseconds

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "SquidLogs",
    "SquidSource",
    "as_squid_logs",
    "delete_squid_logs",
    "list_squid_logs",
    "open_squid_logs",
    "squid_logs_path",
]


class SquidLogs:
    """Named answers of Squids to requests for Frontier, stored as Parquet parts in a folder of their own.

    `frontierlab.rawlogs.read_squid_logs` makes them, `open_squid_logs` opens them. A row is one answer of a Squid;
    columns, types and units are those of `frontierlab.rawlogs.squid.columns`. This is no `frontierlab.Dataset`: a row
    there is a query that reached a Frontier server, and most answers of a Squid never do.

    Parameters
    ----------
    path
        The folder.
    settings
        What questions are answered with: memory, threads, folder for intermediate results. By default ``Settings()``.

    Raises
    ------
    DatasetError
        The folder holds no Squid logs, or its manifest is damaged.
    """

    def __init__(self, path: Path, settings: Settings | None = None) -> None:
        self.path, self.settings = path, settings or Settings()
        try:
            self.manifest = SquidManifest.model_validate_json((path / MANIFEST).read_bytes())
        except FileNotFoundError:
            raise DatasetError(f"{path} holds no Squid logs: it has no {MANIFEST}.") from None
        except OSError as error:
            raise DatasetError(f"{path / MANIFEST} cannot be read: {error.strerror}.") from error
        except ValidationError as error:
            raise DatasetError(f"{path / MANIFEST} is damaged: {error.errors()[0]['msg']}.") from error

    def __repr__(self) -> str:
        m = self.manifest
        text = f"<SquidLogs {self.name}: {m.rows:,} answers of {len(self.squids)} Squids, in {self.path}>"
        return "\n".join([*([m.notes[0]] if self.share_set_aside > SMALL_SHARE else []), text])

    @property
    def name(self) -> str:
        """The name, which is also the name of the folder."""
        return self.path.name

    @property
    def squids(self) -> list[str]:
        """The names of the Squids, in order."""
        return sorted({one["squid"] for one in self.manifest.files})

    @property
    def share_set_aside(self) -> float:
        """The share of the lines that could not be read; 0 without lines."""
        lines = self.manifest.lines
        return sum(lines["set_aside"].values()) / lines["lines"] if lines.get("lines") else 0.0

    @property
    def notes(self) -> list[str]:
        """Sentences that a reader of the figures should know; the most important first."""
        if self.manifest.following is None:
            return [*self.manifest.notes]
        until = self.manifest.until
        last = "none yet" if until is None else f"up to {format_time(from_milliseconds(until))}"
        return [f"These logs are being followed: what is stored are the requests {last}.", *self.manifest.notes]

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the rows."""
        return SQUID_SCHEMA

    def files(self) -> list[Path]:
        """Return the Parquet files.

        Raises
        ------
        DatasetError
            The logs were deleted or replaced, or files are missing or damaged.
        """
        folder, parts = self.path / PARTS, self.manifest.parts
        found = sorted(folder.glob("*.parquet")) if parts is None else [folder / name for name in parts]
        try:
            rows = sum(pq.read_metadata(file).num_rows for file in found)
        except (OSError, pa.ArrowInvalid) as error:
            raise DatasetError(f"The Squid logs {self.name} are damaged: {error}. Read the log files again.") from error
        if rows != self.manifest.rows:
            raise DatasetError(
                f"The Squid logs {self.name} have {rows:,} of {self.manifest.rows:,} rows: they were deleted or "
                "replaced since they were opened, or files are missing. Open them again, or read the log files again."
            )
        return found

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the rows into memory, in the order of files and lines.

        Raises
        ------
        InvalidRequestError
            There is no such column.
        DatasetError
            As `files` raises it.
        """
        unknown = sorted(set(columns or ()) - set(SQUID_SCHEMA.names))
        if unknown:
            raise InvalidRequestError(
                f"Squid logs have no column {', '.join(unknown)}. Their columns: {', '.join(SQUID_SCHEMA.names)}."
            )
        wanted = list(columns) if columns is not None else SQUID_SCHEMA.names  # older files have more
        schema = pa.schema([SQUID_SCHEMA.field(name) for name in wanted])
        tables = [pq.read_table(file, columns=wanted).cast(schema) for file in self.files()]
        return pa.concat_tables(tables).unify_dictionaries() if tables else schema.empty_table()

    def to_pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read the rows into a data frame, with the types of `frontierlab.Dataset.to_pandas`."""
        import pandas as pd

        types = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
        frame: pd.DataFrame = self.to_arrow(columns).to_pandas(types_mapper=types.get)
        return frame

    def malformed(self) -> pd.DataFrame:
        """Return the lines that were set aside: ``file``, ``line`` (from 1), ``reason`` and ``text``.

        All are counted in the manifest; of many, the first ones are kept. What looks personal in a text was replaced.
        """
        import pandas as pd

        columns = {"file": "string", "line": "Int64", "reason": "string", "text": "string"}
        files = [self.path / name for name in (self.manifest.aside or [MALFORMED])]
        frames = [pd.read_json(one, lines=True, dtype=False, convert_dates=False) for one in files if one.exists()]
        if not frames:
            return pd.DataFrame({name: pd.Series([], dtype=type_) for name, type_ in columns.items()})
        return pd.concat(frames, ignore_index=True)[[*columns]].astype(columns)


SquidSource: TypeAlias = SquidLogs | str | Iterable[SquidLogs | str]
"""Squid logs, their name, or several of them."""


def as_squid_logs(source: SquidSource, settings: Settings | None = None) -> list[SquidLogs]:
    """Return what a function was given as opened Squid logs; names are looked up in the data folder.

    Raises
    ------
    InvalidRequestError
        It is none of `SquidSource`, or it is empty.
    DatasetError
        There are no such Squid logs, or they are damaged.
    """
    given = [source] if isinstance(source, SquidLogs | str) or not isinstance(source, Iterable) else list(source)
    if not all(isinstance(one, SquidLogs | str) for one in given):
        raise InvalidRequestError(f"{source!r} are no Squid logs: give what read_squid_logs returned, or a name.")
    if not given:
        raise InvalidRequestError("No Squid logs were given: give what read_squid_logs returned, or a name.")
    return [one if isinstance(one, SquidLogs) else open_squid_logs(one, settings) for one in given]


def squid_logs_path(name: str, data_dir: Path) -> Path:
    """Return the folder of the Squid logs with this name in a data folder.

    Raises
    ------
    InvalidRequestError
        The name is not valid.
    """
    return data_dir / "squid_logs" / dataset_path(name, data_dir).name


def open_squid_logs(name: str, settings: Settings | None = None) -> SquidLogs:
    """Open Squid logs by their name.

    Raises
    ------
    InvalidRequestError
        The name is not valid.
    DatasetError
        There are none of this name, or they are damaged.
    """
    settings = settings or Settings()
    path = squid_logs_path(name, settings.data_dir)
    if not (path / MANIFEST).exists():
        raise _missing(path, settings)
    return SquidLogs(path, settings)


def list_squid_logs(settings: Settings | None = None) -> pd.DataFrame:
    """List the Squid logs of the data folder.

    Returns
    -------
    pandas.DataFrame
        A row is one of them, in the order of names: ``name``, ``rows``, ``squids`` (number), ``since`` and ``until``
        (times of the first and the last row, UTC), ``created`` (UTC), ``problem`` (why they cannot be opened).
    """
    import pandas as pd

    settings = settings or Settings()
    records = []
    for name in _names(settings.data_dir):
        record: dict[str, Any] = {"name": name, "problem": ""}
        try:
            logs = SquidLogs(squid_logs_path(name, settings.data_dir), settings)
        except DatasetError as error:
            records.append({**record, "problem": str(error)})
            continue
        ends = {
            key: None if moment is None else from_milliseconds(moment)
            for key, moment in (("since", logs.manifest.since), ("until", logs.manifest.until))
        }
        counts = {"rows": logs.manifest.rows, "squids": len(logs.squids), "created": logs.manifest.created}
        records.append({**record, **counts, **ends})
    columns = ["name", "rows", "squids", "since", "until", "created", "problem"]
    frame = pd.DataFrame(records, columns=columns).astype({"rows": "Int64", "squids": "Int64"})
    for name in ("since", "until", "created"):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    return frame


def delete_squid_logs(name: str, settings: Settings | None = None) -> None:
    """Delete Squid logs and all their files for good, also damaged ones.

    Raises
    ------
    InvalidRequestError
        The name is not valid.
    DatasetError
        There are none of this name, or they are being written. Nothing was removed.
    """
    settings = settings or Settings()
    path = squid_logs_path(name, settings.data_dir)
    if not path.is_dir():
        raise _missing(path, settings)
    with writing(path):
        (path / MANIFEST).unlink(missing_ok=True)  # first: what is half deleted cannot be opened
        shutil.rmtree(path)


def _missing(path: Path, settings: Settings) -> DatasetError:
    names = ", ".join(_names(settings.data_dir)) or "none yet"
    return DatasetError(f"There are no Squid logs {path.name!r} in {path.parent}. Valid: {names}. {ELSEWHERE}")


def _names(data_dir: Path) -> list[str]:
    return sorted(path.parent.name for path in (data_dir / "squid_logs").glob(f"[!.]*/{MANIFEST}"))
