"""Random logs: any interleaving, any cut into blocks, any damage."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontierlab.rawlogs.cool_columns import NO_WIDTH, QueryReader
from frontierlab.rawlogs.cool_writing import channels_sql, payload_sql, tags_sql
from frontierlab.rawlogs.lines import Block
from frontierlab.rawlogs.personal import Pseudonyms
from frontierlab.rawlogs.servlet import log_reader
from frontierlab.rawlogs.servlet.log_reader import LogReader
from frontierlab.rawlogs.servlet.messages import PREFIXES, Kind, kind_of
from frontierlab.rawlogs.servlet.printing import Printed, lines_of
from frontierlab.rawlogs.servlet.starts import Asker, StartReader
from frontierlab.rawlogs.sql_text import sql_hash
from frontierlab.rawlogs.texts import Texts
from tests.rawlogs.fuzzed import Rows
from tests.support.examples import examples

OUTCOMES = {
    "served": "served",
    "cached": "not modified (cached)",
    "unchanged": "not modified (database)",
    "rejected": "rejected",
    "disconnected": "disconnected",
    "failed": "processing error",
    "not acquired": "database not acquired",
}
SQL = channels_sql("CONDBR2", "ATLAS_COOLONL_SCT", 26)
HEAD = "Prod{server} 10/25/26 02:{minute:02}:{second:02}.000 CEST +0200 id={number} "


class Kept(Rows):
    """Keeps the rows too."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []

    def write(self, rows: pa.Table) -> None:
        super().write(rows)
        self.rows += rows.to_pylist()


def read(text: bytes, sizes: list[int]) -> tuple[list[dict[str, Any]], LogReader]:
    """Read a log that is cut into blocks of so many lines."""
    kept = Kept()
    reader = LogReader(kept, Pseudonyms("a key of the test"), None, ["CONDBR2"])  # type: ignore[arg-type]
    lines, number, turn = text.splitlines(keepends=True), 1, 0
    with mock.patch.object(log_reader, "_TOGETHER", 1):  # requests are put together after each block
        while lines:
            size = sizes[turn % len(sizes)]
            reader.add(Block(b"".join(lines[:size]), Path("log"), number), last=size >= len(lines))
            lines, number, turn = lines[size:], number + size, turn + 1
    facts = reader.finish()
    assert facts.lines.add_up
    assert facts.lines.lines == text.count(b"\n")
    assert kept.counts["malformed"] == facts.lines.set_aside.total()
    assert kept.counts["read"] == len(kept.rows) + kept.counts["left out"] + kept.counts["malformed"]
    return kept.rows, reader


def request(outcome: Any, number: int) -> Printed:
    return Printed(SQL, "/type=x", 3, "varnish", None, None, outcome, 5, 2, 700, "A and B", number)


@st.composite
def logs(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, int, str]]]:
    """Interleaved requests of two servers, with lines of Tomcat between them; and what became of each request."""
    asked = draw(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([*OUTCOMES])), min_size=1, max_size=8))
    waiting, expected, numbers = [], [], Counter[int]()
    for server, outcome in asked:
        numbers[server] += 1
        messages = [message for _, message in lines_of(request(outcome, numbers[server]), "3.42")]
        waiting.append((server, numbers[server], messages))
        expected.append((f"Prod{server}", numbers[server], OUTCOMES[outcome]))
    out, time = [], 0
    while waiting:
        place = draw(st.integers(0, min(len(waiting), 3) - 1))
        server, number, messages = waiting[place]
        head = HEAD.format(server=server, minute=time // 60, second=time % 60, number=number)
        out.append(head + messages.pop(0) + "\n")
        time = min(time + 1, 3599) if draw(st.booleans()) else time
        if not messages:
            waiting.pop(place)
        if draw(st.integers(0, 9)) == 0:
            out.append("INFO: something of Tomcat\n")
    return "".join(out).encode(), expected


@settings(max_examples=examples(40))
@given(logs(), st.permutations([1, 2, 4, 9, 20]))
@pytest.mark.slow
def test_requests_are_told_apart_in_any_interleaving_and_any_blocks(
    log: tuple[bytes, list[tuple[str, int, str]]], sizes: list[int]
) -> None:
    text, expected = log
    rows, reader = read(text, sizes)
    assert sorted((row["frontierserver"], row["request_id"], row["outcome"]) for row in rows) == sorted(expected)
    assert {row["seen"] for row in rows} == {"whole"}
    assert {row["generation"] for row in rows} == {0}
    assert {row["utc_offset"] for row in rows} == {120}
    tomcat = text.count(b"INFO: something")
    assert reader.facts.lines.set_aside == Counter({"not a line of a servlet": tomcat} if tomcat else {})


@settings(max_examples=examples(20))
@given(logs(), st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=12)), max_size=12))
def test_no_damage_breaks_reading_or_the_account_of_lines(
    log: tuple[bytes, list[tuple[str, int, str]]], damages: list[tuple[int, bytes]]
) -> None:
    text = bytearray(log[0])
    for place, new in damages:
        place %= len(text)
        text[place : place + len(new)] = new.translate(None, b"\r\x0b\x0c\x1c\x1d\x1e\x85")
    damaged = bytes(text).replace(b"\r", b"").translate(None, b"\x0b\x0c\x1c\x1d\x1e\x85") + b"\n"
    once, _ = read(damaged, [10_000])
    again, _ = read(damaged, [9, 1, 20])
    assert sorted(map(str, once)) == sorted(map(str, again))


