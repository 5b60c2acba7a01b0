"""The records of the history of caching efficiency, and the documents of Elasticsearch that hold them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from frontierlab.caching.counting import KEYS
from frontierlab.selection import Selection
from frontierlab.util.times import format_time, from_milliseconds, parse_time, to_milliseconds

if TYPE_CHECKING:
    from frontierlab.storage.periods import Period

__all__ = [
    "COLUMNS",
    "MAPPING",
    "document_of",
    "extracted_parts",
    "identity",
    "part_of",
    "record_of",
    "records_of",
    "rows_of_file",
]

_INTEGERS = (
    *("queries", "different_queries", "different_payloads_iov", "different_payloads_content", "empty_queries"),
    *("different_empty_queries", "cached", "uncached", "failed", "half_given", "backwards", "bytes_served"),
    *("dbtime", "repeated_queries", "repeated_bytes", "repeated_dbtime", "off_grid_queries"),
    *("overlapping_rows", "taskid"),
)
_FRACTIONS = (
    *("wasted_bytes", "wasted_dbtime", "wasted_bytes_squid", "wasted_dbtime_squid", "mean_payload_size"),
    *("wasted_bytes_content", "wasted_dbtime_content", "efficiency_iov", "efficiency_content"),
)
_NAMES = ("dataset", *KEYS, "selection", "cause", "problem", "worst_tasks", "repeated_by", "notes")
_PROSE = ("worst_tasks", "repeated_by", "notes", "problem", "selection")  # texts that are not searched for
_TIMES = ("period_since", "period_until", "stored")

COLUMNS = pa.schema(
    [
        *((name, pa.timestamp("ms", tz="UTC")) for name in _TIMES),
        *((name, pa.string()) for name in _NAMES),
        *((name, pa.int64()) for name in _INTEGERS),
        *((name, pa.float64()) for name in _FRACTIONS),
    ]
)
"""The columns of a record: a folder and tag over a period, with the figures and units of ``efficiency()``.

``selection`` is which queries of its folders a dataset was extracted with: JSON, a line for each dataset that differs
from the others of a period; null if with all.
"""

_KINDS = {"string": {"type": "keyword"}, "int64": {"type": "long"}, "double": {"type": "double"}}
MAPPING: dict[str, Any] = {
    **{field.name: _KINDS.get(str(field.type), {"type": "date"}) for field in COLUMNS},
    **{name: {"type": "keyword", "index": False, "doc_values": False} for name in _PROSE},
}
"""The mapping of an index of records."""


def _times(period: Period, selection: Selection) -> list[int | None]:
    """Return start and end of a selection of datasets, in ms since the epoch; None if it is not known."""
    if len(period.datasets) == 1 and period.is_whole:
        manifest = period.datasets[0].manifest
        asked = [manifest.request.get(name) for name in ("since", "until")]
        found = [manifest.since, None if manifest.until is None else manifest.until + 1]
        times = [to_milliseconds(parse_time(a)) if a is not None else f for a, f in zip(asked, found, strict=True)]
    else:
        times = [None if end is None else to_milliseconds(end) for end in (period.since, period.until)]
    window = [None if end is None else to_milliseconds(end) for end in (selection.since, selection.until)]
    return [
        narrower([end for end in ends if end is not None], default=None)
        for narrower, *ends in zip((max, min), times, window, strict=True)
    ]


def part_of(selection: Selection) -> Selection:
    """Return what a selection leaves out of folders, tags and a period: its conditions on other fields."""
    return selection.but(since=None, until=None, db=None, schema=None, nodefullpath=None, tagname=None)


def rows_of_file(path: Path) -> list[dict[str, Any]]:
    """Return the records of a history file; columns that an older version did not write are null.

    Raises
    ------
    OSError, ValueError
        The file is not a history file.
    """
    table = pq.read_table(path)
    absent = [name for name in (*KEYS, "queries") if name not in table.column_names]
    if absent:
        raise ValueError(f"it has no column {absent[0]}")
    for field in COLUMNS:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    rows: list[dict[str, Any]] = table.select(COLUMNS.names).cast(COLUMNS).to_pylist()
    return rows


def extracted_parts(period: Period) -> list[str]:
    """Return the conditions, on other fields than the folder, that datasets were extracted with, each as JSON."""
    parts = {part_of(Selection.of_request(dataset.manifest.request)).to_json() for dataset in period.datasets}
    return sorted(parts - {Selection().to_json()})


def records_of(frame: pd.DataFrame, period: Period, selection: Selection) -> list[dict[str, Any]]:
    """Return the records of a frame of ``efficiency()``, one per row; times are in ms since the epoch."""
    since, until = _times(period, selection)
    common = {
        "dataset": period.name,
        "period_since": since,
        "period_until": until,
        "stored": to_milliseconds(datetime.now(UTC)),
        "selection": "\n".join(extracted_parts(period)) or None,
        "notes": "\n".join(frame.attrs.get("notes", ())),
    }
    rows = [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
    return [{**{name: _plain(row.get(name), name) for name in COLUMNS.names if name in row}, **common} for row in rows]


def _plain(value: Any, name: str) -> Any:
    """Convert a value for JSON and Arrow; None if it is missing."""
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, default=str)
    if value is None or pd.isna(value):
        return None
    return str(value) if name in _NAMES else int(value) if name in _INTEGERS else float(value)


def document_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a record: without missing values, and with times as text."""
    document = {name: value for name, value in record.items() if value is not None}
    return document | {name: format_time(from_milliseconds(document[name])) for name in _TIMES if name in document}


