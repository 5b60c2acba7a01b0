"""The manifest of a dataset: the request, the plan, the counts, and whether the dataset is complete."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from frontierlab._version import __version__
from frontierlab.errors import DatasetError
from frontierlab.util.files import is_temporary, write_text

__all__ = ["CATALOGUE", "Counts", "Manifest", "NotBegun", "Outcome", "PlannedPart", "strange_files"]

CATALOGUE = "catalogue.parquet"
"""The file in a dataset's folder with the catalogue that completes its rows."""

_MOST = 1_000  # reasons that are kept: a reason can contain a value of a document, so their number has no bound


class NotBegun(DatasetError):
    """A dataset is being planned, and cannot be opened yet."""


def strange_files(folder: Path) -> list[str]:
    """Return the names of the files in a folder that the planning of a dataset does not write."""
    return sorted(file.name for file in folder.iterdir() if file.name != CATALOGUE and not is_temporary(file))


class _Record(BaseModel):
    """A record of a dataset. Fields that a later version added are kept when this version rewrites the record."""

    model_config = ConfigDict(extra="allow")


class Counts(_Record):
    """Numbers of documents; ``read = kept + left_out + malformed``, always.

    Parameters
    ----------
    read
        Documents read.
    kept
        Rows of the dataset.
    left_out
        Documents that are not wanted, such as queries of a database that is not a COOL instance, or outside the
        selection. What Elasticsearch did not send, because it is not requested, is not read and in no count.
    set_aside
        Malformed documents, under the name that manifests on the disk have for them; see `malformed`.
    """

    read: int = 0
    kept: int = 0
    left_out: int = 0
    set_aside: int = 0

    @property
    def malformed(self) -> int:
        """Number of malformed documents; the dataset's folder keeps them with the reason."""
        return self.set_aside


class Outcome(_Record):
    """Counts of what happened to the documents of one part, or of the whole dataset.

    Parameters
    ----------
    counts
        The totals.
    left_out, set_aside
        Numbers of documents that are not wanted and of malformed ones, by reason; see `malformed`.
    converted
        Values of another type than their column whose meaning is clear, by field.
    unfit
        Values of extra fields that do not fit their column, by field; they are null.
    conflicts
        Rows with an id and a name that do not belong together in the catalogue, by a text with both.
    with_iov
        Documents read that give an IOV.
    iovs_lost
        Documents that have an IOV in the index, but none in the text that was read.
    since, until
        Times of the first and the last row, UTC milliseconds since the epoch; None without rows.
    """

    counts: Counts = Field(default_factory=Counts)
    left_out: dict[str, int] = Field(default_factory=dict)
    set_aside: dict[str, int] = Field(default_factory=dict)
    converted: dict[str, int] = Field(default_factory=dict)
    unfit: dict[str, int] = Field(default_factory=dict)
    conflicts: dict[str, int] = Field(default_factory=dict)
    with_iov: int = 0
    iovs_lost: int = 0
    since: int | None = None
    until: int | None = None

    @property
    def malformed(self) -> dict[str, int]:
        """Numbers of malformed documents, by reason."""
        return self.set_aside

    @classmethod
    def total(cls, outcomes: list[Outcome]) -> Outcome:
        """Add up the outcomes of several parts."""

        def added(records: list[dict[str, int]]) -> dict[str, int]:
            total: Counter[str] = Counter()
            for record in records:
                total.update(record)
            others = total.pop("others", 0)
            ordered = sorted(total.items(), key=lambda item: (-item[1], item[0]))
            others += sum(count for _, count in ordered[_MOST:])
            return dict(ordered[:_MOST]) | ({"others": others} if others else {})

        return cls(
            counts=Counts(**added([outcome.counts.model_dump() for outcome in outcomes])),
            left_out=added([outcome.left_out for outcome in outcomes]),
            set_aside=added([outcome.malformed for outcome in outcomes]),
            converted=added([outcome.converted for outcome in outcomes]),
            unfit=added([outcome.unfit for outcome in outcomes]),
            conflicts=added([outcome.conflicts for outcome in outcomes]),
            with_iov=sum(outcome.with_iov for outcome in outcomes),
            iovs_lost=sum(outcome.iovs_lost for outcome in outcomes),
            since=min((o.since for o in outcomes if o.since is not None), default=None),
            until=max((o.until for o in outcomes if o.until is not None), default=None),
        )


