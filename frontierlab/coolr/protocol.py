"""What a live COOLR and an archive have in common, and asking one for many things side by side."""

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

_THREADS = 8  # a live COOLR serves as many at a time as coolr_connections says
_LEAVE = 2.0  # seconds for what is under way to end, where the whole ends early

Item = TypeVar("Item")
Result = TypeVar("Result")


class Source(Protocol):
    """A live COOLR or an archive; `frontierlab.coolr.Coolr` says what the methods return."""

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
        """Return the payloads of a folder and tag whose IOV meets a range."""


class Failure(NamedTuple):
    """Something that COOLR did not give, while the rest was done.

    Parameters
    ----------
    db, schema, node, tag
        What it is about; None where it is about all of them.
    error
        Why, and what stands in its place.
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
    """Do some work for each item in a few threads; yield each with its result, or the error of COOLR, as they end.

    Parameters
    ----------
    work
        What to do; another error than CoolrError, and `Cancelled`, end the whole.
    items
        For which.
    report
        Called a few times a second meanwhile; ends the whole by raising.
    cancelled
        Set where the whole ends early, so that what is under way ends too. It is waited for a few seconds, and then
        left to itself.
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
