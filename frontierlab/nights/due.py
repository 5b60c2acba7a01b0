"""Which days a night works on, and what is done already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta

from frontierlab.errors import DatasetError
from frontierlab.nights.records import NightRecord, NightStore, StepRecord
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset, dataset_path
from frontierlab.storage.listing import dataset_names
from frontierlab.storage.store import open_dataset

__all__ = ["days_due", "existing", "first_day", "identity_of", "in_order", "is_settled", "named"]

_NAME, _FORMER_NAME = "nightly-%Y-%m-%d", "day-%Y-%m-%d"  # of a day's dataset; the former is that of version 0.2.0


def first_day(settings: Settings, store: NightStore) -> date | None:
    """Return the first day that has a record or a dataset; None if there is none yet."""
    return min([*store.days(), *_days(dataset_names(settings.data_dir))], default=None)


def _days(names: Iterable[str]) -> list[date]:
    found = []
    for name in names:
        for form in (_NAME, _FORMER_NAME):
            with suppress(ValueError):  # a dataset with another kind of name
                found.append(datetime.strptime(name, form).date())
    return found


def days_due(today: date, settings: Settings, store: NightStore) -> list[date]:
    """Return the days to work on: yesterday, which is wanted in the morning, then earlier ones, the oldest first.

    The oldest of the earlier days is the first that the index forgets. Days before the first one that was ever
    extracted are not made up for.
    """
    yesterday = today - timedelta(days=1)
    first = first_day(settings, store) or yesterday
    back = (today - timedelta(days=age) for age in range(settings.periodic_catch_up_days, 1, -1))
    return [yesterday, *(day for day in back if day >= first)]


def named(record: NightRecord, settings: Settings) -> NightRecord:
    """Return a record with the name of its day's dataset; a day that version 0.2.0 began keeps its name."""
    name, former = record.day.strftime(_NAME), record.day.strftime(_FORMER_NAME)
    new, old = (dataset_path(one, settings.data_dir).exists() for one in (name, former))
    return record.model_copy(update={"dataset": former if old and not new else name})


def existing(record: NightRecord, settings: Settings) -> Dataset | None:
    """Return the dataset of a day if it is complete; None otherwise."""
    try:
        dataset = open_dataset(record.dataset, settings)
    except DatasetError:
        return None
    return dataset if dataset.state == "complete" else None


def identity_of(dataset: Dataset) -> str:
    """Return a text that says which dataset a step's result is of; another dataset of the same name has another one."""
    return " ".join(dataset.manifest.fencing_token)


def is_settled(step: StepRecord, dataset: Dataset) -> bool:
    """Return whether a step is done for this dataset."""
    return step.state == "done" and step.dataset == identity_of(dataset)


def in_order(names: Sequence[str], record: NightRecord) -> list[str]:
    """Return steps in their order; those at which a process ended come last, so that they cost the others nothing."""
    return sorted(names, key=lambda name: name != "extraction" and record.step(name).state == "running")
