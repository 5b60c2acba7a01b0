"""The parts of a dataset: each is written to a temporary folder, then renamed to its final place."""

from __future__ import annotations

import json
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from frontierlab.storage.locks import fenced
from frontierlab.storage.manifest import Counts, Manifest, Outcome
from frontierlab.storage.summaries import Summariser, summary_file
from frontierlab.util.files import is_temporary, sync, write_text

__all__ = [
    "SliceWriter",
    "activity",
    "commit_part",
    "part_folder",
    "read_outcome",
    "remove_leftovers",
    "row_files",
    "temporary_folder",
]

_OUTCOME = "outcome.json"
_TEMPORARY = ".writing-"
# columns that filters select by: their statistics let readers skip row groups
_ASKED_FOR = ["time", "taskid", "db", "schema", "nodefullpath"]
# columns with few different values, in addition to the names, which are dictionaries already
_ENCODED = ["taskid", "node_id", "tag_id", "dbtime", "querytime", "initthreads", "queryiov"]


def part_folder(dataset: Path, number: int) -> Path:
    """Return the final folder of a part."""
    return dataset / "parts" / f"{number:05d}"


def row_files(dataset: Path, numbers: Iterable[int]) -> list[Path]:
    """Return the Parquet files of the stored parts with these numbers."""
    return [file for number in numbers for file in sorted(part_folder(dataset, number).glob("*.parquet"))]


def temporary_folder(dataset: Path, number: int) -> Path:
    """Make an empty folder for writing a part; its name is unique, so nobody else writes there.

    Raises
    ------
    FileNotFoundError
        The dataset's folder does not exist.
    """
    folder = dataset / "parts" / f"{_TEMPORARY}{number:05d}-{secrets.token_hex(6)}"
    folder.parent.mkdir(exist_ok=True)  # not the dataset's folder: the dataset may have been deleted
    folder.mkdir()
    return folder


def activity(dataset: Path, number: int) -> list[tuple[str, int]]:
    """Return the temporary files of a part and their sizes, which grow while the part is being read."""
    pattern = f"parts/{_TEMPORARY}{number:05d}*/*"
    found = []
    for file in sorted(dataset.glob(pattern)):
        with suppress(FileNotFoundError):
            found.append((file.parent.name + file.name, file.stat().st_size))
    return found


def remove_leftovers(dataset: Path, keep: Container[int] = ()) -> None:
    """Remove the temporary files of killed processes. Call it within the fence.

    Parameters
    ----------
    dataset
        The dataset's folder, whose lock the caller holds.
    keep
        The numbers of the parts that are being read.
    """
    for folder in dataset.glob(f"parts/{_TEMPORARY}*"):
        if int(folder.name.removeprefix(_TEMPORARY).partition("-")[0]) not in keep:
            shutil.rmtree(folder, ignore_errors=True)
    for file in dataset.iterdir():
        if is_temporary(file):
            file.unlink(missing_ok=True)


def commit_part(
    temporary: Path,
    dataset: Path,
    number: int,
    outcomes: list[Outcome],
    manifest: Manifest,
    release: Callable[[], object] = lambda: None,
) -> Outcome:
    """Move a finished part to its final place; it is not read again.

    Parameters
    ----------
    temporary
        The folder in which the part was written.
    dataset, number
        The dataset's folder and the number of the part.
    outcomes
        Counts of the part's documents, one record per slice.
    manifest
        The manifest of the dataset that the part was read for.
    release
        Releases the part's lock, so that no lock is held when all parts are stored.

    Returns
    -------
    Outcome
        Counts of the part's documents. If another reader has stored the part meanwhile, the counts are that reader's.

    Raises
    ------
    Replaced
        The dataset was deleted, renamed or replaced meanwhile. The new dataset was not changed.
    """
    outcome, place = Outcome.total(outcomes), part_folder(dataset, number)
    with suppress(FileNotFoundError):  # the dataset was deleted: `fenced` raises Replaced
        write_text(temporary / _OUTCOME, outcome.model_dump_json())
    with fenced(dataset, manifest):
        there = read_outcome(dataset, number)
        if there is None:
            shutil.rmtree(place, ignore_errors=True)  # a damaged part without readable counts
            temporary.rename(place)
        release()
    shutil.rmtree(temporary, ignore_errors=True)
    return there or outcome


