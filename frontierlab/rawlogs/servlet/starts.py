"""The start line of a request: who asked, through which proxies, for what; with personal data replaced."""

from __future__ import annotations

import re
from typing import NamedTuple, TypeVar

from frontierlab.rawlogs.personal import FrontierId, Pseudonyms

__all__ = ["Asker", "Start", "StartReader"]

_JOB = re.compile(rb"\[(\d{1,18})_(\d{1,18})\] \d+\.\S* \d{1,18} ([^\s()]+)\(\d+\)(?: |$)")
_REMEMBERED = 50_000
T = TypeVar("T")


class Asker(NamedTuple):
    """Who asked, from the Frontier id."""

    asker: str
    taskid: int | None
    pandaid: int | None
    account: str | None


class Start(NamedTuple):
    """What a start line says; personal data are hashes.

    Parameters
    ----------
    version
        The servlet's version.
    threads
        Simultaneous threads, this request included; None if the line is cut.
    query
        The query string or path, which holds the request's parameters.
    asker
        Who asked.
    squid
        The first proxy: the Squid of the site.
    client
        The address of the client, as the first proxy saw it; without a proxy, as the servlet saw it.
    """

    version: str
    threads: int | None
    query: bytes
    asker: Asker
    squid: str | None
    client: str | None


class StartReader:
    """Reads start lines; remembers what it replaced.

    Parameters
    ----------
    pseudonyms
        What replaces personal data.
    """

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms
        self._askers: dict[bytes, Asker] = {}
        self._accounts: dict[bytes, str | None] = {}
        self._squids: dict[bytes, str | None] = {}
        self._clients: dict[bytes, str | None] = {}

    def read(self, text: bytes) -> Start:
        """Read ``servlet_version:V start threads:N query Q raddr IP frontier-id: ID[ via: …][ x-forwarded-for: …]``."""
        head, _, tail = text.partition(b" raddr ")
        words = head.split(b" ", 4)
        query = words[4] if len(words) == 5 else b""
        threads = words[2].partition(b":")[2] if len(words) > 2 else b""
        address, _, rest = tail.partition(b" frontier-id: ")
        named, via, forwarded = _headers(rest)
        return Start(
            words[0].partition(b":")[2].decode("ascii", "backslashreplace"),
            int(threads) if threads.isdigit() and len(threads) < 18 else None,
            query,
            self._asker(named),
            self._squid(via) if via else None,
            self._client(forwarded.partition(b",")[0].strip() or address),
        )

    def _asker(self, named: bytes) -> Asker:
        found = self._askers.get(named)
        if found is None:
            job = _JOB.match(named)
            if job is not None and b"\n" not in named:
                found = Asker("task", int(job[1]), int(job[2]), self._account(job[3]))
            else:
                found = _asker_of(self._pseudonyms.frontier_id(named.decode("utf-8", "backslashreplace")))
            _remember(self._askers, named, found)
        return found

    def _account(self, account: bytes) -> str | None:
        found = self._accounts.get(account)
        if found is None:
            found = self._pseudonyms.hashed(account.decode("utf-8", "backslashreplace"), "account")
            _remember(self._accounts, account, found)
        return found

    def _squid(self, via: bytes) -> str | None:
        found = self._squids.get(via)
        if found is None:
            first = (self._pseudonyms.via(via.decode("utf-8", "backslashreplace")) or "").partition(",")[0]
            host = first.partition(" (")[0].split(" ")
            found = host[1] if len(host) > 1 else host[0]
            _remember(self._squids, via, found)
        return found or None

    def _client(self, address: bytes) -> str | None:
        found = self._clients.get(address)
        if found is None:
            found = self._pseudonyms.host(address.decode("utf-8", "backslashreplace"))
            _remember(self._clients, address, found)
        return found or None


def _headers(rest: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the Frontier id, ``via`` and ``x-forwarded-for``; the two headers come in any order."""
    lower = rest.lower()
    places = {name: lower.rfind(name) for name in (b" via: ", b" x-forwarded-for: ")}
    end, values = len(rest), {}
    for name, place in sorted(places.items(), key=lambda item: -item[1]):
        if place >= 0:
            values[name] = rest[place + len(name) : end]
            end = place
    return rest[:end], values.get(b" via: ", b""), values.get(b" x-forwarded-for: ", b"")


def _asker_of(told: FrontierId) -> Asker:
    return Asker("task" if told.taskid is not None else told.agent, told.taskid, told.pandaid, told.account)


def _remember(memory: dict[bytes, T], key: bytes, value: T) -> None:
    if len(memory) >= _REMEMBERED:
        memory.clear()
    memory[key] = value
