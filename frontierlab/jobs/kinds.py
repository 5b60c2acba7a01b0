"""The kinds of jobs: their arguments, work and results. Each is a thin layer over a function of the package."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from frontierlab.caching.folders import wanted_folders
from frontierlab.catalogue import Catalogue
from frontierlab.coolr import Failure
from frontierlab.coolr import refresh as catalogues
from frontierlab.coolr.refresh import Refreshed
from frontierlab.errors import InvalidRequestError, JobError
from frontierlab.exports.export_file import ExportFile
from frontierlab.extraction.extract import extract
from frontierlab.extraction.options import ExtractionOptions
from frontierlab.extraction.request import Request, make_request
from frontierlab.extraction.run import extract_request
from frontierlab.jobs.arguments import as_json, checked_names
from frontierlab.jobs.context import JobContext
from frontierlab.jobs.notebooks import check_notebook, run_notebook
from frontierlab.jobs.records import JobRecord
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset, dataset_path
from frontierlab.storage.losses import losses
from frontierlab.storage.periods import Period
from frontierlab.storage.store import as_period, open_dataset, period
from frontierlab.util.files import replacing
from frontierlab.util.times import parse_time

if TYPE_CHECKING:
    from frontierlab.diagnosis.result import Diagnosis

__all__ = ["JobOutcome", "KINDS", "Kind", "kind_of"]


@dataclass(frozen=True)
class JobOutcome:
    """The outcome of a job: the data from which the result is read again, and warnings for the user."""

    result: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


class Kind:
    """A kind of job.

    Parameters
    ----------
    name
        As `frontierlab.jobs.submit` takes it.
    """

    name: str
    more: tuple[str, ...] = ()
    """Further arguments, beside those of the function."""

    def function(self) -> Callable[..., Any]:
        """Return the function that does the work; its parameters are the job's arguments."""
        raise NotImplementedError

    def arguments(self, settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
        """Check the arguments before the job starts, and return them as JSON.

        Raises
        ------
        FrontierlabError
            As the function raises it.
        """
        checked_names(self.name, self.function(), given, self.more)
        plain = {name: as_json(name, value) for name, value in given.items() if name != "selection"}
        if given.get("selection") is not None:
            selection = given["selection"]
            text = selection.to_json() if isinstance(selection, Selection) else selection
            plain["selection"] = json.loads(Selection.from_json(text).to_json())
        return plain

    def run(self, record: JobRecord, settings: Settings, context: JobContext) -> JobOutcome:
        """Do the work."""
        raise NotImplementedError

    def result(self, record: JobRecord, settings: Settings) -> Any:
        """Return the result of the work."""
        raise NotImplementedError

    def _call(self, record: JobRecord, settings: Settings, context: JobContext) -> Any:
        """Call the function with the job's arguments, and with the parameters that the job provides."""
        function = self.function()
        arguments = {name: value for name, value in record.arguments.items() if name not in self.more}
        if arguments.get("selection") is not None:
            arguments["selection"] = Selection.from_json(arguments["selection"])
        if "dataset" in arguments:
            arguments["dataset"] = _opened(arguments["dataset"], settings)
        ours = {"settings": settings, "progress": context.report, "cancelled": context.cancelled}
        parameters = inspect.signature(function).parameters
        return function(**arguments, **{name: value for name, value in ours.items() if name in parameters})


class Extraction(Kind):
    """Runs `frontierlab.extract`; the result is the dataset."""

    name = "extraction"

    def function(self) -> Callable[..., Any]:
        """Return `frontierlab.extract`."""
        return extract

    def arguments(self, settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
        """Check name, period, filters and the export file, if there is one."""
        if given.get("source") is not None:
            given = {**given, "source": Path(given["source"])}
        plain = super().arguments(settings, given)
        if settings.job_backend == "celery" and settings.es_address is None:
            # the submitter needs no access to the server; the workers have it
            settings = settings.model_copy(update={"es_address": "workers", "es_index": settings.es_index or ("any",)})
        self._request(settings, plain)
        if plain.get("source") is not None:
            ExportFile(Path(plain["source"]))  # raises if the file is not an export
        return plain

    def _request(self, settings: Settings, arguments: dict[str, Any]) -> Request:
        dataset_path(arguments.get("name", ""), settings.data_dir)
        given = {name: value for name, value in arguments.items() if name != "name"}
        if given.get("selection") is not None:
            given["selection"] = Selection.from_json(given["selection"])
        return make_request(settings, **given)

    def run(self, record: JobRecord, settings: Settings, context: JobContext) -> JobOutcome:
        """Extract; an interrupted extraction is continued."""
        request = self._request(settings, record.arguments)
        path = dataset_path(record.arguments["name"], settings.data_dir)
        options = ExtractionOptions.of(settings, request)
        dataset = extract_request(path, request, options, context.report, context.share)
        return JobOutcome({"dataset": dataset.name}, _warnings_of(as_period(dataset), settings))

    def result(self, record: JobRecord, settings: Settings) -> Dataset:
        """Open the dataset."""
        return open_dataset(_result_of(record)["dataset"], settings)


class CatalogueRefresh(Kind):
    """Runs `frontierlab.catalogues.refresh`; the result is its return value."""

    name = "catalogue"

    def function(self) -> Callable[..., Any]:
        """Return `frontierlab.catalogues.refresh`."""
        return catalogues.refresh

    def run(self, record: JobRecord, settings: Settings, context: JobContext) -> JobOutcome:
        """Refresh the catalogue; each gap in COOLR's answers becomes a warning."""
        refreshed: Refreshed = self._call(record, settings, context)
        failures = [failure._asdict() for failure in refreshed.failures]
        warnings = [" ".join([*filter(None, failure[:4]), failure.error]) for failure in refreshed.failures]
        return JobOutcome({"when": refreshed.when.isoformat(), "failures": failures}, warnings)

    def result(self, record: JobRecord, settings: Settings) -> Refreshed:
        """Read the current catalogue."""
        found = _result_of(record)
        failures = tuple(Failure(**failure) for failure in found["failures"])
        return Refreshed(Catalogue.read(settings.catalogue_path), datetime.fromisoformat(found["when"]), failures)


class Caching(Kind):
    """Runs `frontierlab.caching.efficiency`; the result is its frame. With ``store`` it is added to the history too."""

    name = "caching"
    more = ("store",)

    def function(self) -> Callable[..., Any]:
        """Return `frontierlab.caching.efficiency`."""
        from frontierlab.caching import efficiency

        return efficiency

    def arguments(self, settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
        """Check the dataset and the folders."""
        if given.get("folders") is not None:
            given = {**given, "folders": wanted_folders(given["folders"])}
        if not isinstance(given.get("store", False), bool):
            raise InvalidRequestError(f"store={given['store']!r} is not valid: True or False.")
        checked_names(self.name, self.function(), given, self.more)
        return super().arguments(settings, {**given, "dataset": _of_data_folder(given["dataset"], settings)})

    def run(self, record: JobRecord, settings: Settings, context: JobContext) -> JobOutcome:
        """Compute the figures and store them beside the record."""
        frame: pd.DataFrame = self._call(record, settings, context)
        path = context.path(".parquet")
        with replacing(path) as temporary:
            frame.to_parquet(temporary)
        datasets = _opened(record.arguments["dataset"], settings)
        if record.arguments.get("store"):
            from frontierlab.caching import history

            context.confirm_ownership()
            history.store(frame, datasets, settings)
        told = [*frame.attrs.get("notes", []), *_warnings_of(datasets, settings)]
        return JobOutcome({"file": path.name}, [*dict.fromkeys(told)])

    def result(self, record: JobRecord, settings: Settings) -> pd.DataFrame:
        """Read the figures."""
        return _stored_frame(record, settings)


class Report(Kind):
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
            if Path(given["path"]).is_dir():
                raise InvalidRequestError(f"{given['path']} is a folder: give the path of a file in it.")
        checked_names(self.name, self.function(), given, self.more)
        return super().arguments(settings, {**given, "dataset": _of_data_folder(given["dataset"], settings)})

    def run(self, record: JobRecord, settings: Settings, context: JobContext) -> JobOutcome:
        """Write the page; each gap of the dataset becomes a warning."""
        path = self._call(record, settings, context)
        datasets = _opened(record.arguments["dataset"], settings)
        return JobOutcome({"file": str(path)}, _warnings_of(datasets, settings))

    def result(self, record: JobRecord, settings: Settings) -> Path:
        """Return the path of the page."""
        return Path(_result_of(record)["file"])


class Notebook(Kind):
    """Executes a notebook that the settings name; the result is the path of the executed notebook."""

    name = "notebook"

    def function(self) -> Callable[..., Any]:
        """Return the function that runs a notebook."""
        return run_notebook

    def arguments(self, settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
        """Check the notebook's name and the names of its parameters."""
        plain = super().arguments(settings, given)
        check_notebook(settings, plain["notebook"], plain.get("parameters"))
        return plain

    def run(self, record: JobRecord, settings: Settings, context: JobContext) -> JobOutcome:
        """Execute the notebook, and store the executed one beside the record."""
        path = run_notebook(**record.arguments, settings=settings, context=context)
        return JobOutcome({"file": path.name})

    def result(self, record: JobRecord, settings: Settings) -> Path:
        """Return the path of the executed notebook."""
        return settings.data_dir / "jobs" / str(_result_of(record)["file"])


class Night(Kind):
    """Does the night that is due; the result is the list of nights that `frontierlab.nights.list_nights` returns."""

    name = "night"

    def function(self) -> Callable[..., Any]:
        """Return `frontierlab.nights.run`."""
        from frontierlab.nights import run

        return run

    def arguments(self, settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
        """Check the time and the source."""
        plain = super().arguments(settings, given)
        if plain.get("now") is not None:
            parse_time(plain["now"])
        return plain

    def run(self, record: JobRecord, settings: Settings, context: JobContext) -> JobOutcome:
        """Do the night; each thing that is missing becomes a warning. A night that was interrupted is continued."""
        given = dict(record.arguments)
        night = self.function()(
            settings,
            now=None if given.get("now") is None else parse_time(given["now"]),
            source=given.get("source"),
            progress=context.report,
            cancelled=context.cancelled,
            share=context.share,
            take_over=context.attempt > 1,  # this worker got the job because its former runner is lost
        )
        found = [f"Checks and diagnosis found {night.findings:,} things: {night.page}"] if night.findings else []
        return JobOutcome({"page": night.page, "thinned": night.thinned}, [*night.missing(), *found])

    def result(self, record: JobRecord, settings: Settings) -> pd.DataFrame:
        """List the nights."""
        from frontierlab.nights import list_nights

        return list_nights(settings)


class Diagnosing(Kind):
    """Runs `frontierlab.diagnose`; the result is the frame of its incidents."""

    name = "diagnosis"

    def function(self) -> Callable[..., Any]:
        """Return `frontierlab.diagnose`."""
        from frontierlab.diagnosis.diagnose import diagnose

        return diagnose

    def arguments(self, settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
        """Check the dataset."""
        checked_names(self.name, self.function(), given, self.more)
        return super().arguments(settings, {**given, "dataset": _of_data_folder(given["dataset"], settings)})

    def run(self, record: JobRecord, settings: Settings, context: JobContext) -> JobOutcome:
        """Diagnose, and store the incidents beside the record; what limits the diagnosis becomes a warning."""
        found: Diagnosis = self._call(record, settings, context)
        path = context.path(".parquet")
        with replacing(path) as temporary:
            found.incidents.to_parquet(temporary)
        datasets = _opened(record.arguments["dataset"], settings)
        told_of = [*found.notes, *_warnings_of(datasets, settings)]
        return JobOutcome({"file": path.name}, [*dict.fromkeys(told_of)])

    def result(self, record: JobRecord, settings: Settings) -> pd.DataFrame:
        """Read the incidents."""
        return _stored_frame(record, settings)


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (Extraction(), CatalogueRefresh(), Caching(), Report(), Notebook(), Night(), Diagnosing())
}
"""All kinds by name."""


def kind_of(name: str) -> Kind:
    """Return the kind with this name.

    Raises
    ------
    InvalidRequestError
        There is no such kind; the message lists the valid names.
    """
    if name not in KINDS:
        raise InvalidRequestError(f"There are no jobs of kind {name!r}. Valid: {', '.join(KINDS)}.")
    return KINDS[name]


def _result_of(record: JobRecord) -> dict[str, Any]:
    if record.result is None:
        raise JobError(f"The job {record.id} has no result: it is {record.state}.")
    return record.result


def _stored_frame(record: JobRecord, settings: Settings) -> pd.DataFrame:
    """Read the frame that a job stored beside its record."""
    path = settings.data_dir / "jobs" / _result_of(record)["file"]
    if not path.exists():
        raise JobError(f"The result of the job {record.id} is gone: there is no file {path}. Submit it again.")
    return pd.read_parquet(path)


def _warnings_of(period: Period, settings: Settings) -> list[str]:
    """Return warnings about what datasets lack, for users of the datasets or their figures."""
    complete = (one for one in period.datasets if one.state == "complete")
    return [*period.notes, *(loss.text for one in complete for loss in losses(one, settings))]


def _of_data_folder(given: Any, settings: Settings) -> Any:
    """Return what the user gave for a job's datasets, with the names that a pattern has now.

    Raises
    ------
    InvalidRequestError, DatasetError
        The data folder has no such datasets.
    """
    is_list = isinstance(given, (list, tuple)) and all(isinstance(one, (str, Dataset)) for one in given)
    is_record = isinstance(given, dict) and given.keys() == {"names", "since", "until", "overlaps"}
    if not is_list and not is_record and not isinstance(given, (str, Dataset, Period)):
        raise InvalidRequestError(f"dataset={given!r}: give a dataset, the name of one, a list of these, or a period.")
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
