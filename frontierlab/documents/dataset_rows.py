"""Turn rows read from documents into rows of a dataset: only COOL queries, completed from the catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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
        Number of rows that are not COOL queries, by reason.
    conflicts
        Number of rows with an id and a name that do not belong together in the catalogue, by a text with both.
    """

    rows: pa.Table
    left_out: Counter[str]
    conflicts: Counter[str]


def make_dataset_rows(
    rows: pa.Table, db_instances: Sequence[str], catalogue: Catalogue | None, schema: pa.Schema
) -> DatasetRows:
    """Make rows of a dataset from rows that were read from documents.

    ``db`` is cut at the first ``_``. Rows of a database that is not in `db_instances` are left out.
    Ids and names are completed if a catalogue is given.
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
    conflicts: Counter[str] = Counter()
    if catalogue is not None:
        rows, conflicts = catalogue.complete(rows)
    else:
        rows = rows.append_column("nodetime", pa.nulls(rows.num_rows, NAME))
    rows = rows.select(schema.names).cast(schema)
    return DatasetRows(rows, +left_out, conflicts)


def _instances(db: pa.DictionaryArray, db_instances: Sequence[str]) -> tuple[pa.DictionaryArray, pa.BooleanArray]:
    """Cut each database name at its first ``_``; return the names, and a mask of the configured ones (null is not)."""
    names = [name.partition("_")[0] for name in db.dictionary.to_pylist()]
    distinct = pa.array(dict.fromkeys(names), pa.string())
    places = pc.index_in(pa.array(names, pa.string()), value_set=distinct)
    instance = pa.DictionaryArray.from_arrays(places.take(db.indices), distinct)
    known = pa.array([name in db_instances for name in names], pa.bool_())
    return instance, pc.fill_null(known.take(db.indices), False)
