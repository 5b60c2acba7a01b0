"""Datasets for tests, from rows that a test lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from frontierlab.schema import arrow_schema
from frontierlab.storage.manifest import Counts, Manifest, Outcome, PlannedPart
from frontierlab.storage.parts import SliceWriter, commit_part, temporary_folder
from frontierlab.storage.store import Dataset

START = 1_790_812_800_000
"""2026-10-01 00:00 UTC, in milliseconds since the epoch."""


def table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema | None = None) -> pa.Table:
    """Return log rows; missing values are null, except time and database."""
    schema = schema or arrow_schema()
    full = [{"time": START, "db": "CONDBR2", **row} for row in rows]
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in full], schema=schema)


def make_dataset(
    folder: Path,
    *parts: Sequence[Mapping[str, Any]],
    missing: int = 0,
    extra: Mapping[str, str] | None = None,
    **manifest: Any,
) -> Dataset:
    """Write a dataset with these parts; if some are `missing`, it is incomplete."""
    folder.mkdir(parents=True)
    plan = [PlannedPart(number=i, start=i, stop=i + 1, expected=1) for i in range(len(parts) + missing)]
    request = {"source": "logs.ndjson", "since": None, "until": None, "extra_fields": dict(extra or {})}
    request |= {"limit_queries": 5_000_000, "db_instances": ["CONDBR2"], **manifest.pop("request", {})}
    first = Manifest(name=folder.name, created="2026-10-03T00:00:00.000Z", request=request, plan=plan)
    first.write(folder)
    outcomes = [_write_part(Dataset(folder), number, rows) for number, rows in enumerate(parts)]
    if missing == 0:
        total = Outcome.total(outcomes).model_dump() | {"state": "complete"} | manifest
        Manifest(**(first.model_dump() | total)).write(folder)
    return Dataset(folder)


def _write_part(dataset: Dataset, number: int, rows: Sequence[Mapping[str, Any]]) -> Outcome:
    temporary = temporary_folder(dataset.path, number)
    if rows:
        with SliceWriter(temporary, 0, dataset.schema) as writer:
            writer.write(table(rows, dataset.schema))
    times = [row.get("time", START) for row in rows]
    outcome = Outcome(
        counts=Counts(read=len(rows), kept=len(rows)), since=min(times, default=None), until=max(times, default=None)
    )
    return commit_part(temporary, dataset.path, number, [outcome], dataset.manifest)
