"""A proxy between a client and a server that fails on request.

::

    with FlakyProxy(server.url, server.ca_certs) as proxy:
        proxy.faults.append(too_many_requests(times=2, when="_search"))
        proxy.faults.append(Cut(when="_search", skip=5))
        client = Elasticsearch(proxy.url, …)
        …
        assert proxy.statuses("_search")[:3] == [429, 429, 200]

Each request gets the first fault of the list that matches and is not used up; other requests pass unchanged. The
proxy itself uses plain HTTP on 127.0.0.1, with any server behind it.
"""

import contextlib
import http.client
import http.server
import json
import re
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

# Not forwarded: they belong to one connection, or are set again.
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class Response:
    """An answer, from the server or made by a fault."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class Seen:
    """A received request; `status` is None while it runs and if it got no answer."""

    method: str
    path: str
    body: bytes
    status: int | None = None

    @property
    def line(self) -> str:
        """The text that `Fault.when` is searched in."""
        return f"{self.method} {self.path}"


@dataclass(kw_only=True)
class Fault:
    """A fault; this base class only forwards the request.

    Parameters
    ----------
    when
        Regular expression searched in `METHOD /path?query`; by default it matches all requests.
    times
        How often the fault happens; None means always.
    skip
        Number of matching requests that pass first.
    """

    when: str = ""
    times: int | None = 1
    skip: int = 0
    struck: int = field(default=0, init=False)

    def strikes(self, seen: Seen) -> bool:
        """Return whether this request gets the fault, and count it."""
        if self.struck == self.times or not re.search(self.when, seen.line):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.struck += 1
        return True

    def act(self, exchange: "Exchange") -> None:
        """Handle one request."""
        exchange.send(exchange.forward())


@dataclass
class Delay(Fault):
    """Forward the request after `seconds`."""

    seconds: float

    def act(self, exchange: "Exchange") -> None:
        exchange.proxy.closing.wait(self.seconds)
        super().act(exchange)


@dataclass
class Silence(Fault):
    """Never answer.

    Attributes
    ----------
    left : threading.Event
        Set when the client has hung up.
    """

    left: threading.Event = field(default_factory=threading.Event, init=False)

    def act(self, exchange: "Exchange") -> None:
        while not exchange.proxy.closing.is_set():
            if exchange.left(0.05):
                self.left.set()
                break
        exchange.hang_up()


@dataclass
class Trickle(Silence):
    """Start an answer, and send a space every `pause` seconds without end."""

    pause: float = 0.05

    def act(self, exchange: "Exchange") -> None:
        headers = [("Content-Type", "application/json"), ("X-Elastic-Product", "Elasticsearch")]
        exchange.send(Response(200, headers, b""), length=10**9)
        while not exchange.proxy.closing.is_set():
            exchange.more(b" ")
            if exchange.left(self.pause):
                self.left.set()
                break
        exchange.hang_up()


@dataclass
class Answer(Fault):
    """Answer instead of the server: a dictionary as `body` is sent as JSON."""

    status: int
    body: dict[str, Any] | str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def act(self, exchange: "Exchange") -> None:
        text, kind = self.body, "text/html"
        if isinstance(text, dict):
            text, kind = json.dumps(text), "application/json"
        headers = {"Content-Type": kind, "X-Elastic-Product": "Elasticsearch"} | self.headers
        exchange.send(Response(self.status, list(headers.items()), text.encode()))


@dataclass
class Cut(Fault):
    """Send the server's answer up to the share `part` of its body, then cut the connection.

    With `reset` the client sees a connection reset, otherwise a truncated body.
    """

    part: float = 0.5
    reset: bool = False

    def act(self, exchange: "Exchange") -> None:
        exchange.send(exchange.forward(), part=self.part)
        exchange.hang_up(self.reset)


@dataclass
class Drop(Fault):
    """Cut the connection without an answer; with `served`, after the server has handled the request."""

    served: bool = False
    reset: bool = False

    def act(self, exchange: "Exchange") -> None:
        if self.served:
            exchange.forward()
        exchange.hang_up(self.reset)


@dataclass
class Edit(Fault):
    """Change the server's JSON answer: `change` gets the parsed answer and returns the new one."""

    change: Callable[[dict[str, Any]], dict[str, Any]]

    def act(self, exchange: "Exchange") -> None:
        response = exchange.forward(plain=True)
        response.body = json.dumps(self.change(json.loads(response.body))).encode()
        exchange.send(response)


@dataclass
class Call(Fault):
    """Call `function` (such as a server's `restart`), then forward the request."""

    function: Callable[[], object]

    def act(self, exchange: "Exchange") -> None:
        self.function()
        super().act(exchange)


def too_many_requests(**options: Any) -> Answer:
    """Return the 429 of an Elasticsearch with a full search queue; `options` are those of `Fault`."""
    reason = {"type": "es_rejected_execution_exception", "reason": "rejected execution of a search"}
    return Answer(429, {"error": {"root_cause": [reason], **reason}, "status": 429}, **options)


