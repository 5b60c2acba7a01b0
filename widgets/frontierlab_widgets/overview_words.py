"""The sentences of the Overview, as HTML: folders that waste most, incidents, and what changed."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd

from frontierlab import Selection
from frontierlab.caching.advice import Advice
from frontierlab.caching.causes import BELOW, FINE
from frontierlab.diagnosis import Diagnosis
from frontierlab.schema import NO_TAG, UNKNOWN_TAG
from frontierlab_widgets.caching_work import KEYS, in_whole_dataset
from frontierlab_widgets.changes_work import changes_in_words
from frontierlab_widgets.formatting import amount, capital, cure_box, paragraph, plural
from frontierlab_widgets.panel_words import in_panel_words

__all__ = ["HEADS", "changes_told", "folder_told", "incident_told", "incidents_counted"]

HEADS = {
    "folders": "Folders that waste most",
    "incidents": "What went wrong",
    "changes": "What changed",
}
"""The headings, by the step that fills them."""


def folder_told(record: dict[Any, Any], advice: Advice | None, selection: Selection, whole: pd.DataFrame | None) -> str:
    """Tell a folder and tag: what it loses and why, the cure in one line, and the reasons.

    Parameters
    ----------
    record
        A row of `frontierlab.caching.efficiency`.
    advice
        The advice on it; None before it is known.
    selection
        The queries that it is of.
    whole
        The figures of the whole dataset; None if they are not known.
    """
    where = f"{record['db']} {record['schema']} {_tag(str(record['tagname']))}"
    told = f'<h5>{escape(str(record["nodefullpath"]))}</h5><p class="frontierlab-quiet">{escape(where)}</p>'
    if pd.notna(record["wasted_dbtime"]):
        told += f"<p>{escape(capital(str(record['cause'])))}: {_lost(record)}</p>"
    if advice is not None:
        told += cure_box(advice.cure, advice.reasons or str(record["problem"] or ""))
    if record["cause"] in (BELOW, FINE):
        told += paragraph(in_whole_dataset(whole, [str(record[key]) for key in KEYS], selection))
    return told


def _tag(name: str) -> str:
    """Return a tag; COOL's folders of a single version have none."""
    return {NO_TAG: "(a folder without tags)", UNKNOWN_TAG: "(tag not known)"}.get(name, name)


def _lost(record: dict[Any, Any]) -> str:
    more = pd.notna(record["repeated_dbtime"]) and record["repeated_dbtime"] > record["wasted_dbtime"]
    how = "repeated" if more else "wasted"  # it is ranked by the larger
    time, size = amount(record[f"{how}_dbtime"], "dbtime_ms"), amount(record[f"{how}_bytes"], "bytes")
    return f"<b>{time}</b> of database time and <b>{size}</b> {how}"


def incident_told(place: int, incident: Any) -> str:
    """Tell an incident in a line or two: when, where, how much, and its cause; the rest is shown by a click."""
    event, _, rest = incident.sentence.partition(". ")
    event, _, mostly = event.partition(", mostly ")
    most = f"Mostly {mostly}. " if mostly else ""
    cause = f" {incident.belongs_to}" if incident.belongs_to else ""
    more = f'{escape(most + rest)} <span class="frontierlab-quiet">'
    more += f"{escape(in_panel_words(incident.advice))} Tell {escape(incident.tell)}.</span>"
    told = f"<b>{place}.</b> {escape(event.rstrip('.'))}.{escape(cause)}"
    return f'<details class="frontierlab-incident"><summary>{told}</summary><p>{more}</p></details>'


def incidents_counted(found: Diagnosis) -> str:
    """Say how many incidents there are, whether some of them are one event, and what it began with."""
    if not len(found):
        searched = int(found.looked_at["series"].sum())
        looked = f": {plural(searched, 'series was', 'series were')} searched" if searched else ""
        return f"Nothing unusual was found in {plural(found.queries, 'query', 'queries')}{looked}."
    incidents, events = len(found), found.incidents["event"].nunique()
    counted = plural(incidents, "incident", "incidents")
    if events == incidents:
        return f"{counted}."
    first = [place for place, one in enumerate(found, 1) if one.cause is None]
    if events == 1 and len(first) == 1:
        return f"{counted}, likely of 1 event: incident {first[0]} led to the others."
    return f"{counted}, likely of {plural(events, 'event', 'events')}: see what each is a consequence of."


def changes_told(found: tuple[str, pd.DataFrame]) -> str:
    """Tell what changed: what went up first."""
    words, frame = found
    if not words:
        return "<p>There is too little time between the first query and the last one to compare.</p>"
    told = changes_in_words(frame)
    head = f'<p class="frontierlab-quiet">{escape(capital(words))}:</p>'
    if not told:
        return f"{head}<p>Nothing changed beyond chance.</p>"
    return f"{head}<ul>{''.join(f'<li>{escape(one)}</li>' for one in told)}</ul>"
