"""Where documents come from, and an Elasticsearch index as such a place; `frontierlab.file_source` is the other one."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from frontierlab.elastic import Index, search_body, time_query
from frontierlab.errors import DatasetError
from frontierlab.json_text import Document
from frontierlab.manifest import PlannedPart
from frontierlab.planning import cut, split
from frontierlab.request import Request
from frontierlab.schema import DOCUMENT_FIELDS
from frontierlab.settings import Settings
from frontierlab.times import format_time, from_milliseconds

__all__ = ["Batch", "ElasticSource", "LAST", "Plan", "REPEATED", "Source", "limit_record", "require_same"]

LAST = 9_214_646_400_000
"""The end of the years that a document's time can have, UTC milliseconds."""

_KINDS = {
    **dict.fromkeys(("long", "integer", "short", "byte"), "integer"),
    **dict.fromkeys(("double", "float", "half_float", "scaled_float"), "number"),
    **dict.fromkeys(("keyword", "constant_keyword", "wildcard", "text", "match_only_text"), "name"),
    **dict.fromkeys(("ip", "version", "unsigned_long"), "name"),
    **dict.fromkeys(("date", "date_nanos"), "time"),
    "boolean": "flag",
}
_FEW = 100  # documents, from which one sees which fields make most of one

REPEATED = "repeated document"
"""Why a document is left out that is in a file twice."""


class Plan(NamedTuple):
    """How documents are to be read.

    Parameters
    ----------
    parts
        Ranges of time, or of documents by their number.
    limit
        Where ``limit_queries`` cuts, as in the manifest; None where it does not.
    notes, partial
        Sentences for the manifest.
    """

    parts: list[PlannedPart]
    limit: dict[str, Any] | None
    notes: list[str]
    partial: Sequence[str] = ()


class Batch(list[Document]):
    """Documents that are read together.

    Parameters
    ----------
    documents
        Those that are to become rows.
    repeated
        How many more there were, which repeat earlier ones and are left out.
    """

    def __init__(self, documents: Iterable[Document], repeated: int = 0) -> None:
        super().__init__(documents)
        self.repeated = repeated


class Source(Protocol):
    """Where documents come from."""

    request: Request
    slices: int

    def describe(self) -> dict[str, Any]:
        """Return what identifies the source, for the manifest; the same when an extraction is resumed."""

    def plan(self, most: int) -> Plan:
        """Split what is asked for into parts of about `most` documents."""

    def sample(self, most: int) -> Sequence[Document]:
        """Return a few of the documents, `most` at most."""

    @contextmanager
    def reading(self, part: PlannedPart) -> Iterator[Sequence[Iterator[Sequence[Document]]]]:
        """Give an iterator a slice of a part, each over lists of documents."""

    def wanted(self, rows: pa.Table, limit: dict[str, Any] | None) -> tuple[pa.Table, Counter[str]]:
        """Return the rows that were asked for, and how many of the others there are, by reason."""

    def close(self) -> None:
        """Let go of what was opened."""


def _kind(mapped: str | None) -> str:
    """Return what an extra field is read as: JSON text where it is neither a number, a flag, a time nor a name."""
    if mapped is None:
        return "name"
    kinds = {_KINDS.get(type_, "json") for type_ in mapped.split(" or ")}
    return kinds.pop() if len(kinds) == 1 else "json"


