"""The caching figures of a world, by brute force.

This shares no code with the library's calculation. It compares all different queries of a folder and tag with all its
payload rows. The result is a matrix of queries by rows that says which answer contains which row. Two queries have the
same answer if their lines of the matrix are equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["figures"]

GROUP = ["db", "schema", "nodefullpath", "tagname"]
QUERY = ["sqlhash", "since", "until"]
BLOCK = 4_000_000
"""Cells of the matrix that are computed at a time."""

INTEGERS = (
    *("queries", "different_queries", "different_payloads_iov", "different_payloads_content", "empty_queries"),
    *("different_empty_queries", "cached", "uncached", "failed", "half_given", "backwards", "bytes_served"),
    *("dbtime", "repeated_queries", "repeated_bytes", "repeated_dbtime", "off_grid_queries"),
)
FLOATS = (
    *("wasted_bytes", "wasted_dbtime", "wasted_bytes_squid", "wasted_dbtime_squid"),
    *("wasted_bytes_content", "wasted_dbtime_content"),
    *("mean_payload_size", "efficiency_iov", "efficiency_content"),
)


def figures(logs: pa.Table, catalogue: pa.Table, payloads: pa.Table) -> pd.DataFrame:
    """Return the caching figures of each folder and tag.

    A query has a **good IOV** if ``since >= 0`` and ``until >= since``. It **failed** if ``disconn``, ``rejected`` or
    ``procerror`` is true; otherwise it was **served**. Two queries are different if (``sqlhash``, ``since``, ``until``)
    differ. The **answer** of a query is the set of rows of the folder and tag that COOL's SQL returns: for each
    channel, starting at the latest row with ``IOV_SINCE <= since``, the rows with ``IOV_SINCE <= until`` and
    ``IOV_UNTIL > since``.

    Parameters
    ----------
    logs
        Completed log rows, `frontierlab.schema.arrow_schema`.
    catalogue, payloads
        Those of the world.

    Returns
    -------
    pandas.DataFrame
        One row per (``db``, ``schema``, ``nodefullpath``, ``tagname``) with at least one logged query whose IOV is
        good, half given or backward, sorted by these columns. Log rows without a schema or path are ignored. The
        tag of log rows without a tag name is ``unknown``. The other columns, null if undefined:

        ``queries``
            served queries with a good IOV; the other columns use only these queries unless they say otherwise.
        ``different_queries``
            number of different queries among them.
        ``different_payloads_iov``, ``different_payloads_content``
            number of different non-empty answers, as sets of (channel, since, until), and as sets of (channel,
            content). These and all other figures of answers are null if the tag is ``unknown``, or if the catalogue
            does not have the tag and there are served queries. Without served queries there are 0 answers.
        ``empty_queries``, ``different_empty_queries``
            queries with an empty answer, and the number of different queries among them.
        ``cached``, ``uncached``
            queries with and without ``cached``; they add up to ``queries``.
        ``failed``
            queries with a good IOV that failed.
        ``half_given``, ``backwards``
            queries, failed or not, with only one of ``since`` and ``until``, and with both and ``until < since``.
        ``bytes_served``
            sum of ``fsize`` of the uncached queries: a cached answer has no body.
        ``dbtime``
            sum of ``dbtime`` of the uncached queries, ms.
        ``repeated_queries``, ``repeated_bytes``, ``repeated_dbtime``
            over pairs of a different query and who asked, the uncached queries but for one, and the sums of their
            ``fsize`` and ``dbtime`` but for the largest. Who asked is the Squid, or the site if the Squid is missing;
            queries with neither are left out. Null if there are uncached queries and all have neither.
        ``off_grid_queries``
            different queries whose ``since`` is no multiple of a third of ``until - since`` (rounded down; of a third
            of 0 only ``since`` 0 is one), and whose IOV is not from the first lumiblock of a run to the last of a run.
        ``wasted_bytes``
            sum over non-empty answers by IOV: (different queries with this answer - 1) times the mean ``fsize`` of
            these queries' uncached answers (0 if all are cached), bytes.
        ``wasted_dbtime``
            the same for uncached queries only: (different uncached queries with this answer - 1) times their mean
            ``dbtime``, ms.
        ``wasted_bytes_squid``, ``wasted_dbtime_squid``
            the same over pairs of answer and Squid, because each Squid must fetch an answer once. Queries without a
            known Squid are left out. A query from several Squids counts once for each, so this can exceed
            ``wasted_bytes``.
        ``wasted_bytes_content``, ``wasted_dbtime_content``
            as ``wasted_bytes`` and ``wasted_dbtime``, over answers by content.
        ``mean_payload_size``
            mean ``fsize`` of uncached queries with a non-empty answer, bytes; null if there are none.
        ``efficiency_iov``, ``efficiency_content``
            different answers / (different queries - different empty queries); null if the denominator is 0.
    """
    frame = _frame(logs)
    folders = catalogue.to_pandas().groupby(["db", "schema", "node"])["tag"].agg(set).to_dict()
    archive = dict(list(payloads.to_pandas().groupby(["db", "schema", "node", "tag"])))
    rows = []
    for key, group in frame.groupby(GROUP, sort=True):
        db, schema, node, tag = key
        counted = _counts(group)
        if tag in folders.get((db, schema, node), ()) or (tag != "unknown" and not counted["queries"]):
            counted |= _answers(group[group["served"]], archive.get(key))
        if counted["queries"] + counted["failed"] + counted["half_given"] + counted["backwards"]:
            rows.append({**dict(zip(GROUP, key, strict=True)), **counted})
    result = pd.DataFrame(rows, columns=[*GROUP, *INTEGERS, *FLOATS])
    return result.astype(dict.fromkeys(INTEGERS, "Int64") | dict.fromkeys(FLOATS, "Float64"))


def _frame(logs: pa.Table) -> pd.DataFrame:
    """Return the needed columns of the logs as pandas: names as objects, integers as ``Int64``."""
    used = [*GROUP, *QUERY, "cached", "disconn", "rejected", "procerror", "dbtime", "fsize", "squid", "computingsite"]
    types = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame: pd.DataFrame = logs.select(used).to_pandas(types_mapper=types.get)
    for name in (*GROUP, "squid", "computingsite"):
        frame[name] = frame[name].astype(object)
    frame["tagname"] = frame["tagname"].fillna("unknown")
    flags = frame[["cached", "disconn", "rejected", "procerror"]].fillna(False).astype(bool)
    since, until = frame["since"].to_numpy(np.int64), frame["until"].to_numpy(np.int64)
    frame["good"] = (since >= 0) & (until >= since)
    frame["half"] = (since < 0) != (until < 0)
    frame["backward"] = (since >= 0) & (until >= 0) & (until < since)
    frame["failure"] = flags["disconn"] | flags["rejected"] | flags["procerror"]
    frame["served"] = frame["good"] & ~frame["failure"]
    frame["cached"] = flags["cached"]
    return frame


def _counts(group: pd.DataFrame) -> dict[str, Any]:
    """Return the figures that do not need payloads."""
    served = group[group["served"]]
    uncached = served[~served["cached"]]
    return {
        "queries": len(served),
        "different_queries": len(served[QUERY].drop_duplicates()),
        "cached": int(served["cached"].sum()),
        "uncached": len(uncached),
        "failed": int((group["good"] & group["failure"]).sum()),
        "half_given": int(group["half"].sum()),
        "backwards": int(group["backward"].sum()),
        "bytes_served": int(uncached["fsize"].sum()),
        "dbtime": int(uncached["dbtime"].sum()),
        "off_grid_queries": sum(
            _off_grid(int(since), int(until)) for _, since, until in served[QUERY].drop_duplicates().to_numpy()
        ),
        **_repeats(uncached),
    }


def _off_grid(since: int, until: int) -> bool:
    """Return whether an IOV is on no grid."""
    whole_runs = since % 2**32 == 0 and (until + 1) % 2**32 == 0
    third = (until - since) // 3
    return not whole_runs and (since % third != 0 if third else since != 0)


def _repeats(uncached: pd.DataFrame) -> dict[str, Any]:
    """Return what each Squid or site asked again."""
    seen: dict[tuple[Any, ...], list[tuple[int, ...]]] = {}
    columns = uncached[["squid", "computingsite", *QUERY, "fsize", "dbtime"]]
    for squid, site, *query, size, time in columns.itertuples(index=False, name=None):
        if not (pd.isna(squid) and pd.isna(site)):
            asker = ("site", site) if pd.isna(squid) else ("squid", squid)
            key = (*asker, *(None if pd.isna(value) else int(value) for value in query))
            seen.setdefault(key, []).append(tuple(0 if pd.isna(value) else int(value) for value in (size, time)))
    names = ("repeated_queries", "repeated_bytes", "repeated_dbtime")
    if len(uncached) and not seen:
        return dict.fromkeys(names)
    sizes, times = ([[one[i] for one in costs] for costs in seen.values()] for i in (0, 1))
    counts = sum(len(costs) - 1 for costs in seen.values())
    return dict(zip(names, (counts, *(sum(sum(c) - max(c) for c in costs) for costs in (sizes, times))), strict=True))


def _answers(served: pd.DataFrame, rows: pd.DataFrame | None) -> dict[str, Any]:
    """Return the figures that need the answers; ``rows`` are the payload rows, None if there are none."""
    number = served.groupby(QUERY, dropna=False, sort=False).ngroup().to_numpy()
    different = served.drop_duplicates(QUERY)
    since, until = different["since"].to_numpy(np.int64), different["until"].to_numpy(np.int64)
    by_iov, by_content = _sets(since, until, rows)
    found = int((by_iov >= 0).sum())
    answers, contents = len(set(by_iov[by_iov >= 0])), len(set(by_content[by_content >= 0]))
    codes = {"answer": by_iov, "content": by_content}
    served = served.assign(
        query=number, **{name: code[number] if len(number) else number for name, code in codes.items()}
    )
    empty = int((served["answer"] < 0).sum())
    served = served[served["answer"] >= 0]
    squids = ["answer", "squid"]
    uncached = served[~served["cached"]]
    return {
        "different_payloads_iov": answers,
        "different_payloads_content": contents,
        "empty_queries": empty,
        "different_empty_queries": len(different) - found,
        "wasted_bytes": _wasted(served, uncached, "fsize", ["answer"]),
        "wasted_dbtime": _wasted(uncached, uncached, "dbtime", ["answer"]),
        "wasted_bytes_content": _wasted(served, uncached, "fsize", ["content"]),
        "wasted_dbtime_content": _wasted(uncached, uncached, "dbtime", ["content"]),
        "wasted_bytes_squid": _wasted(served, uncached, "fsize", squids),
        "wasted_dbtime_squid": _wasted(uncached, uncached, "dbtime", squids),
        "mean_payload_size": uncached["fsize"].mean(),
        "efficiency_iov": answers / found if found else None,
        "efficiency_content": contents / found if found else None,
    }


def _wasted(queries: pd.DataFrame, costly: pd.DataFrame, cost: str, by: list[str]) -> float:
    """Return the sum over answers of (number of different ``queries`` - 1) times the mean cost of ``costly``."""
    different = queries.groupby(by)["query"].nunique()
    mean = costly.groupby(by)[cost].mean().astype("Float64")
    return float(((different - 1) * mean).fillna(0).sum())


def _sets(
    since: NDArray[np.int64], until: NDArray[np.int64], rows: pd.DataFrame | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return a number for the answer of each query, by IOV and by content; -1 for the empty answer."""
    empty = np.full(len(since), -1)
    if rows is None or not len(since):
        return empty, empty
    rows = rows.sort_values(["channel", "content"])
    new = ~rows.duplicated(["channel", "content"]).to_numpy()
    firsts = np.flatnonzero(new)  # the first row of each content of a channel
    iov_lines, content_lines = [], []
    step = max(1, BLOCK // len(rows))
    for k in range(0, len(since), step):
        matrix = _matrix(since[k : k + step], until[k : k + step], rows)
        iov_lines.append(np.packbits(matrix, axis=1))
        content_lines.append(np.packbits(np.logical_or.reduceat(matrix, firsts, axis=1), axis=1))
    return _numbered(np.concatenate(iov_lines)), _numbered(np.concatenate(content_lines))


def _matrix(since: NDArray[np.int64], until: NDArray[np.int64], rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Return whether each row is in the answer of each query: shape (queries, rows)."""
    begin, end = rows["since"].to_numpy(), rows["until"].to_numpy()
    matrix = (begin <= until[:, None]) & (end > since[:, None])
    channel = rows["channel"].to_numpy()
    for one in np.unique(channel):
        of_channel = np.flatnonzero(channel == one)
        points = np.sort(begin[of_channel])
        latest = np.searchsorted(points, since, side="right") - 1
        # if no row begins before the query, none is excluded
        start = np.where(latest >= 0, points[latest], np.iinfo(np.int64).min)
        matrix[:, of_channel] &= begin[of_channel] >= start[:, None]
    return matrix


def _numbered(packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return a number for each line; equal lines have the same number, and a line of zeros has -1."""
    whole = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1])))[:, 0]
    _, number = np.unique(whole, return_inverse=True)
    return np.where(packed.any(axis=1), number, -1)
