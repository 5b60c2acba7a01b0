"""The history of caching efficiency: results stored, read back and compared over time."""

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

from frontierlab.elastic import Index, search_body
from frontierlab.errors import ElasticsearchError, FrontierlabError, InvalidRequestError
from frontierlab.files import replacing
from frontierlab.settings import Settings
from frontierlab.times import format_time, from_milliseconds, parse_time, to_milliseconds

if TYPE_CHECKING:
    from bokeh.plotting import figure

    from frontierlab.datasets import Dataset

__all__ = ["COLUMNS", "compare", "compare_figure", "read", "store"]

_KEYS = ("db", "schema", "nodefullpath", "tagname")
_INTEGERS = (
    *("queries", "different_queries", "different_payloads_iov", "different_payloads_content", "empty_queries"),
    *("different_empty_queries", "cached", "uncached", "failed", "half_given", "backwards", "bytes_served"),
    *("overlapping_rows", "taskid"),
)
_FRACTIONS = (
    *("wasted_bytes", "wasted_dbtime", "wasted_bytes_squid", "wasted_dbtime_squid", "mean_payload_size"),
    *("efficiency_iov", "efficiency_content"),
)
_NAMES = ("dataset", *_KEYS, "cause", "problem", "worst_tasks", "notes")
_TIMES = ("period_since", "period_until", "stored")

COLUMNS = pa.schema(
    [
        *((name, pa.timestamp("ms", tz="UTC")) for name in _TIMES),
        *((name, pa.string()) for name in _NAMES),
        *((name, pa.int64()) for name in _INTEGERS),
        *((name, pa.float64()) for name in _FRACTIONS),
    ]
)
"""A record of the history: a folder and tag over a period, with the figures and units of ``efficiency()``."""

_KINDS = {"string": {"type": "keyword"}, "int64": {"type": "long"}, "double": {"type": "double"}}
_MAPPING: dict[str, Any] = {
    **{field.name: _KINDS.get(str(field.type), {"type": "date"}) for field in COLUMNS},
    **{name: {"type": "keyword", "index": False, "doc_values": False} for name in ("worst_tasks", "notes", "problem")},
}


def store(frame: pd.DataFrame, dataset: Dataset, settings: Settings | None = None) -> int:
    """Store the caching efficiency of a dataset, so that it can be read back and compared.

    Where ``es_caching_efficiency_index`` is set, in that index (made where it is missing, by one bulk request);
    otherwise in ``caching`` in the ``data_dir``. A record is known by the dataset's name, its period, folder and
    tag: stored again, it takes the place of the former one.

    Parameters
    ----------
    frame
        What `frontierlab.caching.efficiency` returned.
    dataset
        Of which. Its period is the one that was asked for, or else that of its rows.
    settings
        By default ``Settings()``.

    Returns
    -------
    int
        The number of records.

    Raises
    ------
    InvalidRequestError
        It is another frame.
    ElasticsearchError
        The server cannot be reached, refuses, or took some records only; the same call stores the rest.
    """
    settings = settings or Settings()
    lacking = [name for name in (*_KEYS, "queries") if name not in frame]
    if lacking:
        raise InvalidRequestError(f"This frame has no column {lacking[0]}: give one that efficiency() returned.")
    records = _records(frame, dataset)
    if records and settings.es_caching_efficiency_index is not None:
        _store_in_index(records, settings)
    elif records:
        _store_in_folder(records, settings.data_dir / "caching")
    return len(records)


def _records(frame: pd.DataFrame, dataset: Dataset) -> list[dict[str, Any]]:
    manifest = dataset.manifest
    asked = [manifest.request.get(name) for name in ("since", "until")]
    found = [manifest.since, None if manifest.until is None else manifest.until + 1]
    period = [to_milliseconds(parse_time(a)) if a is not None else f for a, f in zip(asked, found, strict=True)]
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
    """Return a value as JSON and Arrow take it; None where it is missing."""
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, default=str)
    if value is None or pd.isna(value):
        return None
    return str(value) if name in _NAMES else int(value) if name in _INTEGERS else float(value)


def _identity(record: dict[str, Any]) -> str:
    known = [record[name] for name in ("dataset", "period_since", "period_until", *_KEYS)]
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
        client, name = index._client, index.name
        if index._ask(lambda: client.indices.exists(index=name)):
            index._ask(lambda: client.indices.put_mapping(index=name, properties=_MAPPING))
        else:
            index._ask(lambda: client.indices.create(index=name, mappings={"properties": _MAPPING}))
        operations: list[dict[str, Any]] = []
        for record in records:
            document = {key: value for key, value in record.items() if value is not None}
            document |= {key: format_time(from_milliseconds(record[key])) for key in _TIMES if record[key] is not None}
            operations += [{"index": {"_index": name, "_id": _identity(record)}}, document]
        answer = index._ask(lambda: client.bulk(operations=operations, refresh=True))
        errors = [item["index"]["error"] for item in answer["items"] if "error" in item["index"]]
        if errors:
            raise ElasticsearchError(
                f"{name} refused {len(errors):,} of {len(records):,} records ({errors[0].get('reason')}); the others "
                "are stored. The same call stores them all again, none twice."
            )


