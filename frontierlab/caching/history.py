"""The history of caching efficiency: store results, read them back and compare them over time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from frontierlab.caching.comparing import KEYS, compare, compare_figure
from frontierlab.elastic.client import Index
from frontierlab.elastic.queries import search_body
from frontierlab.errors import DatasetError, ElasticsearchError, FrontierlabError, InvalidRequestError
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.util.files import replacing
from frontierlab.util.times import format_time, from_milliseconds, parse_time, to_milliseconds

if TYPE_CHECKING:
    from frontierlab.storage.store import Dataset

__all__ = ["COLUMNS", "compare", "compare_figure", "read", "store"]

_LONGEST_WAIT = 60.0  # seconds to wait for another process that stores
_INTEGERS = (
    *("queries", "different_queries", "different_payloads_iov", "different_payloads_content", "empty_queries"),
    *("different_empty_queries", "cached", "uncached", "failed", "half_given", "backwards", "bytes_served"),
    *("overlapping_rows", "taskid"),
)
_FRACTIONS = (
    *("wasted_bytes", "wasted_dbtime", "wasted_bytes_squid", "wasted_dbtime_squid", "mean_payload_size"),
    *("efficiency_iov", "efficiency_content"),
)
_NAMES = ("dataset", *KEYS, "cause", "problem", "worst_tasks", "notes")
_TIMES = ("period_since", "period_until", "stored")

COLUMNS = pa.schema(
    [
        *((name, pa.timestamp("ms", tz="UTC")) for name in _TIMES),
        *((name, pa.string()) for name in _NAMES),
        *((name, pa.int64()) for name in _INTEGERS),
        *((name, pa.float64()) for name in _FRACTIONS),
    ]
)
"""The columns of a record: a folder and tag over a period, with the figures and units of ``efficiency()``."""

_KINDS = {"string": {"type": "keyword"}, "int64": {"type": "long"}, "double": {"type": "double"}}
_MAPPING: dict[str, Any] = {
    **{field.name: _KINDS.get(str(field.type), {"type": "date"}) for field in COLUMNS},
    **{name: {"type": "keyword", "index": False, "doc_values": False} for name in ("worst_tasks", "notes", "problem")},
}


def store(frame: pd.DataFrame, dataset: Dataset, settings: Settings | None = None) -> int:
    """Store the caching efficiency of a dataset, so that it can be read back and compared.

    If ``es_caching_efficiency_index`` is set, the records go to that index in one bulk request; a missing index is
    created. Otherwise they go to the folder ``caching`` in ``data_dir``. A record is identified by dataset name,
    period, folder and tag. Storing it again replaces the earlier record.

    Parameters
    ----------
    frame
        The frame that `frontierlab.caching.efficiency` returned.
    dataset
        The dataset of these figures. The stored period is the requested period of the dataset, or else that of its
        rows; for a selected window of time it is the overlap of both.
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
    lacking = [name for name in (*KEYS, "queries") if name not in frame]
    if lacking:
        raise InvalidRequestError(f"This frame has no column {lacking[0]}: give one that efficiency() returned.")
    selection = _selection(frame, dataset)
    records = _records(frame, dataset, selection)
    if records and settings.es_caching_efficiency_index is not None:
        _store_in_index(records, settings)
    elif records:
        _store_in_folder(records, settings.data_dir / "caching")
    return len(records)


def _selection(frame: pd.DataFrame, dataset: Dataset) -> Selection:
    """Return the selection of the figures; raise unless they belong to the dataset and can be stored."""
    name, identity = frame.attrs.get("dataset", (dataset.name, dataset.identity))
    if (name, identity) != (dataset.name, dataset.identity):
        raise InvalidRequestError(
            f"These figures are of the dataset {name} ({identity}), not of {dataset.name} ({dataset.identity}). "
            "Compute them again."
        )
    selection = Selection.from_json(frame.attrs.get("selection", {}))
    part = selection.but(since=None, until=None, db=None, schema=None, nodefullpath=None, tagname=None)
    if part != Selection():
        raise InvalidRequestError(
            f"These figures are of part of the queries ({part.in_words()}). The history holds all queries of a folder "
            "and tag over a period: compute the figures without that choice to store them."
        )
    return selection


def _period(dataset: Dataset, selection: Selection) -> list[int | None]:
    manifest = dataset.manifest
    asked = [manifest.request.get(name) for name in ("since", "until")]
    found = [manifest.since, None if manifest.until is None else manifest.until + 1]
    period = [to_milliseconds(parse_time(a)) if a is not None else f for a, f in zip(asked, found, strict=True)]
    window = [None if end is None else to_milliseconds(end) for end in (selection.since, selection.until)]
    return [
        narrower([end for end in ends if end is not None], default=None)
        for narrower, *ends in zip((max, min), period, window, strict=True)
    ]


def _records(frame: pd.DataFrame, dataset: Dataset, selection: Selection) -> list[dict[str, Any]]:
    period = _period(dataset, selection)
    common = {
        "dataset": dataset.name,
        "period_since": period[0],
        "period_until": period[1],
        "stored": to_milliseconds(datetime.now(UTC)),
        "notes": "\n".join(frame.attrs.get("notes", ())),
    }
    rows = [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
    return [{**{name: _plain(row.get(name), name) for name in COLUMNS.names if name in row}, **common} for row in rows]


def _plain(value: Any, name: str) -> Any:
    """Convert a value for JSON and Arrow; None if it is missing."""
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, default=str)
    if value is None or pd.isna(value):
        return None
    return str(value) if name in _NAMES else int(value) if name in _INTEGERS else float(value)


def _identity(record: dict[str, Any]) -> str:
    known = [record[name] for name in ("dataset", "period_since", "period_until", *KEYS)]
    return hashlib.blake2b(json.dumps(known).encode(), digest_size=20).hexdigest()


