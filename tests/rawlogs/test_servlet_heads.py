"""Lines of servlets are read many at a time; a reader that takes one after another says the same."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from frontierlab.rawlogs.lines import Block, SetAside
from frontierlab.rawlogs.personal import Pseudonyms
from frontierlab.rawlogs.servlet.cutting import Scanner
from frontierlab.rawlogs.servlet.heads import HEAD
from frontierlab.rawlogs.servlet.messages import PREFIXES, Kind, kind_of
from frontierlab.rawlogs.servlet.scanning import BlockScanner
from frontierlab.rawlogs.texts import PADDING, numbers
from tests.support.examples import examples

PLACE = re.compile(rb"[A-Z]\S{0,53}\.java \+\d+ {1,2}")

SERVERS = st.sampled_from(["Prod", "frontier1.cern.example", "x", "a-name-of-24-characters", "\N{SNOWMAN}", "n" * 80])
STAMPS = st.builds(
    "{:02}/{:02}/{:02} {:02}:{:02}:{:02}.{:03}".format,
    *(st.integers(0, most) for most in (13, 32, 99, 24, 60, 61, 999)),
) | st.sampled_from(
    ["10/25/26 02:59:59.999", "02/29/25 00:00:00.000", "1a/25/26 02:00:00.000", "10/25/26 02:00:00,000"]
)
ZONES = st.sampled_from(["UTC +0000", "CEST +0200", "NST -0330", "GMT+02:00 +0200", "UTC 0000", "X +9999"])
IDS = st.builds("id={}{}".format, st.integers(0, 10**20) | st.integers(0, 999), st.sampled_from(["", "-ka", "-x"]))
MESSAGES = st.sampled_from(
    [
        *(prefix.decode() + more for prefix, _ in PREFIXES for more in ("", " 1", "5 msecs=7", "\u00e9" * 30)),
        *("", "a", "Foo.java +12 SQL [x]", "Foo.java +12 ", "foo.java +12 SQL [x]", "Frontier.java SQL [x]", " two"),
        *("stop threads=12 msecs=345", "rows=1, full size=123456789012", "Acquiring.java +7  stop threads=1 msecs=2"),
    ]
)
LINES = st.builds(
    "{} {} {} {} {}".format,
    SERVERS,
    STAMPS | st.just("10/25/26 02:00:00.000"),
    ZONES | st.just("UTC +0000"),
    IDS | st.just("FrontierInit"),
    MESSAGES,
) | st.sampled_from(["", "\tat a.b(C.java:1)", "Caused by: x", "Prod 10/25/26 02:00:00.000 UTC +0000 id="])


def one_by_one(line: bytes) -> tuple[str, int, int, str, int, int] | None:
    """Read one line: server, UTC in ms, minutes ahead of UTC, zone, id, kind; None if it begins no message."""
    found = HEAD.match(line)
    if found is None or len(line) <= 40:
        return None
    number = {name: int(found[name]) for name in ("month", "day", "year", "hour", "minute", "second", "ms")}
    shift = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"])) * (-1 if found["sign"] == b"-" else 1)
    if abs(shift) >= timedelta(days=1) or number["second"] > 60:
        return None
    try:
        minute = datetime(
            2000 + number["year"],
            number["month"],
            number["day"],
            number["hour"],
            number["minute"],
            tzinfo=timezone(shift),
        )
    except ValueError:
        return None
    request = -1 if found["id"] is None else int(found["id"])
    if request >= 2**63:
        return None
    message = line[found.end() :]
    message = message.removeprefix(b" ")  # servlets 3.19 to 3.22 print two blanks
    if (place := PLACE.match(message)) is not None:
        message = message[place.end() :]
    kind = kind_of(message)
    if request < 0 and kind != Kind.INITIALIZING:
        kind = Kind.SERVER
    since = minute.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    time = since // timedelta(milliseconds=1) + number["second"] * 1_000 + number["ms"]
    return (
        found["server"].decode(),
        time,
        shift // timedelta(minutes=1),
        found["zone"].decode(),
        request,
        int(kind),
    )


@settings(max_examples=examples(60))
@given(st.lists(st.lists(LINES, min_size=1, max_size=40), max_size=3))
def test_lines_read_many_at_a_time_are_read_as_each_of_them(blocks: list[list[str]]) -> None:
    scanner, pieces, number = Scanner(SetAside()), BlockScanner(Pseudonyms("a key of the test")), 1
    for lines in blocks:  # the second and third block have beginnings that are known by then
        data = [line.encode() for line in lines]
        piece = scanner.cut(Block(b"".join(line + b"\n" for line in data), Path("log"), number), last=True)
        assert piece is not None
        found = scanner.put(pieces.scan(piece))
        told = [
            (scanner.servers[server], time, offset, scanner.zones[zone], request, kind)
            for server, time, offset, zone, request, kind in zip(
                *(column.tolist() for column in (found.server, found.time, found.offset, found.zone, found.request)),
                found.kind.tolist(),
                strict=True,
            )
        ]
        wanted = [one_by_one(line) for line in data]
        assert told == [one for one in wanted if one is not None]
        assert found.line.tolist() == [number + k for k, one in enumerate(wanted) if one is not None]
        number += len(lines)


@settings(max_examples=examples(60))
@given(st.lists(st.tuples(st.text("0123456789", max_size=24), st.sampled_from(" /:a\xff\0")), max_size=30))
def test_numbers_of_any_length_are_read(parts: list[tuple[str, str]]) -> None:
    text = "".join(digits + behind for digits, behind in parts).encode("latin-1")
    at, place = [], 0
    for digits, _ in parts:
        at.append(place)
        place += len(digits) + 1
    values, behind = numbers(np.frombuffer(text + bytes(PADDING), np.uint8), np.array(at, np.int64))
    for (digits, _), low, value, end in zip(parts, at, values.tolist(), behind.tolist(), strict=True):
        fits = 0 < len(digits) < 20 and int(digits) < 2**63
        assert value == (int(digits) if fits else -1)
        assert end == low + min(len(digits), 20)
