"""The Elasticsearch client: reads an index in pages and slices."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import elastic_transport
import elasticsearch
import msgspec
import tenacity

from frontierlab.elastic.calls import CALL_SECONDS, LOOK, BreakableNode, call_within
from frontierlab.elastic.errors import (
    PageTooLarge,
    PointInTimeLost,
    explained,
    is_passing,
    require_all_answered,
    require_whole,
)
from frontierlab.elastic.fields import Field, read_caps
from frontierlab.elastic.pages import Page, PageSerializer, documents
from frontierlab.errors import ConfigurationError, ElasticsearchError
from frontierlab.settings import Settings

__all__ = ["Index", "PointInTime", "PointInTimeLost", "connect"]

T = TypeVar("T")
_KEEP_ALIVE = "5m"
_SMALLEST = 500  # documents per page, also if the server is busy
_SILENCE = 120.0  # seconds without a byte of an answer
_FIRST = 15.0  # seconds for the first answer: a wrong address should not cost minutes
_CLOSING = 5.0  # seconds for closing a point in time, which expires by itself


def connect(settings: Settings, **options: Any) -> elasticsearch.Elasticsearch:
    """Make a client for the Elasticsearch in the settings; nothing is sent yet.

    Parameters
    ----------
    settings
        ``es_address``, ``es_port``, credentials and certificates.
    **options
        Further options of `elasticsearch.Elasticsearch`.

    Raises
    ------
    ConfigurationError
        ``es_address`` is not set, or ``es_ca_certs`` is not a certificate file.
    """
    security: dict[str, Any] = {}
    if settings.es_api_key is not None:
        security["api_key"] = settings.es_api_key.get_secret_value()
    elif settings.es_user is not None and settings.es_pswd is not None:
        security["basic_auth"] = (settings.es_user, settings.es_pswd.get_secret_value())
    if settings.es_url.startswith("https:"):
        security["verify_certs"] = settings.es_verify_certs
        if settings.es_ca_certs is not None:
            security["ca_certs"] = str(settings.es_ca_certs)
        if settings.es_fingerprint is not None:
            security["ssl_assert_fingerprint"] = settings.es_fingerprint
        if not settings.es_verify_certs:
            security["ssl_show_warn"] = False  # the user has chosen this explicitly
    try:
        # `Index.ask` retries: the client's own retries do not wait
        return elasticsearch.Elasticsearch(
            settings.es_url,
            **security,
            node_class=BreakableNode,
            request_timeout=_SILENCE,
            max_retries=0,
            retry_on_timeout=False,
            **options,
        )
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"No client for {settings.es_url} can be made: {error}.") from error


@dataclass
class PointInTime:
    """A point in time: all slices read the same state of the index. Each answer may give it a new id.

    Parameters
    ----------
    id
        The newest id from the server.
    """

    id: str


class Index:
    """The indices that ``es_index`` names: one, several, or a pattern.

    Parameters
    ----------
    settings
        The address, the credentials, and how to read.
    cancelled
        Set it to end waiting and reading: every call then ends within a second.
    waiting
        Called a few times a second while the thread that made this object waits for an answer; ends the wait by
        raising.
    seconds
        The longest time for a call and its whole answer. Calls to a busy or absent server are repeated for
        ``es_retry_seconds``.

    Raises
    ------
    ConfigurationError
        ``es_address`` or ``es_index`` is not set.
    """

    def __init__(
        self,
        settings: Settings,
        cancelled: threading.Event | None = None,
        waiting: Callable[[], object] | None = None,
        seconds: float = CALL_SECONDS,
    ) -> None:
        self.name = settings.es_indices
        self.url = settings.es_url
        self.cancelled = cancelled or threading.Event()
        self.waiting = waiting
        self._thread = threading.get_ident()
        self._seconds = seconds
        self._settings = settings
        self._most = settings.es_page  # until the server says that its maximum is smaller
        self.client = connect(settings)
        self._reader = connect(settings, serializers={"application/json": PageSerializer()})

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
            patience=0,
            within=_FIRST,
        )
        require_all_answered(answer.body, self.name)
        return list(answer["indices"]), read_caps(answer.body)

    def count(self, query: dict[str, Any], index: str | None = None) -> int:
        """Count the documents of a query, in all indices or in some of them."""
        # unlike the count API, a search reports the state of remote clusters
        answer = self._search(query, index=index or self.name, track_total_hits=True)
        return int(answer["hits"]["total"]["value"])

    def count_and_shards(self, query: dict[str, Any]) -> tuple[int, int]:
        """Count the documents of a query, and the shards that were searched."""
        answer = self._search(query, index=self.name, track_total_hits=True)
        return int(answer["hits"]["total"]["value"]), int(answer["_shards"]["total"])

    def count_in(self, pit: PointInTime, query: dict[str, Any], shards: int) -> int:
        """Count the documents of a query in a point in time.

        Raises
        ------
        ElasticsearchError
            The point in time has fewer than `shards` shards: an index or a cluster has disappeared.
        """
        answer = self._search(query, pit={"id": pit.id, "keep_alive": _KEEP_ALIVE}, track_total_hits=True)
        pit.id = answer.get("pit_id") or pit.id
        if answer["_shards"]["total"] < shards:
            raise ElasticsearchError(
                f"{self.name} did not answer in full: it had {shards} shards when the extraction was planned, and has "
                f"{answer['_shards']['total']} now. An index or a cluster has gone away."
            )
        return int(answer["hits"]["total"]["value"])

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
    def point_in_time(self) -> Iterator[PointInTime]:
        """Open a point in time and close it at the end."""
        opened = self.ask(
            # by default a missing shard is an error
            lambda: self.client.open_point_in_time(index=self.name, keep_alive=_KEEP_ALIVE)
        )
        pit = PointInTime(opened["id"])
        try:
            require_whole(opened.body, self.name)
            yield pit
        finally:
            # a point in time expires by itself: a failure to close it must not hide another error
            with suppress(elasticsearch.ApiError, elastic_transport.TransportError):
                call_within(lambda: self.client.close_point_in_time(id=pit.id), _CLOSING, lambda: None)

    def pages(self, body: dict[str, Any], pit: PointInTime, number: int, slices: int) -> Iterator[list[bytes]]:
        """Read one slice of a query, page by page: all documents that the server counts, or an error.

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
            body["pit"] = {"id": pit.id, "keep_alive": _KEEP_ALIVE}
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
                f"{self.name}: slice {number} of {slices} gave {read:,} documents where it counted {expected:,}."
            )

    def _counted(self, page: Page) -> int:
        total = page.hits.total or {}
        if total.get("relation") != "eq" or not isinstance(total.get("value"), int):
            raise ElasticsearchError(f"{self.name} did not count the documents of a search: {total}.")
        return int(total["value"])

    def _last(self, page: Page) -> list[Any]:
        """Return the sort values of the last document, after which the next page begins."""
        last = msgspec.json.decode(page.hits.hits[-1].sort)
        if not isinstance(last, list) or not last:
            raise ElasticsearchError(f"{self.name} gave a page without the place where the next one begins.")
        return last

    def _page(self, body: dict[str, Any]) -> tuple[Page, int]:
        """Return the next page and its requested size."""

        def search() -> Page:
            page: Page = self._reader.perform_request(
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
                page = self.ask(search, on_refusal=on_refusal)
            except PageTooLarge as error:
                body["size"] = self._most = error.most
            else:
                if not isinstance(page, Page):
                    raise ElasticsearchError(f"{self.url} answered a search of {self.name} with something else.")
                require_whole(page.about(), self.name)
                return page, body["size"]

    def ask(
        self,
        call: Callable[[], T],
        *,
        patience: float | None = None,
        within: float | None = None,
        on_refusal: Callable[[BaseException], None] = lambda error: None,
    ) -> T:
        """Call the server; wait and repeat the call while the server is busy or absent; explain a lasting error.

        Parameters
        ----------
        call
            The call; it uses a client of this index.
        patience
            Seconds during which the call is repeated, at least once; 0 never repeats it. By default
            ``es_retry_seconds``.
        within
            Seconds for one call and its whole answer; by default the `seconds` of this index.
        on_refusal
            Called with the error before the call is repeated.

        Raises
        ------
        ElasticsearchError
            The server refuses, cannot be reached, stays busy or does not answer in time, or the reading was stopped.
        """

        def refused(state: tenacity.RetryCallState) -> None:
            if state.outcome is not None and (error := state.outcome.exception()) is not None:
                on_refusal(error)

        seconds = self._settings.es_retry_seconds if patience is None else patience
        enough: Any = tenacity.stop_after_delay(seconds)
        if seconds:  # one call may take longer than `seconds`; a second one may ask for a smaller page
            enough &= tenacity.stop_after_attempt(2)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_passing),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=15),
            stop=enough,
            sleep=self._sleep,
            before_sleep=refused,
            reraise=True,
        )
        longest = min(self._seconds, within or self._seconds)
        try:
            return retrying(lambda: call_within(call, longest, self._look))
        except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
            raise explained(error, self.url, self.name) from None  # the explanation includes the error's text

    def _look(self) -> None:
        """Raise an error if the caller must stop waiting."""
        if self.cancelled.is_set():
            raise ElasticsearchError(f"The reading of {self.name} was stopped.")
        if self.waiting is not None and threading.get_ident() == self._thread:
            self.waiting()

    def _sleep(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self._look()
            self.cancelled.wait(min(LOOK, left))
