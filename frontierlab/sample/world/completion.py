"""Compute the log rows that extraction must produce, from the drawn columns.

This does not use the library's completion, so that it can check it. The generator knows the true folder and tag of
each query, and fills in what the catalogue would give: only if what the document says of them is right.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frontierlab.sample.world.draws import MISSING, Columns
from frontierlab.sample.world.folders import DATABASES, FOLDERS
from frontierlab.sample.world.names import NAMES, index_of
from frontierlab.schema import COLUMNS, FLAG, INTEGER, MISSING_IOV, NO_TAG, TIME, arrow_schema

__all__ = ["log_rows"]

NODE_ID = np.array([f.node_id for f in FOLDERS])
PATH = index_of("sqlnodefullpath", *(f.node for f in FOLDERS))
BASES = ["run-lumi", "time"]
BASE = np.array([BASES.index(f.nodetime) for f in FOLDERS])
TAGGED = np.array([len(f.tags) > 0 for f in FOLDERS])
UNTAGGED_NAME = index_of("sqltagname", NO_TAG)[0]


def _complete(columns: Columns) -> Columns:
    """Return the columns as the catalogue completes them: the folder's id, path and IOV base, the tag's id and name."""
    c, folder = dict(columns), columns["_folder"]
    id_given, path_given = c["sqlnodeid"] != MISSING, c["sqlnodefullpath"] >= 0
    id_right = id_given & (c["sqlnodeid"] == NODE_ID[folder])
    path_right = path_given & (c["sqlnodefullpath"] == PATH[folder])
    c["sqlnodeid"] = np.where(path_right & ~id_given, NODE_ID[folder], c["sqlnodeid"])
    c["sqlnodefullpath"] = np.where(id_right & ~path_given, PATH[folder], c["sqlnodefullpath"])
    c["nodetime"] = np.where(path_right | id_right, BASE[folder], -1)

    known, tagged = c["sqlnodefullpath"] == PATH[folder], TAGGED[folder]
    tag_id, name = c["sqltagid"], c["sqltagname"]
    id_given, name_given = tag_id != MISSING, name >= 0
    true_id, true_name = c["_tag"] + 1, _tag_names()[folder, c["_tag"]]
    fill_id = known & tagged & ~id_given & (name == true_name)
    fill_name = known & tagged & ~name_given & (tag_id == true_id)
    c["sqltagid"] = np.select([fill_id, known & ~tagged & ~id_given], [true_id, 0], tag_id)
    c["sqltagname"] = np.select([fill_name, known & ~tagged & ~name_given], [true_name, UNTAGGED_NAME], name)
    return c


def _tag_names() -> NDArray[np.int64]:
    """Return the index of each tag of each folder in the list of tag names; -1 after a folder's last tag."""
    table = np.full((len(FOLDERS), max(len(f.tags) for f in FOLDERS)), -1, dtype=np.int64)
    for row, folder in zip(table, FOLDERS, strict=True):
        row[: len(folder.tags)] = index_of("sqltagname", *folder.tags)
    return table


def log_rows(columns: Columns, kept: NDArray[np.bool_]) -> pa.Table:
    """Return the log rows of a chunk: the kept documents, completed from the catalogue.

    Parameters
    ----------
    columns
        Columns after drawing and spoiling.
    kept
        Mask of the documents that become rows.

    Returns
    -------
    pyarrow.Table
        One row per kept document, in the same order; the schema is `frontierlab.schema.arrow_schema`.
    """
    c = {name: values[kept] for name, values in _complete(columns).items()}
    for name in ("sqlsin", "sqlunt"):
        c[name] = np.where(c[name] == MISSING, MISSING_IOV, c[name])
    c["sqldb"] = c["sqldb"] // 2  # names come with and without a suffix
    arrays = []
    for column in COLUMNS:
        values = c[column.field or "nodetime"]
        if column.type == TIME:
            arrays.append(pa.array(values).cast(TIME))
        elif column.type == INTEGER:
            arrays.append(pa.array(values, mask=values == MISSING))
        elif column.type == FLAG:
            arrays.append(pa.array(values == 1, mask=values < 0))
        else:
            names = {"sqldb": list(DATABASES), "nodetime": BASES, **{k: v for k, v in NAMES.items() if k != "sqldb"}}
            codes = pa.array(values.astype(np.int32), mask=values < 0)
            arrays.append(pa.DictionaryArray.from_arrays(codes, names[column.field or "nodetime"]))
    return pa.Table.from_arrays(arrays, schema=arrow_schema())
