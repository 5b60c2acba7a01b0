"""A kind of job: the base of all kinds, and the outcome that each returns."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from frontierlab.errors import JobError
from frontierlab.jobs.arguments import as_json, checked_names
from frontierlab.jobs.context import JobContext
from frontierlab.jobs.records import JobRecord
from frontierlab.selection import Selection
from frontierlab.settings import Settings

__all__ = ["JobOutcome", "Kind", "result_of"]


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

    def call(self, record: JobRecord, settings: Settings, context: JobContext) -> Any:
        """Call the function with the job's arguments, and with the parameters that the job provides."""
        function = self.function()
        ours = {"settings": settings, "progress": context.report, "cancelled": context.cancelled}
        parameters = inspect.signature(function).parameters
        provided = {name: value for name, value in ours.items() if name in parameters}
        return function(**self.recorded(record, settings), **provided)

    def recorded(self, record: JobRecord, settings: Settings) -> dict[str, Any]:
        """Return the arguments of the function that a job's record holds."""
        arguments = {name: value for name, value in record.arguments.items() if name not in self.more}
        if arguments.get("selection") is not None:
            arguments["selection"] = Selection.from_json(arguments["selection"])
        return arguments


def result_of(record: JobRecord) -> dict[str, Any]:
    """Return the data from which a job's result is read.

    Raises
    ------
    JobError
        The job has no result.
    """
    if record.result is None:
        raise JobError(f"The job {record.id} has no result: it is {record.state}.")
    return record.result
