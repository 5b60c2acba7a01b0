"""Caching efficiency: the different queries of each folder, their different answers, and the cost of repeats."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from frontierlab.caching import counting
from frontierlab.caching.causes import WORTH_BYTES, WORTH_SECONDS, Worth, cause_of
from frontierlab.caching.counting import KEYS, Asker, Background, Counted, count_folders, count_queries, name_askers
from frontierlab.caching.folder_figures import figures
from frontierlab.caching.folders import Folder, chosen, wanted_folders
from frontierlab.caching.history_records import extracted_parts
from frontierlab.caching.notes import notes_of
from frontierlab.caching.payloads import payloads_of
from frontierlab.caching.ranking import ranked
from frontierlab.coolr import Cancelled, Source, connect
from frontierlab.coolr.calls import Unavailable
from frontierlab.coolr.protocol import side_by_side
from frontierlab.coolr.responses import PAYLOADS
from frontierlab.engines.asking import ANSWERED, answered
from frontierlab.engines.logs import Logs
from frontierlab.engines.opening import logs_of_datasets
from frontierlab.errors import CoolrError
from frontierlab.schema import UNKNOWN_TAG
from frontierlab.selection import Selection, as_selection
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.store import Datasets
from frontierlab.util.cancelling import check_cancelled
from frontierlab.util.files import scratch_folder
from frontierlab.util.progress import Progress, ProgressCallback, ProgressMeter, reporting

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["COLUMNS", "efficiency"]

_TEXTS = ("cause", "worst_tasks", "repeated_by", "problem")
_FLOATS = (
    *("wasted_bytes", "wasted_dbtime", "wasted_bytes_squid", "wasted_dbtime_squid"),
    *("wasted_bytes_content", "wasted_dbtime_content"),
    *("mean_payload_size", "efficiency_iov", "efficiency_content"),
)

COLUMNS = (
    *KEYS,
    *("queries", "different_queries", "different_payloads_iov", "different_payloads_content", "empty_queries"),
    *("different_empty_queries", "cached", "uncached", "failed", "half_given", "backwards", "bytes_served"),
    *("dbtime", "repeated_queries", "repeated_bytes", "repeated_dbtime", "off_grid_queries"),
    *_FLOATS,
    *("overlapping_rows", *_TEXTS),
)
"""The columns of the figures, in their order."""


def efficiency(
    dataset: Logs | Datasets,
    settings: Settings | None = None,
    folders: Iterable[Folder] | pd.DataFrame | None = None,
    *,
    selection: Selection | None = None,
    worth_seconds: float = WORTH_SECONDS,
    worth_bytes: float = WORTH_BYTES,
    coolr: Source | None = None,
    session: SparkSession | None = None,
    allow_incomplete: bool = False,
    progress: bool | ProgressCallback = True,
    cancelled: threading.Event | None = None,
) -> pd.DataFrame:
    """Compute how well the queries of each folder and tag could be cached, the most wasteful first.

    A query **counts** if ``since >= 0`` and ``until >= since``; it was **served** unless disconn, rejected or
    procerror is true. Two queries are different if (``sqlhash``, ``since``, ``until``) differ. The **answer** of a
    query is the set of payload rows that COOL's SQL returns for the whole folder and tag; see
    `frontierlab.caching.answer_sets`. DuckDB or Spark counts the queries. COOLR gets one or two calls for each folder
    and tag.

    Parameters
    ----------
    dataset
        A dataset, the name of one in the data folder of `settings`, a list of these, or what `frontierlab.open_logs`
        returned.
    settings
        By default ``Settings()``. The data folder holds the different queries temporarily; the executors of a
        Spark cluster must be able to write there.
    folders
        A list of (db, schema, nodefullpath), or a frame from `frontierlab.catalogues.find_folders`; folders of the
        frame that are not in the dataset are ignored. By default all.
    selection
        The queries to count, for example a window of time; by default all.
    worth_seconds, worth_bytes
        What a saving must reach, in seconds of database time or in bytes, to be a cause. They are those of the whole
        data: give smaller ones for an hour, and larger ones for a month. ``attrs["worth"]`` has them.
    coolr
        The source of payloads; by default `frontierlab.coolr.connect` of `settings`.
    session
        The Spark session to use. If one is given, Spark answers; otherwise ``engine`` of `settings` says what answers.
    allow_incomplete
        Use the existing files of an incomplete dataset; the figures are then too small, and a note says so.
    progress
        True shows a bar, False shows nothing. A function is called with a `Progress` (stages ``counting`` and
        ``folders``) a few times a second in this thread, and can stop the work by raising.
    cancelled
        Set it to stop the work between two steps of the counting, or between folders.

    Returns
    -------
    pandas.DataFrame
        A row is a folder and tag with at least one logged query with an IOV, sorted by the larger of wasted and
        repeated database time, then of bytes, largest first. The tag ``none`` is a folder without tags; ``unknown`` is
        queries with an unknown tag. Numbers are ``Int64`` and ``Float64``; null if undefined, or if ``problem`` gives a
        reason. ``attrs["notes"]`` are sentences for the reader, for example that the dataset is incomplete.
        ``attrs["dataset"]`` (name and `Dataset.identity`), ``attrs["selection"]`` (JSON) and ``attrs["extracted"]``
        (conditions with which the dataset was extracted, each as JSON) identify the queries.
        ``attrs["answered"]`` says what counted them. ``attrs["unavailable"]`` is the number of folders and tags for
        which COOLR did not answer this time; a later call can have their payload figures.

        queries, different_queries : served queries that count; how many of them are different
        different_payloads_iov, different_payloads_content : different non-empty answers, as sets of (channel,
            since, until) and of (channel, content)
        empty_queries, different_empty_queries : queries with an empty answer; how many of them are different
        cached, uncached : queries without and with a database query; their sum is `queries`
        failed : queries that count and were not served
        half_given, backwards : queries with only one of since and until, and with until < since, served or not
        bytes_served : bytes of uncached responses; a cached response has no body
        dbtime : ms, database time of uncached queries
        repeated_queries : uncached queries beyond the first of each different query of a Squid, or of a site where the
            Squid is not known: a cache that kept the answer would have spared them
        repeated_bytes, repeated_dbtime : bytes and ms of these: the sum over a Squid's equal queries, but for the
            largest value, so that this is a lower bound. All three are null if no uncached query names a Squid or site
        off_grid_queries : different queries whose IOV is on no grid: it neither starts at a multiple of a third of its
            width, as Athena asks, nor consists of whole runs
        wasted_bytes : bytes, the sum over answers (by IOV) of (different queries with this answer - 1) times the mean
            size of their uncached responses; this is what fetching each answer only once would have saved
        wasted_dbtime : ms, the same for different uncached queries and their mean database time
        wasted_bytes_squid, wasted_dbtime_squid : the same sums over pairs of answer and Squid, because each Squid
            must fetch an answer once; queries with an unknown Squid are left out
        wasted_bytes_content, wasted_dbtime_content : the same sums over answers by content, whatever their IOVs
        mean_payload_size : bytes, mean size of uncached responses that are not empty
        efficiency_iov, efficiency_content : different answers / (different_queries - different_empty_queries)
        overlapping_rows : payload rows that overlap another row of their channel
        cause : see below
        worst_tasks : the three tasks with the most different queries, with their database time
        repeated_by : the three Squids (or sites) with the most database time of repeats
        problem : why there are no payload figures; empty if there are

        A different query is an ``sqlhash``, the hash of the SQL text, with the folder, tag and IOV. The text itself
        (``sqlquery``) is not used, whether or not it was extracted. Queries without an ``sqlhash`` are the same if
        their folder, tag and IOV are; those for different channels are then taken for repeats.

        The ``cause`` is ``mostly failed queries`` if more failed than were served. Otherwise it is the one whose end
        would save the largest share of the row's database time and bytes, of those that would save `worth_seconds` or
        `worth_bytes`:

        - ``same query not cached``: repeated_dbtime and repeated_bytes;
        - ``many queries for few payloads``: wasted_dbtime and wasted_bytes. It is ``IOVs on no grid`` if most of the
          different queries are on no grid, and ``different queries for some payloads`` if efficiency_iov is at least
          0.5;
        - ``few contents under many IOVs``: what wasted_dbtime_content and wasted_bytes_content are more than these;
        - ``mostly empty answers``: the queries with an empty answer, if they are more than half.

        If there is none, the cause is ``not known`` if a problem hides payload figures and all uncached queries of the
        row together reach `worth_seconds` or `worth_bytes`; ``nothing to gain`` if the row is badly cached but small
        (efficiency_iov or efficiency_content below 0.5, or more than half of the queries empty or repeated), or if its
        problem hides no more than that; and else ``fine``.

    Raises
    ------
    InvalidRequestError
        A folder is not in the dataset, or `folders`, `selection` or a threshold is invalid. COOLR was not called.
    DatasetError
        The dataset does not exist or is incomplete.
    ConfigurationError
        Neither ``coolr_host`` nor ``coolr_archive`` is set.
    StatementError, SparkError
        A statement failed, or Spark does not start.
    frontierlab.coolr.Cancelled
        `cancelled` was set.
    """
    settings, selection = settings or Settings(), as_selection(selection)
    worth = Worth(worth_seconds, worth_bytes)
    wanted = wanted_folders(folders)
    stop = threading.Event()
    with ExitStack() as stack:
        source: Source = connect(settings, cancelled=stop) if coolr is None else coolr
        if coolr is None:
            stack.enter_context(source)
        report = _until_cancelled(stack.enter_context(reporting(progress, "folders")), cancelled)
        logs, period = logs_of_datasets(dataset, session=session, settings=settings, allow_incomplete=allow_incomplete)
        begin = Progress("counting", 0, None, 0.0, None)
        report(begin)
        paths = sorted({folder[2] for folder in wanted or ()})
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        # a cancelled Spark job can still write there; the next call removes leftovers
        place = stack.enter_context(scratch_folder(settings.data_dir, ".counting-"))
        work = stack.enter_context(Background())
        target, slices = place / "queries", max(1, -(-sum(map(_most_rows, period.datasets)) // counting.PIECE))
        queries = work.submit(lambda: count_queries(logs, target, slices, paths, selection))
        found = work.wait(work.submit(lambda: count_folders(logs, paths, selection)), lambda: report(begin))
        askers = work.wait(work.submit(lambda: name_askers(logs, paths, selection)), lambda: report(begin))
        counts, notes = chosen(found, wanted, logs, strict=not isinstance(folders, pd.DataFrame))
        wait_for = partial(work.wait, queries)
        rows = [*_rows(counts.to_dict("records"), wait_for, askers, source, report, stop)]
        rows = [{**row, "cause": cause_of(row, worth)} for row in rows]
        frame = _frame(rows)
        by = answered(found.attrs[ANSWERED], wait_for(lambda: None).answered)
    frame.attrs = {
        "notes": [*notes_of(period, selection), *notes],
        "dataset": [period.name, period.identity],
        "selection": json.loads(selection.to_json()),
        "extracted": extracted_parts(period),
        "worth": {"seconds": worth.seconds, "bytes": worth.size},
        ANSWERED: by,
        "unavailable": sum(row["unavailable"] for row in rows),
    }
    return frame


def _most_rows(dataset: Dataset) -> int:
    """Return an upper bound of the rows of a dataset; an incomplete dataset has no counts, only a plan."""
    return max(dataset.counts.kept, sum(part.expected for part in dataset.manifest.plan))


def _until_cancelled(report: ProgressCallback, cancelled: threading.Event | None) -> ProgressCallback:
    def show(record: Progress) -> None:
        report(record)
        check_cancelled()
        if cancelled is not None and cancelled.is_set():
            raise Cancelled(f"The caching figures were cancelled at the stage {record.stage}; nothing was stored.")

    return show


def _rows(
    folders: list[dict[Any, Any]],
    queries: Callable[[Callable[[], object]], Counted],
    askers: Mapping[int, Asker],
    source: Source,
    report: ProgressCallback,
    stop: threading.Event,
) -> Iterator[dict[Any, Any]]:
    """Yield the row of each folder and tag; COOLR is called while queries are counted, and `queries` waits for them."""
    meter = ProgressMeter("folders", len(folders))
    report(meter.progress())
    for batch in _batches(folders):
        received: dict[int, pa.Table | CoolrError] = {}
        for one, got in side_by_side(
            lambda folder: _payloads(source, folder), batch, lambda: report(meter.progress()), stop
        ):
            received[one["folder_hash"]] = got
            meter.add(1)
            report(meter.progress())
        counted = queries(lambda: report(meter.progress("waiting for the counting")))
        hashes = [one["folder_hash"] for one in batch]
        pieces = counted.pieces(*hashes) if len(batch) == 1 else [counted.read(hashes)]
        known = {hash_: None if isinstance(got, CoolrError) else got for hash_, got in received.items()}
        found = figures(pieces, known, askers)
        for one in batch:
            got = received[one["folder_hash"]]
            row = {**one, **found[one["folder_hash"]], "problem": str(got) if isinstance(got, CoolrError) else ""}
            yield {**row, "unavailable": isinstance(got, Unavailable)}
    report(meter.progress())


def _batches(folders: list[dict[Any, Any]]) -> Iterator[list[dict[Any, Any]]]:
    """Yield batches of folders whose queries fit into memory, in the order of their hashes."""
    batch: list[dict[Any, Any]] = []
    for folder in sorted(folders, key=lambda one: int(one["folder_hash"])):
        if batch and sum(one["queries"] for one in batch) + folder["queries"] > counting.PIECE:
            yield batch
            batch = []
        batch.append(folder)
    if batch:
        yield batch


def _payloads(source: Source, folder: dict[Any, Any]) -> pa.Table:
    """Return the payloads of a row of counts; a CoolrError says why they are not known."""
    if folder["tagname"] == UNKNOWN_TAG:
        raise CoolrError("The tag of these queries is not known.")
    if not folder["queries"]:
        return PAYLOADS.empty_table()
    nodetime = None if pd.isna(folder["nodetime"]) else folder["nodetime"]
    return payloads_of(source, folder, folder["first"], folder["last"], nodetime)


def _frame(rows: list[dict[Any, Any]]) -> pd.DataFrame:
    types = dict.fromkeys((*KEYS, *_TEXTS), "string") | dict.fromkeys(_FLOATS, "Float64")
    columns = {name: pd.Series([row.get(name) for row in rows], dtype=types.get(name, "Int64")) for name in COLUMNS}
    return ranked(pd.DataFrame(columns))
