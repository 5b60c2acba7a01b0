"""Extract logs from Elasticsearch or an export file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import traitlets
from ipywidgets import Widget

from frontierlab import Dataset, connections, extract, jobs, sample
from frontierlab.errors import CatalogueError, DatasetError, InvalidRequestError
from frontierlab.extraction.dry_run import DryRun
from frontierlab.extraction.part_runner import resumption
from frontierlab.overviews.overview import overview
from frontierlab.overviews.result import Overview
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.storage.dataset import dataset_path
from frontierlab.storage.losses import losses
from frontierlab.storage.manifest import Manifest
from frontierlab.storage.parts import read_outcome
from frontierlab.util.times import in_words, parse_time
from frontierlab_widgets import elements
from frontierlab_widgets.code_box import Expression, call
from frontierlab_widgets.dataset_names import is_complete, plain_name, require_free
from frontierlab_widgets.extract_fields import (
    PERIODS,
    STYLE,
    in_columns,
    listed,
    names_in,
    read_task,
    read_time,
    text_field,
    written,
)
from frontierlab_widgets.follow_job import follow
from frontierlab_widgets.formatting import megabytes, no_catalogue, notes, warning_box
from frontierlab_widgets.live_look import LiveLook
from frontierlab_widgets.panel import Panel, row
from frontierlab_widgets.selection_fields import CACHED
from frontierlab_widgets.work import Work

__all__ = ["PERIODS", "ExtractPanel"]

_CHOOSE = "choose …"
_SELECTED = {"db": "database", "schema": "schema", "nodefullpath": "folder"}
_REQUEST = ("since", "until", "cached", "taskid", *_SELECTED, "source")


class ExtractPanel(Panel):
    """Define an extraction, look at its size in a dry run, and extract.

    *Extract* is enabled once a dry run of the same request has counted the documents.

    Parameters
    ----------
    settings
        By default ``Settings()``.

    Attributes
    ----------
    since, until : str
        The period ``[since, until)``, ISO 8601 in UTC; empty for no bound.
    cached : bool or None
        Only cached or only uncached queries; None for both.
    taskid : int or None
        Only queries of this task.
    db, schema, nodefullpath : str
        Only queries of this database, schema and folder (full path), or of several, separated by commas; empty for all.
    name : str
        Name of the dataset.
    source : str
        Path of an export file on the server; empty for Elasticsearch.
    found : DryRun or None
        The result of the dry run; None before it, and after a change of the request.
    dataset : str
        Name of the dataset that was extracted last; empty before.
    live : LiveLook
        What the index holds over time, after *Look at the index*: a range of it becomes the period.
    """

    title = "Extract"

    since = traitlets.Unicode().tag(saved=True)
    until = traitlets.Unicode().tag(saved=True)
    cached = traitlets.Bool(None, allow_none=True).tag(saved=True)
    taskid = traitlets.Int(None, allow_none=True).tag(saved=True)
    db = traitlets.Unicode().tag(saved=True)
    schema = traitlets.Unicode().tag(saved=True)
    nodefullpath = traitlets.Unicode().tag(saved=True)
    name = traitlets.Unicode().tag(saved=True)
    source = traitlets.Unicode().tag(saved=True)
    found = traitlets.Instance(DryRun, allow_none=True)
    dataset = traitlets.Unicode()

    def build(self) -> list[Widget]:
        """Build the fields, the two buttons, and the line with the result of the dry run."""
        self._extracting = ""  # name of the dataset that is or was extracted
        period = elements.Dropdown(
            options=[_CHOOSE, *PERIODS], description="period", style=STYLE, layout=elements.field_layout()
        )
        self._period = period
        since = text_field("since (UTC)", "2026-10-01 or 2026-10-01T12:30")
        until = text_field("until (UTC)", "2026-10-02; empty: now")
        cached = elements.Dropdown(
            options=[*CACHED], description="queries", style=STYLE, layout=elements.field_layout()
        )
        task = text_field("task id", "all")
        name = text_field("name", "of the dataset, such as overlay")
        source = text_field("export file", "server path; empty: Elasticsearch")
        names = {which: name for name, which in CACHED.items()}
        fields = {
            "since": self.bind("since", since, read=read_time),
            "until": self.bind("until", until, read=read_time),
            "cached": self.bind("cached", cached, read=CACHED.__getitem__, show=names.__getitem__),
            "taskid": self.bind("taskid", task, read=read_task, show=lambda value: "" if value is None else str(value)),
            **{trait: self.bind(trait, text_field(word, "all"), read=listed) for trait, word in _SELECTED.items()},
            "name": self.bind("name", name, read=plain_name),
            "source": self.bind("source", source, read=str.strip),
        }
        over = elements.Button(description="Look at the index", tooltip="Show its queries over time; nothing is stored")
        self.live = LiveLook(self, self._brushed, self._unbrush)
        self._looked: dict[str, Any] = {}
        look = elements.Button(description="Look first", tooltip="Count the documents; nothing is stored")
        self._go = elements.Button(description="Extract", button_style="primary", tooltip="Store them as a dataset")
        of_sample = elements.Button(description="The sample", tooltip="Fill in the sample that comes with frontierlab")
        self._told = elements.HTML()
        self.click(look, self.look, always=False, uses=_REQUEST)
        self.click(self._go, self.extract, always=False, uses=[*_REQUEST, "name"], when=self._is_known)
        self.click(of_sample, self.use_sample, always=False)
        self.click(over, self.look_over, always=False, uses=_REQUEST, when=lambda: not self.source)
        self.observe(lambda _: self.allow(), "source")
        self.on(self._follow_look, *_REQUEST, "settings")
        self.on(self.live.draw, "dark")
        period.observe(lambda change: self.guarded(lambda: self._choose(change["new"])), "value")
        self.on(self._forget, *_REQUEST, "settings")
        self.on(self._show_found, "found")
        self.observe(lambda _: self.allow(), ["found", "name"])
        return [
            elements.GridBox([period, *fields.values()], layout=in_columns()),
            row(over, look, self._go, of_sample),
            self._told,
            self.foot,
            self.live,
        ]

    def use_sample(self) -> None:
        """Fill in the embedded sample and its catalogue."""
        self.settings = sample.with_sample(self.settings)
        self.since, self.until, self.cached, self.taskid = "", "", None, None
        self.db, self.schema, self.nodefullpath = "", "", ""
        self.source, self.name = str(sample.path()), self.name or "sample"

    def look_over(self) -> None:
        """Look at what the index holds over time, off the main thread; a range of it can be chosen as the period.

        Raises
        ------
        InvalidRequestError
            A field is invalid, no index is set, an export file is chosen, or the panel is working. Nothing was started.
        """
        self.require_valid(*_REQUEST)
        self.require_idle()
        if self.source:
            raise InvalidRequestError("An export file has no index: click Look first, or empty the field export file.")
        self._require_source()
        given, settings = self._given(), self.require_settings()

        def run(work: Work) -> Overview:
            chosen = given["selection"] or Selection()
            chosen = chosen.but(cached=given["cached"], taskid=given["taskid"])
            return overview(
                settings, since=given["since"], until=given["until"], selection=chosen, progress=work.report
            )

        def show(found: Overview) -> None:
            self._looked = {**given, "settings": settings}
            self.live.show(found)
            self._follow_look()

        self._extracting = ""
        self.begin(run, show, at_rest=self.live.refresh, stage="looking at the index")

    def look(self, then: Callable[[], object] = lambda: None) -> None:
        """Run a dry run, off the main thread.

        Parameters
        ----------
        then
            Called after a successful dry run; not if it failed, was stopped, or the request changed meanwhile.

        Raises
        ------
        InvalidRequestError
            A field is invalid, or the panel is working. Nothing was started.
        """
        self.require_valid(*_REQUEST)
        self.require_idle()
        self._require_source()
        given, settings = self._given(), self.require_settings()
        self._extracting = ""
        self.found = None

        def count(work: Work) -> DryRun:
            try:
                found = extract(settings, dry_run=True, progress=work.report, **given)
            except CatalogueError as error:
                if settings.catalogue_path.exists():
                    raise
                raise InvalidRequestError(no_catalogue(settings.catalogue_path)) from error
            if not settings.catalogue_path.exists():
                _require_coolr(settings)
            return found

        def show(found: DryRun) -> None:
            if given == self._given() and settings == self.settings:  # nothing changed meanwhile
                self.found = found
                then()

        self.begin(count, show, stage="counting")

    def extract(self) -> None:
        """Extract as a job, which other panels and notebooks can follow too.

        Raises
        ------
        InvalidRequestError
            There was no dry run of this request, the name is missing, a field is invalid, or the panel is working.
            Nothing was started.
        """
        self.require_valid(*_REQUEST, "name")
        self.require_idle()
        if self.found is None:
            raise InvalidRequestError("Click Look first before Extract: it counts what would be extracted.")
        if not self.name:
            raise InvalidRequestError("Give the dataset a name.")
        given, settings, name = self._given(), self.require_settings(), self.name
        self._extracting = name
        self._show_found()  # replaces what an earlier dry run said

        def run(work: Work) -> tuple[Dataset, list[str]]:
            require_free(name, settings, "name")
            job = jobs.submit("extraction", settings=settings, name=name, **given)
            dataset: Dataset = follow(job, work)
            told = [loss.text for loss in losses(dataset, settings)]
            return dataset, [*told, *(text for text in job.warnings if text not in told)]

        def then(done: tuple[Dataset, list[str]]) -> None:
            dataset, lost = done
            counts = dataset.counts
            self.message = (
                f"{dataset.name} is complete: {counts.read:,} documents read = {counts.kept:,} kept + "
                f"{counts.left_out:,} left out + {counts.malformed:,} malformed. It takes {megabytes(dataset.size())}."
            )
            self._told.value = warning_box(lost)
            self.dataset = dataset.name

        self.begin(run, then, stage="beginning")

    def stopped_message(self, error: BaseException | None) -> str:
        """Say that stored parts are kept."""
        name, settings = self._extracting, self.settings
        if not name or settings is None or not (path := dataset_path(name, settings.data_dir)).is_dir():
            return super().stopped_message(error)
        if is_complete(name, settings):
            return f"The dataset {name} was complete before the stop."
        return f"Stopped. The dataset {name} is incomplete: {_going_on(path)} Datasets has it, with Resume and Delete."

    def code(self) -> str:
        """Return the code of the extraction."""
        given = {key: value for key, value in self._given().items() if value is not None}
        return call("dataset = fl.extract", Expression("settings"), name=self.name or "…", **given)

    def _given(self) -> dict[str, Any]:
        names = {trait: names_in(getattr(self, trait)) for trait in _SELECTED if getattr(self, trait)}
        return {
            "since": self.since or None,
            "until": self.until or None,
            "cached": self.cached,
            "taskid": self.taskid,
            "selection": Selection(**names) if names else None,
            "source": self.source or None,
        }

    def _is_known(self) -> bool:
        return self.found is not None and bool(self.name)

    def _require_source(self) -> None:
        """Raise if there is no source to read from."""
        settings = self.require_settings()
        missing = [name for name in ("es_address", "es_index") if not getattr(settings, name)]
        if not self.source and missing:
            raise InvalidRequestError(
                f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not set: fill in and apply that in the "
                "settings panel (Elasticsearch), or give the path of an export file here."
            )

    def _brushed(self, since: datetime, until: datetime) -> None:
        self.since, self.until = written(since), written(until)

    def _unbrush(self) -> None:
        self.since, self.until = self._looked["since"] or "", self._looked["until"] or ""

    def _follow_look(self) -> None:
        """Count the queries of the period in the look, or say that the look is of others."""
        now = {**self._given(), "settings": self.settings}
        others = any(now[name] != self._looked.get(name) for name in now if name not in ("since", "until"))
        stale = "These are other queries than the fields choose now: click Look at the index again." if others else ""
        self.live.follow(self.since, self.until, stale)

    def _choose(self, period: str) -> None:
        if period == _CHOOSE:
            return
        since, until = PERIODS[period](datetime.now(UTC).replace(second=0, microsecond=0))
        self.since, self.until = ("" if moment is None else written(moment) for moment in (since, until))
        self._period.value = period  # the change of the times has cleared the period

    def _forget(self) -> None:
        self.found = None
        self._period.value = _CHOOSE

    def _show_found(self) -> None:
        found = self.found
        if found is None:
            self._told.value = ""
            return
        asked = found.request
        period = " ".join(
            f"{word} {in_words(parse_time(moment))}" if moment else f"{word} the {which}"
            for word, moment, which in (("from", asked.since, "first document"), ("to", asked.until, "last"))
        )
        size = f"{found.parts} part{'s' * (found.parts != 1)}, about {megabytes(found.size)} on the disk"
        chosen = asked.conditions.in_words()
        what = f"{found.documents:,} documents, {period}, in {size}."
        if found.documents == 0:
            what = f"There are no documents {period} with these filters."
        elif chosen:
            what += f" Kept are queries with {chosen}."
        limit = found.limit
        cut = (
            []
            if limit is None
            else [
                f"limit_queries cuts the {limit['available']:,} documents at {in_words(parse_time(limit['cut_at']))}: "
                "raise it in the settings panel, or choose a shorter period."
            ]
        )
        self._told.value = f'<div role="status"><b>{escape(what)}</b></div>{notes([*found.notes, *cut])}'


def _require_coolr(settings: Settings) -> None:
    """Refuse where there is nothing to build the catalogue from."""
    found = connections.check("COOLR", settings)
    if found.state != "connected":
        raise InvalidRequestError(f"There is no catalogue yet, and it cannot be built: {found.reason}")


def _going_on(path: Path) -> str:
    """Say how much of a dataset is stored, and what Extract does with that."""
    try:
        plan = Manifest.read(path).plan
    except DatasetError as error:
        return str(error)
    found = {part.number: read_outcome(path, part.number) for part in plan}
    return resumption(
        "Extract with the same fields", plan, {number: one for number, one in found.items() if one is not None}
    )
