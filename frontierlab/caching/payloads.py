"""The payloads from COOLR that determine the answers of queries, and calls of COOLR that can be cancelled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from frontierlab.coolr import Source
from frontierlab.coolr.protocol import side_by_side
from frontierlab.coolr.responses import in_order
from frontierlab.errors import CoolrError
from frontierlab.util.cancelling import check_cancelled

__all__ = ["ask_coolr", "payloads_of"]

Result = TypeVar("Result")


def ask_coolr(work: Callable[[], Result], stop: threading.Event) -> Result:
    """Run a function that calls COOLR in its own thread, so that the caller can be cancelled meanwhile.

    Parameters
    ----------
    work
        The function.
    stop
        Set on cancellation, so that running calls end.

    Raises
    ------
    Cancelled
        A `frontierlab.cancellable` block around the call was cancelled.
    """
    [(_, got)] = side_by_side(lambda _: work(), [None], check_cancelled, stop)
    if isinstance(got, CoolrError):
        raise got
    return got


def payloads_of(
    source: Source, folder: Mapping[str, Any], since: int, until: int, nodetime: str | None = None
) -> pa.Table:
    """Return all payloads that determine the answers of queries of a folder and tag, with one or two calls of COOLR.

    For each channel, COOL's SQL starts at the latest row that begins before the query. If a row begins before
    the range and reaches into it, a later row can have ended before the range. A second call asks for such rows.
    The two responses must agree where they meet.

    Parameters
    ----------
    source
        COOLR.
    folder
        ``db``, ``schema``, ``nodefullpath``, ``tagname``.
    since, until
        The range of the queries' IOVs, both ends included.
    nodetime
        The folder's IOV base, if known.

    Raises
    ------
    CoolrError
        COOLR does not answer, or its responses contradict each other.
    """
    names = (folder["db"], folder["schema"], folder["nodefullpath"], folder["tagname"])
    rows = source.payloads(*names, since, until, nodetime)
    begins = rows["since"].to_numpy()
    reaching = np.flatnonzero(begins < since)
    if not len(reaching) or not since:
        return rows
    first = max(0, int(begins[reaching].min()))
    older = source.payloads(*names, first, since - 1, nodetime)
    if not older.take(np.flatnonzero(older["until"].to_numpy() > since)).equals(rows.take(reaching)):
        raise CoolrError(
            f"COOLR, payloads of {' '.join(names)}: asked for [{first}, {since - 1}] and for [{since}, {until}], it "
            "gives different rows for the same IOVs."
        )
    return in_order(pa.concat_tables([older, rows]))
