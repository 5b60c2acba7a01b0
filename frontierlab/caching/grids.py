"""What-if estimates: the requests of a folder and tag if clients had used a coarser grid of IOVs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from frontierlab.caching.advice import Facts, advice_of
from frontierlab.caching.answer_sets import Integers, find_answers
from frontierlab.caching.athena import covering, own_grid
from frontierlab.caching.causes import WORTH_BYTES, WORTH_SECONDS, Worth, cause_of
from frontierlab.caching.folder_figures import figures_of_folder
from frontierlab.caching.open_folder import OpenFolder, open_folder
from frontierlab.caching.queries import FolderTag, askers_of, failed_queries
from frontierlab.caching.request_costs import Requests, first_of_different, summary
from frontierlab.coolr import Source
from frontierlab.engines.logs import Logs
from frontierlab.errors import InvalidRequestError
from frontierlab.schema import OPEN_IOV, UNKNOWN_TAG
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.storage.store import Datasets

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = [
    *("AS_ASKED", "ATHENA", "Asked", "GRIDS", "estimate", "parse_grid", "snap"),
    *("what_if", "what_if_of", "what_if_opened"),
]

ATHENA = "athena"
"""Athena's grid with the widths that were asked for."""

GRIDS = {
    "run-lumi": (ATHENA, "athena 100 lumiblocks", "10 lumiblocks", "100 lumiblocks", "1 run", "payload"),
    "time": (ATHENA, "athena 60 minutes", "10 minutes", "60 minutes", "1440 minutes", "payload"),
}
"""The default grids to try, by the folder's IOV base."""

AS_ASKED = "as asked"
"""The name of the baseline, which uses no grid."""

_LUMIS = 2**32 - 1  # the lower half of an IOV: the lumiblock
_MINUTE = 60 * 10**9
_THINNEST = 3  # lumiblocks of Athena's grid: a third of it is a whole number
_UNITS = {
    "run-lumi": "'n lumiblocks', '1 run', 'athena', 'athena n lumiblocks' or 'payload'",
    "time": "'n minutes', 'athena', 'athena n minutes' or 'payload'",
}
_GRID = re.compile(
    r"(?P<any>payload|athena)|(?P<run>(1 )?run)|(?P<athena>athena )?(?P<count>[1-9]\d*) (?P<unit>lumiblock|minute)s?"
)


def what_if(
    dataset: Logs | Datasets,
    settings: Settings | None = None,
    *,
    db: str,
    schema: str,
    nodefullpath: str,
    tagname: str,
    grids: Sequence[str] | None = None,
    selection: Selection | None = None,
    worth_seconds: float = WORTH_SECONDS,
    worth_bytes: float = WORTH_BYTES,
    coolr: Source | None = None,
    session: SparkSession | None = None,
    allow_incomplete: bool = False,
) -> pd.DataFrame:
    """Estimate the remaining requests of a folder and tag if clients had asked on a coarser grid.

    The model: a request is a folder, tag, ``sqlhash`` and snapped IOV. ``since`` is rounded down to the start of
    its cell, ``until`` up to the last value of its cell. Lumiblock cells start at lumiblock 0 of each run, minute
    cells at the epoch. Cells of ``payload`` lie between neighbouring bounds of payload intervals of all channels,
    so that no answer changes. On Athena's grid, ``since`` is rounded down to a multiple of a third of the width, and
    ``until`` is ``since`` plus the width, which is doubled until the IOV that was asked for is covered; ``athena`` uses
    the width that was asked for, and leaves IOVs as they are that are on a grid already. Each different request is
    fetched once and cached forever, in one cache for all sites. The baseline, ``as asked``, is the same model without
    snapping. It uses served queries with an IOV, cached or not. Queries that the sites' Squids answered are not in
    these logs, so cache lifetimes cannot be
    simulated.

    Bytes and database time of widened requests are estimates. If the same answer (set of payload rows) was
    logged for the same ``sqlhash`` with a body, the cost is the mean of the logged ones. Otherwise it is the number
    of rows times the mean cost per row, of that ``sqlhash`` or else of the folder. An empty answer that was
    never logged with a body costs nothing.

    Parameters
    ----------
    dataset
        A dataset, the name of one in the data folder of `settings`, a list of these, or what `frontierlab.open_logs`
        returned.
    settings
        By default ``Settings()``.
    db, schema, nodefullpath, tagname
        The folder and its tag, as in the rows of `frontierlab.caching.efficiency`.
    grids
        The grids to try: ``"10 lumiblocks"`` and ``"1 run"`` for folders with IOV base run-lumi, ``"5 minutes"`` for
        folders of times, ``"athena"``, ``"athena 60 minutes"`` (or lumiblocks) and ``"payload"`` for both. By default
        those of `GRIDS`.
    selection
        The queries to use; by default all.
    worth_seconds, worth_bytes
        What a saving must reach to be a cause, as for `frontierlab.caching.efficiency`.
    coolr
        The source of payloads; by default the COOLR of `settings`.
    session
        The Spark session to use. If one is given, Spark answers; otherwise ``engine`` of `settings` says what answers.
    allow_incomplete
        Use the existing files of an incomplete dataset; its figures are too small.

    Returns
    -------
    pandas.DataFrame
        A row is a grid, the baseline first:

        grid : string
        requests : Int64, different requests
        bytes : Float64, bytes of their answers
        dbtime : Float64, database time in ms
        estimated : Int64, number of requests whose size is estimated, not logged
        requests_share, bytes_share, dbtime_share : Float64, fraction of the baseline; null if that is zero

        ``attrs["advice"]`` is one line of advice on ``attrs["cause"]``: the folder, ``attrs["cure"]`` (what to do and
        whom to tell, a short sentence) and ``attrs["reasons"]``. ``attrs["folder"]`` is the `FolderTag`;
        ``attrs["notes"]`` says why figures of this dataset are partial. ``attrs["dataset"]`` and
        ``attrs["selection"]`` (JSON) identify the queries. ``attrs["repeats"]`` has ``queries``, ``bytes`` and
        ``dbtime`` (ms) that caches would have spared that keep each answer; the grids assume such caches.

    Raises
    ------
    InvalidRequestError
        A grid is invalid or does not fit the folder's IOV base; the base or the tag is not known; or `selection` or a
        threshold is invalid.
    CoolrError
        COOLR does not give the payloads.
    Cancelled
        A `frontierlab.cancellable` block around the call was cancelled.
    DatasetError
        The dataset does not exist or is incomplete.
    """
    folder, worth = FolderTag(db, schema, nodefullpath, tagname), Worth(worth_seconds, worth_bytes)
    for grid in grids or ():
        parse_grid(grid)  # before any query runs
    _require_tag(folder)
    with open_folder(
        dataset,
        settings,
        folder,
        selection=selection,
        coolr=coolr,
        session=session,
        allow_incomplete=allow_incomplete,
    ) as opened:
        return what_if_opened(opened, grids, selection, worth)


