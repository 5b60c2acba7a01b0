"""From what documents say to the rows of a dataset: COOL queries only, completed, encoded."""

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
    rows = rows.set_column(
        rows.schema.get_field_index("db"), "db", pc.replace_substring_regex(rows["db"], r"_(.|\n)*", "")
    )
    configured = pc.is_in(rows["db"], value_set=pa.array(db_instances, pa.string()))
    left_out = Counter(
        {
            "no database": rows["db"].null_count,
            "another database": rows.num_rows - rows["db"].null_count - (pc.sum(configured).as_py() or 0),
        }
    )
    rows = rows.filter(configured)
    conflicts: Counter[str] = Counter()
    if catalogue is not None:
        rows, conflicts = catalogue.complete(rows)
    else:
        rows = rows.append_column("nodetime", pa.nulls(rows.num_rows, NAME))
    columns = []
    for field in schema:
        column = rows[field.name].combine_chunks()
        if pa.types.is_dictionary(field.type) and not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        columns.append(column.cast(field.type))
    return FinishedRows(pa.Table.from_arrays(columns, schema=schema), +left_out, conflicts)
