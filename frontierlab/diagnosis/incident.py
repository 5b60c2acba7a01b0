"""One incident of a diagnosis: its evidence and its figure."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from frontierlab.selection import Selection

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

__all__ = ["Incident"]

_FILTERS = {
    "iov_flood": "queries_over_time",
    "cache_bypass": "queries_over_time",
    "wrong_iov": "queries_over_time",
    "load": "queries_over_time",
    "silence": "queries_over_time",
    "payload_growth": "bytes_over_time",
    "failures": "uncached_by_kind",
    "rejections": "uncached_by_kind",
    "slow_database": "number_by_dbtime",
    "slow_server": "number_by_querytime",
}


@dataclass(frozen=True, repr=False)
class Incident:
    """An incident.

    Parameters
    ----------
    row
        Its row in `Diagnosis.incidents`, by column.
    history
        A row is a time bin, also outside of the incident: ``time`` (start, UTC), and ``queries``, ``dbtime`` (ms),
        ``overhead`` (ms outside of the database), ``bytes`` and ``failures`` of the queries in its scope.
    cost, currency
        The largest excess as a share of what a day has in all, and of what.
    cleared
        Sentences on what it does not lie in.
    clues
        The figures that its confidence is computed from; see `frontierlab.diagnosis.confidence`.
    cause
        The place in `Diagnosis.incidents` of the incident that it is likely a consequence of; None if none is known.
    """

    row: Mapping[str, Any]
    history: pd.DataFrame = field(repr=False)
    cost: float
    currency: str
    cleared: tuple[str, ...] = ()
    clues: Mapping[str, float] = field(default_factory=dict, repr=False)
    cause: int | None = None

    @property
    def kind(self) -> str:
        """The kind."""
        return str(self.row["kind"])

    @property
    def sentence(self) -> str:
        """What happened."""
        return str(self.row["sentence"])

    @property
    def advice(self) -> str:
        """What helps."""
        return str(self.row["advice"])

    @property
    def tell(self) -> str:
        """Whom to tell."""
        return str(self.row["tell"])

    @property
    def belongs_to(self) -> str:
        """A sentence that names the incident that it is likely a consequence of; empty if none is known."""
        return "" if self.cause is None else f"Likely a consequence of incident {self.cause + 1}."

    @property
    def selection(self) -> Selection:
        """The queries in its scope and time, for every filter."""
        return Selection.from_json(str(self.row["selection"]))

    def __repr__(self) -> str:
        return f"<Incident {self.kind}: {self.sentence}>"

    def evidence(self) -> dict[str, pd.DataFrame]:
        """Return the frames that show the incident.

        ``before``, ``during`` and ``after`` are parts of `history`; ``totals`` has a row for each of them, with what
        its queries cost in an hour. ``attrs["call"]`` is the call of a filter that counts the same queries of ``logs``.
        """
        start, stop = self.row["since"], self.row["until"]
        time = self.history["time"]
        parts = {
            "before": self.history[time < start],
            "during": self.history[(time >= start) & (time < stop)],
            "after": self.history[time >= stop],
        }
        width = (time.iloc[1] - time.iloc[0]) / pd.Timedelta(hours=1) if len(time) > 1 else 1.0
        rows = [
            {"part": name, **(part.drop(columns="time").sum() / max(len(part) * width, width))}
            for name, part in parts.items()
            if len(part)
        ]
        found = {name: part.reset_index(drop=True) for name, part in parts.items()}
        found["totals"] = pd.DataFrame(rows)
        whole = self.selection.but(since=None, until=None)
        filter_name = _FILTERS[self.kind]
        for name, frame in found.items():
            of = self.selection if name == "during" else whole
            frame.attrs["call"] = f"fl.filters.{filter_name}(logs, fl.{of!r})"
        return found

    def figure(self) -> Figure:
        """Return the figure that shows the incident: its measure over time, with the incident shaded."""
        from frontierlab.diagnosis.figures import incident_figure

        return incident_figure(self)

    def _repr_html_(self) -> str:
        """Return the sentences for a notebook."""
        cleared = "".join(f"<li>{html.escape(text)}</li>" for text in self.cleared)
        return (
            f"<div><p><b>{html.escape(self.kind)}</b>: {html.escape(self.sentence)}</p><p>{html.escape(self.advice)} "
            f"Tell {html.escape(self.tell)}.</p>{f'<ul>{cleared}</ul>' * bool(cleared)}</div>"
        )

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the text and the figure as one page that can be read offline.

        Parameters
        ----------
        path
            The file, which ends in ``.html``. An existing one is replaced in one step; on failure it is unchanged.

        Raises
        ------
        InvalidRequestError
            The file does not end in ``.html``, or is a folder.
        """
        from frontierlab.diagnosis.page import write_incident

        return write_incident(self, path)

    def to_json(self) -> str:
        """Return its row as JSON text; times are ISO 8601 in UTC, null is not part of the scope."""
        return json.dumps(json.loads(pd.Series(dict(self.row)).to_json(date_format="iso")), ensure_ascii=False)
