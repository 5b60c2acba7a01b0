"""Read one slice of a search, page by page: all documents that the server counts, or an error."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import elastic_transport
import elasticsearch
import msgspec

from frontierlab.elastic.connection import ElasticOptions, connect
from frontierlab.elastic.errors import PageTooLarge, require_whole
from frontierlab.elastic.pages import Page, PageSerializer, documents
from frontierlab.elastic.retry import RetryingCaller
from frontierlab.errors import ElasticsearchError

__all__ = ["KEEP_ALIVE", "PointInTime", "SliceReader"]

KEEP_ALIVE = "5m"
"""How long the server keeps a point in time after each search that uses it."""

_SMALLEST = 500  # documents per page, also if the server is busy


@dataclass
class PointInTime:
    """A point in time: all slices read the same state of the index. Each answer may give it a new id.

    Parameters
    ----------
    id
        The newest id from the server.
    """

    id: str


class SliceReader:
    """Reads slices of searches. Several threads may share a reader.

    Parameters
    ----------
    options
        The Elasticsearch; pages have at most ``options.page`` documents.
    caller
        Makes the calls.
    """

    def __init__(self, options: ElasticOptions, caller: RetryingCaller) -> None:
        self._url = options.url
        self._index = options.index
        self._most = options.page  # until the server says that its maximum is smaller
        self._caller = caller
        self._options = options
        self._lock = threading.Lock()
        self._client: elasticsearch.Elasticsearch | None = None

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()

    def pages(self, body: dict[str, Any], pit: PointInTime, number: int, slices: int) -> Iterator[list[bytes]]:
        """Read one slice of a search.

        Parameters
        ----------
        body
            The body of the search, from `search_body`. It is not changed.
        pit
            The point in time; all slices must use the same one.
        number, slices
            The number of the slice, from 0, and the number of slices.

        Yields
        ------
        list of bytes-like
            The documents' JSON text. Never an empty list.

        Raises
        ------
        PointInTimeLost
            The point in time expired, or the server restarted.
        ElasticsearchError
            A shard failed, the search timed out, or the server did not answer for ``es_retry_seconds``.
        """
        body = body | {"track_total_hits": True}
        if slices > 1:
            body["slice"] = {"id": number, "max": slices}
        expected, read = 0, 0
        while True:
            body["pit"] = {"id": pit.id, "keep_alive": KEEP_ALIVE}
            page, asked = self._page(body)
            pit.id = page.pit_id or pit.id
            if body["track_total_hits"]:
                expected = self._counted(page)
                body["track_total_hits"] = False  # counting once is enough
            read += len(page.hits.hits)
            if page.hits.hits:
                yield documents(page)
            if len(page.hits.hits) < asked:
                break
            body["size"] = min(self._most, 2 * asked)  # grow again after a busy server halved it
            body["search_after"] = self._last(page)
        if read != expected:
            raise ElasticsearchError(
                f"{self._index}: slice {number} of {slices} gave {read:,} documents, but the server counted "
                f"{expected:,}."
            )

    def _connected(self) -> elasticsearch.Elasticsearch:
        """Return the client, made by the first search: a look reads no pages, and certificates take time to load."""
        with self._lock:
            if self._client is None:
                self._client = connect(self._options, serializers={"application/json": PageSerializer()})
            return self._client

    def _counted(self, page: Page) -> int:
        total = page.hits.total or {}
        if total.get("relation") != "eq" or not isinstance(total.get("value"), int):
            raise ElasticsearchError(f"{self._index} did not count the documents of a search: {total}.")
        return int(total["value"])

    def _last(self, page: Page) -> list[Any]:
        """Return the sort values of the last document, after which the next page begins."""
        last = msgspec.json.decode(page.hits.hits[-1].sort)
        if not isinstance(last, list) or not last:
            raise ElasticsearchError(f"{self._index} gave a page without the place where the next one begins.")
        return last

    def _page(self, body: dict[str, Any]) -> tuple[Page, int]:
        """Return the next page and its requested size."""
        client = self._connected()

        def search() -> Page:
            page: Page = client.perform_request(
                "POST",
                "/_search",
                params={"allow_partial_search_results": "false"},
                headers={"accept": "application/json", "content-type": "application/json"},
                body=body,
            ).body
            return page

        def on_refusal(error: BaseException) -> None:
            busy = isinstance(error, elasticsearch.ApiError) and error.meta.status == 429
            if busy or isinstance(error, elastic_transport.ConnectionTimeout):
                body["size"] = max(min(_SMALLEST, body["size"]), body["size"] // 2)

        while True:
            try:
                page = self._caller.ask(search, on_refusal=on_refusal)
            except PageTooLarge as error:
                body["size"] = self._most = error.most
            else:
                if not isinstance(page, Page):
                    raise ElasticsearchError(f"{self._url} did not answer a search of {self._index} with a page.")
                require_whole(page.about(), self._index)
                return page, body["size"]
