"""The result of a look at an index: frames, what they are of, and the extraction that would follow."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from frontierlab.filters.top import unnamed
from frontierlab.selection import Selection
from frontierlab.util.literals import literal
from frontierlab.util.times import format_time, in_words

if TYPE_CHECKING:
    from bokeh.models import Column

__all__ = ["Overview"]

_TABLES = {
    "databases": ("database", ["db"]),
    "schemas": ("schema", ["db", "schema"]),
    "folders": ("folder", ["db", "schema", "nodefullpath"]),
    "tasks": ("task", ["taskid", "taskname"]),
    "servers": ("server", ["frontierserver"]),
    "sites": ("site", ["computingsite"]),
    "squids": ("Squid", ["squid"]),
}
_SHOWN = {
    "queries": "queries",
    "cached": "cached",
    "not_cached": "not cached",
    "failures": "failures",
    "bytes": "MB",
    "dbtime_ms": "database time, s",
}
_CELL = "text-align: right; padding: 0 6px"
_IN_TEXT = 5  # rows of a table in a text


@dataclass(frozen=True, repr=False)
class Overview:
    """What an index holds: the result of `frontierlab.overview`.

    Attributes
    ----------
    over_time : pandas.DataFrame
        A row is a time bin, in order, also without queries: ``time`` (start of the bin, UTC), ``cached``,
        ``not_cached``, ``unknown`` (the log does not say), the kinds of those that were not cached (``disconn``,
        ``rejected``, ``procerror``, ``first_query``), ``bytes`` and ``kB`` of those that were not cached.
    kinds : pandas.DataFrame
        As the filter `uncached_by_kind` returns it: ``kind``, ``part``, ``groups``, ``queries``.
    databases, schemas, folders, tasks, servers, sites, squids : pandas.DataFrame
        A row is a group, the one with the most queries first, then the sum of the ``other`` groups, then the queries
        that name no group (``part``; see `frontierlab.filters`). ``groups`` is the number of groups in the row, null
        if the server did not count them. The groups are named by ``db``, ``schema``, ``nodefullpath``; ``taskid``,
        ``taskname``; ``frontierserver``; ``computingsite``; ``squid``. The numbers are ``queries``, ``cached``,
        ``not_cached``, ``unknown``; ``bytes`` and ``dbtime_ms`` of queries that were not cached; ``failures``.
    index, source
        The names or patterns of the indices, and the URL of the server.
    since, until
        The period in UTC, ``[since, until)``. `since` is None if there are no documents and none was asked for.
    selection
        Which queries were counted, without the period.
    documents
        The documents that an extraction would read.
    queries
        Those that are queries of a configured database: what the frames count.
    left_out
        The other documents, by reason.
    bin_seconds, top
        The width of time bins, and the number of groups with their own row.
    limit_queries
        The most documents that an extraction would read.
    notes
        Sentences on how the numbers were found, and how far an extraction may differ.
    warnings
        Sentences on what makes numbers too small, or a choice of the largest groups uncertain.
    seconds
        How long the look took.
    """

    over_time: pd.DataFrame
    kinds: pd.DataFrame
    databases: pd.DataFrame
    schemas: pd.DataFrame
    folders: pd.DataFrame
    tasks: pd.DataFrame
    servers: pd.DataFrame
    sites: pd.DataFrame
    squids: pd.DataFrame
    index: str
    source: str
    since: datetime | None
    until: datetime
    selection: Selection
    documents: int
    queries: int
    left_out: Mapping[str, int]
    bin_seconds: float
    top: int
    limit_queries: int
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float

    @property
    def extraction(self) -> str:
        """The call of `frontierlab.extract` that would extract these queries, as Python code."""
        day = self.until if self.since is None else self.since
        arguments: dict[str, str] = {"name": literal(f"{day:%Y-%m-%d}")}
        if self.since is not None:
            arguments["since"] = literal(_short(self.since))
        arguments["until"] = literal(_short(self.until))
        if self.selection != Selection():
            arguments["selection"] = f"fl.{self.selection!r}"
        return f"fl.extract(settings, {', '.join(f'{name}={code}' for name, code in arguments.items())})"

    def __repr__(self) -> str:
        return f"<Overview: {self._head()}>"

    def __str__(self) -> str:
        lines = [self._head(), *(f"! {one}" for one in self.warnings), *self._counted()]
        for name, (what, keys) in _TABLES.items():
            shown = _named(getattr(self, name), keys, self.queries)
            largest = [f"{label} {row['queries']}" for label, row in shown[:_IN_TEXT]]
            lines.append(f"per {what}: {', '.join(largest) or 'none'}{', …' * (len(shown) > _IN_TEXT)}")
        return "\n".join([*lines, self.extraction, *self.notes])

    def _repr_html_(self) -> str:
        """Return the overview for a notebook."""
        warned = "".join(f"<p><b>{html.escape(one)}</b></p>" for one in self.warnings)
        counted = "".join(f"<li>{html.escape(one)}</li>" for one in self._counted())
        tables = "".join(
            _html_table(what, _named(getattr(self, name), keys, self.queries))
            for name, (what, keys) in _TABLES.items()
            if len(getattr(self, name))
        )
        notes = "".join(f"<li>{html.escape(one)}</li>" for one in self.notes)
        return (
            f"<div><h3>{html.escape(self._head())}</h3>{warned}<ul>{counted}</ul>{tables}"
            f"<p>To extract them:</p><pre>{html.escape(self.extraction)}</pre><ul>{notes}</ul></div>"
        )

    def figure(self) -> Column:
        """Return the figures of the overview in a column: over time, by kind, and of the largest groups.

        Each call makes new figures, as the functions of `frontierlab.plots` do.
        """
        from frontierlab.overviews.figures import figures

        return figures(self)

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the text and the figures as one page that can be read offline.

        Parameters
        ----------
        path
            The file, which ends in ``.html``. An existing one is replaced in one step; on failure it is unchanged.

        Raises
        ------
        InvalidRequestError
            The file does not end in ``.html``, or is a folder.
        """
        from frontierlab.overviews.figures import write_page

        return write_page(self, path)

    @property
    def period(self) -> str:
        """The period in words."""
        start = "the first document" if self.since is None else in_words(self.since).removesuffix(" UTC")
        return f"{start} to {in_words(self.until)}"

    def _head(self) -> str:
        chosen = self.selection.in_words()
        return f"{self.index}: {self.queries:,} queries, {self.period}{f', {chosen}' * bool(chosen)}"

    def _counted(self) -> list[str]:
        left = ", ".join(f"{count:,} of {reason}" for reason, count in self.left_out.items())
        lines = [f"{self.documents:,} documents{f', without {left}' * bool(left)}; {self.seconds:.1f} s"]
        cached = {name: int(self.over_time[name].sum()) for name in ("cached", "not_cached", "unknown")}
        words = {"cached": "cached", "not_cached": "not cached", "unknown": "cached or not: unknown"}
        if self.queries:
            lines.append(", ".join(f"{count:,} {words[name]}" for name, count in cached.items() if count))
            kinds = zip(self.kinds["kind"], self.kinds["queries"], strict=True)
            lines.append(f"not cached, by kind: {', '.join(f'{kind} {count:,}' for kind, count in kinds)}")
        return lines


