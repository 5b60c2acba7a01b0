"""Lines of Squid's access logs, one at a time: the slow reader of lines that `fast_lines` leaves."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from frontierlab.rawlogs.squid.fields import FIELDS, NATIVE_ZONE, NOTHING

__all__ = ["BYTES", "DURATION", "LONGEST", "STATUS", "read_odd_lines", "wall_ms"]

LONGEST = 65_536
"""The longest line that is read, in characters: Squid itself writes shorter ones."""

STATUS = 5
"""The most digits of a status."""

BYTES = 13
"""The most digits of bytes: 10 TB."""

DURATION = 10
"""The most digits of a duration in milliseconds: 116 days."""

_WALL = r"\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d"
_TIME = rf"\[(?P<time>{_WALL})(?:\.(?P<ms>\d{{3}}))? (?P<zone>[+-]\d{{4}})\]"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_LINE = re.compile(
    rf'(?P<client>[^ "]+) (?P<ident>[^ "]+) (?P<user>[^ "]+) {_TIME} "(?P<method>[^ "]+) (?P<url>[^"]*) HTTP/[0-9.]+" '
    rf"(?P<status>\d{{1,{STATUS}}}) (?P<bytes>\d{{1,{BYTES}}}) (?P<tag>[^ :\"]+:[^ \"]+) "
    rf"(?P<duration>\d{{1,{DURATION}}})"
    rf"(?P<quoted>(?: {_QUOTED}){{2,3}})",
    re.ASCII,
)
_NATIVE = re.compile(
    rf"(?P<seconds>\d{{10}})\.(?P<ms>\d{{3}})\s+(?P<duration>\d{{1,{DURATION}}})\s+(?P<client>\S+)\s+"
    rf"(?P<tag>[^\s/]+)/(?P<status>\d{{1,{STATUS}}})\s+(?P<bytes>\d{{1,{BYTES}}})\s+(?P<method>\S+)\s+(?P<url>\S+)\s+"
    r"(?P<user>\S+)\s+(?P<hierarchy>\S+)\s+(?P<type>\S+)",
    re.ASCII,
)
_WALL_TIME = re.compile(_WALL, re.ASCII)
_BLANKS = " \t\r\n\v\f"
_MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if name}


def read_odd_lines(lines: Sequence[tuple[int, str]]) -> tuple[pa.Table, list[tuple[int, str]]]:
    """Read lines one at a time.

    Parameters
    ----------
    lines
        The number of each line in its block, and its text.

    Returns
    -------
    tuple
        The lines that were read, with the columns of `fields.FIELDS`; and the number of each other line with the reason
        why it is not one of an access log.
    """
    rows: list[dict[str, Any]] = []
    refused: list[tuple[int, str]] = []
    for number, text in lines:
        row = _read(text.rstrip(_BLANKS))
        if isinstance(row, str):
            refused.append((number, row))
        else:
            rows.append({**row, "number": number})
    return pa.Table.from_pylist(rows, schema=FIELDS), refused


def wall_ms(text: str) -> int | None:
    """Return a time such as ``26/Nov/2026:19:18:33`` in ms since 1970, without a zone; None if there is none such."""
    if _WALL_TIME.fullmatch(text) is None:
        return None
    try:
        day, month, year = int(text[:2]), _MONTHS[text[3:6]], int(text[7:11])
        clock = int(text[12:14]), int(text[15:17]), int(text[18:20])
        if not (1970 <= year < 9_999 and 1 <= day <= calendar.monthrange(year, month)[1]):
            return None
    except (ValueError, KeyError, calendar.IllegalMonthError):
        return None
    if clock[0] > 23 or clock[1] > 59 or clock[2] > 60:
        return None
    return 1000 * calendar.timegm((year, month, day, *clock))


def _read(text: str) -> dict[str, Any] | str:
    if not text:
        return "an empty line"
    if len(text) > LONGEST:
        return "a line that is too long"
    if (found := _LINE.fullmatch(text)) is not None:
        return _of_awstats(found)
    if (found := _NATIVE.fullmatch(text)) is not None:
        return {
            **_common(found),
            "format": "native",
            "ident": NOTHING,
            "local_ms": 1000 * int(found["seconds"]) + int(found["ms"]),
            "zone": NATIVE_ZONE,
            "tag": f"{found['tag']}:{found['hierarchy']}",
            "identity": NOTHING,
            "modified_since": NOTHING,
        }
    return "no line of a known format"


def _of_awstats(found: re.Match[str]) -> dict[str, Any] | str:
    local = wall_ms(found["time"])
    if local is None:
        return "a time that does not exist"
    quoted = [re.sub(r"\\(.)", r"\1", one[1:-1]) for one in re.findall(_QUOTED, found["quoted"])]
    identity, format_ = quoted[0], "two" if len(quoted) == 2 else "three"
    if format_ == "three" and found["ms"] is not None:
        format_, identity = "three with cvmfs", frontier_half(identity)
    return {
        **_common(found),
        "format": format_,
        "ident": found["ident"],
        "local_ms": local + int(found["ms"] or 0),
        "zone": found["zone"],
        "tag": found["tag"],
        "identity": identity,
        "modified_since": quoted[1] if format_ == "two" else NOTHING,
    }


def _common(found: re.Match[str]) -> dict[str, Any]:
    return {
        "client": found["client"],
        "method": found["method"],
        "url": found["url"],
        "status": int(found["status"]),
        "wire_bytes": int(found["bytes"]),
        "duration_ms": int(found["duration"]),
    }


def frontier_half(field: str) -> str:
    """Return the Frontier id of a field that holds ``id cvmfs``, where an absent half is ``-``."""
    if field == NOTHING or field.startswith("- "):
        return NOTHING
    return field.removesuffix(" -")
