"""The world: its documents in chunks, their counts, and the resulting log rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from frontierlab.errors import InvalidRequestError
from frontierlab.sample.world import conditions
from frontierlab.sample.world.completion import log_rows
from frontierlab.sample.world.draws import Columns, draw
from frontierlab.sample.world.faithful import faithful
from frontierlab.sample.world.folders import DATABASES
from frontierlab.sample.world.lines import lines
from frontierlab.sample.world.oddities import Spoilt, spoil
from frontierlab.schema import arrow_schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CHUNK", "Chunk", "World"]

CHUNK = 100_000
"""Documents per chunk; one chunk at a time is in memory."""

ANOTHER, NO_DATABASE = "another database", "no database"


@dataclass(frozen=True)
class Chunk:
    """Documents of a world, and the result that extraction must produce.

    Parameters
    ----------
    number
        The index of the chunk in the world.
    first
        The index of its first document in the world.
    columns, spoilt
        The columns after drawing and spoiling, and their oddities.
    nulls
        Mask of documents that write null for missing fields.
    numbers_as_strings
        Whether documents carry integers in quotes.
    """

    number: int
    first: int
    columns: Columns
    spoilt: Spoilt
    nulls: NDArray[np.bool_]
    numbers_as_strings: bool = False

    def __len__(self) -> int:
        return len(self.nulls)

    def lines(self, head: str | pa.Array = "", tail: str = "") -> pa.Array:
        """Return the documents as JSON: one string per document, each between its ``head`` and ``tail``."""
        quoted = self.numbers_as_strings
        return lines(self.columns, self.spoilt.texts, self.nulls, numbers_as_strings=quoted, head=head, tail=tail)

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The parsed documents; slow, meant for tests and inspection."""
        return [json.loads(line) for line in self.lines().to_pylist()]

    def ndjson(self, style: Literal["plain", "elasticdump"] = "plain") -> memoryview:
        """Return the documents as bytes, one per line: plain, or wrapped as the tool elasticdump writes them."""
        if style == "plain":
            text = self.lines(tail="\n")
        else:
            number = pa.array(np.arange(self.first, self.first + len(self))).cast(pa.string())
            head = pc.binary_join_element_wise(
                '{"_index":"frontier_sql","_type":"_doc","_id":"', number, '","_score":1,"_source":', ""
            )
            text = self.lines(head, "}\n")
        _, offsets, data = text.buffers()
        return memoryview(data)[: np.frombuffer(offsets, np.int32, len(text) + 1)[-1]]

    @cached_property
    def kept(self) -> NDArray[np.bool_]:
        """Mask of the documents that become log rows."""
        kept = (self.columns["sqldb"] >= 0) & (self.columns["sqldb"] < 2 * len(DATABASES))
        kept[list(self.spoilt.reasons)] = False
        return kept

    @property
    def set_aside(self) -> dict[str, int]:
        """Number of malformed documents, by reason."""
        return dict(Counter(self.spoilt.reasons.values()))

    @property
    def left_out(self) -> dict[str, int]:
        """Number of well-formed documents that are not queries of a database of the world, by reason, without zeros."""
        good = np.ones(len(self), dtype=bool)
        good[list(self.spoilt.reasons)] = False
        db = self.columns["sqldb"][good]
        counts = {ANOTHER: int((db >= 2 * len(DATABASES)).sum()), NO_DATABASE: int((db < 0).sum())}
        return {reason: n for reason, n in counts.items() if n}

    @cached_property
    def logs(self) -> pa.Table:
        """The completed log rows of the kept documents, in the same order: `frontierlab.schema.arrow_schema`."""
        return log_rows(self.columns, self.kept)


