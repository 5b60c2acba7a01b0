import http.client
import http.server
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.services.flaky import (
    Answer,
    Call,
    Cut,
    Delay,
    Drop,
    Edit,
    FlakyProxy,
    failed_shards,
    timed_out,
    too_many_requests,
)

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


clients: list[tuple[str, int]] = []  # the connection of each request that the server has answered
ended = threading.Event()


class Server(http.server.BaseHTTPRequestHandler):
    """Answers every request with a JSON description of it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        answer = {"method": self.command, "path": self.path, "body": body, "to": self.headers["X-To"]}
        answer |= {"hits": {"hits": [1, 2, 3, 4]}, "timed_out": False}
        answer |= {"_shards": {"total": 2, "successful": 2, "failed": 0}}
        self.send_response(200)
        whole = json.dumps(answer).encode()
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(whole)
        clients.append(self.client_address)
        if self.path == "/last":  # as a server that ends
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            ended.set()

    do_POST = do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[FlakyProxy]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        with FlakyProxy(f"http://127.0.0.1:{server.server_port}") as proxy:
            yield proxy
        server.shutdown()
        thread.join()


@pytest.fixture
def connection(proxy: FlakyProxy) -> Iterator[http.client.HTTPConnection]:
    """Yield a client of the proxy that keeps its connection."""
    connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=10)
    yield connection
    connection.close()


def ask(connection: http.client.HTTPConnection, path: str, **options) -> tuple[int, dict]:
    method = "POST" if "body" in options else "GET"
    connection.request(method, path, **options)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b"{}")


def test_a_connection_to_the_server_is_used_again_until_it_ends(proxy, connection):
    clients.clear()
    ended.clear()
    ask(connection, "/a"), ask(connection, "/last")
    assert ended.wait(10)
    assert ask(connection, "/b")[1]["path"] == "/b"
    assert proxy.statuses() == [200, 200, 200]
    assert clients[0] == clients[1] != clients[2]


def test_everything_passes_where_there_is_no_fault(proxy, connection):
    status, answer = ask(connection, "/a?b=c", body="text", headers={"X-To": "you"})
    assert status == 200
    assert (answer["method"], answer["path"], answer["body"]) == ("POST", "/a?b=c", "text")
    assert answer["to"] == "you"
    assert [(seen.line, seen.body, seen.status) for seen in proxy.requests] == [("POST /a?b=c", b"text", 200)]


def test_a_head_request_passes(proxy, connection):
    connection.request("HEAD", "/")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 0
    assert ask(connection, "/next")[0] == 200


def test_a_fault_strikes_as_often_as_told_where_told(proxy, connection):
    proxy.faults.append(too_many_requests(when=r"^GET /_search", times=2, skip=1))
    paths = ["/_search", "/_search", "/other", "/_search", "/_search"]
    assert [ask(connection, path)[0] for path in paths] == [200, 429, 200, 429, 200]
    assert proxy.statuses("_search") == [200, 429, 429, 200]


def test_a_fault_may_strike_for_ever(proxy, connection):
    proxy.faults.append(Answer(503, {"why": "tired"}, {"Retry-After": "7"}, times=None))
    assert [ask(connection, "/") for _ in range(4)] == [(503, {"why": "tired"})] * 4
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert answer.headers["Retry-After"] == "7"
    answer.read()


def test_a_cut_body_ends_too_early(proxy, connection):
    proxy.faults.append(Cut(part=0.25))
    connection.request("GET", "/")
    answer = connection.getresponse()
    whole = int(answer.headers["Content-Length"])
    with pytest.raises(http.client.IncompleteRead) as cut:
        answer.read()
    assert len(cut.value.partial) == whole // 4


@pytest.mark.parametrize(("reset", "error"), [(False, http.client.RemoteDisconnected), (True, ConnectionResetError)])
def test_a_dropped_request_gets_no_answer(proxy, connection, reset, error):
    proxy.faults.append(Drop(reset=reset))
    connection.request("GET", "/")
    with pytest.raises(error) as dropped:
        connection.getresponse()
    assert type(dropped.value) is error
    assert proxy.statuses() == [None]


def test_a_delayed_request_waits_but_not_for_a_closed_proxy(proxy, connection):
    proxy.faults.append(Delay(3600))
    connection.request("GET", "/")
    proxy.closing.set()
    assert connection.getresponse().read()


def test_search_answers_are_made_partial(proxy, connection):
    proxy.faults += [timed_out(), failed_shards(2), Edit(lambda body: {"edited": body["path"]})]
    answer = ask(connection, "/")[1]
    assert (answer["timed_out"], answer["hits"]["hits"]) == (True, [1, 2])
    answer = ask(connection, "/")[1]
    assert answer["_shards"]["failed"] == len(answer["_shards"]["failures"]) == 2
    assert answer["_shards"]["successful"] == 0
    assert ask(connection, "/a") == (200, {"edited": "/a"})


def test_a_function_is_called_before_the_request_passes(proxy, connection):
    seen = []
    proxy.faults.append(Call(lambda: seen.append(list(proxy.statuses()))))
    assert ask(connection, "/")[0] == 200
    assert seen == [[None]]


def test_a_server_that_is_gone_hangs_up_on_the_client():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        port = server.server_port
    with FlakyProxy(f"http://127.0.0.1:{port}") as proxy:
        connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=10)
        connection.request("GET", "/")
        with pytest.raises(http.client.RemoteDisconnected):
            connection.getresponse()
        connection.close()


def test_an_error_in_a_fault_is_not_swallowed():
    def fail() -> None:
        raise ZeroDivisionError("in the fault")

    proxy = FlakyProxy("http://127.0.0.1:9")
    proxy.faults.append(Call(fail))
    connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/")
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()
    connection.close()
    with pytest.raises(ZeroDivisionError, match="in the fault"):
        proxy.close()


def test_closing_hangs_up_on_idle_clients(proxy, connection):
    assert ask(connection, "/")[0] == 200
