"""The calls that show a finding, as Python code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from frontierlab.checks.conditions import SQL_FIELD
from frontierlab.selection import Selection
from frontierlab.storage.spans import Span
from frontierlab.util.literals import literal
from frontierlab.util.times import from_milliseconds

__all__ = ["Calls"]


@dataclass(frozen=True)
class Calls:
    """Writes calls for the source of findings.

    Parameters
    ----------
    source
        The code of the logs: a name in quotes, or ``logs``; empty if an index was checked.
    """

    source: str

    def filter(self, name: str, span: Span, where: Mapping[str, Any], **keywords: Any) -> str:
        """Return the call of a filter; of an index, that of `frontierlab.overview`."""
        chosen = _selection(span, where)
        if not self.source:
            return self._overview(chosen)
        return f"fl.filters.{name}({self.source}, fl.{chosen!r}{_more(keywords)})"

    def texts(self, span: Span, where: Mapping[str, Any], text: str) -> str:
        """Return the call that shows queries with a text in their SQL; of an index, that of `frontierlab.extract`."""
        chosen = f"fl.{_selection(span, where)!r}"
        if self.source:
            statement = f"SELECT * FROM logs WHERE contains({SQL_FIELD}, :text) LIMIT 20"
            return f"fl.sql({chosen}.of({self.source}), {literal(statement)}, text={literal(text)})"
        name = literal(f"bad-sql-{where['taskid']}-{from_milliseconds(span.start):%Y-%m-%d-%H%M}")
        return f'fl.extract(settings, name={name}, selection={chosen}, extra_fields={{"{SQL_FIELD}": "name"}})'

    @staticmethod
    def _overview(chosen: Selection) -> str:
        return f"fl.overview(settings, selection=fl.{chosen!r})"


def _selection(span: Span, where: Mapping[str, Any]) -> Selection:
    times = {"since": from_milliseconds(span.start), "until": from_milliseconds(span.stop)}
    named = {name: [None] if value is None else value for name, value in where.items()}
    return Selection(**times, **named)


def _more(keywords: Mapping[str, Any]) -> str:
    return "".join(f", {name}={literal(value)}" for name, value in keywords.items())