def identity(record: dict[str, Any]) -> str:
    """Return the document id of a record; records with the same dataset, period, folder and tag have the same id."""
    known = [record[name] for name in ("dataset", "period_since", "period_until", *KEYS)]
    return hashlib.blake2b(json.dumps(known).encode(), digest_size=20).hexdigest()


def record_of(document: dict[str, Any]) -> dict[str, Any]:
    """Convert a document of this package or of the older tool to a record.

    Raises
    ------
    FrontierlabError, KeyError, TypeError, ValueError, OverflowError
        The document cannot be read.
    """
    if "folder" in document:
        document = _from_old_tool(document)
    missing = [name for name in (*KEYS, "queries") if document.get(name) is None]
    if missing:
        raise ValueError(f"it has no {missing[0]}")
    readers: dict[str, Callable[[Any], Any]] = {
        **dict.fromkeys(_TIMES, _read_time),
        **dict.fromkeys(_NAMES, _read_text),
        **dict.fromkeys(_INTEGERS, _read_integer),
        **dict.fromkeys(_FRACTIONS, float),
    }
    return {name: read(document[name]) for name, read in readers.items() if document.get(name) is not None}


def _from_old_tool(old: dict[str, Any]) -> dict[str, Any]:
    """Convert a document of the older tool to the current names and units."""
    place = [part.strip() for part in str(old["folder"]).split(" , ")]
    if len(place) != 3:
        raise ValueError(f"its folder {old['folder']!r} is not 'database , schema , path'")
    size = old.get("payloadsize")
    return {
        **dict(zip(KEYS, place, strict=False)),
        "tagname": old.get("tag") or "unknown",
        "queries": old["#queries"],
        "different_queries": old.get("#differentqueries"),
        "different_payloads_iov": old.get("#differentpayloads"),
        "mean_payload_size": None if size is None else float(size) * 1e6,
        "taskid": old.get("taskid") or None,
        "period_since": old.get("from"),
        "period_until": old.get("to"),
    }


def _read_time(value: Any) -> datetime:
    return from_milliseconds(value) if isinstance(value, int) else parse_time(value)


def _read_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _read_integer(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool) or (isinstance(value, float) and value != number) or not -(2**63) <= number < 2**63:
        raise ValueError(f"{value!r} is not a whole number")
    return number
