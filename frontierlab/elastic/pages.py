"""The pages of a search; each document stays JSON text as the server sent it."""

from __future__ import annotations

import json
from typing import Any

import elastic_transport
import msgspec
from elasticsearch.serializer import JsonSerializer

__all__ = ["Hit", "Page", "PageSerializer", "documents"]


class Hit(msgspec.Struct, gc=False):  # ten thousand a page: the garbage collector skips them
    """One document as JSON text, and the sort values for the page after it."""

    source: msgspec.Raw = msgspec.field(name="_source", default=msgspec.Raw(b"{}"))
    sort: msgspec.Raw = msgspec.Raw(b"null")
    fields: dict[str, list[msgspec.Raw]] | None = None  # requested in addition to the source


class _Hits(msgspec.Struct):
    hits: list[Hit]
    total: dict[str, Any] | None = None


class Page(msgspec.Struct):
    """The used members of the answer to a search."""

    hits: _Hits
    timed_out: bool = False
    terminated_early: bool | None = None
    shards: dict[str, Any] = msgspec.field(name="_shards", default_factory=dict)
    clusters: dict[str, Any] | None = msgspec.field(name="_clusters", default=None)
    pit_id: str | None = None

    def about(self) -> dict[str, Any]:
        """Return what the answer says about its completeness, under Elasticsearch's names."""
        return {
            "timed_out": self.timed_out,
            "terminated_early": self.terminated_early,
            "_shards": self.shards,
            "_clusters": self.clusters,
        }


def documents(page: Page) -> list[bytes]:
    """Return the documents of a page; values requested in addition to the source come before those of the source."""
    return [hit.source if hit.fields is None else _merged(hit.fields, hit.source) for hit in page.hits.hits]


def _merged(fields: dict[str, list[msgspec.Raw]], source: msgspec.Raw) -> msgspec.Raw:
    """Return a document with `fields` before its own members; readers use the first of two members with one name."""
    values = {name: found[0] if len(found) == 1 else found for name, found in fields.items()}
    head, members = msgspec.json.encode(values), bytes(source).strip().removeprefix(b"{").lstrip()
    if members in (b"}", b"null") or not fields:
        return msgspec.Raw(head) if fields else source
    return msgspec.Raw(head[:-1] + b"," + members)


class PageSerializer(JsonSerializer):
    """Makes a `Page` from the body of an answer."""

    def loads(self, data: bytes) -> Any:
        """Read the body; the body of an error is read as the client does by default."""
        try:
            return msgspec.json.decode(data, type=Page)
        except msgspec.ValidationError:
            return super().loads(data)  # an error, which the client explains
        except msgspec.DecodeError as error:
            return _with_lone_surrogates(data, error)


def _with_lone_surrogates(data: bytes, refusal: Exception) -> Page:
    """Read a page with half of a surrogate pair in a text: Elasticsearch stores such text, msgspec refuses it."""
    try:
        answer = json.loads(data)
        found, answer["hits"]["hits"] = answer["hits"]["hits"], []
        page = msgspec.convert(answer, Page)
        page.hits.hits = [_hit(hit) for hit in found]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        whole = "The answer is not whole JSON"
        raise elastic_transport.SerializationError(whole, errors=(refusal,)) from error
    return page


def _hit(hit: dict[str, Any]) -> Hit:
    fields = {name: [_text(value) for value in values] for name, values in hit.get("fields", {}).items()}
    return Hit(_text(hit.get("_source", {})), _text(hit.get("sort")), fields or None)


def _text(value: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())