def test_a_restart_without_a_line_of_its_own_is_seen_by_ids() -> None:
    texts = []
    for life in range(2):
        for number in (1, 2):
            for _, message in lines_of(request("served", number), "3.42")[: 3 if life == 0 and number == 2 else None]:
                texts.append(HEAD.format(server=0, minute=life, second=number, number=number) + message + "\n")
    rows, reader = read("".join(texts).encode(), [100])
    assert [(row["generation"], row["request_id"], row["outcome"]) for row in rows] == [
        (0, 1, "served"),
        (0, 2, "unfinished"),
        (1, 1, "served"),
        (1, 2, "served"),
    ]
    assert rows[1]["cached"] is None
    assert reader.facts.restarts == 1


def test_several_payloads_have_rows_and_outcomes_of_their_own() -> None:
    head = HEAD.format(server=0, minute=0, second=0, number=7)
    start = lines_of(request("served", 1), "3.42")[0][1]
    other = tags_sql("CONDBR2", "ATLAS_COOLONL_SCT", 27)
    messages = [start, f"SQL [{SQL}]", f"SQL [{other}]", f"SQL [{SQL}]", "Executing DB query"]
    messages += ["DB query finished msecs=11", "rows=3, full size=100", "Executing DB query"]
    messages += [
        "rows=0, full size=20",
        "Error while processing payload 1:\njava.lang.Exception: ORA-00942: gone\n\tat x\n",
    ]
    messages += ["stop threads=1 msecs=50", "FATAL ERROR:\njava.lang.Error: x\n", "closing immediately"]
    rows, reader = read("".join(f"{head}{message}\n" for message in messages).encode(), [4])
    told = [(row["payload"], row["node_id"], row["outcome"], row["fsize"], row["error"]) for row in rows]
    assert told == [
        (0, 26, "served", 100, None),
        (1, 27, "processing error", 20, "ORA-00942"),
        (2, 26, "not reached", None, None),
    ]
    assert [row["procerror"] for row in rows] == [False, True, True]
    assert [row["dbtime"] for row in rows] == [11, 0, None]
    assert {row["querytime"] for row in rows} == {50}
    assert reader.facts.lines.set_aside == Counter()


def test_a_request_whose_sql_is_cut_is_read_from_its_url() -> None:
    from frontierlab.rawlogs import encode_request

    head = HEAD.format(server=0, minute=0, second=0, number=7)
    start = f"servlet_version:3.42 start threads:1 query {encode_request([SQL])} raddr 127.0.0.1 frontier-id: varnish"
    rows, _ = read(f"{head}{start}\n{head}SQL [SELECT cut\n{head}stop threads=1 msecs=5\n".encode(), [9])
    assert [(row["node_id"], row["outcome"]) for row in rows] == [(26, "unknown")]


NUMBERS = st.one_of(st.integers(0, 2**63 - 1), st.sampled_from([0, 1, 99, 100, 1234567, 2**63 - 1]))


