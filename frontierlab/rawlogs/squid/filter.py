"""Put questions to Squid logs: one DuckDB statement each, in the engine room of the other filters."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from typing import Any, Protocol, cast

import pandas as pd

from frontierlab.engines import duck
from frontierlab.engines.builtin import as_duckdb
from frontierlab.engines.instance import Limits
from frontierlab.engines.own_statements import ANSWERED, Answered
from frontierlab.engines.tables import Rows, Table
from frontierlab.errors import InvalidRequestError
from frontierlab.filters.question import Question, Statement
from frontierlab.rawlogs.squid.columns import SQUID_SCHEMA
from frontierlab.rawlogs.squid.stored import SquidLogs, SquidSource, as_squid_logs
from frontierlab.selection import Selection

__all__ = ["SELECTED_BY", "SquidFilter", "as_squid_filter", "ask_squids", "chosen", "left_out_note", "notes_of"]

SELECTED_BY = (
    "since",
    "until",
    "db",
    "schema",
    "nodefullpath",
    "tagname",
    "taskid",
    "computingsite",
    "squid",
)
"""The fields of a `frontierlab.Selection` that Squid logs have; the others are Frontier's own."""


_WORDS = {"denied": "denied or redirected", "not_understood": "not understood", "tunnels": "tunnels"}


class SquidFilter(Protocol):
    """A filter of Squid logs: a call returns the result, and ``sql`` returns the statement."""

    __name__: str

    def __call__(self, logs: SquidSource, selection: Selection | None = None, **keywords: Any) -> pd.DataFrame:
        """Run the filter on Squid logs."""
        ...

    def sql(self, selection: Selection | None = None, **keywords: Any) -> Statement:
        """Return the statement that the call would run, after the same checks."""
        ...


def ask_squids(
    logs: list[SquidLogs], statement: str, args: Mapping[str, Any] | None = None, *, description: str
) -> pd.DataFrame:
    """Run one of frontierlab's own statements over Squid logs, the table ``{logs}``, with `frontierlab.engines.duck`.

    ``attrs["answered"]`` of the frame is `frontierlab.engines.own_statements.Answered`.
    """
    began = time.monotonic()
    settings = logs[0].settings
    limits = Limits(settings.duckdb_memory_mb, settings.duckdb_threads, settings.spill_dir)
    table = Table(tuple(Rows(tuple(one.files()), SQUID_SCHEMA) for one in logs), {})
    frame = duck.run_own({"logs": table}, as_duckdb(statement), args, description=description, limits=limits)
    frame.attrs[ANSWERED] = Answered(**{"engine": "duckdb", "from": "queries", "seconds": time.monotonic() - began})
    return frame


def chosen(selection: Selection | None, keywords: Mapping[str, Any]) -> Selection:
    """Return the selection of a call, with its keywords.

    Raises
    ------
    InvalidRequestError
        It is no selection, or it selects by a field that Squid logs have not.
    """
    if selection is not None and not isinstance(selection, Selection):
        raise InvalidRequestError(f"selection={selection!r}: give a frontierlab.Selection, or the keywords alone.")
    found = (selection or Selection()).but(**keywords)
    given = [one.name for one in fields(found) if getattr(found, one.name) is not None and one.name not in SELECTED_BY]
    if given:
        raise InvalidRequestError(
            f"Squid logs cannot be selected by {', '.join(given)}: only Frontier's own logs say that. Valid: "
            f"{', '.join(SELECTED_BY)}."
        )
    return found


def as_squid_filter(build: Callable[..., Question]) -> SquidFilter:
    """Make a filter of Squid logs from the function that builds its question.

    Its call takes Squid logs or their name, a selection, the keywords of `build`, and those of `SELECTED_BY`.
    """
    name = build.__name__
    own = list(inspect.signature(build).parameters.values())
    mine = {parameter.name for parameter in own}

    def read(selection: Selection | None, keywords: Mapping[str, Any]) -> tuple[Question, Selection]:
        unknown = [one for one in keywords if one not in mine and one not in SELECTED_BY]
        if unknown:
            valid = ", ".join([*(parameter.name for parameter in own), *SELECTED_BY])
            raise TypeError(f"{name}() has no keyword {', '.join(unknown)}. It has: {valid}.")
        found = chosen(selection, {key: value for key, value in keywords.items() if key in SELECTED_BY})
        question = build(**{key: value for key, value in keywords.items() if key in mine})
        if question.bins is not None:
            question.bins.check(found)
        return question, found

    @wraps(build)
    def run(logs: SquidSource, selection: Selection | None = None, **keywords: Any) -> pd.DataFrame:
        question, found = read(selection, keywords)
        opened = as_squid_logs(logs)
        statement = question.statement(name, found)
        raw = ask_squids(opened, statement.text, statement.args, description=name)
        frame = question.answer([raw], found)
        frame.attrs = {"filter": name, "selection": found.in_words(), ANSWERED: raw.attrs[ANSWERED]}
        frame.attrs.update(question.facts)
        frame.attrs["notes"] = notes_of(opened)
        if "without_task" in frame:
            none, all_ = int(frame["without_task"].sum()), int(frame["requests"].sum())
            frame.attrs["without_task"] = {"requests": none, "percent": 100 * none / all_ if all_ else None}
            frame.attrs["notes"] += left_out_note({name: int(frame[name].sum()) for name in _WORDS})
        return frame

    def sql(selection: Selection | None = None, **keywords: Any) -> Statement:
        question, found = read(selection, keywords)
        return question.statement(name, found)

    def keyword(of: str) -> inspect.Parameter:
        return inspect.Parameter(of, inspect.Parameter.KEYWORD_ONLY, default=None)

    first = inspect.signature(run, follow_wrapped=False).parameters
    shown = [first["logs"], first["selection"], *own, *(keyword(one) for one in SELECTED_BY)]
    run.__signature__ = inspect.Signature(shown, return_annotation="pd.DataFrame")  # type: ignore[attr-defined]
    run.sql = sql  # type: ignore[attr-defined]
    return cast("SquidFilter", run)


def left_out_note(counts: Mapping[str, int]) -> list[str]:
    """Return a sentence about answers that are no requests to the cache, by the columns of hit ratios; none without."""
    told = ", ".join(f"{words} {counts[name]:,}" for name, words in _WORDS.items() if counts[name])
    if not told:
        return []
    return [
        f"{sum(counts.values()):,} answers are no requests to the cache, and are not among the requests: {told}. "
        "results_of_squids has them by result tag."
    ]


def notes_of(logs: list[SquidLogs]) -> list[str]:
    """Return what readers of a figure of these logs should know."""
    several = len(logs) > 1
    return [f"{one.name}: {note}" if several else note for one in logs for note in one.notes]
