"""The fields of a line of a Squid's access log, as columns, whatever its format."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["FIELDS", "FORMATS", "NATIVE_ZONE", "NOTHING", "compacted", "mask_of"]

FORMATS = ("two", "three", "three with cvmfs", "native")
"""The formats, named after their quoted fields.

``two``: the Frontier id, and If-Modified-Since. ``three``: the Frontier id, Referer, User-Agent. ``three with cvmfs``:
the same with milliseconds, and the first field also holds what a CVMFS client says of itself; an absent half is ``-``.
``native``: Squid's default, without quoted fields.
"""

NATIVE_ZONE = "epoch"
"""The ``zone`` of lines whose time counts from the epoch."""

NOTHING = "-"
"""What Squid writes for a field without a value."""

_TEXT = pa.dictionary(pa.int32(), pa.string())

FIELDS = pa.schema(
    [
        ("number", pa.int64()),  # of the line in its block, from 0
        ("format", _TEXT),
        ("client", _TEXT),
        ("ident", _TEXT),  # or kidN, the worker
        ("local_ms", pa.int64()),  # end of the answer by the clock on the wall; ms since 1970-01-01T00:00 there
        ("zone", _TEXT),  # as written, such as +0000; `NATIVE_ZONE` if local_ms is UTC
        ("method", _TEXT),
        ("url", _TEXT),
        ("status", pa.int64()),
        ("wire_bytes", pa.int64()),
        ("tag", _TEXT),  # such as TCP_HIT:HIER_NONE
        ("duration_ms", pa.int64()),
        ("identity", _TEXT),  # the Frontier id, or -
        ("modified_since", _TEXT),  # or -
    ]
)
"""The columns of lines as they were read. A row is a line; each different text of a column is there once."""


def compacted(lines: pa.Table) -> pa.Table:
    """Return lines whose columns of texts have no text that no line has: those of lines that were left out are gone."""
    for place, name in enumerate(lines.column_names):
        column = lines[name].combine_chunks() if pa.types.is_dictionary(lines[name].type) else None
        if column is None or not isinstance(column, pa.DictionaryArray):
            continue
        places = np.asarray(column.indices)
        used = np.zeros(len(column.dictionary), dtype=bool)
        used[places] = True
        if not used.all():
            moved = pa.array((np.cumsum(used) - 1)[places].astype(np.int32))
            found = pa.DictionaryArray.from_arrays(moved, column.dictionary.filter(pa.array(used)))
            lines = lines.set_column(place, FIELDS.field(name), found)
    return lines


def mask_of(found: pa.Array) -> NDArray[np.bool_]:
    """Return a column of booleans as an array; null is not allowed."""
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)
