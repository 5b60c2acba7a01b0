"""The request of an extraction, checked before anything is done."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from frontierlab._version import __version__
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.schema import COLUMNS, DOCUMENT_FIELDS, EXTRA_TYPES, IOV_COLUMNS, Column, extra_columns
from frontierlab.selection import Selection, as_selection
from frontierlab.settings import Settings
from frontierlab.storage.manifest import Manifest
from frontierlab.util.times import format_time, parse_time, to_milliseconds

__all__ = ["Request", "make_request", "recorded_request"]


class Request(BaseModel):
    """The request of an extraction; the dataset's manifest keeps it.

    Parameters
    ----------
    source
        URL of the Elasticsearch, or path of the export file.
    index
        Names or patterns of the indices, separated by commas; empty for a file.
    since, until
        ISO 8601, UTC: ``[since, until)``. None is no bound.
    until_is_now
        Whether `until` was not given, and is the time of the first call.
    cached, taskid
        Values to filter by; None for all queries.
    selection
        The other conditions on the queries, as `Selection.to_json` writes them. Its period, its ``cached`` and a single
        task are in the fields above, so that equal requests are equal however they were written.
    extra_fields
        Further fields of the documents and the type of each, one of `EXTRA_TYPES`; None takes the
        type from the index.
    limit_queries
        Maximum number of documents.
    db_instances
        COOL database instances whose queries are kept.
    complete
        Whether ids and names are completed from the catalogue.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    index: str = ""
    since: str | None = None
    until: str | None = None
    until_is_now: bool = False
    cached: bool | None = None
    taskid: int | None = None
    selection: dict[str, Any] = {}
    extra_fields: dict[str, str | None] = {}
    limit_queries: int
    db_instances: tuple[str, ...]
    complete: bool = True

    @property
    def start(self) -> int | None:
        """`since` in UTC milliseconds since the epoch."""
        return None if self.since is None else to_milliseconds(parse_time(self.since))

    @property
    def stop(self) -> int | None:
        """`until` in UTC milliseconds since the epoch."""
        return None if self.until is None else to_milliseconds(parse_time(self.until))

    @property
    def conditions(self) -> Selection:
        """The conditions on the queries, other than the period."""
        return Selection.of_request(self.model_dump(include={"cached", "taskid", "selection"}))

    @property
    def extra_columns(self) -> list[Column]:
        """The columns for the extra fields."""
        return extra_columns(self.extra_fields)

    def differences(self, other: Request) -> str:
        """Describe the fields in which another request differs; empty if it is the same request.

        Not differences: two bounds that are each the time of a first call, and a type that the other one leaves open.
        """
        ours, theirs = self.model_dump(), other.model_dump()
        if self.until_is_now and other.until_is_now:
            theirs["until"] = ours["until"]
        theirs["extra_fields"] = {
            name: kind or self.extra_fields.get(name) for name, kind in other.extra_fields.items()
        }
        return "; ".join(
            f"{name} was {ours[name]!r} and is now {theirs[name]!r}" for name in ours if ours[name] != theirs[name]
        )


def make_request(
    settings: Settings,
    *,
    since: str | date | datetime | None = None,
    until: str | date | datetime | None = None,
    cached: bool | None = None,
    taskid: int | None = None,
    selection: Selection | None = None,
    source: str | os.PathLike[str] | None = None,
    extra_fields: Sequence[str] | Mapping[str, str] = (),
    complete: bool = True,
) -> Request:
    """Check the arguments of `frontierlab.extract` and make a request of them.

    Raises
    ------
    InvalidRequestError
        An argument is not valid, or contradicts the selection.
    ConfigurationError
        `source` is None, and ``es_address`` or ``es_index`` is not set.
    """
    given: dict[str, Any] = {"since": since, "until": until, "cached": cached, "taskid": taskid}
    others: dict[str, Any] = {}
    if selection is not None:
        given, others = _combined(selection, given, settings.db_instances)
    since, until, cached, taskid = given.values()
    until_is_now = until is None and source is None  # a file has an end; an index keeps growing
    start = None if since is None else parse_time(since)
    stop = parse_time(datetime.now(UTC)) if until_is_now else None if until is None else parse_time(until)
    if start is not None and stop is not None and stop <= start:
        raise InvalidRequestError(
            f"until ({format_time(stop)}) is not after since ({format_time(start)}). The period is [since, until), in "
            "UTC: give a later until or an earlier since."
        )
    if cached is not None and not isinstance(cached, (bool, np.bool_)):
        raise InvalidRequestError(f"cached={cached!r} is not valid. Valid: True, False, or None for both.")
    if taskid is not None:
        is_number = isinstance(taskid, (int, np.integer)) and not isinstance(taskid, bool)
        if not is_number or not 0 <= taskid < 2**63:
            raise InvalidRequestError(
                f"taskid={taskid!r} is not valid. Valid: an integer from 0 to 2^63-1, or None for all tasks."
            )
    return Request(
        source=settings.es_url if source is None else str(Path(source).expanduser().absolute()),
        index=settings.es_indices if source is None else "",
        since=None if start is None else format_time(start),
        until=None if stop is None else format_time(stop),
        until_is_now=until_is_now,
        cached=None if cached is None else bool(cached),
        taskid=None if taskid is None else int(taskid),
        selection=others,
        extra_fields=_extra_fields(extra_fields),
        limit_queries=settings.limit_queries,
        db_instances=settings.db_instances,
        complete=complete,
    )


