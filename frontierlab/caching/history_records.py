"""The records of the history of caching efficiency, and the documents of Elasticsearch that hold them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from frontierlab.caching.counting import KEYS
from frontierlab.selection import Selection
from frontierlab.util.times import format_time, from_milliseconds, parse_time, to_milliseconds

if TYPE_CHECKING:
    from frontierlab.storage.periods import Period

__all__ = ["COLUMNS", "MAPPING", "document_of", "identity", "record_of", "records_of"]

_INTEGERS = (
    *("queries", "different_queries", "different_payloads_iov", "different_payloads_content", "empty_queries"),
    *("different_empty_queries", "cached", "uncached", "failed", "half_given", "backwards", "bytes_served"),
    *("overlapping_rows", "taskid"),
)
_FRACTIONS = (
    *("wasted_bytes", "wasted_dbtime", "wasted_bytes_squid", "wasted_dbtime_squid", "mean_payload_size"),
    *("efficiency_iov", "efficiency_content"),
)
_NAMES = ("dataset", *KEYS, "cause", "problem", "worst_tasks", "notes")
_TIMES = ("period_since", "period_until", "stored")

COLUMNS = pa.schema(
    [
        *((name, pa.timestamp("ms", tz="UTC")) for name in _TIMES),
        *((name, pa.string()) for name in _NAMES),
        *((name, pa.int64()) for name in _INTEGERS),
        *((name, pa.float64()) for name in _FRACTIONS),
    ]
)
"""The columns of a record: a folder and tag over a period, with the figures and units of ``efficiency()``."""

_KINDS = {"string": {"type": "keyword"}, "int64": {"type": "long"}, "double": {"type": "double"}}
MAPPING: dict[str, Any] = {
    **{field.name: _KINDS.get(str(field.type), {"type": "date"}) for field in COLUMNS},
    **{name: {"type": "keyword", "index": False, "doc_values": False} for name in ("worst_tasks", "notes", "problem")},
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


def records_of(frame: pd.DataFrame, period: Period, selection: Selection) -> list[dict[str, Any]]:
    """Return the records of a frame of ``efficiency()``, one per row; times are in ms since the epoch."""
    since, until = _times(period, selection)
    common = {
        "dataset": period.name,
        "period_since": since,
        "period_until": until,
        "stored": to_milliseconds(datetime.now(UTC)),
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