def what_if_opened(
    opened: OpenFolder, grids: Sequence[str] | None, selection: Selection | None, worth: Worth
) -> pd.DataFrame:
    """Return the frame of `what_if` for a folder and tag that is open with this selection.

    Raises
    ------
    InvalidRequestError, CoolrError, Cancelled
        As `what_if` raises them.
    """
    for grid in grids or ():
        parse_grid(grid, opened.base)
    asked = Asked(
        opened.folder,
        opened.queries,
        askers_of(opened.logs, opened.folder, selection),
        failed_queries(opened.logs, opened.folder, selection),
        opened.base,
        opened.payloads,
    )
    frame = what_if_of(asked, grids, worth)
    frame.attrs |= opened.origin | {"notes": opened.notes}
    return frame


class Asked(NamedTuple):
    """What is known of a folder and tag to try grids on it.

    Parameters
    ----------
    folder
        The folder and tag.
    queries, askers
        The frames of `frontierlab.caching.queries.different_queries` and `askers_of`.
    failed
        The number of its queries that failed.
    base
        Its IOV base, run-lumi or time.
    payloads
        Returns the payloads that determine the answers of queries in a range; both ends are included.
    """

    folder: FolderTag
    queries: pd.DataFrame
    askers: pd.DataFrame
    failed: int
    base: str
    payloads: Callable[[int, int], pa.Table]


def what_if_of(asked: Asked, grids: Sequence[str] | None, worth: Worth) -> pd.DataFrame:
    """Return the frame of `what_if` for a folder and tag whose queries are counted already.

    Its ``attrs`` have ``advice``, ``cure``, ``reasons``, ``cause``, ``folder`` and ``repeats``.

    Parameters
    ----------
    asked
        What is known of the folder and tag.
    grids
        The grids to try, which fit its IOV base; None for those of `GRIDS`.
    worth
        What a saving must reach to be a cause.

    Raises
    ------
    InvalidRequestError
        The tag is not known.
    """
    folder, queries = asked.folder, asked.queries
    _require_tag(folder)
    tried = [*dict.fromkeys(GRIDS[asked.base] if grids is None else grids)]
    payloads = asked.payloads(*_widest_range(queries, tried))
    frame = estimate(queries, payloads, tried)
    row = figures_of_folder(queries, payloads, asked.askers, asked.failed)
    row["cause"] = cause_of(row, worth)
    advice = advice_of(frame, folder, Facts(row, queries, asked.askers, asked.base, worth))
    frame.attrs = {
        "advice": str(advice),
        "cure": advice.cure,
        "reasons": advice.reasons,
        "cause": row["cause"],
        "folder": folder,
        "repeats": {name: row[f"repeated_{name}"] for name in ("queries", "bytes", "dbtime")},
    }
    return frame


