"""Summaries: the queries of a dataset that most filters cannot tell apart, counted once.

Beside each file of rows lies a file of three summaries, `SHAPES`, many times shorter. Their rows have columns of a log
row, so that the same SQL asks them; what they leave out decides which questions they can answer, and these they answer
exactly. In a summary

- ``time`` is the start of five minutes, or of an hour: enough for periods and bins of whole ones;
- ``querytime`` is 1,000 or 0: enough to tell the queries of a second or longer;
- ``since`` is -1 or 0: enough to tell the queries that ask for a payload;
- ``fsize`` is added up, and ``times`` says how many queries the row stands for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from frontierlab.schema import MISSING_IOV, TIME
from frontierlab.util.files import sync

if TYPE_CHECKING:
    pass

__all__ = [
    "COMBINED",
    "LONG_MS",
    "SHAPES",
    "SUMMARY_SCHEMA",
    "Shape",
    "Summariser",
    "TIMES",
    "combine_summaries",
    "summary_file",
    "summary_files",
]

TIMES = "times"
"""The column that says how many queries a row stands for."""

COMBINED = "all.summary"
"""The file in a dataset's folder with the summaries of all its files."""

LONG_MS = 1_000
"""From how many milliseconds on a query is long."""

_NAMES = ("db", "schema", "nodefullpath")
_FLAGS = ("cached", "disconn", "rejected", "procerror")
_FEW = 4  # files that Spark opens without one noticing
_PIECES = 16  # that are kept before they are added up
_MOST = 2.0**62  # bytes: a sum beyond could overflow, of which Spark would tell and Arrow does not


@dataclass(frozen=True)
class Shape:
    """What the rows of a summary tell apart, beside the flags.

    Parameters
    ----------
    name
        Its name, in the column ``summary``.
    bin_ms
        Width of its bins of time, in milliseconds.
    columns
        Further columns that it tells apart.
    long
        Whether it has the long queries alone.
    """

    name: str
    bin_ms: int
    columns: tuple[str, ...]
    long: bool = False

    @property
    def keys(self) -> list[str]:
        """The columns that its rows differ in."""
        return ["time", *_FLAGS, *self.columns]

    def count(self, rows: pa.Table, names: Mapping[str, pa.Array]) -> pa.Table:
        """Count rows as `Summariser.add` makes them, in which a name is its place among `names`."""
        if self.long:
            rows = rows.filter(pc.equal(rows["querytime"], LONG_MS))
        start = pc.multiply(pc.divide(rows["time"], self.bin_ms), self.bin_ms)
        groups = self._grouped(rows.set_column(rows.column_names.index("time"), "time", start), ([], "count_all"))
        for place, name in enumerate(self.keys):
            if name in names:
                groups = groups.set_column(place, name, names[name].take(groups[name]))
        return groups

    def together(self, pieces: list[pa.Table]) -> pa.Table:
        """Add up what was counted in pieces."""
        return self._grouped(pa.concat_tables(pieces), (TIMES, "sum"))

    def _grouped(self, rows: pa.Table, times: tuple[str | list[str], str]) -> pa.Table:
        groups = rows.group_by(self.keys, use_threads=False).aggregate([("fsize", "sum"), times])
        return groups.rename_columns([*self.keys, "fsize", TIMES])


SHAPES = (
    Shape("periods", 300_000, ("db", "querytime")),
    Shape("long queries", 300_000, (*_NAMES, "querytime"), long=True),
    Shape("folders", 3_600_000, (*_NAMES, "since", "querytime")),
)
"""The summaries of a dataset; the first that can gives the answer."""

SUMMARY_SCHEMA = pa.schema(
    [("summary", pa.string()), ("time", TIME)]
    + [(name, pa.string()) for name in _NAMES]
    + [(flag, pa.bool_()) for flag in _FLAGS]
    + [(name, pa.int64()) for name in ("since", "querytime", "fsize", TIMES)]
)
"""The Arrow schema of a summary's row; ``summary`` is the name of its shape, and what that does not have is null."""


class Summariser:
    """Makes the summaries of rows that come in pieces."""

    def __init__(self) -> None:
        self._pieces: dict[Shape, list[pa.Table]] = {shape: [] for shape in SHAPES}
        self._bytes = 0.0

    def add(self, rows: pa.Table) -> None:
        """Count log rows."""
        self._note_bytes(rows)
        named = {name: rows[name].combine_chunks() for name in _NAMES}
        coarse = pa.table(
            {
                "time": rows["time"].cast(pa.int64()),
                **{name: values.indices for name, values in named.items()},  # numbers are quicker to group than texts
                **{flag: rows[flag] for flag in _FLAGS},
                "since": pc.if_else(pc.equal(rows["since"], MISSING_IOV), MISSING_IOV, 0),
                "querytime": pc.if_else(pc.greater_equal(rows["querytime"], LONG_MS), LONG_MS, 0),
                "fsize": rows["fsize"],
            }
        )
        names = {name: values.dictionary for name, values in named.items()}
        for shape in SHAPES:
            self._keep(shape, shape.count(coarse, names))

    def add_summary(self, summary: pa.Table) -> None:
        """Add what was counted elsewhere."""
        self._note_bytes(summary)
        for shape in SHAPES:
            self._keep(shape, summary.filter(pc.field("summary") == shape.name).select([*shape.keys, "fsize", TIMES]))

    def _note_bytes(self, rows: pa.Table) -> None:
        self._bytes += pc.sum(pc.abs(rows["fsize"].cast(pa.float64(), safe=False))).as_py() or 0.0

    def _keep(self, shape: Shape, piece: pa.Table) -> None:
        pieces = self._pieces[shape]
        pieces.append(piece)
        if len(pieces) == _PIECES:
            pieces[:] = [shape.together(pieces)]  # however many rows there are, they are alike in few ways

    def write(self, path: Path) -> None:
        """Write the summaries of all rows, on the disk itself; where they would not be exact, nothing."""
        if self._bytes > _MOST:
            return
        tables = []
        for shape, pieces in self._pieces.items():
            rows = shape.together(pieces)
            tables.append(rows.append_column("summary", pa.repeat(shape.name, len(rows))))
        summary = pa.concat_tables(tables, promote_options="default").select(SUMMARY_SCHEMA.names).cast(SUMMARY_SCHEMA)
        pq.write_table(summary, path, compression="zstd")
        sync(path)


def summary_file(rows: Path) -> Path:
    """Return where the summaries of a file of rows are; it does not end in .parquet, not to be taken for rows."""
    return rows.with_suffix(".summary")


def combine_summaries(rows: Sequence[Path], target: Path) -> None:
    """Put the summaries of a dataset's files into one, which Spark reads sooner; few are left as they are."""
    files = _summaries_of(rows)
    if len(files) <= _FEW:
        return
    summariser = Summariser()
    for file in files:
        summariser.add_summary(pq.read_table(file))
    summariser.write(target)


def summary_files(dataset: Path, rows: Sequence[Path]) -> list[Path]:
    """Return the files of the summary of a complete dataset's files of rows; none where a file has no summary."""
    combined = dataset / COMBINED
    return [combined] if combined.exists() else _summaries_of(rows)


def _summaries_of(rows: Sequence[Path]) -> list[Path]:
    files = [summary_file(file) for file in rows]
    return files if all(file.exists() for file in files) else []
