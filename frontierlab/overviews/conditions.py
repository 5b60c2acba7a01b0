"""A selection of queries as conditions of a search that pass exactly the documents whose rows it selects.

A document may name its folder and tag by id only; the catalogue then completes them. So all combinations of names and
ids in the documents are counted first, completed as rows are, and those that are selected become the condition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from frontierlab.catalogue import Catalogue
from frontierlab.elastic.index_fields import Field
from frontierlab.elastic.queries import any_of
from frontierlab.elastic.shapes import Shape
from frontierlab.errors import InvalidRequestError
from frontierlab.extraction.narrowing import FIELDS, IndexFields, combined, narrowing
from frontierlab.schema import NAME
from frontierlab.selection import Selection

__all__ = ["Combination", "FOLDER", "TAG", "certain", "completed", "may_name", "names_of", "of_combinations"]

Combination = tuple[Any, ...]
"""The values of the columns `FOLDER` or `TAG` as documents have them; None where missing."""

FOLDER = ("db", "schema", "nodefullpath", "node_id")
"""The columns that name a folder."""

TAG = (*FOLDER, "tagname", "tag_id")
"""The columns that name a folder and a tag."""

_FRACTIONS = {"half_float", "scaled_float"}
_NAMED = ("nodefullpath", "tagname")
_MOST = 150  # combinations in a search: a server refuses more than 1,024 clauses


def names_of(selection: Selection) -> tuple[str, ...]:
    """Return the columns whose combinations decide a selection; none if it has no folder and no tag."""
    return TAG if selection.tagname is not None else FOLDER if selection.nodefullpath is not None else ()


def _known(shape: Shape) -> IndexFields:
    """Return what a shape knows of its indices; a field that they do not map is taken as missing."""
    fields = {
        mapped.name: Field(types={"double" if mapped.type in _FRACTIONS else mapped.type: []})
        for mapped in shape.fields.values()
    }
    absent = {name: shape.indices for name in FIELDS.values() if name not in shape.fields}
    return IndexFields(shape.indices, fields, absent)


def certain(selection: Selection, shape: Shape) -> list[dict[str, Any]]:
    """Return the queries for all conditions but times, folders and tags.

    Raises
    ------
    InvalidRequestError
        The indices cannot be searched by one of the conditions.
    """
    others = selection.but(nodefullpath=None, tagname=None)
    return narrowing(others, _known(shape), None, complete=False, certain=True).filters


def may_name(selection: Selection, shape: Shape) -> dict[str, Any]:
    """Return the query for documents that may name the selected folders and tags: by name, or perhaps by id."""
    given = {column: values for column in _NAMED if (values := getattr(selection, column)) is not None}
    return combined(_known(shape), {column: (*values, None) for column, values in given.items()})


def completed(found: Sequence[Combination], catalogue: Catalogue | None) -> list[dict[str, Any]]:
    """Return the columns ``db``, ``schema``, ``nodefullpath`` and ``tagname`` of the rows with these combinations.

    Parameters
    ----------
    found
        Combinations of `FOLDER` or `TAG`.
    catalogue
        Completes folders and tags; None leaves them as they were logged.
    """
    padded = [(*one, None, None)[: len(TAG)] for one in found]
    values = dict(zip(TAG, zip(*padded, strict=True), strict=True)) if padded else dict.fromkeys(TAG, ())
    types = {column: pa.int64() if column.endswith("_id") else NAME for column in TAG}
    rows = pa.table({column: pa.array(values[column], type_) for column, type_ in types.items()})
    if catalogue is not None:
        rows = catalogue.complete(rows).rows
    names: list[dict[str, Any]] = rows.select(["db", "schema", *_NAMED]).to_pylist()
    return names


def of_combinations(
    selection: Selection, shape: Shape, found: Sequence[Combination], catalogue: Catalogue | None
) -> dict[str, Any]:
    """Return the query for the documents whose folder and tag are selected.

    Parameters
    ----------
    selection
        The selection; of it, folders and tags are used.
    shape
        The indices.
    found
        All combinations of the columns `names_of` the selection in documents that `may_name` them.
    catalogue
        Completes folders and tags.

    Raises
    ------
    InvalidRequestError
        Too many combinations are selected for one search.
    """
    columns = names_of(selection)
    wanted = {column: values for column in _NAMED if (values := getattr(selection, column)) is not None}
    grouped: dict[Combination, list[Any]] = {}
    for combination, row in zip(found, completed(found, catalogue), strict=True):
        if all(row[column] in values for column, values in wanted.items()):
            grouped.setdefault(combination[:-1], []).append(combination[-1])
    if len(grouped) > _MOST:
        raise InvalidRequestError(
            f"{' and '.join(wanted)} are named in {len(grouped):,} different ways in the documents, and {_MOST} fit "
            "into a search. Select fewer, or extract the period and filter its rows."
        )
    known = _known(shape)
    return any_of([combined(known, _values(columns, first, last)) for first, last in grouped.items()])


def _values(columns: Sequence[str], first: Combination, last: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
    return {column: [value] for column, value in zip(columns, first, strict=False)} | {columns[-1]: last}