def _require_tag(folder: FolderTag) -> None:
    if folder.tagname == UNKNOWN_TAG:
        raise InvalidRequestError(
            f"These queries of {folder.nodefullpath} have an unknown tag, so their payloads cannot be determined: give "
            "a tagname other than 'unknown'."
        )


def parse_grid(grid: str, base: str | None = None) -> tuple[str, int]:
    """Parse a grid into its unit and the number of units per cell.

    Raises
    ------
    InvalidRequestError
        The text is not a grid, or not one for the IOV base; without a base, any unit is valid.
    """
    found = _GRID.fullmatch(grid) if isinstance(grid, str) else None
    unit = "" if found is None else found["any"] or (found["run"] and "run") or found["unit"]
    count = int(found["count"] or 1) if found is not None else 0
    most = {"minute": OPEN_IOV // _MINUTE, "lumiblock": _LUMIS}.get(unit, 1)
    fits = base is None or unit in ("payload", ATHENA) or (unit == "minute") == (base == "time")
    thin = found is not None and bool(found["athena"]) and unit == "lumiblock" and count < _THINNEST
    if found is None or count > most or not fits or thin:
        valid = " or, for a folder of times, ".join(_UNITS.values()) if base is None else _UNITS[base]
        kind = "" if base is None else f" for a folder whose IOVs are {base}"
        raise InvalidRequestError(
            f"{grid!r} is not a grid{kind}: give {valid}; n is at least 1, for athena 3 lumiblocks."
        )
    return f"{ATHENA} {unit}" if found["athena"] else unit, count


def snap(grid: str, since: Integers, until: Integers, payloads: pa.Table) -> tuple[Integers, Integers]:
    """Return IOVs widened to whole cells of a grid, exactly in int64.

    Parameters
    ----------
    grid
        A grid of `what_if`, or `AS_ASKED`.
    since, until
        IOVs, both ends included, from 0 to 2^63-1.
    payloads
        The rows of the folder and tag, for the grid ``payload``.
    """
    if grid == AS_ASKED:
        return since, until
    unit, count = parse_grid(grid)
    if unit == ATHENA:
        return own_grid(since, until)
    if unit.startswith(ATHENA):
        return covering(since, until, np.full(len(since), count * (_MINUTE if unit.endswith("minute") else 1)))
    if unit == "payload":
        ends = np.concatenate([[0], payloads["since"].to_numpy(), payloads["until"].to_numpy()])
        starts = np.unique(ends[(ends >= 0) & (ends < OPEN_IOV)])  # an open end is not a bound
        lasts = np.append(starts[1:] - 1, OPEN_IOV)
        return (
            starts[np.searchsorted(starts, since, side="right") - 1],
            lasts[np.searchsorted(starts, until, side="right") - 1],
        )
    if unit == "lumiblock":
        run, lumi = until & ~_LUMIS, until & _LUMIS
        last = run | np.minimum(lumi - lumi % count + (count - 1), _LUMIS)
        return since - (since & _LUMIS) % count, last
    width = _LUMIS + 1 if unit == "run" else count * _MINUTE
    start = until - until % width
    return since - since % width, start + np.minimum(width - 1, OPEN_IOV - start)


def _widest_range(queries: pd.DataFrame, grids: Sequence[str]) -> tuple[int, int]:
    """Return the range that covers all widened IOVs."""
    since, until = (queries[name].to_numpy(np.int64) for name in ("since", "until"))
    if not len(since):
        return 0, 0
    fixed = [snap(grid, since, until, pa.table({})) for grid in (AS_ASKED, *grids) if grid != "payload"]
    return min(int(first.min()) for first, _ in fixed), max(int(last.max()) for _, last in fixed)


def estimate(queries: pd.DataFrame, payloads: pa.Table, grids: Sequence[str]) -> pd.DataFrame:
    """Return the frame of `what_if` from the different queries of a folder and tag, and its payloads."""
    since, until = (queries[name].to_numpy(np.int64) for name in ("since", "until"))
    hashes, _ = pd.factorize(queries["sqlhash"], use_na_sentinel=False)
    names = [AS_ASKED, *grids]
    parts = []
    for number, grid in enumerate(names):
        first, last = snap(grid, since, until, payloads)
        chosen = slice(None) if grid == AS_ASKED else first_of_different(hashes, first, last)
        parts.append((hashes[chosen], first[chosen], last[chosen], np.full(len(since), number)[chosen]))
    sqlhash, first, last, grid_number = (np.concatenate(each) for each in zip(*parts, strict=True))
    got = find_answers(first, last, payloads)
    requests = Requests(grid_number, sqlhash, got.by_iov, got.counts())
    logged = {name: queries[name].fillna(0).to_numpy(np.int64) for name in ("bytes", "sized", "dbtime", "timed")}
    return summary(requests, names, logged)
