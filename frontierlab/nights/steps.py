"""The steps of a night, each a thin layer over a function of the package."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from frontierlab.coolr import refresh as catalogues
from frontierlab.errors import DatasetError
from frontierlab.extraction.options import ExtractionOptions
from frontierlab.extraction.request import make_request
from frontierlab.extraction.run import Share, extract_request
from frontierlab.nights.due import existing, named
from frontierlab.nights.records import NightRecord
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset, dataset_path
from frontierlab.storage.losses import losses
from frontierlab.storage.spans import span_of
from frontierlab.storage.store import open_dataset
from frontierlab.util.progress import ProgressCallback
from frontierlab.util.times import to_milliseconds

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAKER", "Outcome", "STEPS", "Step", "Work", "extracted"]

MAKER = "night"
"""The maker in the manifest of a dataset that a night began; only such datasets are thinned."""

_NAMED = 3  # reasons that a sentence names
_MOST_FINDINGS = 1_000  # that a record keeps
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Work:
    """What a step gets.

    Parameters
    ----------
    settings
        The settings.
    record
        The record of the night.
    progress
        As for `frontierlab.extract`; it can stop the step by raising.
    source
        An export file, or a pattern of its name; see `frontierlab.nights.run`. None is Elasticsearch.
    share
        As for `frontierlab.extraction.run.extract_request`.
    require_ours
        Raises if another process does the nights now; for use before a change that a later run does not repeat.
    """

    settings: Settings
    record: NightRecord
    progress: bool | ProgressCallback = False
    source: str | os.PathLike[str] | None = None
    share: Share | None = None
    require_ours: Callable[[], object] = lambda: None

    @property
    def begin(self) -> datetime:
        """The start of the day, UTC."""
        return datetime.combine(self.record.day, time(), UTC)

    @property
    def end(self) -> datetime:
        """The start of the next day, UTC."""
        return self.begin + timedelta(days=1)

    def dataset(self) -> Dataset:
        """Open the dataset of the day.

        Raises
        ------
        DatasetError
            There is none, or it is not complete.
        """
        dataset = open_dataset(self.record.dataset, self.settings)
        dataset.require_complete()
        return dataset


@dataclass(frozen=True)
class Outcome:
    """What a step gave; the fields are those of `frontierlab.nights.records.StepRecord`."""

    facts: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    state: Literal["done", "partial"] = "done"


@dataclass(frozen=True)
class Step:
    """A step of a night.

    Parameters
    ----------
    run
        Does the work, and raises if it cannot be done.
    of
        What it is done for: ``dataset``, the dataset of each day; ``day``, each day, whose dataset it makes; or
        ``night``, once a night.
    """

    run: Callable[[Work], Outcome]
    of: Literal["dataset", "day", "night"] = "dataset"


def _catalogue(work: Work) -> Outcome:
    refreshed = catalogues.refresh(work.settings, progress=work.progress)
    failures = [" ".join([*filter(None, failure[:4]), failure.error]) for failure in refreshed.failures]
    remarks = []
    if failures:
        more = f" (and {len(failures) - _NAMED} more)" * (len(failures) > _NAMED)
        remarks.append(f"COOLR did not give {len(failures):,} lists: {' '.join(failures[:_NAMED])}{more}")
    return Outcome({"of": refreshed.when.isoformat()}, remarks, state="partial" if failures else "done")


def _extraction(work: Work) -> Outcome:
    settings, name = work.settings, work.record.dataset
    path = dataset_path(name, settings.data_dir)
    source = None if work.source is None else Path(work.begin.strftime(str(Path(work.source).expanduser())))
    request = make_request(settings, since=work.begin, until=work.end, source=source)
    options = ExtractionOptions.of(settings, request)
    dataset = extract_request(path, request, options, work.progress, work.share, maker=MAKER)
    return extracted(dataset, settings)


def extracted(dataset: Dataset, settings: Settings) -> Outcome:
    """Return the outcome of the extraction of a dataset that is complete."""
    counts = dataset.counts
    numbers = {"queries": counts.kept, "read": counts.read, "left_out": counts.left_out, "malformed": counts.malformed}
    state: Literal["done", "partial"] = "done" if counts.kept else "partial"
    return Outcome(numbers, [loss.text for loss in losses(dataset, settings)], state=state)


def _caching(work: Work) -> Outcome:
    from frontierlab.caching import efficiency, history

    dataset = work.dataset()
    frame = efficiency(dataset, work.settings, progress=work.progress)
    work.require_ours()
    stored = history.store(frame, dataset, work.settings)
    problems = frame["problem"].fillna("").ne("")
    remarks, lacking = list(frame.attrs["notes"]), int(problems.sum())
    if lacking:
        remarks.append(
            f"{lacking:,} of {len(frame):,} folders and tags have no payload figures, the first: "
            f"{frame.loc[problems, 'problem'].iloc[0]}"
        )
    facts = {
        "folders": stored,
        "without_payload_figures": lacking,
        "wasted_bytes": float(frame["wasted_bytes"].sum()),
        "wasted_dbtime": float(frame["wasted_dbtime"].sum()),
        "repeated_dbtime": float(frame["repeated_dbtime"].sum()),
    }
    return Outcome(facts, remarks, state="partial" if frame.attrs["unavailable"] else "done")


def _report(work: Work) -> Outcome:
    from frontierlab.reports.report import report

    work.require_ours()
    path = report(work.dataset(), settings=work.settings, progress=work.progress)
    return Outcome({"file": str(path.relative_to(work.settings.data_dir))})


def _checks(work: Work) -> Outcome:
    from frontierlab.checks import run

    names, remarks = _week(work)
    found = run(names, work.begin, work.end, every="1h", settings=work.settings)
    return _found(found.frame, [*_not_looked(found.not_looked), *remarks, *found.notes])


def _diagnosis(work: Work) -> Outcome:
    from frontierlab.diagnosis import diagnose, history

    diagnosis = diagnose(work.dataset(), settings=work.settings, progress=work.progress)
    work.require_ours()
    history.store(diagnosis, work.settings)
    frame = diagnosis.incidents.assign(severity="incident", what=diagnosis.incidents["sentence"])
    return _found(frame.drop(columns="sentence"), list(diagnosis.notes))


def _found(frame: pd.DataFrame, remarks: list[str]) -> Outcome:
    """Return the outcome of a step that gives a frame of findings, the worst first, with ``severity`` and ``what``."""
    kept = frame.head(_MOST_FINDINGS)
    records = json.loads(kept.to_json(orient="records", date_format="iso"))
    plain = [{name: value for name, value in record.items() if value is not None} for record in records]
    if len(frame) > len(kept):
        remarks = [*remarks, f"There are {len(frame):,} findings; the first {len(kept):,} are kept."]
    return Outcome({"found": len(frame)}, remarks, plain)


def _not_looked(frame: pd.DataFrame) -> list[str]:
    """Return a sentence for each check that could not look at some time."""
    told = []
    for name, rows in frame.groupby("check", sort=False):
        others = f" (and {len(rows) - 1} more times, for the same or another reason)" * (len(rows) > 1)
        told.append(f"{name} could not look: {rows['why'].iloc[0]}{others}")
    return told


def _week(work: Work) -> tuple[list[str], list[str]]:
    """Return the names of the day's dataset and of those of the week before; and why others of these are left out.

    Datasets that are missing, incomplete or thinned are left out: the checks say what they could not look at.
    """
    names, remarks = [work.dataset().name], []
    for age in range(1, 8):
        earlier = named(NightRecord(day=work.record.day - timedelta(days=age), dataset=""), work.settings)
        dataset = existing(earlier, work.settings)
        if dataset is None or dataset.is_thinned:
            continue
        if why := _unlike_a_night(dataset, earlier.day):
            remarks.append(f"Not compared with {dataset.name}: {why}")
        else:
            names.insert(0, dataset.name)
    return names, remarks


def _unlike_a_night(dataset: Dataset, day: date) -> str:
    """Return why a dataset would keep the checks of another day from looking; empty if it is that of a whole day.

    A user can give a dataset the name of a night, and files of a dataset can be lost.
    """
    try:
        dataset.files()
    except DatasetError as error:
        return str(error)
    if (extracted := Selection.of_request(dataset.manifest.request)) != Selection():
        return f"it has only queries with {extracted.in_words()}."
    span, begin = span_of(dataset), to_milliseconds(datetime.combine(day, time(), UTC))
    if span is None or (begin <= span.start and span.stop <= begin + _DAY_MS):
        return ""
    return f"it has another time, {span.in_words()}."


STEPS: dict[str, Step] = {
    "catalogue": Step(_catalogue, "night"),
    "extraction": Step(_extraction, "day"),
    "checks": Step(_checks),
    "diagnosis": Step(_diagnosis),
    "report": Step(_report),
    "caching": Step(_caching),
}
"""The steps by name, in their order: what is wanted first in the morning, or must be there for others, comes first."""
