"""Which part of the queries two results are of: figures of different parts are not compared as if they were alike."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from frontierlab.caching.history_records import part_of
from frontierlab.errors import InvalidRequestError
from frontierlab.selection import Selection

__all__ = ["notes_of_scopes"]


class _Scope(NamedTuple):
    """The part of the queries that a result is of.

    Parameters
    ----------
    parts
        The conditions on other fields than folder and time, each as JSON; empty if there are none.
    window
        The window of time in words, if the result is of one; a stored result has its period instead.
    """

    parts: frozenset[str]
    window: str


def notes_of_scopes(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    """Return sentences on the part of the queries that two results are of; empty if they are of all.

    Raises
    ------
    InvalidRequestError
        They are of different parts.
    """
    scopes = {name: _scope(frame) for name, frame in (("before", before), ("after", after))}
    first, second = (scope.parts for scope in scopes.values())
    if first != second and len(before) and len(after):
        words = [f"{name} is of {_in_words(scope.parts)}" for name, scope in scopes.items()]
        raise InvalidRequestError(
            f"These results are of different parts of the queries: {'; '.join(words)}. Compute both with the same "
            "selection to compare them."
        )
    notes = [f"Both results are of a part of the queries: {_in_words(first)}."] if first and second else []
    return [*notes, *(f"{name} is of a window: {scope.window}." for name, scope in scopes.items() if scope.window)]


def _scope(frame: pd.DataFrame) -> _Scope:
    """Return the scope of a frame of ``efficiency()``, or of ``read()``, whose rows have a selection and a period."""
    selection = Selection.from_json(frame.attrs.get("selection", {}))
    stored = frame["selection"].dropna().unique() if "selection" in frame else ()
    parts = {text for texts in stored for text in str(texts).splitlines()}
    parts |= {part_of(selection).to_json(), *frame.attrs.get("extracted", ())}
    window = Selection(since=selection.since, until=selection.until)
    return _Scope(frozenset(parts - {Selection().to_json()}), "" if window == Selection() else window.in_words())


def _in_words(parts: frozenset[str]) -> str:
    return " and ".join(Selection.from_json(part).in_words() for part in sorted(parts)) or "all queries"
