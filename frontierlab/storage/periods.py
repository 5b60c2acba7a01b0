"""A period: several datasets, such as the days of a month, that are read as one."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.manifest import Counts, Outcome
from frontierlab.storage.overlaps import Covered, Overlaps, gaps_between, portions_of
from frontierlab.storage.spans import Span, merged, minus, span_of
from frontierlab.util.times import from_milliseconds, in_words, parse_time, to_milliseconds

__all__ = ["Period", "several", "unified"]

Time: TypeAlias = str | date | datetime | None

_NAMED = 3  # datasets that a sentence names
_TOLD = 5  # overlaps or gaps that are told one by one
_LONGEST = 150  # letters of the names of datasets in the name of a file
_EVER = Span(-(2**62), 2**62)


class Period:
    """Several datasets that are read as one.

    `frontierlab.datasets.period` makes a period of names. Its rows are those of the datasets, with the columns of all
    of them; a column that a dataset lacks is null. No query counts twice: where two datasets cover the same time, only
    one of them counts.

    Parameters
    ----------
    datasets
        The datasets, in any order. Those that cover no time between `since` and `until` are left out.
    since, until
        Only queries whose time is in ``[since, until)`` count; UTC if there is no zone. By default all.
    overlaps
        What to do where two datasets cover the same time. None, the default, takes such time from the dataset that
        has all queries of the other: it is from the same source, and was extracted without a restriction (``cached``,
        ``taskid``, ``selection``) that the other lacks. Of two equal ones this is the complete one, or else the one
        that begins earlier, or else the newer one. Datasets of different queries, such as two tasks, both count.
        Otherwise it is an error. ``"cut"`` takes the time from one dataset in any case. ``"keep"`` counts both: the
        caller knows that no query is in both.

    Attributes
    ----------
    window : tuple of datetime or None
        `since` and `until` as given, in UTC.
    overlaps : str or None
        As given.
    portions : tuple of Portion
        The datasets, and the spans of time that count of each.
    gaps : tuple of Span
        The times between `since` and `until` (by default between the datasets) that no dataset covers, in UTC
        milliseconds since the epoch.
    notes : list of str
        Sentences about overlaps, gaps, and datasets that were extracted for other queries than the others. Times in
        them are UTC.

    Raises
    ------
    InvalidRequestError
        There is no dataset, `until` is not after `since`, or `overlaps` is not valid.
    DatasetError
        No dataset covers any of the time; or two datasets cover the same time, and it is not known whether they hold
        the same queries.
    """

    def __init__(
        self, datasets: Iterable[Dataset], *, since: Time = None, until: Time = None, overlaps: Overlaps = None
    ) -> None:
        self.window = tuple(None if time is None else parse_time(time) for time in (since, until))
        self.overlaps = overlaps
        given = [Covered(one, span_of(one)) for one in {one.path: one for one in datasets}.values()]
        first, last = (None if time is None else to_milliseconds(time) for time in self.window)
        _check(given, first, last, overlaps)
        window = Span(_EVER.start if first is None else first, _EVER.stop if last is None else last)
        inside = [one for one in given if one.span is None or one.span.common(window)]
        if not inside:
            raise DatasetError(_nothing_inside(given, window))
        inside.sort(key=lambda one: (one.span or _EVER, one.dataset.name))
        portions, told = portions_of(inside, window, overlaps)
        spans = [one.span for one in inside if one.span is not None]
        first = min((span.start for span in spans), default=None) if first is None else first
        last = max((span.stop for span in spans), default=None) if last is None else last
        self._span = None if first is None or last is None else Span(first, last)
        self.portions = tuple(portions)
        self._inside, self._wanted = tuple(inside), window
        self.gaps = gaps_between(inside, self._span)
        self.notes = [
            *_first(told, "overlaps"),
            *_first([f"No dataset covers the time {gap.in_words()}." for gap in self.gaps], "gaps"),
            *_mixture(self.datasets),
        ]

    def __repr__(self) -> str:
        words = [f"{self.state}, {'' if self.is_whole else 'up to '}{self.counts.kept:,} rows"]
        words += [] if self._span is None else [self._span.in_words()]
        return f"<Period {self.name}: {' '.join([', '.join(words), *self.notes])}>"

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """The datasets, in order of time."""
        return tuple(portion.dataset for portion in self.portions)

    @property
    def name(self) -> str:
        """The names of the datasets; of more than three, the first and the last one and the number."""
        names = [dataset.name for dataset in self.datasets]
        return ", ".join(names) if len(names) <= _NAMED else f"{names[0]} to {names[-1]} ({len(names)} datasets)"

    @property
    def file_stem(self) -> str:
        """The first part of the names of files about the datasets: their names, and for a period its start and end."""
        if len(self.portions) == 1 and self.is_whole:
            return self.name
        ends = [f"{end:%Y-%m-%dT%H%M}" for end in (self.since, self.until) if end is not None]
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.name)[:_LONGEST].strip("-")
        return "-".join([name, *ends])

    @property
    def identity(self) -> str:
        """A text that changes when a dataset is replaced, or when other rows count; compare it for equality."""
        if len(self.portions) == 1 and self.is_whole:
            return self.datasets[0].identity
        known = [[one.dataset.name, one.dataset.identity, one.spans] for one in self.portions]
        return f"{len(known)} datasets, {hashlib.blake2b(repr(known).encode(), digest_size=10).hexdigest()}"

    @property
    def since(self) -> datetime | None:
        """The start of the period: as requested, or that of the time that the datasets cover."""
        return None if self._span is None else from_milliseconds(self._span.start)

    @property
    def until(self) -> datetime | None:
        """The end of the period, which is not part of it: as requested, or that of the time that the datasets cover."""
        return None if self._span is None else from_milliseconds(self._span.stop)

    @property
    def state(self) -> str:
        """``complete`` if all datasets are; otherwise ``incomplete``."""
        return "complete" if all(one.state == "complete" for one in self.datasets) else "incomplete"

    @property
    def is_whole(self) -> bool:
        """Whether all rows of all datasets count."""
        return all(portion.spans is None for portion in self.portions)

    @property
    def counts(self) -> Counts:
        """Numbers of documents of all datasets together, including rows that do not count here (`is_whole`)."""
        return self.outcome().counts

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the rows: the columns of all datasets.

        Raises
        ------
        DatasetError
            Two datasets have columns that differ in type, or in name by case alone.
        """
        return unified([(one.name, one.schema) for one in self.datasets])

    def outcome(self) -> Outcome:
        """Return the counts of all datasets together, including rows that do not count here (`is_whole`).

        Times of the first and the last row are within the period.
        """
        total = Outcome.total([one.outcome() for one in self.datasets])
        if self._span is not None and total.since is not None and total.until is not None:
            total.since, total.until = max(total.since, self._span.start), min(total.until, self._span.stop - 1)
        return total

    def missing(self, window: Span) -> tuple[Span, ...]:
        """Return the times of a window that the datasets do not cover, or that are outside of `since` and `until`.

        As in `gaps`, less than five minutes without queries are no gap beside a bound that was not requested.
        """
        if all(one.span is None for one in self._inside):
            return (window,)
        outside = minus((window,), self._wanted)
        return tuple(merged([*gaps_between(self._inside, window), *outside]))

    def files(self) -> list[Path]:
        """Return the Parquet files of all datasets; not all rows in them count (`portions`)."""
        return [file for one in self.datasets for file in one.files()]

    def require_complete(self) -> None:
        """Raise DatasetError, with the names, if some datasets are not complete."""
        missing = [one.name for one in self.datasets if one.state != "complete"]
        if len(self.portions) == 1:
            self.datasets[0].require_complete()
        elif missing:
            raise DatasetError(
                f"{several(missing)} {'is' if len(missing) == 1 else 'are'} incomplete: figures of the period would be "
                "too small. The same extract(…) calls read the missing parts. Or leave these datasets out."
            )

    def require_unchanged(self) -> None:
        """Raise DatasetError if a dataset was deleted, renamed or replaced since it was opened."""
        for one in self.datasets:
            one.require_unchanged()


