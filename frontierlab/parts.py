"""The parts of a dataset: each is written aside and takes its place in one step, whole."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from frontierlab.files import sync, write_text
from frontierlab.manifest import Counts, Outcome
from frontierlab.summaries import Summariser, summary_file

__all__ = [
    "SliceWriter",
    "commit_part",
    "is_free",
    "locked",
    "part_folder",
    "read_outcome",
    "remove_leftovers",
    "remove_locks",
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
    """Make the empty folder in which a part is written; what an earlier attempt left there is removed."""
    folder = dataset / "parts" / f"{_TEMPORARY}{number:05d}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _locks(dataset: Path) -> Path:
    return dataset.with_name(f".{dataset.name}.locks")


@contextmanager
def locked(dataset: Path, number: int) -> Iterator[bool]:
    """Hold the lock of a part while the body runs; give False where another process or thread holds it."""
    folder = _locks(dataset)
    folder.mkdir(exist_ok=True)
    lock = filelock.FileLock(folder / f"{number:05d}", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def remove_locks(dataset: Path) -> None:
    """Remove the locks of a dataset whose parts are all there, or which is gone."""
    shutil.rmtree(_locks(dataset), ignore_errors=True)


def is_free(dataset: Path, number: int) -> bool:
    """Whether nobody reads a part now."""
    with locked(dataset, number) as mine:
        return mine


def remove_leftovers(dataset: Path) -> None:
    """Remove what attempts left half-written that go on no more."""
    for folder in dataset.glob(f"parts/{_TEMPORARY}*"):
        with locked(dataset, int(folder.name.removeprefix(_TEMPORARY))) as mine:
            if mine:
                shutil.rmtree(folder)


def commit_part(temporary: Path, dataset: Path, number: int, outcomes: list[Outcome]) -> Outcome:
    """Put a part that is whole in its place; from here on it is not read again."""
    outcome = Outcome.total(outcomes)
    write_text(temporary / _OUTCOME, outcome.model_dump_json())
    temporary.rename(part_folder(dataset, number))
    return outcome


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
        if self._writer is not None:
            self._writer.close()
            if error is None:
                sync(self._rows_path)
                self._summary.write(summary_file(self._rows_path))

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
            conflicts=conflicts or {},
        )
        self.outcome = Outcome.total([self.outcome, ours])
