"""The common interface of sources of documents: an index (`elastic_source`) or an export file (`file_source`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from frontierlab.catalogue import Catalogue
from frontierlab.errors import DatasetError
from frontierlab.exports.json_text import Document
from frontierlab.extraction.request import Request
from frontierlab.storage.manifest import PlannedPart
from frontierlab.util.times import format_time, from_milliseconds

__all__ = ["Batch", "DocumentSource", "LAST", "Plan", "limit_record", "require_same"]

LAST = 9_214_646_400_000
"""The end of the year 2261 in UTC milliseconds; a document's time must be before."""


class Plan(NamedTuple):
    """How documents are to be read.

    Parameters
    ----------
    parts
        Ranges of time, or of the numbers of documents.
    limit
        Where ``limit_queries`` cuts, as in the manifest; None if it does not.
    notes, partial, hint
        Sentences for the manifest.
    at_most
        Whether the parts can have documents that do not meet the request, so that fewer rows are kept.
    undecided
        Those of `notes` about conditions that the source cannot decide.
    """

    parts: list[PlannedPart]
    limit: dict[str, Any] | None
    notes: list[str]
    partial: Sequence[str] = ()
    hint: str = ""
    at_most: bool = False
    undecided: Sequence[str] = ()


class Batch(list[Document]):
    """Documents that are read together.

    Parameters
    ----------
    documents
        The documents to read.
    left_out
        Number of further documents that are left out, by reason.
    """

    def __init__(self, documents: Iterable[Document], left_out: Counter[str]) -> None:
        super().__init__(documents)
        self.left_out = left_out


class DocumentSource(Protocol):
    """A source of documents.

    Parameters
    ----------
    request
        The request, with the types of extra fields filled in.
    slices
        Number of iterators that read a part in parallel.
    search
        How the source must be asked. The manifest keeps it, and gives it to a source that is opened again.
    waiting
        Called a few times a second while the thread that opened the source waits; ends the wait by raising.
    """

    request: Request
    slices: int
    search: dict[str, Any]
    waiting: Callable[[], object] | None

    def describe(self) -> dict[str, Any]:
        """Return a record that identifies the source, for the manifest; it must be the same at a resumption."""

    def plan(self, most: int, catalogue: Catalogue | None = None) -> Plan:
        """Split the request into parts of about `most` documents; the catalogue is the one that completes the rows."""

    def sample(self, most: int) -> Sequence[Document]:
        """Return at most `most` of the documents."""

    @contextmanager
    def reading(self, part: PlannedPart) -> Iterator[Sequence[Iterator[Sequence[Document]]]]:
        """Yield one iterator over lists of documents for each slice of a part."""

    def with_iov(self, part: PlannedPart) -> int | None:
        """Return the number of documents of a part that have an IOV by the source's count; None without a count."""

    def wanted(self, rows: pa.Table, limit: dict[str, Any] | None) -> tuple[pa.Table, Counter[str]]:
        """Return the rows of the requested period, and the number of the others by reason."""

    def close(self) -> None:
        """Close files and connections."""


def require_same(found: dict[str, Any], recorded: dict[str, Any], name: str) -> None:
    """Raise DatasetError if a source has changed since the extraction began."""
    changed = [key for key in recorded if found.get(key) != recorded[key]]
    if changed:
        was = "; ".join(f"{key} was {recorded[key]!r} and is now {found.get(key)!r}" for key in changed)
        raise DatasetError(
            f"The source of {name} has changed since the extraction began: {was}. Delete the dataset and extract again."
        )


def limit_record(request: Request, available: int, cut_at: int) -> dict[str, Any]:
    """Return the manifest's record of a cut by ``limit_queries``."""
    return {
        "limit_queries": request.limit_queries,
        "available": available,
        "cut_at": format_time(from_milliseconds(cut_at)),
        "cut_at_ms": cut_at,
    }
