"""The client of a live COOLR."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.coolr import responses
from frontierlab.coolr.cache import Cache
from frontierlab.coolr.calls import Call, Caller, TooLarge, TooSlow
from frontierlab.coolr.responses import Node, Tag, Unusable, in_order
from frontierlab.errors import InvalidRequestError
from frontierlab.schema import NO_TAG, OPEN_IOV
from frontierlab.settings import Settings

__all__ = ["Coolr", "require_range"]

_SLOW_HALVINGS = 4  # the most halvings of a range with a late response; each costs one timeout
_PIECES = 4_096  # the most calls for one range


class Coolr:
    """A live COOLR. Every response is checked; a fault raises an error and never gives a partial result.

    Responses are cached on disk, in the folder ``coolr`` of ``data_dir``, for ``coolr_cache_hours``; `age` returns
    the age of one. Files older than this and than ``coolr_refresh_hours`` are removed, and the oldest files beyond
    ``coolr_cache_megabytes``. If a response cannot be cached, it is still used, and one warning is given.

    The methods can be called from several threads. Nothing is sent before the first call. As a context manager it
    closes its connections at the end. Every wait is bounded; see `frontierlab.coolr.calls.Caller`.

    Parameters
    ----------
    settings
        Settings with ``coolr_host``.
    cancelled
        Once set, calls end with `frontierlab.coolr.Cancelled`.
    newer_than
        Use only cached responses requested after this time, instead of ``coolr_cache_hours``:
        ``Coolr(settings, newer_than=datetime.now(UTC))`` requests everything again.

    Raises
    ------
    ConfigurationError
        ``coolr_host`` is not set.
    """

    def __init__(
        self, settings: Settings, *, cancelled: threading.Event | None = None, newer_than: datetime | None = None
    ) -> None:
        self.cancelled = cancelled or threading.Event()
        self.url = settings.coolr_url
        self._settings = settings
        self._newer_than = newer_than
        # an interrupted refresh of the catalogue continues with responses up to coolr_refresh_hours old
        hours = max(settings.coolr_cache_hours, settings.coolr_refresh_hours, 1.0)
        self._cache = Cache(settings.data_dir / "coolr", hours, settings.coolr_cache_megabytes)
        self._caller = Caller(settings, self.cancelled)

    def __repr__(self) -> str:
        return f"<Coolr at {self.url}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._caller.close()

    def schemas(self, db: str) -> list[str]:
        """Return the names of the schemas of a database instance.

        Raises
        ------
        CoolrError
            COOLR does not respond, or its response fails a check. The other methods raise in the same way.
        """
        call = _call("schemas", db)
        names: list[str] = self._answer(call, responses.read_schemas)["schemaname"].to_pylist()
        return names

    def nodes(self, db: str, schema: str) -> list[Node]:
        """Return the folders of a schema."""
        table = self._answer(_call("nodes", db, schema), responses.read_nodes)
        return [Node(**row) for row in table.to_pylist()]

    def tags(self, db: str, schema: str, node: str) -> list[Tag]:
        """Return the tags of a folder; an empty list if it has no tags."""
        table = self._answer(_call("tags", db, schema, node), responses.read_tags)
        return [Tag(**row) for row in table.to_pylist()]

    def payloads(
        self, db: str, schema: str, node: str, tag: str, since: int, until: int, nodetime: str | None = None
    ) -> pa.Table:
        """Return the payloads of a folder and tag whose IOV overlaps a range.

        This makes one call. If the range is too large for COOLR, or the response is late, the range is
        requested in halves, whose responses must agree.

        Parameters
        ----------
        db, schema, node, tag
            The folder (full path) and the tag's name; ``none`` for a folder without tags.
        since, until
            The range, in the folder's IOV base, both ends included.
        nodetime
            The folder's IOV base. With ``coolr_iovtype``, calls for a run-lumi folder send
            ``iovtype=run-lumi``. It does not change the values.

        Returns
        -------
        pyarrow.Table
            Columns ``channel``, ``since``, ``until`` (int64) and ``content`` (a digest of the payload's
            values): a row is a payload of one channel, valid over ``[since, until)``, with
            ``row.since <= until`` and ``row.until > since``. Sorted by all columns, without duplicates.

        Raises
        ------
        InvalidRequestError
            The range is invalid.
        """
        require_range(since, until)
        call = self._payloads_call(db, schema, node, tag, since, until, nodetime)
        return self._cached(call, lambda: self._range(call, since, until, 0, itertools.count(1)))

    def age(self, path: Literal["schemas", "nodes", "tags", "payloads"], *arguments: Any) -> timedelta | None:
        """Return the age of a cached response since its request; None if it is not cached.

        Parameters
        ----------
        path
            The name of the method.
        *arguments
            The arguments of the method.
        """
        call = self._payloads_call(*arguments) if path == "payloads" else _call(path, *arguments)
        kept = self._cache.get(self._caller.url(call))
        return None if kept is None else datetime.now(UTC) - kept.asked

    def _payloads_call(
        self, db: str, schema: str, node: str, tag: str, since: int, until: int, nodetime: str | None = None
    ) -> Call:
        call = _between(_call("payloads", db, schema, node, tag or NO_TAG), since, until)
        if self._settings.coolr_iovtype and nodetime == "run-lumi":
            return Call(call.path, {**call.parameters, "iovtype": nodetime})
        return call

    def _answer(self, call: Call, read: Callable[[Any, Any], pa.Table]) -> pa.Table:
        return self._cached(call, lambda: self._checked(call, lambda answer: read(answer, call.parameters)))

    def _cached(self, call: Call, ask: Callable[[], pa.Table]) -> pa.Table:
        url = self._caller.url(call)
        asked = datetime.now(UTC)
        oldest = self._newer_than or asked - timedelta(hours=self._settings.coolr_cache_hours)
        kept = self._cache.get(url)
        if kept is not None and oldest <= kept.asked <= asked:
            return kept.table
        table = ask()
        self._cache.put(url, table, asked)
        return table

    def _range(self, call: Call, since: int, until: int, halvings: int, pieces: Iterator[int]) -> pa.Table:
        """Request a range, in halves if it is too large or slow; `pieces` counts all calls of the request."""
        call = _between(call, since, until)
        if next(pieces) > _PIECES:
            raise self._caller.failure(
                call, f"the range is too large, also in {_PIECES:,} pieces; ask for a smaller one."
            )
        try:
            return self._checked(
                call,
                lambda answer: responses.read_payloads(answer, call.parameters, since, until),
                patient=since == until or halvings >= _SLOW_HALVINGS,
                twice=self._settings.coolr_confirm,
            )
        except (TooLarge, TooSlow):
            if since == until:
                raise
        middle = (since + until) // 2
        left = self._range(call, since, middle, halvings + 1, pieces)
        right = self._range(call, middle + 1, until, halvings + 1, pieces)
        return self._joined(call, left, right, middle)

    def _joined(self, call: Call, left: pa.Table, right: pa.Table, middle: int) -> pa.Table:
        """Join the rows of ``[…, middle]`` and ``[middle + 1, …]``; a row that overlaps both must be in both."""
        ours = left.filter(pc.greater(left["until"], middle + 1)) if middle + 1 < OPEN_IOV else left.slice(0, 0)
        theirs = right.filter(pc.less_equal(right["since"], middle))
        if not ours.equals(theirs):
            raise self._caller.failure(
                call, f"its answers for two pieces of the range, up to {middle} and after it, contradict each other."
            )
        return in_order(pa.concat_tables([left, right]))

    def _checked(
        self, call: Call, read: Callable[[Any], pa.Table], *, patient: bool = True, twice: bool = False
    ) -> pa.Table:
        """Make a call and check its response; with `twice`, call again and compare."""
        try:
            table = read(self._caller.get(call, patient=patient))
            if twice and not table.equals(read(self._caller.get(call, patient=patient))):
                raise Unusable("asked twice, it gave two different answers")
        except Unusable as error:
            raise self._caller.failure(call, f"the answer cannot be used: {error}.") from None
        return table


def require_range(since: int, until: int) -> None:
    """Raise InvalidRequestError unless ``[since, until]`` is a range of IOVs."""
    if not 0 <= since <= until <= OPEN_IOV:
        raise InvalidRequestError(f"[{since}, {until}] is not a range of IOVs: 0 <= since <= until <= {OPEN_IOV}.")


def _call(path: str, *about: str) -> Call:
    return Call(path, dict(zip(("db", "schema", "node", "tag"), about, strict=False)))


def _between(call: Call, since: int, until: int) -> Call:
    return Call(call.path, {**call.parameters, "since": str(since), "until": str(until)})
