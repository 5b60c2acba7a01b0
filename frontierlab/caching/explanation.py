"""Why a folder and tag wastes the cache: its queries compared with its payload intervals, and the tasks that asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from frontierlab.caching.answer_sets import Integers, find_answers
from frontierlab.caching.iov_axis import Axis
from frontierlab.caching.open_folder import open_folder
from frontierlab.caching.queries import FolderTag, askers_of, served
from frontierlab.coolr import Cancelled, Source
from frontierlab.engines.logs import Logs
from frontierlab.engines.own_statements import ask
from frontierlab.errors import CoolrError
from frontierlab.schema import OPEN_IOV, UNKNOWN_TAG
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.storage.store import Datasets

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Explanation", "RESULTS", "explain", "explanation_of"]

RESULTS = ("needed", "again", "empty", "unknown")
"""The results of different queries; see `Explanation`."""

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


@dataclass(frozen=True, repr=False)
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
        Sums over ``queries``; and over ``askers``: ``repeated_queries``, ``repeated_bytes``, ``repeated_dbtime`` (ms).
    problem
        Why there are no payloads; empty if there are.
    notes
        Sentences for the reader of the figures.
    askers
        A row is a Squid, or a site where the Squid is not known, most database time of repeats first: ``squid``,
        ``computingsite``, ``queries``, ``different_queries``, ``uncached``, ``repeated_queries``, ``most_repeated``,
        ``repeated_bytes``, ``repeated_dbtime`` (ms); see `frontierlab.caching.efficiency`.
    origin
        ``dataset`` (name and identity) and ``selection`` (JSON), which identify the queries.
    """

    folder: FolderTag
    axis: Axis
    queries: pd.DataFrame
    intervals: pd.DataFrame
    tasks: pd.DataFrame
    totals: dict[str, int]
    problem: str = ""
    notes: list[str] = field(default_factory=list)
    askers: pd.DataFrame = field(default_factory=pd.DataFrame)
    origin: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Explanation of {self.folder}: {self.summary}>"

    @property
    def summary(self) -> str:
        """A summary in one sentence."""
        count = self.totals
        different = sum(count[result] for result in RESULTS)
        if not different:
            return "No served query of this folder and tag has an IOV."
        again = count.get("repeated_queries", 0)
        repeated = f"{again:,} queries came uncached again from the same Squid or site"
        if self.problem:
            middle = f"; {repeated}" if again else ""
            return f"{count['queries']:,} queries, {different:,} different ones{middle}. {self.problem}"
        parts = [
            f"{count['queries']:,} queries, {different:,} different ones, got {count['needed']:,} different payloads"
        ]
        if count["again"]:
            parts.append(f"{count['again']:,} of the different ones asked for what another had fetched")
        if count["empty"]:
            parts.append(f"{count['empty']:,} of them got nothing")
        if again:
            parts.append(repeated)
        return f"{'; '.join(parts)}."


def explain(
    dataset: Logs | Datasets,
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

    This puts three statements to the logs and asks COOLR for the payloads. If COOLR does not answer, queries and tasks
    are still returned, and ``problem`` gives the reason. `frontierlab.caching.explain_figure` draws the result.

    Parameters
    ----------
    dataset
        A dataset, the name of one in the data folder of `settings`, a list of these, or what `frontierlab.open_logs`
        returned.
    settings
        By default ``Settings()``.
    db, schema, nodefullpath, tagname
        The folder and its tag, as in the rows of `frontierlab.caching.efficiency`.
    selection
        The queries to use; by default all.
    coolr
        The source of payloads; by default the COOLR of `settings`.
    session
        The Spark session to use. If one is given, Spark answers; otherwise ``engine`` of `settings` says what answers.
    allow_incomplete
        Use the existing files of an incomplete dataset; its figures are too small.

    Returns
    -------
    Explanation
        Frames of the queries, payload intervals, tasks and Squids; ``summary`` is a sentence.

    Raises
    ------
    InvalidRequestError
        The IOV base of the folder is not known, or `selection` is invalid.
    CoolrError
        COOLR was asked for the IOV base and did not answer.
    Cancelled
        A `frontierlab.cancellable` block around the call was cancelled.
    DatasetError
        The dataset does not exist or is incomplete.
    """
    folder, problem, payloads = FolderTag(db, schema, nodefullpath, tagname), "", None
    with open_folder(
        dataset,
        settings,
        folder,
        selection=selection,
        coolr=coolr,
        session=session,
        allow_incomplete=allow_incomplete,
    ) as opened:
        queries = opened.queries
        where, args = served(folder, selection)
        statement = _TASKS.format(where=where)
        tasks = ask({"logs": opened.logs}, statement, args, description=f"tasks that asked for {folder}")
        askers = askers_of(opened.logs, folder, selection)
        try:
            if tagname == UNKNOWN_TAG:
                problem = "These queries have an unknown tag, so their payloads cannot be determined."
            elif len(queries):
                payloads = opened.payloads(int(queries["since"].min()), int(queries["until"].max()))
        except Cancelled:
            raise
        except CoolrError as error:
            problem = f"The payloads are not known: {error}"
    found = explanation_of(folder, opened.base, queries, tasks, payloads, problem)
    repeats = {name: int(askers[name].sum()) for name in ("repeated_queries", "repeated_bytes", "repeated_dbtime")}
    totals, notes = found.totals | repeats, [*opened.notes, *found.notes]
    return replace(found, totals=totals, notes=notes, askers=askers, origin=opened.origin)


def explanation_of(
    folder: FolderTag, base: str, queries: pd.DataFrame, tasks: pd.DataFrame, payloads: pa.Table | None, problem: str
) -> Explanation:
    """Return the explanation of a folder and tag from its different queries, sorted by IOV, its tasks and payloads."""
    since, until = (queries[name].to_numpy(np.int64) for name in ("since", "until"))
    rows = _intervals(payloads, since, until)
    axis = Axis.of(base, since, until, rows[["since", "until"]].to_numpy(np.int64).ravel())
    results = _results(since, until, payloads)
    binned = _binned(axis, queries, results)
    totals = {name: int(binned[name].sum()) for name in ("queries", *RESULTS, "bytes", "dbtime")}
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


def _results(since: Integers, until: Integers, payloads: pa.Table | None) -> NDArray[np.str_]:
    """Classify different queries: the first query with an answer is needed, later ones with that answer are again."""
    if payloads is None:
        return np.full(len(since), "unknown")
    codes = np.asarray(find_answers(since, until, payloads).by_iov)
    again = pd.Series(codes).duplicated().to_numpy()
    return np.where(codes < 0, "empty", np.where(again, "again", "needed"))


def _binned(axis: Axis, queries: pd.DataFrame, results: NDArray[np.str_]) -> pd.DataFrame:
    edges = axis.edges()
    since = queries["since"].to_numpy(np.int64)
    bins = np.clip(np.searchsorted(edges, axis.place(since), side="right") - 1, 0, len(edges) - 2)
    frame = queries[["queries", "bytes", "dbtime"]].fillna(0).astype("int64")
    for result in RESULTS:
        frame[result] = (results == result).astype(np.int64)
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
