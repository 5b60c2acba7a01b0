"""The kinds of jobs: their arguments, work and results. Each is a thin layer over a function of the package.

Those that ask something of datasets are in `frontierlab.jobs.kinds_on_datasets`, those that read raw logs in
`frontierlab.jobs.kinds_of_raw_logs`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from frontierlab.catalogue import Catalogue
from frontierlab.coolr import Failure
from frontierlab.coolr import refresh as catalogues
from frontierlab.coolr.refresh import Refreshed
from frontierlab.errors import InvalidRequestError
from frontierlab.exports.export_file import ExportFile
from frontierlab.extraction.extract import extract
from frontierlab.extraction.options import ExtractionOptions
from frontierlab.extraction.request import Request, make_request
from frontierlab.extraction.run import extract_request
from frontierlab.jobs.context import JobContext
from frontierlab.jobs.kind import JobOutcome, Kind, result_of
from frontierlab.jobs.kinds_of_raw_logs import ReadServletLogs, ReadSquidLogs
from frontierlab.jobs.kinds_on_datasets import Caching, Diagnosing, Report, warnings_of
from frontierlab.jobs.notebooks import check_notebook, run_notebook
from frontierlab.jobs.records import JobRecord
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset, dataset_path
from frontierlab.storage.store import as_period, open_dataset
from frontierlab.util.times import parse_time

__all__ = ["KINDS", "kind_of"]


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
        return JobOutcome({"dataset": dataset.name}, warnings_of(as_period(dataset), settings))

    def result(self, record: JobRecord, settings: Settings) -> Dataset:
        """Open the dataset."""
        return open_dataset(result_of(record)["dataset"], settings)


class CatalogueRefresh(Kind):
    """Runs `frontierlab.catalogues.refresh`; the result is its return value."""

    name = "catalogue"

    def function(self) -> Callable[..., Any]:
        """Return `frontierlab.catalogues.refresh`."""
        return catalogues.refresh

    def run(self, record: JobRecord, settings: Settings, context: JobContext) -> JobOutcome:
        """Refresh the catalogue; each gap in COOLR's answers becomes a warning."""
        refreshed: Refreshed = self.call(record, settings, context)
        failures = [failure._asdict() for failure in refreshed.failures]
        warnings = [" ".join([*filter(None, failure[:4]), failure.error]) for failure in refreshed.failures]
        return JobOutcome({"when": refreshed.when.isoformat(), "failures": failures}, warnings)

    def result(self, record: JobRecord, settings: Settings) -> Refreshed:
        """Read the current catalogue."""
        found = result_of(record)
        failures = tuple(Failure(**failure) for failure in found["failures"])
        return Refreshed(Catalogue.read(settings.catalogue_path), datetime.fromisoformat(found["when"]), failures)


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
        return settings.data_dir / "jobs" / str(result_of(record)["file"])


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


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        *(Extraction(), CatalogueRefresh(), Caching(), Report(), Notebook(), Night(), Diagnosing()),
        *(ReadServletLogs(), ReadSquidLogs()),
    )
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
