"""Names of folders and tags for rows that a log gives by number, from the catalogue.

COOL names a folder's tables by the folder's number, so the ``F0003`` of a table is the ``node_id`` of the catalogue,
and ``USER_TAG_ID`` is its ``tag_id``.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.catalogue import Catalogue

__all__ = ["FOLDER", "NamedRows", "TAG", "bounded", "in_words", "name_rows", "unnamed"]

_TOLD = 5
_NAMES = 10_000  # names that are counted

FOLDER = "{db} {schema} folder {node_id}"
"""How a folder is told that has a number and no name."""

TAG = "{db} {schema} folder {node_id} tag {tag_id}"
"""How a tag is told that has a number and no name."""


class NamedRows(NamedTuple):
    """Log rows with the names of their folders and tags.

    Parameters
    ----------
    rows
        The rows in the same order, with the column ``nodetime``.
    unknown_folders, unknown_tags
        Number of rows whose folder or tag has a number but no name, by a text that gives the number:
        ``CONDBR2 ATLAS_COOLOFL_INDET folder 3``. Their names are null.
    conflicts
        Number of rows with a number and a name that do not belong together, as in `frontierlab.catalogue.Completed`.
    """

    rows: pa.Table
    unknown_folders: Counter[str]
    unknown_tags: Counter[str]
    conflicts: Counter[str]


def name_rows(rows: pa.Table, catalogue: Catalogue) -> NamedRows:
    """Fill in the names of folders and tags from a catalogue.

    Parameters
    ----------
    rows
        Log rows with the columns of `frontierlab.schema.COLUMNS` without ``nodetime``: at least ``db``, ``schema``,
        ``node_id``, ``nodefullpath``, ``tag_id`` and ``tagname``.
    catalogue
        The catalogue, as ``Catalogue.read(settings.catalogue_path)`` gives it.
    """
    completed = catalogue.complete(rows)
    return NamedRows(completed.rows, *unnamed(completed.rows), completed.conflicts)


def bounded(counts: Counter[str]) -> Counter[str]:
    """Return counts by name; where a damaged log gives very many names, the rare ones are counted together."""
    if len(counts) <= _NAMES:
        return counts
    kept = Counter(dict(counts.most_common(_NAMES // 2)))
    kept["others"] += counts.total() - kept.total()
    return kept


def in_words(unknown: Counter[str]) -> str:
    """Return the folders and tags without a name that most rows have, with the numbers of rows."""
    told = ", ".join(f"{name} ({count:,})" for name, count in unknown.most_common(_TOLD))
    return told + (f", and {len(unknown) - _TOLD:,} more" if len(unknown) > _TOLD else "")


def unnamed(rows: pa.Table) -> tuple[Counter[str], Counter[str]]:
    """Return the numbers of rows whose folder, and whose tag, has a number but no name, as in `NamedRows`."""
    return (
        _counted(rows, "node_id", "nodefullpath", FOLDER),
        _counted(rows, "tag_id", "tagname", TAG),
    )


def _counted(rows: pa.Table, number: str, name: str, text: str) -> Counter[str]:
    unknown = rows.filter(pc.and_(pc.is_valid(rows[number]), pc.is_null(rows[name])))
    keys = ["db", "schema", "node_id", "tag_id"] if number == "tag_id" else ["db", "schema", "node_id"]
    groups = unknown.select(keys).group_by(keys).aggregate([([], "count_all")]).to_pylist()
    return Counter({text.format_map(group): group["count_all"] for group in groups})
