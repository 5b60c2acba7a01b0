"""Which rows of a dataset meet a selection: the exact meaning of `frontierlab.Selection`, on Arrow tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.selection import LISTED, QUERY_KINDS, Selection
from frontierlab.util.times import to_milliseconds

__all__ = ["keeper", "selected"]


def keeper(selection: Selection) -> Callable[[pa.Table], pa.Array] | None:
    """Return the function that makes a mask of the `selected` rows; None if the selection keeps all rows."""
    return None if selection == Selection() else lambda rows: selected(rows, selection)


def selected(rows: pa.Table, selection: Selection) -> pa.Array:
    """Return a mask of the rows that meet a selection, as `Selection.of` decides on opened logs.

    Parameters
    ----------
    rows
        Rows of a dataset, completed.
    selection
        The selection.
    """
    found: list[Any] = []
    for column in LISTED:
        if getattr(selection, column) is not None:
            found.append(_is_any(_whole(rows, column), getattr(selection, column)))
    if selection.cached is not None:
        found.append(pc.equal(_whole(rows, "cached"), selection.cached))
    if selection.kind:
        found += [pc.equal(_whole(rows, "cached"), False), _is_kind(rows, selection.kind)]
    if selection.min_querytime is not None:
        found.append(pc.greater_equal(_whole(rows, "querytime"), selection.min_querytime))
    for name, test in (("since", pc.greater_equal), ("until", pc.less)):
        if getattr(selection, name) is not None:
            found.append(test(_whole(rows, "time").cast(pa.int64()), to_milliseconds(getattr(selection, name))))
    mask = pa.repeat(pa.scalar(True), rows.num_rows)
    for one in found:
        mask = pc.and_(mask, pc.fill_null(one, False))
    return mask


def _whole(rows: pa.Table, name: str) -> pa.Array:
    return rows[name].combine_chunks()


def _is_any(column: pa.Array, values: Sequence[Any]) -> pa.Array:
    """Return a mask of the values that are among `values`, where None is a missing value."""
    named = {value for value in values if value is not None}
    if pa.types.is_dictionary(column.type):  # few distinct names: each is compared once
        found = pa.array([name in named for name in column.dictionary.to_pylist()], pa.bool_()).take(column.indices)
    else:
        found = pc.is_in(column, value_set=pa.array(named, column.type))
    return pc.if_else(pc.is_valid(column), found, None in values)


def _is_kind(rows: pa.Table, kinds: Sequence[str]) -> pa.Array:
    """Return a mask of rows by the first flag that is true; a missing flag is not true."""
    found = pa.repeat(pa.scalar(QUERY_KINDS[-1] in kinds), rows.num_rows)
    for flag in reversed(QUERY_KINDS[:-1]):
        found = pc.if_else(pc.fill_null(_whole(rows, flag), False), flag in kinds, found)
    return found