def timed_out(**options: Any) -> Edit:
    """Return a search that timed out waiting for shards: `timed_out` is true and half of the hits are missing."""

    def change(body: dict[str, Any]) -> dict[str, Any]:
        hits = body["hits"]["hits"]
        return body | {"timed_out": True, "hits": body["hits"] | {"hits": hits[: len(hits) // 2]}}

    return Edit(change, **options)


def failed_shards(failed: int = 1, **options: Any) -> Edit:
    """Return a search with `failed` failed shards: half of the hits are missing."""

    def change(body: dict[str, Any]) -> dict[str, Any]:
        shards, hits = body["_shards"], body["hits"]["hits"]
        reason = {"type": "circuit_breaking_exception", "reason": "[parent] Data too large"}
        failures = [{"shard": shard, "index": "flaky", "reason": reason} for shard in range(failed)]
        shards = shards | {"failed": failed, "failures": failures}
        shards["successful"] = max(shards["total"] - failed, 0)
        return body | {"_shards": shards, "hits": body["hits"] | {"hits": hits[: len(hits) // 2]}}

    return Edit(change, **options)


class FlakyProxy:
    """Forward HTTP to `url`, with the faults in `faults`.

    Parameters
    ----------
    url
        The URL of the server.
    ca_certs
        PEM file that verifies the server's certificate, if `url` is https.

    Attributes
    ----------
    url : str
        The URL for clients.
    faults : list of Fault
        Can be changed at any time.
    requests : list of Seen
        All received requests, in order of arrival.
    errors : list of Exception
        Errors of the proxy itself; `close` raises the first. A server that cannot be reached is not one of them: the
        proxy then hangs up on the client.
    """

    def __init__(self, url: str, ca_certs: str | None = None):
        target = urlsplit(url)
        self._target = (target.hostname or "", target.port)
        self._context = ssl.create_default_context(cafile=ca_certs) if target.scheme == "https" else None
        self.faults: list[Fault] = []
        self.requests: list[Seen] = []
        self.errors: list[Exception] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = False  # closing waits for the threads
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def statuses(self, when: str = "") -> list[int | None]:
        """Return the statuses that clients received for matching requests."""
        return [seen.status for seen in list(self.requests) if re.search(when, seen.line)]

    def close(self) -> None:
        """Close all connections and stop."""
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):  # it may just have ended
                    connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        if self.errors:
            raise self.errors[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection to the server, which opens with its first request."""
        host, port = self._target
        if self._context:
            return http.client.HTTPSConnection(host, port, timeout=120, context=self._context)
        return http.client.HTTPConnection(host, port, timeout=120)

    def _handle(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        seen = Seen(handler.command, handler.path, body)
        with self._lock:
            self.requests.append(seen)
            fault = next((fault for fault in list(self.faults) if fault.strikes(seen)), Fault())
        exchange = Exchange(self, handler, seen)
        try:
            fault.act(exchange)
        except (OSError, http.client.HTTPException):
            exchange.hang_up()  # the server or the client is gone; close the other connection too
        except Exception as error:
            self.errors.append(error)
            exchange.hang_up()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                self.server_side = proxy.connect()
                with proxy._lock:
                    proxy._connections.add(self.connection)

            def finish(self) -> None:
                with proxy._lock:
                    proxy._connections.discard(self.connection)
                self.server_side.close()
                super().finish()

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):  # clients may hang up at any time
                    super().handle()

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                proxy._handle(self)

            do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

        return Handler


class Exchange:
    """One running request, as a `Fault` handles it."""

    def __init__(self, proxy: FlakyProxy, handler: http.server.BaseHTTPRequestHandler, seen: Seen):
        self.proxy = proxy
        self.seen = seen
        self._handler = handler

    def forward(self, plain: bool = False) -> Response:
        """Send the request to the server; `plain` asks for an answer without compression."""
        headers = {name: value for name, value in self._handler.headers.items() if name.lower() not in HOP}
        if plain:
            headers = {name: value for name, value in headers.items() if name.lower() != "accept-encoding"}
        connection = self._server()
        try:
            connection.request(self.seen.method, self.seen.path, self.seen.body or None, headers)
            answer = connection.getresponse()
            kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP]
            if self.seen.method == "HEAD" and (length := answer.getheader("Content-Length")):
                kept.append(("Content-Length", length))
            return Response(answer.status, kept, answer.read())
        except BaseException:  # whatever it is, half an answer can be left in the connection
            connection.close()
            raise

    def _server(self) -> http.client.HTTPConnection:
        """Return the server's end of the client's connection: greeting a server with TLS takes most of a request.

        One that the server has closed meanwhile, as in a restart, opens again.
        """
        connection = self._handler.server_side
        if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            connection.close()
        return connection

    def send(self, response: Response, part: float = 1, length: int | None = None) -> None:
        """Send the answer, or the first `part` of its body, to the client; `length` is the announced length."""
        self.seen.status = response.status  # before the client can read it
        self._handler.send_response_only(response.status)
        for name, value in response.headers:
            self._handler.send_header(name, value)
        if self.seen.method != "HEAD":
            self._handler.send_header("Content-Length", str(len(response.body) if length is None else length))
        self._handler.end_headers()
        self._handler.wfile.write(response.body[: int(len(response.body) * part)])
        self._handler.wfile.flush()

    def more(self, body: bytes) -> None:
        """Send more of the body."""
        self._handler.wfile.write(body)

    def left(self, seconds: float) -> bool:
        """Return whether the client hangs up within these seconds."""
        ready, _, _ = select.select([self._handler.connection], [], [], seconds)
        return bool(ready) and self._handler.connection.recv(1, socket.MSG_PEEK) == b""

    def hang_up(self, reset: bool = False) -> None:
        """Cut the connection to the client."""
        self._handler.close_connection = True
        if reset:
            # A linger of 0 s makes close send RST. Close at once, before socketserver sends FIN.
            self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._handler.rfile.close()
            self._handler.connection.close()
