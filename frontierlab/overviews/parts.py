"""What is searched: groups of indices that are mapped alike, in slices of time, at one point in time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from frontierlab.elastic.client import Index
from frontierlab.elastic.errors import AccessRefused
from frontierlab.elastic.indices import has_remote, unread
from frontierlab.elastic.queries import time_query
from frontierlab.elastic.shapes import Shape, merged
from frontierlab.elastic.slices import PointInTime

__all__ = ["FIELDS", "Group", "Part", "SLICE_BINS", "SLICE_DOCUMENTS", "frozen", "parts_of", "searched"]

FIELDS = (
    *("@timestamp", "sqldb", "sqlowner", "sqlnodeid", "sqlnodefullpath", "taskid", "taskname", "frontierserver"),
    *("computingsite", "squid", "cached", "disconn", "rejected", "procerror", "fsize", "dbtime"),
)
"""The fields of documents that an overview counts."""

SLICE_DOCUMENTS = 20_000_000
"""About so many documents are looked at in one search, so that a search takes seconds."""

SLICE_BINS = 5_000
"""The most bins of time in one search; a server refuses answers of more than 65,536 buckets."""


@dataclass
class Group:
    """Indices that are mapped alike.

    Parameters
    ----------
    shape
        Their fields.
    names
        How a call names them: as the settings do if there is one group.
    conditions
        The queries that select their documents, in addition to time.
    folders
        The queries for the selected folders and tags.
    documents, shards
        The number of selected documents, and of shards, when the look began.
    pit
        The point in time of all searches; None before.
    """

    shape: Shape
    names: str
    conditions: Sequence[dict[str, Any]] = ()
    folders: Sequence[dict[str, Any]] = ()
    documents: int = 0
    shards: int = 0
    pit: PointInTime | None = None


@dataclass(frozen=True)
class Part:
    """A slice of time of a group, ``[start, stop)`` in UTC milliseconds."""

    group: Group
    start: int | None
    stop: int | None

    def query(self, *more: dict[str, Any]) -> dict[str, Any]:
        """Return the query for its selected documents that meet more conditions."""
        return time_query(self.start, self.stop, [*self.group.conditions, *self.group.folders, *more])

    def ask(self, index: Index, aggregations: Mapping[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
        """Return the aggregations of its documents that meet more conditions."""
        group = self.group
        assert group.pit is not None
        return index.aggregate(group.pit, self.query(*more), aggregations, group.shards, group.shape.runtime)


def searched(index: Index, fields: Sequence[str]) -> list[tuple[Shape, str]]:
    """Return the groups of indices that are mapped alike, and how a call names each.

    Indices behind an alias with a filter must be read through the alias; if they are mapped differently, the
    server reads the fields in question from the documents.
    """
    found = [shape for shape in index.shapes(fields) if "@timestamp" in shape.fields]
    if len(found) > 1 and _may_be_filtered(index, [name for shape in found for name in shape.indices]):
        found = [merged(found)]
    if len(found) == 1:
        return [(found[0], index.name)]
    return [(shape, ",".join(shape.indices)) for shape in found]


def _may_be_filtered(index: Index, indices: list[str]) -> bool:
    try:
        return has_remote(index) or bool(unread(index, indices)[1])
    except AccessRefused:  # then nobody can say, as for aliases of a remote cluster
        return True


def parts_of(group: Group, start: int, stop: int, width: int) -> list[Part]:
    """Divide a period into slices that end between bins of `width`, each with about `SLICE_DOCUMENTS` at most."""
    first, last = start // width, -(-stop // width)
    slices = max(-(-group.documents // SLICE_DOCUMENTS), -(-(last - first) // SLICE_BINS), 1)
    bins = -(-(last - first) // slices)
    limits = [start, *(width * place for place in range(first + bins, last, bins)), stop]
    return [Part(group, begin, end) for begin, end in itertools.pairwise(limits)]


@contextmanager
def frozen(index: Index, groups: Sequence[Group]) -> Iterator[None]:
    """Open a point in time of each group, so that all searches see the same documents."""
    with ExitStack() as stack:
        for group in groups:
            group.pit = stack.enter_context(index.point_in_time(group.names))
        yield
