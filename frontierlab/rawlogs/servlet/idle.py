"""Messages that nothing is read from: within a request they are left out before requests are put together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frontierlab.rawlogs.servlet.messages import AFTER_STOP, Kind, Messages

__all__ = ["without_idle"]

Integers = NDArray[np.int64]

_ENDS = np.zeros(64, bool)
_ENDS[[Kind.STOP, *AFTER_STOP]] = True
_BEGINS = np.zeros(64, bool)
_BEGINS[[Kind.START, Kind.SQL, Kind.GIVEN_DATE, Kind.INIT_ERROR, *AFTER_STOP]] = True


def without_idle(messages: Messages) -> Messages:
    """Return messages without those that change nothing of any request.

    These are of the kind ``OTHER`` and stand within a request: another message of the same server and id comes before,
    which does not end a request, and one behind, which does not begin one. So the first and last message of each
    request, which give its time, stay.
    """
    asked = np.flatnonzero(messages.request >= 0)
    if len(asked) < 3:
        return messages
    server, request = messages.server[asked], messages.request[asked]
    order = asked[_sorted(server, request)]
    server, request, kind = messages.server[order], messages.request[order], messages.kind[order]
    time = messages.time[order]
    joined = (server[1:] == server[:-1]) & (request[1:] == request[:-1])
    idle = np.zeros(len(order), bool)
    idle[1:-1] = (
        (kind[1:-1] == Kind.OTHER)
        & joined[:-1]
        & joined[1:]
        & ~_ENDS[kind[:-2]]
        & ~_BEGINS[kind[2:]]
        & (time[1:-1] <= np.maximum(time[:-2], time[2:]))  # otherwise its request is heard of for longer
    )
    kept = np.ones(len(messages), bool)
    kept[order[idle]] = False
    return messages.take(kept)


def _sorted(server: Integers, request: Integers) -> Integers:
    """Return the order of messages by server and id, stable."""
    low, servers = int(request.min()), int(server.max()) + 1
    span = int(request.max()) - low + 1
    if span * servers < 2**16:  # numbers of 16 bits are sorted by radix, in one pass
        return np.argsort(((request - low) * servers + server).astype(np.uint16), kind="stable")
    return np.lexsort((request, server))
