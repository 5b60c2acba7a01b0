"""Explain errors and partial answers of Elasticsearch, and connection errors, to the user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from frontierlab import errors
from frontierlab.errors import ElasticsearchError

if TYPE_CHECKING:
    import elastic_transport
    import elasticsearch

__all__ = [
    "AccessRefused",
    "PageTooLarge",
    "PointInTimeLost",
    "QueryRefused",
    "Unreached",
    "explained",
    "require_all_answered",
    "require_whole",
]

_AWAY = ("skipped", "partial", "failed")  # states of remote clusters
_CLOSED = re.compile(r"index \[([^\]]+)\] blocked by: \[FORBIDDEN/4|index_closed_exception.*?'index': '([^']+)'")
_TOO_LARGE = re.compile(r"must be less than or equal to: \[(\d+)\]")


class PointInTimeLost(ElasticsearchError):
    """The point in time expired, or the server restarted: the part is read again from its start."""


class Unreached(ElasticsearchError, errors.Unreached):
    """The server does not answer."""


class AccessRefused(ElasticsearchError):
    """The user lacks a permission; the caller may have another way."""


class QueryRefused(ElasticsearchError):
    """The server refuses a query (400): it may forbid scripts, for example."""


class PageTooLarge(ElasticsearchError):
    """The server refuses a page of this size; its maximum is `most` documents."""

    def __init__(self, most: int) -> None:
        super().__init__(f"The server gives at most {most:,} documents a page.")
        self.most = most


def explained(error: elasticsearch.ApiError | elastic_transport.TransportError, url: str, name: str) -> Exception:
    """Return the exception to raise for an error of the client.

    Parameters
    ----------
    error
        The client's error.
    url, name
        The server, and the requested indices.
    """
    import elastic_transport
    import elasticsearch

    # str() of an ApiError has the cause; a TransportError has it only in its message
    text = error.message if isinstance(error, elastic_transport.TransportError) else str(error)
    if isinstance(error, elasticsearch.UnsupportedProductError):
        return ElasticsearchError(
            f"{url} is not Elasticsearch 7.14 or newer. The client refuses other servers, such as OpenSearch. Check "
            "es_address."
        )
    if isinstance(error, elasticsearch.ApiError):
        return _explained_status(error, text, url, name)
    if isinstance(error, elastic_transport.TlsError):
        return ElasticsearchError(
            f"The certificate of {url} is not trusted ({text}). Name its authority in es_ca_certs, or its SHA-256 "
            "fingerprint in es_fingerprint. If the server speaks http without TLS, write http:// in es_address."
        )
    return Unreached(
        f"{url} does not answer ({text}). Check es_address and es_port, and whether the server is up and can be "
        "reached from here: many networks, such as Binder's, block such ports."
    )


def _explained_status(error: elasticsearch.ApiError, text: str, url: str, name: str) -> Exception:
    import elasticsearch

    status, body = error.meta.status, str(error.body)
    if status == 404 and "search_context_missing" in body:
        return PointInTimeLost(f"{name}: the point in time is gone.")
    if "no_such_remote_cluster" in body or "connect_transport_exception" in body:
        return ElasticsearchError(
            f"{url} cannot reach a remote cluster of {name}, and nothing was read: {text}. Try again later, or leave "
            "that cluster out of es_index."
        )
    if status == 404:
        named = re.search(r"no such index \[([^\]]+)\]", body)
        missing = named[1] if named else name
        return ElasticsearchError(
            f"There is no index {missing} on {url}. Correct es_index; a pattern must match at least one index."
        )
    if status == 401:
        return ElasticsearchError(f"{url} refuses the credentials (401). Check es_user and es_pswd, or es_api_key.")
    if closed := _CLOSED.search(body):
        return ElasticsearchError(
            f"The index {closed[1] or closed[2]} is closed and cannot be read. Open it, or leave it out of es_index."
        )
    if status == 403:
        return AccessRefused(
            f"{url} does not let this user read {name} (403): {text}. Ask its administrator for the privilege read."
        )
    if status == 400 and (found := _TOO_LARGE.search(body)):
        return PageTooLarge(int(found[1]))
    if "media_type_header_exception" in body:
        return ElasticsearchError(
            f"{url} has another version than the client {elasticsearch.__version__}. Install "
            '"elasticsearch>=8.19,<9", which reads servers 8 and 9.'
        )
    kind = QueryRefused if status == 400 else ElasticsearchError
    return kind(f"{url} answered {status} for {name}: {text}")


def require_whole(answer: Mapping[str, Any], name: str) -> None:
    """Raise ElasticsearchError if the answer to a search is partial."""
    failed = answer.get("_shards", {}).get("failed", 0)
    causes = [f"{failed} of its shards failed"] if failed else []
    causes += ["the search timed out"] if answer.get("timed_out") else []
    causes += ["the search ended early"] if answer.get("terminated_early") else []
    clusters = answer.get("_clusters") or {}
    if any(clusters.get(state) for state in _AWAY):
        details = clusters.get("details", {}).items()
        which = [f"{cluster} is {detail['status']}" for cluster, detail in details if detail["status"] in _AWAY]
        causes.append(f"of its clusters {', '.join(which) or 'one was skipped'}")
    if causes:
        raise ElasticsearchError(
            f"{name} did not answer in full: {'; '.join(causes)}. The partial answer was not used. Try again when all "
            "indices are available, or leave the missing ones out of es_index."
        )


def require_all_answered(answer: Mapping[str, Any], name: str) -> None:
    """Raise ElasticsearchError if an index or cluster did not answer a field capabilities call."""
    if failures := answer.get("failures"):
        away = ", ".join(index for failure in failures for index in failure["indices"])
        error = failures[0].get("failure", {}).get("error", {})
        raise ElasticsearchError(
            f"{away} did not answer, so {name} cannot be read in full: "
            f"{error.get('reason') or error.get('type') or 'no reason was given'}. Try again later, or leave it out of "
            "es_index."
        )
