"""`frontierlab.extract`: query logs from Elasticsearch or an export file into a dataset."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Literal, overload

from frontierlab.extraction.dry_run import DryRun, estimate
from frontierlab.extraction.options import ExtractionOptions
from frontierlab.extraction.request import make_request
from frontierlab.extraction.run import extract_request, planning
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset, dataset_path
from frontierlab.storage.losses import warn_of_losses
from frontierlab.util.progress import ProgressCallback

__all__ = ["extract"]


@overload
def extract(
    settings: Settings | str | os.PathLike[str] | None = None,
    *,
    name: str,
    since: str | date | datetime | None = None,
    until: str | date | datetime | None = None,
    cached: bool | None = None,
    taskid: int | None = None,
    selection: Selection | None = None,
    source: str | os.PathLike[str] | None = None,
    extra_fields: Sequence[str] | Mapping[str, str] = (),
    complete: bool = True,
    dry_run: Literal[False] = False,
    progress: bool | ProgressCallback = True,
) -> Dataset: ...


@overload
def extract(
    settings: Settings | str | os.PathLike[str] | None = None,
    *,
    name: str = "",
    since: str | date | datetime | None = None,
    until: str | date | datetime | None = None,
    cached: bool | None = None,
    taskid: int | None = None,
    selection: Selection | None = None,
    source: str | os.PathLike[str] | None = None,
    extra_fields: Sequence[str] | Mapping[str, str] = (),
    complete: bool = True,
    dry_run: Literal[True],
    progress: bool | ProgressCallback = True,
) -> DryRun: ...


def extract(
    settings: Settings | str | os.PathLike[str] | None = None,
    *,
    name: str = "",
    since: str | date | datetime | None = None,
    until: str | date | datetime | None = None,
    cached: bool | None = None,
    taskid: int | None = None,
    selection: Selection | None = None,
    source: str | os.PathLike[str] | None = None,
    extra_fields: Sequence[str] | Mapping[str, str] = (),
    complete: bool = True,
    dry_run: bool = False,
    progress: bool | ProgressCallback = True,
) -> Dataset | DryRun:
    """Extract query logs from Elasticsearch, or from an export file, and store them as a dataset.

    A row of the dataset is one query that reached a Frontier server (`frontierlab.schema` has the
    columns). Documents of databases that are not in ``db_instances`` are left out. Malformed documents
    are kept apart with the reason (`Dataset.malformed`). Ids and names are completed from the catalogue.
    In the manifest's counts ``read = kept + left_out + malformed``, always.

    Memory use does not grow with the number of documents. The period is split into parts, and each
    part is stored when it is finished. After an interruption the dataset is incomplete. The same call
    then reads the missing parts; the rows are those of an uninterrupted run, if the index did not
    change.

    Parameters
    ----------
    settings
        Settings, or the path of a configuration file; by default ``Settings()``.
    name
        Name of the dataset: letters, digits, ``.``, ``_`` and ``-``.
    since, until
        The period ``[since, until)``. A time without a zone is UTC, another zone is converted.
        Without `since` it starts at the first document. Without `until` it ends at the time of the
        first call (for a file: at the last document).
    cached
        True or False extracts only such queries; None both.
    taskid
        Extract only queries of this PanDA task.
    selection
        Extract only the selected queries, with the meaning that a `Selection` has on opened logs: the rows are those
        that the whole extraction would have, filtered. Elasticsearch gets the selection as part of its query, and
        sends what can meet it; the completed rows decide. A folder or tag is also found by its id in the catalogue.
        A value that is in the selection and in an argument (`since`, `until`, `cached`, `taskid`) must be the same.
        Rows that do not meet the selection are left out, as ``outside the selection``; documents that
        Elasticsearch did not send are not counted.
    source
        Path of an export file: JSON documents in lines, one after another, in an array, in lines of
        elasticdump or in saved answers of searches; UTF-8, UTF-16 or UTF-32; plain or compressed (see
        `frontierlab.exports.export_file.ExportFile`). A document that repeats the ``_index`` and ``_id``
        of an earlier one is left out. By default the ``es_index`` of the settings is read.
    extra_fields
        Further fields of the documents; each becomes a nullable column of the same name. A dict also
        gives the type of each: integer, number, flag, name, time, or json, which keeps any value as its
        JSON text. By default the type follows the mapping of the index (objects are json); in a file it
        is name. A value that does not fit is null, and counted in the manifest as ``unfit``.
    complete
        False leaves ids and names as they were logged, and needs no catalogue. True uses the catalogue. If it is
        missing, or older than ``coolr_refresh_hours``, it is built from COOLR first. If that fails, an old
        catalogue is used with a warning.
    dry_run
        Only return what would be done: the body of the search, the number of documents, an estimate
        of the size. Nothing is written, and `name` is not needed.
    progress
        True shows a bar, False nothing. A function is called with a `Progress` a few times a second
        in this thread; it stops the extraction by raising an error.

    Returns
    -------
    Dataset
        A complete dataset. If ``limit_queries`` cut it (by time, earliest first, at a whole
        millisecond), the manifest and a warning say so. The limit counts the documents that Elasticsearch
        sends, or the selected documents of a file; `frontierlab.storage.losses` has all warnings.
    DryRun
        If `dry_run` is True.

    Raises
    ------
    InvalidRequestError, ConfigurationError, CatalogueError
        An argument or setting is not valid, or the catalogue is missing and cannot be built. Nothing was done.
    DatasetError
        The name belongs to a complete dataset, to an incomplete one of another request (the message
        names the difference), or to one in use. That dataset was not changed.
    ElasticsearchError
        The server cannot be reached or refuses, or the index does not exist. Nothing was done.
    InterruptedExtraction
        The extraction stopped early. Finished parts are kept, and the same call resumes.

    Examples
    --------
    >>> import frontierlab as fl
    >>> dataset = fl.extract(fl.sample.settings(), source=fl.sample.path(), name="sample")  # doctest: +SKIP
    """
    settings = settings if isinstance(settings, Settings) else Settings(settings)
    request = make_request(
        settings,
        since=since,
        until=until,
        cached=cached,
        taskid=taskid,
        selection=selection,
        source=source,
        extra_fields=extra_fields,
        complete=complete,
    )
    options = ExtractionOptions.of(settings, request)
    if dry_run:
        return estimate(request, options, planning(progress))
    dataset = extract_request(dataset_path(name, settings.data_dir), request, options, progress)
    warn_of_losses(dataset, settings)
    return dataset