@contextmanager
def _history(settings: Settings) -> Iterator[Index]:
    name = str(settings.es_caching_efficiency_index)
    index = Index(settings.model_copy(update={"es_index": (name,)}))
    try:
        yield index
    finally:
        index.close()


def _store_in_index(records: list[dict[str, Any]], settings: Settings) -> None:
    with _history(settings) as index:
        client, name = index.client, index.name
        if index.ask(lambda: client.indices.exists(index=name)):
            index.ask(lambda: client.indices.put_mapping(index=name, properties=_MAPPING))
        else:
            index.ask(lambda: client.indices.create(index=name, mappings={"properties": _MAPPING}))
        operations: list[dict[str, Any]] = []
        for record in records:
            document = {key: value for key, value in record.items() if value is not None}
            document |= {key: format_time(from_milliseconds(record[key])) for key in _TIMES if record[key] is not None}
            operations += [{"index": {"_index": name, "_id": _identity(record)}}, document]
        answer = index.ask(lambda: client.bulk(operations=operations, refresh=True))
        errors = [item["index"]["error"] for item in answer["items"] if "error" in item["index"]]
        if errors:
            raise ElasticsearchError(
                f"{name} refused {len(errors):,} of {len(records):,} records ({errors[0].get('reason')}); the others "
                "are stored. The same call stores them all again, none twice."
            )


def _store_in_folder(records: list[dict[str, Any]], folder: Path) -> None:
    record = records[0]
    period = hashlib.blake2b(f"{record['period_since']} {record['period_until']}".encode(), digest_size=6).hexdigest()
    path = folder / f"{record['dataset']}-{period}.parquet"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / ".lock", timeout=_LONGEST_WAIT):
            former = pq.read_table(path).cast(COLUMNS).to_pylist() if path.exists() else []
            now = pa.Table.from_pylist(records, schema=COLUMNS).to_pylist()
            kept = {tuple(row[key] for key in KEYS): row for row in (*former, *now)}
            with replacing(path) as temporary:
                pq.write_table(pa.Table.from_pylist(list(kept.values()), schema=COLUMNS), temporary)
    except filelock.Timeout:
        raise DatasetError(
            f"The history in {folder} has been written by another process for {_LONGEST_WAIT:g} seconds. Nothing was "
            "stored; the same call stores it later."
        ) from None
    except (OSError, ValueError) as error:  # Arrow errors are ValueErrors
        raise DatasetError(f"The history {path} cannot be read or written, and is left as it was: {error}.") from error


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
        and the columns of `frontierlab.caching.efficiency`. ``attrs["unreadable"]`` is a list of (reason, document
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


_TYPES = {pa.string(): pd.StringDtype(), pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype()}

_Found = tuple[list[dict[str, Any]], list[tuple[str, str]]]


def _from_folder(folder: Path) -> _Found:
    found: list[dict[str, Any]] = []
    unreadable = []
    for path in sorted(folder.glob("*.parquet")):
        try:
            found += pq.read_table(path).cast(COLUMNS).to_pylist()
        except (pa.ArrowException, OSError, ValueError) as error:
            unreadable.append((f"{path.name}: {error}", str(path)))
    return found, unreadable


def _from_index(settings: Settings) -> _Found:
    found, unreadable = [], []
    with _history(settings) as index:
        if not index.ask(lambda: index.client.indices.exists(index=index.name)):
            return [], []
        with index.point_in_time() as pit:
            for page in index.pages(search_body({"match_all": {}}, settings.es_page, None), pit, 0, 1):
                for text in map(bytes, page):
                    try:
                        found.append(_record(json.loads(text)))
                    except (FrontierlabError, KeyError, TypeError, ValueError, OverflowError) as error:
                        unreadable.append((_reason(error), text.decode(errors="replace")))
    return found, unreadable


def _reason(error: Exception) -> str:
    return f"it lacks {error.args[0]!r}" if isinstance(error, KeyError) else str(error)


def _record(document: dict[str, Any]) -> dict[str, Any]:
    """Convert a document of this package or of the older tool to a record."""
    if "folder" in document:
        document = _translated(document)
    lacking = [name for name in (*KEYS, "queries") if document.get(name) is None]
    if lacking:
        raise ValueError(f"it has no {lacking[0]}")
    readers: dict[str, Callable[[Any], Any]] = {
        **dict.fromkeys(_TIMES, _moment),
        **dict.fromkeys(_NAMES, _text),
        **dict.fromkeys(_INTEGERS, _whole),
        **dict.fromkeys(_FRACTIONS, float),
    }
    return {name: read(document[name]) for name, read in readers.items() if document.get(name) is not None}


def _translated(old: dict[str, Any]) -> dict[str, Any]:
    """Convert a document of the older tool to the current names and units."""
    place = [part.strip() for part in str(old["folder"]).split(" , ")]
    if len(place) != 3:
        raise ValueError(f"its folder {old['folder']!r} is not 'database , schema , path'")
    size = old.get("payloadsize")
    return {
        **dict(zip(KEYS, place, strict=False)),
        "tagname": old.get("tag") or "unknown",
        "queries": old["#queries"],
        "different_queries": old.get("#differentqueries"),
        "different_payloads_iov": old.get("#differentpayloads"),
        "mean_payload_size": None if size is None else float(size) * 1e6,
        "taskid": old.get("taskid") or None,
        "period_since": old.get("from"),
        "period_until": old.get("to"),
    }


def _moment(value: Any) -> datetime:
    return from_milliseconds(value) if isinstance(value, int) else parse_time(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _whole(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool) or (isinstance(value, float) and value != number) or not -(2**63) <= number < 2**63:
        raise ValueError(f"{value!r} is no whole number")
    return number
