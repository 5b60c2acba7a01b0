"""Remove the rows of old nights, and keep their summaries, figures, findings and reports."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

from frontierlab.errors import DatasetError, NightError
from frontierlab.nights.due import identity_of
from frontierlab.nights.records import NightRecord, NightStore
from frontierlab.nights.steps import MAKER, STEPS
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.store import open_dataset
from frontierlab.storage.thinning import thin

__all__ = ["thin_old"]

_log = logging.getLogger(__name__)


def thin_old(today: date, settings: Settings, store: NightStore) -> list[str]:
    """Thin the datasets of nights that are older than ``periodic_keep_days``; return their names.

    Nights without queries make nothing older: see `_latest`.

    Only a dataset that a night made, under the name that the night gave it, and whose wanted steps are all done is
    thinned. The records say why others are kept. One that fails does not keep the others from being thinned.

    Raises
    ------
    NightError
        Another process does the nights now.
    """
    if settings.periodic_keep_days is None:
        return []
    latest = _latest(store)
    if latest is None:
        return []
    oldest = min(today, latest + timedelta(days=2)) - timedelta(days=settings.periodic_keep_days)
    thinned = []
    for record in _records(store, oldest):
        dataset, why = _to_thin(record, settings)
        if dataset is not None:
            with store.owned():
                pass
            try:
                thin(dataset)
            except DatasetError as error:
                why = str(error)
            else:
                thinned.append(record.dataset)
                record.thinned = datetime.now(UTC)
        if record.thinned is not None or record.kept != why:
            record.kept = why
            try:
                store.write(record)
            except OSError as error:  # a full disk: the next night writes it, since the dataset says that it is thinned
                _log.warning("The record of the night of %s cannot be written: %s", record.day, error)
    return thinned


def _latest(store: NightStore) -> date | None:
    """Return the last day for which a night found queries; in a row of nights this is the day before yesterday.

    Days are counted back from it, because the date of a night can be wrong: a clock that is a year ahead for a moment
    removes at most what the next night removes.
    """
    for day in reversed(store.days()):
        with suppress(NightError):  # damaged, which the night tells
            record = store.read(day)
            if record is not None and record.step("extraction").facts.get("queries"):
                return day
    return None


def _records(store: NightStore, oldest: date) -> Iterator[NightRecord]:
    """Yield the records of nights before a day that are not thinned."""
    for day in store.days():
        if day >= oldest:
            return
        try:
            record = store.read(day)
        except NightError as error:
            _log.warning("%s", error)
            continue
        if record is not None and record.thinned is None:
            yield record


def _to_thin(record: NightRecord, settings: Settings) -> tuple[Dataset | None, str]:
    """Return the dataset to thin; or None, and why it is kept."""
    try:
        dataset = open_dataset(record.dataset, settings)
    except DatasetError:
        return None, ""  # there are no rows to keep
    if dataset.manifest.maker != MAKER:
        return None, "its dataset was not made by a night"
    lacking = [name for name in record.wanted if STEPS[name].of != "night" and record.step(name).state != "done"]
    if lacking:
        return None, f"not done: {', '.join(lacking)}"
    of = {record.step(name).dataset for name in record.wanted if STEPS[name].of != "night"}
    if of != {identity_of(dataset)}:
        return None, "its figures are of another dataset of this name"
    page = record.step("report").facts.get("file")
    if "report" in record.wanted and (page is None or not (settings.data_dir / page).is_file()):
        return None, "its report is not there any more"
    return dataset, ""
