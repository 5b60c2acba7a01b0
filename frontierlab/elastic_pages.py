"""The pages of a search: each document is left as the JSON text that it came as."""

from __future__ import annotations

import json
from typing import Any

import elastic_transport
import msgspec
from elasticsearch.serializer import JsonSerializer

__all__ = ["Hit", "Page", "PageSerializer"]


class Hit(msgspec.Struct, gc=False):  # ten thousand a page: not for the garbage collector to walk through
    """One document, as the JSON text it came as, and where the next page goes on after it."""

    source: msgspec.Raw = msgspec.field(name="_source", default=msgspec.Raw(b"null"))
    sort: msgspec.Raw = msgspec.Raw(b"null")


class _Hits(msgspec.Struct):
    hits: list[Hit]
    total: dict[str, Any] | None = None


class _Shards(msgspec.Struct):
    failed: int = 0


class Page(msgspec.Struct):
    """The answer to a search, as far as it matters."""

    hits: _Hits
    timed_out: bool = False
    shards: _Shards = msgspec.field(name="_shards", default_factory=_Shards)
    pit_id: str | None = None


class PageSerializer(JsonSerializer):
    """Makes a `Page` of the body of an answer."""

    def loads(self, data: bytes) -> Any:
        """Read the body; an error's body becomes what the client makes of it."""
        try:
            return msgspec.json.decode(data, type=Page)
        except msgspec.ValidationError:
            return super().loads(data)  # an error, which the client explains
        except msgspec.DecodeError as error:
            return _with_odd_texts(data, error)


def _with_odd_texts(data: bytes, refusal: Exception) -> Page:
    """Read a page in which a text has half a surrogate pair: Elasticsearch keeps it, and msgspec refuses it."""
    try:
        answer = json.loads(data)
        found, answer["hits"]["hits"] = answer["hits"]["hits"], []
        page = msgspec.convert(answer, Page)
        page.hits.hits = [Hit(_text(hit.get("_source")), _text(hit.get("sort"))) for hit in found]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        whole = "The answer is not whole JSON"
        raise elastic_transport.SerializationError(whole, errors=(refusal,)) from error
    return page


def _text(value: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())
