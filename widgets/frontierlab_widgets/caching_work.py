"""The caching panel's work off the main thread, and the columns of its tables."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

import frontierlab as fl
from frontierlab.caching.notes import note_of_part
from frontierlab.errors import InvalidRequestError
from frontierlab_widgets.chosen_datasets import Source
from frontierlab_widgets.formatting import number
from frontierlab_widgets.origin import Origin
from frontierlab_widgets.table import TableColumn
from frontierlab_widgets.work import Work

__all__ = ["FOLDERS", "KEYS", "WHAT_IF", "explain_folder", "folder_id", "origin_of", "other_notes", "seconds"]

KEYS = ("db", "schema", "nodefullpath", "tagname")
"""The columns that identify a folder and tag."""


def seconds(value: Any) -> str:
    """Write milliseconds as seconds."""
    return f"{value / 1e3:,.1f}"


def _mb(value: Any) -> str:
    return f"{value / 1e6:,.1f}"


FOLDERS = (
    TableColumn("nodefullpath", "Folder"),
    TableColumn("tagname", "Tag", "none: a folder without tags; unknown: the log does not say which"),
    TableColumn("cause", "Cause"),
    TableColumn(
        "wasted_dbtime", "Wasted s", "seconds in the database that an ideal cache would have saved", seconds, True
    ),
    TableColumn("wasted_bytes", "Wasted MB", "MB (10^6 bytes) that an ideal cache would have saved", _mb, True),
    TableColumn(
        "repeated_dbtime",
        "Repeated s",
        "seconds in the database for the same query of a Squid, not cached",
        seconds,
        True,
    ),
    TableColumn("repeated_queries", "Repeats", "the same query of a Squid or site, not cached, again", number, True),
    TableColumn("efficiency_iov", "Efficiency", "different answers / different queries", "{:.1%}".format, True),
    TableColumn("queries", "Queries", "served queries that ask for a payload", number, True),
    TableColumn("different_queries", "Different", "how many of them were different", number, True),
    TableColumn("different_payloads_iov", "Payloads", "how many different answers they got", number, True),
    TableColumn("db", "Database"),
    TableColumn("schema", "Schema"),
    TableColumn("problem", "Problem", "why there are no payload figures"),
)
"""The columns of the table of figures."""

WHAT_IF = (
    TableColumn("grid", "Had clients asked by"),
    TableColumn("requests", "Different requests", "that would have been left", number, True),
    TableColumn("requests_share", "% of them", "", lambda share: f"{100 * share:.1f}", True),
    TableColumn("dbtime_share", "% of the database time", "", lambda share: f"{100 * share:.1f}", True),
    TableColumn("bytes_share", "% of the bytes", "", lambda share: f"{100 * share:.1f}", True),
)
"""The columns of the table of what would help."""


def folder_id(record: Any) -> str:
    """Return the id of a folder and tag in a table."""
    return json.dumps([str(record[key]) for key in KEYS])


def origin_of(dataset: tuple[str, str, str], selection: fl.Selection, settings: Any) -> Origin:
    """Return the origin of caching figures of a dataset or period; the source of payloads is part of it.

    `dataset` is its name, its identity, and the part of its time (`frontierlab_widgets.chosen_datasets.window_of`).
    """
    return Origin.of(dataset, selection, settings, ("data_dir", "coolr_host", "coolr_archive"))


def other_notes(figures: pd.DataFrame) -> list[str]:
    """Return the notes of figures, except the one on their selection: the line above them names it."""
    name, _ = figures.attrs.get("dataset", ("", ""))
    part = note_of_part(name, fl.Selection.from_json(figures.attrs.get("selection", {})))
    return [text for text in figures.attrs.get("notes", ()) if text != part]


def explain_folder(
    dataset: Source, settings: Any, folder: dict[str, str], selection: fl.Selection, work: Work
) -> dict[str, Any]:
    """Explain a folder and tag, and try grids on it; the result says what cannot be tried."""
    running = fl.cancellable()
    work.when_stopped(running.cancel)
    which: dict[str, Any] = {**folder, "selection": selection, "allow_incomplete": dataset.state != "complete"}
    with running:
        why = fl.caching.explain(dataset, settings, **which)
        try:
            what, problem = fl.caching.what_if(dataset, settings, **which), ""
        except InvalidRequestError as error:
            what, problem = None, str(error)
    return {"why": why, "what": what, "problem": problem}
