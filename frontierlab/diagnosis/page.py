"""A diagnosis as a page: its sentences, and for each incident its figure, its numbers and what was as usual."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from frontierlab.diagnosis.figures import figures_of, incident_figure
from frontierlab.diagnosis.finding import DIMENSIONS
from frontierlab.pages.html import write_page
from frontierlab.pages.target import target_of

if TYPE_CHECKING:
    from frontierlab.diagnosis.incident import Incident
    from frontierlab.diagnosis.result import Diagnosis

__all__ = ["shown", "write_diagnosis", "write_incident"]

_EXCESS = {
    "excess_queries": ("queries", 1, 0),
    "excess_dbtime_ms": ("s of database time", 1000, 1),
    "excess_overhead_ms": ("s of query time outside of the database", 1000, 1),
    "excess_bytes": ("MB", 1_000_000, 1),
    "failures": ("failed queries", 1, 0),
}
_HEADINGS = ("an hour", "queries", "database time, s", "time outside of the database, s", "MB", "failed queries")


def shown(incident: Incident, number: int) -> dict[str, Any]:
    """Return what a page shows of an incident, as text; the template ``incidents.html`` takes it."""
    row, evidence = incident.row, incident.evidence()
    return {
        "number": number,
        "kind": incident.kind,
        "sentence": incident.sentence,
        "belongs_to": incident.belongs_to,
        "cause": None if incident.cause is None else incident.cause + 1,
        "advice": incident.advice,
        "tell": incident.tell,
        "cleared": incident.cleared,
        "facts": [*_scope(incident), *_numbers(row)],
        "headings": _HEADINGS,
        "rows": [_row(one) for one in evidence["totals"].to_dict("records")],
        "call": evidence["during"].attrs["call"],
    }


def write_diagnosis(diagnosis: Diagnosis, path: str | os.PathLike[str]) -> Path:
    """Write the sentences and figures of a diagnosis as one page."""
    target = target_of(path, "diagnosis.html")
    return write_page(
        target,
        "diagnosis.html",
        figures_of(diagnosis),
        title=f"What happened: {diagnosis.source}",
        head=diagnosis.head,
        incidents=[shown(one, number) for number, one in enumerate(diagnosis, 1)],
        chronic=_chronic(diagnosis),
        explained=[f"{row['text']} ({row['incident'] + 1})" for row in diagnosis.explained.to_dict("records")],
        looked_at=[[str(value) for value in row] for row in diagnosis.looked_at.itertuples(index=False)],
        notes=[*diagnosis.order, *diagnosis.notes],
    )


def write_incident(incident: Incident, path: str | os.PathLike[str]) -> Path:
    """Write the text, the figure and the numbers of an incident as one page."""
    target = target_of(path, "incident.html")
    return write_page(
        target,
        "diagnosis.html",
        [incident_figure(incident)],
        title=f"What happened: {incident.kind}",
        incidents=[shown(incident, 1) | {"cause": None}],  # the page does not have the other one
    )


def _scope(incident: Incident) -> list[tuple[str, str]]:
    names = {name: incident.row[name] for name in (*DIMENSIONS, "taskname")}
    return [(name, str(value)) for name, value in names.items() if value is not None and not pd.isna(value)]


def _numbers(row: Any) -> list[tuple[str, str]]:
    factor = "" if row["factor"] is None else f", {row['factor']:,.1f} times as much"
    excess = [f"{row[name] / unit:,.{digits}f} {word}" for name, (word, unit, digits) in _EXCESS.items() if row[name]]
    at_servers = " at servers, without those of other incidents" if row["kind"] == "load" else ""
    ongoing = ", and goes on" if row["ongoing"] else ""
    return [
        ("time", f"{row['since']:%Y-%m-%d %H:%M} to {row['until']:%Y-%m-%d %H:%M} UTC{ongoing}"),
        ("seen", f"{row['seen']:,.0f} {row['unit']}{at_servers}; normal {row['normal']:,.0f}{factor}"),
        ("queries", f"{row['queries']:,}"),
        *([] if row["payloads"] is None else [("different payloads", f"{row['payloads']:,}")]),
        ("more than expected", ", ".join(excess) or "nothing"),
        ("share", f"{row['share']:.0%} of what was abnormal in that time"),
        ("confidence", f"{row['confidence']:.2f}"),
    ]


def _row(totals: dict[Any, Any]) -> list[str]:
    return [
        str(totals["part"]),
        f"{totals['queries']:,.0f}",
        f"{totals['dbtime'] / 1e3:,.1f}",
        f"{totals['overhead'] / 1e3:,.1f}",
        f"{totals['bytes'] / 1e6:,.2f}",
        f"{totals['failures']:,.0f}",
    ]


def _chronic(diagnosis: Diagnosis) -> list[str]:
    return [str(text) for text in diagnosis.chronic["text"]]