class ElasticSource:
    """The documents of an index. The server does the filtering."""

    def __init__(self, settings: Settings, request: Request, index: Index) -> None:
        self._index = index
        self._page = settings.es_page
        self.slices = settings.es_slices
        types = index.fields()
        kinds = {name: kind or _kind(types.get(name)) for name, kind in request.extra_fields.items()}
        self.request = request.model_copy(update={"extra_fields": kinds})
        self._unmapped = [name for name in request.extra_fields if name not in types]
        self.close = index.close

    def _query(self, start: int | None, stop: int | None) -> dict[str, Any]:
        return time_query(start, stop, self.request.cached, self.request.taskid)

    def describe(self) -> dict[str, Any]:
        """Return the server's URL and the indices."""
        return {"elasticsearch": self.request.source, "index": self.request.index}

    def plan(self, most: int) -> Plan:
        """Split the period by the server's own counts."""
        request = self.request
        total = self._index.count(self._query(request.start, request.stop))
        notes = [f"{name} is not in the mapping of the index; it is read as text." for name in self._unmapped]
        without = self._index.count({"bool": {"must_not": {"exists": {"field": "@timestamp"}}}})
        if without:
            notes.append(f"{without:,} documents of the index have no readable @timestamp and belong to no period.")
        if not total:
            return Plan([], None, notes)
        start = request.start
        if start is None:
            start = self._index.earliest(self._query(None, request.stop)) or 0
        stop = request.stop or LAST

        def histogram(begin: int, end: int, width: int) -> list[tuple[int, int]]:
            return self._index.histogram(self._query(begin, end), width)

        if total <= min(most, request.limit_queries):
            return Plan([PlannedPart(number=0, start=start, stop=stop, expected=total)], None, notes)
        limit = None
        if total > request.limit_queries:
            stop = cut(histogram, start, stop, request.limit_queries)
            limit = limit_record(request, total, stop)
        return Plan(split(histogram, start, stop, most) if stop > start else [], limit, notes)

    def body(self, start: int | None, stop: int | None) -> dict[str, Any]:
        """Return the body of the search for ``[start, stop)``."""
        return search_body(self._query(start, stop), self._page, self._fields)

    @functools.cached_property
    def _fields(self) -> list[str] | None:
        """The fields to ask for; None for whole documents, which a server hands out faster.

        Where what is not wanted, such as the SQL text, makes most of a document, carrying it
        costs more than leaving it out.
        """
        wanted = [*DOCUMENT_FIELDS, *self.request.extra_fields]
        sizes = np.zeros(2)
        for document in self.sample(_FEW):
            values = json.loads(bytes(document))
            if isinstance(values, dict):
                kept = json.dumps({name: values[name] for name in wanted if name in values})
                sizes += (len(document), len(kept))
        return wanted if sizes[0] > 2 * sizes[1] else None

    def sample(self, most: int) -> list[bytes]:
        """Return the first documents of a search over the period."""
        body = search_body(self._query(self.request.start, self.request.stop), most, None)
        with self._index.point_in_time() as pit:
            return next(self._index.pages(body, pit, 0, 1), [])

    @contextmanager
    def reading(self, part: PlannedPart) -> Iterator[list[Iterator[list[bytes]]]]:
        """Open a point in time for the part's slices."""
        with self._index.point_in_time() as pit:
            body = self.body(part.start, part.stop)
            yield [self._index.pages(body, pit, number, self.slices) for number in range(self.slices)]

    def wanted(self, rows: pa.Table, limit: dict[str, Any] | None) -> tuple[pa.Table, Counter[str]]:
        """Return all rows: the server has done the filtering."""
        return rows, Counter()


def require_same(found: dict[str, Any], recorded: dict[str, Any], name: str) -> None:
    """Raise DatasetError where a source is not any more what an extraction began with."""
    changed = [key for key in recorded if found.get(key) != recorded[key]]
    if changed:
        was = "; ".join(f"{key} was {recorded[key]!r} and is now {found.get(key)!r}" for key in changed)
        raise DatasetError(
            f"The source of {name} has changed since the extraction began: {was}. Delete it and begin anew."
        )


def limit_record(request: Request, available: int, cut_at: int) -> dict[str, Any]:
    """Return where ``limit_queries`` cuts, for the manifest."""
    return {
        "limit_queries": request.limit_queries,
        "available": available,
        "cut_at": format_time(from_milliseconds(cut_at)),
        "cut_at_ms": cut_at,
    }
