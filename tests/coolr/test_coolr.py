"""The COOLR client: answers read and checked, calls repeated, split and kept; against a server that misbehaves."""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from frontierlab import Settings, connections, errors
from frontierlab.coolr import AnswersNotKept, Archive, Cancelled, Coolr, Node, Tag, cache, calls, connect, retry
from frontierlab.coolr import protocol as sources
from frontierlab.coolr.calls import Caller, TooLarge, Unreached
from frontierlab.coolr.digest import digest
from frontierlab.coolr.responses import PAYLOADS, Unusable, decode, read_nodes, read_payloads, read_schemas, read_tags
from frontierlab.errors import ConfigurationError, CoolrError, InvalidRequestError
from frontierlab.sample import World
from frontierlab.schema import OPEN_IOV
from tests.services.coolr import FOR_EVER, CoolrServer, Trouble, by_tag

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

PIXEL = ("CONDBR2", "ATLAS_COOLOFL_PIXEL", "/PIXEL/PixCalib", "PixCalib-RUN2-DATA-UPD4-12")
SENSORS = ("CONDBR2", "ATLAS_COOLOFL_DCS", "/EXT/DCS/MAGNETS/SENSORDATA", "none")
RANGE = (1348314788265984, 1348314788266157)


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.fixture
def server(world):
    with CoolrServer(world) as server:
        yield server


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """No test waits between two attempts; the seconds that it would have waited."""
    seconds: list[float] = []
    monkeypatch.setattr(Caller, "_sleep", lambda self, wait: seconds.append(wait))
    return seconds


@pytest.fixture
def client(server, data_dir):
    with Coolr(settings(server, data_dir)) as client:
        yield client


def settings(server, data_dir, **changes):
    return Settings(**{"coolr_host": server.host, "data_dir": data_dir, "coolr_confirm": False, **changes})


def without_content(rows):
    return rows.select(["channel", "since", "until"]).to_pylist()


def assert_is_the_world(rows, world, key, since, until):
    """The rows of the world that meet the range; contents are equal where the world's are."""
    expected = [row for row in by_tag(world)[key] if row["since"] <= until and row["until"] > since]
    expected.sort(key=lambda row: (row["channel"], row["since"], row["until"]))
    assert without_content(rows) == [{name: row[name] for name in ("channel", "since", "until")} for row in expected]
    pairs = {(row["content"], found) for row, found in zip(expected, rows["content"].to_pylist(), strict=True)}
    assert len(pairs) == len({ours for ours, _ in pairs}) == len({theirs for _, theirs in pairs})


# ---- answers as they should be


@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("shape", [1, 2])
@pytest.mark.parametrize("style", ["snake", "camel"])
def test_both_key_styles_and_both_shapes_give_the_same(world, data_dir, style, shape, texts):
    server = CoolrServer(world, style=style, shape=shape, texts=texts)
    with server, Coolr(settings(server, data_dir)) as client:
        assert client.schemas("CONDBR2")[:2] == ["ATLAS_COOLOFL_PIXEL", "ATLAS_COOLONL_SCT"]
        first = Node("/PIXEL/PixCalib", 3, "run-lumi", "about /PIXEL/PixCalib")
        assert client.nodes("CONDBR2", "ATLAS_COOLOFL_PIXEL")[0] == first
        assert client.tags(*PIXEL[:3])[0] == Tag("PixCalib-RUN2-DATA-UPD4-12", 1)
        assert client.tags(*SENSORS[:3]) == []
        rows = client.payloads(*PIXEL, 0, OPEN_IOV, "run-lumi")
    assert rows.schema == PAYLOADS
    assert_is_the_world(rows, world, PIXEL, 0, OPEN_IOV)


@pytest.mark.parametrize("key", [PIXEL, SENSORS])
def test_a_range_gives_the_rows_that_overlap_it(client, world, key):
    ends = sorted({row[name] for row in by_tag(world)[key] for name in ("since", "until")})[::40]
    for since in ends:
        for until in {since, since + 1 if since < OPEN_IOV else since, ends[-1]}:
            assert_is_the_world(client.payloads(*key, since, until), world, key, since, until)


@pytest.mark.slow
def test_every_folder_and_tag_of_the_world(client, world):
    for key in by_tag(world):
        assert_is_the_world(client.payloads(*key, 0, OPEN_IOV), world, key, 0, OPEN_IOV)


