"""A dataset: a folder of Parquet parts with a manifest."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from frontierlab.errors import DatasetError, InvalidRequestError, Thinned
from frontierlab.schema import arrow_schema, extra_columns
from frontierlab.storage.housekeeping import delete
from frontierlab.storage.manifest import Counts, Manifest, Outcome
from frontierlab.storage.parts import part_folder, read_outcome, row_files
from frontierlab.util.files import reason, replacing

if TYPE_CHECKING:
    import pandas as pd  # imported when it is used: half a second that a list of datasets does not need

__all__ = ["Dataset", "MANIFEST_KEY", "dataset_path"]

MANIFEST_KEY = "frontierlab.storage.manifest"
"""Key of the dataset's manifest in the metadata of an exported Parquet file."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Dataset:
    """A named set of log rows, stored as Parquet parts in a folder of its own.

    `frontierlab.extract` makes a dataset, `frontierlab.datasets.open_dataset` opens one. A row is one query
    that reached a Frontier server; columns, types and units are those of `frontierlab.schema`.

    Parameters
    ----------
    path
        The dataset's folder.

    Raises
    ------
    DatasetError
        The folder is not a dataset, or its manifest is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = Manifest.read(path)
        self._checked: tuple[int, ...] | None = None  # the file of the manifest that was last seen to be this one

    def __repr__(self) -> str:
        thinned = " (thinned to summaries)" * self.is_thinned
        return f"<Dataset {self.name}: {self.state}, {self.counts.kept:,} rows{thinned}, in {self.path}>"

    @property
    def name(self) -> str:
        """The dataset's name, which is also the name of its folder."""
        return self.path.name

    @property
    def identity(self) -> str:
        """A text that changes when the dataset is replaced or gains parts; compare it for equality."""
        token = ", ".join(filter(None, self.manifest.fencing_token))  # datasets of early versions have no id
        return f"{token}, {self.state}, {self.counts.read} documents"

    @property
    def state(self) -> str:
        """``complete``, or ``incomplete``: an extraction was interrupted or is still running."""
        return self.manifest.state

    @property
    def is_thinned(self) -> bool:
        """Whether the rows were removed; counts and summaries are still there (`frontierlab.storage.thinning`)."""
        return self.manifest.thinned is not None

    @property
    def counts(self) -> Counts:
        """Numbers of documents read, kept, left out and malformed; an incomplete dataset counts its stored parts."""
        return self.outcome().counts

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the rows, including the requested extra fields."""
        return arrow_schema(extra_columns(self.manifest.request["extra_fields"]))

    def outcome(self) -> Outcome:
        """Return the counts of the documents; an incomplete dataset counts its stored parts."""
        if self.state == "complete":
            return self.manifest
        parts = [read_outcome(self.path, part.number) for part in self.manifest.plan]
        return Outcome.total([part for part in parts if part is not None])

    def files(self) -> list[Path]:
        """Return the Parquet files of the stored parts, in the order of the plan.

        Raises
        ------
        Thinned
            The rows were removed.
        DatasetError
            The dataset was deleted, renamed or replaced since it was opened; or its manifest says that it is complete,
            but files are missing or damaged.
        """
        self.require_rows()
        if not (self.path / "manifest.json").exists():
            self.require_unchanged()
        files = row_files(self.path, (part.number for part in self.manifest.plan))
        if self.state == "complete":
            try:
                rows = sum(pq.read_metadata(file).num_rows for file in files)
            except (OSError, pa.ArrowInvalid) as error:
                raise self._damaged(error) from error
            if rows != self.counts.kept:
                self.require_unchanged()
                raise DatasetError(
                    f"Files of the dataset {self.name} are missing: {rows:,} of its {self.counts.kept:,} rows are in "
                    f"{self.path}. Bring them back, or delete the dataset and extract it again."
                )
        return files

    def size(self) -> int:
        """Return the size of all files of the dataset, in bytes."""
        total = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                with suppress(FileNotFoundError):  # a part was renamed to its final place meanwhile
                    total += Path(folder, name).stat().st_size
        return total

    def to_arrow(self, columns: Sequence[str] | None = None, *, allow_incomplete: bool = False) -> pa.Table:
        """Read the rows into memory. The order of rows has no meaning.

        Parameters
        ----------
        columns
            Names of the columns to read; all by default.
        allow_incomplete
            Read the stored parts of an incomplete dataset instead of raising an error.

        Raises
        ------
        InvalidRequestError
            The dataset has no such column.
        DatasetError
            The dataset is incomplete or thinned, or some of its files are missing.
        """
        if not allow_incomplete:
            self.require_complete()
        unknown = set(columns or ()) - set(self.schema.names)
        if unknown:
            raise InvalidRequestError(
                f"The dataset {self.name} has no column {', '.join(sorted(unknown))}. Its columns: "
                f"{', '.join(self.schema.names)}."
            )
        files = self.files()
        if not files:
            empty = self.schema.empty_table()
            return empty.select(columns) if columns is not None else empty
        import pyarrow.dataset  # it imports pandas

        table = pyarrow.dataset.dataset(files, schema=self.schema).to_table(
            columns=list(columns) if columns is not None else None
        )
        return table.unify_dictionaries()

    def to_pandas(self, columns: Sequence[str] | None = None, *, allow_incomplete: bool = False) -> pd.DataFrame:
        """Read the rows into a data frame; see `to_arrow`.

        Integers are ``Int64`` and flags ``boolean``, so that missing values do not turn integers into floats.
        ``time`` is ``datetime64[ms, UTC]``; names are categories.
        """
        import pandas as pd

        types = {
            pa.int64(): pd.Int64Dtype(),
            pa.bool_(): pd.BooleanDtype(),
            pa.float64(): pd.Float64Dtype(),
            pa.string(): pd.StringDtype(),
        }
        rows = self.to_arrow(columns, allow_incomplete=allow_incomplete)
        frame: pd.DataFrame = rows.to_pandas(types_mapper=types.get)
        return frame

    def malformed(self) -> pd.DataFrame:
        """Return the malformed documents: ``reason`` and ``document`` (its JSON text).

        Raises
        ------
        Thinned
            The documents were removed with the rows.
        """
        import pandas as pd

        if self.is_thinned and self.manifest.counts.malformed:
            raise self._thinned()
        records = []
        for part in self.manifest.plan:
            for file in sorted(part_folder(self.path, part.number).glob("*.set-aside.ndjson")):
                records += [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return pd.DataFrame(records, columns=["reason", "document"])

    def set_aside(self) -> pd.DataFrame:
        """Return the malformed documents: the name of `malformed` in version 0.1.0."""
        return self.malformed()

    def export(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write all rows to one file; the suffix ``.parquet`` or ``.csv`` chooses the format.

        Memory use does not grow with the number of rows. A failure leaves no new file and keeps an old one unchanged.

        Raises
        ------
        InvalidRequestError
            The suffix is neither of the two, or the file exists and `overwrite` is False.
        DatasetError
            The dataset is incomplete, thinned or damaged, or the file cannot be written.
        """
        target = Path(path).expanduser().absolute()
        self.require_complete()
        if target.suffix not in (".parquet", ".csv"):
            raise InvalidRequestError(f"{target.name} is not valid. Valid: a name that ends in .parquet or .csv.")
        if target.exists() and not overwrite:
            raise InvalidRequestError(f"{target} exists already. overwrite=True replaces it.")
        files = self.files()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as temporary:
                self._write(files, temporary, target.suffix)
        except OSError as error:
            left = "The old file was not changed" if target.exists() else "No file is left"
            raise DatasetError(
                f"{target} cannot be written: {reason(error, target.parent)}. {left}. When the cause is gone, repeat "
                "the call."
            ) from error
        return target

    def _write(self, files: Sequence[Path], target: Path, suffix: str) -> None:
        # names as plain text: the CSV writer and some other tools cannot read Arrow dictionaries
        plain = pa.schema(
            [(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in self.schema],
            {MANIFEST_KEY: self.manifest.model_dump_json()},  # import_parquet reads the request from it
        )
        with (
            pq.ParquetWriter(target, plain, compression="zstd")
            if suffix == ".parquet"
            else pyarrow.csv.CSVWriter(target, plain)
        ) as writer:
            for batch in self._batches(files):
                writer.write_table(pa.Table.from_batches([batch]).select(plain.names).cast(plain))

    def _batches(self, files: Sequence[Path]) -> Iterator[pa.RecordBatch]:
        for file in files:
            try:
                yield from pq.ParquetFile(file).iter_batches()
            except (OSError, pa.ArrowException) as error:
                raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> DatasetError:
        return DatasetError(
            f"A file of the dataset {self.name} is damaged: {error}. Restore that file, or delete the dataset and "
            "extract it again."
        )

    def delete(self) -> None:
        """Remove the dataset and all its files for good; see `frontierlab.datasets.delete_dataset`."""
        delete(self.path)

    def require_complete(self) -> None:
        """Raise DatasetError if the dataset is not complete."""
        if self.state != "complete":
            raise DatasetError(
                f"The dataset {self.name} is incomplete: {self._stored_parts()} of {len(self.manifest.plan)} parts are "
                "stored. The same extract(…) call reads the others."
            )

    def require_rows(self) -> None:
        """Raise Thinned if there were rows and they were removed."""
        if self.manifest.thinned is not None and self.manifest.counts.kept:
            raise self._thinned()

    def _thinned(self) -> Thinned:
        return Thinned(
            f"The dataset {self.name} has no rows any more: it was thinned to its summaries on "
            f"{str(self.manifest.thinned)[:10]}. Its counts, its report and its stored figures are there, and filters "
            "that summaries answer still answer. To have the rows, extract the same period under another name."
        )

    def require_unchanged(self) -> None:
        """Raise DatasetError if the dataset was deleted, renamed, replaced or thinned since it was opened."""
        seen = None
        try:
            found = (self.path / "manifest.json").stat()
            seen = found.st_dev, found.st_ino, found.st_mtime_ns  # each writing of a manifest makes a new file
            if seen == self._checked:
                return
            there = Manifest.read(self.path)
            token = there.fencing_token
        except (OSError, DatasetError):
            token = None
        if token != self.manifest.fencing_token:
            what = "deleted or renamed" if token is None else "replaced by another of its name"
            step = "If it was renamed, open it by its new name." if token is None else "Open it again."
            raise DatasetError(f"The dataset {self.name} was {what} since it was opened. {step}")
        if there.thinned != self.manifest.thinned:
            raise Thinned(
                f"The dataset {self.name} was thinned to its summaries since it was opened. Open it again: the filters "
                "that summaries answer still answer."
            )
        self._checked = seen

    def _stored_parts(self) -> int:
        return sum(part_folder(self.path, part.number).is_dir() for part in self.manifest.plan)


def dataset_path(name: str, data_dir: Path) -> Path:
    """Return the folder of the dataset with this name in a data folder.

    Raises
    ------
    InvalidRequestError
        The name is not valid.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidRequestError(
            f"{name!r} is not the name of a dataset. Valid: up to 100 letters, digits, '.', '_' and '-', beginning "
            "with a letter or a digit."
        )
    return data_dir / "datasets" / name
