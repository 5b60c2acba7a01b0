"""What checks find, and what they could not look at."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from frontierlab.storage.spans import Span
from frontierlab.util.times import from_milliseconds, in_words

__all__ = ["COLUMNS", "Finding", "Findings", "NotLooked", "SCOPE", "SEVERITIES", "findings_frame", "not_looked_frame"]

SEVERITIES = ("error", "warning")
"""How bad a finding is, the worst first: jobs fail or may fail; or something costs more than it should."""

SCOPE = ("frontierserver", "taskid", "db", "schema", "nodefullpath")
"""The columns that say where a finding is."""

COLUMNS = ("severity", "check", "what", *SCOPE, "since", "until", "value", "threshold", "unit", "call")
"""The columns of findings."""

_INSTANT = "datetime64[ms, UTC]"


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Parameters
    ----------
    check, severity, what
        The check, one of `SEVERITIES`, and a sentence.
    where
        The values of the columns of `SCOPE` that it concerns.
    span
        The time, in UTC milliseconds.
    value, threshold, unit
        How many or how much, what is allowed, and the unit of both.
    call
        The call that shows it, as Python code.
    """

    check: str
    severity: str
    what: str
    where: Mapping[str, Any]
    span: Span
    value: float
    threshold: float
    unit: str
    call: str


@dataclass(frozen=True)
class NotLooked:
    """Time that a check could not look at.

    Parameters
    ----------
    check
        The check.
    span
        The time, in UTC milliseconds.
    why
        Why, as part of a sentence.
    """

    check: str
    span: Span
    why: str


@dataclass(frozen=True, repr=False, eq=False)
class Findings:
    """The result of `frontierlab.checks.run`.

    Attributes
    ----------
    frame : pandas.DataFrame
        A row is a finding: errors first, in order of the checks and of time. No rows if nothing was found.

        severity, check, what : string; ``error`` or ``warning``, the check's name, and a sentence
        frontierserver, taskid, db, schema, nodefullpath : string (taskid: Int64); where it is, null if that is not
            part of the finding
        since, until : datetime (UTC), ``[since, until)``
        value, threshold : Float64; how many or how much, and what is allowed in this time
        unit : string, of both
        call : string; the call that shows it, as Python code. ``settings`` is the settings, and ``logs`` what was
            checked, if it was not given by its name
    not_looked : pandas.DataFrame
        A row is a time that a check could not look at: ``check``, ``why``, ``since``, ``until``. What is here may hold
        faults; that nothing was found there says nothing.
    notes
        Sentences on the data, such as gaps between datasets.
    checks
        The names of the checks that were run.
    source
        What was checked, in words.
    since, until, every
        The time in UTC, and the length of a window in seconds.
    """

    frame: pd.DataFrame
    not_looked: pd.DataFrame
    notes: tuple[str, ...]
    checks: tuple[str, ...]
    source: str
    since: datetime
    until: datetime
    every: float

    def __len__(self) -> int:
        """The number of findings."""
        return len(self.frame)

    def __repr__(self) -> str:
        return f"<Findings: {self._head()}>"

    def __str__(self) -> str:
        lines = [self._head()]
        lines += self.found_in_words()
        lines += [f"could not look: {one}" for one in self.not_looked_in_words()]
        return "\n".join([*lines, *self.notes])

    def _repr_html_(self) -> str:
        """Return the findings for a notebook."""
        head = f"<h3>{html.escape(self._head())}</h3>"
        table = _html_table(self.frame) if len(self.frame) else ""
        unseen = "".join(f"<li>{html.escape(one)}</li>" for one in self.not_looked_in_words())
        unseen = f"<p><b>Could not look:</b></p><ul>{unseen}</ul>" if unseen else ""
        notes = "".join(f"<li>{html.escape(one)}</li>" for one in self.notes)
        return f"<div>{head}{table}{unseen}{f'<ul>{notes}</ul>' if notes else ''}</div>"

    def found_in_words(self) -> list[str]:
        """Return the rows of `frame` as sentences, with their severity and time."""
        return [f"{row['severity']}: {row['what']} ({_time(row)})" for row in self.frame.to_dict("records")]

    def not_looked_in_words(self) -> list[str]:
        """Return the rows of `not_looked` as sentences."""
        return [f"{row['check']}: {row['why']} ({_time(row)})" for row in self.not_looked.to_dict("records")]

    def _head(self) -> str:
        found = f"{len(self)} finding{'s' * (len(self) != 1)}" if len(self) else "nothing found"
        if len(self.not_looked):
            unseen = self.not_looked["check"].nunique()
            found += f", and {unseen} of {len(self.checks)} checks could not look at some or all of the time"
        start = in_words(self.since).removesuffix(" UTC")
        return f"{self.source}, {start} to {in_words(self.until)}: {found}"


def _time(row: Mapping[Any, Any]) -> str:
    start, stop = (row[name].to_pydatetime() for name in ("since", "until"))
    return f"{in_words(start).removesuffix(' UTC')} to {in_words(stop)}"


def _html_table(frame: pd.DataFrame) -> str:
    head = "".join(f"<th style='text-align: left'>{name}</th>" for name in ("", "check", "what", "when", "call"))
    body = ""
    for row in frame.to_dict("records"):
        cells = [row["severity"], row["check"], row["what"], _time(row)]
        texts = "".join(f"<td style='text-align: left'>{html.escape(str(cell))}</td>" for cell in cells)
        body += f"<tr>{texts}<td style='text-align: left'><code>{html.escape(row['call'])}</code></td></tr>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def findings_frame(found: Iterable[Finding], checks: Sequence[str]) -> pd.DataFrame:
    """Return the frame of findings, errors first, then in order of the checks, of time and of size."""

    def order(one: Finding) -> tuple[Any, ...]:
        where = tuple((name in one.where, str(one.where.get(name))) for name in SCOPE)
        return SEVERITIES.index(one.severity), checks.index(one.check), one.span, -one.value, where

    rows = []
    for one in sorted(found, key=order):
        times = {"since": from_milliseconds(one.span.start), "until": from_milliseconds(one.span.stop)}
        plain = {name: getattr(one, name) for name in COLUMNS if name not in (*SCOPE, *times)}
        rows.append(plain | times | {name: one.where.get(name) for name in SCOPE})
    types: dict[str, Any] = dict.fromkeys(COLUMNS, "string") | {"taskid": "Int64"}
    types |= dict.fromkeys(("value", "threshold"), "Float64") | dict.fromkeys(("since", "until"), _INSTANT)
    # column by column: integers beside missing values would become floats
    return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=types[name]) for name in COLUMNS})


def not_looked_frame(unseen: Iterable[NotLooked], checks: Sequence[str]) -> pd.DataFrame:
    """Return the frame of what could not be looked at; adjacent times with one reason have one row."""
    joined: list[NotLooked] = []
    for one in sorted(unseen, key=lambda one: (checks.index(one.check), one.why, one.span)):
        last = joined[-1] if joined else None
        if last is not None and (last.check, last.why) == (one.check, one.why) and one.span.start <= last.span.stop:
            whole = Span(last.span.start, max(last.span.stop, one.span.stop))
            joined[-1] = NotLooked(one.check, whole, one.why)
        else:
            joined.append(one)
    rows = [
        (one.check, one.why, from_milliseconds(one.span.start), from_milliseconds(one.span.stop))
        for one in sorted(joined, key=lambda one: (checks.index(one.check), one.span))
    ]
    frame = pd.DataFrame(rows, columns=["check", "why", "since", "until"])
    return frame.astype({"check": "string", "why": "string", "since": _INSTANT, "until": _INSTANT})