def test_requests_to_coolr(server, client, data_dir):
    client.payloads(*SENSORS, *RANGE, "time")
    client.payloads(*PIXEL, *RANGE, "run-lumi")
    with Coolr(settings(server, data_dir, coolr_iovtype=True)) as other:
        other.payloads(*SENSORS, 5, 5, "time")
        other.payloads(*PIXEL, 5, 5, "run-lumi")
    folders = ["db={}&schema={}&node={}&tag={}".format(*key) for key in (SENSORS, PIXEL)]
    assert server.requests == [
        f"payloads?{folders[0]}&since={RANGE[0]}&until={RANGE[1]}",
        f"payloads?{folders[1]}&since={RANGE[0]}&until={RANGE[1]}",
        f"payloads?{folders[0]}&since=5&until=5",
        f"payloads?{folders[1]}&since=5&until=5&iovtype=run-lumi",
    ]


def test_connect(server, data_dir):
    with connect(settings(server, data_dir)) as client:
        assert repr(client) == f"<Coolr at http://{server.host.rstrip('/')}>"
    with pytest.raises(ConfigurationError, match=r"coolr_host is not set: .* or name the folder of an archive"):
        connect(Settings(data_dir=data_dir))
    with pytest.raises(CoolrError, match="is not an archive of COOLR"):
        connect(Settings(coolr_archive=data_dir))
    assert Archive.__doc__


def test_calls_go_through_the_proxy_of_the_environment(server, data_dir, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://{server.host}")
    with Coolr(Settings(coolr_host="coolr.example:80/", data_dir=data_dir)) as client:
        assert client.tags(*SENSORS[:3]) == []
        assert client.tags(*PIXEL[:3])[0] == Tag("PixCalib-RUN2-DATA-UPD4-12", 1)
    assert server.count("^tags") == server.count() > 1


@pytest.mark.parametrize("host", ["u:p@h:80/", "ftp://h", "h ost", "http://"])
def test_invalid_hosts_are_refused(host):
    with pytest.raises(ConfigurationError, match="coolr_host"):
        Settings(coolr_host=host)


def test_url_of_a_host():
    assert Settings(coolr_host="h:80/").coolr_url == "http://h:80"
    assert Settings(coolr_host="https://h/coolr/").coolr_url == "https://h/coolr"


# ---- answers that cannot be right

PAYLOAD_LIES = {
    "named folder": "it is about the node /SCT/DAQ/Config/Chip, not /PIXEL/PixCalib",
    "outside": "is outside the range asked for",
    "reversed": "does not begin before it ends",
    "truncated": r"after 6 attempts the answer cannot be used: it is not readable JSON .* It begins: '\{\"data_array\"",
    "garbled": "It begins: '<html><body>Please log in",
    "cut": "after 6 attempts there is no whole answer",
    "missing": "a row lacks",
}


@pytest.mark.parametrize("shape", [1, 2])
@pytest.mark.parametrize(("lie", "cause"), PAYLOAD_LIES.items())
def test_wrong_payloads_are_an_error(world, data_dir, lie, cause, shape):
    with CoolrServer(world, shape=shape) as server, Coolr(settings(server, data_dir)) as client:
        server.troubles.append(Trouble(lie=lie))
        with pytest.raises(CoolrError, match=cause) as caught:
            client.payloads(*PIXEL, *RANGE)
        message = str(caught.value)
        assert message.startswith(f"COOLR, payloads of {' '.join(PIXEL)} [{RANGE[0]}, {RANGE[1]}]: ")
        assert f"(http://{server.host}api/payloads?db=CONDBR2&schema=" in message
        server.troubles.clear()
        assert_is_the_world(client.payloads(*PIXEL, *RANGE), world, PIXEL, *RANGE)  # no lie was kept


@pytest.mark.parametrize("lie", ["missing", "truncated", "garbled", "cut"])
@pytest.mark.parametrize("path", ["schemas", "nodes", "tags"])
def test_wrong_lists_are_an_error(server, client, path, lie):
    server.troubles.append(Trouble(lie=lie))
    cause = "a member of the list lacks" if lie == "missing" else PAYLOAD_LIES[lie].split(" It begins")[0]
    with pytest.raises(CoolrError, match=f"^COOLR, {path} of CONDBR2.*({cause}|not readable JSON)"):
        getattr(client, path)(*PIXEL[: {"schemas": 1, "nodes": 2, "tags": 3}[path]])


def test_asking_twice_finds_a_plausible_wrong_answer(server, data_dir):
    with Coolr(settings(server, data_dir, coolr_confirm=True)) as client:
        server.troubles.append(Trouble(lie="folder", times=1))
        with pytest.raises(CoolrError, match="asked twice, it gave two different answers"):
            client.payloads(*PIXEL, *RANGE)
        assert server.count() == 2


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ({"CHANNEL_ID": 0, "IOV_SINCE": 1, "IOV_UNTIL": 9, "b": 1}, "different payload columns"),
        ({"CHANNEL_ID": 0, "IOV_SINCE": 1, "IOV_UNTIL": 9}, "different payload columns"),
        ({"0": [1, 1, 9]}, "different payload columns"),
        ({"CHANNEL_ID": 0, "IOV_SINCE": 1, "a": 1}, "a row lacks IOV_UNTIL"),
        ({"CHANNEL_ID": 0, "IOV_SINCE": 1.0, "IOV_UNTIL": 9, "a": 1}, r"IOV_SINCE is Decimal\('1.0'\)"),
        ({"CHANNEL_ID": 0, "IOV_SINCE": True, "IOV_UNTIL": 9, "a": 1}, "IOV_SINCE is True"),
        ({"CHANNEL_ID": None, "IOV_SINCE": 1, "IOV_UNTIL": 9, "a": 1}, "channel is None"),
        ({"CHANNEL_ID": 0, "IOV_SINCE": 1, "IOV_UNTIL": 2**63, "a": 1}, "IOV_UNTIL is 9223372036854775808"),
        ({"CHANNEL_ID": 0, "IOV_SINCE": "1e3", "IOV_UNTIL": 9, "a": 1}, "IOV_SINCE is '1e3'"),
        ({"CHANNEL_ID": 0, "IOV_SINCE": 1, "IOV_UNTIL": 9, "a": 1, "nodeFullpath": "/other"}, "about the node /other"),
        ({"name": [1, 1, 9, 1]}, "different payload columns|channel is 'name'"),
        ({"0": [1, 9]}, "a row lacks fields"),
        ({}, "a row is {}"),
        ([], r"a row is \[\]"),
    ],
)
def test_invalid_payload_rows_are_refused(row, cause):
    good = {"CHANNEL_ID": 0, "IOV_SINCE": 0, "IOV_UNTIL": 1, "a": 1}
    answer = decode(json.dumps({"data_array": [good, row]}).encode())
    with pytest.raises(Unusable, match=cause):
        read_payloads(answer, {"node": "/this"}, 0, 9)


