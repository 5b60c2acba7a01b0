"""The Elasticsearch client and the paged, sliced reading of an index."""

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
_SMALLEST = 500  # documents a page, however busy the server is
_SILENCE = 120.0  # seconds without a byte of an answer
_FIRST = 15.0  # seconds for the first answer: a wrong address should not cost minutes
_CLOSING = 5.0  # seconds for closing a point in time, which expires by itself


def connect(settings: Settings, **options: Any) -> elasticsearch.Elasticsearch:
    """Make a client of the Elasticsearch that the settings name; nothing is sent yet.

    Parameters
    ----------
    settings
        ``es_address``, ``es_port``, credentials and certificates.
    **options
        Further options of `elasticsearch.Elasticsearch`.

    Raises
    ------
    ConfigurationError
        ``es_address`` is not set, or the certificate file is none.
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
            security["ssl_show_warn"] = False  # the user has said so in so many words
    try:
        # retries are ours: the client's own do not wait
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
    """A point in time: all slices read the same, and each answer may name it anew.

    Parameters
    ----------
    id
        The newest id that the server gave it.
    """

    id: str


class Index:
    """What ``es_index`` names, one or several indices or a pattern, ready to be read.

    Parameters
    ----------
    settings
        Where it is, how to get in, and how to read.
    cancelled
        Set from elsewhere to end waiting and reading: every call then ends within a second.
    waiting
        Called a few times a second while the thread that made this waits for an answer; ends the wait by raising.
    seconds
        The longest that a call may take, its whole answer included; a busy or absent server is asked again for
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
        self._most = settings.es_page  # until the server says that it takes less
        self.client = connect(settings)
        self._reader = connect(settings, serializers={"application/json": PageSerializer()})

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        self._reader.close()

    def fields(self, names: Sequence[str]) -> tuple[list[str], dict[str, Field]]:
        """Return the indices that are read, and what they say of fields; this is the first question to a server.

        Raises
        ------
        ElasticsearchError
            The server cannot be reached or refuses, there is no such index, or one does not answer. It is not asked
            again: a wrong address should not cost minutes.
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
        # unlike the count API, a search tells of remote clusters
        answer = self._search(query, index=index or self.name, track_total_hits=True)
        return int(answer["hits"]["total"]["value"])

    def count_and_shards(self, query: dict[str, Any]) -> tuple[int, int]:
        """Count the documents of a query, and the shards that were asked."""
        answer = self._search(query, index=self.name, track_total_hits=True)
        return int(answer["hits"]["total"]["value"]), int(answer["_shards"]["total"])

    def count_in(self, pit: PointInTime, query: dict[str, Any], shards: int) -> int:
        """Count the documents of a query in a point in time.

        Raises
        ------
        ElasticsearchError
            The point in time has fewer than `shards` shards: an index or a cluster has gone away meanwhile.
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
        """Return the times of the first and the last document, UTC milliseconds; None where there is none."""
        wanted = {which: {which: {"field": "@timestamp"}} for which in ("min", "max")}
        found = self._search(query, index=self.name, aggregations=wanted, track_total_hits=False)["aggregations"]
        first, last = (found[which]["value"] for which in wanted)
        return None if first is None else int(first), None if last is None else int(last)

    def histogram(self, query: dict[str, Any], width: int) -> list[tuple[int, int]]:
        """Count documents in buckets of time: ``(start, documents)`` in order, UTC milliseconds."""
        how = {"field": "@timestamp", "fixed_interval": f"{width}ms", "min_doc_count": 1}
        wanted = {"times": {"date_histogram": how}}
        answer = self._search(query, index=self.name, aggregations=wanted, track_total_hits=False)
        buckets = answer["aggregations"]["times"]["buckets"]
        return [(int(bucket["key"]), int(bucket["doc_count"])) for bucket in buckets]

    def _search(self, query: dict[str, Any], **options: Any) -> Any:
        """Ask for figures of a query, not for its documents."""
        answer = self.ask(
            lambda: self.client.search(query=query, size=0, allow_partial_search_results=False, **options)
        )
        require_whole(answer.body, self.name)
        return answer.body

    @contextmanager
    def point_in_time(self) -> Iterator[PointInTime]:
        """Open a point in time and close it at the end."""
        opened = self.ask(
            # a shard that is missing is an error here, unless one asks for less
            lambda: self.client.open_point_in_time(index=self.name, keep_alive=_KEEP_ALIVE)
        )
        pit = PointInTime(opened["id"])
        try:
            require_whole(opened.body, self.name)
            yield pit
        finally:
            # it would expire by itself: not worth an error, nor hiding one
            with suppress(elasticsearch.ApiError, elastic_transport.TransportError):
                call_within(lambda: self.client.close_point_in_time(id=pit.id), _CLOSING, lambda: None)

    def pages(self, body: dict[str, Any], pit: PointInTime, number: int, slices: int) -> Iterator[list[bytes]]:
        """Read one slice of a query, page by page; as many documents as it counts, or an error.

        Parameters
        ----------
        body
            The request, as `search_body` makes it. It is not changed.
        pit
            The point in time; all slices must read the same one.
        number, slices
            The slice, from 0, and how many there are.

        Yields
        ------
        list of bytes-like
            The documents' JSON text. Never an empty list.

        Raises
        ------
        PointInTimeLost
            The point in time expired or went with the server.
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
            body["size"] = min(self._most, 2 * asked)  # back up after a busy server made it smaller
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
        """Return what the next page goes on after."""
        last = msgspec.json.decode(page.hits.hits[-1].sort)
        if not isinstance(last, list) or not last:
            raise ElasticsearchError(f"{self.name} gave a page without the place where the next one begins.")
        return last

    def _page(self, body: dict[str, Any]) -> tuple[Page, int]:
        """Return the next page and the size that was asked for."""

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
        """Call the server, waiting and calling again while it is busy or away; explain what stays wrong.

        Parameters
        ----------
        call
            What to ask, of a client of this index.
        patience
            Seconds during which it is asked again, once at least; 0 asks once. By default ``es_retry_seconds``.
        within
            Seconds for one call and its whole answer; by default those that were given to this index.
        on_refusal
            Called with the error before it is asked again.

        Raises
        ------
        ElasticsearchError
            It refuses, cannot be reached, stays busy, does not answer in time, or the reading was stopped.
        """

        def refused(state: tenacity.RetryCallState) -> None:
            if state.outcome is not None and (error := state.outcome.exception()) is not None:
                on_refusal(error)

        seconds = self._settings.es_retry_seconds if patience is None else patience
        enough: Any = tenacity.stop_after_delay(seconds)
        if seconds:  # a single call may take longer than that, and a second one may be for less
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
            raise explained(error, self.url, self.name) from None  # the explanation has the text of it

    def _look(self) -> None:
        """Raise where whoever waits has to stop."""
        if self.cancelled.is_set():
            raise ElasticsearchError(f"The reading of {self.name} was stopped.")
        if self.waiting is not None and threading.get_ident() == self._thread:
            self.waiting()

    def _sleep(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self._look()
            self.cancelled.wait(min(LOOK, left))
