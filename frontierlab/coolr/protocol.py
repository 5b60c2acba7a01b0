"""The protocol of a live COOLR and an archive, and concurrent requests to either."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import NamedTuple, Protocol, Self, TypeVar

import pyarrow as pa

from frontierlab.coolr.calls import Cancelled
from frontierlab.coolr.responses import Node, Tag
from frontierlab.errors import CoolrError

__all__ = ["Failure", "Source", "side_by_side"]

_THREADS = 8  # coolr_connections limits the calls to a live COOLR further
_LEAVE = 2.0  # seconds to wait for running calls after a cancellation

Item = TypeVar("Item")
Result = TypeVar("Result")


class Source(Protocol):
    """A live COOLR or an archive; `frontierlab.coolr.Coolr` describes the methods."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def schemas(self, db: str) -> list[str]:
        """Return the names of the schemas of a database instance."""

    def nodes(self, db: str, schema: str) -> list[Node]:
        """Return the folders of a schema."""

    def tags(self, db: str, schema: str, node: str) -> list[Tag]:
        """Return the tags of a folder."""

    def payloads(
        self, db: str, schema: str, node: str, tag: str, since: int, until: int, nodetime: str | None = None
    ) -> pa.Table:
        """Return the payloads of a folder and tag whose IOV overlaps a range."""


class Failure(NamedTuple):
    """A request that failed while the others succeeded.

    Parameters
    ----------
    db, schema, node, tag
        The subject of the request; None means all.
    error
        The reason, and what is used instead.
    """

    db: str
    schema: str | None
    node: str | None
    tag: str | None
    error: str


def side_by_side(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    report: Callable[[], object],
    cancelled: threading.Event | None = None,
) -> Iterator[tuple[Item, Result | CoolrError]]:
    """Run `work` for each item in a few threads; yield each item with its result or CoolrError, as they complete.

    Parameters
    ----------
    work
        The function. `Cancelled`, or an error that is not a CoolrError, stops all work.
    items
        The items.
    report
        Called a few times a second; it can stop all work by raising.
    cancelled
        Set when the work stops early, so that running calls end. They are waited for two seconds, then left
        behind.
    """
    pool = ThreadPoolExecutor(_THREADS, "coolr")
    futures = {pool.submit(work, item): item for item in items}
    pending = set(futures)
    try:
        while pending:
            done, pending = wait(pending, timeout=0.25, return_when=FIRST_COMPLETED)
            report()
            for future in done:
                item = futures.pop(future)
                error = future.exception()
                if isinstance(error, CoolrError) and not isinstance(error, Cancelled):
                    yield item, error
                else:
                    yield item, future.result()
    except BaseException:
        if cancelled is not None:
            cancelled.set()
        pool.shutdown(wait=False, cancel_futures=True)
        wait([future for future in pending if not future.cancelled()], timeout=_LEAVE)
        raise
    pool.shutdown()
