"""What is fuzzed of raw logs: functions of any bytes, which raise only if there is a fault.

The tests give them random bytes for some seconds; ``python scripts/fuzz.py`` does so for minutes.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import tempfile
import zlib
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from frontierlab.errors import RequestUrlError
from frontierlab.rawlogs import (
    CoolReader,
    Pseudonyms,
    decode_p1,
    decode_request,
    encode_request,
    write_servlet_logs,
)
from frontierlab.rawlogs.cool_writing import channels_sql, payload_sql, tags_sql
from frontierlab.rawlogs.growing_log import GrowingLog
from frontierlab.rawlogs.lines import Block
from frontierlab.rawlogs.log_files import LogSet
from frontierlab.rawlogs.servlet.log_reader import LogReader
from frontierlab.rawlogs.sql_text import canonical, split
from frontierlab.rawlogs.squid import write_squid_logs
from frontierlab.rawlogs.squid.answers import dated
from frontierlab.rawlogs.squid.asked import Asked
from frontierlab.rawlogs.squid.clock import Clock, zone_of
from frontierlab.rawlogs.squid.parsing import parse
from frontierlab.sample import World
from frontierlab.settings import Settings

KEY = "a key for fuzzing only"
SERVLET_LOG = b"FrontierProd 10/01/26 03:40:07.536 UTC +0000 FrontierInit max threads: 100\n"
PSEUDONYMS = Pseudonyms(KEY)
READER = CoolReader(megabytes=1)
ASKED = Asked(None)
PIECES = re.compile(rb"[\xf8-\xfb]|[^\xf8-\xfb]+")
REAL = json.loads((Path(__file__).parent / "cool_queries.json").read_text())
FRONTIER_ID = "[31415926_5012345678] 2.9.1 4711 atlprd12(40012) /DC=ch/DC=cern/CN=jdoe/CN=Jane Doe"


def request_url(data: bytes) -> None:
    """Decode bytes as a URL, and as the p1 of one; what is decoded can be encoded and decoded again."""
    text = data.decode("latin-1")
    for url in (text, f"/type=frontier_request:1:DEFAULT&encoding=BLOB&p1={text}"):
        with contextlib.suppress(RequestUrlError):
            decoded = decode_request(url)
            again = [payload for payload in decoded.payloads if payload.kind == "sql" and payload.text is not None]
            if again and not any(payload.text.endswith("\n") for payload in again if payload.text):
                assert decode_request(encode_request([one.text or "" for one in again])).sql == decoded.sql


def packed(data: bytes) -> None:
    """Decode bytes as a zlib stream, after the header of one, and in one."""
    for stream in (data, b"\x78\xda" + data, zlib.compress(data)):
        with contextlib.suppress(RequestUrlError):
            assert decode_p1(b64encode(stream).decode()) is not None


def cool_sql(data: bytes) -> None:
    """Read bytes as SQL, and as the conditions of a COOL query; the text is not lost and its shape is stable."""
    text = data.decode("latin-1")
    for sql in (text, f"SELECT * FROM S.CONDBR2_F0003_IOVS A WHERE {text}"):
        found = READER.read(sql)
        assert found.is_cool or found.asks_payload is None
        assert READER.read(sql) == found
        stretches, values = split(sql)
        assert "".join(part for pair in zip(stretches, values, strict=True) for part in pair) == sql
        shape = canonical(sql)
        assert sum(len(slot.values) for slot in shape.slots) == len([value for value in values if value])


def personal(data: bytes) -> None:
    """Replace personal data in bytes: the address in their midst is gone."""
    text = data.decode("latin-1")
    PSEUDONYMS.frontier_id(text)
    PSEUDONYMS.via(text)
    PSEUDONYMS.forwarded_for(text)
    assert " 203.0.113.77 " not in PSEUDONYMS.scrubbed(f"{text} 203.0.113.77 {text}")


class Rows:
    """Stands for the writer of a dataset's part: it counts."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def write(self, rows: pa.Table) -> None:
        self.counts["rows"] += rows.num_rows

    def add_malformed(self, kept: list[Any]) -> None:
        self.counts["malformed"] += len(kept)

    def count(
        self,
        *,
        read: int = 0,
        left_out: Counter[str],
        malformed: Counter[str] | None = None,
        conflicts: Counter[str] | None = None,
    ) -> None:
        self.counts["read"] += read
        self.counts["left out"] += left_out.total()
        self.counts["malformed"] += (malformed or Counter()).total()