def read_outcome(dataset: Path, number: int) -> Outcome | None:
    """Return the counts of a part's documents; None if the part is missing or its counts are damaged."""
    try:
        text = (part_folder(dataset, number) / _OUTCOME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return Outcome.model_validate_json(text)
    except ValueError:
        return None


class SliceWriter:
    """Writes one slice of a part: a Parquet file of rows, its summary, and the malformed documents.

    A file is made only if it has content. Use as a context manager: files are closed and flushed to
    the disk at the end.

    Parameters
    ----------
    folder
        The part's temporary folder.
    number
        The number of the slice, from 0; it names the files.
    schema
        The Arrow schema of the rows.
    """

    def __init__(self, folder: Path, number: int, schema: pa.Schema) -> None:
        self._rows_path = folder / f"{number}.parquet"
        self._malformed_path = folder / f"{number}.set-aside.ndjson"
        self._schema = schema
        self._writer: pq.ParquetWriter | None = None
        self._summary = Summariser()
        self.outcome = Outcome()

    def __enter__(self) -> SliceWriter:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:
            with suppress(OSError, pa.ArrowException):  # keep the first error: a full disk, say, fails here again
                self._close()
            return
        self._close()
        if self._writer is not None:
            sync(self._rows_path)
            self._summary.write(summary_file(self._rows_path))
        if self._malformed_path.exists():
            sync(self._malformed_path)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, rows: pa.Table) -> None:
        """Write rows as one row group."""
        if not rows.num_rows:
            return
        if self._writer is None:
            names = [field.name for field in self._schema if pa.types.is_dictionary(field.type)]
            self._writer = pq.ParquetWriter(
                self._rows_path,
                self._schema,
                compression="zstd",
                use_dictionary=names + _ENCODED,
                write_statistics=_ASKED_FOR,
            )
        self._writer.write_table(rows, row_group_size=rows.num_rows)
        self._summary.add(rows)
        ends = pc.min_max(rows["time"].cast(pa.int64())).as_py()
        ours = Outcome(counts=Counts(kept=rows.num_rows), since=ends["min"], until=ends["max"])
        self.outcome = Outcome.total([self.outcome, ours])

    def add_malformed(self, documents: list[tuple[str, bytes]]) -> None:
        """Store malformed documents with their reasons, and count them."""
        if not documents:
            return
        with self._malformed_path.open("a", encoding="utf-8") as file:
            for reason, document in documents:
                record = {"reason": reason, "document": document.decode("utf-8", "backslashreplace")}
                file.write(json.dumps(record) + "\n")
        self.count(malformed=Counter(reason for reason, _ in documents))

    def count(
        self,
        *,
        read: int = 0,
        left_out: Counter[str] | None = None,
        malformed: Counter[str] | None = None,
        converted: Counter[str] | None = None,
        unfit: Counter[str] | None = None,
        with_iov: int = 0,
        conflicts: Counter[str] | None = None,
    ) -> None:
        """Count documents that were read, left out, malformed or converted; `write` counts the rows."""
        left_out, malformed = left_out or Counter(), malformed or Counter()
        ours = Outcome(
            counts=Counts(read=read, left_out=left_out.total(), set_aside=malformed.total()),
            left_out=left_out,
            set_aside=malformed,
            converted=converted or {},
            unfit=unfit or {},
            with_iov=with_iov,
            conflicts=conflicts or {},
        )
        self.outcome = Outcome.total([self.outcome, ours])