def several(names: Sequence[str]) -> str:
    """Return names of datasets for a sentence, such as ``The datasets a, b, c and 2 more``."""
    more = f" and {len(names) - _NAMED} more" * (len(names) > _NAMED)
    return f"The dataset{'s' * (len(names) > 1)} {', '.join(names[:_NAMED])}{more}"


def unified(schemas: Iterable[tuple[str, pa.Schema]]) -> pa.Schema:
    """Return the columns of several schemas, each given with the name of its dataset.

    Raises
    ------
    DatasetError
        Two columns differ in type, or in name by case alone: SQL does not tell the case of names apart.
    """
    known: dict[str, tuple[pa.Field, str]] = {}
    for dataset, schema in schemas:
        for field in schema:
            other, where = known.setdefault(field.name.casefold(), (field, dataset))
            if other.name != field.name:
                raise DatasetError(
                    f"The columns {other.name} (of {where}) and {field.name} (of {dataset}) differ in case alone, and "
                    "SQL cannot tell them apart. Extract one of them again without this extra field, or read the "
                    "dataset with its to_pandas()."
                )
            if other.type != field.type:
                raise DatasetError(
                    f"The column {field.name} is {other.type} in {where} and {field.type} in {dataset}. Extract one of "
                    "them again with the other's type of this extra field."
                )
    return pa.schema([field for field, _ in known.values()])


def _check(given: Sequence[Covered], first: int | None, last: int | None, overlaps: Any) -> None:
    if not given:
        raise InvalidRequestError("A period needs at least one dataset.")
    if first is not None and last is not None and last <= first:
        raise InvalidRequestError(f"until ({in_words(last)}) must be later than since ({in_words(first)}).")
    if overlaps not in (None, "cut", "keep"):
        raise InvalidRequestError(f'overlaps={overlaps!r} is not valid. Valid: None, "cut", "keep".')


def _nothing_inside(given: Sequence[Covered], window: Span) -> str:
    bounds = [f"from {in_words(window.start)}"] if window.start != _EVER.start else []
    bounds += [f"to {in_words(window.stop)}"] if window.stop != _EVER.stop else []
    spans = [one.span for one in given if one.span is not None]
    there = Span(min(spans).start, max(span.stop for span in spans)).in_words() if spans else "no time"
    return f"{several([one.dataset.name for one in given])} cover no time {' '.join(bounds)}. Covered: {there}."


def _first(sentences: Sequence[str], what: str) -> list[str]:
    rest = len(sentences) - _TOLD
    return [*sentences[:_TOLD], *([f"There are {rest:,} more {what}."] if rest > 0 else [])]


def _mixture(datasets: Sequence[Dataset]) -> list[str]:
    """Return sentences about restrictions that not all datasets have."""
    notes = []
    for name in ("cached", "taskid", "selection", "db_instances"):
        having: Mapping[str, list[str]] = defaultdict(list)
        for one in datasets:
            value = one.manifest.request.get(name)
            having["all" if value in (None, {}) else _value(value)].append(one.name)
        if len(having) > 1:
            told = "; ".join(f"{value} in {several(names)[4:]}" for value, names in having.items())
            notes.append(f"Not all datasets were extracted with the same {name}: {told}.")
    return notes


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_value(one)}" for name, one in value.items())
    return " or ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
