"""The choice of folders of a dataset."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import pandas as pd

from frontierlab.engines.logs import Logs
from frontierlab.engines.own_statements import ask
from frontierlab.errors import InvalidRequestError

__all__ = ["Chosen", "Folder", "chosen", "wanted_folders"]

Folder: TypeAlias = tuple[str, str, str]
"""db, schema and full path of a folder."""

_NAMES = ["db", "schema", "nodefullpath"]
_COUNTS = ["queries", "failed", "half_given", "backwards"]


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
            raise InvalidRequestError(f"folders: {one!r} is not a (db, schema, nodefullpath) of three texts.")
    if not found:
        raise InvalidRequestError("folders is empty; leave it out to take all folders of the dataset.")
    return [*dict.fromkeys((db, schema, path) for db, schema, path in found)]


def chosen(counts: pd.DataFrame, wanted: list[Folder] | None, logs: Logs, *, strict: bool) -> Chosen:
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
        notes.append(f"{nameless:,} queries with an IOV do not name a folder; no row counts them.")
    counts = counts[named]
    useful = counts[counts[_COUNTS].sum(axis=1) > 0]
    silent = int(counts["no_asker"].sum())
    if silent:
        notes.append(
            f"Of the queries that were not cached, {silent:,} name neither Squid nor site; they count as no repeats."
        )
    if wanted is not None:
        present, asked = _folders(counts), _folders(useful)
        missing = [folder for folder in wanted if folder not in present]
        if missing and (strict or len(missing) == len(wanted)):
            raise InvalidRequestError(_not_there(missing[0], logs))
        without = [folder for folder in wanted if folder not in asked]
        if without:
            names = ", ".join(" ".join(folder) for folder in without[:5])
            more = f" and {len(without) - 5} more" if len(without) > 5 else ""
            notes.append(f"The dataset has no query for a payload of {names}{more}.")
        useful = useful[[folder in set(wanted) for folder in useful[_NAMES].itertuples(index=False, name=None)]]
    return Chosen(useful.reset_index(drop=True), notes)


def _folders(counts: pd.DataFrame) -> set[Folder]:
    return {*counts[_NAMES].itertuples(index=False, name=None)}


def _not_there(folder: Folder, logs: Logs) -> str:
    there = ask(
        {"logs": logs},
        "SELECT DISTINCT db, schema, nodefullpath FROM {logs} WHERE schema IS NOT NULL AND nodefullpath IS NOT NULL",
        description="caching: the folders that are there",
    )
    names = [" ".join(one) for one in sorted(_folders(there))]
    near = difflib.get_close_matches(" ".join(folder), names, n=3, cutoff=0.4)
    hint = f"Similar ones: {', '.join(near)}." if near else f"The dataset has: {', '.join(names[:5]) or 'none'}."
    return f"The dataset has no query of the folder {' '.join(folder)}. {hint}"
