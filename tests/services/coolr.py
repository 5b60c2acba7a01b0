"""A stand-in for COOLR: it supports both key styles and both payload shapes, and fails on request.

::

    with CoolrServer(World(), style="camel", shape=2) as server:
        settings = Settings(coolr_host=server.host, …)
        server.troubles.append(Trouble(when="payloads", status=503, rate=0.2))
        server.troubles.append(Trouble(when="PixCalib", lie="reversed", times=1))
        …
        assert server.count("payloads") == 78
"""

from __future__ import annotations

import contextlib
import functools
import http
import json
import random
import re
import socketserver
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from frontierlab.sample import World

Lie = Literal["folder", "named folder", "outside", "reversed", "truncated", "missing", "garbled", "cut"]
LIES: tuple[Lie, ...] = ("folder", "named folder", "outside", "reversed", "truncated", "missing", "garbled", "cut")
"""The kinds of wrong answers: rows of another folder, with its name or without; a row outside the requested range; a
row that ends where it begins; truncated JSON; one field missing in one row; an HTML page; a body shorter than
announced. The first four are for payloads only."""

FOR_EVER = 10.0**6

STYLES = {"snake": str, "camel": lambda key: re.sub("_([a-z])", lambda found: found[1].upper(), key)}


@dataclass(kw_only=True)
class Trouble:
    """A fault in some answers.

    Parameters
    ----------
    when
        Regular expression searched in the decoded request, `payloads?db=…&schema=…`; by default it matches all
        requests.
    times
        How often the fault happens; None means always.
    rate, seed
        The share of the matching requests that get the fault, drawn at random from the seed.
    status, headers, text
        Answer with this status instead, unless it is 200.
    delay
        Seconds before the answer; `FOR_EVER` lasts until the server closes.
    hang_up
        Close the connection without an answer.
    drip
        Seconds between two bytes of the answer.
    headers_drip
        The headers drip too.
    lie
        See `LIES`.
    widest
        Reject wider ranges with status 413.
    """

    when: str = ""
    times: int | None = None
    rate: float = 1.0
    seed: int = 1
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = "not now"
    delay: float = 0.0
    hang_up: bool = False
    drip: float = 0.0
    headers_drip: bool = False
    lie: Lie | None = None
    widest: int | None = None

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self.struck = 0

    def strikes(self, request: str, query: Mapping[str, str]) -> bool:
        """Return whether this request gets the fault, and count it."""
        wide = self.widest is None or int(query.get("until", 0)) - int(query.get("since", 0)) > self.widest
        if self.struck == self.times or not wide or not re.search(self.when, request):
            return False
        if self.rate < 1 and self._random.random() >= self.rate:
            return False
        self.struck += 1
        return True


