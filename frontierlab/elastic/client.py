"""The client of an index: its fields, counts of its documents, and its documents in pages and slices."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import elastic_transport
import elasticsearch

from frontierlab.elastic.bounded_calls import CALL_SECONDS, call_within
from frontierlab.elastic.connection import ElasticOptions, connect
from frontierlab.elastic.errors import require_all_answered, require_whole
from frontierlab.elastic.index_fields import Field, read_caps
from frontierlab.elastic.retry import RetryingCaller
from frontierlab.elastic.shapes import Shape, asked_names, shapes
from frontierlab.elastic.slices import KEEP_ALIVE, PointInTime, SliceReader
from frontierlab.errors import ElasticsearchError

__all__ = ["Index"]

_FIRST = 15.0  # seconds for the first answer: a wrong address should not cost minutes
_CLOSING = 5.0  # seconds for closing a point in time, which expires by itself


class Index:
    """The client of one index, several, or those that match a pattern.

    Parameters
    ----------
    options
        The address, the credentials, and how to read.
    cancelled
        Set it to end waiting and reading: every call then ends within a second.
    waiting
        Called a few times a second while the thread that made this object waits for an answer; ends the wait by
        raising.
    seconds
        The longest time for a call and its whole answer. Calls to a busy or absent server are repeated for
        ``options.retry_seconds``.

    Attributes
    ----------
    name, url
        The names or patterns of the indices, and the server.
    client
        The client for calls of other APIs; make them with `ask`.
    ask
        Makes a call to the server, see `RetryingCaller.ask`.
    pages
        Reads one slice of a search, see `SliceReader.pages`.
    """

    def __init__(
        self,
        options: ElasticOptions,
        cancelled: threading.Event | None = None,
        waiting: Callable[[], object] | None = None,
        seconds: float = CALL_SECONDS,
    ) -> None:
        self.name = options.index
        self.url = options.url
        self.client = connect(options)
        self._caller = RetryingCaller(
            options.url,
            options.index,
            options.retry_seconds,
            call_seconds=seconds,
            cancelled=cancelled,
            waiting=waiting,
        )
        self._reader = SliceReader(options, self._caller)
        self.ask = self._caller.ask
        self.pages = self._reader.pages

    @property
    def waiting(self) -> Callable[[], object] | None:
        """A function that is called a few times a second while the thread that made this object waits."""
        return self._caller.waiting

    @waiting.setter
    def waiting(self, call: Callable[[], object] | None) -> None:
        self._caller.waiting = call

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        self._reader.close()

    def fields(self, names: Sequence[str]) -> tuple[list[str], dict[str, Field]]:
        """Return the indices that are read, and the capabilities of fields; this is the first call to a server.

        Raises
        ------
        ElasticsearchError
            The server cannot be reached or refuses, the index does not exist, or an index does not answer. The call is
            not repeated: a wrong address should not cost minutes.
        """
        answer = self.ask(
            lambda: self.client.options(request_timeout=_FIRST).field_caps(
                index=self.name,
                fields=names,
                allow_no_indices=False,
                ignore_unavailable=False,
                include_unmapped=True,
            ),
            retry_seconds=0,
            within=_FIRST,
        )
        require_all_answered(answer.body, self.name)
        return list(answer["indices"]), read_caps(answer.body)

    def shapes(self, fields: Sequence[str]) -> list[Shape]:
        """Return the indices that are read, grouped by how they map these fields of the documents."""
        answer = self.ask(
            lambda: self.client.field_caps(
                index=self.name,
                fields=asked_names(fields),
                allow_no_indices=False,
                ignore_unavailable=False,
                include_unmapped=True,
            )
        )
        require_all_answered(answer.body, self.name)
        return shapes(answer.body, fields)

    def count(self, query: dict[str, Any], index: str | None = None) -> int:
        """Count the documents of a query, in all indices or in some of them."""
        # unlike the count API, a search reports the state of remote clusters
        answer = self._search(query, index=index or self.name, track_total_hits=True)
        return int(answer["hits"]["total"]["value"])

    def count_and_shards(self, query: dict[str, Any], index: str | None = None) -> tuple[int, int]:
        """Count the documents of a query, and the shards that were searched, in all indices or in some of them."""
        answer = self._search(query, index=index or self.name, track_total_hits=True)
        return int(answer["hits"]["total"]["value"]), int(answer["_shards"]["total"])

    def count_in(self, pit: PointInTime, query: dict[str, Any], shards: int) -> int:
        """Count the documents of a query in a point in time.

        Raises
        ------
        ElasticsearchError
            The point in time has fewer than `shards` shards: an index or a cluster has disappeared.
        """
        return int(self._search_in(pit, query, shards, track_total_hits=True)["hits"]["total"]["value"])

    def aggregate(
        self,
        pit: PointInTime,
        query: dict[str, Any],
        aggregations: Mapping[str, Any],
        shards: int,
        runtime: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the aggregations of a query in a point in time, by name.

        Parameters
        ----------
        pit, query, aggregations
            What is aggregated.
        shards
            The least number of shards that must be searched, see `count_in`.
        runtime
            The ``runtime_mappings`` of the search.
        """
        wanted = {"aggregations": aggregations, "track_total_hits": False}
        if runtime:
            wanted["runtime_mappings"] = runtime
        return dict(self._search_in(pit, query, shards, **wanted)["aggregations"])

    def _search_in(self, pit: PointInTime, query: dict[str, Any], shards: int, **options: Any) -> Any:
        answer = self._search(query, pit={"id": pit.id, "keep_alive": KEEP_ALIVE}, **options)
        pit.id = answer.get("pit_id") or pit.id
        if answer["_shards"]["total"] < shards:
            raise ElasticsearchError(
                f"{self.name} did not answer in full: it had {shards} shards at first, and has "
                f"{answer['_shards']['total']} now. An index or a cluster is missing. Try again when it is available."
            )
        return answer

    def ends(self, query: dict[str, Any]) -> tuple[int | None, int | None]:
        """Return the times of the first and the last document in UTC milliseconds; None if there are no documents."""
        wanted = {which: {which: {"field": "@timestamp"}} for which in ("min", "max")}
        found = self._search(query, index=self.name, aggregations=wanted, track_total_hits=False)["aggregations"]
        first, last = (found[which]["value"] for which in wanted)
        return None if first is None else int(first), None if last is None else int(last)

    def histogram(self, query: dict[str, Any], width: int) -> list[tuple[int, int]]:
        """Count documents in buckets of `width` milliseconds: ``(start, documents)`` in order, UTC milliseconds."""
        how = {"field": "@timestamp", "fixed_interval": f"{width}ms", "min_doc_count": 1}
        wanted = {"times": {"date_histogram": how}}
        answer = self._search(query, index=self.name, aggregations=wanted, track_total_hits=False)
        buckets = answer["aggregations"]["times"]["buckets"]
        return [(int(bucket["key"]), int(bucket["doc_count"])) for bucket in buckets]

    def _search(self, query: dict[str, Any], **options: Any) -> Any:
        """Search for counts and aggregations, without documents."""
        answer = self.ask(
            lambda: self.client.search(query=query, size=0, allow_partial_search_results=False, **options)
        )
        require_whole(answer.body, self.name)
        return answer.body

    @contextmanager
    def point_in_time(self, index: str | None = None) -> Iterator[PointInTime]:
        """Open a point in time of all indices or of some of them, and close it at the end."""
        opened = self.ask(
            # by default a missing shard is an error
            lambda: self.client.open_point_in_time(index=index or self.name, keep_alive=KEEP_ALIVE)
        )
        pit = PointInTime(opened["id"])
        try:
            require_whole(opened.body, self.name)
            yield pit
        finally:
            # a point in time expires by itself: a failure to close it must not hide another error
            with suppress(elasticsearch.ApiError, elastic_transport.TransportError):
                call_within(lambda: self.client.close_point_in_time(id=pit.id), _CLOSING, lambda: None)
