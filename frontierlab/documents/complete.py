"""From what documents say to the rows of a dataset: COOL queries only, completed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.catalogue import Catalogue
from frontierlab.schema import NAME

__all__ = ["FinishedRows", "finish"]


class FinishedRows(NamedTuple):
    """Rows as a dataset stores them.

    Parameters
    ----------
    rows
        In the dataset's schema.
    left_out
        How many rows were no COOL queries, by reason.
    conflicts
        How many hold an id and a name that the catalogue does not join, by what they hold.
    """

    rows: pa.Table
    left_out: Counter[str]
    conflicts: Counter[str]


def finish(rows: pa.Table, db_instances: Sequence[str], catalogue: Catalogue | None, schema: pa.Schema) -> FinishedRows:
    """Make rows of a dataset from rows that were read from documents.

    ``db`` is cut at the first ``_``; rows of a database that is not one of `db_instances` are left
    out; ids and names are completed where there is a catalogue.
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
    return FinishedRows(rows, +left_out, conflicts)


def _instances(db: pa.DictionaryArray, db_instances: Sequence[str]) -> tuple[pa.DictionaryArray, pa.BooleanArray]:
    """Cut each database at its first ``_``, and say which are configured; null is none."""
    names = [name.partition("_")[0] for name in db.dictionary.to_pylist()]
    distinct = pa.array(dict.fromkeys(names), pa.string())
    places = pc.index_in(pa.array(names, pa.string()), value_set=distinct)
    instance = pa.DictionaryArray.from_arrays(places.take(db.indices), distinct)
    known = pa.array([name in db_instances for name in names], pa.bool_())
    return instance, pc.fill_null(known.take(db.indices), False)
