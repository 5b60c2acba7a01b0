"""What is fuzzed of raw logs: functions of any bytes, which raise only if there is a fault.

The tests give them random bytes for some seconds; ``python scripts/fuzz.py`` does so for minutes.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

from frontierlab.errors import RequestUrlError
from frontierlab.rawlogs import CoolReader, Pseudonyms, decode_p1, decode_request, encode_request
from frontierlab.rawlogs.cool_writing import channels_sql, payload_sql, tags_sql
from frontierlab.rawlogs.sql_text import canonical, split

PSEUDONYMS = Pseudonyms("a key for fuzzing only")
READER = CoolReader(megabytes=1)
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


def _encoded(texts: list[str]) -> list[bytes]:
    return [text.encode() for text in texts]


TARGETS: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
    "request_url": (request_url, _encoded([encode_request(REAL[:1]), encode_request(REAL[1:3], separator="?")])),
    "packed": (packed, [zlib.compress(sql.encode(), 9) for sql in REAL]),
    "cool_sql": (
        cool_sql,
        _encoded(
            [
                *REAL,
                *(sql.partition(" WHERE ")[2] for sql in REAL),
                payload_sql("OFLP200", "ATLAS_COOLOFL_DCS", 14, 1, 2, tag_id=3, channel=4, payload_table=False),
                channels_sql("OFLP200", "ATLAS_COOLOFL_DCS", 14),
                tags_sql("OFLP200", "ATLAS_COOLOFL_DCS", 14),
                "A.CHANNEL_ID IN (1,2) AND (A.USER_TAG_ID IS NULL OR A.USER_TAG_ID BETWEEN -1 AND 5)",
            ]
        ),
    ),
    "personal": (
        personal,
        _encoded(
            [f"frontier-id: {FRONTIER_ID} via: 1.0 squid.site.org:3128 (squid/5.9)", FRONTIER_ID, "fe80::1, 10.0.0.1"]
        ),
    ),
}
"""The functions by name, with examples of what they are made for."""
