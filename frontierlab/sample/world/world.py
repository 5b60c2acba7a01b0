"""The world: documents in chunks, their counts, and the rows that must come of them."""

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
from frontierlab.sample.world.folders import DATABASES
from frontierlab.sample.world.lines import lines
from frontierlab.sample.world.oddities import Spoilt, spoil
from frontierlab.schema import arrow_schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CHUNK", "Chunk", "World"]

CHUNK = 100_000
"""Documents a chunk: what is in memory at a time."""

ANOTHER, NO_DATABASE = "another database", "no database"


@dataclass(frozen=True)
class Chunk:
    """Some documents of a world, and what extraction must make of them.

    Parameters
    ----------
    number
        The chunk's number in the world, from 0.
    first
        The number of its first document in the world.
    columns, spoilt
        What was drawn, and what oddities did to it.
    nulls
        Documents that write null for a field that they lack.
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
        """Return the documents as JSON: a string array, one a document, between ``head`` and ``tail``."""
        quoted = self.numbers_as_strings
        return lines(self.columns, self.spoilt.texts, self.nulls, numbers_as_strings=quoted, head=head, tail=tail)

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The documents, parsed; slow, for tests and looking."""
        return [json.loads(line) for line in self.lines().to_pylist()]

    def ndjson(self, style: Literal["plain", "elasticdump"] = "plain") -> memoryview:
        """Return the documents as bytes, one a line: as they are, or as the tool elasticdump wraps them."""
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
        """Which documents become log rows."""
        kept = (self.columns["sqldb"] >= 0) & (self.columns["sqldb"] < 2 * len(DATABASES))
        kept[list(self.spoilt.reasons)] = False
        return kept

    @property
    def set_aside(self) -> dict[str, int]:
        """How many documents cannot be converted, by reason."""
        return dict(Counter(self.spoilt.reasons.values()))

    @property
    def left_out(self) -> dict[str, int]:
        """How many documents are no queries of a configured database, by reason; 0 is not listed."""
        good = np.ones(len(self), dtype=bool)
        good[list(self.spoilt.reasons)] = False
        db = self.columns["sqldb"][good]
        counts = {ANOTHER: int((db >= 2 * len(DATABASES)).sum()), NO_DATABASE: int((db < 0).sum())}
        return {reason: n for reason, n in counts.items() if n}

    @cached_property
    def logs(self) -> pa.Table:
        """The log rows of the kept documents, completed: `frontierlab.schema.arrow_schema`, in their order."""
        return log_rows(self.columns, self.kept)


@dataclass(frozen=True)
class World:
    """A synthetic Frontier: documents, catalogue and payloads, with the truth known beside them.

    Nothing is made before it is asked for; documents are made a chunk at a time, so that memory does
    not grow with their number. The same arguments make the same world, as long as numpy's generators
    draw the same; worlds of different sizes are different worlds, not one a part of the other.

    Parameters
    ----------
    documents
        How many documents.
    seed
        Of everything that is drawn; the catalogue does not depend on it.
    since, until
        Documents have times in ``[since, until)``; ISO 8601, UTC when no zone is given.
    malformed
        Share of documents that are odd in some field: somewhat under half of them can be converted
        all the same.
    indexable
        Odd documents only of kinds that a real Elasticsearch takes and finds by their time: no objects
        in place of values, no unreadable or missing times, no bare dates. For worlds that are loaded.
    numbers_as_strings
        Documents carry integers in quotes, as some installations have them.

    Raises
    ------
    frontierlab.errors.InvalidRequestError
        When ``documents`` is negative, ``malformed`` no share, or ``until`` not after ``since``.
    """

    documents: int = 20_000
    seed: int = 1
    since: str = "2026-10-01T00:00:00Z"
    until: str = "2026-10-02T00:00:00Z"
    malformed: float = 0.001
    indexable: bool = False
    numbers_as_strings: bool = False

    def __post_init__(self) -> None:
        if self.documents < 0:
            raise InvalidRequestError(f"documents is {self.documents}: give 0 or more")
        if not 0 <= self.malformed <= 1:
            raise InvalidRequestError(f"malformed is {self.malformed}: give a share between 0 and 1")
        if _milliseconds(self.until) <= _milliseconds(self.since):
            raise InvalidRequestError(f"until {self.until} is not after since {self.since}")

    @cached_property
    def catalogue(self) -> pa.Table:
        """The catalogue, one row a folder and tag; see `frontierlab.sample.world.conditions.catalogue`."""
        return conditions.catalogue()

    @cached_property
    def payloads(self) -> pa.Table:
        """Every payload row, one a channel and IOV; see `frontierlab.sample.world.conditions.payloads`."""
        return conditions.payloads(self.seed)

    def chunks(self) -> Iterator[Chunk]:
        """Make the documents, `CHUNK` at a time."""
        since, until = _milliseconds(self.since), _milliseconds(self.until)
        for number, first in enumerate(range(0, self.documents, CHUNK)):
            columns = draw(self.seed, number, min(CHUNK, self.documents - first), since, until)
            rng = np.random.default_rng([self.seed, 3, number])
            nulls = rng.random(len(columns["@timestamp"])) < 0.2
            spoilt = spoil(columns, self.malformed, rng, indexable=self.indexable)
            yield Chunk(number, first, columns, spoilt, nulls, self.numbers_as_strings)

    @cached_property
    def counts(self) -> dict[str, Any]:
        """What extraction must count.

        ``read`` and ``kept`` are numbers of documents, ``left_out`` and ``set_aside`` numbers by reason;
        together they are what was read. The first use makes every chunk once.
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
        """Return every log row that extraction must make: about 140 bytes of memory a row."""
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
        """Write the documents to an export file, one a line.

        Parameters
        ----------
        path
            Compressed when it ends in ``.gz`` or ``.zst``. A file that is there is replaced; one that is
            not finished stays behind.
        style
            ``plain`` is the document itself, ``elasticdump`` wraps it as that tool does.
        progress
            Called after each chunk with the numbers of documents written and to write.
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
    """Return ms since the epoch of an ISO 8601 time; one without a zone is UTC."""
    try:
        parsed = datetime.fromisoformat(time)
    except ValueError as error:
        raise InvalidRequestError(f"{time!r} is not a time: write it as 2026-10-01T00:00:00Z") from error
    parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return round(parsed.timestamp() * 1000)
