"""One folder and tag of a dataset: its different queries, its IOV base, and its payloads from COOLR."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from frontierlab.caching.notes import notes_of
from frontierlab.caching.payloads import ask_coolr, payloads_of
from frontierlab.caching.queries import FolderTag, different_queries
from frontierlab.coolr import Source, connect
from frontierlab.engines.engine_choice import logs_of_datasets
from frontierlab.engines.logs import Logs
from frontierlab.errors import InvalidRequestError
from frontierlab.selection import Selection, as_selection
from frontierlab.settings import Settings
from frontierlab.storage.store import Datasets

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["OpenFolder", "iov_base", "open_folder"]

_BASES = ("run-lumi", "time")


@dataclass(frozen=True)
class OpenFolder:
    """A folder and tag of a dataset; yielded by `open_folder`.

    Parameters
    ----------
    folder
        The folder and tag.
    logs
        The logs of the dataset.
    queries
        The frame of `frontierlab.caching.queries.different_queries`.
    base
        The folder's IOV base, run-lumi or time.
    notes
        Why the figures of the dataset and selection are partial.
    origin
        ``dataset`` (name and identity) and ``selection`` (JSON): which queries they are.
    source
        The COOLR that has the payloads.
    stop
        Set on cancellation, so that running calls of COOLR end.
    """

    folder: FolderTag
    logs: Logs
    queries: pd.DataFrame
    base: str
    notes: list[str]
    origin: dict[str, Any]
    source: Source
    stop: threading.Event

    def payloads(self, since: int, until: int) -> pa.Table:
        """Return the payloads that determine the answers of queries in a range; both ends are included.

        Raises
        ------
        CoolrError
            COOLR does not answer, or its responses contradict each other.
        Cancelled
            A `frontierlab.cancellable` block around the call was cancelled.
        """
        return ask_coolr(lambda: payloads_of(self.source, self.folder._asdict(), since, until, self.base), self.stop)


@contextmanager
def open_folder(
    dataset: Logs | Datasets,
    settings: Settings | None,
    folder: FolderTag,
    *,
    selection: Selection | None,
    coolr: Source | None,
    session: SparkSession | None,
    allow_incomplete: bool,
) -> Iterator[OpenFolder]:
    """Open a folder and tag of a dataset: count its different queries, and connect to COOLR.

    COOLR is asked for the IOV base if the logs do not name it. The connection is closed at the end, unless it is the
    caller's own.

    Parameters
    ----------
    dataset, settings, selection, coolr, session, allow_incomplete
        As in `frontierlab.caching.explain`.
    folder
        The folder and tag.

    Raises
    ------
    InvalidRequestError
        The IOV base of the folder is not known.
    CoolrError
        COOLR was asked for the IOV base and did not answer.
    Cancelled
        A `frontierlab.cancellable` block around the call was cancelled.
    DatasetError
        The dataset does not exist or is incomplete.
    """
    settings, stop = settings or Settings(), threading.Event()
    logs, period = logs_of_datasets(dataset, session=session, settings=settings, allow_incomplete=allow_incomplete)
    queries = different_queries(logs, folder, selection)
    with connect(settings, cancelled=stop) if coolr is None else nullcontext(coolr) as source:
        base = ask_coolr(lambda: iov_base(_base_in(queries), folder, source), stop)
        chosen = json.loads(as_selection(selection).to_json())
        origin = {"dataset": [period.name, period.identity], "selection": chosen}
        yield OpenFolder(folder, logs, queries, base, notes_of(period, selection), origin, source, stop)


def iov_base(known: str | None, folder: FolderTag, source: Source) -> str:
    """Return the IOV base of a folder, run-lumi or time: what the logs say, or else COOLR.

    Raises
    ------
    InvalidRequestError
        Neither knows it.
    CoolrError
        COOLR does not answer.
    """
    if known in _BASES:
        return known
    nodes = {node.nodefullpath: node.nodetime for node in source.nodes(folder.db, folder.schema)}
    base = nodes.get(folder.nodefullpath)
    if base not in _BASES:
        raise InvalidRequestError(
            f"The IOV base of {folder.nodefullpath} is not known: neither the dataset nor the folders of {folder.db} "
            f"{folder.schema} in COOLR name it. The rows of efficiency() show the folders and tags that were asked for."
        )
    return str(base)


def _base_in(queries: pd.DataFrame) -> str | None:
    """Return the IOV base that the logs name; None if they do not."""
    known = queries["is_time"].dropna()
    return None if known.empty else _BASES[bool(known.iloc[0])]
