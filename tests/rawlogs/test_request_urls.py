"""Request URLs: real ones, both alphabets, several payloads; and what is refused, in bounded memory."""

from __future__ import annotations

import contextlib
import tracemalloc
import zlib
from base64 import b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frontierlab.errors import InvalidRequestError, RequestUrlError
from frontierlab.rawlogs import Payload, decode_p1, decode_request, encode_p1, encode_request, is_frontier_url
from frontierlab.rawlogs.request_urls import LONGEST_P1, LONGEST_SQL

REAL = (
    "eNpdj0EKAjEMRa8SshYZxa2L0Ga02GmGJiKucv9bWLEzFHfvv3wSopw5GBSJ7CkCKWBnPIDRbZM-7K7Qwrv9hu6zhIerkT11Hw.utyJrqGm1JGVv"
    "Da619K2eilrqZ4aMMFdZAMkyqQeRLHP2GBSP2Gg9T5O3hYrwF193rrz9eYXT5QOWkUJt"
)
REAL_SQL = (
    'SELECT NODE_ID AS "NODE_ID", TAG_ID AS "TAG_ID", TAG_NAME AS "TAG_NAME", TAG_LOCK_STATUS AS "TAG_LOCK_STATUS", '
    'TAG_DESCRIPTION AS "TAG_DESCRIPTION", SYS_INSTIME AS "SYS_INSTIME" FROM "ATLAS_COOLOFL_DCS"."OFLP200_TAGS" '
    '"OFLP200_TAGS" WHERE NODE_ID= 14'
)
PATH = "/type=frontier_request:1:DEFAULT&encoding=BLOBzip5&p1="
SQL = st.text(max_size=300).filter(lambda text: not text.endswith("\n") and text.isprintable())


def p1_of(data: bytes) -> str:
    return b64encode(data).decode()


def test_a_real_p1_is_decoded_and_encoded_to_the_same():
    assert decode_p1(REAL) == REAL_SQL
    assert encode_p1(REAL_SQL) == REAL


@given(SQL, st.sampled_from(["frontier", "standard"]), st.booleans())
def test_what_was_encoded_is_decoded(sql, alphabet, padding):
    written = encode_p1(sql, alphabet=alphabet, padding=padding)
    assert decode_p1(written) == sql
    percent = written.replace("+", "%2B").replace("/", "%2f").replace("=", "%3D")
    assert decode_p1(percent) == sql
    assert decode_p1("\n".join(written[i : i + 76] for i in range(0, len(written), 76)) + "\n") == sql


def test_alphabets_can_be_mixed():
    standard = REAL.replace("-", "/")  # as scripts write it that replace only the plus
    assert "." in standard
    assert decode_p1(standard) == REAL_SQL


@pytest.mark.parametrize(
    ("base", "separator"),
    [
        ("http://host:8000/atlr/Frontier", "/"),
        ("http://host:8000/atlr/Frontier", "?"),
        ("http://host:8000/atlr/Frontier/", "/"),  # some clients put another slash into the path
        ("/atlr/Frontier", "/"),
        ("", "/"),
    ],
)
def test_a_request_is_found_in_urls_and_their_parts(base, separator):
    url = encode_request([REAL_SQL], base=base, separator=separator)
    decoded = decode_request(url)
    assert is_frontier_url(url)
    assert decoded.base == base
    assert decoded.payloads == (Payload("sql", "frontier_request:1:DEFAULT", "BLOBzip5", REAL_SQL),)


def test_a_query_string_alone_is_a_request():
    assert decode_request(f"{PATH}{REAL}".lstrip("/")).sql == (REAL_SQL,)


def test_several_payloads_of_several_kinds():
    payloads = (
        Payload("sql", "frontier_request:1:DEFAULT", "BLOBzip", "SELECT 1 FROM DUAL", None, {"ttl": "short"}),
        Payload("file", "frontier_file:1:DEFAULT", "BLOB", "sqlite200/a b&c.db"),
        Payload("certificate", "cert_request:1", "pem", None),
        Payload("sql", "frontier_request:1", "BLOBzip9", REAL_SQL, None, {"sec": "sig", "freshkey": "a/b"}),
        Payload("other", "frontier_meta:1", "BLOB", "x"),
    )
    assert decode_request(encode_request(payloads)).payloads == payloads


