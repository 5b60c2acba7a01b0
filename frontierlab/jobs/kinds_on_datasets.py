"""The kinds of jobs that ask something of datasets: caching figures, reports and diagnoses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from frontierlab.caching.causes import Worth
from frontierlab.caching.folders import wanted_folders
from frontierlab.errors import InvalidRequestError, JobError
from frontierlab.jobs.arguments import checked_names
from frontierlab.jobs.context import JobContext
from frontierlab.jobs.kind import JobOutcome, Kind, result_of
from frontierlab.jobs.records import JobRecord
from frontierlab.pages.target import target_of
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset, dataset_path
from frontierlab.storage.losses import losses
from frontierlab.storage.periods import Period
from frontierlab.storage.store import as_period, period
from frontierlab.util.files import replacing

if TYPE_CHECKING:
    from frontierlab.diagnosis.result import Diagnosis

__all__ = ["Caching", "Diagnosing", "Report", "warnings_of"]


class OnDatasets(Kind):
    """A kind whose function has the parameter `dataset`: datasets of the data folder, or a period of them."""

    def arguments(self, settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
        """Check the datasets; a pattern is recorded as the names that it has now."""
        checked_names(self.name, self.function(), given, self.more)
        return super().arguments(settings, {**given, "dataset": _of_data_folder(given["dataset"], settings)})

    def recorded(self, record: JobRecord, settings: Settings) -> dict[str, Any]:
        """Return the function's arguments, with the datasets opened."""
        return {**super().recorded(record, settings), "dataset": self.datasets(record, settings)}

    def datasets(self, record: JobRecord, settings: Settings) -> Period:
        """Open the datasets of a job."""
        return _opened(record.arguments["dataset"], settings)