@pytest.mark.parametrize("answer", [None, [], {}, {"data_array": {}}, "x", 3])
def test_answers_without_data_array_are_refused(answer):
    with pytest.raises(Unusable, match="it has no list data_array"):
        read_payloads(answer, {}, 0, 9)


@pytest.mark.parametrize(
    ("read", "answer", "cause"),
    [
        (read_schemas, {}, "it is not a list"),
        (read_schemas, ["A"], "a member of the list is 'A'"),
        (read_schemas, [{"schemaname": ""}], "schemaname is '', not a text"),
        (read_tags, [{"tag_name": "a", "tag_id": 1}, {"tagName": "a", "tagId": 2}], "tagname a is listed twice"),
        (read_tags, [{"tag_name": "a", "tag_id": 1}, {"tag_name": "b", "tag_id": 1}], "tag_id 1 is listed twice"),
        (read_tags, [{"tag_name": "a", "tag_id": "x"}], "tag_id is 'x', not a whole number"),
        (read_tags, [{"tag_name": "a", "tag_id": 1, "node_fullpath": "/B"}], "it is about the node /B, not /A"),
        (read_nodes, [{"nodeFullpath": "/A", "nodeId": 1}], "lacks nodeiovbase"),
        (read_nodes, [{"nodeFullpath": "/A", "nodeId": 1, "nodeIovBase": 3}], "the IOV base of a folder is 3"),
    ],
)
def test_invalid_lists_are_refused(read, answer, cause):
    with pytest.raises(Unusable, match=cause):
        read(answer, {"db": "D", "schema": "S", "node": "/A"})


