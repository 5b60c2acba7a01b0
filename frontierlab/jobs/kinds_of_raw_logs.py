"""The kinds of jobs that read raw logs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frontierlab.jobs.arguments import checked_names
from frontierlab.jobs.context import JobContext
from frontierlab.jobs.kind import JobOutcome, Kind, result_of
from frontierlab.jobs.kinds_on_datasets import warnings_of
from frontierlab.jobs.records import JobRecord
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset, dataset_path
from frontierlab.storage.store import as_period, open_dataset

if TYPE_CHECKING:
    from frontierlab.rawlogs.squid import SquidLogs

__all__ = ["ReadServletLogs", "ReadSquidLogs"]


class _ReadsFiles(Kind):
    """A kind whose function has the parameter `paths`: log files, folders of them or patterns."""

    def arguments(self, settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
        """Check that there are logs; paths are recorded as absolute ones, and a pattern as it is."""
        from frontierlab.rawlogs.log_files import find_logs

        checked_names(self.name, self.function(), given)
        if given["paths"] is not None:
            paths = given["paths"]
            several = [paths] if isinstance(paths, (str, os.PathLike)) else [*paths]
            given = {**given, "paths": [str(Path(path).expanduser().absolute()) for path in several]}
            find_logs(given["paths"])  # raises if there are none
        return super().arguments(settings, given)


class ReadServletLogs(_ReadsFiles):
    """Runs `frontierlab.rawlogs.read_servlet_logs`; the result is the dataset."""

    name = "servlet_logs"

    def function(self) -> Callable[..., Any]:
        """Return `frontierlab.rawlogs.read_servlet_logs`."""
        from frontierlab.rawlogs import read_servlet_logs

        return read_servlet_logs

    def arguments(self, settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
        """Check the name of the dataset and the paths."""
        plain = super().arguments(settings, given)
        dataset_path(plain["name"], settings.data_dir)
        return plain

    def run(self, record: JobRecord, settings: Settings, context: JobContext) -> JobOutcome:
        """Read the logs; what the dataset lacks and what else there is to know of it becomes a warning."""
        dataset: Dataset = self.call(record, settings, context)
        told = [*dataset.manifest.notes, *warnings_of(as_period(dataset), settings)]
        return JobOutcome({"dataset": dataset.name}, [*dict.fromkeys(told)])

    def result(self, record: JobRecord, settings: Settings) -> Dataset:
        """Open the dataset."""
        return open_dataset(result_of(record)["dataset"], settings)


class ReadSquidLogs(_ReadsFiles):
    """Runs `frontierlab.rawlogs.read_squid_logs`; the result is the Squid logs."""

    name = "squid_logs"

    def function(self) -> Callable[..., Any]:
        """Return `frontierlab.rawlogs.read_squid_logs`."""
        from frontierlab.rawlogs import read_squid_logs

        return read_squid_logs

    def arguments(self, settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
        """Check the name of the Squid logs and the paths."""
        from frontierlab.rawlogs.squid.stored import squid_logs_path

        plain = super().arguments(settings, given)
        squid_logs_path(plain["name"], settings.data_dir)
        return plain

    def run(self, record: JobRecord, settings: Settings, context: JobContext) -> JobOutcome:
        """Read the logs; each note about them becomes a warning."""
        logs: SquidLogs = self.call(record, settings, context)
        return JobOutcome({"squid_logs": logs.manifest.name}, [*logs.manifest.notes])

    def result(self, record: JobRecord, settings: Settings) -> SquidLogs:
        """Open the Squid logs."""
        from frontierlab.rawlogs.squid import open_squid_logs

        return open_squid_logs(result_of(record)["squid_logs"], settings)
