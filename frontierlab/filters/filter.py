"""A filter: the function that puts a question to logs, with its keywords, its comparison and its statement."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from typing import Any, Protocol, cast

import pandas as pd

from frontierlab.engines.engine_choice import Source, as_logs
from frontierlab.engines.own_statements import ANSWERED, answered, ask
from frontierlab.errors import InvalidRequestError
from frontierlab.filters.compare import Compare, before
from frontierlab.filters.covered import notes_of_window
from frontierlab.filters.extracted import notes_of_extraction
from frontierlab.filters.question import NO_SHIFT, Question, Statement
from frontierlab.selection import Selection

__all__ = ["Filter", "as_filter"]


class Filter(Protocol):
    """A filter: a call with logs returns the result, and ``sql`` returns the statement."""

    __name__: str

    def __call__(
        self, logs: Source, selection: Selection | None = None, *, compare: Compare | None = None, **keywords: Any
    ) -> pd.DataFrame:
        """Run the filter on logs."""
        ...

    def sql(self, selection: Selection | None = None, **keywords: Any) -> Statement:
        """Return the statement that the call would run, after the same checks."""
        ...


def as_filter(build: Callable[..., Question], *, earlier: Mapping[str, str] | None = None) -> Filter:
    """Make a filter from the function that builds its question.

    Parameters
    ----------
    build
        The function, whose keywords are those of the filter.
    earlier
        Earlier names of its keywords, which a call can still use → the names of today.
    """
    renamed = earlier or {}
    name = build.__name__
    own = list(inspect.signature(build).parameters.values())
    mine = {parameter.name for parameter in own}
    where = {f.name for f in fields(Selection)}

    def read(selection: Selection | None, keywords: Mapping[str, Any]) -> tuple[Question, Selection]:
        for old, new in renamed.items():
            if old in keywords and new in keywords:
                raise TypeError(f"{name}() got {new} and {old}, its earlier name: give {new} alone.")
        keywords = {renamed.get(keyword, keyword): value for keyword, value in keywords.items()}
        unknown = [keyword for keyword in keywords if keyword not in where | mine]
        if unknown:
            raise TypeError(
                f"{name}() has no keyword {', '.join(unknown)}. It has: {', '.join(p.name for p in shown)}."
            )
        if selection is not None and not isinstance(selection, Selection):
            raise InvalidRequestError(f"selection={selection!r}: give a frontierlab.Selection, or the keywords alone.")
        changed = (selection or Selection()).but(**{k: v for k, v in keywords.items() if k in where})
        question = build(**{k: v for k, v in keywords.items() if k in mine})
        if question.bins is not None:
            question.bins.check(changed)
        return question, changed

    @wraps(build)
    def run(
        logs: Source, selection: Selection | None = None, *, compare: Compare | None = None, **keywords: Any
    ) -> pd.DataFrame:
        question, chosen = read(selection, keywords)
        opened = as_logs(logs)
        other = None if compare is None else before(opened, chosen, compare)
        windows = [(opened, chosen, NO_SHIFT)]
        if other is not None:
            windows.append((other.logs, other.selection, other.shift))
        raw = []
        for asked, part, shift in windows:
            asked, statement = question.put_to(asked, name, part, shift)
            description = " ".join(filter(None, (name, part.in_words())))
            raw.append(ask({"logs": asked}, statement.text, statement.args, description=description))
        frame = question.answer(raw, chosen)
        frame.attrs = {
            "filter": name,
            "selection": chosen.in_words(),
            ANSWERED: answered(*(one.attrs[ANSWERED] for one in raw)),
        }
        frame.attrs.update(question.facts)
        told = [note for one, *_ in windows for note in one.notes]
        if other is not None:
            told += other.notes
        else:
            told += notes_of_extraction(opened, chosen)
            told += notes_of_window(opened, chosen, asking=frame.empty)
        told += question.notes(raw, chosen)
        if told:
            frame.attrs["notes"] = [*dict.fromkeys(told)]
        if other is not None:
            frame.attrs["before"] = other.in_words()
        return frame

    def sql(selection: Selection | None = None, **keywords: Any) -> Statement:
        question, chosen = read(selection, keywords)
        return question.statement(name, chosen)

    def keyword(of: str) -> inspect.Parameter:
        return inspect.Parameter(of, inspect.Parameter.KEYWORD_ONLY, default=None)

    first = inspect.signature(run, follow_wrapped=False).parameters
    shown = [first["logs"], first["selection"], first["compare"], *own, *(keyword(f.name) for f in fields(Selection))]
    run.__signature__ = inspect.Signature(shown, return_annotation="pd.DataFrame")  # type: ignore[attr-defined]
    run.sql = sql  # type: ignore[attr-defined]
    return cast("Filter", run)