@pytest.mark.parametrize(
    "body", [b"", b'{"a": 1', b'{"a": 1, "a": 2}', b"\xff\xfe", b"[" * 100_000, b"1e99999999999999999999"]
)
def test_bodies_that_are_not_json_are_refused(body):
    with pytest.raises(Unusable, match="it is not readable JSON"):
        decode(body)


# ---- what a payload is

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def typed(value):
    """The value, told apart from others as JSON does: True is not 1."""
    if isinstance(value, bool | str) or value is None:
        return type(value), value
    if isinstance(value, dict):
        return dict, {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return list, [typed(inner) for inner in value]
    return Decimal, value


@given(st.lists(VALUES, max_size=3), st.lists(VALUES, max_size=3))
def test_digests_are_equal_if_and_only_if_the_values_are(one, other):
    assert (digest(one) == digest(other)) == (typed(one) == typed(other))


def test_digests_of_numbers():
    same = [decode(text) for text in (b"[100]", b"[100.0]", b"[1e2]", b"[1.00E+2]")]
    assert len({digest(values) for values in same}) == 1
    long = [decode(text) for text in (b"[0.1]", b"[0.1000000000000000055511151231257827]", b'["0.1"]', b"[NaN]")]
    assert len({digest(values) for values in long}) == 4
    assert digest([{"a": 1, "b": 2}]) == digest([{"b": 2, "a": 1}])
    assert digest(["\ud800"]) != digest(["\ud801"])


IOVS = st.tuples(st.integers(0, OPEN_IOV), st.integers(0, OPEN_IOV)).map(sorted).filter(lambda iov: iov[0] < iov[1])
ROWS = st.lists(st.tuples(st.integers(0, 3), IOVS, st.tuples(st.integers(0, 3), st.text(max_size=2))), max_size=12)


@given(ROWS, st.booleans(), st.randoms())
def test_both_shapes_are_read_as_the_same_rows(rows, texts, rng):
    number = str if texts else int
    first, second = [], []
    for channel, (since, until), (x, y) in rows:
        fields = {"CHANNEL_ID": number(channel), "IOV_SINCE": number(since), "IOV_UNTIL": number(until), "x": x, "y": y}
        first.append(dict(rng.sample(sorted(fields.items()), len(fields))))
        second.append({str(channel): [x, number(since), number(until), y]})
    tables = [
        read_payloads(decode(json.dumps({"data_array": array}).encode()), {}, 0, OPEN_IOV) for array in (first, second)
    ]
    assert tables[0].schema == PAYLOADS
    assert tables[0].equals(tables[1])
    assert {*map(tuple, (row.values() for row in tables[0].to_pylist()))} == {
        (channel, since, until, digest([x, y])) for channel, (since, until), (x, y) in rows
    }
    assert tables[0].num_rows == len({(channel, *iov, values) for channel, iov, values in rows})


# ---- long ranges


class Narrow:
    """Answers as COOLR does from rows at hand, but no range wider than `widest`."""

    def __init__(self, rows, widest):
        self.rows, self.widest, self.calls = rows, widest, 0

    def get(self, call, *, patient=True):
        self.calls += 1
        since, until = int(call.parameters["since"]), int(call.parameters["until"])
        if until - since > self.widest:
            raise TooLarge("too large")
        return {"data_array": [self.row(*row) for row in self.rows if row[1][0] <= until and row[1][1] > since]}

    @staticmethod
    def row(channel, iov, values):
        return {str(channel): [values[0], *iov, values[1]]}

    def failure(self, call, cause):
        return CoolrError(cause)

    def url(self, call):
        return str(call)


SMALL = st.integers(0, 40)
SMALL_IOVS = st.tuples(SMALL, SMALL).map(sorted).filter(lambda iov: iov[0] < iov[1])
SMALL_ROWS = st.lists(st.tuples(st.integers(0, 2), SMALL_IOVS, st.tuples(st.integers(0, 1), st.just("y"))), max_size=20)


@given(SMALL_ROWS, SMALL, SMALL, st.integers(0, 40))
def test_joined_pieces_equal_the_whole_range(tmp_path_factory, rows, since, until, widest):
    assume(since <= until)
    client = Coolr(Settings(coolr_host="h", data_dir=tmp_path_factory.getbasetemp() / "pieces", coolr_cache_hours=0))
    client._caller = Narrow(rows, OPEN_IOV)
    whole = client.payloads("D", "S", "/N", "none", since, until)
    client._caller = Narrow(rows, widest)
    assert client.payloads("D", "S", "/N", "none", since, until).equals(whole)


def test_a_too_large_range_is_requested_in_halves(server, client, world):
    server.troubles.append(Trouble(widest=OPEN_IOV // 8 + 1))
    rows = client.payloads(*PIXEL, 0, OPEN_IOV)
    assert_is_the_world(rows, world, PIXEL, 0, OPEN_IOV)
    assert server.count() == 15
    server.troubles[:] = [Trouble(status=400, text="Result too large", times=1)]
    assert_is_the_world(client.payloads(*PIXEL, 0, OPEN_IOV - 1), world, PIXEL, 0, OPEN_IOV - 1)
    assert server.count() == 18


def test_a_range_that_is_always_too_large_is_an_error(server, client):
    server.troubles.append(Trouble(status=413))
    with pytest.raises(CoolrError, match="it answered 413: 'not now'"):
        client.payloads(*PIXEL, 0, OPEN_IOV)
    assert server.count() == 64


def test_contradicting_pieces_are_an_error(server, client):
    server.troubles.append(Trouble(status=413, times=1))
    server.troubles.append(Trouble(lie="folder", times=1))
    with pytest.raises(CoolrError, match="contradict each other"):
        client.payloads(*PIXEL, *RANGE)


def test_a_range_with_late_answers_is_halved_then_waited_for(server, data_dir, world):
    with Coolr(settings(server, data_dir, coolr_timeout=0.3)) as client:
        server.troubles.append(Trouble(delay=30, times=2))
        assert_is_the_world(client.payloads(*PIXEL, *RANGE), world, PIXEL, *RANGE)
        assert server.count() == 5  # the whole, its first half, and that one's halves; the second half
        server.troubles[:] = [Trouble(status=504)]
        with pytest.raises(CoolrError, match="after 6 attempts it answered 504"):
            client.payloads(*PIXEL, 0, OPEN_IOV)


@pytest.mark.parametrize("ends", [(5, 4), (-1, 5), (0, OPEN_IOV + 1)])
def test_invalid_ranges_are_refused(client, ends):
    with pytest.raises(InvalidRequestError, match="is not a range of IOVs"):
        client.payloads(*PIXEL, *ends)


# ---- calls that fail


@pytest.mark.slow
def test_one_failed_call_in_five_loses_nothing(server, client, world):
    server.troubles.append(Trouble(status=503, rate=0.2))
    some = [*by_tag(world)][::3]
    for key in some:
        assert_is_the_world(client.payloads(*key, 0, OPEN_IOV), world, key, 0, OPEN_IOV)
    assert server.count() == len(some) + server.troubles[0].struck > len(some) + 2


@pytest.mark.parametrize("trouble", [{"lie": "cut"}, {"lie": "truncated"}, {"status": 429}, {"status": 500}])
def test_temporary_failures_are_retried(server, client, world, waits, trouble):
    server.troubles.append(Trouble(times=5, **trouble))
    assert_is_the_world(client.payloads(*PIXEL, *RANGE), world, PIXEL, *RANGE)
    assert len(waits) == 5
    assert all(wait <= 15 for wait in waits)


def test_a_lasting_failure_is_given_up_after_six_attempts(server, client):
    server.troubles.append(Trouble(status=503, text="x" * 300))
    with pytest.raises(CoolrError, match=r"after 6 attempts it answered 503: 'x{200}'"):
        client.payloads(*PIXEL, *RANGE)
    assert server.count() == 6


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_not_retried(server, client, status):
    server.troubles.append(Trouble(status=status))
    with pytest.raises(CoolrError, match=rf"^COOLR, tags of {' '.join(PIXEL[:3])}: it answered {status}: 'not now' \("):
        client.tags(*PIXEL[:3])
    assert server.count() == 1


def test_retry_after_is_respected(server, client, waits):
    server.troubles.append(Trouble(status=429, headers={"Retry-After": "40"}, times=1))
    client.schemas("CONDBR2")
    assert waits == [40]
    past = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
    server.troubles.append(Trouble(status=429, headers=past, times=1))
    client.schemas("OFLP200")
    assert waits[1] <= 15
    server.troubles.append(Trouble(status=503, headers={"Retry-After": "3600"}))
    with pytest.raises(CoolrError, match=r"it answered 503: 'not now', and asks for a pause of 3600 s\."):
        client.schemas("MONP200")
    assert len(waits) == 2


def test_a_server_that_refuses_connections_is_not_reached(data_dir, waits):
    with (
        Coolr(Settings(coolr_host="127.0.0.1:1", data_dir=data_dir)) as client,
        pytest.raises(
            Unreached,
            match=r"after 6 attempts there is no whole answer: Failed to .* refused\. Check coolr_host\. \(http:",
        ),
    ):
        client.schemas("CONDBR2")
    assert len(waits) == 5


def unknown(*_: object, **__: object) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def test_an_unknown_host_is_tried_once(data_dir, waits, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with (
        Coolr(Settings(coolr_host="nowhere.invalid:80", data_dir=data_dir)) as client,
        pytest.raises(Unreached) as told,
    ):
        client.schemas("CONDBR2")
    assert str(told.value) == "COOLR is not reached: there is no host nowhere.invalid. Check coolr_host."
    assert waits == []


def test_name_resolution_that_fails_later_is_retried(server, client, waits, monkeypatch):
    client.schemas("CONDBR2")
    client.close()  # so that the next call makes a connection
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unreached, match="after 6 attempts there is no whole answer: Failed to resolve"):
        client.schemas("OFLP200")
    assert len(waits) == 5


def test_the_number_of_simultaneous_calls_is_limited(server, data_dir):
    server.troubles.append(Trouble(delay=0.02))
    with Coolr(settings(server, data_dir, coolr_connections=2)) as client, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda until: client.payloads(*PIXEL, 0, until), range(12)))
    assert server.count() == 12
    assert server.busiest <= 2


def test_a_cancelled_call_is_not_made(server, data_dir):
    cancelled = threading.Event()
    with Coolr(settings(server, data_dir), cancelled=cancelled) as client:
        client.schemas("CONDBR2")
        cancelled.set()
        with pytest.raises(Cancelled, match=r"schemas of OFLP200: cancelled\."):
            client.schemas("OFLP200")
    assert server.count() == 1


# ---- answers that are kept


def test_answers_are_kept_with_their_age(server, data_dir, world):
    for number in range(2):
        with Coolr(settings(server, data_dir)) as client:
            assert (client.age("payloads", *PIXEL, *RANGE) is None) == (number == 0)
            assert_is_the_world(client.payloads(*PIXEL, *RANGE), world, PIXEL, *RANGE)
            assert client.tags(*PIXEL[:3])[0].tag_id == 1
            assert client.tags(*SENSORS[:3]) == []
            assert timedelta(0) <= client.age("tags", *PIXEL[:3]) < timedelta(hours=1)
    assert server.count() == 3


def test_answers_that_are_too_old_are_not_used(server, data_dir):
    with Coolr(settings(server, data_dir, coolr_cache_hours=0)) as client:
        client.schemas("CONDBR2")
        client.schemas("CONDBR2")
    assert server.count() == 2
    with Coolr(settings(server, data_dir), newer_than=datetime.now(UTC)) as client:
        client.schemas("CONDBR2")
        client.schemas("CONDBR2")
    assert server.count() == 3


def test_a_damaged_answer_is_requested_again(server, client, data_dir):
    asked = client.schemas("CONDBR2")
    (path,) = (data_dir / "coolr").rglob("*.arrow")
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert client.age("schemas", "CONDBR2") is None, place
    for damaged in (whole[:-9], b"", whole + b"more"):
        path.write_bytes(damaged)
        assert client.age("schemas", "CONDBR2") is None
    assert client.schemas("CONDBR2") == asked
    assert server.count() == 2
    assert client.age("schemas", "CONDBR2") is not None


def test_an_answer_under_the_name_of_another_is_not_used(server, client, data_dir):
    client.schemas("CONDBR2")
    (one,) = (data_dir / "coolr").rglob("*.arrow")
    client.schemas("OFLP200")
    (other,) = {*(data_dir / "coolr").rglob("*.arrow")} - {one}
    other.write_bytes(one.read_bytes())
    assert client.age("schemas", "OFLP200") is None
    assert client.age("schemas", "CONDBR2") is not None


def test_an_answer_that_cannot_be_stored_is_used_with_one_warning(server, client, data_dir, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "replacing", full)
    with pytest.warns(AnswersNotKept, match="cannot be kept in .*: the disk of .* is full .* make room there") as told:
        assert client.schemas("CONDBR2") == client.schemas("CONDBR2")
    assert len(told) == 1
    assert server.count() == 2


def test_a_folder_that_cannot_be_made_costs_no_answer(server, client, data_dir):
    (data_dir / "coolr").touch()
    with pytest.warns(AnswersNotKept, match=r"cannot be kept in .*coolr: ") as told:
        assert client.schemas("CONDBR2") == client.schemas("CONDBR2")
    assert len(told) == 1
    assert client.age("schemas", "CONDBR2") is None
    assert server.count() == 2


def test_old_answers_are_removed_once_an_hour(server, data_dir, monkeypatch):
    folder = data_dir / "coolr"
    with Coolr(settings(server, data_dir)) as client:
        client.schemas("CONDBR2")
        client.schemas("OFLP200")
        old, young = sorted(folder.rglob("*.arrow"))
        left = old.with_name(f".{old.name}.0123456789ab")  # of a process that was killed
        earlier = old.with_name("answer-of-0.1.0.parquet")
        for path in (left, earlier):
            path.touch()
        for path in (old, left, earlier):
            os.utime(path, (0, 0))
        client.schemas("COMP200")
        assert old.exists()  # another pass of this hour is not due
        os.utime(folder / ".removed", (0, 0))
        with monkeypatch.context() as patch:
            patch.setattr(cache, "_LOOKED_AT", 0)
            client.tags(*PIXEL[:3])
        assert old.exists()
        os.utime(folder / ".removed", (0, 0))
        client.tags(*SENSORS[:3])
    assert not old.exists()
    assert not left.exists()
    assert not earlier.exists()
    assert young.exists()
    assert len([*folder.rglob("*.arrow")]) == 4


def test_answers_take_no_more_room_than_the_setting_says(data_dir):
    folder, now = data_dir / "coolr", datetime.now(UTC)
    kept = cache.Cache(folder, hours=24, megabytes=1)
    answer = pa.table({"content": [os.urandom(50).hex() for _ in range(500)]})
    for number in range(80):
        kept.put(f"answer {number}", answer, now)
        assert sum(path.stat().st_size for path in folder.rglob("*.arrow")) < 1.1e6
    assert kept.get("answer 0") is None
    assert all(kept.get(f"answer {number}") is not None for number in range(60, 80))


def test_two_processes_remove_and_keep_answers_at_once(server, data_dir):
    folder = data_dir / "coolr"
    clients = [Coolr(settings(server, data_dir, coolr_cache_hours=0)) for _ in range(2)]

    def ask(number):
        for path in [folder / ".removed", *folder.rglob("[!.]*.arrow")]:
            with suppress(FileNotFoundError):
                os.utime(path, (0, 0))
        return clients[number % 2].payloads(*PIXEL, 0, number // 2)

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(ask, range(24)))) == 24
    for client in clients:
        client.close()
    assert len([*folder.rglob("*.arrow")]) < 12


