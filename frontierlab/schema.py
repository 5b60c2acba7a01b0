"""The definition of a log row: names, types, units, meaning of its columns.

A row is one query that reached a Frontier server and asked for a configured COOL database
instance. Rows come from the documents of an Elasticsearch index, from an export file, or from
raw logs, and are stored as Parquet with exactly the types below. Nothing goes through float64:
an interval of validity reaches 1.8e18 and would lose digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

__all__ = [
    "COLUMNS",
    "Column",
    "DOCUMENT_FIELDS",
    "EXTRA_TYPES",
    "IOV_COLUMNS",
    "MISSING_IOV",
    "NO_TAG",
    "OPEN_IOV",
    "UNKNOWN_TAG",
    "arrow_schema",
    "extra_columns",
]

MISSING_IOV = -1
"""``since`` and ``until`` of a query without an IOV: a query that asks for no payload."""

UNKNOWN_TAG = "unknown"
"""The ``tagname`` of queries whose tag is not known, where queries are counted by tag."""

OPEN_IOV = 2**63 - 1
"""``until`` of an interval without an end."""

NO_TAG = "none"
"""The ``tagname`` of a folder that has no tags; its ``tag_id`` is 0."""

TIME = pa.timestamp("ms", tz="UTC")
NAME = pa.dictionary(pa.int32(), pa.string())
INTEGER = pa.int64()
FLAG = pa.bool_()


@dataclass(frozen=True)
class Column:
    """One column of a log row.

    Parameters
    ----------
    name
        The column's name in a dataset.
    field
        The field of the Elasticsearch document with the column's values; None if completion adds the column.
    type
        The column's Arrow type.
    meaning
        The meaning of the values, with their unit.
    as_json
        Whether the column holds the JSON text of its field, for values of any type.
    measured
        Whether the values are measured times, whose fractions are rounded.
    """

    name: str
    field: str | None
    type: pa.DataType
    meaning: str
    as_json: bool = False
    measured: bool = False


COLUMNS: tuple[Column, ...] = (
    Column("time", "@timestamp", TIME, "when the query came, UTC, in milliseconds; never null"),
    Column("taskid", "taskid", INTEGER, "PanDA task that asked"),
    Column("pandaid", "pandaid", INTEGER, "PanDA job that asked"),
    Column("taskname", "taskname", NAME, "name of the PanDA task"),
    Column("db", "sqldb", NAME, "database instance, without its suffix (CONDBR2_RO is CONDBR2); never null"),
    Column("schema", "sqlowner", NAME, "schema"),
    Column("node_id", "sqlnodeid", INTEGER, "number of the folder in its schema"),
    Column("nodefullpath", "sqlnodefullpath", NAME, "the folder, by its full path; node in the catalogue"),
    Column("nodetime", None, NAME, "IOV base of the folder: run-lumi or time; null where the catalogue lacks it"),
    Column("tag_id", "sqltagid", INTEGER, "number of the tag in its folder; 0 is no tag"),
    Column("tagname", "sqltagname", NAME, "name of the tag; none for a folder without tags; tag in the catalogue"),
    Column("since", "sqlsin", INTEGER, "start of the IOV, in the folder's IOV base (not the query's time); -1 if none"),
    Column("until", "sqlunt", INTEGER, "end of the IOV, in the folder's IOV base (not the query's time); -1 if none"),
    Column("queryiov", "queryiov", INTEGER, "width of the IOV asked for, in the folder's IOV base"),
    Column("cached", "cached", FLAG, "answered without a database query"),
    Column("disconn", "disconn", FLAG, "the client went away"),
    Column("procerror", "procerror", FLAG, "error while processing"),
    Column("rejected", "rejected", FLAG, "refused because the servlet was too busy"),
    Column("querytime", "querytime", INTEGER, "whole time, ms", measured=True),
    Column("dbtime", "dbtime", INTEGER, "time in the database, ms", measured=True),
    Column("fsize", "fsize", INTEGER, "size of the answer, bytes"),
    Column("frontierserver", "frontierserver", NAME, "the server that was asked"),
    Column("sqlhash", "sqlhash", INTEGER, "hash of the SQL text"),
    Column("initthreads", "initthreads", INTEGER, "simultaneous threads of the server when the query came"),
    Column("squid", "squid", NAME, "the Squid that asked; null where the index lacks it"),
    Column("computingsite", "computingsite", NAME, "the site that asked; null where the index lacks it"),
)
"""The columns of a log row, in order."""

IOV_COLUMNS = {"since": "iov_since", "until": "iov_until"}
"""The stored columns of the IOV → their names in opened logs and in SQL.

In a `frontierlab.Selection`, ``since`` and ``until`` are limits of the query's time; these names cannot be mistaken
for those.
"""

DOCUMENT_FIELDS: dict[str, Column] = {c.field: c for c in COLUMNS if c.field is not None}
"""The columns that come from a document, by the name of the document's field."""


def arrow_schema(extra: Iterable[Column] = ()) -> pa.Schema:
    """Return the Arrow schema of a log row.

    Parameters
    ----------
    extra
        Further nullable columns at the end, such as the ``extra_fields`` of an extraction.
    """
    columns = [*COLUMNS, *extra]
    return pa.schema([pa.field(c.name, c.type, nullable=c.name not in ("time", "db")) for c in columns])


EXTRA_TYPES: dict[str, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
    "name": pa.string(),
    "time": TIME,
    "json": pa.string(),
}
"""The types of extra fields; ``json`` is the JSON text of any value: an object, an array, a number."""


def extra_columns(extra_fields: Mapping[str, str | None]) -> list[Column]:
    """Return the columns for extra fields, given as the field's name → its type (None is ``name``)."""
    return [
        Column(name, name, EXTRA_TYPES[kind or "name"], "a further field of the index", as_json=kind == "json")
        for name, kind in extra_fields.items()
    ]
