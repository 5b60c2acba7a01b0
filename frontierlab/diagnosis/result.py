"""The result of a diagnosis: its incidents, and what else was looked at."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from frontierlab.diagnosis.incident import Incident
from frontierlab.diagnosis.words import RANKING, always, separate, summary
from frontierlab.selection import Selection
from frontierlab.util.files import replacing

if TYPE_CHECKING:
    from bokeh.models import Column
    from bokeh.plotting import figure as Figure

__all__ = ["COLUMNS", "Diagnosis", "UNNAMED", "frame_of"]

COLUMNS = {
    "since": "datetime64[ms, UTC]",
    "until": "datetime64[ms, UTC]",
    "ongoing": "boolean",
    "kind": "string",
    **dict.fromkeys(("db", "schema", "nodefullpath", "tagname"), "string"),
    "taskid": "Int64",
    **dict.fromkeys(("taskname", "frontierserver", "computingsite", "squid"), "string"),
    **dict.fromkeys(("normal", "seen", "factor"), "Float64"),
    "unit": "string",
    **dict.fromkeys(("queries", "payloads", "excess_queries"), "Int64"),
    **dict.fromkeys(("excess_dbtime_ms", "excess_overhead_ms", "excess_bytes", "failures"), "Int64"),
    **dict.fromkeys(("share", "confidence"), "Float64"),
    **dict.fromkeys(("sentence", "advice", "tell", "selection"), "string"),
    "event": "Int64",
}
"""The columns of `Diagnosis.incidents`, with their types."""


UNNAMED = "a Spark DataFrame"
"""What a diagnosis of a Spark DataFrame says that it is of."""


def frame_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the frame of incidents."""
    return pd.DataFrame(list(rows), columns=[*COLUMNS]).astype(COLUMNS)


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What happened in some logs: the result of `frontierlab.diagnose`.

    ``diagnosis[0]`` is the most costly incident as an `Incident`, with its evidence and its figure.

    Attributes
    ----------
    incidents : pandas.DataFrame
        A row is an incident, the most costly first.

        since, until : UTC, to the minute, ``[since, until)``; ongoing : boolean, whether it goes on at the end of
            the data (``until`` is that end then)
        kind : string, one of `frontierlab.diagnosis.finding.KINDS`
        db, schema, nodefullpath, tagname, taskid, taskname, frontierserver, computingsite, squid : the scope; null is
            not part of it
        normal, seen, factor : Float64, what was expected, what was there, and their quotient (null if nothing was
            expected); unit : string, of the first two
        queries : Int64, queries in the scope and time
        payloads : Int64, different payloads of the different queries of a flood (`frontierlab.caching.efficiency`), of
            its tag that was asked most; null if COOLR was not asked
        excess_queries, excess_dbtime_ms, excess_overhead_ms, excess_bytes, failures : Int64, what was more than
            expected; missing queries are negative. ``excess_overhead_ms`` is query time outside of the database
        share : Float64, of what was abnormal in that time, in the currency in which the incident costs most
        confidence : Float64, the chance that the row is true, from 0 to 1, as fitted on days of the sample; at most 0.7
            for what fills more than half of the data without a baseline, since it is not known which side is usual
        sentence, advice, tell : string, what happened, what helps, and whom to tell
        selection : string, JSON of a `frontierlab.Selection` of these queries
        event : Int64, from 1 on; incidents that are likely consequences of one another have the same number, as a load
            and the rejections that it leads to. The event of the most costly incident is the first
    chronic : pandas.DataFrame
        A row is what is bad in most hours, so that it is no incident of this day: a task that fails, a server that is
        slower than the others, a folder and tag that are asked for wrong IOVs. ``kind`` (``failures``, ``slow_server``,
        ``wrong_iov``); the names; ``queries``, ``failures``; ``rate`` (of its queries that fail or are wrong, or how
        many times the other servers' time it needs); ``text``.
    looked_at : pandas.DataFrame
        A row is a kind: ``kind``, ``series`` (how many were searched), ``incidents``.
    cleared : pandas.DataFrame
        A row is a test of what an incident does not lie in: ``incident`` (its row in `incidents`), ``text``. The other
        servers, sites, schemas or folders are compared with their own usual rate, and its excess is looked at for
        evenness over the servers; what is not as usual, or not even, is named.
    explained : pandas.DataFrame
        A row is a deviation that an incident explains: ``incident`` (the row of that incident), ``text``, and ``kind``:
        that of the deviation, or ``total`` for a figure of all queries that was abnormal in that time. Incidents that
        are likely consequences of another are among them (`Incident.cause`).
    source, selection
        What was diagnosed, in words, and the selected queries.
    since, until
        The time that was looked at, UTC.
    queries
        The number of queries.
    notes
        Sentences on what limits the diagnosis.
    answered
        What answered the statements; see `frontierlab.engines.own_statements.Answered`.
    """

    incidents: pd.DataFrame
    chronic: pd.DataFrame
    looked_at: pd.DataFrame
    cleared: pd.DataFrame
    explained: pd.DataFrame
    source: str
    selection: Selection
    since: pd.Timestamp
    until: pd.Timestamp
    queries: int
    notes: tuple[str, ...]
    answered: Mapping[str, Any]
    total: pd.DataFrame = field(repr=False)
    details: tuple[Incident, ...] = field(repr=False)

    @property
    def unnamed(self) -> bool:
        """Whether it is of a Spark DataFrame, which has no name."""
        return self.source == UNNAMED

    def __len__(self) -> int:
        return len(self.details)

    def __getitem__(self, place: int) -> Incident:
        return self.details[place]

    def __iter__(self) -> Iterator[Incident]:
        return iter(self.details)

    def __repr__(self) -> str:
        return f"<Diagnosis of {self.head}>"

    def __str__(self) -> str:
        lines = [f"{one.sentence} {one.belongs_to}".rstrip() for one in self.details] or ["Nothing unusual was found."]
        told = [f"{place}. {line}" for place, line in enumerate(lines, 1)]
        return "\n".join([self.head, *told, *self.order, *self.always, *self.notes])

    @property
    def summary(self) -> str:
        """The kinds and names of the incidents, the most costly first, as a sentence."""
        return summary([one.row for one in self.details])

    @property
    def head(self) -> str:
        """What was diagnosed, how many incidents there are, and which of them are separate events, in a line."""
        count = separate([one.cause for one in self.details])
        chosen = self.selection.but(since=None, until=None).in_words()  # the time is told anyway
        return (
            f"{self.source}: {count} in {self.queries:,} queries from {self.since:%Y-%m-%d %H:%M} to "
            f"{self.until:%Y-%m-%d %H:%M} UTC{f', {chosen}' * bool(chosen)}"
        )

    @property
    def order(self) -> tuple[str, ...]:
        """A sentence on the order of incidents that cost different things; none if there are not two."""
        return (RANKING,) if len(self) > 1 else ()

    @property
    def always(self) -> tuple[str, ...]:
        """A sentence on the first rows of `chronic`; none if it has none."""
        return always(self.chronic["text"].tolist())

    def _repr_html_(self) -> str:
        """Return the sentences for a notebook."""
        rows = "".join(
            f"<li><b>{html.escape(one.kind)}</b>: {html.escape(one.sentence)} {html.escape(one.belongs_to)} "
            f"<i>{html.escape(one.advice)} Tell {html.escape(one.tell)}.</i></li>"
            for one in self.details
        )
        notes = "".join(f"<li>{html.escape(one)}</li>" for one in (*self.order, *self.always, *self.notes))
        found = f"<ol>{rows}</ol>" if rows else "<p>Nothing unusual was found.</p>"
        return f"<div><h3>{html.escape(self.head)}</h3>{found}{f'<ul>{notes}</ul>' * bool(notes)}</div>"

    def timeline(self) -> Figure:
        """Return the figure of all queries over time with the incidents shaded, each with its number."""
        from frontierlab.diagnosis.figures import timeline

        return timeline(self)

    def figure(self) -> Column:
        """Return the timeline, and a figure of each incident, in a column."""
        from frontierlab.diagnosis.figures import day_figure

        return day_figure(self)

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the sentences and figures as one page that can be read offline.

        Parameters
        ----------
        path
            The file, which ends in ``.html``. An existing one is replaced in one step; on failure it is unchanged.

        Raises
        ------
        InvalidRequestError
            The file does not end in ``.html``, or is a folder.
        """
        from frontierlab.diagnosis.page import write_diagnosis

        return write_diagnosis(self, path)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the diagnosis as JSON text, and write it to a file if a path is given.

        ``incidents`` and the other frames are lists of objects; times are ISO 8601 in UTC.
        """
        frames = ("incidents", "chronic", "looked_at", "cleared", "explained")
        content: dict[str, Any] = {
            "source": self.source,
            "selection": json.loads(self.selection.to_json()),
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "queries": self.queries,
            "notes": list(self.notes),
        }
        for name in frames:
            content[name] = json.loads(getattr(self, name).to_json(orient="records", date_format="iso"))
        text = json.dumps(content, ensure_ascii=False, indent=1)
        if path is not None:
            with replacing(Path(path)) as temporary:
                temporary.write_text(text, encoding="utf-8")
        return text
