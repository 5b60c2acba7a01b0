"""The list of nights: what each gave, what it found, and what is missing."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, TypedDict

from frontierlab.errors import DatasetError, NightError
from frontierlab.nights.due import first_day
from frontierlab.nights.records import NightRecord, NightStore
from frontierlab.settings import Settings
from frontierlab.storage.dataset import dataset_path
from frontierlab.storage.store import open_dataset

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "NightRow", "list_nights", "night_rows"]

COLUMNS = ("day", "state", "queries", "findings", "incidents", "missing", "remarks", "dataset", "report", "kept")
"""The columns of the list."""


class NightRow(TypedDict):
    """A night; `list_nights` describes the values."""

    day: date
    state: str
    queries: int | None
    findings: int | None
    incidents: int | None
    missing: list[str]
    remarks: list[str]
    dataset: str
    report: str
    kept: str


def list_nights(settings: Settings | None = None) -> pd.DataFrame:
    """List the nights of the data folder.

    Returns
    -------
    pandas.DataFrame
        A row is a day (UTC) from the first to the last one with a record, the newest first.

        day : datetime (UTC), midnight
        state : ``complete``; ``thinned``, complete and without rows; ``incomplete``, something is missing; ``absent``,
            no night worked on this day; ``damaged``, its record cannot be read
        queries : rows of the dataset, or what it had; null if it was not extracted
        findings, incidents : numbers of findings of the checks, and of incidents of the diagnosis; null if that step
            has no result
        missing : a sentence for each wanted step that has no full result, with the reason, each on a line
        remarks : sentences about what the results lack, each on a line
        dataset : its name
        report : path of its report; empty if there is none
        kept : why its rows are kept although they are older than ``periodic_keep_days``
    """
    import pandas as pd

    rows = night_rows(settings or Settings())
    plain = [{**row, **{name: "\n".join(row[name]) for name in ("missing", "remarks")}} for row in rows]
    frame = pd.DataFrame(plain, columns=[*COLUMNS])
    frame["day"] = pd.to_datetime(frame["day"], utc=True)
    texts = dict.fromkeys(("state", "missing", "remarks", "dataset", "report", "kept"), "string")
    return frame.astype(dict.fromkeys(("queries", "findings", "incidents"), "Int64") | texts)


def night_rows(settings: Settings) -> list[NightRow]:
    """Return the rows of `list_nights`, the newest first."""
    store = NightStore(settings.data_dir)
    days, first = store.days(), first_day(settings, store)
    if not days or first is None:
        return []
    return [_row(days[-1] - timedelta(days=age), settings, store) for age in range((days[-1] - first).days + 1)]


def _row(day: date, settings: Settings, store: NightStore) -> NightRow:
    row = NightRow(
        day=day,
        state="absent",
        queries=None,
        findings=None,
        incidents=None,
        missing=[],
        remarks=[],
        dataset="",
        report="",
        kept="",
    )
    try:
        record = store.read(day)
    except NightError as error:
        return {**row, "state": "damaged", "missing": [str(error)]}
    if record is None:
        return {**row, "missing": ["No night worked on this day."]}
    missing = record.missing()
    page = str(record.step("report").facts.get("file", ""))
    return {
        **row,
        "state": "incomplete" if missing else "thinned" if record.thinned else "complete",
        "queries": record.step("extraction").facts.get("queries", _queries(record, settings)),
        "findings": record.step("checks").facts.get("found"),
        "incidents": record.step("diagnosis").facts.get("found"),
        "missing": missing,
        "remarks": [f"{name}: {text}" for name in record.wanted for text in record.step(name).remarks],
        "dataset": record.dataset,
        "report": page if page and (settings.data_dir / page).is_file() else "",
        "kept": record.kept,
    }


def _queries(record: NightRecord, settings: Settings) -> int | None:
    """Return the rows of a dataset that no night extracted."""
    if not dataset_path(record.dataset, settings.data_dir).is_dir():
        return None
    try:
        return open_dataset(record.dataset, settings).counts.kept
    except DatasetError:
        return None