class Caching(OnDatasets):
    """Runs `frontierlab.caching.efficiency`; the result is its frame. With ``store`` it is added to the history too."""

    name = "caching"
    more = ("store",)

    def function(self) -> Callable[..., Any]:
        """Return `frontierlab.caching.efficiency`."""
        from frontierlab.caching import efficiency

        return efficiency

    def arguments(self, settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
        """Check the dataset, the folders and thresholds, and whether figures of the selection can be stored."""
        if given.get("folders") is not None:
            given = {**given, "folders": wanted_folders(given["folders"])}
        _check_store(given)
        Worth(*(given.get(name, 0) for name in ("worth_seconds", "worth_bytes")))
        plain = super().arguments(settings, given)
        if plain.get("store"):
            from frontierlab.caching import history

            history.require_storable(Selection.from_json(plain.get("selection") or {}))
        return plain

    def run(self, record: JobRecord, settings: Settings, context: JobContext) -> JobOutcome:
        """Compute the figures and store them beside the record."""
        frame: pd.DataFrame = self.call(record, settings, context)
        path = context.path(".parquet")
        with replacing(path) as temporary:
            frame.to_parquet(temporary)
        datasets = self.datasets(record, settings)
        if record.arguments.get("store"):
            from frontierlab.caching import history

            context.confirm_ownership()
            history.store(frame, datasets, settings)
        told = [*frame.attrs.get("notes", []), *warnings_of(datasets, settings)]
        return JobOutcome({"file": path.name}, [*dict.fromkeys(told)])

    def result(self, record: JobRecord, settings: Settings) -> pd.DataFrame:
        """Read the figures."""
        return _stored_frame(record, settings)


class Report(OnDatasets):
    """Runs `frontierlab.report`; the result is the path of the page."""

    name = "report"

    def function(self) -> Callable[..., Any]:
        """Return `frontierlab.report`."""
        from frontierlab.reports.report import report

        return report

    def arguments(self, settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
        """Check the dataset and the path."""
        if given.get("path") is not None:
            given = {**given, "path": Path(given["path"])}
            target_of(given["path"], "report.html")
        return super().arguments(settings, given)

    def run(self, record: JobRecord, settings: Settings, context: JobContext) -> JobOutcome:
        """Write the page; each gap of the dataset becomes a warning."""
        path = self.call(record, settings, context)
        datasets = self.datasets(record, settings)
        return JobOutcome({"file": str(path)}, warnings_of(datasets, settings))

    def result(self, record: JobRecord, settings: Settings) -> Path:
        """Return the path of the page."""
        return Path(result_of(record)["file"])


class Diagnosing(OnDatasets):
    """Runs `frontierlab.diagnose`; the result is the frame of its incidents. With ``store`` they join the history."""

    name = "diagnosis"
    more = ("store",)

    def function(self) -> Callable[..., Any]:
        """Return `frontierlab.diagnose`."""
        from frontierlab.diagnosis.diagnose import diagnose

        return diagnose

    def arguments(self, settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
        """Check the datasets, and those of the baseline: what words mean is looked up when the job runs."""
        _check_store(given)
        if (baseline := given.get("baseline")) in (None, "previous", "weekdays"):
            return super().arguments(settings, given)
        return super().arguments(settings, {**given, "baseline": _of_data_folder(baseline, settings, "baseline")})

    def recorded(self, record: JobRecord, settings: Settings) -> dict[str, Any]:
        """Return the function's arguments, with the datasets opened."""
        found = super().recorded(record, settings)
        if (baseline := found.get("baseline")) in (None, "previous", "weekdays"):
            return found
        return {**found, "baseline": _opened(baseline, settings)}

    def run(self, record: JobRecord, settings: Settings, context: JobContext) -> JobOutcome:
        """Diagnose, and store the incidents beside the record; what limits the diagnosis becomes a warning."""
        found: Diagnosis = self.call(record, settings, context)
        path = context.path(".parquet")
        with replacing(path) as temporary:
            found.incidents.to_parquet(temporary)
        if record.arguments.get("store"):
            from frontierlab.diagnosis import history

            context.confirm_ownership()
            history.store(found, settings)
        datasets = self.datasets(record, settings)
        told_of = [*found.notes, *warnings_of(datasets, settings)]
        return JobOutcome({"file": path.name}, [*dict.fromkeys(told_of)])

    def result(self, record: JobRecord, settings: Settings) -> pd.DataFrame:
        """Read the incidents."""
        return _stored_frame(record, settings)


def _check_store(given: dict[str, Any]) -> None:
    if not isinstance(given.get("store", False), bool):
        raise InvalidRequestError(f"store={given['store']!r} is not valid: True or False.")


def _stored_frame(record: JobRecord, settings: Settings) -> pd.DataFrame:
    """Read the frame that a job stored beside its record."""
    path = settings.data_dir / "jobs" / result_of(record)["file"]
    if not path.exists():
        raise JobError(f"The result of the job {record.id} is gone: there is no file {path}. Submit it again.")
    return pd.read_parquet(path)


def warnings_of(period: Period, settings: Settings) -> list[str]:
    """Return warnings about what datasets lack, for users of the datasets or their figures."""
    complete = (one for one in period.datasets if one.state == "complete")
    return [*period.notes, *(loss.text for one in complete for loss in losses(one, settings))]


def _of_data_folder(given: Any, settings: Settings, name: str = "dataset") -> Any:
    """Return what the user gave for a job's datasets, with the names that a pattern has now.

    Raises
    ------
    InvalidRequestError, DatasetError
        The data folder has no such datasets.
    """
    is_list = isinstance(given, (list, tuple)) and all(isinstance(one, (str, Dataset)) for one in given)
    is_record = isinstance(given, dict) and given.keys() == {"names", "since", "until", "overlaps"}
    if not is_list and not is_record and not isinstance(given, (str, Dataset, Period)):
        raise InvalidRequestError(f"{name}={given!r}: give a dataset, the name of one, a list of these, or a period.")
    datasets = _opened(given, settings).datasets
    for dataset in datasets:
        if dataset.path != dataset_path(dataset.name, settings.data_dir):
            raise InvalidRequestError(
                f"The dataset {dataset.path} is not in the data folder of the settings ({settings.data_dir}), where "
                "jobs look for it."
            )
    if is_record or isinstance(given, Period):
        return given
    names = [dataset.name for dataset in datasets]
    return names if is_list or len(names) > 1 else names[0]


def _opened(given: Any, settings: Settings) -> Period:
    """Open the datasets of a job's arguments; a period is recorded as `frontierlab.jobs.arguments.as_json` does."""
    if isinstance(given, dict):
        times = given["since"], given["until"]
        return period(given["names"], *times, settings=settings, overlaps=given["overlaps"])
    return as_period(given, settings)