def _short(moment: datetime) -> str:
    """Write a time without what is zero; a time without a zone is UTC."""
    text = format_time(moment).removesuffix("Z").removesuffix(".000").removesuffix(":00")
    return text.removesuffix("T00:00")


def _named(frame: pd.DataFrame, keys: Sequence[str], queries: int) -> list[tuple[str, dict[str, str]]]:
    """Return the name of each row, and its numbers as text."""
    found = []
    for row in frame.to_dict("records"):
        named = " ".join(str(row[key]) for key in keys if not pd.isna(row[key]))
        groups = row["groups"]
        label = unnamed(row["part"], None if pd.isna(groups) else groups) or named
        found.append((label, {name: _number(name, row[name], queries) for name in _SHOWN}))
    return found


def _number(name: str, value: int, queries: int) -> str:
    if name == "bytes":
        return f"{value / 1e6:,.1f}"
    if name == "dbtime_ms":
        return f"{value / 1000:,.1f}"
    return f"{value:,} ({value / queries:.1%})" if name == "queries" else f"{value:,}"


def _html_table(what: str, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    head = "".join(f"<th style='{_CELL}'>{html.escape(name)}</th>" for name in (what, *_SHOWN.values()))
    body = "".join(
        f"<tr><td style='text-align: left'>{html.escape(label)}</td>"
        + "".join(f"<td style='{_CELL}'>{html.escape(numbers[name])}</td>" for name in _SHOWN)
        + "</tr>"
        for label, numbers in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
