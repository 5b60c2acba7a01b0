"""Calls to Elasticsearch that always end: with an answer, an error, or because the caller stops."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import elastic_transport

from frontierlab.util.leavable_call import LeavableCall, Overdue

__all__ = ["BreakableNode", "CALL_SECONDS", "LOOK", "call_within"]

T = TypeVar("T")

CALL_SECONDS = 300.0
"""The longest time for a call and its whole answer. A page that takes longer is requested again in a smaller size."""

LOOK = 0.1
"""Seconds between two checks whether a waiting caller must stop."""

_current = threading.local()  # the call that this thread makes
_own = threading.local()  # the helper that makes the calls of this thread


def call_within(call: Callable[[], T], seconds: float, look: Callable[[], object]) -> T:
    """Make a call in another thread and wait for its end.

    The wait is bounded, also if the server sends single bytes or nothing, or if the name server is slow. When the wait
    ends early, the connection of the call is closed, so that the server ends its search.

    Parameters
    ----------
    call
        The call; its client has the node class `BreakableNode`.
    seconds
        The longest wait.
    look
        Called ten times a second in this thread; ends the wait by raising.

    Raises
    ------
    elastic_transport.ConnectionTimeout
        The call did not end in time.
    """
    made = _Call(call)
    if (helper := getattr(_own, "helper", None)) is None or not helper.thread.is_alive():  # not after a fork
        _own.helper = _Helper()
    _own.helper.calls.put(made)

    def leave(_: BaseException) -> None:
        made.hang_up()
        _own.helper = None  # that helper may hang: the next call gets a new one

    try:
        made.wait(look, leave, every=LOOK, seconds=seconds)
    except Overdue:
        raise elastic_transport.ConnectionTimeout(f"no whole answer within {seconds:g} s") from None
    return made.result()


class _Call(LeavableCall[T]):
    """A running call, and the connection that it uses."""

    def __init__(self, call: Callable[[], T]) -> None:
        super().__init__(call)
        self.connection: Any = None

    def run(self) -> None:
        _current.call = self
        try:
            super().run()
        finally:
            _current.call = None

    def hang_up(self) -> None:
        sock = getattr(self.connection, "sock", None)
        if sock is not None:
            with suppress(OSError):  # closed meanwhile; the plain socket's shutdown, since TLS's is not thread-safe
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Helper:
    """A thread that makes calls one after another, until this object is deleted.

    One thread per call would be simpler, but answers then take a third more memory.
    """

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[_Call[Any] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=_make_calls, args=(self.calls,), name="elasticsearch", daemon=True)
        self.thread.start()

    def __del__(self) -> None:
        self.calls.put(None)


def _make_calls(calls: queue.SimpleQueue[_Call[Any] | None]) -> None:
    while (call := calls.get()) is not None:
        call.run()
        del call  # frees its answer before the next call


class BreakableNode(elastic_transport.Urllib3HttpNode):
    """A node whose connections `call_within` can close while another thread waits for an answer."""

    def __init__(self, config: elastic_transport.NodeConfig) -> None:
        super().__init__(config)
        connection: Any = self.pool.ConnectionCls

        class Connection(connection):  # type: ignore[misc]
            def request(self, *args: Any, **options: Any) -> Any:
                if (call := getattr(_current, "call", None)) is not None:
                    call.connection = self
                return super().request(*args, **options)

        self.pool.ConnectionCls = Connection
