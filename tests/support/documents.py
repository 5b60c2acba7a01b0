"""Documents for tests, and a function that reads one of them."""

from __future__ import annotations

import atexit
import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from frontierlab.documents.fast import DocumentReader
from frontierlab.schema import TIME, Column

DAY = "2026-10-01T00:00:00.000Z"
EXTRA = (
    Column("an_integer", "an_integer", pa.int64(), "extra"),
    Column("a_number", "a_number", pa.float64(), "extra"),
    Column("a_flag", "a_flag", pa.bool_(), "extra"),
    Column("a_name", "a_name", pa.string(), "extra"),
    Column("a_time", "a_time", TIME, "extra"),
    Column("a_json", "a_json", pa.string(), "extra", as_json=True),
)
READER = DocumentReader(EXTRA)
atexit.register(READER.close)  # Hypothesis keeps what its tests use beyond the end, and DuckDB reports that as leaks


def document(**fields: Any) -> bytes:
    """Return a document with a time, a database and these fields."""
    return json.dumps({"@timestamp": DAY, "sqldb": "CONDBR2_RO", **fields}).encode()


def written(fields: Mapping[str, str]) -> bytes:
    """Return a document from JSON texts by field."""
    text = ",".join(f"{json.dumps(name)}:{text}" for name, text in fields.items())
    return f"{{{text}}}".encode("utf-8", "surrogatepass")


def plain(number: int = 20, **fields: Any) -> list[bytes]:
    """Return documents that differ in taskid."""
    return [document(taskid=i, **fields) for i in range(number)]


def only(raw: bytes) -> Any:
    """Return the row of a document, or why it is malformed. It is read alone, among others and many times."""
    alone = READER.read([raw])
    for page, number in ((READER.read([*plain(), raw]), 1), (READER.read([raw] * 20), 20)):
        assert page.malformed == alone.malformed * number
        assert [
            row for row in page.rows.to_pylist() if row in alone.rows.to_pylist()
        ] == alone.rows.to_pylist() * number
    return alone.rows.to_pylist()[0] if alone.rows.num_rows else alone.malformed[0][0]