# ---- waits that have to end


def test_a_dripping_answer_is_given_up(server, data_dir):
    with Coolr(settings(server, data_dir, coolr_answer_seconds=0.5)) as client:
        server.troubles.append(Trouble(drip=0.1))
        with pytest.raises(CoolrError, match=r"tags of .*: after 1 attempts the answer did not end within 0\.5 s\."):
            client.tags(*PIXEL[:3])
        server.troubles.append(Trouble(drip=0.1, headers_drip=True))
        server.troubles.pop(0)
        with pytest.raises(CoolrError, match=r"the answer did not end within 0\.5 s\."):
            client.schemas("CONDBR2")


def test_dripping_payloads_are_requested_in_halves(server, data_dir, world):
    with Coolr(settings(server, data_dir, coolr_answer_seconds=0.5)) as client:
        server.troubles.append(Trouble(drip=0.1, times=1))
        assert_is_the_world(client.payloads(*PIXEL, *RANGE), world, PIXEL, *RANGE)
    assert server.count() >= 3


@pytest.mark.parametrize("trouble", [{"delay": FOR_EVER}, {"drip": 0.1}, {"drip": 0.1, "headers_drip": True}])
def test_a_call_that_hangs_is_cancelled(server, data_dir, trouble):
    server.troubles.append(Trouble(**trouble))
    cancelled = threading.Event()
    with Coolr(settings(server, data_dir), cancelled=cancelled) as client, ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.tags, *PIXEL[:3])
        while not server.count():
            cancelled.wait(0.01)
        cancelled.set()
        with pytest.raises(Cancelled, match="cancelled"):
            call.result()


