"""Summaries: similar queries of a dataset, counted together, which most filters can use instead of the rows.

Beside each file of rows lies a much smaller file with three summaries, `SHAPES`. Their rows have columns of a log row,
so the same SQL works on them. The columns of a summary decide which questions it can answer; its answers are exact.
In a summary

- ``time`` is the start of a bin of five minutes or one hour: enough for periods and bins that are multiples of it;
- ``querytime`` is 1,000 or 0: enough to recognise queries of a second or longer;
- ``since`` is -1 or 0: enough to recognise queries that ask for a payload;
- ``fsize`` is the sum over the queries, and ``times`` is the number of queries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from frontierlab.schema import MISSING_IOV, TIME
from frontierlab.util.files import sync

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
"""The column with the number of queries that a row counts."""

COMBINED = "all.summary"
"""The file in a dataset's folder with the summaries of all its files."""

LONG_MS = 1_000
"""A query is long from this many milliseconds on."""

_NAMES = ("db", "schema", "nodefullpath")
_FLAGS = ("cached", "disconn", "rejected", "procerror")
_FEW = 4  # files that Spark opens with no noticeable delay
_PIECES = 16  # tables that are kept before they are added up
_MOST = 2.0**62  # bytes: a larger sum could overflow; Spark raises an error then, Arrow does not


@dataclass(frozen=True)
class Shape:
    """The columns by which a summary groups queries, in addition to the flags.

    Parameters
    ----------
    name
        The shape's name, in the column ``summary``.
    bin_ms
        Width of the time bins, in milliseconds.
    columns
        Further columns to group by.
    long
        Whether the summary counts only long queries.
    """

    name: str
    bin_ms: int
    columns: tuple[str, ...]
    long: bool = False

    @property
    def keys(self) -> list[str]:
        """The columns that a row is grouped by."""
        return ["time", *_FLAGS, *self.columns]

    def count(self, rows: pa.Table, names: Mapping[str, pa.Array]) -> pa.Table:
        """Count rows made by `Summariser.add`, whose names are indices into `names`."""
        if self.long:
            rows = rows.filter(pc.equal(rows["querytime"], LONG_MS))
        start = pc.multiply(pc.divide(rows["time"], self.bin_ms), self.bin_ms)
        groups = self._grouped(rows.set_column(rows.column_names.index("time"), "time", start), ([], "count_all"))
        for place, name in enumerate(self.keys):
            if name in names:
                groups = groups.set_column(place, name, names[name].take(groups[name]))
        return groups

    def together(self, pieces: list[pa.Table]) -> pa.Table:
        """Merge tables of counts into one."""
        return pieces[0] if len(pieces) == 1 else self._grouped(pa.concat_tables(pieces), (TIMES, "sum"))

    def _grouped(self, rows: pa.Table, times: tuple[str | list[str], str]) -> pa.Table:
        groups = rows.group_by(self.keys, use_threads=False).aggregate([("fsize", "sum"), times])
        return groups.rename_columns([*self.keys, "fsize", TIMES])


SHAPES = (
    Shape("periods", 300_000, ("db", "querytime")),
    Shape("long queries", 300_000, (*_NAMES, "querytime"), long=True),
    Shape("folders", 3_600_000, (*_NAMES, "since", "querytime")),
)
"""The summaries of a dataset; the first one that can answer a question is used."""

SUMMARY_SCHEMA = pa.schema(
    [("summary", pa.string()), ("time", TIME)]
    + [(name, pa.string()) for name in _NAMES]
    + [(flag, pa.bool_()) for flag in _FLAGS]
    + [(name, pa.int64()) for name in ("since", "querytime", "fsize", TIMES)]
)
"""The Arrow schema of a summary's row; ``summary`` is the name of its shape. Columns that the shape lacks are null."""


class Summariser:
    """Makes summaries of rows that arrive in several tables."""

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
                **{name: values.indices for name, values in named.items()},  # numbers are faster to group than texts
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
        """Add the counts of another summary."""
        self._note_bytes(summary)
        for shape in SHAPES:
            self._keep(shape, summary.filter(pc.field("summary") == shape.name).select([*shape.keys, "fsize", TIMES]))

    def _note_bytes(self, rows: pa.Table) -> None:
        self._bytes += pc.sum(pc.abs(rows["fsize"].cast(pa.float64(), safe=False))).as_py() or 0.0

    def _keep(self, shape: Shape, piece: pa.Table) -> None:
        pieces = self._pieces[shape]
        pieces.append(piece)
        if len(pieces) == _PIECES:
            pieces[:] = [shape.together(pieces)]  # many rows form few groups

    def write(self, path: Path) -> None:
        """Write the summaries and flush them to the disk; write nothing if a sum could overflow."""
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
    """Return the summary file of a file of rows. Its suffix is not .parquet, so that it is not read as rows."""
    return rows.with_suffix(".summary")


def combine_summaries(rows: Sequence[Path], target: Path, *, few: int = _FEW) -> None:
    """Combine the summaries of a dataset's files into one file, which Spark reads faster; `few` files stay separate.

    Nothing is written if a file of rows has no summary, or if a sum could overflow.
    """
    files = _summaries_of(rows)
    if len(files) <= few:
        return
    summariser = Summariser()
    for file in files:
        summariser.add_summary(pq.read_table(file))
    summariser.write(target)


def summary_files(dataset: Path, rows: Sequence[Path]) -> list[Path]:
    """Return the summary files of a complete dataset; an empty list if a file of rows has no summary."""
    combined = dataset / COMBINED
    return [combined] if combined.exists() else _summaries_of(rows)


def _summaries_of(rows: Sequence[Path]) -> list[Path]:
    files = [summary_file(file) for file in rows]
    return files if all(file.exists() for file in files) else []