class CoolrServer:
    """Serve the catalogue and the payloads of a world on 127.0.0.1.

    Parameters
    ----------
    world
        The world to serve.
    style
        The style of keys: `node_fullpath` or `nodeFullpath`.
    shape
        The shape of payloads, 1 or 2.
    texts
        Write integers as texts.
    delay
        Seconds before each answer.

    Attributes
    ----------
    host : str
        For the setting `coolr_host`.
    troubles : list of Trouble
        Can be changed at any time; the first one that applies is used.
    requests : list of str
        All decoded requests, in order of arrival.
    busiest : int
        The highest number of simultaneous requests.
    """

    def __init__(
        self,
        world: World,
        *,
        style: Literal["snake", "camel"] = "snake",
        shape: Literal[1, 2] = 1,
        texts: bool = False,
        delay: float = 0.0,
    ) -> None:
        self._style, self._shape, self._texts = STYLES[style], shape, texts
        self.catalogue: list[dict[str, Any]] = world.catalogue.to_pylist()
        self._payloads, self._written = by_tag(world), _texts(world, shape, texts)
        self.troubles: list[Trouble] = [Trouble(delay=delay)] if delay else []
        self.requests: list[str] = []
        self.busiest = self._busy = 0
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def count(self, when: str = "") -> int:
        """Return the number of matching requests."""
        return sum(bool(re.search(when, request)) for request in list(self.requests))

    def answer(self, path: str, query: Mapping[str, str]) -> Any:
        """Return the answer of a correct COOLR."""
        rows = self._rows(path, query)
        if not rows:
            return None
        if path == "schemas":
            return [{"schemaname": name} for name in dict.fromkeys(row["schema"] for row in rows)]
        if path == "nodes":
            return [self._node(row) for row in {row["node"]: row for row in rows}.values()]
        if path == "tags":
            tags = [{"tag_name": row["tag"], "tag_id": self._number(row["tag_id"])} for row in rows if row["tag_id"]]
            return [self._styled(tag) for tag in tags]
        return self.payloads(query["db"], query["schema"], query["node"], query["tag"], query["since"], query["until"])

    def payloads(self, db: str, schema: str, node: str, tag: str, since: int | str, until: int | str) -> Any:
        """Return the rows of a folder and tag that overlap the range, in the server's shape."""
        rows = self._payloads.get((db, schema, node, tag), [])
        return {"data_array": [self._payload(rows[place]) for place in _overlapping(rows, int(since), int(until))]}

    def _rows(self, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the rows of the catalogue that a request is about."""
        rows = self.catalogue
        for name in ("db", "schema", "node", *(["tag"] if path == "payloads" else [])):
            if name in query:
                rows = [row for row in rows if row[name] == query[name]]
        return rows

    def _text(self, path: str, query: Mapping[str, str]) -> str | None:
        """Return the JSON of `answer`; each payload is written once for all servers of the world."""
        if path != "payloads":
            answer = self.answer(path, query)
            return None if answer is None else json.dumps(answer)
        if not self._rows(path, query):
            return None
        key = (query["db"], query["schema"], query["node"], query["tag"])
        rows, texts = self._payloads.get(key, []), self._written.setdefault(key, {})
        found = _overlapping(rows, int(query["since"]), int(query["until"]))
        for place in found:
            if place not in texts:
                texts[place] = json.dumps(self._payload(rows[place]))
        return f'{{"data_array": [{", ".join([texts[place] for place in found])}]}}'

    def _payload(self, row: Mapping[str, Any]) -> dict[str, Any]:
        channel, since, until = row["channel"], self._number(row["since"]), self._number(row["until"])
        if self._shape == 2:
            return {str(channel): [row["content"], since, until, row["size"]]}
        iov = {"CHANNEL_ID": self._number(channel), "IOV_SINCE": since, "IOV_UNTIL": until}
        values = {"blob": row["content"], "size": row["size"]}
        return {**iov, **values} if row["since"] % 2 else {**dict(reversed(values.items())), **iov}

    def _node(self, row: Mapping[str, Any]) -> dict[str, Any]:
        node = {"node_fullpath": row["node"], "node_id": self._number(row["node_id"])}
        return self._styled({**node, "node_iov_base": row["nodetime"], "node_description": f"about {row['node']}"})

    def _styled(self, record: dict[str, Any]) -> dict[str, Any]:
        return {self._style(key): value for key, value in record.items()}

    def _number(self, value: int) -> int | str:
        return str(value) if self._texts else value

    def _lie(self, lie: Lie, path: str, query: Mapping[str, str], answer: Any) -> Any:
        rows = answer["data_array"] if path == "payloads" else answer
        if lie in ("folder", "named folder"):
            other = next(key for key in self._payloads if key[2] != query.get("node"))
            answer = self.payloads(*other, query["since"], query["until"])
            return {**answer, "node_fullpath": other[2]} if lie == "named folder" else answer
        if lie == "missing":
            row = rows[-1]
            if path == "payloads" and self._shape == 2:
                del next(iter(row.values()))[2:]
            else:
                del row["IOV_UNTIL" if path == "payloads" else list(row)[min(1, len(row) - 1)]]
        if lie in ("outside", "reversed"):
            since = int(query["since"])
            ends = (since - 9, since) if lie == "outside" else (since + 5, since + 5)
            wrong = {"channel": 0, "since": ends[0], "until": ends[1], "content": "wrong", "size": 1}
            rows.insert(len(rows) // 2, self._payload(wrong))
        return answer

    def _respond(self, connection: _Connection, address: str) -> None:
        target = urlsplit(address)
        path = target.path.removeprefix("/api/")
        query = dict(parse_qsl(target.query))
        request = f"{path}?" + "&".join(f"{name}={value}" for name, value in query.items())
        with self._lock:
            self.requests.append(request)
            trouble = next((one for one in list(self.troubles) if one.strikes(request, query)), Trouble())
        if trouble.delay:
            self.closing.wait(trouble.delay)
        if trouble.hang_up:
            connection.keeps = False
            return
        status = 413 if trouble.widest is not None else trouble.status
        if status != 200:
            self._send(connection, status, trouble.text, trouble)
            return
        if trouble.lie is None:
            text = self._text(path, query)
        else:
            answer = self.answer(path, query)
            text = None if answer is None else json.dumps(self._lie(trouble.lie, path, query, answer))
        if text is None:
            self._send(connection, 404, trouble.text, trouble)
            return
        if trouble.lie == "garbled":
            text = "<html><body>Please log in</body></html>"
        if trouble.lie == "truncated":
            text = text[: len(text) * 2 // 3]
        self._send(connection, 200, text, trouble)

    def _send(self, connection: _Connection, status: int, text: str, trouble: Trouble) -> None:
        body = text.encode()
        if trouble.headers_drip:
            self._drip(connection, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 60_000, trouble.drip)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **trouble.headers}
        lines = [f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}", *map(": ".join, headers.items()), "", ""]
        head = "\r\n".join(lines).encode()
        if trouble.drip:
            connection.wfile.write(head)
            self._drip(connection, body, trouble.drip)
            return
        cut = trouble.lie == "cut"
        connection.wfile.write(head + (body[: len(body) // 2] if cut else body))
        connection.keeps = not cut

    def _drip(self, connection: _Connection, body: bytes, pause: float) -> None:
        for byte in body:
            connection.wfile.write(bytes([byte]))
            if self.closing.wait(pause):
                raise ConnectionError("the server ends")

    def _handler(self) -> type[_Connection]:
        server = self

        class Connection(_Connection):
            def respond(self, address: str) -> None:
                with server._lock:
                    server._busy += 1
                    server.busiest = max(server.busiest, server._busy)
                try:
                    server._respond(self, address)
                finally:
                    with server._lock:
                        server._busy -= 1

        return Connection


class _Connection(socketserver.StreamRequestHandler):
    """Reads GET requests without looking at their headers: http.server takes a third of the time of a call for them."""

    disable_nagle_algorithm = True  # otherwise each answer waits for the client's acknowledgement
    timeout = 30
    keeps = True

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):  # clients may hang up at any time
            while self.keeps and (line := self.rfile.readline()):
                method, address, _ = line.decode().split()
                assert method == "GET", f"COOLR is asked by GET alone, not by {method}"
                while self.rfile.readline() not in (b"\r\n", b""):
                    pass
                self.respond(address)

    def respond(self, address: str) -> None:
        """Answer the request of an address."""
        raise NotImplementedError


@functools.lru_cache(maxsize=4)
def by_tag(world: World) -> dict[tuple[str, str, str, str], list[dict[str, Any]]]:
    """Return the payload rows of a world by db, schema, folder and tag. They are shared: do not change them."""
    found: dict[tuple[str, str, str, str], list[dict[str, Any]]] = {}
    for row in world.payloads.to_pylist():
        found.setdefault((row["db"], row["schema"], row["node"], row["tag"]), []).append(row)
    return found


@functools.lru_cache(maxsize=4)
def _texts(world: World, shape: int, texts: bool) -> dict[tuple[str, ...], dict[int, str]]:
    """Return what the servers of a world share: the JSON of rows by folder and place, as it was needed."""
    return {}


def _overlapping(rows: list[dict[str, Any]], since: int, until: int) -> list[int]:
    return [place for place, row in enumerate(rows) if row["since"] <= until and row["until"] > since]
