"""Records of requests that the servlet of 2025 logs: JSON as it is sent to Logstash, or lines of logback.

A record names the request, when it began, how long it took, its SQL, and what the database did. It names nobody who
asked, and it does not say whether a request without database times was answered as not modified, rejected or refused.
The format was read in the servlet's source; no such log was seen.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

import pyarrow as pa

from frontierlab.errors import RequestUrlError
from frontierlab.rawlogs.cool_columns import QueryReader
from frontierlab.rawlogs.lines import Block, LineCounts, SetAside
from frontierlab.rawlogs.personal import Pseudonyms
from frontierlab.rawlogs.request_urls import decode_request
from frontierlab.rawlogs.servlet.columns import EXTRA_FIELDS, FLAGS_OF, OUTCOMES, Outcome
from frontierlab.rawlogs.servlet.failures import error_of
from frontierlab.rawlogs.servlet.rows import LOG_SCHEMA, Made, table_of

__all__ = ["RecordedLog", "is_recorded"]

_FIELDS = [
    "token",
    "requestURI",
    "requestQuery",
    "startTime",
    "duration",
    "query",
    "queryTime",
    "dbDataTime",
    "dbRows",
    "dbSize",
    "dbError",
]
_FIELD = re.compile(rf"(?:^|, )({'|'.join(_FIELDS)})=")
_LOGBACK = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} +(?:TRACE|DEBUG|INFO|WARN|ERROR) +\[[^\]]*\] \S+ - (?P<message>.*)",
    re.DOTALL,
)
_DONE = re.compile(r"Filter request completed! +(?P<fields>.*)", re.DOTALL)
_FURTHER = re.compile(r"\s+at |Caused by: |\s+\.\.\. \d+ |[\w.$]+(?:Exception|Error)\b|$")
_DIGITS = re.compile(r"\d{1,18}$")
_RECENT = 10_000  # requests whose second record is recognised
_LATEST = 2**43  # ms since the epoch: the year 2248


class _Record(NamedTuple):
    fields: dict[str, str]
    server: str | None
    file: str
    line: int


def is_recorded(lines: Iterable[bytes]) -> bool:
    """Whether these first lines of a log are records."""
    return any(_of_line(line.decode("utf-8", "backslashreplace"))[0] is not None for line in lines)


class RecordedLog:
    """A log of records; see `frontierlab.rawlogs.servlet.log_reader.Source`."""

    restarts = 0
    stray = 0

    def __init__(self, aside: SetAside, pseudonyms: Pseudonyms, host: str | None) -> None:
        self.counts = LineCounts()
        self._aside, self._host = aside, host
        self._queries = QueryReader()
        self._recent: dict[str, None] = {}  # hashes of requests
        self._known_before = False

    def read(self, block: Block, *, last: bool) -> Made:
        """Return the rows of a block."""
        records = []
        for number, line in enumerate(block.data.split(b"\n")[:-1], block.first):
            if number in block.cut:
                self._put_aside("longer than 4 MiB", block, number, line)
            elif (found := self._read(line.decode("utf-8", "backslashreplace"))) is None:
                self._put_aside("not a record of a servlet", block, number, line)
            elif found[0]:
                records.append(_Record(found[0], found[1], str(block.file), number))
        self.counts.lines += block.data.count(b"\n")
        return self._made(records)

    def flush(self) -> Made:
        """Return no rows: `read` returns them all."""
        return Made.none()

    def finish(self) -> Made:
        """Return no rows: each record is whole."""
        return Made.none()

    def state(self) -> tuple[dict[str, Any], pa.Table]:
        """Return the state; no row waits. See `frontierlab.rawlogs.servlet.log_reader.Source`."""
        told = {"counts": self.counts.as_record(), "recent": [*self._recent], "known_before": self._known_before}
        return told, pa.table({})

    def restore(self, state: dict[str, Any], waiting: pa.Table) -> None:
        """Go on where another source was when it gave this state."""
        counts = state["counts"]
        self.counts = LineCounts(**counts | {"set_aside": Counter(counts["set_aside"])})
        self._recent, self._known_before = dict.fromkeys(state["recent"]), state["known_before"]

    def _put_aside(self, reason: str, block: Block, number: int, line: bytes) -> None:
        self._aside.add(reason, block.file, number, line)
        self.counts.set_aside[reason] += 1
        self._known_before = False

    def _read(self, line: str) -> tuple[dict[str, str], str | None] | None:
        """Return the fields of a new request and its server; no fields for other lines; None for none of a servlet."""
        fields, server, known = _parsed(line)
        if not known:
            if not (self._known_before and _FURTHER.match(line)):
                return None
            self.counts.continuations += 1
            return {}, None
        self._known_before = True
        if fields is not None and not _is_time(fields.get("startTime", "")):
            return None
        self.counts.used += 1
        if fields is None:
            return {}, None
        told = "\n".join((fields.get("requestURI", ""), fields.get("requestQuery", ""), fields["startTime"]))
        key = hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        if key in self._recent:
            return {}, None  # the same request again, with its numbers as numbers
        if len(self._recent) >= _RECENT:
            self._recent.pop(next(iter(self._recent)))
        self._recent[key] = None
        return fields, server

    def _made(self, records: list[_Record]) -> Made:
        if not records:
            return Made.none()
        rows: list[tuple[_Record, int]] = []
        texts: list[bytes] = []
        left_out: Counter[str] = Counter()
        for record in records:
            found = _sql(record.fields)
            left_out["a request whose query is not in the log"] += not found
            texts += found
            rows += [(record, place) for place in range(len(found))]
        asked = self._queries.read_all(pa.array(texts, pa.large_binary()))
        cool = asked.cool
        left_out["not a query of COOL"] = int((~cool).sum())
        rows = [row for row, one in zip(rows, cool.tolist(), strict=True) if one]
        return Made(table_of(self._columns(rows), asked.take(cool).columns()), len(records), +left_out)

    def _columns(self, rows: list[tuple[_Record, int]]) -> dict[str, Any]:
        """Return the columns of rows; what records do not say is null."""
        columns: dict[str, Any] = {
            name: [None] * len(rows) for name in [*(field.name for field in LOG_SCHEMA), *EXTRA_FIELDS]
        }
        fields = [record.fields for record, _ in rows]
        outcomes = [_outcome(one) for one in fields]
        untold = Outcome.UNKNOWN  # it may be an answer from the cache, or a rejection
        columns |= {flag: [None if one is untold else one in of for one in outcomes] for flag, of in FLAGS_OF.items()}
        numbers = {
            "querytime": "duration",
            "dbtime": "queryTime",
            "transfer_ms": "dbDataTime",
            "rows": "dbRows",
            "fsize": "dbSize",
            "time": "startTime",
        }
        columns |= {name: [_number(one.get(field)) for one in fields] for name, field in numbers.items()}
        return columns | {
            "outcome": [OUTCOMES[one] for one in outcomes],
            "error": [_error(one.get("dbError", "none")) for one in fields],
            "frontierserver": [self._host or record.server for record, _ in rows],
            "payload": [place for _, place in rows],
            "seen": ["whole"] * len(rows),
            "zone": ["UTC"] * len(rows),
            "utc_offset": [0] * len(rows),
            "log": [record.file for record, _ in rows],
            "line": [record.line for record, _ in rows],
        }


def _parsed(line: str) -> tuple[dict[str, str] | None, str | None, bool]:
    """Return the fields of a finished request, its server, and whether the line is one of a servlet at all."""
    fields, server = _of_line(line)
    if fields is not None:
        return (fields, server, True) if "duration" in fields else (None, None, True)
    return None, None, _LOGBACK.match(line) is not None


def _of_line(line: str) -> tuple[dict[str, str] | None, str | None]:
    """Return the fields of a line, and the server if it names one; no fields if it has none."""
    if line.startswith("{"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            return None, None
        told = record.get("mdc") if isinstance(record.get("mdc"), dict) else record
        fields = {name: str(told[name]) for name in _FIELDS if isinstance(told.get(name), (str, int))}
        server = record.get("HOSTNAME")
        return (fields if "requestURI" in fields else None), server if isinstance(server, str) else None
    found = _LOGBACK.match(line)
    done = None if found is None else _DONE.match(found["message"])
    if done is None:
        return None, None
    pieces = _FIELD.split(done["fields"])
    fields = {name: value.strip() for name, value in zip(pieces[1::2], pieces[2::2], strict=True)}
    return (fields if "requestURI" in fields else None), None


def _sql(fields: dict[str, str]) -> list[bytes]:
    """Return the SQL of a request: of its URL, which has all payloads, or as it was logged."""
    texts: tuple[str, ...] = ()
    with suppress(RequestUrlError):
        texts = decode_request(fields["requestURI"] + fields.get("requestQuery", "")).sql
    logged = fields.get("query", "")
    if logged and len(texts) < 2:
        texts = (logged,)
    return [text.encode("utf-8", "surrogatepass") for text in texts]


def _outcome(fields: dict[str, str]) -> Outcome:
    error = fields.get("dbError", "none")
    if error != "none":
        gone = "ClientAbortException" in error or "Broken pipe" in error
        return Outcome.DISCONNECTED if gone else Outcome.PROCESSING_ERROR
    return Outcome.SERVED if "dbRows" in fields else Outcome.UNKNOWN


def _error(text: str) -> str | None:
    return None if text == "none" else error_of(f"Error: {text}".encode("utf-8", "replace"))


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _DIGITS.match(text) else None


def _is_time(text: str) -> bool:
    return _DIGITS.match(text) is not None and int(text) < _LATEST
