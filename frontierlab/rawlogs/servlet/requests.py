"""From messages to requests: which messages belong to one request, when it is whole, and what became of it.

A request is named by the log, the server, the restart generation and its id. The servlet counts ids from 1 and begins
anew when it restarts, so the same id comes again. Messages with one id of one server are cut into requests where a
start line comes, and where anything but a late message follows a stop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frontierlab.rawlogs.servlet.cutting import Scanner
from frontierlab.rawlogs.servlet.messages import AFTER_STOP, Kind, Messages
from frontierlab.rawlogs.servlet.scanning import NOT_SET

__all__ = ["Grouped", "Grouper", "Requests"]

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_LATE_MS = 60_000  # a late message comes within this time after the stop
_DEAD_MS = 3_600_000  # a request that says nothing for an hour is over: while it waits, it prints a line every 5 s
_MOST_WAITING = 2_000_000  # messages of unfinished requests that are kept
_BACK = 500  # an id that is so far below the highest one tells of a restart
_LATE = np.zeros(64, bool)
_LATE[list(AFTER_STOP)] = True
_EARLY = np.zeros(64, bool)
_EARLY[[Kind.INIT_ERROR, Kind.SQL, Kind.GIVEN_DATE]] = True


@dataclass(frozen=True)
class Requests:
    """Requests, with their messages.

    Parameters
    ----------
    messages
        The messages, those of a request together and in order.
    first
        Where the messages of each request begin; the last entry is the number of all messages.
    generation
        How many restarts of its server were seen before each request.
    """

    messages: Messages
    first: Integers
    generation: Integers

    def __len__(self) -> int:
        return len(self.generation)

    @property
    def of(self) -> Integers:
        """The number of the request of each message."""
        return np.repeat(np.arange(len(self)), np.diff(self.first))

    @property
    def kinds(self) -> Integers:
        """The kinds of messages that each request has, as bits of an integer."""
        if not len(self):
            return np.zeros(0, np.int64)
        return np.bitwise_or.reduceat(np.left_shift(1, self.messages.kind), self.first[:-1])


@dataclass
class _Server:
    """What is known of one server while its log is read."""

    generation: int = 0
    highest: int = 0
    started: set[int] = field(default_factory=set)

    def restart(self) -> None:
        self.generation += 1
        self.highest = 0
        self.started.clear()

    def start(self, request: int) -> None:
        """Note the start of a request, and the restart that it tells of: an id comes again, or falls far back."""
        if request in self.started or request < self.highest - _BACK:
            self.restart()
        self.started.add(request)
        self.highest = max(self.highest, request)
        if len(self.started) > 8 * _BACK:
            self.started = {one for one in self.started if one > self.highest - 2 * _BACK}

    def goes_on(self, requests: Integers) -> bool:
        """Note many starts, if none of them can tell of a restart; otherwise return False, and note nothing."""
        highest = np.maximum.accumulate(np.maximum(requests, self.highest))
        known = np.fromiter(self.started, np.int64, len(self.started))
        if (requests < highest - _BACK).any() or len(np.unique(requests)) < len(requests):
            return False
        if np.isin(requests, known).any():
            return False
        self.highest = int(highest[-1])
        self.started.update(requests[requests > self.highest - 2 * _BACK].tolist())
        self.started = {one for one in self.started if one > self.highest - 2 * _BACK}
        return True


class Grouped:
    """What a step of grouping gave: whole requests, and how many late messages had no request any more."""

    def __init__(self, requests: Requests, stray: int) -> None:
        self.requests = requests
        self.stray = stray


class Grouper:
    """Groups the messages of one log into requests, in the order in which they come."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._servers: dict[int, _Server] = {}
        self._waiting = Messages.empty()
        self._generations: Integers = np.zeros(0, np.int64)  # of the waiting messages
        self._unnamed = 0  # restarts of servers that have not said their name yet
        self.versions: dict[int, str] = {}
        self.restarts = 0
        self._version = ""

    def state(self) -> tuple[dict[str, Any], pa.Table]:
        """Return what `restore` needs to go on in another process: a plain dict for JSON, and the waiting messages."""
        servers = {number: [one.generation, one.highest, sorted(one.started)] for number, one in self._servers.items()}
        told = {"servers": servers, "unnamed": self._unnamed, "version": self._version, "restarts": self.restarts}
        return told, self._waiting.as_table().append_column("generation", pa.array(self._generations))

    def restore(self, state: dict[str, Any], waiting: pa.Table) -> None:
        """Go on where another grouper was when it gave this state."""
        self._servers = {int(number): _Server(one[0], one[1], set(one[2])) for number, one in state["servers"].items()}
        self._unnamed, self._version, self.restarts = state["unnamed"], state["version"], state["restarts"]
        self._generations = waiting["generation"].to_numpy()
        self._waiting = Messages.of_table(waiting)

    def add(self, new: Messages, *, last: bool = False) -> Grouped:
        """Take further messages; return the requests that are over.

        Parameters
        ----------
        new
            The next messages of the log.
        last
            Whether nothing follows: then all requests are over.
        """
        generations = self._generations_of(new)
        asked = (new.request >= 0) & (new.kind != Kind.INITIALIZING)
        messages = Messages.together([self._waiting, new.take(asked)])
        generations = np.concatenate([self._generations, generations[asked]])
        if not len(messages):
            return Grouped(Requests(messages, np.zeros(1, np.int64), generations), 0)
        order, begins = _cut(messages, generations)
        messages, generations = messages.take(order), generations[order]
        first = np.flatnonzero(begins)
        whole = Requests(messages, np.append(first, len(messages)), generations[first])
        over = np.ones(len(whole), bool) if last else _over(whole)
        kept = ~np.repeat(over, np.diff(whole.first))
        waiting = np.flatnonzero(kept)
        waiting = waiting[np.argsort(messages.place[waiting], kind="stable")]
        self._waiting, self._generations = messages.take(waiting).compact(), generations[waiting]
        stray = over & ((whole.kinds & ~sum(1 << kind for kind in AFTER_STOP)) == 0)
        return Grouped(_chosen(whole, over & ~stray), int(np.diff(whole.first)[stray].sum()))

    def _generations_of(self, new: Messages) -> Integers:
        """Return for each message how often its server was seen to restart before; only few messages tell of that."""
        told = (new.kind == Kind.INITIALIZING) | (new.kind == Kind.SERVER) | self._restarting(new)
        changes: dict[int, tuple[list[int], list[int]]] = {}
        for k in np.flatnonzero(told).tolist():
            number, kind = int(new.server[k]), int(new.kind[k])
            server = self._servers.setdefault(number, _Server())
            before = server.generation
            if kind == Kind.START:
                server.start(int(new.request[k]))
            else:
                self._init(number, server, new, k)
            if server.generation != before:
                self.restarts += 1
                places, values = changes.setdefault(number, ([-1], [before]))
                places.append(k)
                values.append(server.generation)
        now = {number: server.generation for number, server in self._servers.items()}
        generations = np.zeros(len(new), np.int64)
        for number in np.unique(new.server).tolist():
            of = np.flatnonzero(new.server == number)
            places, values = changes.get(number, ([-1], [now.get(number, 0)]))
            generations[of] = np.array(values)[np.searchsorted(places, of, side="right") - 1]
        return generations

    def _restarting(self, new: Messages) -> Mask:
        """Return the start lines that must be looked at one by one; those of servers that plainly go on are noted."""
        starts = new.kind == Kind.START
        for number in np.unique(new.server[starts]).tolist():
            of = starts & (new.server == number)
            begins = np.any((new.server == number) & ((new.kind == Kind.INITIALIZING) | (new.kind == Kind.SERVER)))
            if not begins and self._servers.setdefault(number, _Server()).goes_on(new.request[of]):
                starts &= ~of
        found: Mask = starts
        return found

    def _init(self, number: int, server: _Server, new: Messages, k: int) -> None:
        """Note what a servlet says when it begins; the server's name comes after the first line."""
        if new.kind[k] == Kind.INITIALIZING:
            self._version = (
                new.texts_of(np.array([k]))[0].as_py().rpartition(b" ")[2].decode("ascii", "backslashreplace")
            )
            self._unnamed += 1
        if self._unnamed and self._scanner.servers[number] != NOT_SET:
            self._unnamed -= 1
            self.versions[number] = self._version
            if server.started:
                server.restart()


