"""One look at an index: its searches, and the overview that they give."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from frontierlab.catalogue import Catalogue
from frontierlab.elastic.client import Index
from frontierlab.elastic.errors import PointInTimeLost
from frontierlab.errors import InvalidRequestError
from frontierlab.extraction.narrowing import fields_of
from frontierlab.extraction.request import Request
from frontierlab.filters.bins import TimeBins
from frontierlab.overviews.conditions import FOLDER, certain, completed, may_name, names_of, of_combinations
from frontierlab.overviews.counting import Counted, Looker, Values
from frontierlab.overviews.parts import FIELDS, Group, Part, frozen, parts_of, searched
from frontierlab.overviews.remarks import Remarks
from frontierlab.overviews.result import Overview
from frontierlab.overviews.tables import kinds_frame, table, time_frame, total_of, without
from frontierlab.selection import Selection
from frontierlab.util.progress import ProgressCallback, ProgressMeter
from frontierlab.util.times import from_milliseconds

__all__ = ["Look", "Steps"]

_WIDTHS = (60, 300, 900, 3_600, 21_600, 86_400, 604_800)  # seconds of a bin
_BINS = 300  # about as many as a figure can show
_VALUES = {"tasks": "taskid", "servers": "frontierserver", "sites": "computingsite", "squids": "squid"}
_STEPS = 4 + len(_VALUES)  # searches of a part, at least
_TRIES = 2  # how often a look begins, if the server forgets its point in time


class Steps:
    """Reports the searches that were made.

    Parameters
    ----------
    report
        Called with the progress; ends the look by raising.
    """

    def __init__(self, report: ProgressCallback) -> None:
        self._report = report
        self._meter = ProgressMeter("overview", None)
        self._message = ""

    def plan(self, parts: int) -> None:
        """Begin with the searches of some parts."""
        self._meter = ProgressMeter("overview", parts * _STEPS)

    def done(self, message: str) -> None:
        """Count a search."""
        self._meter.add(1)
        self._message = message
        self.tell()

    def again(self, message: str) -> None:
        """Report a search that was not planned."""
        self._message = message
        self.tell()

    def tell(self) -> None:
        """Report the progress."""
        self._report(self._meter.progress(self._message))


@dataclass
class Look:
    """One look at an index.

    Parameters
    ----------
    index, request
        What is looked at.
    catalogue
        Names folders that documents name by id; None if there is none.
    steps
        Where searches are reported.
    bin_seconds, top
        As for `frontierlab.overview`.
    remarks
        The sentences of the overview.
    """

    index: Index
    request: Request
    catalogue: Catalogue | None
    steps: Steps
    bin_seconds: float | None
    top: int
    remarks: Remarks = field(default_factory=Remarks)

    def overview(self) -> Overview:
        """Look, again from the start if the server lost its point in time, and describe what was seen."""
        began = time.monotonic()
        groups = self._groups()
        start, stop = self._period()
        width = self._width(stop if start is None else start, stop)
        filled = [group for group in groups if group.documents and start is not None]
        parts = [part for group in filled for part in parts_of(group, start or 0, stop, width)]
        found = self._counted(filled, parts, width, start, stop)
        self.remarks.of_fields(groups)
        if not found["documents"]:
            self.remarks.of_nothing(self.index, selected=self.request.conditions != Selection())
        return Overview(
            **found,
            index=self.index.name,
            source=self.index.url,
            since=None if start is None else from_milliseconds(start),
            until=from_milliseconds(stop),
            selection=self.request.conditions,
            bin_seconds=width / 1000,
            top=self.top,
            limit_queries=self.request.limit_queries,
            notes=tuple(self.remarks.notes),
            warnings=tuple(self.remarks.warnings),
            seconds=time.monotonic() - began,
        )

    def _groups(self) -> list[Group]:
        """Return the groups of indices, with the numbers of their documents in the period."""
        chosen = self.request.conditions
        wanted = dict.fromkeys((*FIELDS, *fields_of(chosen, complete=True)))
        groups = [Group(shape, names) for shape, names in searched(self.index, [*wanted])]
        for group in groups:
            group.conditions = certain(chosen, group.shape)
            query = Part(group, self.request.start, self.request.stop).query()
            group.documents, group.shards = self.index.count_and_shards(query, group.names)
        return groups

    def _period(self) -> tuple[int | None, int]:
        """Return the period in UTC milliseconds; it has no start if none was given and there is no document."""
        start, stop = self.request.start, self.request.stop
        assert stop is not None, "the request for an index ends at a time"
        if start is None:
            # a time before 1970 is malformed
            start = self.index.ends({"range": {"@timestamp": {"gte": 0, "lt": stop, "format": "epoch_millis"}}})[0]
        return start, stop

    def _width(self, start: int, stop: int) -> int:
        """Return the width of a bin in milliseconds.

        Raises
        ------
        InvalidRequestError
            The period has too many bins of the requested width.
        """
        if self.bin_seconds is not None:
            bins = TimeBins(self.bin_seconds)
            if stop > start:
                bins.check(Selection(since=from_milliseconds(start), until=from_milliseconds(stop)))
            return bins.width
        return next((1000 * width for width in _WIDTHS if (stop - start) <= 1000 * width * _BINS), 1000 * _WIDTHS[-1])

    def _counted(
        self, groups: list[Group], parts: list[Part], width: int, start: int | None, stop: int
    ) -> dict[str, Any]:
        """Make all searches in one point in time; return the frames and numbers of the `Overview`."""
        for attempt in range(1, _TRIES + 1):
            self.steps.plan(len(parts))
            remarks = Remarks()
            looker = Looker(self.index, parts, self.steps.done)
            try:
                with frozen(self.index, groups):
                    self._narrow(groups, parts, remarks)
                    looker.look_at_databases(self.request.db_instances)
                    bins = looker.over_time(width)
                    frames = self._tables(looker, remarks)
                break
            except PointInTimeLost:
                if attempt == _TRIES:
                    raise
        begin = None if start is None else from_milliseconds(start)
        window = self.request.conditions.but(since=begin, until=from_milliseconds(stop))
        frames |= {"over_time": time_frame(bins, width, window), "kinds": kinds_frame(bins)}
        for name, frame in frames.items():
            frame.attrs = {"overview": name, "selection": window.in_words()}
        frames["over_time"].attrs["bin_seconds"] = width / 1000
        remarks.of_documents(self.index, looker, self.request.limit_queries)
        self.remarks.notes += remarks.notes
        self.remarks.warnings += remarks.warnings
        queries = sum(counts["queries"] for counts in bins.values())
        found = looker.databases
        return {**frames, "queries": queries, "documents": found.documents, "left_out": found.left_out(queries)}

    def _narrow(self, groups: list[Group], parts: list[Part], remarks: Remarks) -> None:
        """Find the documents of the selected folders and tags."""
        chosen = self.request.conditions
        columns, seen = names_of(chosen), list[Counted]()
        for group in groups if columns else ():
            group.folders = ()
            looker = Looker(self.index, [part for part in parts if part.group is group], self.steps.again)
            looker.look_at_databases(self.request.db_instances)
            found = looker.combinations_in(group, columns, may_name(chosen, group.shape))
            if not found.whole:
                raise InvalidRequestError(
                    "There are too many names of folders and tags in the documents to select some. Leave nodefullpath "
                    "and tagname out, or extract the period and filter its rows."
                )
            group.folders = [of_combinations(chosen, group.shape, [*found.counts], self.catalogue)]
            seen.append(found)
        if self.catalogue is None:
            remarks.of_unselected(seen)

    def _tables(self, looker: Looker, remarks: Remarks) -> dict[str, Any]:
        """Return the frames of the largest groups."""
        folders = self._folders(looker, remarks)
        schemas = without(folders, 2) if folders.whole else looker.combinations(FOLDER[:2])
        databases = without(schemas, 1) if schemas.whole else looker.combinations(FOLDER[:1])
        total = total_of(databases)
        frames = {
            "databases": table(databases, ["db"], self.top, total),
            "schemas": table(schemas, ["db", "schema"], self.top, total),
            "folders": table(folders, ["db", "schema", "nodefullpath"], self.top, total),
        }
        for name, field_name in _VALUES.items():
            values = looker.values(field_name, self.top)
            named = looker.names_of_tasks(_largest(values, self.top)) if name == "tasks" else None
            frames[name] = table(values, [field_name], self.top, total, named)
            remarks.of_choice(name, values)
        return frames

    def _folders(self, looker: Looker, remarks: Remarks) -> Counted:
        """Count the folders, by their paths; a folder with an id only gets the path of the catalogue."""
        by_id = looker.combinations(FOLDER)
        keys = list(by_id.counts)
        found, unnamed = Counted(whole=by_id.whole), 0
        for row, key in zip(completed(keys, self.catalogue), keys, strict=True):
            found.add((row["db"], row["schema"], row["nodefullpath"]), by_id.counts[key])
            unnamed += by_id.counts[key][0] if row["nodefullpath"] is None and key[3] is not None else 0
        remarks.of_folders(found, unnamed, catalogued=self.catalogue is not None)
        return found


def _largest(values: Values, top: int) -> list[int]:
    named = [key for key in values.counts if key[0] is not None]
    return [key[0] for key in sorted(named, key=lambda key: (-values.counts[key][0], key[0]))[:top]]
