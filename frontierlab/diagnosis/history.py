"""The history of incidents: store diagnoses, read their incidents back, and see which come again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from frontierlab._version import __version__
from frontierlab.diagnosis.finding import DIMENSIONS, KINDS
from frontierlab.diagnosis.recurrence import recurrence
from frontierlab.diagnosis.result import COLUMNS, Diagnosis
from frontierlab.errors import InvalidRequestError
from frontierlab.selection import Selection, as_selection
from frontierlab.settings import Settings
from frontierlab.storage.history_files import history_file, read_history_files, replacing_history_file

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

__all__ = ["figure", "read", "store"]

_FORMAT = 1
_ABOUT = b"frontierlab.diagnosis"  # in the metadata of a file
_MOST = 1_000  # incidents of one diagnosis that are kept, the most costly ones

_ARROW = {
    "datetime64[ms, UTC]": pa.timestamp("ms", tz="UTC"),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "Int64": pa.int64(),
    "Float64": pa.float64(),
}
_SCHEMA = pa.schema([(name, _ARROW[kind]) for name, kind in COLUMNS.items()])
_OF_DIAGNOSIS = {
    "dataset": "string",
    "diagnosed_since": "datetime64[ms, UTC]",
    "diagnosed_until": "datetime64[ms, UTC]",
    "stored": "datetime64[ms, UTC]",
}
_LEFT = ("since", "until", *DIMENSIONS)  # what a selection of incidents can name


class _Stored(NamedTuple):
    about: dict[str, Any]
    incidents: pd.DataFrame


def store(diagnosis: Diagnosis, settings: Settings | None = None) -> int:
    """Store the incidents of a diagnosis in the folder ``diagnosis`` of ``data_dir``.

    A diagnosis is identified by its dataset or period and the time that it looked at. Storing it again replaces what
    was stored; one without incidents is stored too, so that quiet days are known. The files outlive their datasets and
    the rows of these.

    Parameters
    ----------
    diagnosis
        What `frontierlab.diagnose` returned, of all queries of datasets or of a window of time.
    settings
        By default ``Settings()``.

    Returns
    -------
    int
        The number of stored incidents: all, or the 1,000 most costly ones.

    Raises
    ------
    InvalidRequestError
        The diagnosis is of a part of the queries, or of a Spark DataFrame, which has no name.
    DatasetError
        The file cannot be written, or another process has been writing the history for a minute. What was stored
        earlier is unchanged.
    """
    part = diagnosis.selection.but(since=None, until=None)
    if part != Selection():
        raise InvalidRequestError(
            f"This diagnosis covers only part of the queries ({part.in_words()}). The history holds what happened to "
            "all of them: diagnose without that choice to store it."
        )
    if diagnosis.unnamed:
        raise InvalidRequestError("A diagnosis of a Spark DataFrame has no name in a history: diagnose a dataset.")
    about = {
        "format": _FORMAT,
        "frontierlab": __version__,
        "dataset": diagnosis.source,
        "diagnosed_since": diagnosis.since.isoformat(),
        "diagnosed_until": diagnosis.until.isoformat(),
        "stored": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "queries": diagnosis.queries,
        "notes": list(diagnosis.notes),
    }
    kept = diagnosis.incidents.head(_MOST)
    table = pa.Table.from_pandas(kept, schema=_SCHEMA, preserve_index=False)
    table = table.replace_schema_metadata({_ABOUT: json.dumps(about).encode()})
    ends = (int(when.timestamp() * 1000) for when in (diagnosis.since, diagnosis.until))
    path = history_file(_folder(settings or Settings()), diagnosis.source, *ends)
    with replacing_history_file(path) as temporary:
        pq.write_table(table, temporary)
    return len(kept)


def read(
    settings: Settings | None = None,
    *,
    selection: Selection | None = None,
    dataset: str | None = None,
    kind: str | None = None,
) -> pd.DataFrame:
    """Read the stored incidents.

    Parameters
    ----------
    settings
        By default ``Settings()``.
    selection
        Only incidents that begin before its ``until`` and end after its ``since``, and whose scope names one of its
        databases, schemas, folders, tags, tasks, servers, sites and Squids.
    dataset
        Only those of this dataset.
    kind
        Only those of this kind; see `frontierlab.diagnosis.finding.KINDS`.

    Returns
    -------
    pandas.DataFrame
        A row is an incident, in order of time; the most costly first where they begin together:

        dataset : string, what was diagnosed
        diagnosed_since, diagnosed_until, stored : UTC, the time that the diagnosis looked at, and when it was stored
        the columns of `frontierlab.diagnosis.Diagnosis.incidents`
        days : Int64, on how many days (UTC, of their ``since``) incidents of the same kind and scope are stored in the
            selected time, this one included; more than 1 is an incident that came again. Tasks come and go: they are
            no part of that scope, if it names anything else

        ``attrs["diagnosed"]`` has a list for each diagnosis in that time, also for those without incidents: its
        dataset, ``since`` and ``until`` (ISO 8601), and its number of queries. ``attrs["notes"]`` has sentences on
        files that cannot be read, ``attrs["unreadable"]`` the reason and the path of each.

    Raises
    ------
    InvalidRequestError
        `kind` is unknown, or `selection` is not one or has conditions that incidents do not have.
    """
    chosen = as_selection(selection)
    if (more := chosen.but(**dict.fromkeys(_LEFT))) != Selection():
        raise InvalidRequestError(
            f"Incidents cannot be selected by {more.in_words()}: give a time and names of their scope, "
            f"{', '.join(DIMENSIONS)}."
        )
    if kind is not None and kind not in KINDS:
        raise InvalidRequestError(f"kind={kind!r} is no kind of incidents: give one of {', '.join(KINDS)}.")
    folder = _folder(settings or Settings())
    stored, unreadable = read_history_files(folder, _read)
    stored = [one for one in stored if dataset in (None, one.about["dataset"])]
    frames = [one.incidents for one in stored if len(one.incidents)]
    types = {**_OF_DIAGNOSIS, **COLUMNS}
    frame: pd.DataFrame = (
        pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*types]).astype(types)
    )
    frame = frame[_in_time(frame, chosen, "since", "until")]
    keys = pd.Series([recurrence(row) for row in frame.to_dict("records")], index=frame.index, dtype=object)
    days = frame["since"].dt.floor("D").groupby(keys).nunique()
    frame = frame.assign(days=keys.map(days).astype("Int64"))
    for name in DIMENSIONS:
        if (wanted := getattr(chosen, name)) is not None:
            frame = frame[frame[name].isin(list(wanted))]
    if kind is not None:
        frame = frame[frame["kind"] == kind]
    frame = frame.sort_values(["since", "diagnosed_since"], kind="stable", ignore_index=True)
    frame.attrs = {
        "notes": _notes(unreadable, stored, folder),
        "unreadable": unreadable,
        "diagnosed": _diagnosed(stored, chosen),
    }
    return frame


def figure(frame: pd.DataFrame) -> Figure:
    """Return a figure of incidents over days: a row for each kind and scope, those that came on most days first.

    Parameters
    ----------
    frame
        What `read` returned.

    Raises
    ------
    InvalidRequestError
        The frame lacks a column.
    """
    from frontierlab.diagnosis.history_figure import history_figure

    return history_figure(frame)


def _folder(settings: Settings) -> Path:
    return settings.data_dir / "diagnosis"


def _read(path: Path) -> _Stored:
    """Read a file; an older one may lack columns, a newer one may have more."""
    table = pq.read_table(path)
    about = json.loads((table.schema.metadata or {})[_ABOUT])
    if about["format"] != _FORMAT:
        raise ValueError(
            f"it has format {about['format']} of frontierlab {about['frontierlab']}; this is {__version__}"
        )
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in _SCHEMA
    ]
    frame: pd.DataFrame = pa.Table.from_arrays(columns, schema=_SCHEMA).to_pandas().astype(COLUMNS)
    for place, (name, kind) in enumerate(_OF_DIAGNOSIS.items()):
        value = about[name] if kind == "string" else pd.Timestamp(about[name])
        column: Any = pd.Series([value] * len(frame), index=frame.index)
        frame.insert(place, name, column.astype(kind))
    return _Stored(about, frame)


def _in_time(frame: pd.DataFrame, chosen: Selection, begin: str, end: str) -> Any:
    inside = pd.Series(True, index=frame.index)
    if chosen.since is not None:
        inside &= frame[end] > chosen.since
    if chosen.until is not None:
        inside &= frame[begin] < chosen.until
    return inside


def _diagnosed(stored: Sequence[_Stored], chosen: Selection) -> list[list[Any]]:
    ends = ("diagnosed_since", "diagnosed_until")
    known = pd.DataFrame([one.about for one in stored], columns=["dataset", *ends, "queries"])
    times = known.assign(**{name: pd.to_datetime(known[name], utc=True) for name in ends})
    inside = known[_in_time(times, chosen, *ends)].sort_values([ends[0], "dataset"])
    return [[str(row[0]), str(row[1]), str(row[2]), int(row[3])] for row in inside.itertuples(index=False)]


def _notes(unreadable: Sequence[tuple[str, str]], stored: Sequence[_Stored], folder: Path) -> list[str]:
    if unreadable:
        return [f"{len(unreadable):,} stored diagnoses cannot be read, the first: {unreadable[0][0]}."]
    return [] if stored else [f"No diagnosis is stored in {folder} yet."]
