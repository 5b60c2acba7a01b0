"""Why a folder and tag wastes the cache: its queries compared with its payload intervals, and the tasks that asked."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from frontierlab import spark
from frontierlab.caching.answer_sets import Integers, answers
from frontierlab.caching.counting import UNKNOWN_TAG
from frontierlab.caching.folder_figures import ask_coolr, payloads_of
from frontierlab.caching.folders import notes_of
from frontierlab.caching.queries import FolderTag, different_queries, iov_base, served
from frontierlab.coolr import Cancelled, Source, connect
from frontierlab.errors import CoolrError
from frontierlab.schema import OPEN_IOV
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.storage.store import Dataset, open_dataset
from frontierlab.util.times import from_milliseconds

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Axis", "BINS", "Explanation", "explain"]

BINS = 200
"""The largest number of bins on the IOV axis."""

_LUMIS = 2**32 - 1


_TASKS = """\
SELECT taskid,
       max(taskname) AS taskname,
       count(*) AS queries,
       count(DISTINCT struct(sqlhash, iov_since, iov_until)) AS different_queries,
       count_if(NOT coalesce(cached, false)) AS uncached,
       coalesce(sum(fsize) FILTER (WHERE NOT coalesce(cached, false)), 0) AS bytes,
       coalesce(sum(dbtime) FILTER (WHERE NOT coalesce(cached, false)), 0) AS dbtime