def _combined(
    selection: Selection, given: Mapping[str, Any], db_instances: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Combine a selection with the arguments that it has too; return these, and the other conditions as JSON."""
    selection = as_selection(selection)
    tasks = [*(selection.taskid or ())]
    task = tasks[0] if len(tasks) == 1 and tasks[0] is not None and tasks[0] >= 0 else None
    found = {}
    for name, argument in given.items():
        ours = task if name == "taskid" else getattr(selection, name)
        theirs = parse_time(argument) if name in ("since", "until") and argument is not None else argument
        if theirs is not None and getattr(selection, name) is not None and theirs != ours:
            raise InvalidRequestError(
                f"{name} is given twice, as {argument!r} and in the selection ({selection!r}). Give it once."
            )
        found[name] = argument if ours is None else ours
    if unknown := [one for one in selection.db or () if one is not None and one not in db_instances]:
        raise InvalidRequestError(
            f"db {', '.join(unknown)} is not in db_instances, and its queries are never kept. Valid: "
            f"{', '.join(db_instances)}."
        )
    others = selection.but(since=None, until=None, cached=None, taskid=None if task is not None else selection.taskid)
    others.but(cached=found["cached"])  # raises if it contradicts the kind
    return found, {name: _in_order(value) for name, value in json.loads(others.to_json()).items()}


def _in_order(value: Any) -> Any:
    return sorted(value, key=lambda one: (one is None, one)) if isinstance(value, list) else value


def _extra_fields(extra_fields: Sequence[str] | Mapping[str, str]) -> dict[str, str | None]:
    if isinstance(extra_fields, str):
        raise InvalidRequestError(
            f"extra_fields={extra_fields!r} is one text. Give a list of names, such as [{extra_fields!r}]."
        )
    kinds: dict[str, Any] = dict(extra_fields) if isinstance(extra_fields, Mapping) else dict.fromkeys(extra_fields)
    # Spark ignores case in the names of columns
    taken = {
        name.casefold(): name
        for name in (*(column.name for column in COLUMNS), *IOV_COLUMNS.values(), *DOCUMENT_FIELDS)
    }
    asked: dict[str, str] = {}
    for name, kind in kinds.items():
        if not isinstance(name, str) or not name:
            raise InvalidRequestError(f"extra_fields: {name!r} is not a name. Give the names of fields as text.")
        if "." in name:
            raise InvalidRequestError(
                f"extra_fields: {name} is a field of an object within the document. Only fields of the document itself "
                f"can be read; {name.split('.')[0]!r} as 'json' gives the whole object."
            )
        folded = name.casefold()
        if taken.get(folded) == name:
            raise InvalidRequestError(f"extra_fields: {name} is always read, as a column of the logs. Leave it out.")
        if folded in taken:
            raise InvalidRequestError(
                f"extra_fields: {name} and {taken[folded]}, which is always there, differ in case alone, and Spark "
                f"cannot tell them apart. Leave {name} out."
            )
        if folded in asked:
            raise InvalidRequestError(
                f"extra_fields: {asked[folded]} and {name} differ in case alone, and Spark cannot tell them apart. "
                "Take one of them, and the other into a dataset of its own."
            )
        asked[folded] = name
        if kind is not None and kind not in EXTRA_TYPES:
            raise InvalidRequestError(
                f"extra_fields: {name} cannot be read as {kind!r}. Valid: {', '.join(EXTRA_TYPES)}."
            )
    return kinds


def recorded_request(manifest: Manifest) -> Request:
    """Return the request in the manifest of a dataset.

    Raises
    ------
    DatasetError
        A later version of frontierlab made the request, with fields that this version does not know.
    """
    if unknown := ", ".join(manifest.request.keys() - Request.model_fields.keys()):
        raise DatasetError(
            f"frontierlab {manifest.frontierlab} began the dataset {manifest.name} with a request for {unknown}, which "
            f"frontierlab {__version__} does not know. Install the later version to resume the extraction."
        )
    return Request(**manifest.request)