def _store_in_folder(records: list[dict[str, Any]], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    record = records[0]
    period = hashlib.blake2b(f"{record['period_since']} {record['period_until']}".encode(), digest_size=6).hexdigest()
    path = folder / f"{record['dataset']}-{period}.parquet"
    with filelock.FileLock(folder / ".lock"):
        former = pq.read_table(path).cast(COLUMNS).to_pylist() if path.exists() else []
        now = pa.Table.from_pylist(records, schema=COLUMNS).to_pylist()
        kept = {tuple(row[key] for key in _KEYS): row for row in (*former, *now)}
        with replacing(path) as temporary:
            pq.write_table(pa.Table.from_pylist(list(kept.values()), schema=COLUMNS), temporary)


def read(
    settings: Settings | None = None,
    *,
    folder: str | None = None,
    tagname: str | None = None,
    dataset: str | None = None,
) -> pd.DataFrame:
    """Read the history back, from the index or from the data folder, as `store` chooses them.

    Documents of the older tool are read too: their ``payloadsize`` in MB becomes ``mean_payload_size`` in bytes
    (it was the size of the last query's payload), ``#differentpayloads`` becomes ``different_payloads_iov``.
    Their ``dataset`` is null.

    Parameters
    ----------
    settings
        By default ``Settings()``.
    folder, tagname, dataset
        Only records of this folder (by its full path), of this tag, of the dataset of this name.

    Returns
    -------
    pandas.DataFrame
        A row a record, in the order of periods: ``period_since``, ``period_until`` (UTC), ``stored``, ``dataset``,
        and the columns of `frontierlab.caching.efficiency`. ``attrs["unreadable"]`` is a list of (reason, text of
        the document) of what could not be read, ``attrs["notes"]`` says so in words.

    Raises
    ------
    ElasticsearchError
        The server cannot be reached, or refuses.
    """
    settings = settings or Settings()
    name = settings.es_caching_efficiency_index
    found, unreadable = _from_folder(settings.data_dir / "caching") if name is None else _from_index(settings)
    frame: pd.DataFrame = pa.Table.from_pylist(found, schema=COLUMNS).to_pandas(types_mapper=_TYPES.get)
    for column, wanted in (("nodefullpath", folder), ("tagname", tagname), ("dataset", dataset)):
        if wanted is not None:
            frame = frame[frame[column] == wanted]
    frame = frame.sort_values(["period_since", "dataset", *_KEYS], ignore_index=True)
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
        if not index._ask(lambda: index._client.indices.exists(index=index.name)):
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
    """Read a document: ours, or one of the older tool."""
    if "folder" in document:
        document = _translated(document)
    lacking = [name for name in (*_KEYS, "queries") if document.get(name) is None]
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
    """Return a document of the older tool under today's names, in today's units."""
    place = [part.strip() for part in str(old["folder"]).split(" , ")]
    if len(place) != 3:
        raise ValueError(f"its folder {old['folder']!r} is not 'database , schema , path'")
    size = old.get("payloadsize")
    return {
        **dict(zip(_KEYS, place, strict=False)),
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


_COMPARED = (
    *("queries", "different_queries", "different_payloads_iov", "bytes_served", "wasted_bytes", "wasted_dbtime"),
    "efficiency_iov",
)
_UNITS = {
    "wasted_dbtime": (1e-3, "s", "{:,.1f}"),
    "wasted_bytes": (1e-6, "MB", "{:,.1f}"),
    "bytes_served": (1e-6, "MB", "{:,.1f}"),
    "efficiency_iov": (1.0, "", "{:.3f}"),
}


def compare(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Compare two results, of before and after a fix say: frames of `read` or of ``efficiency()``.

    Returns
    -------
    pandas.DataFrame
        A row a folder and tag of either, the one whose wasted database time changed most first: ``db``, ``schema``,
        ``nodefullpath``, ``tagname``; ``state``: both, appeared or vanished; and for each figure in the units of
        ``efficiency()`` ``…_before``, ``…_after``, ``…_change`` (after - before) and ``…_ratio`` (after / before),
        null where one of them is missing. ``attrs["notes"]`` names what vanished and appeared, and periods of
        unlike length.

    Raises
    ------
    InvalidRequestError
        A frame is another, or holds a folder and tag twice (choose one dataset and period of the history).
    """
    for name, frame in (("before", before), ("after", after)):
        lacking = [column for column in (*_KEYS, *_COMPARED) if column not in frame]
        if lacking:
            raise InvalidRequestError(f"{name} has no column {lacking[0]}: give a frame of efficiency() or read().")
        twice = frame[frame.duplicated(list(_KEYS))]
        if len(twice):
            raise InvalidRequestError(
                f"{name} holds {twice['nodefullpath'].iloc[0]} ({twice['tagname'].iloc[0]}) more than once: choose one "
                "dataset and period of the history."
            )
    columns = [*_KEYS, *_COMPARED]
    frame = before[columns].merge(
        after[columns], on=list(_KEYS), how="outer", suffixes=("_before", "_after"), indicator="state"
    )
    states = {"both": "both", "left_only": "vanished", "right_only": "appeared"}
    result = frame[list(_KEYS)].assign(state=frame["state"].astype("string").map(states))
    for name in _COMPARED:
        old, new = frame[f"{name}_before"], frame[f"{name}_after"]
        result[f"{name}_before"], result[f"{name}_after"] = old, new
        result[f"{name}_change"] = new - old
        result[f"{name}_ratio"] = (new.astype("Float64") / old.astype("Float64").replace(0, pd.NA)).astype("Float64")
    result = _most_changed(result, "wasted_dbtime")
    result.attrs = {"notes": [*_moved(result), *_unlike(before, after)]}
    return result


def _most_changed(frame: pd.DataFrame, figure_of: str) -> pd.DataFrame:
    """Sort by the change of a figure, then by the figure itself, most first."""
    values = frame[[f"{figure_of}_before", f"{figure_of}_after"]].astype("Float64").fillna(0)
    order = pd.DataFrame({"change": (values.iloc[:, 1] - values.iloc[:, 0]).abs(), "size": values.max(axis=1)})
    return frame.loc[order.sort_values(["change", "size"], ascending=False).index].reset_index(drop=True)


def _moved(result: pd.DataFrame) -> list[str]:
    notes = []
    for state in ("vanished", "appeared"):
        gone = result[result["state"] == state]
        names = [f"{path} ({tag})" for path, tag in zip(gone["nodefullpath"], gone["tagname"], strict=True)]
        if names:
            more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
            notes.append(f"{state.capitalize()}: {', '.join(names[:5])}{more}.")
    return notes


def _unlike(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    if any("period_since" not in frame or frame.empty for frame in (before, after)):
        return []
    lengths = [(f["period_until"].max() - f["period_since"].min()).total_seconds() / 3600 for f in (before, after)]
    if any(pd.isna(length) for length in lengths) or abs(lengths[0] - lengths[1]) <= 0.01 * max(lengths):
        return []
    return [
        f"The periods are of unlike length, {lengths[0]:,.1f} h and {lengths[1]:,.1f} h: totals differ for that alone."
    ]


def compare_figure(frame: pd.DataFrame, *, figure_of: str = "wasted_dbtime", top: int = 20) -> figure:
    """Draw a figure before and after, a row a folder and tag, the largest change at the top.

    Parameters
    ----------
    frame
        What `compare` returned.
    figure_of
        ``wasted_dbtime``, ``wasted_bytes``, ``bytes_served``, ``queries``, ``different_queries``,
        ``different_payloads_iov`` or ``efficiency_iov``.
    top
        So many rows at most.

    Raises
    ------
    InvalidRequestError
        It is another frame, or there is no such figure.
    """
    from frontierlab.caching.page import bars, row_names

    if figure_of not in _COMPARED:
        raise InvalidRequestError(f"{figure_of!r} is no figure to compare: choose one of {', '.join(_COMPARED)}.")
    if f"{figure_of}_before" not in frame:
        raise InvalidRequestError(f"This frame has no column {figure_of}_before: give one that compare() returned.")
    shown = _most_changed(frame, figure_of).head(top)
    scale, unit, form = _UNITS.get(figure_of, (1.0, "", "{:,.0f}"))
    marks = {"vanished": " (vanished)", "appeared": " (appeared)"}
    names = row_names(shown) + shown["state"].map(marks).fillna("")
    series = {name: (shown[f"{figure_of}_{name}"] * scale).tolist() for name in ("before", "after")}
    texts = {
        name: ["none" if pd.isna(v) else f"{form.format(v)} {unit}" for v in values] for name, values in series.items()
    }
    words = [*frame.attrs.get("notes", ()), f"{len(frame) - len(shown):,} smaller changes are not shown."]
    title = f"{figure_of.replace('_', ' ').replace('dbtime', 'database time')}, before and after"
    return bars(
        title.capitalize(),
        "\n".join(words if len(frame) > len(shown) else words[:-1]),
        names.tolist(),
        series,
        texts,
        ", ".join(filter(None, (figure_of.replace("_", " ").replace("dbtime", "database time"), unit))),
        "There is nothing to compare: neither result has a folder.",
    )
