"""Find out what an extraction would do, without doing it."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from frontierlab.catalogue import Catalogue
from frontierlab.documents.dataset_rows import make_dataset_rows
from frontierlab.documents.fast import DocumentReader
from frontierlab.exports.json_text import Document
from frontierlab.extraction.elastic_source import ElasticSource
from frontierlab.extraction.open_source import open_source
from frontierlab.extraction.options import CatalogueOptions, ExtractionOptions
from frontierlab.extraction.request import Request
from frontierlab.extraction.selected import keeper
from frontierlab.extraction.sources import DocumentSource, Plan
from frontierlab.schema import arrow_schema

__all__ = ["DryRun", "estimate"]

_SAMPLE = 1_000  # documents


@dataclass(frozen=True)
class DryRun:
    """What an extraction would do.

    Parameters
    ----------
    request
        The request, with times in UTC, ``[since, until)``.
    body
        The body of the Elasticsearch search; None for a file.
    documents
        Number of documents that would be read: what Elasticsearch counts for the period and the selection. A file is
        read completely; its documents are filtered afterwards.
    limit
        Where ``limit_queries`` would cut; None if it would not.
    size
        Size of the dataset on the disk in bytes, estimated from the first documents.
    parts
        Number of parts.
    notes
        Sentences about what would be done first, such as building the catalogue, about documents that the source
        does not return or that would be read and left out, and, if nothing was found, about what the source has.
    """

    request: Request
    body: dict[str, Any] | None
    documents: int
    limit: dict[str, Any] | None
    size: int
    parts: int
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = "1 part" if self.parts == 1 else f"{self.parts:,} parts"
        lines = [f"{self.documents:,} documents in {parts}, about {self.size / 1e6:,.1f} MB on the disk"]
        if self.limit:
            lines.append(
                f"limit_queries cuts {self.limit['available']:,} documents at {self.limit['cut_at']} "
                f"(limit {self.limit['limit_queries']:,})"
            )
        lines += self.notes
        if self.body:
            lines.append("search: " + json.dumps(self.body))
        return "\n".join(lines)


def estimate(request: Request, options: ExtractionOptions, waiting: Callable[[], object] | None = None) -> DryRun:
    """Estimate an extraction from the counts of its plan and the first documents of its source.

    Parameters
    ----------
    request, options
        The request, and the options for it.
    waiting
        Called a few times a second while this thread waits for a server; ends the wait by raising.
    """
    catalogue, notes = (None, []) if options.catalogue is None else _catalogue_at_hand(options.catalogue)
    with closing(open_source(request, options, threading.Event(), waiting=waiting)) as source:
        plan = source.plan(options.part_documents, catalogue)
        documents = sum(part.expected for part in plan.parts)
        body = None
        if isinstance(source, ElasticSource):
            body = source.body(source.request.start, plan.limit["cut_at_ms"] if plan.limit else source.request.stop)
        sample = source.sample(_SAMPLE) if documents else []
        rows = _rows(source, plan, sample, catalogue)
        return DryRun(
            request=source.request,
            body=body,
            documents=documents,
            limit=plan.limit,
            size=_size(rows) * documents // len(sample) if sample else 0,
            parts=len(plan.parts),
            notes=(*notes, *plan.partial, *_left_out(source, plan, len(sample), rows), *filter(None, [plan.hint])),
        )


def _rows(source: DocumentSource, plan: Plan, sample: Sequence[Document], catalogue: Catalogue | None) -> pa.Table:
    """Return the dataset's rows of some documents."""
    request = source.request
    extra = request.extra_columns
    wanted, _ = source.wanted(DocumentReader(extra).read(sample).rows, plan.limit)
    keep = keeper(request.conditions)
    return make_dataset_rows(wanted, request.db_instances, catalogue, arrow_schema(extra), keep).rows


def _size(rows: pa.Table) -> int:
    """Return the size of rows in a file, in bytes."""
    file = io.BytesIO()
    pq.write_table(rows, file, compression="zstd")
    return file.tell()


def _left_out(source: DocumentSource, plan: Plan, sampled: int, rows: pa.Table) -> list[str]:
    """Return sentences about documents that would be read although the selection leaves them out."""
    if not sampled or keeper(source.request.conditions) is None:
        return []
    if not isinstance(source, ElasticSource):
        return [
            f"All documents are read: the selection decides then. It keeps {rows.num_rows:,} of the first {sampled:,}."
        ]
    if not plan.at_most:
        return []
    return [
        "This is the most that the selection can have: Elasticsearch cannot decide all of it, and the rows do "
        f"({rows.num_rows:,} of the first {sampled:,} documents are kept).",
        *plan.undecided,
    ]


def _catalogue_at_hand(options: CatalogueOptions) -> tuple[Catalogue | None, list[str]]:
    """Return the catalogue in its present state, and sentences about what an extraction would do with it first."""
    if not options.needs_refresh():
        return Catalogue.read(options.path), []
    if not options.path.exists():
        return None, ["There is no catalogue yet: the extraction builds it from COOLR first."]
    return Catalogue.read(options.path), [
        "The catalogue is old or incomplete: the extraction refreshes it from COOLR first."
    ]