class PlannedPart(_Record):
    """One part of an extraction: a half-open range of time or of lines.

    Parameters
    ----------
    number
        Counts from 0; the part's folder is ``parts/<number>``.
    start, stop
        The range ``[start, stop)``: UTC milliseconds since the epoch, or lines of a file from 0.
    expected
        Number of documents in the range when the plan was made.
    """

    number: int
    start: int
    stop: int
    expected: int


class Manifest(Outcome):
    """The description of a dataset; stored as ``manifest.json`` in its folder.

    Parameters
    ----------
    format
        The format of the manifest and the files; a version of frontierlab reads one format.
    id
        A random text, different for every dataset, also for one of the same name; empty in datasets of early versions.
    name
        The dataset's name.
    state
        ``incomplete`` until all parts are stored and added up.
    created, finished
        ISO 8601, UTC.
    request
        The request; times in UTC, ``[since, until)``. Extracting with the same request resumes.
    source
        The source and its state at the time of reading.
    plan
        The parts; empty until the plan is made.
    limit
        Where ``limit_queries`` cut: ``{"limit_queries", "available", "cut_at", "cut_at_ms"}``; None if it did not.
    writer
        The last writer: process, machine, time.
    notes
        Sentences that a reader of the figures should know.
    search
        How the source must be asked, found out once and reused by later readers of parts.
    hint
        If nothing was found: a sentence about what the source has.
    partial
        Sentences about what the source did not return, such as a closed index or a cluster without an answer. The
        figures are too small, and the user is warned.
    catalogue
        Sentences about why the catalogue was old or partial when the extraction began: ids and names may be missing.
    maker
        ``night`` if the periodic night began the dataset; otherwise empty: a user did.
    thinned
        When the rows were removed, ISO 8601, UTC; None if they are there. See `frontierlab.storage.thinning`.
    """

    format: Literal[1] = 1
    frontierlab: str = __version__
    id: str = ""
    name: str
    state: Literal["incomplete", "complete"] = "incomplete"
    created: str
    finished: str | None = None
    request: dict[str, Any]
    source: dict[str, Any] = Field(default_factory=dict)
    columns: list[str] = Field(default_factory=list)
    plan: list[PlannedPart] = Field(default_factory=list)
    limit: dict[str, Any] | None = None
    writer: str = ""
    notes: list[str] = Field(default_factory=list)
    search: dict[str, Any] = Field(default_factory=dict)
    hint: str = ""
    partial: list[str] = Field(default_factory=list)
    catalogue: list[str] = Field(default_factory=list)
    maker: str = ""
    thinned: str | None = None

    @property
    def fencing_token(self) -> tuple[str, str]:
        """The identity of this dataset. Work for a dataset is stored only while its token is unchanged."""
        return self.id, self.created

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a dataset's folder.

        Raises
        ------
        NotBegun
            The dataset is being planned: the manifest is written with the plan.
        DatasetError
            The manifest is missing or damaged, or only a later version of frontierlab reads its format.
        """
        path = folder / "manifest.json"
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            if folder.is_dir() and not strange_files(folder):
                raise NotBegun(
                    f"The dataset {folder.name} has no rows yet: its extraction is being planned, or was stopped then. "
                    "The same extract(…) call makes it."
                ) from None
            raise DatasetError(f"{folder} is not a dataset: it has no manifest.json.") from None
        except OSError as error:
            raise DatasetError(f"The manifest {path} cannot be read: {error.strerror}.") from error
        return cls.parse(text, f"The manifest {path}")

    @classmethod
    def parse(cls, text: bytes, what: str) -> Manifest:
        """Parse the text of a manifest; error messages call it `what`.

        Raises
        ------
        DatasetError
            The manifest is damaged, or only a later version of frontierlab reads its format.
        """
        try:
            record = json.loads(text)
            if isinstance(record, dict) and record.get("format", 1) != 1:
                raise DatasetError(
                    f"{what} was written by frontierlab {record.get('frontierlab', 'of another version')} in format "
                    f"{record['format']}, but frontierlab {__version__} reads format 1. Install the later version."
                )
            return cls.model_validate(record)
        except ValueError as error:
            cause = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise DatasetError(f"{what} is damaged: {cause}.") from error

    def write(self, folder: Path) -> None:
        """Write the manifest atomically."""
        write_text(folder / "manifest.json", self.model_dump_json(indent=1))
