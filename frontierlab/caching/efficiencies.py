"""Caching efficiency: how many different queries the folders got, how few answers these were, what that cost."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from frontierlab.caching import counting
from frontierlab.caching.counting import NAMES, UNKNOWN_TAG, Background, Counted, count_folders, count_queries
from frontierlab.caching.folder_figures import figures, payloads_of
from frontierlab.caching.folders import Folder, chosen, notes_of, wanted_folders
from frontierlab.coolr import Cancelled, Source, connect
from frontierlab.coolr.protocol import side_by_side
from frontierlab.coolr.responses import PAYLOADS
from frontierlab.errors import CoolrError
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.spark import check_cancelled, open_logs
from frontierlab.storage.store import Dataset, open_dataset
from frontierlab.util.files import scratch_folder
from frontierlab.util.progress import Progress, ProgressCallback, ProgressMeter, reporting

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["COLUMNS", "efficiency"]

_TEXTS = ("cause", "worst_tasks", "problem")
_FLOATS = (
    *("wasted_bytes", "wasted_dbtime", "wasted_bytes_squid", "wasted_dbtime_squid"),
    *("mean_payload_size", "efficiency_iov", "efficiency_content"),
)

COLUMNS = (
    *NAMES,
    *("queries", "different_queries", "different_payloads_iov", "different_payloads_content", "empty_queries"),
    *("different_empty_queries", "cached", "uncached", "failed", "half_given", "backwards", "bytes_served"),
    *_FLOATS,
    *("overlapping_rows", *_TEXTS),
)
"""The columns of the figures, in their order."""


def efficiency(
    dataset: Dataset | str,
    settings: Settings | None = None,
    folders: Iterable[Folder] | pd.DataFrame | None = None,
    *,
    selection: Selection | None = None,
    conditions: Source | None = None,
    session: SparkSession | None = None,
    allow_incomplete: bool = False,
    progress: bool | ProgressCallback = True,
    cancelled: threading.Event | None = None,
) -> pd.DataFrame:
    """Return how well the queries of each folder and tag could be cached, the most wasteful first.

    A query **counts** when ``since >= 0`` and ``until >= since``; it was **served** unless disconn, rejected or
    procerror is true. Two are different when (``sqlhash``, ``since``, ``until``) differ. What a query **gets** is
    the set of payload rows that COOL's SQL returns for the whole folder and tag; see `frontierlab.caching.answer_sets`.
    Spark counts; COOLR is asked once or twice a folder and tag, never per query.

    Parameters
    ----------
    dataset
        A dataset, or the name of one in the data folder of `settings`.
    settings
        By default ``Settings()``. Its data folder holds the different queries meanwhile; with a Spark
        cluster the executors must be able to write there.
    folders
        (db, schema, nodefullpath) of each, or a frame of the catalogue, as
        `frontierlab.catalogues.find_folders` gives it, of which those are taken that the dataset has; all by default.
    selection
        Only queries of it enter, such as those of a window of time; all by default.
    conditions
        Where the payloads come from; by default `frontierlab.coolr.connect` of `settings`.
    session
        The Spark session to use; by default `frontierlab.spark.session` of `settings`.
    allow_incomplete
        Take what is there of an incomplete dataset; the figures are then too small, and a note says so.
    progress
        True shows a bar; False nothing; a function is called with a `Progress` (stages ``counting`` and
        ``folders``) a few times a second in this thread, and stops the work by raising.
    cancelled
        Stops the work once it is set: between two steps of the counting, and between folders.

    Returns
    -------
    pandas.DataFrame
        A row is a folder and tag of which a query with an IOV is logged, by wasted database time, then wasted bytes,
        most first. Tag ``none`` is a folder without tags, ``unknown`` are queries whose tag is not known. Numbers are
        ``Int64`` and ``Float64``, null where there are none, or where ``problem`` says why they are not known.
        ``attrs["notes"]`` are sentences that a reader should know, such as that the dataset is not all there was.
        ``attrs["dataset"]`` (its name and `Dataset.identity`) and ``attrs["selection"]`` (as JSON) say which queries
        the figures are of.

        queries, different_queries : served queries that count; how many of them were different
        different_payloads_iov, different_payloads_content : different answers that are not empty, as sets of (channel,
            since, until) and of (channel, content)
        empty_queries, different_empty_queries : queries with an empty answer, and how many of them were different
        cached, uncached : queries without and with a database query; together `queries`
        failed : queries that count and were not served
        half_given, backwards : queries with since or until alone, and with until < since, served or not
        bytes_served : bytes, of the uncached; a cached answer has no body
        wasted_bytes : bytes, over answers: (different queries that got it - 1) times the mean size of their uncached
            answers, by IOV; so much less would have been sent had each answer been fetched once
        wasted_dbtime : ms, likewise of the different uncached queries and their mean time in the database
        wasted_bytes_squid, wasted_dbtime_squid : the same over answers and Squids, each of which must fetch once;
            queries whose Squid is not known are left out
        mean_payload_size : bytes, mean size of the uncached answers that are not empty
        efficiency_iov, efficiency_content : different answers / (different_queries - different_empty_queries)
        overlapping_rows : payload rows that overlap another one of their channel
        cause : the first that is true of ``mostly failed queries`` (more than were served), ``not known`` (there is
            a problem), ``mostly empty answers`` (of more than half of the queries), ``many queries for few
            payloads`` (efficiency_iov under one half), ``few contents under many IOVs`` (efficiency_content under
            one half), ``fine``
        worst_tasks : the three tasks with the most different queries, with their time in the database
        problem : why there are no payload figures; empty where there are

    Raises
    ------
    InvalidRequestError
        A folder is not in the dataset, or `folders` is something else. Nothing was asked of COOLR.
    DatasetError
        There is no such dataset, or it is incomplete.
    ConfigurationError
        Neither ``coolr_host`` nor ``coolr_archive`` is set.
    SparkError
        Spark does not start here.
    frontierlab.coolr.Cancelled
        `cancelled` was set.
    """
    settings, selection = settings or Settings(), selection or Selection()
    dataset = open_dataset(dataset, settings) if isinstance(dataset, str) else dataset
    wanted = wanted_folders(folders)
    stop = threading.Event()
    with ExitStack() as stack:
        source: Source = connect(settings, cancelled=stop) if conditions is None else conditions
        if conditions is None:
            stack.enter_context(source)
        report = _until_cancelled(stack.enter_context(reporting(progress, "folders")), cancelled)
        logs = open_logs(dataset, session=session, settings=settings, allow_incomplete=allow_incomplete)
        begin = Progress("counting", 0, None, 0.0, None)
        report(begin)
        paths = sorted({folder[2] for folder in wanted or ()})
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        # where Spark does not end in time, it may still write there: what is left is removed the next time
        place = stack.enter_context(scratch_folder(settings.data_dir, ".counting-"))
        work = stack.enter_context(Background())
        target, slices = place / "queries", max(1, -(-_most(dataset) // counting.PIECE))
        queries = work.begin(lambda: count_queries(logs, target, slices, paths, selection))
        counts = work.end(work.begin(lambda: count_folders(logs, paths, selection)), lambda: report(begin))
        counts, notes = chosen(counts, wanted, logs, strict=not isinstance(folders, pd.DataFrame))
        wait_for = partial(work.end, queries)
        frame = _frame([*_rows(counts.to_dict("records"), wait_for, source, report, stop)])
    frame.attrs = {
        "notes": [*notes_of(dataset, selection), *notes],
        "dataset": [dataset.name, dataset.identity],
        "selection": json.loads(selection.to_json()),
    }
    return frame


def _most(dataset: Dataset) -> int:
    """Return how many rows a dataset has, or more; one that is incomplete has no counts."""
    return max(dataset.counts.kept, sum(part.expected for part in dataset.manifest.plan))


def _until_cancelled(report: ProgressCallback, cancelled: threading.Event | None) -> ProgressCallback:
    def show(record: Progress) -> None:
        report(record)
        check_cancelled()
        if cancelled is not None and cancelled.is_set():
            raise Cancelled(f"The caching figures were cancelled while {record.stage}; nothing was stored.")

    return show


def _rows(
    folders: list[dict[Any, Any]],
    queries: Callable[[Callable[[], object]], Counted],
    source: Source,
    report: ProgressCallback,
    stop: threading.Event,
) -> Iterator[dict[Any, Any]]:
    """Yield the row of each folder and tag; COOLR is asked while Spark counts, and `queries` waits for Spark."""
    meter = ProgressMeter("folders", len(folders))
    report(meter.progress())
    for batch in _batches(folders):
        answers = {}
        for one, got in side_by_side(
            lambda folder: _payloads(source, folder), batch, lambda: report(meter.progress()), stop
        ):
            answers[one["folder"]] = got
            meter.add(1)
            report(meter.progress())
        counted = queries(lambda: report(meter.progress("waiting for the counting")))
        numbers = [one["folder"] for one in batch]
        pieces = counted.pieces(*numbers) if len(batch) == 1 else [counted.read(numbers)]
        known = {number: None if isinstance(got, CoolrError) else got for number, got in answers.items()}
        found = figures(pieces, known)
        for one in batch:
            got = answers[one["folder"]]
            row = {**one, **found[one["folder"]], "problem": str(got) if isinstance(got, CoolrError) else ""}
            yield {**row, "cause": _cause(row)}
    report(meter.progress())


def _batches(folders: list[dict[Any, Any]]) -> Iterator[list[dict[Any, Any]]]:
    """Yield folders whose queries fit into memory together, in the order of their numbers."""
    batch: list[dict[Any, Any]] = []
    for folder in sorted(folders, key=lambda one: int(one["folder"])):
        if batch and sum(one["queries"] for one in batch) + folder["queries"] > counting.PIECE:
            yield batch
            batch = []
        batch.append(folder)
    if batch:
        yield batch


def _payloads(source: Source, folder: dict[Any, Any]) -> pa.Table:
    if folder["tagname"] == UNKNOWN_TAG:
        raise CoolrError("The tag of these queries is not known.")
    if not folder["queries"]:
        return PAYLOADS.empty_table()
    nodetime = None if pd.isna(folder["nodetime"]) else folder["nodetime"]
    return payloads_of(source, folder, folder["first"], folder["last"], nodetime)


def _cause(row: dict[Any, Any]) -> str:
    if row["failed"] > row["queries"]:
        return "mostly failed queries"
    if row["problem"]:
        return "not known"
    if 2 * row["empty_queries"] > row["queries"]:
        return "mostly empty answers"
    if row["efficiency_iov"] is not None and row["efficiency_iov"] < 0.5:
        return "many queries for few payloads"
    if row["efficiency_content"] is not None and row["efficiency_content"] < 0.5:
        return "few contents under many IOVs"
    return "fine"


def _frame(rows: list[dict[Any, Any]]) -> pd.DataFrame:
    kinds = dict.fromkeys((*NAMES, *_TEXTS), "string") | dict.fromkeys(_FLOATS, "Float64")
    columns = {name: pd.Series([row.get(name) for row in rows], dtype=kinds.get(name, "Int64")) for name in COLUMNS}
    order = ["wasted_dbtime", "wasted_bytes", *NAMES]
    frame = pd.DataFrame(columns).sort_values(order, ascending=[False, False, *[True] * len(NAMES)])
    return frame.reset_index(drop=True)
