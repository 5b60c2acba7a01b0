"""The start line of a request: who asked, through which proxies, for what; with personal data replaced."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from frontierlab.rawlogs.personal import FrontierId, Pseudonyms
from frontierlab.rawlogs.texts import Texts, lengths, numbers, spread

__all__ = ["Asker", "Start", "StartReader"]

_JOB = re.compile(rb"\[(\d{1,18})_(\d{1,18})\] \d+\.\S* \d{1,18} ([^\s()]+)\(\d+\)(?: |$)")
_JOBS = r"(?s)^\[(?P<task>\d{1,18})_(?P<job>\d{1,18})\] \d+\.\S* \d{1,18} (?P<account>[^\s()]+)\(\d+\)(?: [^\n]*)?$"
_THREADS = b" start threads:"
_QUERY, _ADDRESS, _NAMED = b" query ", b" raddr ", b" frontier-id: "
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

    @staticmethod
    def url(text: bytes) -> bytes:
        """Return the query string or path of a start line, which holds the request's parameters."""
        words = text.partition(b" raddr ")[0].split(b" ", 4)
        return words[4] if len(words) == 5 else b""

    def read_all(self, lines: Texts) -> dict[str, pa.Array]:
        """Read many start lines; return columns with the names of `frontierlab.rawlogs.servlet.columns` and the schema.

        The same as `read` of each, but steps are done for all lines at once.
        """
        version_at = lines.begin + len(b"servlet_version:")
        version = lengths(lines.view, version_at, 40)
        behind = version_at + version
        threads, after = numbers(lines.view, behind + len(_THREADS))
        address, named = _places(lines, after)
        plain = (version > 0) & lines.has_at(behind, _THREADS) & (threads >= 0) & (lines.view[after] == 32)
        plain &= (address > 0) & (named > address)
        named = np.where(plain, named + len(b" frontier-id: "), lines.end)
        rest = lines.cut(named, lines.end)
        lower = pc.ascii_lower(rest.view(pa.large_string()))
        header = {}
        colons = np.zeros(len(lines), np.int64)
        for name in (" via: ", " x-forwarded-for: "):
            place = pc.find_substring(lower, name).to_numpy().astype(np.int64)
            header[name] = np.where(place < 0, lines.end, named + place)
            colons += place >= 0
        # neither header is there twice, nor anything like one
        plain &= pc.count_substring(lower, ": ").to_numpy() == colons
        via, forwarded = header.values()
        first, second = np.minimum(via, forwarded), np.maximum(via, forwarded)
        via_at = np.minimum(via + len(b" via: "), lines.end)
        forwarded_at = np.minimum(forwarded + len(b" x-forwarded-for: "), lines.end)
        columns = self._askers_of(lines.cut(named, first)) | {
            "servlet_version": spread(lines.cut(version_at, behind), _ascii, pa.string()),
            "initthreads": pa.array(threads, mask=threads < 0),
            "squid": spread(lines.cut(via_at, np.where(via < forwarded, second, lines.end)), self._squid, pa.string()),
            "client": self._clients_of(
                lines, lines.cut(forwarded_at, np.where(forwarded < via, second, lines.end)), address, named
            ),
        }
        return self._with(columns, lines, np.flatnonzero(~plain))

    def _askers_of(self, named: pa.LargeBinaryArray) -> dict[str, pa.Array]:
        """Return who asked, from Frontier ids; most are those of jobs."""
        found = pc.extract_regex(named.view(pa.large_string()), _JOBS)
        other = found.is_null()
        encoded = named.filter(other).dictionary_encode()
        askers = [self._asker(one) for one in encoded.dictionary.to_pylist()]
        parts = {
            name: pc.if_else(other, None, found.field(number)) for number, name in enumerate(("task", "job", "account"))
        }
        columns: dict[str, pa.Array] = {
            "asker": pa.repeat("task", len(named)),
            "taskid": parts["task"].cast(pa.int64()),
            "pandaid": parts["job"].cast(pa.int64()),
            "account": spread(parts["account"].view(pa.large_binary()), self._account_or_none, pa.string()),
        }
        for name in columns if len(encoded) else ():
            values = pa.array([getattr(one, name) for one in askers], columns[name].type).take(encoded.indices)
            columns[name] = pc.replace_with_mask(columns[name], other, values)
        return columns

    def _account_or_none(self, account: bytes | None) -> str | None:
        return None if account is None else self._account(account)

    def _clients_of(
        self, lines: Texts, forwarded: pa.LargeBinaryArray, address: NDArray[np.int64], named: NDArray[np.int64]
    ) -> pa.Array:
        """Return the clients: the first address of x-forwarded-for, or the one that the servlet saw."""
        seen = lines.cut(
            np.where(address < 0, lines.begin, address + len(b" raddr ")),
            np.where(address < 0, lines.begin, np.maximum(named - len(b" frontier-id: "), address + len(b" raddr "))),
        )
        clients = spread(forwarded, lambda value: self._client(value.partition(b",")[0].strip()), pa.string())
        return pc.coalesce(clients, spread(seen, self._client, pa.string()))

    def _with(self, columns: dict[str, pa.Array], lines: Texts, odd: NDArray[np.int64]) -> dict[str, pa.Array]:
        """Read some lines one by one, and put what they say into the columns."""
        if not len(odd):
            return columns
        starts = [self.read(lines[number]) for number in odd.tolist()]
        values: dict[str, list[Any]] = {
            "servlet_version": [one.version for one in starts],
            "initthreads": [one.threads for one in starts],
            "squid": [one.squid for one in starts],
            "client": [one.client for one in starts],
            **{name: [getattr(one.asker, name) for one in starts] for name in Asker._fields},
        }
        mask = np.zeros(len(lines), bool)
        mask[odd] = True
        return {
            name: pc.replace_with_mask(column, pa.array(mask), pa.array(values[name], column.type))
            for name, column in columns.items()
        }

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


def _places(lines: Texts, after: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where `` raddr `` and then `` frontier-id: `` first stand in start lines; -1 where they do not.

    Parameters
    ----------
    lines
        The lines.
    after
        The places behind the numbers of threads.
    """
    # a query has no blank, so the next one ends it; unless the query is empty
    query = lines.has_at(after, _QUERY) & ~lines.has_at(after + len(_QUERY) - 1, _ADDRESS)
    behind = np.where(query, np.minimum(after + len(_QUERY), lines.end), lines.begin)
    address = lines.find(_ADDRESS, behind, by=0)
    behind = address + len(_ADDRESS)
    behind -= lines.has_at(np.maximum(behind - 1, 0), _NAMED)  # an empty address
    named = lines.find(_NAMED, np.where(address < 0, lines.end, np.minimum(behind, lines.end)), by=0)
    return address, named


def _ascii(text: bytes) -> str:
    return text.decode("ascii", "backslashreplace")


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