@dataclass(frozen=True)
class World:
    """A synthetic Frontier: documents, catalogue and payloads, with their truth.

    Everything is made on demand. Documents are made in chunks, so that the memory does not depend on their number. The
    same arguments make the same world, as long as numpy's generators draw the same values. A small world is not the
    first part of a larger one.

    Parameters
    ----------
    documents
        Number of documents.
    seed
        Seed of all draws; the catalogue does not depend on it.
    since, until
        Times of documents are in ``[since, until)``; ISO 8601, UTC if no time zone is given.
    malformed
        Share of documents with an oddity; about half of these are malformed, the others can be converted.
    indexable
        Use only oddities that a real Elasticsearch accepts and finds by time: no objects as values; no times that are
        missing, unreadable, several, or dates alone. Loading needs this.
    numbers_as_strings
        Write integers in quotes, as some installations do.
    faithful
        Documents say of each query what its SQL and the servlet's log say: see
        `frontierlab.sample.world.faithful.faithful`. Then logs of the same world have the same rows.

    Raises
    ------
    frontierlab.errors.InvalidRequestError
        ``documents`` is negative, ``malformed`` is not between 0 and 1, or ``until`` is not after ``since``.
    """

    documents: int = 20_000
    seed: int = 1
    since: str = "2026-10-01T00:00:00Z"
    until: str = "2026-10-02T00:00:00Z"
    malformed: float = 0.001
    indexable: bool = False
    numbers_as_strings: bool = False
    faithful: bool = False

    def __post_init__(self) -> None:
        if self.documents < 0:
            raise InvalidRequestError(f"documents is {self.documents}: give 0 or more.")
        if not 0 <= self.malformed <= 1:
            raise InvalidRequestError(f"malformed is {self.malformed}: give a share between 0 and 1.")
        if _milliseconds(self.until) <= _milliseconds(self.since):
            raise InvalidRequestError(f"until {self.until} is not after since {self.since}: give a later time.")

    @cached_property
    def catalogue(self) -> pa.Table:
        """The catalogue, one row per folder and tag; see `frontierlab.sample.world.conditions.catalogue`."""
        return conditions.catalogue()

    @cached_property
    def payloads(self) -> pa.Table:
        """All payload rows, one per tag, channel and IOV; see `frontierlab.sample.world.conditions.payloads`."""
        return conditions.payloads(self.seed)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the documents in chunks of `CHUNK`."""
        since, until = _milliseconds(self.since), _milliseconds(self.until)
        for number, first in enumerate(range(0, self.documents, CHUNK)):
            columns = draw(self.seed, number, min(CHUNK, self.documents - first), since, until)
            if self.faithful:
                columns = faithful(columns)
            rng = np.random.default_rng([self.seed, 3, number])
            nulls = rng.random(len(columns["@timestamp"])) < 0.2
            spoilt = spoil(columns, self.malformed, rng, indexable=self.indexable)
            yield Chunk(number, first, columns, spoilt, nulls, self.numbers_as_strings)

    @cached_property
    def counts(self) -> dict[str, Any]:
        """The counts that extraction must produce.

        ``read`` and ``kept`` are numbers of documents. ``left_out`` (not a query of a database of the world) and
        ``set_aside`` (malformed) are numbers by reason. ``read`` is the sum of the others. The first access generates
        all chunks once.
        """
        kept, left_out, set_aside = 0, Counter[str](), Counter[str]()
        for chunk in self.chunks():
            kept += int(chunk.kept.sum())
            left_out.update(chunk.left_out)
            set_aside.update(chunk.set_aside)
        return {
            "read": self.documents,
            "kept": kept,
            "left_out": dict(left_out),
            "set_aside": dict(set_aside),
        }

    def logs(self) -> pa.Table:
        """Return all log rows that extraction must produce; a row takes about 140 bytes of memory."""
        return pa.concat_tables([arrow_schema().empty_table(), *(chunk.logs for chunk in self.chunks())])

    def truth(self) -> pd.DataFrame:
        """Return the caching figures of each folder and tag; see `frontierlab.sample.world.truth.figures`."""
        from frontierlab.sample.world.truth import figures

        return figures(self.logs(), self.catalogue, self.payloads)

    def write(
        self,
        path: str | Path,
        *,
        style: Literal["plain", "elasticdump"] = "plain",
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        """Write the documents to an export file, one per line.

        Parameters
        ----------
        path
            Compressed if it ends in ``.gz`` or ``.zst``. An existing file is replaced; an unfinished file is not
            removed.
        style
            ``plain`` is the document itself; ``elasticdump`` wraps it as that tool does.
        progress
            Called after each chunk with the number of written documents and the total.
        """
        with pa.OSFile(str(path), "wb") as file:
            compression = {".gz": "gzip", ".zst": "zstd"}.get(Path(path).suffix)
            stream = pa.CompressedOutputStream(file, compression) if compression else file
            try:
                for chunk in self.chunks():
                    stream.write(chunk.ndjson(style))
                    if progress is not None:
                        progress(chunk.first + len(chunk), self.documents)
            finally:
                stream.close()


def _milliseconds(time: str) -> int:
    """Return an ISO 8601 time as ms since the epoch; a time without a time zone is UTC."""
    try:
        parsed = datetime.fromisoformat(time)
    except ValueError as error:
        raise InvalidRequestError(f"{time!r} is not a time: write it as 2026-10-01T00:00:00Z.") from error
    parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return round(parsed.timestamp() * 1000)
