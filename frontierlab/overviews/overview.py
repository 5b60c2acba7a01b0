"""`frontierlab.overview`: what an index holds, without extracting it."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from datetime import date, datetime

from frontierlab.catalogue import Catalogue
from frontierlab.elastic.client import Index
from frontierlab.elastic.connection import ElasticOptions
from frontierlab.errors import InvalidRequestError
from frontierlab.extraction.examination import examine
from frontierlab.extraction.request import make_request
from frontierlab.filters.bins import TimeBins
from frontierlab.filters.top import check_top
from frontierlab.overviews.look import Look, Steps
from frontierlab.overviews.remarks import Remarks
from frontierlab.overviews.result import Overview
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.util.progress import ProgressCallback, reporting

__all__ = ["SECONDS", "overview"]

SECONDS = 300.0
"""The longest time for one search and its answer."""

_MOST = 1_000  # groups with their own row; Elasticsearch is asked for more, so that these are right


def overview(
    settings: Settings | str | os.PathLike[str] | None = None,
    *,
    since: str | date | datetime | None = None,
    until: str | date | datetime | None = None,
    selection: Selection | None = None,
    bin_seconds: float | None = None,
    top: int = 10,
    progress: bool | ProgressCallback = True,
) -> Overview:
    """Look at what an index holds, by aggregations in Elasticsearch; nothing is extracted or written.

    The numbers are those that the filters give for an extraction of the same period: queries of the configured
    databases (``db_instances``), cached and not, by kind, over time, and of the largest databases, schemas, folders,
    tasks, servers, sites and Squids. Folders that documents name by id only are named from the catalogue
    (``coolr_file``) if there is one; it is not refreshed. All searches see the same documents, those of the moment
    at which the look began.

    Counts are exact for the index. `Overview.notes` says where an extraction can differ: it reads values that the
    index did not take, and keeps malformed documents apart. If a field has too many values for an answer, the largest
    are still counted exactly, and `Overview.warnings` says how many queries a value can have that is not shown.

    Parameters
    ----------
    settings
        Settings, or the path of a configuration file; by default ``Settings()``. ``es_index`` is looked at.
    since, until
        The period ``[since, until)``. A time without a zone is UTC, another zone is converted. Without `since` it
        starts at the first document, without `until` it ends now.
    selection
        Count only these queries; times of the selection are the period. By default all are counted. Folders and tags
        are selected as in completed rows, also where documents name them by id.
    bin_seconds
        Width of a time bin in seconds, a multiple of 0.001; by default a minute to a week, for about 300 bins.
    top
        How many groups of each kind have their own row, 1 to 1,000.
    progress
        True shows a bar, False nothing. A function is called with a `Progress` a few times a second in this thread;
        it stops the look by raising an error.

    Returns
    -------
    Overview
        The frames, what they are of, and the call that would extract these queries (`Overview.extraction`).

    Raises
    ------
    InvalidRequestError, ConfigurationError
        An argument or setting is not valid, or the indices cannot be searched by a condition of the selection; then
        extract the period and filter its rows.
    CatalogueError
        The file of the catalogue is not a catalogue.
    ElasticsearchError
        The server cannot be reached or refuses, the index does not exist, or an answer was not whole. Partial answers
        are not used.

    Examples
    --------
    >>> import frontierlab as fl
    >>> fl.overview(since="2026-10-01", until="2026-10-02")  # doctest: +SKIP
    """
    settings = settings if isinstance(settings, Settings) else Settings(settings)
    request = make_request(settings, since=since, until=until, selection=selection)
    check_top(top)
    if not 1 <= top <= _MOST:
        raise InvalidRequestError(f"top={top!r}: give a whole number of groups from 1 to {_MOST:,}.")
    if bin_seconds is not None:
        TimeBins(bin_seconds).check(Selection(since=request.since, until=request.until))
    path = settings.catalogue_path
    catalogue = Catalogue.read(path) if path.exists() else None
    with reporting(progress, "searches") as report:
        steps = Steps(report)
        with closing(Index(ElasticOptions.of(settings), threading.Event(), steps.tell, SECONDS)) as index:
            examined = examine(index, request)
            remarks = Remarks(examined.notes, examined.partial)
            return Look(index, request, catalogue, steps, bin_seconds, top, remarks).overview()