def servlet_log(data: bytes) -> None:
    """Read bytes as a servlet log, in two blocks: each line and each query is accounted for."""
    rows: Any = Rows()
    reader = LogReader(rows, PSEUDONYMS, None, Settings.model_fields["db_instances"].default)
    half = data.rfind(b"\n", 0, len(data) // 2) + 1
    first = SERVLET_LOG + data[:half]
    reader.add(Block(first, Path("catalina.out"), 1), last=False)
    rest = data[half:] + (b"" if data[half:].endswith(b"\n") else b"\n")
    reader.add(Block(rest, Path("catalina.out"), 1 + first.count(b"\n")), last=True)
    facts = reader.finish()
    assert facts.lines.add_up
    assert facts.lines.lines == first.count(b"\n") + rest.count(b"\n")
    assert rows.counts["read"] == rows.counts["rows"] + rows.counts["left out"] + rows.counts["malformed"]


def squid_log(data: bytes) -> None:
    """Read bytes as lines of a Squid's access log: each line is accounted for."""
    block = Block(data + b"\n", Path("access.log"), 1)
    parsed = parse(block, Asked(None), PSEUDONYMS)
    place = {"squid": "a", "computingsite": None, "file": "access.log"}
    rows = dated(parsed.answers, Clock(zone_of("Europe/Zurich")), place, 1)
    assert rows.num_rows == parsed.answers.rows.num_rows
    assert parsed.counts().add_up
    assert parsed.lines == parsed.counts().lines == block.data.count(b"\n")


EVENTS = {
    0xF8: "rotate",
    0xF9: "truncate",
    0xFA: "stop",
    0xFB: "stop and rotate",
    0xFC: "copy and truncate",
    0xFD: "stop and compress",
}
"""Bytes that no text has, and what happens to a followed log where they stand."""


def following(data: bytes) -> None:
    """Follow a log through rotation, truncation and restarts of the reader: each byte comes once, in whole lines."""
    found: list[Block] = []
    expected = b""
    with tempfile.TemporaryDirectory() as folder:
        path, rotated = Path(folder, "access.log"), 0
        path.write_bytes(b"")
        log = followed_log(path, found)
        log.read()
        written = b""  # to the file that is there now
        for piece in PIECES.findall(data[:20_000]):
            event = EVENTS.get(piece[0])
            if event is None:
                written += piece
                with path.open("ab") as file:
                    file.write(piece)
            known = len(written[: written.rfind(b"\n") + 1]) >= 32  # so that a copy is recognised
            if event and not known:
                event = {"copy and truncate": "truncate", "stop and compress": "stop and rotate"}.get(event, event)
            if event and event.startswith("stop"):
                state = json.loads(json.dumps(log.state()))
                log.close()
            if event in ("copy and truncate", "stop and compress"):  # with a line that was not read yet
                written += b" more\n"
                rotated += 1
                name, text = f"access.log.{1_000 - rotated}", written
                if event == "stop and compress":
                    path.unlink()
                    name, text = f"{name}.gz", gzip.compress(written)
                Path(folder, name).write_bytes(text)
                path.write_bytes(b"")
                expected, written = expected + written, b""
            if event in ("rotate", "stop and rotate"):
                rotated += 1
                path.rename(Path(folder, f"access.log.{1_000 - rotated}"))
                path.write_bytes(b"")
                expected, written = expected + whole(written), b""
            if event == "truncate":
                expected, written = expected + written[: written.rfind(b"\n") + 1], b""
                path.write_bytes(b"")
            if event and event.startswith("stop"):
                log = followed_log(path, found)
                log.resume(state)
            log.read()
        log.end()
    assert b"".join(block.data for block in found) == plain(expected + whole(written))
    for block in found:
        if block.data:
            assert parse(block, ASKED, PSEUDONYMS).counts().add_up


def followed_log(path: Path, found: list[Block]) -> GrowingLog:
    """Return a log that adds its blocks to a list."""
    return GrowingLog(LogSet(path, (path,)), lambda block, last: found.append(block), lambda sentence: None)


def whole(written: bytes) -> bytes:
    """Return what is read of a file at its end: its last line also without a line feed."""
    return written + b"\n" if written and not written.endswith(b"\n") else written


def plain(written: bytes) -> bytes:
    """Return lines as they are read: without carriage returns at their ends, and without zeros."""
    return written.replace(b"\r\n", b"\n").replace(b"\0", b"")


def followed() -> list[bytes]:
    """Return logs, with events in them."""
    lines = [line for log in squid_logs() for line in log.splitlines(keepends=True)][:12]
    events = [bytes([event]) for event in EVENTS]
    mixed = [line[:40] + event + line[40:] for line, event in zip(lines, events * 3, strict=False)]
    return [
        b"".join(lines),
        b"".join(mixed),
        b"".join(line + event for line, event in zip(lines, events, strict=False)),
    ]


def urls() -> list[bytes]:
    """Return URLs of requests."""
    return [encode_request(REAL[:1]).encode(), encode_request(REAL[1:3], separator="?").encode()]


def streams() -> list[bytes]:
    """Return what a p1 encodes."""
    return [zlib.compress(sql.encode(), 9) for sql in REAL]


def statements() -> list[bytes]:
    """Return SQL, and conditions."""
    folder = ("OFLP200", "ATLAS_COOLOFL_DCS", 14)
    written = [payload_sql(*folder, 1, 2, tag_id=3, channel=4, payload_table=False), channels_sql(*folder)]
    conditions = "A.CHANNEL_ID IN (1,2) AND (A.USER_TAG_ID IS NULL OR A.USER_TAG_ID BETWEEN -1 AND 5)"
    own = [sql.partition(" WHERE ")[2] for sql in REAL]
    return [sql.encode() for sql in (*REAL, *own, *written, tags_sql(*folder), conditions)]


def people() -> list[bytes]:
    """Return texts with personal data."""
    headers = f"frontier-id: {FRONTIER_ID} via: 1.0 squid.site.org:3128 (squid/5.9)"
    return [text.encode() for text in (headers, FRONTIER_ID, "fe80::1, 10.0.0.1", "joe.doe@cern.ch joe(1) Joe")]


def servlet_logs() -> list[bytes]:
    """Return logs of servlets of two versions."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for version in ("3.7", "3.42"):
            world = World(30, seed=5, malformed=0, faithful=True)
            logs = write_servlet_logs(world, Path(folder, version), version=version, noise=0.3, kills=1)
            found.append(logs[0].read_bytes()[:8_000])
    return found


def squid_logs() -> list[bytes]:
    """Return access logs of Squids in the four formats."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for form in ("two", "three", "three with cvmfs", "native"):
            write_squid_logs(World(30, seed=5), Path(folder, form), format=form)
            log = next(file for file in sorted(Path(folder, form).rglob("*")) if file.is_file())
            found.append(log.read_bytes()[:4_000])
    return found


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = {
    "request_url": (request_url, urls),
    "packed": (packed, streams),
    "cool_sql": (cool_sql, statements),
    "personal": (personal, people),
    "servlet_log": (servlet_log, servlet_logs),
    "squid_log": (squid_log, squid_logs),
    "following": (following, followed),
}
"""The functions by name, with what makes examples of that for which they are."""
