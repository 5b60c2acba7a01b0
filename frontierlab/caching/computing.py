"""The work of `frontierlab.caching.efficiency`, and advice on single folders from the same counts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from frontierlab.caching import counting
from frontierlab.caching.advice import Advice
from frontierlab.caching.causes import Worth, cause_of
from frontierlab.caching.counted_folder import askers_among, different_among
from frontierlab.caching.counting import KEYS, Asker, Background, Counted, count_folders, count_queries, name_askers
from frontierlab.caching.folder_figures import figures
from frontierlab.caching.folders import Folder, chosen, wanted_folders
from frontierlab.caching.grids import Asked, what_if_of
from frontierlab.caching.history_records import extracted_parts
from frontierlab.caching.notes import notes_of
from frontierlab.caching.open_folder import iov_base
from frontierlab.caching.payloads import ask_coolr, payloads_of
from frontierlab.caching.queries import FolderTag
from frontierlab.caching.ranking import ranked
from frontierlab.coolr import Cancelled, Source, connect
from frontierlab.coolr.calls import Unavailable
from frontierlab.coolr.protocol import side_by_side
from frontierlab.coolr.responses import PAYLOADS
from frontierlab.engines.engine_choice import logs_of_datasets
from frontierlab.engines.logs import Logs
from frontierlab.engines.own_statements import ANSWERED, answered
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

__all__ = ["COLUMNS", "Computed", "compute"]

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


@dataclass(frozen=True)
class Computed:
    """What `compute` yields.

    Parameters
    ----------
    frame
        The frame of `frontierlab.caching.efficiency`.
    counts
        The counts of its folders and tags.
    queries
        Their different queries.
    askers
        Who sent them, by the hashes in `queries`.
    source
        The COOLR that has the payloads.
    stop
        Set on cancellation, so that running calls of COOLR end.
    worth
        What a saving must reach to be a cause.
    """

    frame: pd.DataFrame
    counts: pd.DataFrame
    queries: Counted
    askers: Mapping[int, Asker]
    source: Source
    stop: threading.Event
    worth: Worth

    def advice(self, folder: FolderTag) -> Advice:
        """Return the advice of `frontierlab.caching.what_if` on a folder and tag of the frame.

        The queries are not counted again. COOLR is asked once more, for the payloads beside those that were asked for.

        Raises
        ------
        InvalidRequestError
            The tag or the IOV base is not known.
        CoolrError
            COOLR does not give the payloads.
        Cancelled
            A `frontierlab.cancellable` block around the call was cancelled.
        """
        same = (self.counts[[*KEYS]] == pd.Series(folder._asdict())).all(axis=1)
        (count,) = self.counts[same].to_dict("records")
        rows = self.queries.read([count["folder_hash"]])
        known = None if pd.isna(count["nodetime"]) else str(count["nodetime"])
        base = ask_coolr(lambda: iov_base(known, folder, self.source), self.stop)

        def payloads(since: int, until: int) -> pa.Table:
            return ask_coolr(lambda: payloads_of(self.source, folder._asdict(), since, until, base), self.stop)

        asked = Asked(folder, different_among(rows), askers_among(rows, self.askers), count["failed"], base, payloads)
        told = what_if_of(asked, None, self.worth).attrs
        return Advice(f"{folder.nodefullpath} ({folder.tagname})", told["cure"], told["reasons"])


@contextmanager
def compute(
    dataset: Logs | Datasets,
    settings: Settings | None = None,
    folders: Iterable[Folder] | pd.DataFrame | None = None,
    *,
    selection: Selection | None = None,
    worth: Worth,
    coolr: Source | None = None,
    session: SparkSession | None = None,
    allow_incomplete: bool = False,
    progress: bool | ProgressCallback = True,
    cancelled: threading.Event | None = None,
) -> Iterator[Computed]:
    """Compute the figures of `frontierlab.caching.efficiency`; its counts are there until the block ends.

    The parameters and errors are those of `frontierlab.caching.efficiency`.
    """
    settings, selection = settings or Settings(), as_selection(selection)
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
        counted = wait_for(lambda: None)
        frame.attrs = {
            "notes": [*notes_of(period, selection), *notes],
            "dataset": [period.name, period.identity],
            "selection": json.loads(selection.to_json()),
            "extracted": extracted_parts(period),
            "worth": {"seconds": worth.seconds, "bytes": worth.size},
            ANSWERED: answered(found.attrs[ANSWERED], counted.answered),
            "unavailable": sum(row["unavailable"] for row in rows),
        }
        yield Computed(frame, counts, counted, askers, source, stop, worth)


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