def test_one_refused_payload_does_not_cost_the_others():
    decoded = decode_request(f"{PATH}garbage!&type=frontier_request:1&encoding=BLOB{PATH[0:0]}&p1={REAL}")
    assert decoded.sql == (REAL_SQL,)
    assert [payload.text is None for payload in decoded.payloads] == [True, False]
    assert len(decoded.refused) == 1


@pytest.mark.parametrize(
    ("p1", "reason"),
    [
        ("", "empty"),
        ("==", "empty"),
        ("a", "cut off"),
        ("eNpd!a", "neither alphabet"),
        ("eNpd=jOE", "neither alphabet"),
        ("eNpd_jOE", "neither alphabet"),
        ("eNpdé", "not ASCII"),
        ("aGVsbG8gd29ybGQ=", "not a valid zlib stream"),
        (REAL[:100], "cut off: its zlib stream has no end"),
        (p1_of(zlib.compress(b"SELECT 1") + b"more"), "4 bytes after the end"),
        (p1_of(zlib.compress(b"\xff\xfe")), "neither ASCII nor UTF-8"),
        (p1_of(zlib.compress(b"a" * (LONGEST_SQL + 1), 9)), "more than 1,048,576 bytes"),
        ("A" * (LONGEST_P1 + 1), "1,048,577 characters"),
    ],
)
def test_what_cannot_be_decoded_is_refused_with_the_reason(p1, reason):
    with pytest.raises(RequestUrlError, match=reason):
        decode_p1(p1)
    (payload,) = decode_request(f"{PATH}{p1}").payloads
    assert payload.text is None
    assert reason in payload.refused


def test_the_longest_sql_is_decoded():
    longest = "a" * LONGEST_SQL
    assert decode_p1(encode_p1(longest)) == longest
    with pytest.raises(InvalidRequestError, match="1,048,577 bytes"):
        encode_p1(longest + "a")


def test_a_bomb_takes_little_memory():
    packer = zlib.compressobj(9)
    bomb = p1_of(b"".join([packer.compress(bytes(1 << 20)) for _ in range(40)]) + packer.flush())  # 40 MiB
    tracemalloc.start()
    try:
        with pytest.raises(RequestUrlError, match="more than"):
            decode_p1(bomb)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("text", ["", "/", "http://host/cvmfs/atlas.cern.ch/.cvmfspublished", "subtype=1", "/p1=a"])
def test_what_is_no_frontier_request_is_said_so(text):
    assert not is_frontier_url(text)
    with pytest.raises(RequestUrlError, match="not a Frontier request"):
        decode_request(text)


def test_a_request_without_p1_is_refused():
    assert decode_request("/type=frontier_request:1&encoding=BLOB").refused == ("The query has no p1.",)
    assert decode_request("/type=frontier_file:1&encoding=BLOB").refused == ("The file request has no p1.",)


def test_endless_payloads_are_refused():
    with pytest.raises(RequestUrlError, match="more than 1,000 payloads"):
        decode_request("/" + "&".join(["type=a"] * 1_001))


def test_what_cannot_be_written_is_refused():
    with pytest.raises(InvalidRequestError, match="at least one payload"):
        encode_request([])
    with pytest.raises(InvalidRequestError, match="has no text"):
        encode_request([Payload("sql", "frontier_request:1", None, None)])
    with pytest.raises(InvalidRequestError, match="frontier and standard"):
        encode_p1("SELECT 1", alphabet="other")


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=400))
@example("type=&p1=%")
@example("?type=frontier_request:1&p1=%%%1&&==&=")
def test_any_text_is_decoded_or_refused(text):
    for written in (text, f"{PATH}{text}", f"/{text}&{PATH[1:]}{REAL}"):
        try:
            decoded = decode_request(written)
        except RequestUrlError:
            continue
        assert all((one.text is None) or (one.refused is None) for one in decoded.payloads)


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255))
def test_damaged_streams_are_decoded_or_refused(data, place, byte):
    packed = bytearray(zlib.compress(data))
    packed[place % len(packed)] = byte
    for p1 in (p1_of(packed), p1_of(packed[: place % len(packed)]), p1_of(data)):
        with contextlib.suppress(RequestUrlError):
            assert isinstance(decode_p1(p1), str)
