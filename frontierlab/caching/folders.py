"""The choice of folders of a dataset, and notes on the dataset for the reader of their figures."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import pandas as pd

from frontierlab import spark
from frontierlab.errors import InvalidRequestError
from frontierlab.selection import Selection
from frontierlab.storage.dataset import Dataset

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Chosen", "Folder", "chosen", "note_of_part", "notes_of", "wanted_folders"]

Folder: TypeAlias = tuple[str, str, str]
"""db, schema and full path of a folder."""

_NAMES = ["db", "schema", "nodefullpath"]
_THINGS = ["queries", "failed", "half_given", "backwards"]


class Chosen(NamedTuple):
    """Counts of the chosen folders, and sentences about what the counts leave out."""

    counts: pd.DataFrame
    notes: list[str]


def wanted_folders(folders: Iterable[Folder] | pd.DataFrame | None) -> list[Folder] | None:
    """Return the requested folders without duplicates; None means all folders.

    Raises
    ------
    InvalidRequestError
        `folders` is not a list of (db, schema, nodefullpath) or a frame with these columns, or it is empty.
    """
    if folders is None:
        return None
    if isinstance(folders, pd.DataFrame):
        frame = folders.rename(columns={"node": "nodefullpath"})
        if not {*_NAMES} <= {*frame.columns}:
            raise InvalidRequestError(
                f"folders: a frame needs the columns db, schema and node, not {[*frame.columns]}."
            )
        folders = frame[_NAMES].itertuples(index=False, name=None)
    found = [*folders]
    for one in found:
        if not isinstance(one, tuple | list) or len(one) != 3 or not all(isinstance(name, str) for name in one):
            raise InvalidRequestError(f"folders: {one!r} is not (db, schema, nodefullpath), three texts.")
    if not found:
        raise InvalidRequestError("folders is empty; leave it out to take all folders of the dataset.")
    return [*dict.fromkeys((db, schema, path) for db, schema, path in found)]


def chosen(counts: pd.DataFrame, wanted: list[Folder] | None, logs: DataFrame, *, strict: bool) -> Chosen:
    """Return the counts of the wanted folders that have queries for a payload.

    Parameters
    ----------
    counts
        The frame of `frontierlab.caching.counting.count_folders`.
    wanted
        The wanted folders; None means all.
    logs
        The logs of `counts`.
    strict
        True: every wanted folder must be in the logs. False: one of them is enough.

    Raises
    ------
    InvalidRequestError
        A wanted folder is not in the logs; the message names similar ones.
    """
    named = counts["schema"].notna() & counts["nodefullpath"].notna()
    notes, nameless = [], int(counts.loc[~named, "queries"].sum())
    if nameless:
        notes.append(f"{nameless:,} queries with an IOV do not name a folder, and are in no row.")
    counts = counts[named]
    useful = counts[counts[_THINGS].sum(axis=1) > 0]
    if wanted is not None:
        present, asked = _folders(counts), _folders(useful)
        missing = [folder for folder in wanted if folder not in present]
        if missing and (strict or len(missing) == len(wanted)):
            raise InvalidRequestError(_not_there(missing[0], logs))
        without = [folder for folder in wanted if folder not in asked]
        if without:
            names = ", ".join(" ".join(folder) for folder in without[:5])
            more = f" and {len(without) - 5} more" if len(without) > 5 else ""
            notes.append(f"No query of the dataset asks for a payload of {names}{more}.")
        useful = useful[[folder in set(wanted) for folder in useful[_NAMES].itertuples(index=False, name=None)]]
    return Chosen(useful.reset_index(drop=True), notes)


def notes_of(dataset: Dataset, selection: Selection | None = None) -> list[str]:
    """Return sentences on why figures of a dataset and selection are partial; empty if they are not."""
    manifest = dataset.manifest
    notes = []
    if manifest.state != "complete":
        notes.append(f"The dataset {dataset.name} is incomplete: the figures are of the parts that are there.")
    if manifest.limit is not None:
        limit, cut = manifest.limit.get("limit_queries"), manifest.limit.get("cut_at")
        notes.append(f"limit_queries={limit} cut the dataset at {cut}: the figures are of the queries before.")
    cached, taskid = manifest.request.get("cached"), manifest.request.get("taskid")
    if cached is not None:
        notes.append(f"The dataset was extracted with cached={cached}: the figures are of such queries alone.")
    if taskid is not None:
        notes.append(f"The dataset was extracted with taskid={taskid}: the figures are of that task alone.")
    if selection is not None and selection != Selection():
        notes.append(note_of_part(dataset.name, selection))
    return notes


def note_of_part(dataset: str, selection: Selection) -> str:
    """Return the note on figures of a selection of a dataset."""
    return f"The figures are of part of the dataset {dataset}: {selection.in_words()}."


def _folders(counts: pd.DataFrame) -> set[Folder]:
    return {*counts[_NAMES].itertuples(index=False, name=None)}


def _not_there(folder: Folder, logs: DataFrame) -> str:
    there = spark.run(
        logs,
        "SELECT DISTINCT db, schema, nodefullpath FROM {logs} WHERE schema IS NOT NULL AND nodefullpath IS NOT NULL",
        description="caching: the folders that are there",
    )
    names = [" ".join(one) for one in sorted(_folders(there))]
    near = difflib.get_close_matches(" ".join(folder), names, n=3, cutoff=0.4)
    hint = f"Similar ones: {', '.join(near)}." if near else f"There: {', '.join(names[:5]) or 'none'}."
    return f"The dataset has no query of the folder {' '.join(folder)}. {hint}"
