"""The Elasticsearch client and the paged, sliced reading of an index."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import elastic_transport
import elasticsearch
import msgspec
import tenacity

from frontierlab.elastic_pages import Page, PageSerializer
from frontierlab.errors import ConfigurationError, ElasticsearchError
from frontierlab.settings import Settings

__all__ = ["Index", "PointInTimeLost", "connect"]

T = TypeVar("T")
_KEEP_ALIVE = "5m"
_SMALLEST = 500  # documents a page, however busy the server is
_PASSING = (429, 502, 503, 504)
_TOO_LARGE = re.compile(r"must be less than or equal to: \[(\d+)\]")


class PointInTimeLost(ElasticsearchError):
    """The point in time is gone (expired, or the server restarted): its part is read again from its start."""


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
            settings.es_url, **security, request_timeout=120, max_retries=0, retry_on_timeout=False, **options
        )
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"No client for {settings.es_url} can be made: {error}.") from error


class Index:
    """What ``es_index`` names, one or several indices or a pattern, ready to be read.

    Parameters
    ----------
    settings
        Where it is, how to get in, and how to read.
    cancelled
        Set from elsewhere to end waiting and reading.

    Raises
    ------
    ConfigurationError
        ``es_address`` or ``es_index`` is not set.
    """

    def __init__(self, settings: Settings, cancelled: threading.Event | None = None) -> None:
        self.name = settings.es_indices
        self.url = settings.es_url
        self.cancelled = cancelled or threading.Event()
        self._settings = settings
        self._most = settings.es_page  # until the server says that it takes less
        self.client = connect(settings)
        self._reader = connect(settings, serializers={"application/json": PageSerializer()})

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        self._reader.close()

    def fields(self) -> dict[str, str]:
        """Return the type of each field that the index has, by the field's name.

        Raises
        ------
        ElasticsearchError
            The server cannot be reached or refuses, there is no such index, or its ``@timestamp`` is not
            a date.
        """
        answer = self.ask(
            lambda: self.client.options(request_timeout=15).field_caps(
                index=self.name, fields="*", allow_no_indices=False, ignore_unavailable=False
            ),
            patience=0,  # the first question: a wrong address should not cost minutes
        )
        types = {name: " or ".join(sorted(kinds)) for name, kinds in answer["fields"].items()}
        if types.get("@timestamp") not in ("date", "date_nanos", "date or date_nanos"):
            found = types.get("@timestamp", "missing")
            raise ElasticsearchError(
                f"{self.name} cannot be read by time: its field @timestamp is {found}, and has to be a date."
            )
        return types

    def count(self, query: dict[str, Any]) -> int:
        """Count the documents of a query."""
        answer = self.ask(lambda: self.client.count(index=self.name, query=query))
        self._require_whole(answer["_shards"]["failed"], False)
        return int(answer["count"])

    def earliest(self, query: dict[str, Any]) -> int | None:
        """Return the time of the earliest document, UTC milliseconds; None where there is none."""
        answer = self._aggregate(query, {"min": {"field": "@timestamp"}})
        return None if answer["value"] is None else int(answer["value"])

    def histogram(self, query: dict[str, Any], width: int) -> list[tuple[int, int]]:
        """Count documents in buckets of time: ``(start, documents)`` in order, UTC milliseconds."""
        how = {"field": "@timestamp", "fixed_interval": f"{width}ms", "min_doc_count": 1}
        buckets = self._aggregate(query, {"date_histogram": how})["buckets"]
        return [(int(bucket["key"]), int(bucket["doc_count"])) for bucket in buckets]

    def _aggregate(self, query: dict[str, Any], aggregation: dict[str, Any]) -> Any:
        answer = self.ask(
            lambda: self.client.search(
                index=self.name,
                query=query,
                size=0,
                aggregations={"answer": aggregation},
                allow_partial_search_results=False,
                track_total_hits=False,
            )
        )
        self._require_whole(answer["_shards"]["failed"], answer["timed_out"])
        return answer["aggregations"]["answer"]

    @contextmanager
    def point_in_time(self) -> Iterator[str]:
        """Open a point in time and close it at the end; gives its id."""
        opened = self.ask(
            # a shard that is missing is an error here, unless one asks for less
            lambda: self.client.open_point_in_time(index=self.name, keep_alive=_KEEP_ALIVE)
        )
        try:
            yield opened["id"]
        finally:
            # it would expire by itself: not worth an error, nor hiding one
            with suppress(elasticsearch.ApiError, elastic_transport.TransportError):
                self.client.close_point_in_time(id=opened["id"])

    def pages(self, body: dict[str, Any], pit: str, number: int, slices: int) -> Iterator[list[bytes]]:
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
        body = body | {"pit": {"id": pit, "keep_alive": _KEEP_ALIVE}, "track_total_hits": True}
        if slices > 1:
            body["slice"] = {"id": number, "max": slices}
        expected, read = 0, 0
        while True:
            page, asked = self._page(body)
            if body["track_total_hits"]:
                expected = page.hits.total["value"] if page.hits.total else 0
                body["track_total_hits"] = False  # counting once is enough
            read += len(page.hits.hits)
            if page.hits.hits:
                yield [hit.source for hit in page.hits.hits]
            if len(page.hits.hits) < asked:
                break
            body["size"] = min(self._most, 2 * asked)  # back up after a busy server made it smaller
            body["search_after"] = msgspec.json.decode(page.hits.hits[-1].sort)
            body["pit"]["id"] = page.pit_id or body["pit"]["id"]
        if read != expected:
            raise ElasticsearchError(
                f"{self.name}: slice {number} of {slices} gave {read:,} documents where it counted {expected:,}."
            )

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
            if isinstance(error, elasticsearch.ApiError) and error.meta.status == 429:
                body["size"] = max(min(_SMALLEST, body["size"]), body["size"] // 2)

        while True:
            try:
                page = self.ask(search, on_refusal=on_refusal)
            except _PageTooLarge as error:
                body["size"] = self._most = error.most
            else:
                self._require_whole(page.shards.failed, page.timed_out)
                return page, body["size"]

    def _require_whole(self, failed: int, timed_out: bool) -> None:
        if failed or timed_out:
            cause = f"{failed} of its shards failed" if failed else "the search timed out"
            raise ElasticsearchError(f"{self.name} did not answer in full: {cause}. Nothing of it was used.")

    def ask(
        self,
        call: Callable[[], T],
        *,
        patience: float | None = None,
        on_refusal: Callable[[BaseException], None] = lambda error: None,
    ) -> T:
        """Call the server, waiting and calling again while it is busy or away; explain what stays wrong.

        Raises
        ------
        ElasticsearchError
            It refuses, cannot be reached, or stays busy for `patience` seconds (``es_retry_seconds`` by default).
        """

        def refused(state: tenacity.RetryCallState) -> None:
            if state.outcome is not None and (error := state.outcome.exception()) is not None:
                on_refusal(error)

        seconds = self._settings.es_retry_seconds if patience is None else patience
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: _is_passing(error) and not self.cancelled.is_set()),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=15),
            stop=tenacity.stop_after_delay(seconds),
            sleep=self._sleep,
            before_sleep=refused,
            reraise=True,
        )
        try:
            return retrying(call)
        except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
            raise self._explained(error) from None  # the explanation has the text of it

    def _sleep(self, seconds: float) -> None:
        self.cancelled.wait(seconds)

    def _explained(self, error: elasticsearch.ApiError | elastic_transport.TransportError) -> Exception:
        # an ApiError's text has the cause in it, a TransportError's only in its message
        text = error.message if isinstance(error, elastic_transport.TransportError) else str(error)
        if isinstance(error, elasticsearch.UnsupportedProductError):
            return ElasticsearchError(
                f"{self.url} is not Elasticsearch, or older than 7.14; the client refuses other servers, OpenSearch "
                "among them."
            )
        if isinstance(error, elasticsearch.ApiError):
            return self._explained_status(error, text)
        if isinstance(error, elastic_transport.TlsError):
            return ElasticsearchError(
                f"The certificate of {self.url} is not trusted ({text}). Name its authority in es_ca_certs or its "
                "SHA-256 fingerprint in es_fingerprint. (A server that speaks plain http needs http:// in es_address.)"
            )
        return ElasticsearchError(
            f"{self.url} does not answer ({text}). Check es_address and es_port, and that the server is up and can be "
            "reached from here; many networks, Binder's among them, let no such port out."
        )

    def _explained_status(self, error: elasticsearch.ApiError, text: str) -> Exception:
        status = error.meta.status
        if status == 404 and "search_context_missing" in str(error.body):
            return PointInTimeLost(f"{self.name}: the point in time is gone.")
        if status == 404:
            named = re.search(r"no such index \[([^\]]+)\]", str(error.body))
            missing = named[1] if named else self.name
            return ElasticsearchError(
                f"There is no index {missing} on {self.url}. Correct es_index; a pattern has to match an index."
            )
        if status == 401:
            return ElasticsearchError(
                f"{self.url} refuses the credentials (401). Check es_user and es_pswd, or es_api_key."
            )
        if status == 403:
            return ElasticsearchError(f"{self.url} does not let this user read {self.name} (403): {text}")
        if status == 400 and (found := _TOO_LARGE.search(str(error.body))):
            return _PageTooLarge(int(found[1]))
        if "media_type_header_exception" in str(error.body):
            return ElasticsearchError(
                f"{self.url} is of another version than the client {elasticsearch.__version__}: install "
                '"elasticsearch>=8.19,<9", which reads servers 8 and 9.'
            )
        return ElasticsearchError(f"{self.url} answered {status} for {self.name}: {text}")


class _PageTooLarge(Exception):
    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, elasticsearch.ApiError):
        return error.meta.status in _PASSING and not isinstance(error, elasticsearch.UnsupportedProductError)
    return isinstance(error, elastic_transport.TransportError) and not isinstance(error, elastic_transport.TlsError)


def time_query(start: int | None, stop: int | None, cached: bool | None, taskid: int | None) -> dict[str, Any]:
    """Return the query for documents of ``[start, stop)`` (UTC milliseconds) that meet the filters."""
    bounds: dict[str, Any] = {"format": "epoch_millis"}
    if start is not None:
        bounds["gte"] = start
    if stop is not None:
        bounds["lt"] = stop
    filters: list[dict[str, Any]] = [{"range": {"@timestamp": bounds}}]
    if cached is not None:
        filters.append({"term": {"cached": cached}})
    if taskid is not None:
        filters.append({"term": {"taskid": taskid}})
    return {"bool": {"filter": filters}}


def search_body(query: dict[str, Any], size: int, fields: list[str] | None) -> dict[str, Any]:
    """Return the body of a search for pages of `size` documents, of all their fields or of some."""
    return {"query": query, "size": size, "sort": ["_shard_doc"], "_source": True if fields is None else fields}
