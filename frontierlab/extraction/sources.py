"""What the sources of documents have in common: an index (`elastic_source`) and an export file (`file_source`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from frontierlab.errors import DatasetError
from frontierlab.exports.json_text import Document
from frontierlab.extraction.request import Request
from frontierlab.storage.manifest import PlannedPart
from frontierlab.util.times import format_time, from_milliseconds

__all__ = ["Batch", "LAST", "Plan", "REPEATED", "Source", "limit_record", "require_same"]

LAST = 9_214_646_400_000
"""The end of the years that a document's time can have, UTC milliseconds."""

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
    notes, partial, hint
        Sentences for the manifest.
    """

    parts: list[PlannedPart]
    limit: dict[str, Any] | None
    notes: list[str]
    partial: Sequence[str] = ()
    hint: str = ""


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
    """Where documents come from.

    Parameters
    ----------
    request
        What is asked for, as understood.
    slices
        How many iterators a part is read by, side by side.
    search
        What was found out once of how to ask, for the manifest: a source that is opened again is given it.
    waiting
        Called a few times a second while the thread that opened the source waits; ends the wait by raising.
    """

    request: Request
    slices: int
    search: dict[str, Any]
    waiting: Callable[[], object] | None

    def describe(self) -> dict[str, Any]:
        """Return what identifies the source, for the manifest; the same when an extraction is resumed."""

    def plan(self, most: int) -> Plan:
        """Split what is asked for into parts of about `most` documents."""

    def sample(self, most: int) -> Sequence[Document]:
        """Return a few of the documents, `most` at most."""

    @contextmanager
    def reading(self, part: PlannedPart) -> Iterator[Sequence[Iterator[Sequence[Document]]]]:
        """Give an iterator a slice of a part, each over lists of documents."""

    def with_iov(self, part: PlannedPart) -> int | None:
        """Return how many documents of a part that is being read have an IOV; None where only they can say."""

    def wanted(self, rows: pa.Table, limit: dict[str, Any] | None) -> tuple[pa.Table, Counter[str]]:
        """Return the rows that were asked for, and how many of the others there are, by reason."""

    def close(self) -> None:
        """Let go of what was opened."""


def require_same(found: dict[str, Any], recorded: dict[str, Any], name: str) -> None:
    """Raise DatasetError where a source is not any more what an extraction began with."""
    changed = [key for key in recorded if found.get(key) != recorded[key]]
    if changed:
        was = "; ".join(f"{key} was {recorded[key]!r} and is now {found.get(key)!r}" for key in changed)
        raise DatasetError(
            f"The source of {name} has changed since the extraction began: {was}. Delete it and begin anew."
        )


def limit_record(request: Request, available: int, cut_at: int) -> dict[str, Any]:
    """Return what a manifest says of a cut by ``limit_queries``."""
    return {
        "limit_queries": request.limit_queries,
        "available": available,
        "cut_at": format_time(from_milliseconds(cut_at)),
        "cut_at_ms": cut_at,
    }
