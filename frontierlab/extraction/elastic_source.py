"""An Elasticsearch index as a source of documents."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from frontierlab.catalogue import Catalogue
from frontierlab.elastic.queries import search_body, time_query
from frontierlab.extraction.examination import examine
from frontierlab.extraction.narrowing import Narrowing, narrowing
from frontierlab.extraction.plan import cut, split
from frontierlab.extraction.request import Request
from frontierlab.extraction.sources import LAST, Plan, limit_record
from frontierlab.schema import DOCUMENT_FIELDS
from frontierlab.storage.manifest import PlannedPart
from frontierlab.util.times import in_words

if TYPE_CHECKING:
    from frontierlab.elastic.client import Index

__all__ = ["ElasticSource"]

_FEW = 100  # documents that show how much of their text the wanted fields are
_IOV = [{"exists": {"field": name}} for name in ("sqlsin", "sqlunt")]


class ElasticSource:
    """The documents of an index. The server sends those of the period that can meet the request's conditions.

    Parameters
    ----------
    request
        The request of the extraction.
    index
        The index to read; `close` closes it.
    page
        Documents per page.
    slices
        Number of iterators that read a part in parallel.
    search
        The ``search`` of an earlier source of the same extraction. Without it the index is examined, and refused if
        it cannot be read correctly.

    Raises
    ------
    ElasticsearchError
        The index cannot be reached, cannot be filtered as requested, or lacks values that a row needs.
    """

    def __init__(
        self, request: Request, index: Index, page: int, slices: int, search: Mapping[str, Any] | None = None
    ) -> None:
        self._index = index
        self._page = page
        self._iovs: dict[int, int] = {}
        self.slices = slices
        self.close = index.close
        self.request = request
        if search and "filters" in search:
            self.search = dict(search)
            return
        self._examined = examine(index, request)
        self.request = request.model_copy(update={"extra_fields": self._examined.kinds})
        self.search = {**self._examined.search, **(search or {})}
        if search:  # of an extraction that an earlier version began: its request has no folder or tag
            self._narrow(None)

    @property
    def waiting(self) -> Callable[[], object] | None:
        """A function that is called a few times a second while the thread that opened the source waits."""
        return self._index.waiting

    @waiting.setter
    def waiting(self, call: Callable[[], object] | None) -> None:
        self._index.waiting = call

    def _query(self, start: int | None, stop: int | None) -> dict[str, Any]:
        return time_query(start, stop, self.search["filters"])

    def _narrow(self, catalogue: Catalogue | None) -> Narrowing:
        """Make the filters for the request's conditions."""
        request = self.request
        found = narrowing(request.conditions, self._examined.indices, catalogue, request.complete)
        self.search["filters"] = found.filters
        return found

    def describe(self) -> dict[str, Any]:
        """Return the server's URL and the indices."""
        return {"elasticsearch": self.request.source, "index": self.request.index}

    def plan(self, most: int, catalogue: Catalogue | None = None) -> Plan:
        """Split the period into parts by counts from the server."""
        request, examined, narrowed = self.request, self._examined, self._narrow(catalogue)
        total, self.search["shards"] = self._index.count_and_shards(self._query(request.start, request.stop))
        notes = [*examined.notes, *narrowed.notes]
        without = self._index.count({"bool": {"must_not": {"exists": {"field": "@timestamp"}}}})
        if without:
            notes.append(f"{without:,} documents of the index have no readable @timestamp, so they are in no period.")
        if not total:
            return Plan([], None, notes, examined.partial, self._hint())
        parts, limit = self._parts(total, most)
        self.search["_source"] = self._fields or True
        return Plan(parts, limit, notes, examined.partial, at_most=not narrowed.exact, undecided=narrowed.notes)

    def _parts(self, total: int, most: int) -> tuple[list[PlannedPart], dict[str, Any] | None]:
        request = self.request
        start = request.start
        if start is None:
            start = self._index.ends(self._query(None, request.stop))[0] or 0
        stop = request.stop or LAST

        def histogram(begin: int, end: int, width: int) -> list[tuple[int, int]]:
            return self._index.histogram(self._query(begin, end), width)

        if total <= min(most, request.limit_queries):
            return [PlannedPart(number=0, start=start, stop=stop, expected=total)], None
        limit = None
        if total > request.limit_queries:
            stop = cut(histogram, start, stop, request.limit_queries)
            limit = limit_record(request, total, stop)
        return split(histogram, start, stop, most) if stop > start else [], limit

    def _hint(self) -> str:
        """Say when the index has documents, for a request that found none."""
        filtered = bool(self.search["filters"])
        for query, which in ((self._query(None, None), " that meet the filters" * filtered), ({"match_all": {}}, "")):
            first, last = self._index.ends(query)
            if first is not None and last is not None:
                none = ", but none that meets the filters" if filtered and not which else ""
                return f"The index has documents{which} from {in_words(first)} to {in_words(last)}{none}."
        return f"The index {self.request.index} has no documents at all."

    def body(self, start: int | None, stop: int | None) -> dict[str, Any]:
        """Return the body of the search for ``[start, stop)``."""
        return self._body(start, stop, self._page) | {"_source": self.search.get("_source", True)}

    def _body(self, start: int | None, stop: int | None, size: int) -> dict[str, Any]:
        beside = {name: self.search[name] for name in ("docvalue_fields", "fields") if self.search.get(name)}
        return search_body(self._query(start, stop), size, None) | beside

    @functools.cached_property
    def _fields(self) -> list[str] | None:
        """The fields to ask for; None for whole documents, which a server returns faster.

        Whole documents are slower if unwanted fields, such as the SQL text, are most of a document.
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
        body = self._body(self.request.start, self.request.stop, most)
        with self._index.point_in_time() as pit:
            return next(self._index.pages(body, pit, 0, 1), [])

    @contextmanager
    def reading(self, part: PlannedPart) -> Iterator[list[Iterator[list[bytes]]]]:
        """Open a point in time, and yield an iterator of pages for each slice of the part."""
        with self._index.point_in_time() as pit:
            given = {"bool": {"filter": [self._query(part.start, part.stop), *_IOV]}}
            self._iovs[part.number] = self._index.count_in(pit, given, self.search.get("shards", 0))
            body = self.body(part.start, part.stop)
            yield [self._index.pages(body, pit, number, self.slices) for number in range(self.slices)]

    def with_iov(self, part: PlannedPart) -> int | None:
        """Return the number of documents of a part that have an IOV in the index; None if the part was not opened."""
        return self._iovs.get(part.number)

    def wanted(self, rows: pa.Table, limit: dict[str, Any] | None) -> tuple[pa.Table, Counter[str]]:
        """Return all rows: the server has chosen the documents of the period."""
        return rows, Counter()