def _cut(messages: Messages, generations: Integers) -> tuple[Integers, Mask]:
    """Return the messages in order of server, id and place; and which of them, in this order, begin a request."""
    import pandas as pd

    codes = pd.factorize(messages.server * 2**44 + np.minimum(messages.request, 2**44 - 1))[0]
    # numbers of 16 bits are sorted by radix, in one pass
    order = np.argsort(codes.astype(np.uint16) if codes.max() < 2**16 else codes, kind="stable")
    code, kind, generation = codes[order], messages.kind[order], generations[order]
    begins = np.ones(len(order), bool)
    begins[1:] = code[1:] != code[:-1]
    starts = begins | (kind == Kind.START)
    # the message before, without late ones: after a stop, anything else is of another request
    early = ~_LATE[kind]
    latest = np.maximum.accumulate(np.where(early, np.arange(len(order)), -1))
    before = np.concatenate([[-1], latest[:-1]])
    known = (before >= 0) & (code[np.maximum(before, 0)] == code)
    after_stop = known & early & (kind[np.maximum(before, 0)] == Kind.STOP)
    # what comes early in a request, in another life of the servlet: the start line is missing, or was never printed
    anew = known & _EARLY[kind] & (generation[np.maximum(before, 0)] != generation)
    return order, starts | after_stop | anew


def _over(requests: Requests) -> Mask:
    """Whether requests can get no further messages: they stopped a while ago, or are silent for long."""
    messages = requests.messages
    newest = np.argsort(messages.place)[-101:]
    now = int(np.median(messages.time[newest]))  # one wrong time does not end all requests
    last = requests.first[1:] - 1
    silent = now - np.maximum.reduceat(messages.time, requests.first[:-1])
    stopped = (requests.kinds & (1 << Kind.STOP)) != 0
    # the next request with the same id has begun
    followed = np.zeros(len(requests), bool)
    same = (messages.server[last[:-1]] == messages.server[last[1:]]) & (
        messages.request[last[:-1]] == messages.request[last[1:]]
    )
    followed[:-1] = same
    over: Mask = followed | (stopped & (silent > _LATE_MS)) | (silent > _DEAD_MS)
    left = np.diff(requests.first)[~over].sum()
    if left > _MOST_WAITING:  # a log of requests that never stop must not fill the memory
        over |= silent >= np.median(silent[~over])
    return over


def _chosen(requests: Requests, which: Mask) -> Requests:
    """Return some of the requests, in the order of their first messages."""
    sizes = np.diff(requests.first)
    numbers = np.flatnonzero(which)
    numbers = numbers[np.argsort(requests.messages.place[requests.first[numbers]], kind="stable")]
    taken = sizes[numbers]
    begins = np.concatenate([[0], np.cumsum(taken)]).astype(np.int64)
    index = np.repeat(requests.first[numbers] - begins[:-1], taken) + np.arange(begins[-1])
    return Requests(requests.messages.take(index), begins, requests.generation[numbers])
