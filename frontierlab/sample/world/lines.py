"""Write drawn columns as documents: one JSON text per document, built column by column."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from frontierlab.sample.world.draws import MISSING, Columns
from frontierlab.sample.world.names import NAMES
from frontierlab.schema import DOCUMENT_FIELDS, FLAG, INTEGER

__all__ = ["lines"]


def lines(
    columns: Columns,
    texts: dict[str, dict[int, str]],
    nulls: NDArray[np.bool_],
    *,
    numbers_as_strings: bool = False,
    head: str | pa.Array = "",
    tail: str = "",
) -> pa.Array:
    """Return the documents as JSON, one string per document.

    Parameters
    ----------
    columns
        Columns after drawing and spoiling.
    texts
        By field: the JSON text that replaces the drawn value in some rows; an empty text removes the field.
    nulls
        Mask of documents that write null for missing fields; the others leave them out.
    numbers_as_strings
        Write integers in quotes.
    head, tail
        Text before and after each document; ``head`` can be an array with one string per document.
    """
    parts = []
    for name in (*DOCUMENT_FIELDS, "clientmachine"):
        part = _part(name, columns[name], '"' if numbers_as_strings else "")
        if part.null_count and nulls.any():
            part = pc.if_else(pc.and_(pc.is_null(part), pa.array(nulls)), f',"{name}":null', part)
        if name in texts:
            part = _replaced(part, name, texts[name])
        parts.append(part)
    begin = pc.binary_join_element_wise(head, '{"@version":"1"', "")
    return pc.binary_join_element_wise(begin, *parts, "}" + tail, "", null_handling="skip")


def _part(name: str, values: NDArray[np.int64], quote: str) -> pa.Array:
    """Return ``,"name":value`` for each document; null if the document lacks the field."""
    begin = f',"{name}":'
    if name == "@timestamp":
        time = pa.array(values).cast(pa.timestamp("ms")).cast(pa.string())
        time = pc.binary_replace_slice(time, start=10, stop=11, replacement="T")
        return pc.binary_join_element_wise(begin + '"', time, 'Z"', "")
    if name in NAMES:
        words = pa.array([begin + json.dumps(word) for word in NAMES[name]])
        return words.take(pa.array(values, mask=values < 0))
    if DOCUMENT_FIELDS[name].type == FLAG:
        return pa.array([begin + "false", begin + "true"]).take(pa.array(values, mask=values < 0))
    assert DOCUMENT_FIELDS[name].type == INTEGER
    digits = pa.array(values, mask=values == MISSING).cast(pa.string())
    return pc.binary_join_element_wise(begin + quote, digits, quote, "")


def _replaced(part: pa.Array, name: str, texts: dict[int, str]) -> pa.Array:
    """Return the column with other values in some rows: ``texts`` by row; an empty text removes the field."""
    rows = sorted(texts)
    mask = np.zeros(len(part), dtype=bool)
    mask[rows] = True
    new = pa.array([f',"{name}":{texts[row]}' if texts[row] else None for row in rows], pa.string())
    return pc.replace_with_mask(part, pa.array(mask), new)
