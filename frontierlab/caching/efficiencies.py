"""Caching efficiency: the different queries of each folder, their different answers, and the cost of repeats."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

from frontierlab.caching.causes import WORTH_BYTES, WORTH_SECONDS, Worth
from frontierlab.caching.computing import compute
from frontierlab.caching.folders import Folder
from frontierlab.coolr import Source
from frontierlab.engines.logs import Logs
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.storage.store import Datasets
from frontierlab.util.progress import ProgressCallback

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["efficiency"]


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
        row together reach `worth_seconds` or `worth_bytes`; ``below the threshold`` if the row is small and badly
        cached (efficiency below 0.5, by IOV or content, or more than half of the queries empty or repeated), or if its
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
    with compute(
        dataset,
        settings,
        folders,
        selection=selection,
        worth=Worth(worth_seconds, worth_bytes),
        coolr=coolr,
        session=session,
        allow_incomplete=allow_incomplete,
        progress=progress,
        cancelled=cancelled,
    ) as computed:
        return computed.frame