FROM {{logs}}{where}
GROUP BY taskid
ORDER BY dbtime DESC, queries DESC, taskid"""


@dataclass(frozen=True)
class Axis:
    """The axis on which IOVs are drawn: a place is a float, and the exact IOV is kept as text.

    For a folder of times, the place is milliseconds from the epoch. For other folders, it is the index of the
    run among the requested runs (from 0), plus the fraction of the run before the lumiblock. Runs that were
    not requested take no space.

    Parameters
    ----------
    base
        run-lumi or time.
    runs
        The requested runs, in order; empty for times.
    lumis
        The width of a run in lumiblocks; 1 for times.
    low, high
        The ends of the axis; IOVs beyond them are drawn at the ends.
    """

    base: str
    runs: tuple[int, ...]
    lumis: int
    low: float
    high: float

    @classmethod
    def of(cls, base: str, since: Integers, until: Integers, more: Integers) -> Axis:
        """Choose the axis from the requested IOVs; from ``more`` if the requested IOVs are only 0 or open."""
        ends = np.concatenate([since, until])
        for values in (ends, more):
            own = values[(values > 0) & (values < OPEN_IOV)]
            if len(own):
                break
        if base == "time":
            places = own / 10**6
            low, high = (float(places.min()), float(places.max())) if len(own) else (0.0, 0.0)
            return cls(base, (), 1, low, high if high > low else low + 60_000)
        lumi = own & _LUMIS
        runs = np.unique(own >> 32)
        return cls(
            base, tuple(runs.tolist()), int(lumi[lumi < _LUMIS].max(initial=0)) + 1, 0.0, float(max(1, len(runs)))
        )

    def place(self, iov: Integers) -> NDArray[np.float64]:
        """Return the places of IOVs on the axis."""
        if self.base == "time":
            places: NDArray[Any] = iov / 10**6
        else:
            runs = np.array([*self.runs, OPEN_IOV], np.int64)
            number = np.searchsorted(runs, iov >> 32)
            inside = runs[number] == iov >> 32
            places = number + np.where(inside, np.minimum(iov & _LUMIS, self.lumis) / self.lumis, 0.0)
        return np.asarray(np.clip(places, self.low, self.high), np.float64)

    def edges(self) -> NDArray[np.float64]:
        """Return the edges of the bins; a run has a whole number of bins, or a bin a whole number of runs."""
        if self.base == "time":
            return np.linspace(self.low, self.high, BINS + 1)
        runs = max(1, len(self.runs))
        if runs > BINS:
            width = -(-runs // BINS)
            return np.append(np.arange(0, runs, width), runs).astype(float)
        return np.linspace(0, runs, runs * min(BINS // runs, self.lumis) + 1)

    def text(self, iov: int) -> str:
        """Format an IOV for reading, with its exact value."""
        if iov == OPEN_IOV:
            return "open (2^63-1)"
        if self.base == "time":
            seconds, rest = divmod(iov, 10**9)
            return f"{from_milliseconds(seconds * 1000):%Y-%m-%d %H:%M:%S}.{rest:09d} UTC ({iov})"
        run, lumi = iov >> 32, iov & _LUMIS
        return f"run {run}, {'its end' if lumi == _LUMIS else f'lumiblock {lumi}'} ({iov})"


@dataclass(frozen=True)
class Explanation:
    """The queries, payload intervals and tasks of a folder and tag; returned by `explain`.

    Parameters
    ----------
    folder
        The folder and tag.
    axis
        The IOV axis.
    queries
        A row is a bin of the IOV axis in which IOVs of queries begin: ``left``, ``right`` (places); ``first``, ``last``
        (smallest and largest ``since``, exact); ``queries``; different queries by result: ``needed``
        (first to get an answer), ``again`` (same answer as an earlier query), ``empty`` (no payload), ``unknown``
        (payloads not available); ``bytes`` and ``dbtime`` (ms) of uncached queries.
    intervals
        A row is a payload of a channel that overlaps the requested IOVs: ``channel``, ``since``, ``until`` (exact),
        ``ends`` (start of the next payload, at most ``until``), ``different_queries`` that got this payload.
    tasks
        A row is a task, most database time first: ``taskid``, ``taskname``, ``queries``,
        ``different_queries``, ``uncached``, ``bytes``, ``dbtime`` (ms).
    totals
        Sums over ``queries``.
    problem
        Why there are no payloads; empty if there are.
    notes
        Sentences for the reader of the figures.
    """

    folder: FolderTag
    axis: Axis
    queries: pd.DataFrame
    intervals: pd.DataFrame
    tasks: pd.DataFrame
    totals: dict[str, int]
    problem: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """A summary in one sentence."""
        count = self.totals
        different = sum(count[kind] for kind in ("needed", "again", "empty", "unknown"))
        if not different:
            return "No served query of this folder and tag has an IOV."
        if self.problem:
            return f"{count['queries']:,} queries, {different:,} different ones. {self.problem}"
        parts = [
            f"{count['queries']:,} queries, {different:,} different ones, got {count['needed']:,} different payloads"
        ]
        if count["again"]:
            parts.append(f"{count['again']:,} of the different ones asked for what another had fetched")
        if count["empty"]:
            parts.append(f"{count['empty']:,} of them got nothing")
        return f"{'; '.join(parts)}."


def explain(
    dataset: Dataset | str,
    settings: Settings | None = None,
    *,
    db: str,
    schema: str,
    nodefullpath: str,
    tagname: str,
    selection: Selection | None = None,
    coolr: Source | None = None,
    session: SparkSession | None = None,
    allow_incomplete: bool = False,
) -> Explanation:
    """Compare the queries of a folder and tag with its payload intervals.

    This runs two Spark SQL statements and asks COOLR for the payloads. If COOLR does not answer, queries and tasks
    are still returned, and ``problem`` gives the reason. `frontierlab.caching.explain_figure` draws the result.

    Parameters
    ----------
    dataset
        A dataset, or the name of one in the data folder of `settings`.
    settings
        By default ``Settings()``.
    db, schema, nodefullpath, tagname
        The folder and its tag, as in the rows of `frontierlab.caching.efficiency`.
    selection
        The queries to use; by default all.
    coolr
        The source of payloads; by default the COOLR of `settings`.
    session
        The Spark session to use.
    allow_incomplete
        Use the existing files of an incomplete dataset; its figures are too small.

    Raises
    ------
    InvalidRequestError
        The IOV base of the folder is not known.
    CoolrError
        COOLR was asked for the IOV base and did not answer.
    Cancelled
        A `frontierlab.spark.cancellable` block around the call was cancelled.
    DatasetError
        The dataset does not exist or is incomplete.
    """
    settings = settings or Settings()
    folder = FolderTag(db, schema, nodefullpath, tagname)
    dataset = open_dataset(dataset, settings) if isinstance(dataset, str) else dataset
    logs = spark.open_logs(dataset, session=session, settings=settings, allow_incomplete=allow_incomplete)
    queries = different_queries(logs, folder, selection).sort_values(["since", "until", "sqlhash"], ignore_index=True)
    where, args = served(folder, selection)
    tasks = spark.run(logs, _TASKS.format(where=where), args, description=f"tasks that asked for {folder}")
    payloads, problem, stop = None, "", threading.Event()
    with connect(settings, cancelled=stop) if coolr is None else nullcontext(coolr) as source:
        base = ask_coolr(lambda: iov_base(queries, folder, source), stop)
        try:
            if tagname == UNKNOWN_TAG:
                problem = "The tag of these queries is not known, so that their payloads are not known either."
            elif len(queries):
                low, high = int(queries["since"].min()), int(queries["until"].max())
                payloads = ask_coolr(lambda: payloads_of(source, folder._asdict(), low, high, base), stop)
        except Cancelled:
            raise
        except CoolrError as error:
            problem = f"Its payloads are not known: {error}"
    found = _explained(folder, base, queries, tasks, payloads, problem)
    return replace(found, notes=[*notes_of(dataset, selection), *found.notes])


def _explained(
    folder: FolderTag, base: str, queries: pd.DataFrame, tasks: pd.DataFrame, payloads: pa.Table | None, problem: str
) -> Explanation:
    since, until = (queries[name].to_numpy(np.int64) for name in ("since", "until"))
    rows = _intervals(payloads, since, until)
    axis = Axis.of(base, since, until, rows[["since", "until"]].to_numpy(np.int64).ravel())
    kinds = _kinds(since, until, payloads)
    binned = _binned(axis, queries, kinds)
    counted = ("queries", "needed", "again", "empty", "unknown", "bytes", "dbtime")
    totals = {name: int(binned[name].sum()) for name in counted}
    notes = []
    if (rows["ends"] < rows["until"]).any():
        notes.append(
            "Payload intervals of one channel overlap: each is drawn to where the next begins, as COOL reads them."
        )
    return Explanation(folder, axis, binned, rows, tasks, totals, problem, notes)


def _intervals(payloads: pa.Table | None, since: Integers, until: Integers) -> pd.DataFrame:
    """Return the payload rows with the number of different queries that got each."""
    names = ["channel", "since", "until"]
    if payloads is None or not payloads.num_rows:
        return pd.DataFrame(dict.fromkeys([*names, "ends", "different_queries"], pd.array([], "Int64")))
    frame: pd.DataFrame = payloads.select(names).to_pandas().sort_values(names, ignore_index=True)
    # COOL starts at the latest row of a channel, so a row ends where the next one begins
    starts = frame[["channel", "since"]].drop_duplicates()
    starts["next"] = starts.groupby("channel")["since"].shift(-1, fill_value=OPEN_IOV)
    frame = frame.merge(starts, on=["channel", "since"])
    frame["ends"] = frame[["until", "next"]].min(axis=1)
    before = np.searchsorted(np.sort(since), frame["ends"], side="left")  # queries with since before the end
    over = np.searchsorted(np.sort(until), frame["since"], side="left")  # of these, queries with until before the start
    frame["different_queries"] = before - over
    return frame.drop(columns="next").astype("Int64")


def _kinds(since: Integers, until: Integers, payloads: pa.Table | None) -> NDArray[np.str_]:
    """Classify different queries: the first query with an answer is needed, later ones with that answer are again."""
    if payloads is None:
        return np.full(len(since), "unknown")
    codes = np.asarray(answers(since, until, payloads).by_iov)
    again = pd.Series(codes).duplicated().to_numpy()
    return np.where(codes < 0, "empty", np.where(again, "again", "needed"))


def _binned(axis: Axis, queries: pd.DataFrame, kinds: NDArray[np.str_]) -> pd.DataFrame:
    edges = axis.edges()
    since = queries["since"].to_numpy(np.int64)
    bins = np.clip(np.searchsorted(edges, axis.place(since), side="right") - 1, 0, len(edges) - 2)
    frame = queries[["queries", "bytes", "dbtime"]].fillna(0).astype("int64")
    for kind in ("needed", "again", "empty", "unknown"):
        frame[kind] = (kinds == kind).astype(np.int64)
    groups = frame.assign(bin=bins).groupby("bin")
    iovs = pd.Series(since).groupby(bins).agg(["min", "max"])
    summed = groups.sum()
    number = summed.index.to_numpy()
    ends = {"left": edges[number], "right": edges[number + 1]}
    exact = {"first": iovs["min"].to_numpy(), "last": iovs["max"].to_numpy()}
    return (
        pd.DataFrame({**ends, **exact})
        .join(summed.reset_index(drop=True))
        .astype(dict.fromkeys(("first", "last", *frame.columns), "Int64"))
    )
