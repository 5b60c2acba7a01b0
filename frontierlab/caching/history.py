"""The history of caching efficiency: store results, read them back and compare them over time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from frontierlab.caching.comparing import compare, compare_figure
from frontierlab.caching.counting import KEYS
from frontierlab.caching.frames import require_columns
from frontierlab.caching.history_records import (
    COLUMNS,
    MAPPING,
    document_of,
    identity,
    part_of,
    record_of,
    records_of,
    rows_of_file,
)
from frontierlab.elastic.client import Index
from frontierlab.elastic.connection import ElasticOptions
from frontierlab.elastic.queries import search_body
from frontierlab.errors import ElasticsearchError, FrontierlabError, InvalidRequestError
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.storage.history_files import history_file, read_history_files, replacing_history_file
from frontierlab.storage.periods import Period
from frontierlab.storage.store import Datasets, as_period

__all__ = ["compare", "compare_figure", "read", "require_storable", "store"]

_TYPES = {pa.string(): pd.StringDtype(), pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype()}
_Found = tuple[list[dict[str, Any]], list[tuple[str, str]]]  # records; reason and text of unreadable documents


def store(frame: pd.DataFrame, dataset: Datasets, settings: Settings | None = None) -> int:
    """Store the caching efficiency of a dataset or a period, so that it can be read back and compared.

    If ``es_caching_efficiency_index`` is set, the records go to that index in one bulk request; a missing index is
    created. Otherwise they go to the folder ``caching`` in ``data_dir``. A record is identified by dataset name,
    period, folder and tag. Storing it again replaces the earlier record.

    Parameters
    ----------
    frame
        The frame that `frontierlab.caching.efficiency` returned.
    dataset
        The dataset of these figures, its name, a list of several, or the period. The stored period is the requested
        period of the dataset, or else that of its rows; for a selected window of time it is the overlap of both. For
        several datasets it is their ``since`` and ``until`` (`frontierlab.datasets.Period`).
    settings
        By default ``Settings()``.

    Returns
    -------
    int
        The number of records.

    Raises
    ------
    InvalidRequestError
        The frame lacks a column, belongs to another dataset, or covers only part of the queries of its folders.
    ElasticsearchError
        The server cannot be reached, refuses, or stored only some records; the same call stores the rest.
    DatasetError
        The history files cannot be read or written, or another process has been writing them for a minute.
        The files are unchanged.
    """
    settings = settings or Settings()
    require_columns(frame, (*KEYS, "queries"), "efficiency()")
    period = as_period(dataset, settings)
    selection = _selection(frame, period)
    records = records_of(frame, period, selection)
    if records and settings.es_caching_efficiency_index is not None:
        _store_in_index(records, settings)
    elif records:
        _store_in_folder(records, settings.data_dir / "caching")
    return len(records)


def _selection(frame: pd.DataFrame, period: Period) -> Selection:
    """Return the selection of the figures; raise unless they belong to the datasets and can be stored."""
    name, identity = frame.attrs.get("dataset", (period.name, period.identity))
    if (name, identity) != (period.name, period.identity):
        raise InvalidRequestError(
            f"These figures are of the dataset {name} ({identity}), not of {period.name} ({period.identity}). "
            "Compute them again."
        )
    selection = Selection.from_json(frame.attrs.get("selection", {}))
    require_storable(selection)
    return selection


def require_storable(selection: Selection) -> None:
    """Check that figures of a selection can be stored: those of all queries of folders, tags or a window of time.

    Raises
    ------
    InvalidRequestError
        They cannot.
    """
    part = part_of(selection)
    if part != Selection():
        raise InvalidRequestError(
            f"These figures cover only part of the queries ({part.in_words()}). The history holds all queries of a "
            "folder and tag over a period: compute the figures without that choice to store them."
        )


@contextmanager
def _history(settings: Settings) -> Iterator[Index]:
    index = Index(ElasticOptions.of(settings, index=str(settings.es_caching_efficiency_index)))
    try:
        yield index
    finally:
        index.close()


def _store_in_index(records: list[dict[str, Any]], settings: Settings) -> None:
    with _history(settings) as index:
        client, name = index.client, index.name
        if index.ask(lambda: client.indices.exists(index=name)):
            index.ask(lambda: client.indices.put_mapping(index=name, properties=MAPPING))
        else:
            index.ask(lambda: client.indices.create(index=name, mappings={"properties": MAPPING}))
        operations: list[dict[str, Any]] = []
        for record in records:
            operations += [{"index": {"_index": name, "_id": identity(record)}}, document_of(record)]
        response = index.ask(lambda: client.bulk(operations=operations, refresh=True))
        errors = [item["index"]["error"] for item in response["items"] if "error" in item["index"]]
        if errors:
            raise ElasticsearchError(
                f"{name} refused {len(errors):,} of {len(records):,} records ({errors[0].get('reason')}); the others "
                "are stored. The same call stores them all again, none twice."
            )


def _store_in_folder(records: list[dict[str, Any]], folder: Path) -> None:
    record = records[0]
    path = history_file(folder, record["dataset"], record["period_since"], record["period_until"])
    with replacing_history_file(path) as temporary:
        former = rows_of_file(path) if path.exists() else []
        now = pa.Table.from_pylist(records, schema=COLUMNS).to_pylist()
        kept = {tuple(row[key] for key in KEYS): row for row in (*former, *now)}
        pq.write_table(pa.Table.from_pylist(list(kept.values()), schema=COLUMNS), temporary)


def read(
    settings: Settings | None = None,
    *,
    nodefullpath: str | None = None,
    tagname: str | None = None,
    dataset: str | None = None,
) -> pd.DataFrame:
    """Read the history back, from the index or the data folder (see `store`).

    Documents of the older tool are read too. Their ``payloadsize`` (MB, of the last query's payload) becomes
    ``mean_payload_size`` (bytes), and ``#differentpayloads`` becomes ``different_payloads_iov``.
    Their ``dataset`` is null.

    Parameters
    ----------
    settings
        By default ``Settings()``.
    nodefullpath, tagname, dataset
        Only records of this folder, this tag, this dataset name.

    Returns
    -------
    pandas.DataFrame
        A row is a record, sorted by period: ``period_since``, ``period_until`` (UTC), ``stored``, ``dataset``,
        the columns of `frontierlab.caching.efficiency`, and ``selection``: the conditions (JSON) with which the dataset
        was extracted, null if it has all queries of its folders. Figures that a record lacks, because an
        older version stored it, are null. ``attrs["unreadable"]`` is a list of (reason, document
        text) of unreadable documents; ``attrs["notes"]`` reports them in words.

    Raises
    ------
    ElasticsearchError
        The server cannot be reached, or refuses.
    """
    settings = settings or Settings()
    name = settings.es_caching_efficiency_index
    found, unreadable = _from_folder(settings.data_dir / "caching") if name is None else _from_index(settings)
    frame: pd.DataFrame = pa.Table.from_pylist(found, schema=COLUMNS).to_pandas(types_mapper=_TYPES.get)
    for column, wanted in (("nodefullpath", nodefullpath), ("tagname", tagname), ("dataset", dataset)):
        if wanted is not None:
            frame = frame[frame[column] == wanted]
    frame = frame.sort_values(["period_since", "dataset", *KEYS], ignore_index=True)
    notes = [f"{len(unreadable):,} records cannot be read, the first: {unreadable[0][0]}."] if unreadable else []
    if not found and not unreadable:
        notes.append(f"Nothing is stored in {name or settings.data_dir / 'caching'} yet.")
    frame.attrs = {"notes": notes, "unreadable": unreadable}
    return frame


def _from_folder(folder: Path) -> _Found:
    files, unreadable = read_history_files(folder, rows_of_file)
    return [row for rows in files for row in rows], unreadable


def _from_index(settings: Settings) -> _Found:
    found, unreadable = [], []
    with _history(settings) as index:
        if not index.ask(lambda: index.client.indices.exists(index=index.name)):
            return [], []
        with index.point_in_time() as pit:
            for page in index.pages(search_body({"match_all": {}}, settings.es_page, None), pit, 0, 1):
                for text in map(bytes, page):
                    try:
                        found.append(record_of(json.loads(text)))
                    except (FrontierlabError, KeyError, TypeError, ValueError, OverflowError) as error:
                        unreadable.append((_reason(error), text.decode(errors="replace")))
    return found, unreadable


def _reason(error: Exception) -> str:
    return f"it lacks {error.args[0]!r}" if isinstance(error, KeyError) else str(error)
