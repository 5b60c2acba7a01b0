"""What Squid logs on the disk say of themselves, and the names of their files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from frontierlab._version import __version__
from frontierlab.rawlogs.squid.facts import SquidFacts
from frontierlab.util.files import write_text

__all__ = ["MALFORMED", "MANIFEST", "PARTS", "SquidManifest", "now", "write_manifest"]

MALFORMED = "set-aside.ndjson"
"""The file of the lines that were set aside, in the folder of Squid logs."""

PARTS = "parts"
"""The folder of the Parquet files, in the folder of Squid logs."""

MANIFEST = "manifest.json"
"""The file of the manifest, in the folder of Squid logs."""


class SquidManifest(BaseModel):
    """What Squid logs say of themselves; stored as ``manifest.json``. There is none before they are complete.

    Parameters
    ----------
    format
        The format of the manifest and the files.
    name, created
        The name; when they were read, ISO 8601, UTC.
    request
        The arguments of the reader.
    files
        The files in the order of reading, each with its Squid, site and counts of lines.
    lines
        Lines: ``lines = used + continuations + set_aside``, always; see `frontierlab.rawlogs.lines.LineCounts`.
    others
        Used lines that are no requests for Frontier, by what they are: ``cvmfs``, ``tunnel``, ``manager``, ``other``.
        They are counted and not stored: the rows are the other used lines.
    rows, without_task
        The answers to requests for Frontier; and how many of them name no task.
    results
        Numbers of answers by result tag, as logged.
    unknown_results
        Those of them whose tag is not known.
    unreadable
        Numbers of requests whose URL cannot be decoded, by reason.
    unknown
        Numbers of requests by folder or tag that has a number and that the catalogue lacks.
    since, until
        Times of the first and the last row, UTC milliseconds since the epoch; None without rows.
    notes
        Sentences that a reader of the figures should know.
    parts, aside
        The Parquet files and the files of lines that were set aside, in order, of logs that are or were followed; None
        if they are all in their place.
    following
        Where each log was when the last part was stored, while logs are followed; None when they are complete.
    """

    model_config = ConfigDict(extra="allow")

    format: Literal[1] = 1
    frontierlab: str = __version__
    name: str
    created: str
    request: dict[str, Any] = Field(default_factory=dict)
    files: list[dict[str, Any]] = Field(default_factory=list)
    lines: dict[str, Any] = Field(default_factory=dict)
    others: dict[str, int] = Field(default_factory=dict)
    rows: int = 0
    without_task: int = 0
    results: dict[str, int] = Field(default_factory=dict)
    unknown_results: dict[str, int] = Field(default_factory=dict)
    unreadable: dict[str, int] = Field(default_factory=dict)
    unknown: dict[str, int] = Field(default_factory=dict)
    since: int | None = None
    until: int | None = None
    notes: list[str] = Field(default_factory=list)
    parts: list[str] | None = None
    aside: list[str] | None = None
    following: dict[str, Any] | None = None

    @classmethod
    def of_facts(cls, facts: SquidFacts, remark: str, **more: Any) -> SquidManifest:
        """Return the manifest of logs of which this is known.

        Parameters
        ----------
        facts
            What was counted.
        remark
            What was done with personal data.
        **more
            The other fields.
        """
        record = facts.as_record()
        counted = {name: record[name] for name in record if name in cls.model_fields}
        return cls(**{"created": now(), **counted, "notes": [*facts.notes(), remark], **more})


def write_manifest(folder: Path, manifest: SquidManifest) -> None:
    """Write a manifest in one step."""
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=1))


def now() -> str:
    """Return the current time, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