def test_a_call_that_waits_for_its_turn_is_cancelled(server, data_dir):
    server.troubles.append(Trouble(delay=FOR_EVER))
    cancelled = threading.Event()
    client = Coolr(settings(server, data_dir, coolr_connections=1), cancelled=cancelled)
    with client, ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(client.schemas, db) for db in ("CONDBR2", "OFLP200")]
        while not server.count():
            cancelled.wait(0.01)
        cancelled.set()
        for call in asked:
            with pytest.raises(Cancelled, match="cancelled"):
                call.result()
    assert server.count() == 1


@pytest.mark.parametrize("trouble", [{"delay": FOR_EVER}, {"drip": 0.1}])
def test_a_connection_check_is_bounded(server, data_dir, monkeypatch, trouble):
    monkeypatch.setattr("frontierlab.connections._PATIENCE", 0.5)
    server.troubles.append(Trouble(**trouble))
    found = connections.check("COOLR", settings(server, data_dir))
    assert found.state == "not reached"
    assert found.reason.startswith("COOLR did not answer within 0.5 s at http://127.0.0.1:")


def test_cancelled_is_the_cancelled_of_the_package():
    assert issubclass(Cancelled, errors.Cancelled)


def test_endless_redirects_are_an_error(server, client):
    server.troubles.append(Trouble(status=302, headers={"Location": "/api/schemas?db=CONDBR2"}))
    with pytest.raises(CoolrError, match=r"Exceeded 5 redirects"):
        client.schemas("CONDBR2")
    assert server.count() == 6


