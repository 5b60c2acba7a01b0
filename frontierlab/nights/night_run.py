"""Do the night: the steps of the day before, and what is missing of the days before it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TypeVar

from frontierlab.errors import DatasetError, FrontierlabError, InvalidRequestError, NightError
from frontierlab.extraction.run import Share
from frontierlab.nights.due import days_due, existing, identity_of, in_order, is_settled, named
from frontierlab.nights.records import NightRecord, NightStore, StepRecord
from frontierlab.nights.steps import MAKER, STEPS, Outcome, Work, extracted
from frontierlab.nights.thinning import thin_old
from frontierlab.settings import Settings
from frontierlab.settings.redaction import redact, secrets_of
from frontierlab.storage.dataset import Dataset
from frontierlab.util.files import reason
from frontierlab.util.progress import Progress, ProgressCallback
from frontierlab.util.times import parse_time

__all__ = ["Night", "run"]

_log = logging.getLogger(__name__)

_MOST = 2  # how often a night begins a step whose process ends

_Result = TypeVar("_Result")


@dataclass
class Night:
    """What `run` did.

    Attributes
    ----------
    date : datetime.date
        The day of the night, UTC.
    records : list of NightRecord
        The days that it looked at: yesterday, then earlier ones, the oldest first.
    thinned : list of str
        The datasets whose rows it removed.
    problems : list of str
        What went wrong beside the steps, such as a record or the page that could not be written.
    page : str
        The path of the page of all nights; empty if it was not written.
    """

    date: date
    records: list[NightRecord] = field(default_factory=list)
    thinned: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    page: str = ""

    def missing(self) -> list[str]:
        """Return a sentence for each step that has no full result, with its day and the reason; and the problems."""
        told = [f"{record.day}, {text}" for record in self.records for text in record.missing()]
        return [*told, *self.problems]

    @property
    def findings(self) -> int:
        """The number of findings of checks and of incidents, of what was looked at on this date."""
        steps = [step for record in self.records for step in record.steps.values()]
        return sum(step.facts.get("found", 0) for step in steps if step.night == str(self.date))


def run(
    settings: Settings | None = None,
    *,
    now: datetime | None = None,
    source: str | os.PathLike[str] | None = None,
    progress: bool | ProgressCallback = True,
    cancelled: threading.Event | None = None,
    share: Share | None = None,
    take_over: bool = False,
) -> Night:
    """Do the night that is due: what the setting ``periodic`` names, for the day before and for days that were missed.

    The steps are ``catalogue`` (refresh it), ``extraction`` (the day, UTC, as the dataset ``nightly-2026-10-01``, for
    example), ``checks``, ``diagnosis`` (`frontierlab.diagnose`), ``report`` and ``caching`` (the figures, also stored
    in the history). A step that fails leaves the results of the others and is told in the night's record; the next
    night tries it again, up to ``periodic_catch_up_days`` back, starting with the first day that was ever extracted. Of
    what is done nothing is done again, so the call can be repeated at any time. Yesterday comes first, then the oldest
    day.

    The caching figures are ``partial``, and are computed again by the next night, if COOLR did not answer. So is an
    extraction that gave no query: the index may get them later. A dataset that was deleted after it was made is not
    extracted again. Rows of datasets that are older than ``periodic_keep_days`` are removed
    (`frontierlab.storage.thinning`), if the night made the dataset under this name and all wanted steps are done. Days
    are counted back from the last one with queries, so that a wrong date of a night removes no more.

    Parameters
    ----------
    settings
        By default ``Settings()``.
    now
        The time of the night, UTC if it has no zone; by default the current time. The day before it in UTC is
        extracted.
    source
        Read an export file instead of Elasticsearch. In its name ``%Y``, ``%m`` and ``%d`` are the day, as in
        ``dump-%Y-%m-%d.ndjson.zst``.
    progress
        As for `frontierlab.extract`.
    cancelled
        Once set, an error that stops a step also stops the night.
    share
        Called with a dataset and its parts when an extraction begins, so that other workers can help.
    take_over
        Go on although another process holds the lock of the nights, because that process is known to be lost. It can
        change nothing afterwards.

    Returns
    -------
    Night
        What was done, and what is missing.

    Raises
    ------
    InvalidRequestError
        ``periodic`` names no step.
    NightError
        Another process does nights, or the folder ``nights`` cannot be written. Nothing was done. Or another process
        took the nights over; what was done until then stays.
    """
    settings = settings or Settings()
    if not settings.periodic:
        raise InvalidRequestError(
            f"The setting periodic names no step of the night. Valid: {', '.join(STEPS)}, with spaces between them."
        )
    today = parse_time(now or datetime.now(UTC)).date()
    return _Run(settings, today, cancelled or threading.Event(), Work(settings, _NOBODY, progress, source, share)).run(
        take_over
    )


_NOBODY = NightRecord(day=date(1970, 1, 1), dataset="")


class _Run:
    """One call of `run`."""

    def __init__(self, settings: Settings, today: date, cancelled: threading.Event, work: Work) -> None:
        self.settings = settings
        self.today = today
        self.cancelled = cancelled
        self.store = NightStore(settings.data_dir)
        self.work = replace(work, require_ours=self._require_ours)
        self.night = Night(today)
        self._unwritten: dict[date, NightRecord] = {}

    def run(self, take_over: bool) -> Night:
        with self.store.running(take_over=take_over):
            self._quietly("old nights cannot be thinned", self._thin)
            self.night.records = [self._record(day) for day in days_due(self.today, self.settings, self.store)]
            for record in sorted(self.night.records, key=_had_a_crash):
                self._do(record)
                self._quietly("the page of the nights cannot be written", self._write_page)
            self._write_again()
        return self.night

    def _record(self, day: date) -> NightRecord:
        try:
            found = self.store.read(day)
        except NightError as error:  # its dataset says what is done; the other steps are done again
            self.night.problems.append(str(error))
            found = None
        return named(found or NightRecord(day=day, dataset=""), self.settings)

    def _thin(self) -> None:
        """Make room before anything is extracted."""
        self.night.thinned = thin_old(self.today, self.settings, self.store)

    def _write_page(self) -> None:
        from frontierlab.nights.page import write_nights_page

        with self.store.owned():
            self.night.page = str(write_nights_page(self.settings))

    def _do(self, record: NightRecord) -> None:
        """Do the steps of a day that are not done."""
        if record.thinned is not None:
            return
        before = record.model_copy(deep=True)
        record.wanted = self._wanted(record)
        for name in self._of(record, "night"):
            self._do_once(name, record)
        why = self._extract(record)
        dataset = existing(record, self.settings)
        for name in in_order(self._of(record, "dataset"), record):
            if dataset is None:
                self._wait(record, name, why)
            elif not is_settled(record.step(name), dataset):
                self._step(name, record, identity_of(dataset))
        if record != before:
            self._write(record)

    def _do_once(self, name: str, record: NightRecord) -> None:
        """Do a step of the whole night; what it gives for yesterday is good for earlier days that lack it."""
        step, latest = record.step(name), self.night.records[0]
        if record is latest:
            if step.state != "done" or step.night != str(self.today):
                self._step(name, record)
        elif step.state != "done" and latest.step(name).state == "done":
            lacked = " ".join([step.error, *step.remarks]).strip() or "its process ended"
            made_up = latest.step(name).model_copy(update={"remarks": [f"Done by a later night, because {lacked}"]})
            record.steps[name] = made_up
            self._write(record)

    def _wanted(self, record: NightRecord) -> list[str]:
        """Return the steps of a day, in order; those of the whole night belong to the day before it."""
        yesterday = (self.today - record.day).days == 1
        mine = [name for name in STEPS if name in self.settings.periodic]
        return [name for name in mine if STEPS[name].of != "night" or yesterday or name in record.steps]

    def _of(self, record: NightRecord, what: str) -> list[str]:
        return [name for name in record.wanted if STEPS[name].of == what]

    def _extract(self, record: NightRecord) -> str:
        """Extract the day if it is not there; return why the steps that follow have no dataset."""
        step, dataset = record.step("extraction"), existing(record, self.settings)
        if "extraction" not in record.wanted:
            return f"there is no complete dataset {record.dataset}, and the setting periodic does not name extraction."
        if dataset is not None and not self._try_again(step, dataset):
            if not is_settled(step, dataset):  # a user extracted it, or the night's process ended at the last moment
                self._end(record, "extraction", extracted(dataset, self.settings), identity_of(dataset))
            return ""
        if dataset is None and step.state == "done":
            return f"the dataset {record.dataset} was deleted or renamed after it had been extracted."
        self._step("extraction", record)
        dataset = existing(record, self.settings)
        if dataset is not None:
            record.steps["extraction"].dataset = identity_of(dataset)
        return f"there is no complete dataset {record.dataset}, see extraction."

    def _try_again(self, step: StepRecord, dataset: Dataset) -> bool:
        """Delete a dataset for which an earlier night found no query: the index may have got them since."""
        if dataset.counts.kept or dataset.manifest.maker != MAKER or step.night in ("", str(self.today)):
            return False
        self._require_ours()
        try:
            dataset.delete()
        except DatasetError as error:  # in use: it is what it was, and the next night tries again
            _log.warning("%s", error)
            return False
        return True

    def _step(self, name: str, record: NightRecord, dataset: str = "") -> None:
        """Do one step; whatever happens is in its record, and the caller goes on with the next one."""
        before, tonight = record.step(name), str(self.today)
        begun = before.begun if before.state == "running" and before.night == tonight else 0
        if begun >= _MOST:
            text = f"its process ended {begun} times while it was at this step. The log of the worker may say why."
            record.steps[name] = StepRecord(state="failed", night=tonight, since=before.since, error=text)
            self._write(record)
            return
        record.steps[name] = before.model_copy(
            update={"state": "running", "night": tonight, "begun": begun + 1, "since": datetime.now(UTC), "until": None}
        )
        self._write(record)
        work = replace(self.work, record=record, progress=self._told(f"{record.day}: {name}"))
        try:
            outcome = STEPS[name].run(work)
        except Exception as error:
            if self.cancelled.is_set():
                raise
            self._require_ours()
            if not isinstance(error, FrontierlabError):
                _log.exception("The step %s of the night of %s failed.", name, record.day)
            self._fail(record, name, _in_words(error, self.settings))
        else:
            self._end(record, name, outcome, dataset)

    def _end(self, record: NightRecord, name: str, outcome: Outcome, dataset: str) -> None:
        step = record.step(name)
        record.steps[name] = StepRecord(
            state=outcome.state,
            night=str(self.today),
            since=step.since,
            until=datetime.now(UTC),
            dataset=dataset,
            remarks=[redact(text, secrets_of(self.settings)) for text in outcome.remarks],
            facts=outcome.facts,
            findings=outcome.findings,
        )
        self._write(record)

    def _fail(self, record: NightRecord, name: str, text: str) -> None:
        _log.warning("The night of %s, %s: %s", record.day, name, text)
        step = record.step(name)
        record.steps[name] = step.model_copy(update={"state": "failed", "until": datetime.now(UTC), "error": text})
        self._write(record)

    def _wait(self, record: NightRecord, name: str, why: str) -> None:
        step = record.step(name)
        if step.state != "done":  # a result outlives its dataset
            record.steps[name] = step.model_copy(update={"state": "waiting", "error": why, "begun": 0})

    def _told(self, what: str) -> bool | ProgressCallback:
        progress = self.work.progress
        if not callable(progress):
            return progress

        def tell(done: Progress) -> None:
            progress(done if done.message else replace(done, message=what))

        return tell

    def _write(self, record: NightRecord) -> None:
        """Write a record; on a full disk the night goes on, and the record is written again at its end."""
        try:
            self.store.write(record)
            self._unwritten.pop(record.day, None)
        except OSError as error:
            _log.error("The record of the night of %s cannot be written: %s", record.day, error)
            self._unwritten[record.day] = record

    def _write_again(self) -> None:
        for day, record in [*self._unwritten.items()]:
            self._write(record)
            if day in self._unwritten:
                place = self.store.path(day)
                self.night.problems.append(f"{day}: its record {place} cannot be written. The next night repeats it.")

    def _require_ours(self) -> None:
        with self.store.owned():
            pass

    def _quietly(self, what: str, call: Callable[[], _Result]) -> None:
        """Call what must not cost the night its steps; what fails is told."""
        try:
            call()
        except NightError:
            raise
        except Exception as error:
            if self.cancelled.is_set():
                raise
            _log.exception("The night of %s: %s.", self.today, what)
            text = f"{what}: {_in_words(error, self.settings)}"
            if text not in self.night.problems:
                self.night.problems.append(text)


def _had_a_crash(record: NightRecord) -> bool:
    return any(step.state == "running" for step in record.steps.values())


def _in_words(error: Exception, settings: Settings) -> str:
    """Return an error as text without secrets: the record and the page are for many readers."""
    if isinstance(error, FrontierlabError):
        text = str(error)
    elif isinstance(error, OSError):
        text = reason(error, settings.data_dir)
    else:
        text = f"{type(error).__name__}: {error}"
    return redact(text, secrets_of(settings))
