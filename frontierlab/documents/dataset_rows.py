"""Turn rows read from documents into rows of a dataset: only COOL queries, completed from the catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.catalogue import Catalogue
from frontierlab.schema import NAME

__all__ = ["DatasetRows", "make_dataset_rows"]


class DatasetRows(NamedTuple):
    """Rows as a dataset stores them.

    Parameters
    ----------
    rows
        The rows, in the dataset's schema.
    left_out
        Number of rows that are not COOL queries or are not asked for, by reason.
    conflicts
        Number of rows with an id and a name that do not belong together in the catalogue, by a text with both.
    """

    rows: pa.Table
    left_out: Counter[str]
    conflicts: Counter[str]


def make_dataset_rows(
    rows: pa.Table,
    db_instances: Sequence[str],
    catalogue: Catalogue | None,
    schema: pa.Schema,
    keep: Callable[[pa.Table], pa.Array] | None = None,
) -> DatasetRows:
    """Make rows of a dataset from rows that were read from documents.

    ``db`` is cut at the first ``_``. Rows of a database that is not in `db_instances` are left out.
    Ids and names are completed if a catalogue is given. Of the completed rows, those that `keep` masks as false are
    left out; conflicts are counted in the kept rows alone.
    """
    rows = rows.combine_chunks()
    instance, configured = _instances(rows["db"].combine_chunks(), db_instances)
    left_out = Counter(
        {
            "no database": instance.null_count,
            "another database": len(instance) - instance.null_count - (pc.sum(configured).as_py() or 0),
        }
    )
    rows = rows.set_column(rows.schema.get_field_index("db"), "db", instance).filter(configured)
    done, conflicts = _completed(rows, catalogue)
    if keep is not None:
        mask = keep(done)
        done = done.filter(mask)
        left_out["outside the selection"] = rows.num_rows - done.num_rows
        if conflicts and done.num_rows < rows.num_rows:
            conflicts = _completed(rows.filter(mask), catalogue)[1]
    return DatasetRows(done.select(schema.names).cast(schema), +left_out, conflicts)


def _completed(rows: pa.Table, catalogue: Catalogue | None) -> tuple[pa.Table, Counter[str]]:
    if catalogue is None:
        return rows.append_column("nodetime", pa.nulls(rows.num_rows, NAME)), Counter()
    return catalogue.complete(rows)


def _instances(db: pa.DictionaryArray, db_instances: Sequence[str]) -> tuple[pa.DictionaryArray, pa.BooleanArray]:
    """Cut each database name at its first ``_``; return the names, and a mask of the configured ones (null is not)."""
    names = [name.partition("_")[0] for name in db.dictionary.to_pylist()]
    distinct = pa.array(dict.fromkeys(names), pa.string())
    places = pc.index_in(pa.array(names, pa.string()), value_set=distinct)
    instance = pa.DictionaryArray.from_arrays(places.take(db.indices), distinct)
    known = pa.array([name in db_instances for name in names], pa.bool_())
    return instance, pc.fill_null(known.take(db.indices), False)
