"""The parts of a dataset: each is written aside and takes its place in one step, whole."""

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
# what filters select by: readers skip row groups by their statistics
_ASKED_FOR = ["time", "taskid", "db", "schema", "nodefullpath"]
# of few different values, beside the names, which are encoded already
_ENCODED = ["taskid", "node_id", "tag_id", "dbtime", "querytime", "initthreads", "queryiov"]


def part_folder(dataset: Path, number: int) -> Path:
    """Return the place of a part that is whole."""
    return dataset / "parts" / f"{number:05d}"


def row_files(dataset: Path, numbers: Iterable[int]) -> list[Path]:
    """Return the Parquet files of the parts of these numbers that are whole."""
    return [file for number in numbers for file in sorted(part_folder(dataset, number).glob("*.parquet"))]


def temporary_folder(dataset: Path, number: int) -> Path:
    """Make an empty folder in which a part is written; nobody else writes in it.

    Raises
    ------
    FileNotFoundError
        The dataset is gone.
    """
    folder = dataset / "parts" / f"{_TEMPORARY}{number:05d}-{secrets.token_hex(6)}"
    folder.parent.mkdir(exist_ok=True)  # never the dataset's folder: it may have been deleted
    folder.mkdir()
    return folder


def activity(dataset: Path, number: int) -> list[tuple[str, int]]:
    """Return the files that are being written for a part and their sizes: while somebody reads it, they grow."""
    pattern = f"parts/{_TEMPORARY}{number:05d}*/*"
    found = []
    for file in sorted(dataset.glob(pattern)):
        with suppress(FileNotFoundError):
            found.append((file.parent.name + file.name, file.stat().st_size))
    return found


def remove_leftovers(dataset: Path, keep: Container[int] = ()) -> None:
    """Remove what processes that were killed have left half-written. Only within the fence.

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
    """Put a part that is whole in its place; from here on it is not read again.

    Parameters
    ----------
    temporary
        The folder in which the part was written.
    dataset, number
        Where it belongs.
    outcomes
        What became of its documents.
    manifest
        Of the dataset that the part was read for.
    release
        Lets go of the part's lock: when all parts are there, nobody holds a lock.

    Returns
    -------
    Outcome
        What became of the part's documents. Where another has stored the part meanwhile, that one counts.

    Raises
    ------
    Replaced
        The dataset was deleted, renamed or replaced meanwhile; nothing of it was changed.
    """
    outcome, place = Outcome.total(outcomes), part_folder(dataset, number)
    with suppress(FileNotFoundError):  # with the dataset, which is looked at within the fence
        write_text(temporary / _OUTCOME, outcome.model_dump_json())
    with fenced(dataset, manifest):
        there = read_outcome(dataset, number)
        if there is None:
            shutil.rmtree(place, ignore_errors=True)  # what is there and cannot say what it holds
            temporary.rename(place)
        release()
    shutil.rmtree(temporary, ignore_errors=True)
    return there or outcome


def read_outcome(dataset: Path, number: int) -> Outcome | None:
    """Return what became of a part's documents; None where the part is not there, or cannot say it."""
    try:
        text = (part_folder(dataset, number) / _OUTCOME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return Outcome.model_validate_json(text)
    except ValueError:
        return None


class SliceWriter:
    """Writes what one slice of a part became: a Parquet file, its summary, and the documents set aside.

    Files are made when there is something to put in them. Use as a context manager: they are
    closed, and flushed to the disk, at the end.

    Parameters
    ----------
    folder
        The part's temporary folder.
    number
        The slice, from 0: it names the files.
    schema
        Of the rows.
    """

    def __init__(self, folder: Path, number: int, schema: pa.Schema) -> None:
        self._rows_path = folder / f"{number}.parquet"
        self._aside_path = folder / f"{number}.set-aside.ndjson"
        self._schema = schema
        self._writer: pq.ParquetWriter | None = None
        self._summary = Summariser()
        self.outcome = Outcome()

    def __enter__(self) -> SliceWriter:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:
            with suppress(OSError, pa.ArrowException):  # a full disk is full here too, and the first error says so
                self._close()
            return
        self._close()
        if self._writer is not None:
            sync(self._rows_path)
            self._summary.write(summary_file(self._rows_path))
        if self._aside_path.exists():
            sync(self._aside_path)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, rows: pa.Table) -> None:
        """Write rows, as one row group."""
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

    def set_aside(self, documents: list[tuple[str, bytes]]) -> None:
        """Keep documents that could not be read, with the reason."""
        if not documents:
            return
        with self._aside_path.open("a", encoding="utf-8") as file:
            for reason, document in documents:
                record = {"reason": reason, "document": document.decode("utf-8", "backslashreplace")}
                file.write(json.dumps(record) + "\n")
        self.count(set_aside=Counter(reason for reason, _ in documents))

    def count(
        self,
        *,
        read: int = 0,
        left_out: Counter[str] | None = None,
        set_aside: Counter[str] | None = None,
        converted: Counter[str] | None = None,
        unfit: Counter[str] | None = None,
        with_iov: int = 0,
        conflicts: Counter[str] | None = None,
    ) -> None:
        """Add to the counts what is not in what was written."""
        left_out, set_aside = left_out or Counter(), set_aside or Counter()
        ours = Outcome(
            counts=Counts(read=read, left_out=left_out.total(), set_aside=set_aside.total()),
            left_out=left_out,
            set_aside=set_aside,
            converted=converted or {},
            unfit=unfit or {},
            with_iov=with_iov,
            conflicts=conflicts or {},
        )
        self.outcome = Outcome.total([self.outcome, ours])