@settings(max_examples=examples(100))
@given(
    st.lists(
        st.builds(
            lambda since, until, tag, channel, folder: payload_sql(
                "CONDBR2", "ATLAS_COOLOFL_PIXEL", folder, since, until, tag_id=tag, channel=channel
            ),
            NUMBERS,
            NUMBERS,
            st.none() | st.integers(0, 200),
            st.none() | st.integers(0, 2_000),
            st.sampled_from([3, 12]),
        )
        | st.sampled_from(
            [SQL, "SELECT 1 FROM DUAL", "SELECT x WHERE IOV_SINCE<=123 é", "SELECT x WHERE 1<2 AND IOV_SINCE<=7"]
        ),
        max_size=8,
    )
)
def test_many_queries_are_read_as_each_of_them(texts: list[str]) -> None:
    reader = QueryReader()
    for _ in range(2):  # the second time patterns are known
        many = reader.read_all(pa.array([text.encode() for text in texts], pa.large_binary()))
        for number, text in enumerate(texts):
            width = int(many.width[number])
            found = many.asked[many.codes[number]]._replace(
                since=int(many.since[number]),
                until=int(many.until[number]),
                width=None if width == NO_WIDTH else width,
            )
            assert found == reader.read(text.encode())
            assert many.hashes[number] == (sql_hash(text) if found.shape is None else found.shape)


IDS = st.sampled_from(
    ["[12_34] 2.10 7 me(1) /CN=Me", "varnish", "missing", "client 2.10 7 me(1) My Name", "[12_34] x", "odd via: x"]
)
HEADERS = st.lists(
    st.sampled_from(
        [" via: 1.0 squid.site:3128 (squid/4)", " Via: odd", " x-forwarded-for: 10.0.0.1, 10.0.0.2", " ", ": "]
    ),
    max_size=3,
)
QUERIES = st.sampled_from(["/q", "/q", "", "/q /r", "raddr", " raddr ", "/q raddr x"])
ADDRESSES = st.sampled_from(["::1", "::1", "", "f00::1", "frontier-id:", "a frontier-id: b"])


@settings(max_examples=examples(60))
@given(
    st.lists(
        st.tuples(IDS, HEADERS, st.sampled_from(["3.42", ""]), st.sampled_from(["7", "x"]), QUERIES, ADDRESSES),
        max_size=6,
    )
)
def test_many_start_lines_are_read_as_each_of_them(lines: list[tuple[str, list[str], str, str, str, str]]) -> None:
    texts = [
        f"servlet_version:{version} start threads:{threads} query {query} raddr {address} frontier-id: {one}"
        f"{''.join(headers)}"
        for one, headers, version, threads, query, address in lines
    ] + ["servlet_version:3.42 start thr"]
    reader = StartReader(Pseudonyms("a key of the test"))
    many = reader.read_all(Texts.of(pa.array([text.encode() for text in texts], pa.large_binary())))
    for number, text in enumerate(texts):
        start = reader.read(text.encode())
        told = {name: column[number].as_py() for name, column in many.items()}
        assert told == {
            "servlet_version": start.version,
            "initthreads": start.threads,
            "squid": start.squid,
            "client": start.client,
            **dict(zip(Asker._fields, start.asker, strict=True)),
        }


@given(st.lists(st.text("ab<", max_size=12), max_size=4))
def test_a_text_is_found_by_one_of_its_bytes_as_without(some: list[str]) -> None:
    texts = Texts.of(pa.array([text.encode() for text in some], pa.large_binary()))
    found = [text.find("a<b") for text in some]
    for by in (None, 0, 1, 2):
        places = texts.find(b"a<b", by=by)
        assert [place - begin if place >= 0 else -1 for place, begin in zip(places, texts.begin, strict=True)] == found


@pytest.mark.parametrize(("prefix", "kind"), PREFIXES)
def test_each_message_is_recognised_by_its_beginning(prefix: bytes, kind: Kind) -> None:
    assert kind_of(prefix + b" 1") == kind
    head = HEAD.format(server=0, minute=0, second=0, number=7).encode()
    from frontierlab.rawlogs.servlet.scanning import BlockScanner, Piece
    from frontierlab.rawlogs.texts import PADDING

    text = b"".join(head + prefix + more + b"\n" for more in (b"", b" 1", b"x" * 80))
    found = (
        BlockScanner(Pseudonyms("a key of the test")).scan(Piece(text + bytes(PADDING), len(text), last=True)).messages
    )
    assert [Kind(one) for one in found.kind.tolist()] == [kind_of(prefix + more) for more in (b"", b" 1", b"x" * 80)]
