"""The caching panel's work off the main thread, and the columns of its tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

import frontierlab as fl
from frontierlab.caching.causes import REPEATED
from frontierlab.caching.notes import note_of_part
from frontierlab.caching.ranking import lost_in_words
from frontierlab.errors import InvalidRequestError
from frontierlab.schema import UNKNOWN_TAG
from frontierlab_widgets.chosen_datasets import Source
from frontierlab_widgets.formatting import number
from frontierlab_widgets.origin import Origin
from frontierlab_widgets.table import TableColumn
from frontierlab_widgets.work import Work

__all__ = [
    "EXPLAINED",
    "FOLDERS",
    "KEYS",
    "TASKS",
    "TIPS",
    "WHAT_IF",
    "explain_folder",
    "folder_id",
    "folder_selection",
    "in_whole_dataset",
    "origin_of",
    "other_notes",
    "seconds",
]

_SITES = 2  # that are named

TIPS = {
    "Compute": "Compute the figures of the queries that are selected",
    "Explain the worst": "Choose the folder with the most wasted database time",
    "Store": "Store the figures, to compare with them later",
    "HTML page": "Write the figures and explanations to one page, for a detector group",
    "Code": "Show the calls that do this",
}
"""The buttons of the caching panel, and what they say when the mouse is on them."""

KEYS = ("db", "schema", "nodefullpath", "tagname")
"""The columns that identify a folder and tag."""


def seconds(value: Any) -> str:
    """Write milliseconds as seconds."""
    return f"{value / 1e3:,.1f}"


def _mb(value: Any) -> str:
    return f"{value / 1e6:,.1f}"


def _percent(value: Any) -> str:
    return f"{100 * value:.1f}"


def _where(record: dict[str, Any]) -> str:
    return " ".join(str(record[key]) for key in ("db", "schema", "tagname"))


def _repeated(record: dict[str, Any]) -> str:
    """Say what is repeated if a row has its place in the table by it, and not by what is wasted."""
    repeated = record["repeated_dbtime"]
    return f"repeated: {seconds(repeated)}" if record["cause"] == REPEATED and pd.notna(repeated) else ""


FOLDERS = (
    TableColumn("nodefullpath", "Folder", "its path; below it database, schema and tag", below=_where),
    TableColumn(
        "cause", "Cause", "what costs most; below the threshold: badly cached, but less than 60 s and 1 GB are lost"
    ),
    TableColumn(
        "wasted_dbtime",
        "Wasted database time (s)",
        "seconds in the database that an ideal cache, one for all sites, would have saved",
        seconds,
        True,
        below=_repeated,
        bar=True,
    ),
    TableColumn(
        "efficiency_iov", "Efficiency (%)", "different answers / different queries; 100 % is ideal", _percent, True
    ),
    TableColumn(
        "wasted_bytes",
        "Wasted answers (MB)",
        "MB (10^6 bytes) that an ideal cache would have saved",
        _mb,
        True,
        picked=False,
    ),
    TableColumn(
        "repeated_dbtime",
        "Repeated database time (s)",
        "seconds in the database for the same query of a Squid, not cached",
        seconds,
        True,
        picked=False,
    ),
    TableColumn(
        "repeated_queries",
        "Repeated queries",
        "the same query of a Squid or site, not cached, again",
        number,
        True,
        picked=False,
    ),
    TableColumn("queries", "Queries", "served queries that ask for a payload", number, True, picked=False),
    TableColumn(
        "different_queries", "Different queries", "how many of the queries were different", number, True, picked=False
    ),
    TableColumn(
        "different_payloads_iov", "Different answers", "how many different answers they got", number, True, picked=False
    ),
    TableColumn("tagname", "Tag", "none: without tags; unknown: the log does not say which", picked=False),
    TableColumn("db", "Database", "the instance, such as CONDBR2", picked=False),
    TableColumn("schema", "Schema", "of the database, such as ATLAS_COOLOFL_PIXEL", picked=False),
    TableColumn("problem", "Problem", "why there are no payload figures", picked=False),
)
"""The columns of the table of figures."""

EXPLAINED = (
    '<p class="frontierlab-quiet">'
    "Wasted: what an ideal cache, one for all sites, would have saved. Efficiency: different answers per different "
    "query; 100 % is ideal. The first rows lose most: the larger of what is wasted and what is repeated (the same "
    "query of a Squid or site, not cached, again). Columns explains and adds the others.</p>"
)
"""A line of HTML on the columns that are shown at first."""

TASKS = (
    TableColumn("task", "Task", "its PanDA id, and its name below it", below=lambda record: record["name"]),
    TableColumn("sites", "Sites", "those that sent most of its queries of this folder"),
    TableColumn(
        "different_queries", "Different queries", "how many of its queries of this folder were different", number, True
    ),
    TableColumn(
        "dbtime",
        "Database time (s)",
        "seconds in the database for its queries that were not cached",
        seconds,
        True,
        bar=True,
    ),
)
"""The columns of the table of tasks."""

WHAT_IF = (
    TableColumn("grid", "Had clients asked by", "a grid of IOVs; as asked: what they did"),
    TableColumn("requests", "Different requests", "that would have been left", number, True),
    TableColumn("requests_share", "% of the requests", "of those as asked", lambda share: f"{100 * share:.1f}", True),
    TableColumn("dbtime_share", "% of the database time", "of that as asked", lambda share: f"{100 * share:.1f}", True),
    TableColumn("bytes_share", "% of the bytes", "of those as asked", lambda share: f"{100 * share:.1f}", True),
)
"""The columns of the table of what would help."""


def folder_id(record: Any) -> str:
    """Return the id of a folder and tag in a table."""
    return json.dumps([str(record[key]) for key in KEYS])


def in_whole_dataset(figures: pd.DataFrame | None, folder: Sequence[str], selection: fl.Selection) -> str:
    """Say what a folder and tag loses in the whole dataset, if a selection narrows the data; else nothing.

    Parameters
    ----------
    figures
        The figures of the whole dataset; None if they are not known, and then it is told how to get them.
    folder
        The values of `KEYS`.
    selection
        The queries that are chosen.
    """
    if selection == fl.Selection():
        return ""
    if figures is not None:
        ours = figures[(figures[[*KEYS]].astype("string") == [*folder]).all(axis=1)]
        for row in ours.to_dict("records"):
            return f"In the whole dataset: {row['cause']}; {lost_in_words(row)}."
    return (
        f"These are figures of a part of the dataset ({selection.in_words()}): without these filters you see what the "
        "folder loses in all."
    )


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
        tasks = _tasks(why, dataset, settings, folder, selection)
        try:
            what, problem = fl.caching.what_if(dataset, settings, **which), ""
        except InvalidRequestError as error:
            what, problem = None, str(error)
    return {"why": why, "what": what, "problem": problem, "tasks": tasks}


def folder_selection(folder: dict[str, str], selection: fl.Selection) -> fl.Selection:
    """Return the selected queries of a folder and tag; a tag that the log does not name is no condition."""
    tag = {} if folder["tagname"] in ("none", UNKNOWN_TAG) else {"tagname": folder["tagname"]}
    return selection.but(**{key: folder[key] for key in KEYS if key != "tagname"}, **tag)


def _tasks(why: Any, dataset: Source, settings: Any, folder: dict[str, str], selection: fl.Selection) -> pd.DataFrame:
    """Return the tasks of an explanation, with the sites that sent most of their queries of the folder."""
    logs = fl.open_logs(dataset, settings=settings, allow_incomplete=True)
    found = fl.sql(
        folder_selection(folder, selection).of(logs),
        "SELECT taskid, computingsite, count(*) AS queries FROM logs WHERE computingsite IS NOT NULL "
        "GROUP BY taskid, computingsite",
    )
    found = found.sort_values(["queries", "computingsite"], ascending=[False, True])
    sites: dict[str, list[str]] = {}
    for task, site in zip(_ids(found["taskid"]), found["computingsite"], strict=True):
        sites.setdefault(task, []).append(site)
    ids = _ids(why.tasks["taskid"])
    frame: pd.DataFrame = why.tasks.assign(
        task=[one or "(none named)" for one in ids],
        name=why.tasks["taskname"].astype("string").fillna(""),
        sites=[_few(sites.get(one, [])) for one in ids],
        taskid=ids,
    )
    return frame


def _ids(tasks: pd.Series[Any]) -> list[str]:
    return ["" if pd.isna(task) else str(task) for task in tasks]


def _few(sites: list[str]) -> str:
    return ", ".join(sites[:_SITES]) + (f" and {len(sites) - _SITES} more" if len(sites) > _SITES else "")