def test_calls_pause_after_three_without_an_answer(server, client, monkeypatch):
    server.troubles.append(Trouble(hang_up=True))
    monkeypatch.setattr(retry, "ATTEMPTS", 1)
    for db in ("CONDBR2", "OFLP200", "COMP200"):
        with pytest.raises(CoolrError, match="there is no whole answer"):
            client.schemas(db)
    with pytest.raises(CoolrError, match="not called, because COOLR did not answer the last 3 calls"):
        client.schemas("MONP200")
    assert server.count() == 3
    server.troubles.clear()
    client._caller._silent_until = 0.0  # the pause is over
    assert client.schemas("MONP200")
    server.troubles.append(Trouble(hang_up=True))
    with pytest.raises(CoolrError, match="there is no whole answer"):
        client.schemas("CONDBR2")
    server.troubles.clear()
    assert client.schemas("CONDBR2")


def test_a_too_large_answer_is_halved_or_an_error(server, client, world, monkeypatch):
    everything = client.payloads(*PIXEL, 0, OPEN_IOV)
    monkeypatch.setattr(calls, "_LARGEST", 3_000)
    assert client.payloads(*PIXEL, 0, OPEN_IOV - 1).equals(everything)
    assert server.count() > 3
    monkeypatch.setattr(calls, "_LARGEST", 1)
    with pytest.raises(CoolrError, match="is larger than"):
        client.schemas("CONDBR2")


def test_the_number_of_pieces_is_bounded(server, client, monkeypatch):
    monkeypatch.setattr("frontierlab.coolr.client._PIECES", 20)
    server.troubles.append(Trouble(widest=1))
    with pytest.raises(CoolrError, match="the range is too large, also in 20 pieces"):
        client.payloads(*PIXEL, RANGE[0], RANGE[0] + 1_000)
    assert server.count() == 20


@pytest.mark.parametrize("how", [{"progress": True}, {"cancelled": True}])
def test_hanging_work_does_not_block_an_interrupt(monkeypatch, how):
    monkeypatch.setattr(sources, "_LEAVE", 0.05)
    over, cancelled = threading.Event(), threading.Event()
    work = cancelled if "cancelled" in how else over

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(sources.side_by_side(lambda _: work.wait(), range(20), stop, cancelled))
    over.set()
    assert cancelled.is_set()


def test_digests_do_not_grow_with_payloads():
    assert len(digest(["x" * 1_000_000])) == 32
    assert pa.types.is_string(PAYLOADS.field("content").type)
